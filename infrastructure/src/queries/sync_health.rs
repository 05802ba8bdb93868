//! How pushing fares: what waits, how long it took, what was given up, and how each platform answers.

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::values::TenantId;
use serde::Serialize;
use sqlx::{FromRow, PgPool, types::Json};
use uuid::Uuid;

/// Connections that are told about at a time.
const CONNECTIONS_MAX: i64 = 10_000;
/// Pushes looked at for how long they took, of each connection, the newest first.
const SAMPLE_MAX: i64 = 2_000;

/// How pushing to one connection fares.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct ConnectionHealth {
    /// Which.
    pub id: Uuid,
    /// As the seller calls it.
    pub name: String,
    /// Whose wire format.
    pub platform: String,
    /// The seller's brand.
    pub brand: String,
    /// Switched on.
    pub enabled: bool,
    /// Given a rest.
    pub paused: bool,
    /// Thresholds that are crossed, as they are on record: `lag`, `error_rate`, `dead_letters`.
    pub alerts: Json<Vec<String>>,
    /// `closed`, `open` or `half_open`.
    pub breaker: String,
    /// When an open breaker lets the platform be looked at again.
    pub retry_at: Option<DateTime<Utc>>,
    /// Until when the platform has asked to wait, or its calls are used up; none if that is over.
    pub held_until: Option<DateTime<Utc>>,
    /// What stood in the way last.
    pub reason: Option<String>,
    /// Commands that wait or are under way.
    pub queued: i64,
    /// Age in seconds of the oldest of them.
    pub oldest_queued_seconds: Option<i64>,
    /// Commands given up, and not taken up again.
    pub dead: i64,
    /// Commands done or given up within 24 hours, of the newest two thousand.
    pub ended_24h: i64,
    /// Attempts that failed within 24 hours, in a thousand of all.
    pub failed_per_mille_24h: i64,
    /// From being owed to being shown, milliseconds, of the last quarter of an hour: the middle one.
    pub lag_p50_ms: Option<i64>,
    /// Nineteen of twenty are quicker.
    pub lag_p95_ms: Option<i64>,
    /// Ninety-nine of a hundred are quicker.
    pub lag_p99_ms: Option<i64>,
    /// Calls used today under each limit that is counted by the day.
    pub calls_today: Json<Vec<CallsToday>>,
}

/// What of a day's calls is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct CallsToday {
    /// The limit's window, milliseconds.
    pub within_ms: i64,
    /// Calls on the last day on which there were any.
    pub used: i64,
    /// That day, by the platform's calendar.
    pub day: chrono::NaiveDate,
}

impl ConnectionHealth {
    /// Whether nothing is to be told for now: then nothing is late.
    pub fn is_at_rest(&self) -> bool {
        self.paused || !self.enabled
    }

    /// Seconds that pushes are behind: the age of what waits, or what the slowest of late took.
    pub fn lag_seconds(&self) -> i64 {
        self.oldest_queued_seconds.unwrap_or_default().max(self.lag_p95_ms.unwrap_or_default() / 1_000)
    }
}

/// How each of a tenant's connections fares, by id; of one brand, or a single one, if that is named.
pub async fn of_connections(
    pool: &PgPool,
    tenant: TenantId,
    (brand, connection): (Option<&str>, Option<Uuid>),
    now: DateTime<Utc>,
) -> Result<Vec<ConnectionHealth>, sqlx::Error> {
    sqlx::query_as(include_str!("sync_health.sql"))
        .bind(tenant.0)
        .bind(brand)
        .bind(now)
        .bind(now - TimeDelta::hours(24))
        .bind(SAMPLE_MAX)
        .bind(CONNECTIONS_MAX)
        .bind(connection)
        .fetch_all(pool)
        .await
}

/// How the front door fares: milliseconds from a webhook's coming in to its being done, of the last hour.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct WebhookHealth {
    /// Requests that were noted.
    pub count: i64,
    /// Of these, failed.
    pub failed: i64,
    /// The middle one.
    pub p50_ms: Option<f64>,
    /// Nineteen of twenty are quicker.
    pub p95_ms: Option<f64>,
    /// Follow-ups that are due and not done.
    pub follow_ups_due: i64,
}

/// How a tenant's webhooks fared in the last hour.
pub async fn of_webhooks(
    pool: &PgPool,
    tenant: TenantId,
    brand: Option<&str>,
    now: DateTime<Utc>,
) -> Result<WebhookHealth, sqlx::Error> {
    sqlx::query_as(
        "select count(*) as count, count(*) filter (where result in ('failed', 'unavailable')) as failed,
                percentile_cont(0.5) within group (order by took) as p50_ms,
                percentile_cont(0.95) within group (order by took) as p95_ms,
                (select count(*) from follow_ups f
                 left join connections c on c.tenant_id = f.tenant_id and c.id = f.connection_id
                 where f.tenant_id = $1 and f.status = 'pending' and f.next_attempt_at < $3
                   and ($2::text is null or c.brand = $2)) as follow_ups_due
         from (
             select t.result,
                    (t.verifying_us + t.enriching_us + t.deciding_us + t.executing_us)::float8 / 1000 as took
             from webhook_traces t
             join connections c on c.tenant_id = t.tenant_id and c.id = t.connection_id
             where t.tenant_id = $1 and t.at > $3 - interval '1 hour' and ($2::text is null or c.brand = $2)
             order by t.at desc limit 20000
         ) t",
    )
    .bind(tenant.0)
    .bind(brand)
    .bind(now)
    .fetch_one(pool)
    .await
}
