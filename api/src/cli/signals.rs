//! Being told to stop: the first signal asks, the second does not wait for the answer.

use std::{process::exit, time::Duration};

/// What arrives this soon after the first signal is the same one: `timeout` and other wrappers send it twice.
const ECHO: Duration = Duration::from_millis(300);

/// Returns at the first SIGINT or SIGTERM. From then on, another one ends the process at once.
pub(super) async fn told_to_stop() {
    one().await;
    tokio::spawn(async {
        tokio::time::sleep(ECHO).await;
        one().await;
        exit(130);
    });
}

#[cfg(unix)]
async fn one() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the system's own apply: the process just ends.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn one() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
