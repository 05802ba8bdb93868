//! Reconciliations: runs in which what platforms show is read back, listing by listing, and where each has got to.

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::values::{ConnectionId, ListingId, TenantId};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window};

/// Drifts of one run that are kept; beyond it they are only counted.
const DRIFTS_MAX: i64 = 1_000;

/// A run as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct ReconciliationView {
    pub id: Uuid,
    pub connection_id: Uuid,
    pub preview: bool,
    pub status: String,
    pub begun_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub checked: i64,
    pub drifted: i64,
    pub repaired: i64,
    pub missing: i64,
    pub unknown: i64,
    pub last_error: Option<String>,
    pub requested_by: String,
}

/// Something that a run has found amiss.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct DriftView {
    /// On which listing.
    pub listing_id: Uuid,
    /// The seller's code.
    pub sku: String,
    /// `quantity`, `price` or `missing`.
    pub kind: String,
    /// What the platform shows.
    pub shows: Option<Value>,
    /// What it is to show.
    pub owed: Option<Value>,
}

/// A run under a lease.
#[derive(Debug, Clone, FromRow)]
pub struct Leased {
    /// Whose.
    pub tenant_id: Uuid,
    /// Which run.
    pub id: Uuid,
    /// Of which account.
    pub connection_id: Uuid,
    /// Whether drift is only told.
    pub preview: bool,
    /// The last listing that was read back.
    pub cursor: Option<Uuid>,
    /// The lease.
    pub token: Uuid,
    /// How often the page has failed.
    pub failures: i32,
    /// Of the request that led to it.
    pub correlation_id: String,
    /// Listings read back so far.
    pub checked: i64,
    /// Figures found to be astray so far.
    pub drifted: i64,
    /// Of these, put right or put to somebody.
    pub repaired: i64,
    /// Listings that are not there on the platform.
    pub missing: i64,
    /// Figures that the platform does not tell.
    pub unknown: i64,
}

/// What one page of a run has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Listings read back.
    pub checked: i64,
    /// Figures found to be astray.
    pub drifted: i64,
    /// Of these, put right or put to somebody.
    pub repaired: i64,
    /// Listings that are not there on the platform.
    pub missing: i64,
    /// Figures that the platform does not tell.
    pub unknown: i64,
    /// What was found: listing, kind, what is shown, what is owed.
    pub drifts: Vec<(ListingId, &'static str, Option<Value>, Option<Value>)>,
}

/// A run that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted<'w> {
    /// Whose.
    pub tenant: TenantId,
    /// The run.
    pub id: Uuid,
    /// Of which account.
    pub connection: ConnectionId,
    /// Whether drift is only to be told.
    pub preview: bool,
    /// Who wants it.
    pub actor: &'w str,
    /// Of the request.
    pub correlation_id: &'w str,
}

/// Whether a run of an account is under way.
pub async fn is_running(
    pool: &PgPool,
    tenant: TenantId,
    connection: ConnectionId,
) -> Result<bool, sqlx::Error> {
    let (running,): (bool,) = sqlx::query_as(
        "select exists (select from reconciliations
                        where tenant_id = $1 and connection_id = $2 and status = 'running')",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .fetch_one(pool)
    .await?;
    Ok(running)
}

/// Begins a run. False if one is under way.
pub async fn begin(pool: &PgPool, wanted: &Wanted<'_>, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let begun = sqlx::query(
        "insert into reconciliations (tenant_id, id, connection_id, preview, status, begun_at, due_at, requested_by,
                                      correlation_id)
         values ($1, $2, $3, $4, 'running', $5, $5, $6, $7)
         on conflict (tenant_id, connection_id) where status = 'running' do nothing",
    )
    .bind(wanted.tenant.0)
    .bind(wanted.id)
    .bind(wanted.connection.0)
    .bind(wanted.preview)
    .bind(now)
    .bind(wanted.actor)
    .bind(wanted.correlation_id)
    .execute(pool)
    .await?;
    Ok(begun.rows_affected() > 0)
}

