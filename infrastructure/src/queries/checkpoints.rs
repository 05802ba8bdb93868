//! How far the read models are.

use std::time::Duration;

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
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(2);
    loop {
        if position(pool, tenant, model).await? >= wanted {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
