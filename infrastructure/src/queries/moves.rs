//! Moves: every change of a shelf, with what was on it before and after, read from history itself.
//!
//! Each entry of a shelf carries what is on it afterwards, and the entry before carries what was on it
//! before; so there is nothing here to rebuild, and nothing that could disagree with history.

use chrono::{DateTime, Utc};
use onhand_domain::{
    Event,
    values::{ReservationId, TenantId, VariantId},
};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window};
use crate::ledger::{read, versions_at};

/// Entries looked through for one page of a list that names neither shelf nor reservation. A page may then be
/// short, or empty, and yet not the last.
const STRETCH: i64 = 20_000;
/// Locations of one variant that are looked at at once.
const SHELVES_MAX: i64 = 200;

/// The stored names of moves; a kind is what follows the dot.
const NAMES: [&str; 11] = [
    "stock.restocked",
    "stock.adjusted",
    "stock.counted",
    "stock.reserved",
    "stock.regained",
    "stock.committed",
    "stock.released",
    "stock.expired",
    "stock.transferred_out",
    "stock.transferred_in",
    "stock.covered",
];

/// A change of a shelf, as a reader sees it.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields of the entry, described in docs/EVENTS.md")]
pub struct MoveView {
    pub position: i64,
    pub recorded_at: DateTime<Utc>,
    /// `restocked`, `reserved` and so on.
    pub kind: String,
    pub sku: String,
    pub variant_id: Uuid,
    pub location: String,
    /// Units on hand and reserved, before and after; none for entries of older programs.
    pub on_hand_before: Option<i64>,
    pub on_hand_after: Option<i64>,
    pub reserved_before: Option<i64>,
    pub reserved_after: Option<i64>,
    pub actor: String,
    pub source: String,
    pub correlation_id: String,
    /// The entry's own fields: quantity, reservation, reference, reason, `occurred_at`.
    #[serde(flatten)]
    pub details: Value,
}

/// What a list of moves is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct MoveFilter {
    /// One SKU.
    pub sku: Option<String>,
    /// One location.
    pub location: Option<String>,
    /// One kind.
    pub kind: Option<String>,
    /// One reservation.
    pub reservation: Option<ReservationId>,
    /// Those up to and with this position.
    pub to: Option<i64>,
}

#[derive(FromRow)]
struct Row {
    position: i64,
    recorded_at: DateTime<Utc>,
    name: String,
    name_version: i16,
    payload: String,
    variant_id: Uuid,
    location: String,
    sku: String,
    first: bool,
    on_hand_before: Option<i64>,
    on_hand_after: Option<i64>,
    reserved_before: Option<i64>,
    reserved_after: Option<i64>,
    actor: Option<String>,
    source: Option<String>,
    correlation_id: Option<String>,
}

/// A tenant's moves, newest first.
pub async fn list(pool: &PgPool, window: &Window, filter: &MoveFilter) -> Result<Page<MoveView>, QueryError> {
    let mut conn = pool.acquire().await?;
    let shelves = shelves_of(&mut conn, window.tenant, filter).await?;
    of_shelves(&mut conn, window, filter, shelves).await
}