/// Begins a run for each account that is switched on and was last looked at before a moment. Says how many.
pub async fn begin_due(
    pool: &PgPool,
    last_before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "insert into reconciliations (tenant_id, id, connection_id, preview, status, begun_at, due_at, requested_by,
                                      correlation_id)
         select c.tenant_id, gen_random_uuid(), c.id, false, 'running', $2, $2, 'schedule', gen_random_uuid()::text
         from connections c
         where c.enabled and not c.paused and (c.pushes_quantity or c.pushes_price)
           -- reconciliations_of_idx; a fresh connection has been pushed to a moment ago.
           and not exists (select from reconciliations r
                           where r.tenant_id = c.tenant_id and r.connection_id = c.id and r.begun_at > $1 and not r.preview)
           and exists (select from listings l where l.tenant_id = c.tenant_id and l.connection_id = c.id and not l.removed)
         on conflict (tenant_id, connection_id) where status = 'running' do nothing",
    )
    .bind(last_before)
    .bind(now)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Leases the run that is due longest, until `now + lease`; one whose worker has vanished is due again.
pub async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    lease: TimeDelta,
) -> Result<Option<Leased>, sqlx::Error> {
    sqlx::query_as(
        "with due as (
             select tenant_id, id from reconciliations
             where status = 'running' and due_at <= $1 and (token is null or leased_until < $1)
             order by due_at limit 1 -- reconciliations_due_idx
             for update skip locked
         )
         update reconciliations r set token = $2, leased_until = $3
         from due
         where r.tenant_id = due.tenant_id and r.id = due.id
         returning r.tenant_id, r.id, r.connection_id, r.preview, r.cursor, r.token, r.failures, r.correlation_id, r.checked,
                   r.drifted, r.repaired, r.missing, r.unknown",
    )
    .bind(now)
    .bind(Uuid::now_v7())
    .bind(now + lease)
    .fetch_optional(pool)
    .await
}

/// The next listings of an account, by id.
pub async fn page(pool: &PgPool, run: &Leased, limit: i64) -> Result<Vec<ListingId>, sqlx::Error> {
    let rows: Vec<(Uuid,)> = sqlx::query_as(
        "select id from listings
         where tenant_id = $1 and connection_id = $2 and not removed and ($3::uuid is null or id > $3)
         order by id limit $4",
    )
    .bind(run.tenant_id)
    .bind(run.connection_id)
    .bind(run.cursor)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(id,)| ListingId(id)).collect())
}

/// Listings of these for which something is being pushed, or is about to be: what they show is not what counts.
pub async fn in_flight(
    pool: &PgPool,
    run: &Leased,
    listings: &[ListingId],
) -> Result<Vec<(ListingId, String)>, sqlx::Error> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        // Two index ranges; one condition with both would read the whole table.
        "select listing_id, kind from outbox
         where tenant_id = $1 and connection_id = $2 and listing_id = any($3) and status = 'pending'
         union
         select listing_id, kind from outbox
         where tenant_id = $1 and connection_id = $2 and listing_id = any($3) and status = 'leased'",
    )
    .bind(run.tenant_id)
    .bind(run.connection_id)
    .bind(listings.iter().map(|id| id.0).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(id, kind)| (ListingId(id), kind)).collect())
}

/// Notes what a page has come to and where the run stands; the lease ends. Whoever has lost it changes nothing.
pub async fn advance(
    pool: &PgPool,
    run: &Leased,
    (cursor, tally): (Option<ListingId>, &Tally),
    (due, error): (DateTime<Utc>, Option<&str>),
) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    let kept = sqlx::query(
        "update reconciliations
         set cursor = coalesce($4, cursor), checked = checked + $5, drifted = drifted + $6, repaired = repaired + $7,
             missing = missing + $8, unknown = unknown + $9, due_at = $10, last_error = $11, token = null,
             leased_until = null, failures = case when $4::uuid is null then failures + 1 else 0 end
         where tenant_id = $1 and id = $2 and token = $3",
    )
    .bind(run.tenant_id)
    .bind(run.id)
    .bind(run.token)
    .bind(cursor.map(|cursor| cursor.0))
    .bind(tally.checked)
    .bind(tally.drifted)
    .bind(tally.repaired)
    .bind(tally.missing)
    .bind(tally.unknown)
    .bind(due)
    .bind(error)
    .execute(&mut *tx)
    .await?;
    if kept.rows_affected() > 0 && !tally.drifts.is_empty() {
        sqlx::query(
            "insert into drifts (tenant_id, reconciliation_id, listing_id, kind, shows, owed)
             select $1, $2, d.listing_id, d.kind, d.shows, d.owed
             from unnest($3::uuid[], $4::text[], $5::jsonb[], $6::jsonb[]) as d (listing_id, kind, shows, owed)
             where (select count(*) from drifts where tenant_id = $1 and reconciliation_id = $2) < $7
             on conflict do nothing",
        )
        .bind(run.tenant_id)
        .bind(run.id)
        .bind(tally.drifts.iter().map(|drift| drift.0.0).collect::<Vec<_>>())
        .bind(tally.drifts.iter().map(|drift| drift.1).collect::<Vec<_>>())
        .bind(tally.drifts.iter().map(|drift| drift.2.clone()).collect::<Vec<_>>())
        .bind(tally.drifts.iter().map(|drift| drift.3.clone()).collect::<Vec<_>>())
        .bind(DRIFTS_MAX)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await
}

