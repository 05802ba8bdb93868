//! Which listings and offers an entry concerns: the rows a commit owes to the outbox.
//!
//! Moved stock, the hot case, is part of the append statement itself; everything else is derived here,
//! in a second statement of the same transaction, after the state tables were written.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    Event, State, StreamId,
    connection::{Connection, ConnectionEvent},
    listing::{FigureKind, ListingEvent},
    product::{Product, ProductEvent},
    values::TenantId,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    CommandKind,
    let_out::{self, LetOut},
    offers::{self, Concerned},
};

/// How long a platform's own change is left alone before it is put right: the order that explains it is
/// often a moment behind.
const SETTLING: TimeDelta = TimeDelta::seconds(2);

/// What a batch of entries has touched.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Shelves whose available quantity may have moved, each with the correlation id of what first moved it.
    pub(crate) shelves: BTreeMap<(Uuid, String), String>,
    /// The same for products, listings and connections.
    causes: BTreeMap<Uuid, String>,
    /// Variants and markets with a new price, and whether it is the first one there in its currency.
    prices: BTreeMap<(Uuid, String), bool>,
    /// Products of these variants.
    priced: BTreeSet<Uuid>,
    /// Products that are another than they were, as far as conditions ask about it.
    products: BTreeSet<Uuid>,
    /// Products that may be wanted where they are not yet: new ones, and those with another variant.
    added: BTreeSet<Uuid>,
    /// Products that are described otherwise, have left the catalogue, or are back in it.
    turned: BTreeSet<Uuid>,
    /// Of these, the ones for which other words were chosen.
    reworded: BTreeSet<Uuid>,
    /// Listings that are to show everything, having just been mapped.
    listings: BTreeSet<Uuid>,
    /// Listings that are gone: to these nothing is owed any more.
    removed: BTreeSet<Uuid>,
    /// Listings whose platform shows something that is not from us.
    strayed: BTreeSet<(Uuid, &'static str)>,
    /// Listings whose figure is not in question any more, or was found not to be shown.
    settled: BTreeSet<(Uuid, &'static str)>,
    /// Connections that may have to be told what they were not, and of what.
    let_out: BTreeSet<(Uuid, LetOut)>,
}

impl Touched {
    /// Notes what one entry touches, and of which request it is. `before` is the state it meets.
    pub(crate) fn note(
        &mut self,
        stream: &StreamId,
        event: &Event,
        (before, correlation_id): (Option<&State>, &str),
    ) {
        let touched = match (stream, event) {
            (StreamId::Stock(id), Event::Stock(event)) if event.moves_available() => {
                let shelf = (id.variant.0, id.location.to_string());
                self.shelves.entry(shelf).or_insert_with(|| correlation_id.to_owned());
                return;
            }
            (StreamId::Product(id), Event::Product(event)) => {
                let before = match before {
                    Some(State::Product(product)) => Some(product.as_ref()),
                    _ => None,
                };
                self.note_product(id.0, event, before).then_some(id.0)
            }
            (StreamId::Listing(id), Event::Listing(event)) => self.note_listing(id.0, event).then_some(id.0),
            (StreamId::Connection(id), Event::Connection(event)) => {
                let before = match before {
                    Some(State::Connection(connection)) => Some(connection.as_ref()),
                    _ => None,
                };
                self.note_connection(id.0, event, before).then_some(id.0)
            }
            _ => None,
        };
        if let Some(id) = touched {
            self.causes.entry(id).or_insert_with(|| correlation_id.to_owned());
        }
    }

    /// The same of a listing; this and the next ones say whether it touches anything.
    fn note_listing(&mut self, id: Uuid, event: &ListingEvent) -> bool {
        match event {
            ListingEvent::Mapped(_) => {
                self.listings.insert(id);
            }
            ListingEvent::Removed { .. } => {
                self.removed.insert(id);
            }
            ListingEvent::QuantityObserved { echo: false, .. } => {
                self.strayed.insert((id, "quantity"));
            }
            ListingEvent::PriceObserved { echo: false, .. } => {
                self.strayed.insert((id, "price"));
            }
            ListingEvent::ConflictOpened(conflict) => {
                self.strayed.remove(&(id, kind(conflict.shows.kind())));
            }
            ListingEvent::ConflictResolved { kind: of, .. } => {
                self.settled.insert((id, kind(*of)));
            }
            ListingEvent::Drifted { shows, .. } => {
                self.settled.insert((id, kind(shows.kind())));
            }
            ListingEvent::QuantityObserved { echo: true, .. }
            | ListingEvent::PriceObserved { echo: true, .. }
            | ListingEvent::VariantObserved(_)
            | ListingEvent::QuantityPushed { .. }
            | ListingEvent::PricePushed { .. }
            | ListingEvent::FigureSent(_)
            | ListingEvent::PushFailed { .. } => return false,
        }
        true
    }

    fn note_product(&mut self, id: Uuid, event: &ProductEvent, before: Option<&Product>) -> bool {
        match event {
            ProductEvent::Created(_) | ProductEvent::VariantAdded { .. } => {
                self.added.insert(id);
            }
            ProductEvent::VariantChanged { .. } => {
                self.products.insert(id);
                self.added.insert(id);
            }
            ProductEvent::Described(details) => {
                self.products.insert(id);
                self.turned.insert(id);
                let known = before.and_then(|product| product.details.as_ref());
                if known.is_none_or(|known| known.words() != details.words()) {
                    self.reworded.insert(id);
                }
            }
            ProductEvent::Priced { variant, market, price, .. } => {
                let known = before.and_then(|product| product.variants.get(variant)?.prices.get(market));
                let is_first = known.is_none_or(|known| known.currency != price.currency);
                *self.prices.entry((variant.0, market.to_string())).or_default() |= is_first;
                self.priced.insert(id);
            }
            ProductEvent::Archived {} | ProductEvent::Restored {} => {
                self.turned.insert(id);
            }
            ProductEvent::PriceConfirmed { .. }
            | ProductEvent::Observed { .. }
            | ProductEvent::Pushed { .. }
            | ProductEvent::TakenOff { .. }
            | ProductEvent::PushFailed { .. } => return false,
        }
        true
    }

    fn note_connection(&mut self, id: Uuid, event: &ConnectionEvent, before: Option<&Connection>) -> bool {
        let let_out = match (event, before) {
            (ConnectionEvent::RulesChanged { rules }, Some(before)) => LetOut::by(&before.rules, rules),
            (ConnectionEvent::Enabled {} | ConnectionEvent::RulesChanged { .. }, _) => LetOut::ALL.to_vec(),
            _ => return false,
        };
        self.let_out.extend(let_out.into_iter().map(|what| (id, what)));
        true
    }

    /// Whether there is anything the append statement does not see to itself.
    pub(crate) fn beyond_stock(&self) -> bool {
        !(self.prices.is_empty()
            && self.products.is_empty()
            && self.added.is_empty()
            && self.turned.is_empty()
            && self.listings.is_empty()
            && self.removed.is_empty()
            && self.strayed.is_empty()
            && self.settled.is_empty()
            && self.let_out.is_empty())
    }
}

fn kind(kind: FigureKind) -> &'static str {
    CommandKind::from(kind).name()
}

