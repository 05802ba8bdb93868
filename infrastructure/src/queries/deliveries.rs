//! Deliveries: what came in, and what came of it.

use chrono::{DateTime, Utc};
use onhand_domain::{
    connection::Platform,
    delivery::Received,
    values::{ConnectionId, TenantId},
};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window, one_of, platform_filter};
use crate::operations::deliveries::ReplayFilter;

/// What a delivery may be, as the table has it.
const STATUSES: [&str; 2] = ["completed", "failed"];
/// What may have come of one.
const OUTCOMES: [&str; 5] = ["applied", "echo", "unchanged", "unmapped", "ignored"];

/// A delivery as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct DeliveryView {
    pub id: Uuid,
    pub connection_id: Uuid,
    pub platform: String,
    pub topic: String,
    pub external_id: String,
    pub status: String,
    pub outcome: Option<String>,
    pub notes: Value,
    pub reason: Option<String>,
    pub attempts: i32,
    pub body_sha256: String,
    pub body_bytes: i64,
    pub source_address: Option<String>,
    pub user_agent: Option<String>,
    pub correlation_id: String,
    pub recorded_at: DateTime<Utc>,
    pub position: i64,
    pub contradicted: bool,
}

/// What a list of deliveries is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// `completed` or `failed`.
    pub status: Option<String>,
    /// One platform.
    pub platform: Option<String>,
    /// One connection.
    pub connection: Option<Uuid>,
    /// One topic.
    pub topic: Option<String>,
    /// `applied`, `echo`, `unchanged`, `unmapped`, `ignored`.
    pub outcome: Option<String>,
    /// From this time on.
    pub from: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// With this text in the body.
    pub text: Option<String>,
}

/// Deliveries whose bodies one page searches for a text.
const SEARCHED_MAX: i64 = 20_000;

/// Follow-ups that were given up, told of at a time.
const FOLLOW_UPS_MAX: i64 = 200;

/// A tenant's deliveries, newest first. A search for a text looks at the newest 20,000 that the other filters leave;
/// narrow the time to look further back.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &DeliveryFilter,
) -> Result<Page<DeliveryView>, QueryError> {
    one_of("status", filter.status.as_deref(), &STATUSES)?;
    one_of("outcome", filter.outcome.as_deref(), &OUTCOMES)?;
    platform_filter(filter.platform.as_deref())?;
    let rows = sqlx::query_as(include_str!("deliveries.sql"))
        .bind(window.tenant.0)
        .bind(&window.brand)
        .bind(window.after::<i64>()?)
        .bind(&filter.status)
        .bind(&filter.platform)
        .bind(filter.connection)
        .bind(&filter.topic)
        .bind(&filter.outcome)
        .bind(filter.from)
        .bind(filter.until)
        .bind(&filter.text)
        .bind(if filter.text.is_some() { SEARCHED_MAX } else { window.fetch() })
        .bind(window.fetch())
        .fetch_all(pool)
        .await?;
    Ok(window.page(rows, |row: &DeliveryView| row.position))
}

/// What is kept of a delivery's request.
#[derive(Debug, Clone, FromRow)]
pub struct DeliveryBytes {
    /// When it came, for the last time.
    pub received_at: DateTime<Utc>,
    /// Its headers, secrets masked.
    pub headers: Value,
    /// Its body.
    pub body: Vec<u8>,
}

/// An entry that followed from a delivery.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct ResultingEntry {
    pub position: i64,
    pub stream: String,
    pub name: String,
    pub recorded_at: DateTime<Utc>,
    pub payload: Value,
}

/// A command to a platform that was still owed when, or because, a delivery was acted on.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct ResultingPush {
    pub id: Uuid,
    pub connection_id: Uuid,
    pub listing_id: Uuid,
    pub kind: String,
    pub status: String,
    pub position: i64,
}

