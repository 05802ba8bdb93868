//! The database: where it is, its schema, and the pool everything shares.

pub mod local;
mod server_facts;

use std::time::Duration;

use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use self::local::{LocalPostgres, LocalPostgresError, LocalSettings};
pub use self::server_facts::{ServerFacts, make_anew, server_facts};

/// How long a connection may lie idle before it is asked whether it is alive.
const ASKED_AFTER: Duration = Duration::from_secs(1);

/// How long a change of the schema waits for a lock, and with it all who want the table later.
const LOCK_TIMEOUT: &str = "2s";
/// How long the table is then left to them.
const LOCK_PAUSE: Duration = Duration::from_secs(1);

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Our own Postgres did not come up.
    #[error(transparent)]
    Local(#[from] LocalPostgresError),
    /// The server could not be reached, or refused.
    #[error("the database cannot be used: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the schema cannot be brought up to date: {0}")]
    Migration(#[from] MigrateError),
}

/// A server to connect to, and ours to stop if it is ours.
pub struct Server {
    options: PgConnectOptions,
    local: Option<LocalPostgres>,
}

impl Server {
    /// The server at `url`, or one of our own with a database of this name.
    pub async fn start(
        url: Option<&str>,
        local: LocalSettings,
        database: &str,
    ) -> Result<Self, DatabaseError> {
        if let Some(url) = url {
            return Ok(Self { options: url.parse::<PgConnectOptions>()?, local: None });
        }
        let local = LocalPostgres::start(local).await?;
        local.create_database(database).await?;
        Ok(Self { options: local.connect_options(database), local: Some(local) })
    }

    /// How to connect to it.
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Our own server, if it is ours.
    pub fn local(&self) -> Option<&LocalPostgres> {
        self.local.as_ref()
    }

    /// Stops our own server, unless another program uses it; leaves any other alone.
    pub async fn stop(self) -> Result<(), DatabaseError> {
        match self.local {
            Some(local) => Ok(local.stop().await?),
            None => Ok(()),
        }
    }
}

/// Brings the schema up to date and opens a pool whose connections work under the role `onhand_app`,
/// which may add to history but not change it.
pub async fn open(options: &PgConnectOptions, connections: u32) -> Result<PgPool, DatabaseError> {
    migrate(options).await?;
    Ok(pool(options, connections).await?)
}

/// Brings the schema up to date, over connections of its own. Safe to run from several processes at once.
///
/// Whoever changes a table waits for those who are at it, and all who come later wait behind him: so he does not wait for
/// long, and tries again until he finds it free.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), DatabaseError> {
    let options = options.clone().options([("lock_timeout", LOCK_TIMEOUT)]);
    loop {
        let mut conn = PgConnection::connect_with(&options).await?;
        let done = MIGRATIONS.run(&mut conn).await;
        // The migrator's own lock goes with its connection.
        let closed = conn.close().await;
        match done {
            Ok(()) => return Ok(closed?),
            Err(error) if is_locked(&error) => {
                tracing::warn!(%error, "the schema cannot be brought up to date while others are at it; trying again");
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether a lock was waited for in vain.
fn is_locked(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03")
}

/// A pool on a database whose schema is up to date.
pub async fn pool(options: &PgConnectOptions, connections: u32) -> Result<PgPool, sqlx::Error> {
    let options = options.clone().application_name("onhand").options([
        // A client that vanished must not hold the head of a ledger.
        ("idle_in_transaction_session_timeout", "15s"),
        ("statement_timeout", "60s"),
        // Nor may one that vanished without a word keep its locks until the server's system notices, hours later. Over a
        // socket of the same machine these say nothing.
        ("tcp_keepalives_idle", "30"),
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "3"),
    ]);
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        // A ping before every use would double the round trips; a dead connection shows itself anyway.
        .test_before_acquire(false)
        // But one that has lain idle may have lost its server: it is asked, and thrown away if it is dead.
        .before_acquire(|conn, idle| {
            Box::pin(async move { Ok(idle.idle_for < ASKED_AFTER || conn.ping().await.is_ok()) })
        })
        .after_connect(|conn, _| {
            Box::pin(async move {
                sqlx::raw_sql("set role onhand_app").execute(conn).await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await
}
