//! The benchmark: HTTP reservations against the pgbench rate, on one machine, in turn. See `docs/BENCHMARKS.md`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The server under load is this very program, in a process of its own.
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return onhand::cli::main();
    }
    if let [_, word, url] = std::env::args().collect::<Vec<_>>().as_slice()
        && word == "naive"
    {
        return onhand_tests::bench::serve_naively(url);
    }
    onhand_tests::bench::main()
}
