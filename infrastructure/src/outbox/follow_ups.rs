//! Follow-ups: what a delivery or a change of rules has left to do, kept until it is done, whoever dies meanwhile.
//!
//! Noted in the commit of the delivery, taken under a lease, and removed in the commit of what came of it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::values::{MonitorId, TenantId};
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::ledger::{FollowUp, Followed};

/// The kinds there are; what platforms hint at, and what waits here.
pub const KINDS: [&str; 11] = [
    "product", "order", "catalog", "document", "download", "models", PRICE, UNMAPPED, LET_OUT, FORGET, ERASE,
];
/// Codes of models that are looked for at once.
const CODES_MAX: usize = 1_000;
/// A market price whose monitor lets it count later, or that waits for somebody to know what it speaks of.
pub const PRICE: &str = "price";
/// Deliveries that spoke of what nobody knew, to be looked at again.
pub const UNMAPPED: &str = "unmapped";
/// What was let out on a connection, to be looked for there.
pub const LET_OUT: &str = "let_out";
/// Somebody who is to be forgotten.
pub const FORGET: &str = "forget";
/// Bodies that tell of somebody who has been forgotten. It takes long, and is taken by itself.
pub const ERASE: &str = "erase";

/// Follow-ups of one account that are taken at a time.
const EACH_MAX: i64 = 4;

/// When something is done that waits for somebody to know what it speaks of: not before it is woken.
pub(crate) const SOME_DAY: DateTime<Utc> =
    DateTime::from_timestamp(253_000_000_000, 0).expect("a time in the year 9987");

/// A follow-up under a lease.
#[derive(Debug, Clone)]
pub struct Leased {
    /// Whose.
    pub tenant: TenantId,
    /// What it is and what to do once it is done.
    pub followed: Followed,
    /// What it takes beyond that.
    pub payload: Option<Value>,
    /// Of the entry that made it owed.
    pub position: i64,
    /// The delivery that led to it.
    pub delivery: Uuid,
    /// Of the request that led to it.
    pub correlation_id: String,
    /// This one included, from 1.
    pub attempt: i32,
}

