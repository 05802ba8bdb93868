//! The database: where it is, its schema, and the pool everything shares.

pub mod local;
mod reach;
mod schema;
mod server_facts;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::MigrateError,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use self::local::{LocalPostgres, LocalPostgresError, LocalSettings};
pub use self::{
    reach::Reach,
    schema::{migrate, migrate_by},
    server_facts::{ServerFacts, make_anew, server_facts},
};

/// How long a connection may lie idle before it is asked whether it is alive.
const ASKED_AFTER: Duration = Duration::from_secs(1);

/// `insufficient_privilege`.
const DENIED: &str = "42501";

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Our own Postgres did not come up.
    #[error(transparent)]
    Local(#[from] LocalPostgresError),
    /// The server could not be reached, or refused.
    #[error("the database cannot be used: {0}")]
    Database(#[from] sqlx::Error),
    /// It is a standby, or was told to refuse changes.
    #[error("the database only reads, as a standby does; connect to the one that writes")]
    ReadOnly,
    /// The schema could not be brought up to date.
    #[error("the schema cannot be brought up to date: {0}")]
    Migration(#[from] MigrateError),
    /// Nobody has brought the schema up to date, and whoever only reads does not.
    #[error(
        "the schema lacks migration {missing}; a command that only reads does not change it: `onhand serve` of this release \
         brings it up to date"
    )]
    Behind {
        /// The first migration that is not there.
        missing: i64,
    },
    /// A newer release has taken away what this one needs.
    #[error(
        "this release is too old for the schema: it takes one that knows migration {needed}, and this one knows those up to \
         {known}"
    )]
    TooOld {
        /// The migration to know at least.
        needed: i64,
        /// The newest one known.
        known: i64,
    },
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

    /// Comes back when our own server has ended although nobody here has stopped it; never for any other server.
    pub async fn gone(&self) {
        match &self.local {
            Some(local) => local.gone().await,
            None => std::future::pending().await,
        }
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

/// The same for whoever only reads: the schema is looked at and left as it is, and an account that may not work under
/// `onhand_app` reads as far as it may itself.
pub async fn open_to_read(options: &PgConnectOptions, connections: u32) -> Result<PgPool, DatabaseError> {
    schema::look(options).await?;
    Ok(pooled(options, connections, false).await?)
}

/// What time it is by the database's clock.
pub(crate) async fn time(conn: &mut PgConnection) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar("select clock_timestamp()").fetch_one(conn).await
}

/// A pool on a database whose schema is up to date.
pub async fn pool(options: &PgConnectOptions, connections: u32) -> Result<PgPool, sqlx::Error> {
    pooled(options, connections, true).await
}

async fn pooled(options: &PgConnectOptions, connections: u32, writes: bool) -> Result<PgPool, sqlx::Error> {
    let options = options.clone().application_name("onhand").options([
        // A client that vanished must not hold the head of a ledger.
        ("idle_in_transaction_session_timeout", "15s"),
        ("statement_timeout", "60s"),
        // Statements are short and their estimates coarse: compiling one can take longer than it runs, with a ledger's head held.
        ("jit", "off"),
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
        .after_connect(move |conn, _| {
            Box::pin(async move {
                match sqlx::raw_sql("set role onhand_app").execute(conn).await {
                    Err(sqlx::Error::Database(error))
                        if !writes && error.code().as_deref() == Some(DENIED) =>
                    {
                        Ok(())
                    }
                    changed => changed.map(drop),
                }
            })
        })
        .connect_with(options)
        .await
}
