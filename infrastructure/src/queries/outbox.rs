//! The outbox as an operator sees it.

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::values::TenantId;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window, one_of};

/// Where a command may be, as the table has it.
const STATUSES: [&str; 5] = ["pending", "leased", "done", "dead", "superseded"];

/// A command as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct OutboxView {
    pub id: Uuid,
    pub connection_id: Uuid,
    pub listing_id: Uuid,
    pub product_id: Option<Uuid>,
    pub kind: String,
    pub status: String,
    pub position: i64,
    pub correlation_id: Option<String>,
    pub attempts: i32,
    pub next_attempt_at: DateTime<Utc>,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// What the outbox is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct OutboxFilter {
    /// `pending`, `leased`, `done`, `dead` or `superseded`.
    pub status: Option<String>,
    /// One connection.
    pub connection: Option<Uuid>,
}

/// A tenant's commands, newest first.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &OutboxFilter,
) -> Result<Page<OutboxView>, QueryError> {
    one_of("status", filter.status.as_deref(), &STATUSES)?;
    let (created_at, id) = window.after::<(DateTime<Utc>, Uuid)>()?.unzip();
    let rows = sqlx::query_as(
        "select o.id, o.connection_id, o.listing_id, o.product_id, o.kind, o.status, o.position,
                o.correlation_id, o.attempts, o.next_attempt_at, o.last_error, o.created_at, o.finished_at
         from outbox o
         where o.tenant_id = $1
           and ($2::text is null or exists (select from connections c
                where c.tenant_id = $1 and c.id = o.connection_id and c.brand = $2))
           and ($3::timestamptz is null or (o.created_at, o.id) < ($3, $4))
           and ($5::text is null or o.status = $5) and ($6::uuid is null or o.connection_id = $6)
         order by o.created_at desc, o.id desc limit $7",
    )
    .bind(window.tenant.0)
    .bind(&window.brand)
    .bind(created_at)
    .bind(id)
    .bind(&filter.status)
    .bind(filter.connection)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &OutboxView| (row.created_at, row.id)))
}

/// Commands of a tenant that are neither done nor given up.
pub async fn open(pool: &PgPool, tenant: TenantId) -> Result<i64, sqlx::Error> {
    let (count,): (i64,) = sqlx::query_as(
        "select (select count(*) from outbox where tenant_id = $1 and status = 'pending')
              + (select count(*) from outbox where tenant_id = $1 and status = 'leased')",
    )
    .bind(tenant.0)
    .fetch_one(pool)
    .await?;
    Ok(count)
}

/// Which pushes that were given up are meant; all of them, where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct DeadFilter {
    /// These.
    pub ids: Option<Vec<Uuid>>,
    /// `quantity`, `price` or `content`.
    pub kind: Option<String>,
    /// Of one brand.
    pub brand: Option<String>,
    /// Of one platform.
    pub platform: Option<String>,
    /// Of one connection.
    pub connection: Option<Uuid>,
    /// Given up at least so many seconds ago.
    pub older_than_seconds: Option<i64>,
}

/// A push that was given up.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct DeadPush {
    pub id: Uuid,
    pub connection_id: Uuid,
    pub platform: String,
    pub brand: String,
    pub listing_id: Uuid,
    pub product_id: Option<Uuid>,
    pub sku: Option<String>,
    pub kind: String,
    pub correlation_id: Option<String>,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// Pushes that were given up and not taken up again, the first first.
pub async fn dead(
    pool: &PgPool,
    tenant: TenantId,
    (brand, filter): (Option<&str>, &DeadFilter),
    (now, limit): (DateTime<Utc>, i64),
) -> Result<Vec<DeadPush>, sqlx::Error> {
    sqlx::query_as(
        "select o.id, o.connection_id, c.platform, c.brand, o.listing_id, o.product_id, v.sku, o.kind,
                o.correlation_id, o.attempts, o.last_error, o.created_at, o.finished_at
         from outbox o -- outbox_dead_idx
         join connections c on c.tenant_id = o.tenant_id and c.id = o.connection_id
         left join listings l on l.tenant_id = o.tenant_id and l.id = o.listing_id
         left join variants v on v.tenant_id = l.tenant_id and v.id = l.variant_id
         where o.tenant_id = $1 and o.status = 'dead' and ($2::text is null or c.brand = $2)
           and ($3::uuid[] is null or o.id = any($3))
           and ($4::text is null or o.kind = $4) and ($5::text is null or c.brand = $5)
           and ($6::text is null or c.platform = $6) and ($7::uuid is null or o.connection_id = $7)
           and ($8::timestamptz is null or o.finished_at <= $8)
         order by o.finished_at, o.id limit $9",
    )
    .bind(tenant.0)
    .bind(brand)
    .bind(&filter.ids)
    .bind(&filter.kind)
    .bind(&filter.brand)
    .bind(&filter.platform)
    .bind(filter.connection)
    .bind(filter.older_than_seconds.map(|seconds| now - TimeDelta::seconds(seconds)))
    .bind(limit)
    .fetch_all(pool)
    .await
}