/// Writes the rows that are owed for everything but moved stock, and closes those that are owed no more.
pub(crate) async fn derive(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    now: DateTime<Utc>,
    touched: &Touched,
) -> Result<(), sqlx::Error> {
    let (price_variants, price_markets): (Vec<_>, Vec<_>) = touched.prices.keys().cloned().unzip();
    let (strayed, strayed_kinds): (Vec<_>, Vec<_>) = touched.strayed.iter().copied().unzip();
    let (settled, settled_kinds): (Vec<_>, Vec<_>) = touched.settled.iter().copied().unzip();
    let at = (position, now);
    // First: one that is back in the same batch is owed everything anew.
    close(conn, tenant, now, &all(&touched.removed)).await?;
    let (makes_offers, has_conditions): (bool, bool) = sqlx::query_as(include_str!("derive.sql"))
        .bind(tenant.0)
        .bind(position)
        .bind(now)
        .bind(now + SETTLING)
        .bind(&price_variants)
        .bind(&price_markets)
        .bind(touched.listings.iter().copied().collect::<Vec<_>>())
        .bind(strayed)
        .bind(strayed_kinds)
        .bind(settled)
        .bind(settled_kinds)
        .bind(touched.products.iter().copied().collect::<Vec<_>>())
        .bind(touched.causes.keys().copied().collect::<Vec<_>>())
        .bind(touched.causes.values().map(String::as_str).collect::<Vec<_>>())
        .fetch_one(&mut *conn)
        .await?;
    let mut concerned = Concerned {
        added: all(&touched.added),
        turned: all(&touched.turned),
        reworded: all(&touched.reworded),
        mapped: all(&touched.listings),
        ..Concerned::default()
    };
    if has_conditions {
        concerned.judged = touched.products.union(&touched.priced).copied().collect();
    }
    if makes_offers {
        // Where nobody asks what a thing costs, another price makes it wanted nowhere.
        let priced = touched.prices.iter().filter(|(_, is_first)| has_conditions || **is_first);
        concerned.priced =
            priced.map(|((variant, market), is_first)| (*variant, market.clone(), *is_first)).collect();
    }
    offers::derive(conn, tenant, at, (&concerned, &touched.causes)).await?;
    let_out::note(conn, tenant, at, (&touched.let_out, &touched.causes)).await
}

/// Closes what waits for listings that are gone, and what was given up on them: nobody has to see to that any more.
async fn close(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: DateTime<Utc>,
    removed: &[Uuid],
) -> Result<(), sqlx::Error> {
    if removed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        // Two updates, each along an index of its own; one condition with both would read the whole table.
        "with gone as (
             select l.connection_id, l.id from listings l where l.tenant_id = $1 and l.id = any($2)
         ),
         waiting as (
             update outbox o set status = 'superseded', finished_at = $3
             from gone
             where o.tenant_id = $1 and o.connection_id = gone.connection_id and o.listing_id = gone.id
               and o.status = 'pending' -- outbox_pending_idx
         )
         update outbox o set status = 'superseded'
         from gone
         where o.tenant_id = $1 and o.listing_id = gone.id and o.status = 'dead' -- outbox_dead_listing_idx",
    )
    .bind(tenant.0)
    .bind(removed)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

fn all(ids: &BTreeSet<Uuid>) -> Vec<Uuid> {
    ids.iter().copied().collect()
}
