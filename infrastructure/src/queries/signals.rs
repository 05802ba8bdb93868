//! Signals: read from history itself, in order, from wherever a consumer was.

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{PAGE_MAX, QueryError};

/// A signal as a consumer reads it.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct SignalView {
    /// 1, 2, 3 … within the connection, without gaps; ask for what comes after the last one seen.
    pub number: i64,
    /// Its place in the ledger.
    pub position: i64,
    /// Unique among all signals: what a consumer recognises a repeat by.
    pub id: Uuid,
    /// When it was taken in.
    pub recorded_at: DateTime<Utc>,
    /// What it is about.
    pub subject: String,
    /// All of it.
    pub payload: Value,
}

/// A connection's signals after a number, in order; at most `limit`. The brand, if one is given, must be the
/// connection's.
pub async fn after(
    pool: &PgPool,
    tenant: TenantId,
    brand: Option<&str>,
    connection: Uuid,
    number: i64,
    limit: i64,
) -> Result<Vec<SignalView>, QueryError> {
    let rows = sqlx::query_as(
        "select e.version as number, e.position, e.event_id as id, e.recorded_at,
                e.payload::jsonb->>'subject' as subject, e.payload::jsonb->'payload' as payload
         from events e
         where e.tenant_id = $1 and e.stream = $2 and e.version > $3 -- by stream and version
           and ($4::text is null or exists (
               select from connections c where c.tenant_id = $1 and c.id = $5 and c.brand = $4))
         order by e.version limit $6",
    )
    .bind(tenant.0)
    .bind(format!("signal/{connection}"))
    .bind(number)
    .bind(brand)
    .bind(connection)
    .bind(limit.clamp(1, PAGE_MAX))
    .fetch_all(pool)
    .await?;
    Ok(rows)
}
