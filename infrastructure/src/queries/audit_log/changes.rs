//! Old and new values: what each entry has changed in the state of its stream, folded from history itself.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use onhand_domain::{
    Event, State, StreamId,
    product::{Product, ProductEvent},
    stock::StockEvent,
    stream::Misplaced,
    values::{ReservationId, TenantId},
};
use serde_json::{Value, json};
use sqlx::{PgConnection, Row};

use crate::{
    ledger::{Entry, LedgerError, StateAt, states_at},
    queries::difference::{Difference, differences, fields, shelf},
};

/// From farther back than this nothing is folded on: there are snapshots that are nearer.
const AHEAD_MAX: i64 = 500;
/// What is kept of states from page to page, in bytes.
const FOLDED_BYTES: usize = 32_000_000;
/// What a state takes besides itself.
const PLACE_BYTES: usize = 500;

/// States as the page before has left them, with their versions: whoever goes through history once does not fold each
/// stream anew for every page.
#[derive(Default)]
pub(super) struct Folded(HashMap<String, (State, i64)>);

impl Folded {
    fn take(&mut self, newest: &Entry) -> Option<(State, i64)> {
        self.0.remove(&newest.stream).filter(|(_, version)| newest.version - version <= AHEAD_MAX)
    }

    fn keep(&mut self, folding: HashMap<&str, Folding>) {
        self.0.extend(folding.into_iter().map(|(stream, it)| (stream.to_owned(), (it.state, it.newest))));
        let bytes: usize = self.0.values().map(|(state, _)| state.bytes() + PLACE_BYTES).sum();
        if bytes > FOLDED_BYTES {
            self.0.clear();
        }
    }
}

/// What each entry of a page has changed, in the order given. They are of one stretch, which bounds the work. What was
/// `folded` before is of older entries than these.
pub(super) async fn of(
    conn: &mut PgConnection,
    tenant: TenantId,
    entries: &[&Entry],
    folded: &mut Folded,
) -> Result<Vec<Vec<Difference>>, LedgerError> {
    let Some(before) = entries.iter().map(|entry| entry.position - 1).min() else { return Ok(vec![]) };
    let mut folding: HashMap<&str, Folding> = HashMap::new();
    let mut unread: HashMap<StreamId, &Entry> = HashMap::new();
    for (stream, newest) in newest(entries) {
        if let Some((state, after)) = folded.take(newest) {
            folding.insert(stream, Folding { state, after, newest: newest.version });
        } else {
            unread.insert(newest.stream_id()?, newest);
        }
    }
    let states = states_at(conn, tenant, before, unread.keys().cloned().collect()).await?;
    for (id, StateAt { state, version, .. }) in states {
        if let Some(newest) = unread.get(&id) {
            folding.insert(&newest.stream, Folding { state, after: version, newest: newest.version });
        }
    }
    let changes = fold(conn, tenant, entries, &mut folding).await?;
    folded.keep(folding);
    Ok(changes)
}

/// The newest entry of each stream.
fn newest<'e>(entries: &[&'e Entry]) -> HashMap<&'e str, &'e Entry> {
    let mut newest: HashMap<&str, &Entry> = HashMap::new();
    for &entry in entries {
        let known = newest.entry(&entry.stream).or_insert(entry);
        if entry.version > known.version {
            *known = entry;
        }
    }
    newest
}

/// A stream that is being folded, from one version to another.
struct Folding {
    state: State,
    after: i64,
    newest: i64,
}

