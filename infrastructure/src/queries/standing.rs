//! How a tenant's work stands, or that of all of them: what is still to be done, what waits for a person, and which accounts are
//! not well.
//!
//! It is looked at first when something seems wrong, so it costs little however much there is.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use serde::Serialize;
use sqlx::{FromRow, PgPool, types::Json};
use uuid::Uuid;

use crate::ledger::{LedgerError, position_at};

/// Counts end here.
pub const COUNTED_MAX: i64 = 100_000;
/// Accounts that are told of.
pub const ACCOUNTS_MAX: i64 = 100;

/// What is still to be done for a tenant, and what waits for a person. Each count ends at [`COUNTED_MAX`], that of what is
/// pending as a whole.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct Standing {
    /// Pending commands whose time has come.
    pub outbox_due: i64,
    /// Since when the first of them is due, but for those of accounts that are paused.
    pub outbox_due_since: Option<DateTime<Utc>>,
    /// Pending commands whose time is still to come: after an attempt that failed, or by choice.
    pub outbox_put_off: i64,
    /// Commands that a relay has in hand.
    pub outbox_leased: i64,
    /// Commands given up, and not taken up again.
    pub outbox_dead: i64,
    /// Follow-ups that are due and not done.
    pub follow_ups_due: i64,
    /// Follow-ups given up.
    pub follow_ups_dead: i64,
    /// Deliveries that failed, and that wait for a replay.
    pub deliveries_failed: i64,
    /// Listings with a figure that somebody has to judge.
    pub conflicts: i64,
}

/// How a tenant's work stands.
pub async fn of(pool: &PgPool, tenant: TenantId, now: DateTime<Utc>) -> Result<Standing, sqlx::Error> {
    sqlx::query_as(include_str!("standing.sql"))
        .bind(tenant.0)
        .bind(now)
        .bind(COUNTED_MAX)
        .fetch_one(pool)
        .await
}

/// What is still to be done for all tenants together, and what waits for a person. Each count ends at [`COUNTED_MAX`].
#[derive(Debug, Clone, FromRow)]
pub struct Overall {
    /// Pending commands, whether their time has come or not, and those whose relay has vanished.
    pub outbox_pending: i64,
    /// For how long the first of those whose time has come has been due, in seconds, but for those of accounts that are paused;
    /// 0 if there is none.
    pub outbox_due_seconds: f64,
    /// Commands given up, and not taken up again.
    pub outbox_dead: i64,
    /// Follow-ups given up.
    pub follow_ups_dead: i64,
    /// Deliveries that failed, and that wait for a replay.
    pub deliveries_failed: i64,
    /// Listings with a figure that somebody has to judge.
    pub conflicts: i64,
}

/// Whether a ledger has entries beyond where it is said to end, or is not said to end anywhere. Nothing can be appended then.
pub async fn is_set_back(pool: &PgPool, tenant: TenantId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (
             select from events where tenant_id = $1 and position > coalesce(
                 (select position from ledger_heads where tenant_id = $1), 0) -- events_pkey
         )",
    )
    .bind(tenant.0)
    .fetch_one(pool)
    .await
}

/// How the work of all tenants stands. The database is given a second to tell it: whoever only looks stands in nobody's way.
pub async fn overall(pool: &PgPool, now: DateTime<Utc>) -> Result<Overall, sqlx::Error> {
    let mut tx = pool.begin_with("begin read only; set local statement_timeout = '1s'").await?;
    let overall = sqlx::query_as(include_str!("standing_overall.sql"))
        .bind(now)
        .bind(COUNTED_MAX)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(overall)
}

/// An account that is paused or held, whose breaker is not closed, or with an alert on record.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct AccountAmiss {
    /// Which connection.
    pub id: Uuid,
    /// As the seller calls it.
    pub name: String,
    /// Whose wire format.
    pub platform: String,
    /// The seller's brand.
    pub brand: String,
    /// Whether nothing goes, or soon nothing will, until somebody sees to its credentials.
    pub needs_person: bool,
    /// Given a rest, until somebody lets it go on.
    pub paused: bool,
    /// `closed`, `open` or `half_open`.
    pub breaker: String,
    /// When a breaker that is not closed lets the platform be looked at again.
    pub retry_at: Option<DateTime<Utc>>,
    /// Until when the platform has asked to wait, its calls are used up, or it lets us in no longer; none if that is over.
    pub held_until: Option<DateTime<Utc>>,
    /// Thresholds that are crossed, as they are on record.
    pub alerts: Json<Vec<String>>,
    /// What stood in the way last.
    pub reason: Option<String>,
}

/// A tenant's accounts that are switched on and not well, those that need a person first; at most [`ACCOUNTS_MAX`].
pub async fn accounts_amiss(
    pool: &PgPool,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<Vec<AccountAmiss>, sqlx::Error> {
    sqlx::query_as(
        // Who is needed, as `operations::alerts::needs_person` has it.
        "select c.id, c.name, c.platform, c.brand, c.alerts ?| array['locked_out', 'renewal'] as needs_person, c.paused,
                coalesce(b.state, 'closed') as breaker, b.retry_at,
                case when b.held_until > $2 then b.held_until end as held_until, c.alerts,
                nullif(concat_ws('; ', b.reason, case when c.alerts ? 'renewal' then r.last_error end), '') as reason
         from connections c
         left join breakers b on b.tenant_id = c.tenant_id and b.connection_id = c.id
         left join renewals r on r.tenant_id = c.tenant_id and r.connection_id = c.id
         where c.tenant_id = $1 and c.enabled
           and (c.paused or b.state <> 'closed' or b.held_until > $2 or c.alerts <> '[]')
         order by needs_person desc, c.id limit $3",
    )
    .bind(tenant.0)
    .bind(now)
    .bind(ACCOUNTS_MAX)
    .fetch_all(pool)
    .await
}

/// What came and went within a time. What is told by kind is counted among at most [`COUNTED_MAX`], the newest of entries and
/// deliveries.
#[derive(Debug, Clone, Serialize)]
pub struct Volumes {
    /// From when on.
    pub since: DateTime<Utc>,
    /// Entries, all of them.
    pub entries: i64,
    /// Entries by kind of stream.
    pub entries_by_kind: BTreeMap<String, i64>,
    /// Deliveries by their outcome, or `failed`, as far as the read model has come.
    pub deliveries: BTreeMap<String, i64>,
    /// Commands to platforms that are over: `done` or `dead`.
    pub pushes: BTreeMap<String, i64>,
}

/// What came and went since a time, of entries up to a position. No index has entries by time: where they begin is looked for by
/// halves.
pub async fn volumes(
    pool: &PgPool,
    tenant: TenantId,
    since: DateTime<Utc>,
    head: i64,
) -> Result<Volumes, LedgerError> {
    let after = position_at(&mut *pool.acquire().await?, tenant, since).await?;
    let rows: Vec<(String, String, i64)> = sqlx::query_as(include_str!("standing_volumes.sql"))
        .bind(tenant.0)
        .bind(after)
        .bind(head)
        .bind(since)
        .bind(COUNTED_MAX)
        .fetch_all(pool)
        .await?;
    let of = |what: &str| -> BTreeMap<String, i64> {
        let those = rows.iter().filter(|(of, ..)| of == what);
        those.map(|(_, kind, number)| (kind.clone(), *number)).collect()
    };
    Ok(Volumes {
        since,
        entries: (head - after).max(0),
        entries_by_kind: of("entries"),
        deliveries: of("deliveries"),
        pushes: of("pushes"),
    })
}