/// One delivery, if it is there and the caller's.
pub async fn find(
    pool: &PgPool,
    tenant: TenantId,
    brand: Option<&str>,
    id: Uuid,
) -> Result<Option<DeliveryView>, sqlx::Error> {
    sqlx::query_as(
        "select d.id, d.connection_id, d.platform, d.topic, d.external_id, d.status, d.outcome, d.notes, d.reason,
                d.attempts, d.body_sha256, d.body_bytes, d.source_address, d.user_agent, d.correlation_id,
                d.recorded_at, d.position, d.contradicted
         from deliveries d
         where d.tenant_id = $1 and d.id = $2
           and ($3::text is null or exists (select from connections c
                where c.tenant_id = $1 and c.id = d.connection_id and c.brand = $3))",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(brand)
    .fetch_optional(pool)
    .await
}

/// What is kept of its request; none once retention has removed it.
pub async fn bytes(pool: &PgPool, tenant: TenantId, id: Uuid) -> Result<Option<DeliveryBytes>, sqlx::Error> {
    sqlx::query_as(
        "select received_at, headers::jsonb as headers, body from delivery_bodies
         where tenant_id = $1 and delivery_id = $2",
    )
    .bind(tenant.0)
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// The most entries and pushes that are shown with a delivery.
const RESULTS_MAX: i64 = 500;

/// The entries of the batch that ends with the delivery's own entry at `position`, as far as they follow from it.
pub async fn entries(
    pool: &PgPool,
    tenant: TenantId,
    id: Uuid,
    position: i64,
) -> Result<Vec<ResultingEntry>, sqlx::Error> {
    sqlx::query_as(
        "select position, stream, name, recorded_at, payload::jsonb as payload from events
         -- By position: what follows from a delivery stands right before its own entry.
         where tenant_id = $1 and position between $2 - 20000 and $2
           and metadata::jsonb->>'causation_id' = $3
         order by position desc limit $4",
    )
    .bind(tenant.0)
    .bind(position)
    .bind(id.to_string())
    .bind(RESULTS_MAX)
    .fetch_all(pool)
    .await
}

/// The commands that told platforms of it, not finished by then.
///
/// Those to listings of the variants these entries moved, and those about products they described. One that was pending
/// already carried this news as well.
pub async fn pushes(
    pool: &PgPool,
    tenant: TenantId,
    brand: Option<&str>,
    entries: &[ResultingEntry],
) -> Result<Vec<ResultingPush>, sqlx::Error> {
    let mut owed: Vec<(String, &'static str)> = vec![];
    let mut products: Vec<String> = vec![];
    for entry in entries {
        let said = |name: &str| entry.payload[name].as_str().unwrap_or_default().to_owned();
        match (entry.name.as_str(), entry.stream.split('/').collect::<Vec<_>>().as_slice()) {
            (_, ["stock", variant, ..]) => owed.push(((*variant).to_owned(), "quantity")),
            ("product.priced", _) => owed.push((said("variant"), "price")),
            ("listing.mapped", _) => owed.extend([(said("variant"), "quantity"), (said("variant"), "price")]),
            ("product.created" | "product.variant_added" | "product.described", ["product", id]) => {
                products.push((*id).to_owned());
            }
            _ => {}
        }
    }
    let nothing = owed.is_empty() && products.is_empty();
    let Some(first) = entries.iter().map(|entry| entry.recorded_at).min().filter(|_| !nothing) else {
        return Ok(vec![]);
    };
    let (variants, kinds): (Vec<String>, Vec<&str>) = owed.into_iter().unzip();
    sqlx::query_as(
        "with told as (
             select o.id, o.connection_id, o.listing_id, o.kind, o.status, o.position, o.finished_at
             from (select distinct m.* from unnest($2::text[], $3::text[]) as m (variant, kind)) as moved
             join listings l on l.tenant_id = $1 and l.variant_id = moved.variant::uuid -- listings_variant_idx
             join outbox o on o.tenant_id = l.tenant_id and o.connection_id = l.connection_id
                  and o.listing_id = l.id and o.kind = moved.kind
             union all
             select o.id, o.connection_id, o.listing_id, o.kind, o.status, o.position, o.finished_at
             from outbox o
             where o.tenant_id = $1 and o.product_id = any($7::uuid[]) -- outbox_product_idx
         )
         select o.id, o.connection_id, o.listing_id, o.kind, o.status, o.position from told o
         where (o.finished_at is null or o.finished_at >= $4)
           and ($6::text is null or exists (select from connections c
                where c.tenant_id = $1 and c.id = o.connection_id and c.brand = $6))
         order by o.position limit $5",
    )
    .bind(tenant.0)
    .bind(variants)
    .bind(kinds)
    .bind(first)
    .bind(RESULTS_MAX)
    .bind(brand)
    .bind(products)
    .fetch_all(pool)
    .await
}

/// A delivery with what it takes to look at it again, but for its bytes.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Kept {
    pub(crate) id: Uuid,
    pub(crate) connection: Uuid,
    pub(crate) topic: String,
    external_id: String,
    body_sha256: String,
    body_bytes: i64,
    source_address: Option<String>,
    user_agent: Option<String>,
    pub(crate) position: i64,
}

impl Kept {
    /// What was delivered, as history has it.
    pub(crate) fn received(&self, platform: Platform) -> Received {
        Received {
            connection: ConnectionId(self.connection),
            platform,
            topic: self.topic.clone(),
            external_id: self.external_id.clone(),
            body_sha256: self.body_sha256.clone(),
            body_bytes: self.body_bytes,
            source_address: self.source_address.clone(),
            user_agent: self.user_agent.clone(),
        }
    }
}

/// Deliveries that failed, or that spoke of what nobody knew, after a position and up to another, the oldest first.
pub(crate) async fn kept(
    pool: &PgPool,
    tenant: TenantId,
    brand: Option<&str>,
    filter: &ReplayFilter,
    (after, until): (i64, i64),
    limit: i64,
) -> Result<Vec<Kept>, sqlx::Error> {
    let sql = match filter.unmapped {
        true => include_str!("deliveries_unmapped.sql"),
        false => include_str!("deliveries_failed.sql"),
    };
    let kept = sqlx::query_as::<sqlx::Postgres, Kept>(sql)
        .bind(tenant.0)
        .bind(brand)
        .bind(after)
        .bind(until)
        .bind(&filter.ids)
        .bind(filter.connection)
        .bind(&filter.platform)
        .bind(&filter.topic)
        .bind(filter.before)
        .bind(limit);
    let kept = if filter.unmapped { kept.bind(filter.but_prices) } else { kept };
    kept.fetch_all(pool).await
}

/// A follow-up that was given up.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct DeadFollowUp {
    pub connection_id: Uuid,
    pub kind: String,
    pub external: String,
    pub delivery_id: Uuid,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub position: i64,
}

