//! Which listings and offers an entry concerns: the rows a commit owes to the outbox.
//!
//! Moved stock, the hot case, is part of the append statement itself; everything else is derived here,
//! in a second statement of the same transaction, after the state tables were written.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    Event, StreamId,
    connection::ConnectionEvent,
    listing::{FigureKind, ListingEvent},
    product::ProductEvent,
    values::TenantId,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    CommandKind,
    offers::{self, Concerned},
};

/// How long a platform's own change is left alone before it is put right: the order that explains it is
/// often a moment behind.
const SETTLING: TimeDelta = TimeDelta::seconds(2);

/// What a batch of entries has touched.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Shelves whose available quantity may have moved.
    pub(crate) shelves: BTreeSet<(Uuid, String)>,
    /// Variants and markets with a new price.
    prices: BTreeSet<(Uuid, String)>,
    /// Products that are another than they were, as far as conditions ask about it.
    products: BTreeSet<Uuid>,
    /// Products that may be wanted where they are not yet: new ones, and those with another variant.
    added: BTreeSet<Uuid>,
    /// Products that are described otherwise, or have left the catalogue.
    described: BTreeSet<Uuid>,
    /// Listings that are to show everything, having just been mapped.
    listings: BTreeSet<Uuid>,
    /// Listings whose platform shows something that is not from us.
    strayed: BTreeSet<(Uuid, &'static str)>,
    /// Listings whose figure is not in question any more, or was found not to be shown.
    settled: BTreeSet<(Uuid, &'static str)>,
    /// Connections that are to show everything.
    connections: BTreeSet<Uuid>,
}

impl Touched {
    /// Notes what one entry touches.
    pub(crate) fn note(&mut self, stream: &StreamId, event: &Event) {
        match (stream, event) {
            (StreamId::Stock(id), Event::Stock(event)) if event.moves_available() => {
                self.shelves.insert((id.variant.0, id.location.to_string()));
            }
            (_, Event::Product(ProductEvent::Priced { variant, market, .. })) => {
                self.prices.insert((variant.0, market.to_string()));
            }
            (StreamId::Product(id), Event::Product(event)) => self.note_product(id.0, event),
            (StreamId::Listing(id), Event::Listing(event)) => match event {
                ListingEvent::Mapped(_) => {
                    self.listings.insert(id.0);
                }
                ListingEvent::QuantityObserved { echo: false, .. } => {
                    self.strayed.insert((id.0, "quantity"));
                }
                ListingEvent::PriceObserved { .. } => {
                    self.strayed.insert((id.0, "price"));
                }
                ListingEvent::ConflictOpened(conflict) => {
                    self.strayed.remove(&(id.0, kind(conflict.shows.kind())));
                }
                ListingEvent::ConflictResolved { kind: of, .. } => {
                    self.settled.insert((id.0, kind(*of)));
                }
                ListingEvent::Drifted { shows, .. } => {
                    self.settled.insert((id.0, kind(shows.kind())));
                }
                ListingEvent::QuantityObserved { echo: true, .. }
                | ListingEvent::Removed { .. }
                | ListingEvent::QuantityPushed { .. }
                | ListingEvent::PricePushed { .. }
                | ListingEvent::PushFailed { .. } => {}
            },
            (
                StreamId::Connection(id),
                Event::Connection(ConnectionEvent::Enabled {} | ConnectionEvent::RulesChanged { .. }),
            ) => {
                self.connections.insert(id.0);
            }
            _ => {}
        }
    }

    fn note_product(&mut self, id: Uuid, event: &ProductEvent) {
        match event {
            ProductEvent::Created(_) | ProductEvent::VariantAdded { .. } => {
                self.added.insert(id);
            }
            ProductEvent::VariantChanged { .. } => {
                self.products.insert(id);
                self.added.insert(id);
            }
            ProductEvent::Described { .. } => {
                self.products.insert(id);
                self.described.insert(id);
            }
            ProductEvent::Archived {} => {
                self.described.insert(id);
            }
            ProductEvent::Priced { .. }
            | ProductEvent::Observed { .. }
            | ProductEvent::Pushed { .. }
            | ProductEvent::TakenOff { .. }
            | ProductEvent::PushFailed { .. } => {}
        }
    }

    /// Whether there is anything the append statement does not see to itself.
    pub(crate) fn beyond_stock(&self) -> bool {
        !(self.prices.is_empty()
            && self.products.is_empty()
            && self.added.is_empty()
            && self.described.is_empty()
            && self.listings.is_empty()
            && self.strayed.is_empty()
            && self.settled.is_empty()
            && self.connections.is_empty())
    }
}

fn kind(kind: FigureKind) -> &'static str {
    CommandKind::from(kind).name()
}

/// Writes the rows that are owed for everything but moved stock.
pub(crate) async fn derive(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    now: DateTime<Utc>,
    touched: &Touched,
) -> Result<(), sqlx::Error> {
    let (price_variants, price_markets): (Vec<_>, Vec<_>) = touched.prices.iter().cloned().unzip();
    let (strayed, strayed_kinds): (Vec<_>, Vec<_>) = touched.strayed.iter().copied().unzip();
    let (settled, settled_kinds): (Vec<_>, Vec<_>) = touched.settled.iter().copied().unzip();
    let at = (position, now);
    let (makes_offers,): (bool,) = sqlx::query_as(include_str!("derive.sql"))
        .bind(tenant.0)
        .bind(position)
        .bind(now)
        .bind(now + SETTLING)
        .bind(&price_variants)
        .bind(&price_markets)
        .bind(touched.listings.iter().copied().collect::<Vec<_>>())
        .bind(touched.connections.iter().copied().collect::<Vec<_>>())
        .bind(strayed)
        .bind(strayed_kinds)
        .bind(settled)
        .bind(settled_kinds)
        .bind(touched.products.iter().copied().collect::<Vec<_>>())
        .fetch_one(&mut *conn)
        .await?;
    let mut concerned = Concerned {
        added: touched.added.iter().copied().collect(),
        described: touched.described.iter().copied().collect(),
        ..Concerned::default()
    };
    if makes_offers {
        (concerned.priced, concerned.markets) = (price_variants, price_markets);
    }
    offers::derive(conn, tenant, at, &concerned).await?;
    offers::derive_all(conn, tenant, at, &touched.connections).await
}
