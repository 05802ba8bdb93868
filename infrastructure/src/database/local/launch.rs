//! Starts the server's process, waits for it, and ends it.
//! Apart from [`LocalPostgres`](super::LocalPostgres) because this is where a machine can go wrong; callers
//! hold the lock.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::account::Account;
use super::binaries::Binaries;
use super::postmaster::{Endpoint, PidFile, Process, running, signal};
use super::settings::Layout;
use super::{LocalPostgresError, LocalSettings, cluster};

const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const DYING_LIMIT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(50);
const LOG_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// Starts the server and waits until it is ready.
pub(super) async fn launch(
    layout: &Layout,
    settings: &LocalSettings,
    binaries: &Binaries,
    account: Option<&Account>,
    password: &str,
) -> Result<(PidFile, Endpoint), LocalPostgresError> {
    let asked = Instant::now();
    loop {
        clear_way(layout).await?;
        let Spawned { pid, log_start, waiter } = spawn(layout, settings, binaries, account)?;
        match await_ready(layout, pid, password, || !waiter.is_finished()).await {
            Ok(Some(ready)) => return Ok(ready),
            Ok(None) => {
                let log = log_end(&layout.log, log_start);
                // The children of a killed server end a moment after it, and hold its memory until then.
                if !log.contains("is still in use") || asked.elapsed() > STOP_LIMIT {
                    return Err(LocalPostgresError::Ended(log));
                }
                tokio::time::sleep(POLL * 5).await;
            }
            Err(error) => {
                signal(pid, "INT");
                return Err(error);
            }
        }
    }
}

/// Removes lock files of the server whose process number no longer means it, though Postgres would believe them.
///
/// After a restart of a container the number often belongs to somebody else; and a killed server keeps its
/// number while it dies, or for ever if nobody waits for it.
async fn clear_way(layout: &Layout) -> Result<(), LocalPostgresError> {
    for file in [layout.pg.join("postmaster.pid"), layout.run.join(".s.PGSQL.5432.lock")] {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()) else {
            continue;
        };
        let entry = PathBuf::from(format!("/proc/{pid}"));
        let process = || Process::of(pid, &layout.pg);
        let asked = Instant::now();
        while entry.exists() && process() == Process::Gone && asked.elapsed() < DYING_LIMIT {
            tokio::time::sleep(POLL).await;
        }
        let dead = entry.exists() && process() == Process::Gone;
        if dead || process() == Process::Other {
            fs::remove_file(&file).map_err(LocalPostgresError::io("remove", &file))?;
        }
    }
    Ok(())
}

/// A process that has just begun.
struct Spawned {
    pid: u32,
    /// Where in the log its lines begin.
    log_start: u64,
    /// Finished when the process has ended.
    waiter: JoinHandle<()>,
}

/// Starts the server's process.
fn spawn(
    layout: &Layout,
    settings: &LocalSettings,
    binaries: &Binaries,
    account: Option<&Account>,
) -> Result<Spawned, LocalPostgresError> {
    if fs::metadata(&layout.log).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
        let _ = fs::rename(&layout.log, layout.log.with_extension("log.1"));
    }
    // A file, not a pipe: a pipe would break when this program dies, and the server is to go on.
    let log = File::options().create(true).append(true).mode(0o600).open(&layout.log);
    let log = log.map_err(LocalPostgresError::io("open", &layout.log))?;
    let log_start = log.metadata().map_or(0, |log| log.len());
    let again = log.try_clone().map_err(LocalPostgresError::io("open", &layout.log))?;
    let mut command = cluster::command("postgres", binaries, account);
    command.arg("-D").arg(&layout.pg).current_dir(&layout.pg);
    for (name, value) in server_settings(layout, settings)? {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    // A group of its own, so that Ctrl-C at the terminal does not end the database under a program that still
    // drains.
    command.stdin(Stdio::null()).stdout(log).stderr(again).process_group(0);
    let program = binaries.dir.join("postgres");
    let mut child = command.spawn().map_err(LocalPostgresError::io("run", &program))?;
    let pid = child.id();
    // Somebody has to wait for the child, or it would stay in the process table; a thread outlives every
    // runtime.
    let waiter = thread::Builder::new().name("postgres-wait".to_owned()).spawn(move || match child.wait() {
        Ok(status) if status.success() => tracing::debug!(pid, "Postgres ended"),
        Ok(status) => tracing::warn!(pid, %status, "Postgres ended unexpectedly"),
        Err(error) => tracing::warn!(pid, %error, "lost sight of Postgres"),
    });
    let waiter = waiter.map_err(LocalPostgresError::io("watch", &program))?;
    Ok(Spawned { pid, log_start, waiter })
}