/// Ends a run. False if the lease was lost.
pub async fn end(
    pool: &PgPool,
    run: &Leased,
    now: DateTime<Utc>,
    error: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update reconciliations
         set status = case when $5::text is null then 'done' else 'failed' end, ended_at = $4, last_error = $5,
             token = null, leased_until = null
         where tenant_id = $1 and id = $2 and token = $3",
    )
    .bind(run.tenant_id)
    .bind(run.id)
    .bind(run.token)
    .bind(now)
    .bind(error)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// A tenant's runs, newest first.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    connection: Option<Uuid>,
) -> Result<Page<ReconciliationView>, QueryError> {
    let (begun_at, id) = window.after::<(DateTime<Utc>, Uuid)>()?.unzip();
    let rows = sqlx::query_as(
        "select r.id, r.connection_id, r.preview, r.status, r.begun_at, r.ended_at, r.checked, r.drifted, r.repaired,
                r.missing, r.unknown, r.last_error, r.requested_by
         from reconciliations r
         join connections c on c.tenant_id = r.tenant_id and c.id = r.connection_id
         where r.tenant_id = $1 and ($2::text is null or c.brand = $2)
           and ($3::timestamptz is null or (r.begun_at, r.id) < ($3, $4))
           and ($5::uuid is null or r.connection_id = $5)
         order by r.begun_at desc, r.id desc limit $6",
    )
    .bind(window.tenant.0)
    .bind(&window.brand)
    .bind(begun_at)
    .bind(id)
    .bind(connection)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &ReconciliationView| (row.begun_at, row.id)))
}

/// Whether there is a run of this id; for a brand, whether there is one of an account of its own.
pub async fn is_known(
    pool: &PgPool,
    (tenant, brand): (TenantId, Option<&str>),
    run: Uuid,
) -> Result<bool, sqlx::Error> {
    let (known,): (bool,) = sqlx::query_as(
        "select exists (select from reconciliations r
                        join connections c on c.tenant_id = r.tenant_id and c.id = r.connection_id
                        where r.tenant_id = $1 and r.id = $2 and ($3::text is null or c.brand = $3))",
    )
    .bind(tenant.0)
    .bind(run)
    .bind(brand)
    .fetch_one(pool)
    .await?;
    Ok(known)
}

/// What a run has found amiss, by listing.
pub async fn drifts(pool: &PgPool, window: &Window, run: Uuid) -> Result<Page<DriftView>, QueryError> {
    let (listing, kind) = window.after::<(Uuid, String)>()?.unzip();
    let rows = sqlx::query_as(
        "select d.listing_id, v.sku, d.kind, d.shows, d.owed
         from drifts d
         join listings l on l.tenant_id = d.tenant_id and l.id = d.listing_id
         join variants v on v.tenant_id = l.tenant_id and v.id = l.variant_id
         join connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
         where d.tenant_id = $1 and d.reconciliation_id = $2 and ($3::text is null or c.brand = $3)
           and ($4::uuid is null or (d.listing_id, d.kind) > ($4, $5))
         order by d.listing_id, d.kind limit $6",
    )
    .bind(window.tenant.0)
    .bind(run)
    .bind(&window.brand)
    .bind(listing)
    .bind(kind)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &DriftView| (row.listing_id, row.kind.clone())))
}
