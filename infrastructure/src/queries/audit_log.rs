//! The audit log: who did what to what, when, and in the course of what. It is history itself, not a copy of it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};

use super::{Page, QueryError, Window, moves};

/// Entries looked through for one page of a list that names no stream. A page may then be short, or empty, and yet not the last.
const STRETCH: i64 = 20_000;

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
    let before = match window.after::<i64>()? {
        Some(before) => before,
        None => moves::newest(pool, window.tenant).await? + 1,
    };
    let (order, floor) = match filter.stream {
        Some(_) => ("version", 0),
        None => ("position", before.saturating_sub(STRETCH + 1).max(0)),
    };
    let sql = format!("{} order by e.{order} desc limit $9", include_str!("audit_log.sql"));
    let rows = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(window.tenant.0)
        .bind(&window.brand)
        .bind(before)
        .bind(&filter.stream)
        .bind(&filter.action)
        .bind(&filter.actor)
        .bind(&filter.correlation_id)
        .bind(floor)
        .bind(window.fetch())
        .fetch_all(pool)
        .await?;
    let mut page = window.page(rows, |row: &AuditView| row.position);
    if page.next_cursor.is_none() && floor > 0 {
        page.next_cursor = Some(super::cursor(&(floor + 1)));
    }
    Ok(page)
}
