//! Streams: the thing an entry of the ledger is about, and the state that follows from its entries.

use chrono::{DateTime, Utc};
use std::{collections::BTreeMap, fmt, mem, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    Event,
    administration::Administration,
    cart::Cart,
    connection::Connection,
    delivery::Delivery,
    flag::{Flag, FlagName},
    key::Key,
    listing::Listing,
    location::Location,
    monitor::Monitor,
    order::Order,
    product::Product,
    signal::Signals,
    sku_claim::SkuClaim,
    stock::Stock,
    values::{
        CartId, ConnectionId, DeliveryId, InvalidValue, KeyId, ListingId, LocationCode, MonitorId, OrderId,
        ProductId, Sku, StockId, VariantId,
    },
};

/// Which thing; written `stock/<variant>/<location>`, `product/<id>` and so on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    /// A shelf.
    Stock(StockId),
    /// A product.
    Product(ProductId),
    /// A SKU's claim.
    Sku(Sku),
    /// A connection.
    Connection(ConnectionId),
    /// A listing.
    Listing(ListingId),
    /// A delivery.
    Delivery(DeliveryId),
    /// An order.
    Order(OrderId),
    /// An API key.
    Key(KeyId),
    /// A location.
    Location(LocationCode),
    /// A cart.
    Cart(CartId),
    /// A connection's signals.
    Signal(ConnectionId),
    /// A flag.
    Flag(FlagName),
    /// A monitor.
    Monitor(MonitorId),
    /// What operators have done.
    Administration,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stock(id) => write!(f, "stock/{id}"),
            Self::Product(id) => write!(f, "product/{id}"),
            Self::Sku(id) => write!(f, "sku/{id}"),
            Self::Connection(id) => write!(f, "connection/{id}"),
            Self::Listing(id) => write!(f, "listing/{id}"),
            Self::Delivery(id) => write!(f, "delivery/{id}"),
            Self::Order(id) => write!(f, "order/{id}"),
            Self::Key(id) => write!(f, "key/{id}"),
            Self::Location(code) => write!(f, "location/{code}"),
            Self::Cart(id) => write!(f, "cart/{id}"),
            Self::Monitor(id) => write!(f, "monitor/{id}"),
            Self::Flag(id) => write!(f, "flag/{id}"),
            Self::Signal(id) => write!(f, "signal/{id}"),
            Self::Administration => f.write_str("administration/log"),
        }
    }
}

impl FromStr for StreamId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let wrong = || InvalidValue::new("StreamId", format!("{text:?} is not kind/id"));
        let (kind, id) = text.split_once('/').ok_or_else(wrong)?;
        Ok(match kind {
            "stock" => {
                let (variant, location) = id.split_once('/').ok_or_else(wrong)?;
                let variant: VariantId = variant.parse()?;
                Self::Stock(StockId { variant, location: LocationCode::new(location)? })
            }
            "product" => Self::Product(id.parse()?),
            "sku" => Self::Sku(Sku::new(id)?),
            "connection" => Self::Connection(id.parse()?),
            "listing" => Self::Listing(id.parse()?),
            "delivery" => Self::Delivery(id.parse()?),
            "order" => Self::Order(id.parse()?),
            "key" => Self::Key(id.parse()?),
            "location" => Self::Location(LocationCode::new(id)?),
            "cart" => Self::Cart(id.parse()?),
            "monitor" => Self::Monitor(id.parse()?),
            "flag" => Self::Flag(id.parse()?),
            "signal" => Self::Signal(id.parse()?),
            "administration" if id == "log" => Self::Administration,
            _ => return Err(wrong()),
        })
    }
}

/// The state of any stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "state", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is the aggregate it is named after")]
pub enum State {
    Stock(Stock),
    Product(Box<Product>),
    Sku(SkuClaim),
    Connection(Box<Connection>),
    Listing(Box<Listing>),
    Delivery(Delivery),
    Order(Order),
    Key(Key),
    Location(Location),
    Cart(Cart),
    Signal(Signals),
    Flag(Flag),
    Monitor(Monitor),
    Administration(Administration),
}

/// The states a decision looks at. A stream to which nothing has happened has its initial state.
pub struct Lookup<'s>(&'s dyn Fn(&StreamId) -> &'s State, Option<DateTime<Utc>>);

