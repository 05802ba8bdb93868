//! Traces of the front door: kept in batches, read as figures.

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::observation::Trace;

/// Keeps traces with one statement.
pub(crate) async fn keep(pool: &PgPool, traces: &[Trace]) -> Result<(), sqlx::Error> {
    if traces.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin().await?;
    // What is only observed need not survive a crash to the last row.
    sqlx::query("set local synchronous_commit to off").execute(&mut *tx).await?;
    let texts = |column: fn(&Trace) -> Option<&str>| -> Vec<Option<String>> {
        traces.iter().map(|trace| column(trace).map(str::to_owned)).collect()
    };
    let numbers = |column: fn(&Trace) -> i64| -> Vec<i64> { traces.iter().map(column).collect() };
    sqlx::query(include_str!("webhook_traces_keep.sql"))
        .bind(traces.iter().map(|trace| trace.tenant.0).collect::<Vec<_>>())
        .bind(traces.iter().map(|trace| trace.at).collect::<Vec<_>>())
        .bind(traces.iter().map(|trace| trace.id).collect::<Vec<_>>())
        .bind(traces.iter().map(|trace| trace.connection.0).collect::<Vec<_>>())
        .bind(traces.iter().map(|trace| trace.delivery.map(|id| id.0)).collect::<Vec<_>>())
        .bind(texts(|trace| Some(trace.platform)))
        .bind(texts(|trace| trace.topic.as_deref()))
        .bind(texts(|trace| Some(trace.result)))
        .bind(texts(|trace| Some(&trace.correlation_id)))
        .bind(texts(|trace| trace.source_address.as_deref()))
        .bind(texts(|trace| trace.user_agent.as_deref()))
        .bind(numbers(|trace| trace.body_bytes))
        .bind(numbers(|trace| trace.verifying_us))
        .bind(numbers(|trace| trace.enriching_us))
        .bind(numbers(|trace| trace.deciding_us))
        .bind(numbers(|trace| trace.executing_us))
        .bind(numbers(|trace| trace.total_us))
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

/// What a platform's webhooks came to in a window of time.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct WebhookFigures {
    /// Whose wire format.
    pub platform: String,
    /// Requests, let in or not.
    pub requests: i64,
    /// Requests that were acted on, now or before.
    pub succeeded: i64,
    /// Genuine requests that could not be acted on.
    pub failed: i64,
    /// Requests that were not genuine.
    pub rejected: i64,
    /// Requests beyond the rate.
    pub limited: i64,
    /// Succeeded, as a share of those that were genuine and within the rate; none if there were none.
    pub success_rate: Option<f64>,
    /// Bytes of all bodies.
    pub body_bytes: i64,
    /// Time to answer those that were acted on, in milliseconds: half of them took no longer.
    pub p50_ms: Option<f64>,
    /// 95 of 100.
    pub p95_ms: Option<f64>,
    /// 99 of 100.
    pub p99_ms: Option<f64>,
}

/// Figures for each platform from `from` until before `until`.
pub async fn figures(
    pool: &PgPool,
    tenant: TenantId,
    brand: Option<&str>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<WebhookFigures>, sqlx::Error> {
    sqlx::query_as(include_str!("webhook_traces_figures.sql"))
        .bind(tenant.0)
        .bind(brand)
        .bind(from)
        .bind(until)
        .fetch_all(pool)
        .await
}

/// One stage of a request.
#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    /// `received`, `enriching`, `deciding`, `executing`; then `completed` or `failed`.
    pub stage: &'static str,
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
}

#[derive(FromRow)]
struct Row {
    at: DateTime<Utc>,
    result: String,
    verifying_us: i64,
    enriching_us: i64,
    deciding_us: i64,
    executing_us: i64,
}

/// The stages of each request of a delivery, the oldest first; as far as they were observed.
pub async fn stages(pool: &PgPool, tenant: TenantId, delivery: Uuid) -> Result<Vec<Vec<Stage>>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select at, result, verifying_us, enriching_us, deciding_us, executing_us from webhook_traces
         where tenant_id = $1 and delivery_id = $2 order by at limit 50 -- webhook_traces_delivery_idx",
    )
    .bind(tenant.0)
    .bind(delivery)
    .fetch_all(pool)
    .await?;
    Ok(rows.iter().map(stages_of).collect())
}

fn stages_of(row: &Row) -> Vec<Stage> {
    let last = match row.result.as_str() {
        "processed" | "duplicate" => "completed",
        _ => "failed",
    };
    let parts = [
        ("received", row.verifying_us),
        ("enriching", row.enriching_us),
        ("deciding", row.deciding_us),
        ("executing", row.executing_us),
        (last, 0),
    ];
    let mut at = row.at;
    parts
        .into_iter()
        .map(|(stage, took)| {
            let begun = at;
            at += chrono::TimeDelta::microseconds(took);
            Stage { stage, at: begun, took_ms: took as f64 / 1_000.0 }
        })
        .collect()
}
