//! Tenants, for the programs on the command line and for those who say that they belong to one.

use onhand_domain::values::TenantId;
use sqlx::PgPool;
use uuid::Uuid;

/// Every tenant, by name.
pub async fn all(pool: &PgPool) -> Result<Vec<(TenantId, String)>, sqlx::Error> {
    let rows: Vec<(Uuid, String)> =
        sqlx::query_as("select id, name from tenants order by name").fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(id, name)| (TenantId(id), name)).collect())
}

/// Whether there is such a tenant.
pub async fn exists(pool: &PgPool, tenant: TenantId) -> Result<bool, sqlx::Error> {
    let query = "select exists (select from tenants where id = $1) -- tenants_pkey";
    let (exists,): (bool,) = sqlx::query_as(query).bind(tenant.0).fetch_one(pool).await?;
    Ok(exists)
}

/// Whoever has a ledger or a part of one, also where the row of the tenant is gone; with the name where it is not. Those
/// without come last.
pub async fn with_ledgers(pool: &PgPool) -> Result<Vec<(TenantId, Option<String>)>, sqlx::Error> {
    let rows: Vec<(Uuid, Option<String>)> = sqlx::query_as(
        "with recursive found (id) as (
             (select tenant_id from events order by tenant_id limit 1)
             union all
             -- From one tenant to the next along the primary key, over all of the entries in between.
             select (select e.tenant_id from events e where e.tenant_id > f.id order by e.tenant_id limit 1)
             from found f where f.id is not null
         )
         select l.id, t.name
         from (select id from tenants
               union select tenant_id from ledger_heads
               union select id from found where id is not null) l
         left join tenants t on t.id = l.id
         order by t.name, l.id",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(id, name)| (TenantId(id), name)).collect())
}
