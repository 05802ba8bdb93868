//! The product's program under another name, for tests that need it as a process of its own; and the
//! warden that stops the tests' Postgres when the tests are gone.

use std::{path::Path, process::ExitCode, thread::sleep, time::Duration};

use onhand_infrastructure::database::local::LocalPostgres;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.as_slice() {
        [_, word, pid, root] if word == "stop-postgres-after" => stop_postgres_after(pid, root),
        _ => onhand::cli::main(),
    }
}

fn stop_postgres_after(pid: &str, root: &str) -> ExitCode {
    while Path::new("/proc").join(pid).exists() {
        sleep(Duration::from_millis(500));
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let stopped = runtime.block_on(async {
        let server = LocalPostgres::start(onhand_tests::postgres::settings(root)).await?;
        server.stop().await // Only if no other run of the tests uses it.
    });
    if stopped.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