/// Follow-ups that were given up, the newest 200: those of a connection, and those that came of such deliveries. A search for a
/// text looks at the newest 20,000 that the other filters leave.
pub async fn dead_follow_ups(
    pool: &PgPool,
    window: &Window,
    filter: &DeliveryFilter,
) -> Result<Vec<DeadFollowUp>, sqlx::Error> {
    sqlx::query_as(include_str!("follow_ups_dead.sql"))
        .bind(window.tenant.0)
        .bind(&window.brand)
        .bind(&filter.platform)
        .bind(filter.connection)
        .bind(&filter.topic)
        .bind(filter.from)
        .bind(filter.until)
        .bind(&filter.text)
        .bind(if filter.text.is_some() { SEARCHED_MAX } else { FOLLOW_UPS_MAX })
        .bind(FOLLOW_UPS_MAX)
        .fetch_all(pool)
        .await
}

/// Lets follow-ups that were given up be tried again, all of them or those of one connection. Says how many, also where a dry
/// run leaves them as they are.
pub async fn revive_follow_ups(
    pool: &PgPool,
    tenant: TenantId,
    brand: Option<&str>,
    connection: Option<Uuid>,
    dry_run: bool,
) -> Result<u64, sqlx::Error> {
    let (count,): (i64,) = sqlx::query_as(
        "with dead as (
             select f.connection_id, f.kind, f.external from follow_ups f
             where f.tenant_id = $1 and f.status = 'dead' and ($2::uuid is null or f.connection_id = $2) -- follow_ups_dead_idx
               and ($3::text is null or exists (select from connections c
                    where c.tenant_id = $1 and c.id = f.connection_id and c.brand = $3))
         ),
         revived as (
             update follow_ups f set status = 'pending', attempts = 0, next_attempt_at = 'epoch'
             from dead d
             where not $4::boolean and f.tenant_id = $1 and f.status = 'dead' and f.connection_id = d.connection_id
               and f.kind = d.kind and f.external = d.external
         )
         select count(*) from dead",
    )
    .bind(tenant.0)
    .bind(connection)
    .bind(brand)
    .bind(dry_run)
    .fetch_one(pool)
    .await?;
    Ok(count.unsigned_abs())
}