/// Notes what is to be done, in the caller's transaction. What was asked for before and is not done is done once.
pub(crate) async fn note(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    follow_ups: &[FollowUp],
) -> Result<(), sqlx::Error> {
    // One statement may not touch a row twice; of two for the same thing the last counts.
    let last: BTreeMap<_, &FollowUp> =
        follow_ups.iter().map(|it| ((it.connection, it.kind, it.external.as_str()), it)).collect();
    let rows: Vec<&FollowUp> = last.into_values().collect();
    sqlx::query(
        "insert into follow_ups (tenant_id, connection_id, kind, external, payload, status, position, delivery_id,
                                 correlation_id, next_attempt_at)
         select $1, f.connection_id, f.kind, f.external, f.payload::jsonb, 'pending', $2, f.delivery_id,
                f.correlation_id, f.due
         from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::timestamptz[])
              as f (connection_id, kind, external, payload, delivery_id, correlation_id, due)
         -- Once more: whoever is at it finds its lease gone, and leaves the row for another round.
         on conflict (tenant_id, connection_id, kind, external) do update
             set payload = case
                     -- Of two prices or titles that wait the newer stays, in whatever order they came …
                     when excluded.kind in ('price', 'product', 'models')
                          and (follow_ups.payload->>'at')::timestamptz > (excluded.payload->>'at')::timestamptz
                     -- … and of two pages with the same beginning the one that goes further.
                          or excluded.kind = 'unmapped'
                          and (follow_ups.payload->>'until')::bigint > (excluded.payload->>'until')::bigint
                     then follow_ups.payload else excluded.payload end,
                 status = 'pending', position = excluded.position,
                 delivery_id = excluded.delivery_id, correlation_id = excluded.correlation_id, attempts = 0,
                 next_attempt_at = excluded.next_attempt_at, token = null, leased_until = null, last_error = null",
    )
    .bind(tenant.0)
    .bind(position)
    .bind(rows.iter().map(|it| it.connection).collect::<Vec<_>>())
    .bind(rows.iter().map(|it| it.kind).collect::<Vec<_>>())
    .bind(rows.iter().map(|it| it.external.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|it| it.payload.as_ref().map(Value::to_string)).collect::<Vec<_>>())
    .bind(rows.iter().map(|it| it.delivery).collect::<Vec<_>>())
    .bind(rows.iter().map(|it| it.correlation_id.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|it| it.due).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes due what waits for an account's platform to let us in, and what was given up: its credentials are new.
pub(crate) async fn hurry(
    pool: &PgPool,
    tenant: TenantId,
    connection: onhand_domain::values::ConnectionId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update follow_ups
         set status = 'pending', next_attempt_at = $3, attempts = case when status = 'dead' then 0 else attempts end
         where tenant_id = $1 and connection_id = $2 and kind <> 'price'
           and (status = 'dead' or (status = 'pending' and next_attempt_at between $3 and $4))",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(now)
    .bind(now + TimeDelta::days(1)) // What waits to be woken waits for something else.
    .execute(pool)
    .await?;
    Ok(())
}

/// Removes what is done, in the caller's transaction, and lets wait what speaks of things nobody knows. What has been
/// asked for again meanwhile stays as it is.
pub(crate) async fn finish(
    conn: &mut PgConnection,
    tenant: TenantId,
    followed: &[Followed],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with ended as (
             select * from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::boolean[])
                  as e (connection_id, kind, external, token, parked)
         ),
         parked as (
             update follow_ups f
             set status = 'pending', next_attempt_at = $7, token = null, leased_until = null,
                 attempts = f.attempts - 1, last_error = 'nobody here knows what it speaks of'
             from ended e
             where e.parked and f.tenant_id = $1 and f.connection_id = e.connection_id and f.kind = e.kind
               and f.external = e.external and f.token = e.token
         )
         delete from follow_ups f using ended e
         where not e.parked and f.tenant_id = $1 and f.connection_id = e.connection_id and f.kind = e.kind
           and f.external = e.external and f.token = e.token",
    )
    .bind(tenant.0)
    .bind(followed.iter().map(|it| it.connection).collect::<Vec<_>>())
    .bind(followed.iter().map(|it| it.kind).collect::<Vec<_>>())
    .bind(followed.iter().map(|it| it.external.as_str()).collect::<Vec<_>>())
    .bind(followed.iter().map(|it| it.token).collect::<Vec<_>>())
    .bind(followed.iter().map(|it| it.parked).collect::<Vec<_>>())
    .bind(SOME_DAY)
    .execute(conn)
    .await?;
    Ok(())
}

type Row = (Uuid, Uuid, String, String, Option<Value>, i64, Uuid, String, i32);

/// Leases up to `limit` follow-ups that are due at `now`, oldest first; those of vanished workers first become due again.
/// Erasures are taken by themselves, and nothing else with them.
pub async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    lease: TimeDelta,
    limit: i64,
    erasures: bool,
) -> Result<Vec<Leased>, sqlx::Error> {
    sqlx::query(
        "update follow_ups set status = 'pending', token = null, leased_until = null
         where status = 'leased' and leased_until < $1 -- follow_ups_lease_end_idx",
    )
    .bind(now)
    .execute(pool)
    .await?;
    let token = Uuid::now_v7();
    // Written out, for the index to be seen by: follow_ups_erase_idx, or else follow_ups_due_idx.
    let kinds = if erasures { "kind = 'erase'" } else { "kind <> 'erase'" };
    let sql = format!(
        "with near as (
             select f.*, row_number() over (partition by tenant_id, connection_id order by next_attempt_at) as place
             from (select tenant_id, connection_id, kind, external, next_attempt_at from follow_ups
                   where status = 'pending' and next_attempt_at <= $1 and {kinds}
                   order by next_attempt_at limit 2000) as f
         ),
         due as (
             select f.tenant_id, f.connection_id, f.kind, f.external
             from follow_ups f join near using (tenant_id, connection_id, kind, external)
             -- A few of each account: one whose platform is slow keeps nobody else waiting.
             where near.place <= $5 and f.status = 'pending' and f.next_attempt_at <= $1
             order by f.next_attempt_at limit $2
             for update of f skip locked -- what another is taking is not waited for
         )
         update follow_ups f
         set status = 'leased', token = $3, leased_until = $4, attempts = f.attempts + 1
         from due
         where f.tenant_id = due.tenant_id and f.connection_id = due.connection_id and f.kind = due.kind
           and f.external = due.external
         returning f.tenant_id, f.connection_id, f.kind, f.external, f.payload, f.position, f.delivery_id,
                   f.correlation_id, f.attempts"
    );
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(now)
        .bind(limit)
        .bind(token)
        .bind(now + lease)
        .bind(if erasures { limit } else { EACH_MAX })
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().filter_map(|row| leased(row, token)).collect())
}

