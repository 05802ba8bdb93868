//! The benchmark: HTTP reservations against the pgbench rate, on one machine, in turn. See `docs/BENCHMARKS.md`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The server under load is this very program, in a process of its own.
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return onhand::cli::main();
    }
    onhand_tests::bench::main()
}
