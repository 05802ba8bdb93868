//! The benchmark: HTTP reservations against the pgbench rate, on one machine, in turn. See `docs/BENCHMARKS.md`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The server under load is this very program, in a process of its own.
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return onhand::cli::main();
    }
    if let [_, word, url] = std::env::args().collect::<Vec<_>>().as_slice() {
        match word.as_str() {
            "naive" => return onhand_tests::bench::serve_naively(url),
            "states" => return onhand_tests::bench::measure_states(url),
            _ => {}
        }
    }
    onhand_tests::bench::main()
}
