//! Logs: to stderr, as text for people and as JSON lines for machines, so that stdout stays for answers.

use std::{
    env,
    io::{IsTerminal, stderr},
};

use tracing_subscriber::EnvFilter;

/// Begins to log. `RUST_LOG` decides what; without it a server tells its story, and other commands only what failed.
pub(super) fn start(serving: bool) {
    let default =
        if serving { "warn,onhand=info,onhand_infrastructure=info,onhand_projector=info" } else { "error" };
    let wanted = env::var(EnvFilter::DEFAULT_ENV).ok().filter(|wanted| !wanted.is_empty());
    let filter = wanted.map(|wanted| EnvFilter::builder().parse(wanted)).transpose();
    let filter = filter.unwrap_or_else(|error| {
        eprintln!("RUST_LOG cannot be understood, and is passed over: {error}");
        None
    });
    let filter = filter.unwrap_or_else(|| EnvFilter::new(default));
    let to_person = stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(to_person)
        // Where nobody reads it any more, that would be told by a macro that panics, and take with it whoever had something
        // to log.
        .log_internal_errors(false);
    if serving && !to_person {
        builder.json().flatten_event(true).init();
    } else {
        builder.init();
    }
}
