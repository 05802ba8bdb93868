//! The audit log: who did what to what, when, from where, and in the course of what. It is history itself, not a copy
//! of it.

mod changes;
mod export;
mod search;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

pub use self::export::{AuditLine, Export};
use self::{
    changes::Folded,
    search::{Found, Order, Row, Search},
};
use super::{Page, QueryError, Window, difference::Difference, moves};
use crate::ledger::Entry;

/// Longer than anything that could be looked for, in bytes.
const TEXT_MAX: usize = 1_000;

/// An entry as an auditor sees it.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the columns of the ledger, described there")]
pub struct AuditView {
    pub position: i64,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub source: String,
    /// Where a request came from; none if it was none.
    pub address: Option<String>,
    pub correlation_id: String,
    pub action: String,
    pub stream: String,
    pub version: i64,
    pub data: Value,
    /// Old and new values, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<Difference>>,
}

impl AuditView {
    fn new(entry: &Entry, changes: Option<Vec<Difference>>) -> Self {
        let metadata: Value = serde_json::from_str(&entry.metadata).unwrap_or_default();
        let text = |name: &str| metadata[name].as_str().map(str::to_owned);
        Self {
            position: entry.position,
            recorded_at: entry.recorded_at,
            actor: text("actor").unwrap_or_default(),
            source: text("source").unwrap_or_default(),
            address: text("address"),
            correlation_id: text("correlation_id").unwrap_or_default(),
            action: entry.name.clone(),
            stream: entry.stream.clone(),
            version: entry.version,
            data: serde_json::from_str(&entry.payload).unwrap_or_default(),
            changes,
        }
    }
}

/// What the log is narrowed to, as the caller said it. An entry has to fit all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFilter {
    /// One stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// One kind of event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// One actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Everything that followed from one request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// One door, and those within it: `webhook` is also `webhook/shopify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// One address that requests came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// One kind of stream: `stock`, `product`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// What one SKU names: its shelves, its product, its claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// What was done to the system and its settings, or all the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub administrative: Option<bool>,
    /// From this time or position on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Up to and with this time or position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Tell old and new values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changes: bool,
}

impl AuditFilter {
    /// Whether it makes sense, as far as that can be said without looking anything up.
    pub fn check(&self) -> Result<(), QueryError> {
        let Self {
            stream, action, actor, correlation_id, source, address, entity, sku, since, until, ..
        } = self;
        let texts = [stream, action, actor, correlation_id, source, address, entity, sku, since, until];
        if texts.into_iter().flatten().any(|text| text.len() > TEXT_MAX || text.contains('\0')) {
            let detail = format!("a filter has at most {TEXT_MAX} bytes, and no U+0000 in it");
            return Err(QueryError::Choice(detail));
        }
        if entity.iter().any(|kind| !kind.bytes().all(|byte| byte.is_ascii_lowercase())) {
            let detail = "entity is the first word of a stream: stock, product, order and so on";
            return Err(QueryError::Choice(detail.to_owned()));
        }
        super::sku_filter(sku.as_deref())?;
        for moment in [since, until].into_iter().flatten() {
            search::moment(moment)?;
        }
        Ok(())
    }
}

/// A tenant's log, newest first. A caller bound to a brand sees what concerns its own products and connections.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &AuditFilter,
) -> Result<Page<AuditView>, QueryError> {
    let before = window.after::<i64>()?;
    let head = moves::newest(pool, window.tenant).await?;
    let mut conn = pool.acquire().await?;
    let who = (window.tenant, window.brand.as_deref());
    let mut search = Search::new(&mut conn, who, filter, head).await?;
    let to = before.map_or(search.to, |before| search.to.min(before.saturating_sub(1)));
    let rest = (search.after, to);
    let stretch = search.stretch(&mut conn, rest, Order::NewestFirst).await?;
    let Found { rows, all } = search.rows(&mut conn, &stretch, (Order::NewestFirst, window.fetch())).await?;
    let mut page: Page<Row> = window.page(rows, |row: &Row| row.entry.position);
    if page.next_cursor.is_none() {
        // Cut by what it weighs, or by the end of the stretch.
        let on = if all { Some(stretch.after + 1) } else { page.data.last().map(|last| last.entry.position) };
        page.next_cursor = on.filter(|on| *on > search.after + 1).map(|on| super::cursor(&on));
    }
    let told = changes_of(&mut conn, &search, &page.data, &mut Folded::default()).await?;
    let data = page.data.iter().zip(told).map(|(row, changes)| AuditView::new(&row.entry, changes)).collect();
    Ok(Page { data, next_cursor: page.next_cursor })
}

/// Old and new values of each row; none, if nobody asked.
async fn changes_of(
    conn: &mut PgConnection,
    search: &Search,
    rows: &[Row],
    folded: &mut Folded,
) -> Result<Vec<Option<Vec<Difference>>>, QueryError> {
    if !search.filter.changes {
        return Ok(vec![None; rows.len()]);
    }
    let entries: Vec<&Entry> = rows.iter().map(|row| &row.entry).collect();
    Ok(changes::of(conn, search.tenant, &entries, folded).await?.into_iter().map(Some).collect())
}