async fn fold(
    conn: &mut PgConnection,
    tenant: TenantId,
    entries: &[&Entry],
    streams: &mut HashMap<&str, Folding>,
) -> Result<Vec<Vec<Difference>>, LedgerError> {
    let mut changes = vec![vec![]; entries.len()];
    let places: HashMap<i64, usize> = (0..).zip(entries).map(|(place, it)| (it.position, place)).collect();
    let mut rows = sqlx::query(
        "select e.position, e.stream, e.name, e.name_version, e.payload
         from unnest($2::text[], $3::bigint[], $4::bigint[]) as s (stream, after, newest)
         join events e on e.tenant_id = $1 and e.stream = s.stream and e.version > s.after and e.version <= s.newest
         order by e.stream, e.version -- events_tenant_id_stream_version_key",
    )
    .bind(tenant.0)
    .bind(streams.keys().map(|stream| (*stream).to_owned()).collect::<Vec<_>>())
    .bind(streams.values().map(|folding| folding.after).collect::<Vec<_>>())
    .bind(streams.values().map(|folding| folding.newest).collect::<Vec<_>>())
    .fetch(conn);
    while let Some(row) = rows.try_next().await? {
        let Some(Folding { state, .. }) = streams.get_mut(row.try_get::<&str, _>("stream")?) else {
            continue;
        };
        let position: i64 = row.try_get("position")?;
        let event = Event::read(row.try_get("name")?, row.try_get("name_version")?, row.try_get("payload")?)
            .map_err(|why| LedgerError::unreadable(position, &why))?;
        let misplaced = |why| LedgerError::misplaced(position, &why);
        match places.get(&position) {
            Some(place) => changes[*place] = evolve(state, &event).map_err(misplaced)?,
            None => state.evolve(event).map_err(misplaced)?,
        }
    }
    Ok(changes)
}

/// Takes a fact, and tells what differs by it.
fn evolve(state: &mut State, event: &Event) -> Result<Vec<Difference>, Misplaced> {
    let before = touched(state, event);
    state.evolve(event.clone())?;
    Ok(differences(&before, &touched(state, event)))
}

/// The part of a state that an event can change: the whole of a large one would be looked through for each entry.
fn touched(state: &State, event: &Event) -> Value {
    match (state, event) {
        (State::Stock(stock), Event::Stock(event)) => shelf(stock, holder(event).as_slice()),
        (State::Product(product), Event::Product(event)) => part(product, event),
        _ => fields(state),
    }
}

/// Whose hold an event may change.
fn holder(event: &StockEvent) -> Option<ReservationId> {
    match event {
        StockEvent::Reserved { reservation, .. }
        | StockEvent::Extended { reservation, .. }
        | StockEvent::Committed { reservation, .. }
        | StockEvent::Released { reservation, .. }
        | StockEvent::Expired { reservation, .. }
        | StockEvent::Regained { reservation, .. }
        | StockEvent::Waived { reservation }
        | StockEvent::RefundDue { reservation, .. } => Some(*reservation),
        StockEvent::Restocked { .. }
        | StockEvent::Adjusted { .. }
        | StockEvent::Counted { .. }
        | StockEvent::Covered { .. }
        | StockEvent::TransferredOut { .. }
        | StockEvent::TransferredIn { .. }
        | StockEvent::PolicySet(_)
        | StockEvent::Low { .. }
        | StockEvent::Recovered { .. } => None,
    }
}

fn part(product: &Product, event: &ProductEvent) -> Value {
    match event {
        ProductEvent::VariantAdded { variant, .. }
        | ProductEvent::VariantChanged { variant, .. }
        | ProductEvent::Priced { variant, .. }
        | ProductEvent::PriceConfirmed { variant, .. } => {
            json!({ "variants": { variant.to_string(): product.variants.get(variant) } })
        }
        ProductEvent::Observed { .. }
        | ProductEvent::Pushed { .. }
        | ProductEvent::TakenOff { .. }
        | ProductEvent::PushFailed { .. } => json!({
            "observed": (!product.observed.is_empty()).then_some(&product.observed),
            "sights": (!product.sights.is_empty()).then_some(&product.sights),
            "offers": (!product.offers.is_empty()).then_some(&product.offers),
        }),
        ProductEvent::Created(_)
        | ProductEvent::Described(_)
        | ProductEvent::Archived {}
        | ProductEvent::Restored {} => {
            json!({ "details": product.details, "archived": product.archived })
        }
    }
}

#[cfg(test)]
mod tests;
