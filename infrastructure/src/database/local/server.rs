//! The local server as programs see it: started or adopted, shared, stopped, removed.
//! Each change to its life happens under one lock, so any number of programs may try at once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};

use super::account::Account;
use super::launch::{await_ready, code, launch, shut_down};
use super::postmaster::{Endpoint, PidFile, Process, running};
use super::settings::Layout;
use super::{LocalInfo, LocalPostgresError, LocalSettings, binaries, cluster, lock, obtain};

/// How often it is looked whether the server still runs.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A running local server, and this program's share in it.
///
/// Dropping it gives up the share and leaves the server running; [`stop`](Self::stop) also ends the server if
/// nobody else uses it.
#[derive(Debug)]
pub struct LocalPostgres {
    layout: Layout,
    endpoint: Endpoint,
    password: String,
    info: LocalInfo,
    started_here: bool,
    in_use: File,
}

impl LocalPostgres {
    /// Finds or starts the server of `settings.root`, making the cluster and fetching binaries if there are
    /// none.
    ///
    /// A server that already runs this cluster is adopted as it is; a killed one is started again and
    /// recovers.
    pub async fn start(settings: LocalSettings) -> Result<Self, LocalPostgresError> {
        let layout = Layout::of(&settings.root);
        cluster::make_root(&layout.root)?;
        // `run` and `pg` are common names; those of somebody else, say in `/var`, are not to be touched.
        if (layout.run.exists() || layout.pg.exists()) && !layout.in_use.is_file() {
            return Err(LocalPostgresError::NotOurs(layout.root));
        }
        let lock = lock::exclusive(&layout.lock).await?;
        let in_use = lock::shared(&layout.in_use)?;
        while let Some((file, _)) = running(&layout.pg) {
            let password = cluster::password(&layout)?;
            let alive = || matches!(Process::of(file.pid, &layout.pg), Process::Ours(_));
            if let Some((file, endpoint)) = await_ready(&layout, file.pid, &password, alive).await? {
                let info = describe(&layout, &file, &endpoint);
                tracing::info!(pid = file.pid, "using the Postgres that already runs");
                return Ok(Self { layout, endpoint, password, info, started_here: false, in_use });
            }
        }
        let major = cluster::major(&layout.pg);
        let account = Account::for_server(settings.run_as.as_deref(), &layout.pg)?;
        let binaries = match binaries::installed(&settings, &layout.downloads, major, account.as_ref())? {
            Some(binaries) => binaries,
            None => obtain::obtain(&settings, &layout, major).await?,
        };
        // Asked again, because the package brings the account `postgres`.
        let account = Account::for_server(settings.run_as.as_deref(), &layout.pg)?;
        for folder in [&layout.root, &binaries.dir] {
            account.as_ref().map_or(Ok(()), |account| account.reach(folder))?;
        }
        cluster::make_private(&layout.run, account.as_ref())?;
        if major.is_none() {
            tracing::info!(version = binaries.version, folder = %layout.pg.display(), "making a cluster");
            cluster::initialise(&layout, &binaries, account.as_ref(), settings.durable, &lock).await?;
        }
        let password = cluster::password(&layout)?;
        let (file, endpoint) = launch(&layout, &settings, &binaries, account.as_ref(), &password).await?;
        let info = LocalInfo {
            version: binaries.version,
            bin_dir: binaries.dir,
            found: binaries.found,
            ..describe(&layout, &file, &endpoint)
        };
        cluster::write_private(&layout.connection, &serde_json::to_string_pretty(&info).unwrap_or_default())?;
        tracing::info!(pid = info.pid, version = info.version, "Postgres started");
        Ok(Self { layout, endpoint, password, info, started_here: true, in_use })
    }

    /// How to connect to `database` as the superuser.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        self.endpoint.options(&self.password, database)
    }

    /// The same as a URL that `psql` and sqlx understand; holds the password.
    pub fn url(&self, database: &str) -> String {
        self.endpoint.url(&self.password, database)
    }

    /// Whether this value started the server, rather than finding it.
    pub fn started_here(&self) -> bool {
        self.started_here
    }

    /// What there is to know about the server.
    pub fn info(&self) -> LocalInfo {
        self.info.clone()
    }

    /// Makes a database unless there is one of that name.
    pub async fn create_database(&self, name: &str) -> Result<(), LocalPostgresError> {
        let first = name.starts_with(|first: char| first == '_' || first.is_ascii_lowercase());
        let rest = |next: char| next == '_' || next.is_ascii_lowercase() || next.is_ascii_digit();
        if !first || !name.chars().all(rest) || name.len() > 63 {
            return Err(LocalPostgresError::DatabaseName(name.to_owned()));
        }
        let mut conn = PgConnection::connect_with(&self.connect_options("postgres")).await?;
        let there = sqlx::query("select 1 from pg_database where datname = $1").bind(name);
        if there.fetch_optional(&mut conn).await?.is_some() {
            return Ok(());
        }
        // The name is checked above, so the text is safe; `create database` takes no parameters.
        match sqlx::raw_sql(AssertSqlSafe(format!("create database \"{name}\""))).execute(&mut conn).await {
            // Made by somebody else in the same moment.
            Err(error) if !code(&error).is_some_and(|code| code == "42P04" || code == "23505") => {
                Err(error.into())
            }
            _ => Ok(()),
        }
    }

    /// Comes back once the server does not run any more, or runs where nobody here looks for it. Whoever starts it again in the
    /// same place within a moment goes unnoticed.
    pub async fn gone(&self) {
        let mut missed = 0;
        while missed < 2 {
            tokio::time::sleep(LOOK_EVERY).await;
            let here = |(file, _): (PidFile, PathBuf)| file.endpoint.is_none_or(|at| at == self.endpoint);
            missed = if running(&self.layout.pg).is_some_and(here) { 0 } else { missed + 1 };
        }
    }

    /// Gives up this program's share and, if it was the last, stops the server; returns when it has ended.
    ///
    /// Close the pools first: what is connected is disconnected.
    pub async fn stop(self) -> Result<(), LocalPostgresError> {
        let _lock = lock::exclusive(&self.layout.lock).await?;
        if lock::release_last(&self.in_use) {
            shut_down(&self.layout).await?;
        } else {
            tracing::debug!("another program uses Postgres; leaving it running");
        }
        Ok(())
    }
}

