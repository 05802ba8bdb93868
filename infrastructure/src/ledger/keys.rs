//! The end of idempotency keys: kept for a day, then removed, a stretch of the table at a time.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

/// How long the answer to a request with a key is kept.
pub const KEYS_KEPT: TimeDelta = TimeDelta::hours(24);
/// Blocks looked through in one transaction: short enough to be in nobody's way.
const BLOCKS: i64 = 2_000;

/// Removes keys that are older than [`KEYS_KEPT`] at `now`. Says how many. Several may do so at once.
///
/// The table is walked block by block: an index by age would be paid for by every single command.
pub async fn prune_keys(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let (blocks,): (i64,) =
        sqlx::query_as("select pg_relation_size('idempotency_keys') / current_setting('block_size')::bigint")
            .fetch_one(pool)
            .await?;
    let mut removed = 0;
    let mut first = 0;
    while first < blocks {
        let done = sqlx::query(
            "delete from idempotency_keys
             where ctid >= $1::text::tid and ctid < $2::text::tid and created_at < $3",
        )
        .bind(format!("({first},0)"))
        .bind(format!("({},0)", first + BLOCKS))
        .bind(now - KEYS_KEPT)
        .execute(pool)
        .await?;
        removed += done.rows_affected();
        first += BLOCKS;
    }
    Ok(removed)
}
