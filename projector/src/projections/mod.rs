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

use std::collections::BTreeMap;

use sqlx::{Connection, PgConnection, Postgres, postgres::PgArguments, query::Query};

/// So many new rows are worth a statement of their own.
const APART: usize = 32;

/// Inserts rows that are taken for new, without `on conflict`, which costs a third of what writing a row does. Gives what is still
/// to be written: the others, and all of them if one was known after all.
async fn without_new<K: Ord, V>(
    conn: &mut PgConnection,
    rows: BTreeMap<K, V>,
    is_new: impl Fn(&K, &V) -> bool,
    insert: impl for<'q> Fn(&'q BTreeMap<K, V>) -> Query<'q, Postgres, PgArguments>,
) -> Result<BTreeMap<K, V>, sqlx::Error> {
    let (new, mut others): (BTreeMap<K, V>, BTreeMap<K, V>) =
        rows.into_iter().partition(|(key, row)| is_new(key, row));
    if new.len() >= APART {
        let mut attempt = conn.begin().await?;
        match insert(&new).execute(&mut *attempt).await {
            Ok(_) => {
                attempt.commit().await?;
                return Ok(others);
            }
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => attempt.rollback().await?,
            Err(error) => return Err(error),
        }
    }
    others.extend(new);
    Ok(others)
}