/// The server that runs in `settings.root`, if one does; starts nothing and makes nothing.
pub async fn status(settings: &LocalSettings) -> Result<Option<LocalInfo>, LocalPostgresError> {
    let layout = Layout::of(&settings.root);
    let found = running(&layout.pg);
    Ok(found.and_then(|(file, _)| file.endpoint.as_ref().map(|endpoint| describe(&layout, &file, endpoint))))
}

/// Stops the server in `settings.root`, whoever uses it, and tells whether there was one.
pub async fn stop(settings: &LocalSettings) -> Result<bool, LocalPostgresError> {
    let layout = Layout::of(&settings.root);
    if !layout.root.is_dir() {
        return Ok(false);
    }
    let _lock = lock::exclusive(&layout.lock).await?;
    shut_down(&layout).await
}

/// Stops the server and removes the cluster with all its data, and tells whether there was one; downloaded binaries and the
/// locks stay.
///
/// Removes only what this module makes, and nothing at all from a folder this module has never used, or while a program uses
/// the server.
pub async fn reset(settings: &LocalSettings) -> Result<bool, LocalPostgresError> {
    let layout = Layout::of(&settings.root);
    if fs::read_dir(&layout.root).map_or(true, |mut entries| entries.next().is_none()) {
        return Ok(false);
    }
    if !layout.in_use.is_file() {
        return Err(LocalPostgresError::NotOurs(layout.root));
    }
    let _lock = lock::exclusive(&layout.lock).await?;
    if !lock::is_free(&layout.in_use)? {
        return Err(LocalPostgresError::InUse(layout.root));
    }
    shut_down(&layout).await?;
    let was_there = layout.pg.exists();
    // The password goes after the cluster it opens, should we be interrupted.
    let (unfinished, rotated) = (layout.root.join("pg.tmp"), layout.log.with_extension("log.1"));
    let unfinished_password = layout.root.join("pg.tmp.pass");
    for path in
        [&layout.pg, &unfinished, &layout.run, &layout.log, &rotated, &unfinished_password, &layout.password]
    {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LocalPostgresError::io("remove", path)(error));
            }
            _ => {}
        }
    }
    Ok(was_there)
}

/// A `psql` for the running server, ready to be run; the password is in its environment, not on its command
/// line.
pub fn psql(
    settings: &LocalSettings,
    database: &str,
    args: &[String],
) -> Result<Command, LocalPostgresError> {
    let layout = Layout::of(&settings.root);
    let (file, _) = running(&layout.pg).ok_or(LocalPostgresError::NotRunning)?;
    let endpoint = file.endpoint.as_ref().ok_or(LocalPostgresError::NotRunning)?;
    let beside = describe(&layout, &file, endpoint).bin_dir.join("psql");
    let mut command = Command::new(if beside.is_file() { beside.as_path() } else { Path::new("psql") });
    match endpoint {
        Endpoint::Socket(folder, number) => command.env("PGHOST", folder).env("PGPORT", number.to_string()),
        Endpoint::Tcp(port) => command.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()),
    };
    command.env("PGUSER", cluster::SUPERUSER).env("PGPASSWORD", cluster::password(&layout)?);
    command
        .env("PGDATABASE", database)
        .env_remove("PGSERVICE")
        .env_remove("PGHOSTADDR")
        .env_remove("PGOPTIONS");
    command.args(args);
    Ok(command)
}

/// What is known about a running server: from `connection.json` if that tells of the same process.
fn describe(layout: &Layout, file: &PidFile, endpoint: &Endpoint) -> LocalInfo {
    let noted = fs::read_to_string(&layout.connection).ok();
    let noted = noted.and_then(|text| serde_json::from_str::<LocalInfo>(&text).ok());
    if let Some(noted) = noted.filter(|noted| noted.pid == file.pid && noted.data_dir == layout.pg) {
        return noted;
    }
    let bin_dir = match Process::of(file.pid, &layout.pg) {
        Process::Ours(program) => program.parent().map(Path::to_owned).unwrap_or_default(),
        Process::Other | Process::Gone => PathBuf::new(),
    };
    let (socket_dir, port) = match endpoint {
        Endpoint::Socket(folder, number) => (Some(folder.clone()), *number),
        Endpoint::Tcp(port) => (None, *port),
    };
    let (version, found) = ("unknown".to_owned(), "already running".to_owned());
    LocalInfo { version, bin_dir, found, data_dir: layout.pg.clone(), socket_dir, port, pid: file.pid }
}