macro_rules! lookups {
    ($($(#[$doc:meta])* $method:ident($variant:ident, $id:ty) -> $state:ty),* $(,)?) => {
        impl<'s> Lookup<'s> {
            $($(#[$doc])*
            pub fn $method(&self, id: &$id) -> &'s $state {
                match (self.0)(&StreamId::$variant(id.clone())) {
                    State::$variant(state) => state,
                    other => unreachable!("a stream holds a state of its own kind, not {other:?}"),
                }
            })*
        }
    };
}

lookups!(
    /// The shelf.
    stock(Stock, StockId) -> Stock,
    /// The product.
    product(Product, ProductId) -> Product,
    /// Which variant the SKU names.
    sku(Sku, Sku) -> SkuClaim,
    /// The connection.
    connection(Connection, ConnectionId) -> Connection,
    /// The listing.
    listing(Listing, ListingId) -> Listing,
    /// The delivery.
    delivery(Delivery, DeliveryId) -> Delivery,
    /// The order.
    order(Order, OrderId) -> Order,
    /// The key.
    key(Key, KeyId) -> Key,
    /// The location.
    location(Location, LocationCode) -> Location,
    /// The cart.
    cart(Cart, CartId) -> Cart,
    /// The monitor.
    monitor(Monitor, MonitorId) -> Monitor,
    /// The flag.
    flag(Flag, FlagName) -> Flag,
    /// The connection's signals.
    signals(Signal, ConnectionId) -> Signals,
);

impl<'s> Lookup<'s> {
    /// Looks states up with `find`, which must answer with a state of the stream's own kind.
    pub fn new(find: &'s dyn Fn(&StreamId) -> &'s State) -> Self {
        Self(find, None)
    }

    /// The same for what is recorded at a time.
    #[must_use]
    pub fn recorded_at(self, at: DateTime<Utc>) -> Self {
        Self(self.0, Some(at))
    }

    /// When what is decided is recorded: no earlier than anything that is, also where the clock that says `now` was set back since.
    pub fn recorded(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.1.map_or(now, |at| at.max(now))
    }

    /// What operators have done.
    pub fn administration(&self) -> &'s Administration {
        match (self.0)(&StreamId::Administration) {
            State::Administration(state) => state,
            other => unreachable!("a stream holds a state of its own kind, not {other:?}"),
        }
    }
}

/// An event that belongs to another kind of stream than the one it stands in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} does not belong in a stream of another kind")]
pub struct Misplaced {
    /// The name of the event.
    pub event: String,
}

impl State {
    /// The state before anything has happened.
    pub fn initial(stream: &StreamId) -> Self {
        match stream {
            StreamId::Stock(_) => Self::Stock(Stock::default()),
            StreamId::Product(_) => Self::Product(Box::default()),
            StreamId::Sku(_) => Self::Sku(SkuClaim::default()),
            StreamId::Connection(_) => Self::Connection(Box::default()),
            StreamId::Listing(_) => Self::Listing(Box::default()),
            StreamId::Delivery(_) => Self::Delivery(Delivery::default()),
            StreamId::Order(_) => Self::Order(Order::default()),
            StreamId::Key(_) => Self::Key(Key::default()),
            StreamId::Location(_) => Self::Location(Location::default()),
            StreamId::Cart(_) => Self::Cart(Cart::default()),
            StreamId::Monitor(_) => Self::Monitor(Monitor::default()),
            StreamId::Flag(_) => Self::Flag(Flag::default()),
            StreamId::Signal(_) => Self::Signal(Signals::default()),
            StreamId::Administration => Self::Administration(Administration::default()),
        }
    }

    /// Takes a fact, in place: a shelf with a hundred thousand holds is not copied for one more.
    pub fn evolve(&mut self, event: Event) -> Result<(), Misplaced> {
        match (self, event) {
            (Self::Stock(state), Event::Stock(event)) => *state = mem::take(state).evolve(event),
            (Self::Product(state), Event::Product(event)) => **state = mem::take(&mut **state).evolve(event),
            (Self::Sku(state), Event::Sku(event)) => *state = mem::take(state).evolve(event),
            (Self::Connection(state), Event::Connection(event)) => {
                **state = mem::take(&mut **state).evolve(event);
            }
            (Self::Listing(state), Event::Listing(event)) => **state = mem::take(&mut **state).evolve(event),
            (Self::Delivery(state), Event::Delivery(event)) => *state = mem::take(state).evolve(event),
            (Self::Order(state), Event::Order(event)) => *state = mem::take(state).evolve(event),
            (Self::Key(state), Event::Key(event)) => *state = mem::take(state).evolve(event),
            (Self::Location(state), Event::Location(event)) => *state = mem::take(state).evolve(event),
            (Self::Cart(state), Event::Cart(event)) => *state = mem::take(state).evolve(event),
            (Self::Monitor(state), Event::Monitor(event)) => *state = mem::take(state).evolve(event),
            (Self::Flag(state), Event::Flag(event)) => *state = mem::take(state).evolve(event),
            (Self::Signal(state), Event::Signal(event)) => *state = mem::take(state).evolve(event),
            (Self::Administration(state), Event::Administration(event)) => {
                *state = mem::take(state).evolve(event);
            }
            (_, event) => {
                return Err(Misplaced { event: event.name() });
            }
        }
        Ok(())
    }

    /// Roughly how much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Stock(stock) => stock.bytes(),
            Self::Product(product) => {
                let sights: usize = product.sights.values().map(BTreeMap::len).sum();
                800 + product.variants.len() * 800 + product.offers.len() * 1_000 + sights * 100
            }
            Self::Listing(_) => 1_200,
            Self::Order(order) => 200 + order.lines.as_ref().map_or(0, Vec::len) * 100,
            Self::Connection(_) => 800,
            Self::Cart(cart) => 200 + cart.shelves.len() * 80,
            Self::Delivery(_) => 300,
            Self::Monitor(_) => 400,
            Self::Sku(_)
            | Self::Key(_)
            | Self::Location(_)
            | Self::Flag(_)
            | Self::Signal(_)
            | Self::Administration(_) => 200,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_is_read_back_as_it_was_written() {
        for text in [
            "stock/00000000-0000-0000-0000-000000000001/berlin-2",
            "product/00000000-0000-0000-0000-000000000001",
            "sku/AJ1/42 EU",
        ] {
            let id: StreamId = text.parse().expect(text);
            assert_eq!(id.to_string(), text);
        }
        assert!("shelf/1".parse::<StreamId>().is_err());
    }
}
