//! Deliveries: what came in, and what came of it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window};

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
}

/// A tenant's deliveries, newest first.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &DeliveryFilter,
) -> Result<Page<DeliveryView>, QueryError> {
    let rows = sqlx::query_as(
        "select d.id, d.connection_id, d.platform, d.topic, d.external_id, d.status, d.outcome, d.notes, d.reason,
                d.attempts, d.body_sha256, d.body_bytes, d.source_address, d.user_agent, d.correlation_id,
                d.recorded_at, d.position
         from deliveries d
         where d.tenant_id = $1
           and ($2::text is null or exists (select from connections c
                where c.tenant_id = $1 and c.id = d.connection_id and c.brand = $2))
           and ($3::bigint is null or d.position < $3)
           and ($4::text is null or d.status = $4) and ($5::text is null or d.platform = $5)
           and ($6::uuid is null or d.connection_id = $6) and ($7::text is null or d.topic = $7)
         order by d.position desc limit $8 -- deliveries_position_idx",
    )
    .bind(window.tenant.0)
    .bind(&window.brand)
    .bind(window.after::<i64>()?)
    .bind(&filter.status)
    .bind(&filter.platform)
    .bind(filter.connection)
    .bind(&filter.topic)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &DeliveryView| row.position))
}
