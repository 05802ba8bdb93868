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

/// Fewer rows are not worth a statement of their own.
const MANY: usize = 32;

/// Inserts rows that are new as a rule. False, and nothing written, if one of them is not.
///
/// `on conflict` costs a third of what writing a row does, and hardly ever finds one.
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
