//! Tenants, for the programs on the command line.

use onhand_domain::values::TenantId;
use sqlx::PgPool;
use uuid::Uuid;

/// Every tenant, by name.
pub async fn all(pool: &PgPool) -> Result<Vec<(TenantId, String)>, sqlx::Error> {
    let rows: Vec<(Uuid, String)> =
        sqlx::query_as("select id, name from tenants order by name").fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(id, name)| (TenantId(id), name)).collect())
}
