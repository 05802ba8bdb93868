//! The audit log: who did what to what, when, and in the course of what. It is history itself, not a copy of it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};

use super::{Page, QueryError, Window};

/// An entry as an auditor sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the ledger, described there")]
pub struct AuditView {
    pub position: i64,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub source: String,
    pub correlation_id: String,
    pub action: String,
    pub stream: String,
    pub data: Value,
}

/// What the log is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// One stream; found by its index. The others are looked for from the newest entry back.
    pub stream: Option<String>,
    /// One kind of event.
    pub action: Option<String>,
    /// One actor.
    pub actor: Option<String>,
    /// Everything that followed from one request.
    pub correlation_id: Option<String>,
}

/// A tenant's log, newest first. A caller bound to a brand sees what concerns its own products and connections.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &AuditFilter,
) -> Result<Page<AuditView>, QueryError> {
    let rows = sqlx::query_as(include_str!("audit_log.sql"))
        .bind(window.tenant.0)
        .bind(&window.brand)
        .bind(window.after::<i64>()?)
        .bind(&filter.stream)
        .bind(&filter.action)
        .bind(&filter.actor)
        .bind(&filter.correlation_id)
        .bind(window.fetch())
        .fetch_all(pool)
        .await?;
    Ok(window.page(rows, |row: &AuditView| row.position))
}
