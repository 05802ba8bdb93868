//! Being told to stop: the first signal asks, the second does not wait for the answer. That the terminal is gone (SIGHUP) is
//! such a signal, unless whoever started the program, as `nohup` does, wants it to go on.

use std::{process::exit, time::Duration};

/// What arrives this soon after the first signal is the same one: `timeout` and other wrappers send it twice.
const ECHO: Duration = Duration::from_millis(300);

/// Returns at the first SIGINT, SIGTERM or SIGHUP. From then on, another one ends the process at once.
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
    let hung_up = async {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kind = SignalKind::hangup();
        // Where that is not known, the system's own handling stays.
        if is_ignored(&status, kind.as_raw_value().unsigned_abs()) != Some(false) {
            return std::future::pending().await;
        }
        match signal(kind) {
            Ok(mut hangup) => hangup.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hung_up => {}
    }
}

/// A handler takes the place of whatever was to be done, and a signal that is ignored is to stay so.
#[cfg(unix)]
fn is_ignored(status: &str, number: u32) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some((mask >> (number - 1)) & 1 == 1)
}

#[cfg(not(unix))]
async fn one() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::is_ignored;

    #[test]
    fn what_is_ignored_is_read_off_a_mask_of_signals() {
        let status = |mask| format!("Name:\tonhand\nSigBlk:\t0000000000000000\nSigIgn:\t{mask}\n");
        assert_eq!(is_ignored(&status("0000000000001001"), 1), Some(true));
        assert_eq!(is_ignored(&status("0000000000001000"), 1), Some(false));
        assert_eq!(is_ignored(&status("0000000000004000"), 15), Some(true));
        assert_eq!(is_ignored("", 1), None);
    }
}