/// None for a kind that only a newer program knows; its lease runs out.
fn leased(row: Row, token: Uuid) -> Option<Leased> {
    let (tenant, connection, kind, external, payload, position, delivery, correlation_id, attempt) = row;
    let kind = KINDS.into_iter().find(|known| *known == kind)?;
    Some(Leased {
        tenant: TenantId(tenant),
        followed: Followed { connection, kind, external, token, parked: false },
        payload,
        position,
        delivery,
        correlation_id,
        attempt,
    })
}

/// Ends a lease without success: again at `at`, or never if that is none. `counts` tells an attempt from mere waiting.
pub async fn postpone(
    pool: &PgPool,
    leased: &Leased,
    at: Option<DateTime<Utc>>,
    error: &str,
    counts: bool,
) -> Result<(), sqlx::Error> {
    let Followed { connection, kind, external, token, .. } = &leased.followed;
    sqlx::query(
        "update follow_ups
         set status = case when $6::timestamptz is null then 'dead' else 'pending' end,
             next_attempt_at = coalesce($6, next_attempt_at), token = null, leased_until = null, last_error = $7,
             attempts = case when $8 then attempts else attempts - 1 end
         where tenant_id = $1 and connection_id = $2 and kind = $3 and external = $4 and token = $5",
    )
    .bind(leased.tenant.0)
    .bind(connection)
    .bind(kind)
    .bind(external)
    .bind(token)
    .bind(at)
    .bind(error)
    .bind(counts)
    .execute(pool)
    .await?;
    Ok(())
}

/// Ends the lease of something of which a part is done, and says what of its payload has changed. Whoever has lost the lease
/// changes nothing.
pub(crate) async fn go_on(
    pool: &PgPool,
    leased: &Leased,
    progress: &Value,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let Followed { connection, kind, external, token, .. } = &leased.followed;
    sqlx::query(
        "update follow_ups
         set status = 'pending', payload = payload || $6::jsonb, next_attempt_at = $7, token = null, leased_until = null,
             attempts = 0, last_error = null
         where tenant_id = $1 and connection_id = $2 and kind = $3 and external = $4 and token = $5",
    )
    .bind(leased.tenant.0)
    .bind(connection)
    .bind(kind)
    .bind(external)
    .bind(token)
    .bind(progress)
    .bind(at)
    .execute(pool)
    .await?;
    Ok(())
}

/// A follow-up whose payload tells of a person, sealed.
#[derive(FromRow)]
pub(crate) struct SealedFollowUp {
    pub(crate) tenant_id: Uuid,
    connection_id: Uuid,
    kind: String,
    pub(crate) external: String,
    pub(crate) payload: Value,
}

/// Some of those that are sealed with another master key than this, of all tenants.
pub(crate) async fn sealed_otherwise(
    pool: &PgPool,
    key: &str,
    limit: i64,
) -> Result<Vec<SealedFollowUp>, sqlx::Error> {
    sqlx::query_as(
        "select tenant_id, connection_id, kind, external, payload from follow_ups
         where kind in ('forget', 'erase') and payload->>'key_id' <> $1 limit $2",
    )
    .bind(key)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Puts what was sealed anew in the place of itself, whatever else of the payload has moved on, and whoever is at it. False if
/// it is not there any more.
pub(crate) async fn reseal(
    pool: &PgPool,
    before: &SealedFollowUp,
    anew: &Value,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update follow_ups set payload = payload || $6::jsonb
         where tenant_id = $1 and connection_id = $2 and kind = $3 and external = $4
           and payload->>'nonce' = $5::jsonb->>'nonce'",
    )
    .bind(before.tenant_id)
    .bind(before.connection_id)
    .bind(&before.kind)
    .bind(&before.external)
    .bind(&before.payload)
    .bind(anew)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Whether bodies are still to be destroyed, of whoever it may be, given up ones among them.
pub(crate) async fn erasing(pool: &PgPool, tenant: TenantId) -> Result<bool, sqlx::Error> {
    let (erasing,): (bool,) =
        sqlx::query_as("select exists (select from follow_ups where tenant_id = $1 and kind = 'erase')") // follow_ups_erase_idx
            .bind(tenant.0)
            .fetch_one(pool)
            .await?;
    Ok(erasing)
}

/// Wakes what waits for somebody to know what it speaks of: something has become known. Of market prices only those of what is
/// known by now: there may be very many about models that nobody here sells.
pub(crate) async fn wake(pool: &PgPool, tenant: TenantId, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update follow_ups set status = 'pending', next_attempt_at = $2, token = null, leased_until = null
         where tenant_id = $1 and kind <> 'price'
           and (status = 'pending' and next_attempt_at = $3
                -- One that is being looked at in this moment may not have seen it, and is looked at once more.
                or status = 'leased' and kind not in ('unmapped', 'let_out', 'forget', 'erase'))",
    )
    .bind(tenant.0)
    .bind(now)
    .bind(SOME_DAY)
    .execute(pool)
    .await?;
    wake_prices(pool, tenant, now).await
}

