//! By which code and for which schema rows were made. What another one has begun is begun anew: its rows may be made otherwise.

use sqlx::PgConnection;

/// The version, and a hash of the sources from which rows follow (`build.rs`): a fold that was mended is another program.
const CODE: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("ONHAND_SOURCES"));

/// This program on this schema. A migration may have changed the twins under rows that were made before it.
pub(super) async fn program(conn: &mut PgConnection) -> Result<String, sqlx::Error> {
    let (schema,): (i64,) =
        sqlx::query_as("select coalesce(max(version), 0) from _sqlx_migrations").fetch_one(conn).await?;
    Ok(format!("{CODE} {schema}"))
}
