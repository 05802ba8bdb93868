//! Reservations as they were.
//!
//! What has not changed since is read from the read model as it is; the rest is what the entries
//! from where they were made up to then add up to, by the rule that makes the read model.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    Event, StreamId,
    stock::StockEvent,
    values::{StockId, TenantId},
};
use serde::Serialize;
use serde_json::json;
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::{VariantAt, variants_at};
use crate::{
    ledger::{
        Entry, LedgerError, positions_at,
        read::{self, Span},
        versions_at,
    },
    queries::{
        Page, QueryError, Window,
        gathering::Gathering,
        reservation_lines::{Net, add_up},
        reservations::{ReservationFilter, ReservationView, next_ids},
    },
};

/// A line as it is, or as it was.
#[derive(Debug, Clone, Serialize, FromRow)]
struct Line {
    reservation_id: Uuid,
    variant_id: Uuid,
    location: String,
    reserved: i64,
    committed: i64,
    released: i64,
    expired: i64,
    refund_due: i64,
    reserved_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    actor: String,
    /// Of the newest entry that changed it.
    position: i64,
    /// It was not there before; none if nothing is known of that.
    begun_at: Option<DateTime<Utc>>,
}

impl Line {
    fn stream(&self) -> String {
        format!("stock/{}/{}", self.variant_id, self.location)
    }

    /// The same line as entries add up to it; none if they do not make it.
    fn with(self, net: Net) -> Option<Self> {
        let (reserved_at, actor) = net.made?;
        Some(Self {
            reserved: net.reserved,
            committed: net.committed,
            released: net.released,
            expired: net.expired,
            refund_due: net.refund_due,
            reserved_at,
            actor,
            expires_at: net.expires_at.flatten(),
            position: net.position,
            ..self
        })
    }
}

/// A tenant's reservations as they were at a position, which the read model has reached; by id.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &ReservationFilter,
    position: i64,
) -> Result<Page<ReservationView>, QueryError> {
    let mut conn = pool.acquire().await?;
    if let Some(id) = filter.id {
        let data = reservations_at(&mut conn, window, filter, position, &[id]).await?;
        return Ok(Page { data, next_cursor: None });
    }
    let mut page = Gathering::new(window, window.after::<Uuid>()?);
    while let Some((wanted, after)) = page.next() {
        let ids = next_ids(&mut conn, window.tenant, after, wanted).await?;
        let reservations = reservations_at(&mut conn, window, filter, position, &ids).await?;
        page.take(reservations, (wanted, ids.len()), ids.last().copied());
    }
    Ok(page.page(|reservation| reservation.id))
}

async fn reservations_at(
    conn: &mut PgConnection,
    window: &Window,
    filter: &ReservationFilter,
    position: i64,
    ids: &[Uuid],
) -> Result<Vec<ReservationView>, QueryError> {
    let lines: Vec<Line> = sqlx::query_as(include_str!("reservations_begun.sql"))
        .bind(window.tenant.0)
        .bind(ids)
        .bind(position)
        .fetch_all(&mut *conn)
        .await?;
    let lines = lines_at(conn, window.tenant, position, lines).await?;
    together(conn, window, filter, position, lines).await
}

/// Lines as they were; those that were not there yet are left out.
async fn lines_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    lines: Vec<Line>,
) -> Result<Vec<Line>, QueryError> {
    let (changed, mut lines): (Vec<Line>, Vec<Line>) =
        lines.into_iter().partition(|line| line.position > position);
    if changed.is_empty() {
        return Ok(lines);
    }
    let mut nets = nets_at(conn, tenant, position, &changed).await?;
    lines.extend(changed.into_iter().filter_map(|line| {
        let net = nets.remove(&(line.reservation_id, line.stream()))?;
        line.with(net)
    }));
    Ok(lines)
}

/// What the entries up to a position add up to, by reservation and shelf.
async fn nets_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    lines: &[Line],
) -> Result<HashMap<(Uuid, String), Net>, LedgerError> {
    // Each shelf is read once, from where the first of these lines was made.
    let mut shelves: BTreeMap<String, Option<DateTime<Utc>>> = BTreeMap::new();
    for line in lines {
        let begun_at = shelves.entry(line.stream()).or_insert(line.begun_at);
        *begun_at = line.begun_at.min(*begun_at); // none comes before every time
    }
    // Entries of one moment may stand in any order.
    let before = |begun_at: Option<DateTime<Utc>>| match begun_at {
        Some(time) => time - TimeDelta::microseconds(1),
        None => DateTime::UNIX_EPOCH,
    };
    let times: Vec<DateTime<Utc>> = shelves.values().copied().map(before).collect();
    let asked: Vec<(String, i64)> = shelves
        .into_keys()
        .zip(positions_at(conn, tenant, &times).await?)
        .flat_map(|(stream, before)| [(stream.clone(), before), (stream, position)])
        .collect();
    let found = versions_at(conn, tenant, &asked).await?;
    let spans: Vec<Span> = asked
        .chunks_exact(2)
        .zip(found.chunks_exact(2))
        .map(|(asked, found)| Span { stream: asked[0].0.clone(), after: found[0].0, upto: found[1].0 })
        .collect();
    let reservations: HashSet<Uuid> = lines.iter().map(|line| line.reservation_id).collect();
    let reservations: Vec<Uuid> = reservations.into_iter().collect();
    let entries = read::of_reservations(conn, tenant, &spans, &reservations).await?;
    let facts = entries.iter().map(fact).collect::<Result<Vec<_>, LedgerError>>()?;
    let facts = facts.iter().flatten().map(|(entry, shelf, event)| (*entry, shelf, event));
    let nets = add_up(tenant, facts)?;
    Ok(nets
        .into_iter()
        .map(|((reservation, shelf), net)| ((reservation.0, StreamId::Stock(shelf.clone()).to_string()), net))
        .collect())
}

/// What an entry says of a shelf.
fn fact(entry: &Entry) -> Result<Option<(&Entry, StockId, StockEvent)>, LedgerError> {
    Ok(match (entry.stream_id()?, entry.event()?) {
        (StreamId::Stock(shelf), Event::Stock(event)) => Some((entry, shelf, event)),
        _ => None,
    })
}

/// Reservations put together from lines by the rule of the present.
async fn together(
    conn: &mut PgConnection,
    window: &Window,
    filter: &ReservationFilter,
    position: i64,
    lines: Vec<Line>,
) -> Result<Vec<ReservationView>, QueryError> {
    let variants = lines.iter().map(|line| line.variant_id).collect();
    let variants = variants_at(conn, window.tenant, position, variants).await?;
    let lines = lines.iter().map(|line| {
        let mut told = json!(line);
        if let Some(VariantAt { sku, brand, .. }) = variants.get(&line.variant_id) {
            told["sku"] = json!(sku);
            told["brand"] = json!(brand);
        }
        told
    });
    let lines: Vec<_> = lines.collect();
    let rows =
        sqlx::query_as(concat!(include_str!("reservation_lines.sql"), include_str!("../reservations.sql")))
            .bind(&window.brand)
            .bind(&filter.status)
            .bind(Json(lines))
            .fetch_all(conn)
            .await?;
    Ok(rows)
}
