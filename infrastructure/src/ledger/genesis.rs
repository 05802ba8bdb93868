//! How a ledger begins.

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use sqlx::PgPool;

use super::{LedgerError, entry::genesis_hash};

/// Makes a tenant with an empty ledger; a tenant of that name is returned as it is.
pub async fn create_tenant(
    pool: &PgPool,
    name: &str,
    fresh: TenantId,
    now: DateTime<Utc>,
) -> Result<TenantId, LedgerError> {
    let mut tx = pool.begin().await?;
    let (id,): (uuid::Uuid,) = sqlx::query_as(
        "insert into tenants (id, name, created_at) values ($1, $2, $3)
         on conflict (name) do update set name = excluded.name -- so that the row comes back either way
         returning id",
    )
    .bind(fresh.0)
    .bind(name)
    .bind(now)
    .fetch_one(&mut *tx)
    .await?;
    let tenant = TenantId(id);
    sqlx::query(
        "insert into ledger_heads (tenant_id, position, hash, recorded_at) values ($1, 0, $2, $3)
         on conflict (tenant_id) do nothing -- the ledger has begun already",
    )
    .bind(id)
    .bind(genesis_hash(tenant).as_slice())
    .bind(now)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(tenant)
}
