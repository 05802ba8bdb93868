//! Monitors: which models are watched, and how.

use onhand_domain::values::TenantId;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window};

/// A monitor as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct MonitorView {
    pub id: Uuid,
    pub connection_id: Uuid,
    pub style_code: String,
    pub kind: String,
    pub frequency_minutes: i32,
    pub markets: Vec<String>,
    pub threshold_percent: f64,
    pub enabled: bool,
}

/// A tenant's monitors, by id.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    connection: Option<Uuid>,
) -> Result<Page<MonitorView>, QueryError> {
    let rows = sqlx::query_as(
        "select m.id, m.connection_id, m.style_code, m.kind, m.frequency_minutes, m.markets,
                m.threshold_basis_points::double precision / 100 as threshold_percent, m.enabled
         from monitors m
         where m.tenant_id = $1 and ($2::uuid is null or m.connection_id = $2) and ($3::uuid is null or m.id > $3)
           and ($4::text is null or exists (select from connections c
                where c.tenant_id = $1 and c.id = m.connection_id and c.brand = $4))
         order by m.id limit $5",
    )
    .bind(window.tenant.0)
    .bind(connection)
    .bind(window.after::<Uuid>()?)
    .bind(&window.brand)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &MonitorView| row.id))
}

/// How many monitors a tenant has, or one of its brands, and how many of them are on.
pub async fn count(pool: &PgPool, tenant: TenantId, brand: Option<&str>) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        "select count(*), count(*) filter (where m.enabled) from monitors m
         where m.tenant_id = $1 and ($2::text is null or exists (select from connections c
               where c.tenant_id = $1 and c.id = m.connection_id and c.brand = $2))",
    )
    .bind(tenant.0)
    .bind(brand)
    .fetch_one(pool)
    .await
}
