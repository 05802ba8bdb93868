//! Work that one process at a time does, for all of the database: told by a lock that goes with its connection.

use sqlx::PgConnection;

/// Whether nobody else is at this work. Whoever is holds on to it until [`done`], or until its connection is closed.
pub(crate) async fn alone(conn: &mut PgConnection, work: &str) -> Result<bool, sqlx::Error> {
    let (alone,): (bool,) = sqlx::query_as("select pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(work)
        .fetch_one(conn)
        .await?;
    Ok(alone)
}

/// Lets others to it, at once: that a connection was closed the server notices a moment later.
pub(crate) async fn done(mut conn: PgConnection, work: &str) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_unlock(hashtextextended($1, 0))").bind(work).execute(&mut conn).await?;
    sqlx::Connection::close(conn).await
}
