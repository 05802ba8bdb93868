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

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, Postgres, postgres::PgArguments, query::Query};

/// So many new rows are worth a statement of their own.
const APART: usize = 32;
/// So many new rows, or shelves, are written by one statement, where others are waiting for a turn.
const AT_ONCE: usize = 400;

/// Where a disk is so slow that writing takes longer, a pause helps nobody.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Inserts rows that are taken for new, without `on conflict`, which costs a third of what writing a row does. Gives what is still
/// to be written: the others, and all of them if one was known after all.
async fn without_new<K: Ord, V>(
    conn: &mut PgConnection,
    (rows, gently): (BTreeMap<K, V>, bool),
    is_new: impl Fn(&K, &V) -> bool,
    insert: impl for<'q> Fn(&'q [(K, V)]) -> Query<'q, Postgres, PgArguments>,
) -> Result<Vec<(K, V)>, sqlx::Error> {
    let (new, mut others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(key, row)| is_new(key, row));
    if new.len() >= APART {
        let mut attempt = conn.begin().await?;
        match in_turns(&mut attempt, (&new, gently), insert).await {
            Ok(()) => {
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

/// Writes rows. `gently`, so many at a time, and then nothing for half as long as that took: in one go they keep a processor for tens of
/// milliseconds, and whoever appends waits for it.
async fn in_turns<R>(
    conn: &mut PgConnection,
    (rows, gently): (&[R], bool),
    write: impl for<'q> Fn(&'q [R]) -> Query<'q, Postgres, PgArguments>,
) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(if gently { AT_ONCE } else { usize::MAX }) {
        let begun = Instant::now();
        write(rows).execute(&mut *conn).await?;
        if rows.len() == AT_ONCE && gently {
            tokio::time::sleep((begun.elapsed() / 2).min(PAUSE_MAX)).await;
        }
    }
    Ok(())
}