fn server_settings(
    layout: &Layout,
    settings: &LocalSettings,
) -> Result<Vec<(String, String)>, LocalPostgresError> {
    let mut list: Vec<(&str, String)> = vec![
        ("unix_socket_permissions", "0700".to_owned()),
        // Makes the process list readable on a machine with several servers.
        ("cluster_name", "onhand".to_owned()),
        // The indexes of the ledger stay in memory; the default of 128 MB is meant for any machine.
        ("shared_buffers", "256MB".to_owned()),
        // Each checkpoint makes the next change of every page cost a whole page of log; under load, a gigabyte of
        // log is half a minute.
        ("max_wal_size", "4GB".to_owned()),
        // Files of the log that are done with are used again. A new one is filled with zeros first, by whoever is just committing.
        ("min_wal_size", "1GB".to_owned()),
        // Several programs with a pool each.
        ("max_connections", "200".to_owned()),
    ];
    if Endpoint::socket_fits(&layout.run) {
        list.push(("unix_socket_directories", layout.run.to_string_lossy().into_owned()));
        list.push(("listen_addresses", String::new()));
        list.push(("port", "5432".to_owned()));
    } else {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let address = listener.map_err(LocalPostgresError::io("find a free port of", "127.0.0.1"))?;
        list.push(("unix_socket_directories", String::new()));
        list.push(("listen_addresses", "127.0.0.1".to_owned()));
        list.push(("port", address.port().to_string()));
    }
    // Said even when it is the default: the promise of an event store rests on it.
    let durable = if settings.durable { "on" } else { "off" };
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        list.push((name, durable.to_owned()));
    }
    let ours = list.into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok(ours.chain(settings.extra.iter().cloned()).collect())
}

/// Waits until the server accepts a connection; `None` if its process ends first.
///
/// A server that says it is recovering is given all the time it takes.
pub(super) async fn await_ready(
    layout: &Layout,
    pid: u32,
    password: &str,
    alive: impl Fn() -> bool,
) -> Result<Option<(PidFile, Endpoint)>, LocalPostgresError> {
    let mut sign_of_life = Instant::now();
    let mut told = Instant::now();
    loop {
        let file = PidFile::read(&layout.pg).filter(|file| file.pid == pid);
        if let Some((file, endpoint)) =
            file.and_then(|file| file.endpoint.clone().map(|endpoint| (file, endpoint)))
        {
            let options = endpoint.options(password, "postgres");
            let attempt =
                tokio::time::timeout(Duration::from_secs(5), PgConnection::connect_with(&options)).await;
            match attempt {
                Ok(Ok(conn)) => {
                    let _ = conn.close().await;
                    return Ok(Some((file, endpoint)));
                }
                // `cannot_connect_now`: starting, recovering or shutting down.
                Ok(Err(error)) if code(&error).is_some_and(|code| code == "57P03") => {
                    sign_of_life = Instant::now();
                    if told.elapsed() > Duration::from_secs(10) {
                        tracing::info!("Postgres is not ready yet: {error}");
                        told = Instant::now();
                    }
                }
                Ok(Err(error @ sqlx::Error::Database(_))) => return Err(error.into()),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        if !alive() {
            return Ok(None);
        }
        if sign_of_life.elapsed() > READY_LIMIT {
            let log = log_end(&layout.log, 0);
            return Err(LocalPostgresError::NotReady { seconds: READY_LIMIT.as_secs(), log });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Stops the server if it runs: in order at first, at once if that takes too long. Never `KILL`, which would
/// leave shared memory and children behind.
pub(super) async fn shut_down(layout: &Layout) -> Result<bool, LocalPostgresError> {
    let Some((PidFile { pid, .. }, _)) = running(&layout.pg) else {
        return Ok(false);
    };
    for name in ["INT", "QUIT"] {
        signal(pid, name);
        let asked = Instant::now();
        while asked.elapsed() < STOP_LIMIT {
            if !matches!(Process::of(pid, &layout.pg), Process::Ours(_)) {
                let _ = fs::remove_file(&layout.connection);
                return Ok(true);
            }
            tokio::time::sleep(POLL).await;
        }
        tracing::warn!(pid, "Postgres has not stopped after SIG{name}");
    }
    Err(LocalPostgresError::DidNotStop(pid))
}

/// The SQLSTATE of an answer from the server.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}

/// The last 20 lines of the log, as far as they lie behind `start`.
fn log_end(log: &Path, start: u64) -> String {
    let mut text = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(8192).max(start)))?;
        file.read_to_end(&mut text)
    });
    if let Err(error) = read {
        return format!("({}: {error})", log.display());
    }
    let text = String::from_utf8_lossy(&text);
    let mut lines: Vec<&str> = text.lines().rev().take(20).collect();
    lines.reverse();
    lines.join("\n")
}