/// A variant that prices of a code may mean: by its SKU, or by the style code of its product.
#[derive(FromRow)]
struct Named {
    code: String,
    by_style: bool,
    sku: String,
    size: Option<String>,
    brand: Option<String>,
}

/// Wakes market prices that wait for somebody to know what they speak of, and mean a variant that is known by now.
///
/// In steps, each from what the one before has found: as one statement it is planned for a handful of rows, and there may have come
/// ten thousand since anybody counted them.
async fn wake_prices(pool: &PgPool, tenant: TenantId, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let codes: Vec<String> = sqlx::query_scalar(
        "select distinct payload->>'style_code' from follow_ups
         where tenant_id = $1 and kind = 'price' and status = 'pending' and next_attempt_at = $2
           and payload->>'style_code' is not null",
    )
    .bind(tenant.0)
    .bind(SOME_DAY)
    .fetch_all(pool)
    .await?;
    let mut known: Vec<Named> = Vec::new();
    for codes in codes.chunks(CODES_MAX) {
        let found = sqlx::query_as(include_str!("known_by_code.sql")).bind(tenant.0).bind(codes);
        known.extend(found.fetch_all(pool).await?);
    }
    if known.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("wake_prices.sql"))
        .bind(tenant.0)
        .bind(now)
        .bind(SOME_DAY)
        .bind(known.iter().map(|it| it.code.as_str()).collect::<Vec<_>>())
        .bind(known.iter().map(|it| it.by_style).collect::<Vec<_>>())
        .bind(known.iter().map(|it| it.sku.as_str()).collect::<Vec<_>>())
        .bind(known.iter().map(|it| it.size.as_deref()).collect::<Vec<_>>())
        .bind(known.iter().map(|it| it.brand.as_deref()).collect::<Vec<_>>())
        .execute(pool)
        .await?;
    Ok(())
}

/// Makes due the prices that wait for a monitor to let them count: it is another one now, and decides anew.
pub(crate) async fn hurry_prices(
    pool: &PgPool,
    tenant: TenantId,
    monitor: MonitorId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update follow_ups f set next_attempt_at = $3
         from monitors m
         -- One that is off would have them dropped; till their time it may be on again.
         where m.tenant_id = $1 and m.id = $2 and m.enabled
           and f.tenant_id = $1 and f.connection_id = m.connection_id and f.kind = 'price'
           and f.payload->>'style_code' = m.style_code and f.status = 'pending'
           and f.next_attempt_at > $3 and f.next_attempt_at < $4",
    )
    .bind(tenant.0)
    .bind(monitor.0)
    .bind(now)
    .bind(SOME_DAY)
    .execute(pool)
    .await?;
    Ok(())
}

/// When the next one is due, of all tenants; none if all that is left waits to be woken.
pub async fn next_due(pool: &PgPool) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let (next,): (Option<DateTime<Utc>>,) = sqlx::query_as(
        "select min(next_attempt_at) from follow_ups where status <> 'dead' and next_attempt_at < $1",
    )
    .bind(SOME_DAY)
    .fetch_one(pool)
    .await?;
    Ok(next)
}