/// The moves of some shelves, or of all, newest first; whatever the filter says of SKUs.
pub(super) async fn of_shelves(
    conn: &mut PgConnection,
    window: &Window,
    filter: &MoveFilter,
    streams: Option<Vec<String>>,
) -> Result<Page<MoveView>, QueryError> {
    let head = match (window.after::<i64>()?, filter.to) {
        (Some(before), Some(to)) => before.min(to.saturating_add(1)),
        (Some(before), None) => before,
        (None, Some(to)) => to.saturating_add(1),
        (None, None) => newest(&mut *conn, window.tenant).await? + 1,
    };
    // With shelves to look at, each is followed back by itself; without, history is, a stretch at a time.
    let floor = if streams.is_some() { 0 } else { head.saturating_sub(STRETCH).max(0) };
    let names: Vec<&str> = match &filter.kind {
        Some(kind) => NAMES.into_iter().filter(|name| name.strip_prefix("stock.") == Some(kind)).collect(),
        None => NAMES.to_vec(),
    };
    if names.is_empty() {
        let kinds: Vec<&str> = NAMES.iter().map(|name| name.trim_start_matches("stock.")).collect();
        return Err(QueryError::Choice(format!("kind is one of {}", kinds.join(", "))));
    }
    // Each shelf from where it was then, however much has happened to it since.
    let asked: Vec<(String, i64)> =
        streams.iter().flatten().map(|stream| (stream.clone(), head.saturating_sub(1))).collect();
    let versions = versions_at(&mut *conn, window.tenant, &asked).await?;
    let sql =
        if streams.is_some() { include_str!("moves_of_shelves.sql") } else { include_str!("moves.sql") };
    let rows: Vec<Row> = sqlx::query_as(sql)
        .bind(window.tenant.0)
        .bind(&window.brand)
        .bind(head)
        .bind(window.fetch())
        .bind(names)
        .bind(filter.reservation.map(|reservation| reservation.0.to_string()))
        .bind(streams.unwrap_or_default())
        .bind(floor)
        .bind(&filter.location)
        .bind(versions.into_iter().map(|(version, _)| version).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    let moves: Vec<MoveView> = rows.into_iter().map(view).collect();
    let mut page = window.page(moves, |row: &MoveView| row.position);
    if page.next_cursor.is_none() && floor > 0 {
        page.next_cursor = Some(super::cursor(&(floor + 1)));
    }
    Ok(page)
}

/// The shelves a filter speaks of; none if it speaks of all.
async fn shelves_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &MoveFilter,
) -> Result<Option<Vec<String>>, QueryError> {
    let Some(sku) = &filter.sku else { return of_reservation(conn, tenant, filter).await };
    let variant: Option<(Uuid,)> =
        sqlx::query_as("select id from variants where tenant_id = $1 and sku = $2")
            .bind(tenant.0)
            .bind(sku)
            .fetch_optional(&mut *conn)
            .await?;
    let variant = variant.map(|(id,)| VariantId(id));
    Ok(Some(of_variant(conn, tenant, variant, filter.location.as_deref()).await?))
}

/// The shelves a reservation took units from; none if the filter names no reservation.
pub(super) async fn of_reservation(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &MoveFilter,
) -> Result<Option<Vec<String>>, QueryError> {
    let Some(reservation) = filter.reservation else { return Ok(None) };
    Ok(Some(read::shelves_of_reservation(conn, tenant, reservation).await?))
}

/// The shelves of a variant, as history itself has them; the one at a location, if one is named.
pub(super) async fn of_variant(
    conn: &mut PgConnection,
    tenant: TenantId,
    variant: Option<VariantId>,
    location: Option<&str>,
) -> Result<Vec<String>, QueryError> {
    let Some(variant) = variant else { return Ok(vec![]) };
    let prefix = format!("stock/{variant}");
    if let Some(location) = location {
        return Ok(vec![format!("{prefix}/{location}")]);
    }
    let shelves = read::streams_begun(conn, tenant, &[prefix.as_str()], "", SHELVES_MAX + 1).await?;
    if shelves.len() as i64 > SHELVES_MAX {
        let detail = format!("this SKU has been at more than {SHELVES_MAX} locations; name one of them");
        return Err(QueryError::Choice(detail));
    }
    Ok(shelves.into_iter().map(|(stream, _)| stream).collect())
}

/// The position of the newest entry; 0 if there is none.
pub async fn newest(conn: impl PgExecutor<'_>, tenant: TenantId) -> Result<i64, sqlx::Error> {
    let (position,): (i64,) =
        sqlx::query_as("select coalesce((select position from ledger_heads where tenant_id = $1), 0)")
            .bind(tenant.0)
            .fetch_one(conn)
            .await?;
    Ok(position)
}

fn view(row: Row) -> MoveView {
    // In its newest shape, whatever it was written in.
    let payload = match Event::read(&row.name, row.name_version, &row.payload) {
        Ok(event) => event.stored().payload,
        Err(_) => row.payload,
    };
    let nothing = row.first.then_some(0);
    MoveView {
        position: row.position,
        recorded_at: row.recorded_at,
        kind: row.name.trim_start_matches("stock.").to_owned(),
        sku: row.sku,
        variant_id: row.variant_id,
        location: row.location,
        on_hand_before: row.on_hand_before.or(nothing),
        on_hand_after: row.on_hand_after,
        reserved_before: row.reserved_before.or(nothing),
        reserved_after: row.reserved_after,
        actor: row.actor.unwrap_or_default(),
        source: row.source.unwrap_or_default(),
        correlation_id: row.correlation_id.unwrap_or_default(),
        details: serde_json::from_str(&payload).unwrap_or_default(),
    }
}
