//! Locks between programs on one machine: kept by the kernel, so a killed program leaves none behind.
//! They make starting, sharing and stopping one server safe without a supervisor.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::LocalPostgresError;

/// Long enough for a download followed by an installation.
const PATIENCE: Duration = Duration::from_secs(900);

/// Waits for the sole right to start, stop or remove the server; given back when the file is dropped.
pub(super) async fn exclusive(path: &Path) -> Result<File, LocalPostgresError> {
    let file = open(path)?;
    let asked = Instant::now();
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if asked.elapsed() > PATIENCE => {
                return Err(LocalPostgresError::Locked(PATIENCE.as_secs()));
            }
            Err(TryLockError::WouldBlock) => {
                if !told && asked.elapsed() > Duration::from_secs(2) {
                    tracing::info!("another program is starting or stopping Postgres; waiting for it");
                    told = true;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(TryLockError::Error(error)) => return Err(LocalPostgresError::io("lock", path)(error)),
        }
    }
}

/// Marks this program as a user of the server for as long as the file lives.
///
/// Call it under [`exclusive`]: only a stopping program ever locks this file for itself, and it does so under
/// that lock.
pub(super) fn shared(path: &Path) -> Result<File, LocalPostgresError> {
    let file = open(path)?;
    file.lock_shared().map_err(LocalPostgresError::io("lock", path))?;
    Ok(file)
}

/// Gives up this program's share and tells whether nobody else holds one; call it under [`exclusive`].
pub(super) fn release_last(file: &File) -> bool {
    // Unlocked by name, not by closing: a child between fork and exec may hold a copy of the descriptor for a
    // moment.
    let released = file.unlock().is_ok() && file.try_lock().is_ok();
    if released {
        let _ = file.unlock();
    }
    released
}

/// Whether no program is marked as a user of the server; call it under [`exclusive`].
pub(super) fn is_free(path: &Path) -> Result<bool, LocalPostgresError> {
    match open(path)?.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(LocalPostgresError::io("lock", path)(error)),
    }
}

fn open(path: &Path) -> Result<File, LocalPostgresError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(LocalPostgresError::io("open", path))
}
