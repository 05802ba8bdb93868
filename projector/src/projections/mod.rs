//! One file a read model, named after its table.

pub mod api_keys;
pub mod connections;
pub mod deliveries;
pub mod flags;
pub mod listings;
pub mod locations;
pub mod monitors;
pub mod products;
pub mod reservations;
pub mod stock_levels;

use sqlx::{Connection, PgConnection, Postgres, postgres::PgArguments, query::Query};

/// So many new rows are worth a statement of their own.
const APART: usize = 32;

/// Inserts rows that are taken for new, without `on conflict`, which costs a third of what writing a row does. False, and nothing
/// written, if one of them is not.
async fn inserted(
    conn: &mut PgConnection,
    rows: Query<'_, Postgres, PgArguments>,
) -> Result<bool, sqlx::Error> {
    let mut attempt = conn.begin().await?;
    match rows.execute(&mut *attempt).await {
        Ok(_) => attempt.commit().await.map(|()| true),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            attempt.rollback().await.map(|()| false)
        }
        Err(error) => Err(error),
    }
}
