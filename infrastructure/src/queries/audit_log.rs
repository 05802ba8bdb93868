//! The audit log: who did what to what, when, and in the course of what.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};

use super::{Page, QueryError, Window};

/// An entry as an auditor sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
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
    /// One stream.
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
    let rows = sqlx::query_as(
        "select a.position, a.recorded_at, a.actor, a.source, a.correlation_id, a.action, a.stream, a.data
         from audit_log a
         where a.tenant_id = $1
           and ($2::text is null
                or exists (select from products p where p.tenant_id = $1 and p.brand = $2
                           and p.id = coalesce(a.product_id, (select product_id from variants
                                                              where tenant_id = $1 and id = a.variant_id)))
                or exists (select from connections c where c.tenant_id = $1 and c.brand = $2 and c.id = coalesce(
                    a.connection_id,
                    (select connection_id from listings where tenant_id = $1
                        and id = case when a.stream like 'listing/%' then substr(a.stream, 9)::uuid end))))
           and ($3::bigint is null or a.position < $3)
           and ($4::text is null or a.stream = $4) and ($5::text is null or a.action = $5)
           and ($6::text is null or a.actor = $6) and ($7::text is null or a.correlation_id = $7)
         order by a.position desc limit $8",
    )
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
