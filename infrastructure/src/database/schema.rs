//! The schema, brought up to date by every process at its start, while others are at work with it: of this release, and of
//! the one before.

use std::{sync::LazyLock, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection,
    migrate::{Migrate, MigrateError, Migration, Migrator},
    postgres::PgConnectOptions,
};
use uuid::Uuid;

use super::DatabaseError;

/// How long a change of the schema waits for a lock, and with it all who want the table later.
const LOCK_TIMEOUT: &str = "250ms";
/// Every so many attempts it waits for longer, see [`outwait_autovacuum`].
const PATIENT_EVERY: u32 = 4;
/// How long the table is then left to them, and up to how much longer, in milliseconds.
const LOCK_PAUSE_MS: u64 = 3_000;
const LOCK_PAUSE_MORE_MS: u64 = 2_000;

/// Finds the name of the index and its table in a statement that makes one beside writers.
const INDEX_MADE: &str = r"create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?(\w+)\s+on\s+(?:only\s+)?([\w.]+)";

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../migrations");
    // A newer release may have been here: what it has done leaves this one working, or says that it does not.
    migrations.set_ignore_missing(true);
    migrations
});

/// Brings the schema up to date, over connections of its own. Safe to run from several processes at once.
///
/// Whoever changes a table waits for those who are at it, and all who come later wait behind him: so he does not wait for
/// long, and tries again until he finds it free.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), DatabaseError> {
    migrate_by(options, &MIGRATIONS).await
}

/// The same by these migrations.
pub async fn migrate_by(options: &PgConnectOptions, migrations: &Migrator) -> Result<(), DatabaseError> {
    let options = options.clone().options([("lock_timeout", LOCK_TIMEOUT)]);
    let mut attempt = 0_u32;
    loop {
        attempt = attempt.wrapping_add(1);
        let mut conn = PgConnection::connect_with(&options).await?;
        if attempt.is_multiple_of(PATIENT_EVERY) {
            outwait_autovacuum(&mut conn).await?;
        }
        let reads_only = "select pg_is_in_recovery() or current_setting('transaction_read_only') = 'on'";
        if sqlx::query_scalar(reads_only).fetch_one(&mut conn).await? {
            return Err(DatabaseError::ReadOnly);
        }
        let done = run(&mut conn, migrations).await;
        match done {
            Ok(()) => return Ok(conn.close().await?),
            Err(error) if is_locked(&error) => {
                tracing::warn!(%error, "the schema cannot be brought up to date while others are at it; trying again");
                let more = Uuid::now_v7().as_u64_pair().1 % LOCK_PAUSE_MORE_MS;
                // Before the connection goes and the migrator's lock with it: of several that start, nobody else takes the
                // table meanwhile.
                tokio::time::sleep(Duration::from_millis(LOCK_PAUSE_MS + more)).await;
                let _ = conn.close().await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Looks whether the schema has all that this release knows of, and changes nothing.
pub(super) async fn look(options: &PgConnectOptions) -> Result<(), DatabaseError> {
    let mut conn = PgConnection::connect_with(options).await?;
    let (is_made,): (bool,) =
        sqlx::query_as("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut conn).await?;
    let done: Vec<(i64,)> = if is_made {
        sqlx::query_as("select version from _sqlx_migrations where success").fetch_all(&mut conn).await?
    } else {
        vec![]
    };
    let lacks = |version: &i64| !done.contains(&(*version,));
    if let Some(missing) = MIGRATIONS.iter().map(|migration| migration.version).filter(lacks).min() {
        return Err(DatabaseError::Behind { missing });
    }
    refuse_if_too_old(&mut conn, &MIGRATIONS).await?;
    Ok(conn.close().await?)
}

/// An autovacuum that is at a table gives way only to those who have waited for as long as the server takes to suspect a
/// deadlock; and it may be at it for hours.
async fn outwait_autovacuum(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "select set_config('lock_timeout', (setting::int + 250)::text, false)
         from pg_settings where name = 'deadlock_timeout' -- both in milliseconds",
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn run(conn: &mut PgConnection, migrations: &Migrator) -> Result<(), DatabaseError> {
    // Had for all of it: whoever has to wait for it does so with the time limit.
    conn.lock().await?;
    for migration in migrations.iter().filter(|migration| migration.no_tx) {
        migrations.run_to(migration.version - 1, &mut *conn).await?;
        run_beside_writers(conn, migrations, migration).await?;
    }
    migrations.run(&mut *conn).await?;
    refuse_if_too_old(conn, migrations).await
}

/// Runs a migration that is no transaction, such as `create index concurrently`. It waits for every transaction that is
/// open and keeps nobody waiting, so it has all the time it takes.
async fn run_beside_writers(
    conn: &mut PgConnection,
    migrations: &Migrator,
    migration: &Migration,
) -> Result<(), DatabaseError> {
    let (is_done,): (bool,) =
        sqlx::query_as("select exists (select from _sqlx_migrations where version = $1)")
            .bind(migration.version)
            .fetch_one(&mut *conn)
            .await?;
    if is_done {
        return Ok(());
    }
    sqlx::raw_sql("set lock_timeout = 0").execute(&mut *conn).await?;
    // Broken off, it leaves an index that is in the way: half made and of no use, or whole and not on record.
    let left: Vec<(String,)> = sqlx::query_as(
        "select i.indexrelid::regclass::text
         from regexp_match($1, $2, 'i') as made
         join pg_class c on c.relname = lower(made[1])
         join pg_index i on i.indexrelid = c.oid and i.indrelid = to_regclass(made[2])",
    )
    .bind(migration.sql.as_str())
    .bind(INDEX_MADE)
    .fetch_all(&mut *conn)
    .await?;
    for (index,) in left {
        let drop = format!("drop index concurrently {index}");
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *conn).await?;
    }
    migrations.run_to(migration.version, &mut *conn).await?;
    sqlx::raw_sql("reset lock_timeout").execute(conn).await?;
    Ok(())
}

/// A migration that takes away what earlier releases need names the one that a program has to know.
async fn refuse_if_too_old(conn: &mut PgConnection, migrations: &Migrator) -> Result<(), DatabaseError> {
    let (needed,): (Option<i64>,) = sqlx::query_as(
        "select max(substring(description from '^contract ([0-9]{1,9}) ')::bigint) from _sqlx_migrations",
    )
    .fetch_one(conn)
    .await?;
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
    match needed {
        Some(needed) if needed > known => Err(DatabaseError::TooOld { needed, known }),
        _ => Ok(()),
    }
}

/// Whether a lock was waited for in vain, or was given up for somebody else.
fn is_locked(error: &DatabaseError) -> bool {
    let error = match error {
        DatabaseError::Database(error)
        | DatabaseError::Migration(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            error
        }
        _ => return false,
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}
