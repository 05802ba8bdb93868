//! What a server says of itself, and a database made anew on it: for `onhand db info` and `onhand demo`.

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ServerFacts {
    /// Such as `15.18`.
    pub version: String,
    /// Whether what is committed is on disk.
    pub durable: bool,
    /// The database that was asked.
    pub database: String,
    /// The account that asked.
    pub account: String,
}

/// Asks a server about itself.
pub async fn server_facts(options: &PgConnectOptions) -> Result<ServerFacts, sqlx::Error> {
    let mut conn = PgConnection::connect_with(options).await?;
    let facts = sqlx::query_as(
        "select split_part(current_setting('server_version'), ' ', 1) as version,
                current_setting('fsync') = 'on' and current_setting('synchronous_commit') <> 'off' as durable,
                current_database()::text as database, current_user::text as account",
    )
    .fetch_one(&mut conn)
    .await?;
    conn.close().await?;
    Ok(facts)
}

/// Drops a database of this name, if there is one that no onhand uses, and makes it anew. `None` if one is used.
///
/// The name must be plain: small letters, digits and underscores.
pub async fn make_anew(
    options: &PgConnectOptions,
    name: &'static str,
) -> Result<Option<PgConnectOptions>, sqlx::Error> {
    // Nobody can drop the database they are connected to.
    let beside = if options.get_database() == Some(name) {
        options.clone().database("postgres")
    } else {
        options.clone()
    };
    let mut conn = PgConnection::connect_with(&beside).await?;
    let (used,): (bool,) = sqlx::query_as(
        "select exists (select from pg_stat_activity where datname = $1 and application_name = 'onhand')",
    )
    .bind(name)
    .fetch_one(&mut conn)
    .await?;
    if used {
        return Ok(None);
    }
    // Neither takes parameters; the name is a constant of the program. A forgotten psql does not stand in the way.
    for sql in [format!("drop database if exists {name} with (force)"), format!("create database {name}")] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await?;
    }
    conn.close().await?;
    Ok(Some(options.clone().database(name)))
}
