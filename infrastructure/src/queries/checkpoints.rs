//! How far the read models are.

use std::time::Duration;

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use sqlx::PgPool;
use tokio::time::Instant;

/// How far a read model is; 0 if it has not begun.
pub async fn position(pool: &PgPool, tenant: TenantId, model: &str) -> Result<i64, sqlx::Error> {
    let found: Option<(i64,)> =
        sqlx::query_as("select position from checkpoints where tenant_id = $1 and model = $2")
            .bind(tenant.0)
            .bind(model)
            .fetch_optional(pool)
            .await?;
    Ok(found.map_or(0, |(position,)| position))
}

/// Waits until a read model has reached a position. False if it has not in time.
pub async fn reached(
    pool: &PgPool,
    tenant: TenantId,
    model: &str,
    wanted: i64,
    patience: Duration,
) -> Result<bool, sqlx::Error> {
    let mut patience = Patience::of(patience);
    loop {
        let far_enough = position(pool, tenant, model).await? >= wanted;
        if far_enough || !patience.is_left().await {
            return Ok(far_enough);
        }
    }
}

/// Looking again and again, at first at once and then less often, until a time.
struct Patience {
    deadline: Instant,
    pause: Duration,
}

impl Patience {
    fn of(patience: Duration) -> Self {
        Self { deadline: Instant::now() + patience, pause: Duration::from_millis(2) }
    }

    /// Waits a little. False if it has come to its end.
    async fn is_left(&mut self) -> bool {
        if Instant::now() >= self.deadline {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_millis(50));
        true
    }
}

/// Entries that are looked through for one that moves stock; a read model that is further behind is waited for.
const LOOKED_THROUGH_MAX: i64 = 20_000;

/// Up to where the stock levels tell the truth, no further than `wanted`: where they are, or as far beyond it as nothing has
/// moved stock. Waits for them if they are not far enough.
pub async fn stock_known_to(
    pool: &PgPool,
    tenant: TenantId,
    wanted: i64,
    patience: Duration,
) -> Result<i64, sqlx::Error> {
    let mut patience = Patience::of(patience);
    loop {
        let known = stock_known(pool, tenant, wanted).await?;
        if known >= wanted || !patience.is_left().await {
            return Ok(known);
        }
    }
}

/// When an entry was recorded; none before the first.
pub async fn recorded_at(
    pool: &PgPool,
    tenant: TenantId,
    position: i64,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar("select recorded_at from events where tenant_id = $1 and position = $2")
        .bind(tenant.0)
        .bind(position)
        .fetch_optional(pool)
        .await
}

async fn stock_known(pool: &PgPool, tenant: TenantId, wanted: i64) -> Result<i64, sqlx::Error> {
    let (known,): (i64,) = sqlx::query_as(
        "with levels as (
             select coalesce((select position from checkpoints
                              where tenant_id = $1 and model = 'stock_levels'), 0) as position
         )
         select case
             when position >= $2 then position
             when position < $2 - $3 then position
             when exists (select from events e -- by position, up to the first that is found
                          where e.tenant_id = $1 and e.position > levels.position and e.position <= $2
                            and e.name like 'stock.%') then position
             else $2 end
         from levels",
    )
    .bind(tenant.0)
    .bind(wanted)
    .bind(LOOKED_THROUGH_MAX)
    .fetch_one(pool)
    .await?;
    Ok(known)
}
