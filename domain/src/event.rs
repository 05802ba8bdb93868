//! The sum of all events: their stored names and versions, and how older ones are read.
//!
//! An event's stored name is the serde name of its variant, so a name stands in one place only. Its
//! payload is what the variant carries. Names and payloads are for ever; a payload that has to change
//! gets a new version and an entry in [`UPCASTS`].

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    administration::AdministrationEvent, cart::CartEvent, connection::ConnectionEvent,
    delivery::DeliveryEvent, flag::FlagEvent, key::KeyEvent, listing::ListingEvent, location::LocationEvent,
    monitor::MonitorEvent, order::OrderEvent, product::ProductEvent, signal::SignalEvent,
    sku_claim::SkuEvent, stock::StockEvent,
};

/// Anything that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the enum it is named after")]
pub enum Event {
    Stock(StockEvent),
    Product(ProductEvent),
    Sku(SkuEvent),
    Connection(ConnectionEvent),
    Listing(ListingEvent),
    Delivery(DeliveryEvent),
    Order(OrderEvent),
    Key(KeyEvent),
    Location(LocationEvent),
    Cart(CartEvent),
    Signal(SignalEvent),
    Flag(FlagEvent),
    Monitor(MonitorEvent),
    Administration(AdministrationEvent),
}

macro_rules! from_events {
    ($($variant:ident($event:ty)),* $(,)?) => {
        $(impl From<$event> for Event {
            fn from(event: $event) -> Self {
                Self::$variant(event)
            }
        })*
    };
}

from_events!(
    Stock(StockEvent),
    Product(ProductEvent),
    Sku(SkuEvent),
    Connection(ConnectionEvent),
    Listing(ListingEvent),
    Delivery(DeliveryEvent),
    Order(OrderEvent),
    Key(KeyEvent),
    Location(LocationEvent),
    Cart(CartEvent),
    Signal(SignalEvent),
    Flag(FlagEvent),
    Monitor(MonitorEvent),
    Administration(AdministrationEvent),
);

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// `stock.reserved`.
    pub name: String,
    /// The version of the payload's shape, from 1.
    pub version: i16,
    /// JSON text; these very bytes are hashed.
    pub payload: String,
}

/// Why a stored event could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableEvent {
    /// No event has this name.
    #[error("no event is named {0:?}; a newer program may have written it")]
    Unknown(String),
    /// The payload's shape is newer than this program.
    #[error("{name} is known up to version {known}, this is version {version}; run a newer program")]
    TooNew {
        /// The event's name.
        name: String,
        /// The version found.
        version: i16,
        /// The newest version this program knows.
        known: i16,
    },
    /// The payload does not have the shape its name and version promise.
    #[error("{name} version {version} is malformed: {why}")]
    Malformed {
        /// The event's name.
        name: String,
        /// The version found.
        version: i16,
        /// What is wrong with it.
        why: String,
    },
}

/// Turns the payload of one version of an event into that of the next.
pub struct Upcast {
    /// The event's name.
    pub name: &'static str,
    /// The version it reads; it makes the next one.
    pub from: i16,
    /// The change of shape.
    pub change: fn(Value) -> Value,
}

/// Every change of shape since the first release, oldest first.
pub const UPCASTS: &[Upcast] = &[];

impl Event {
    /// The stored name.
    pub fn name(&self) -> String {
        self.stored().name
    }

    /// The event as it is stored, in its newest shape.
    pub fn stored(&self) -> Stored {
        let (name, payload) = match self {
            Self::Stock(event) => split(event),
            Self::Product(event) => split(event),
            Self::Sku(event) => split(event),
            Self::Connection(event) => split(event),
            Self::Listing(event) => split(event),
            Self::Delivery(event) => split(event),
            Self::Order(event) => split(event),
            Self::Key(event) => split(event),
            Self::Location(event) => split(event),
            Self::Cart(event) => split(event),
            Self::Monitor(event) => split(event),
            Self::Flag(event) => split(event),
            Self::Signal(event) => split(event),
            Self::Administration(event) => split(event),
        };
        let version = newest_version(UPCASTS, &name);
        Stored { name, version, payload }
    }

    /// Reads a stored event of this or an older version.
    pub fn read(name: &str, version: i16, payload: &str) -> Result<Self, UnreadableEvent> {
        let newest = newest_version(UPCASTS, name);
        if version > newest || version < 1 {
            return Err(UnreadableEvent::TooNew { name: name.to_owned(), version, known: newest });
        }
        let upcast;
        let payload = if version < newest {
            upcast = raise(UPCASTS, name, version, payload)?;
            upcast.as_str()
        } else {
            payload
        };
        let kind = name.split_once('.').map_or(name, |(kind, _)| kind);
        match kind {
            "stock" => join(name, version, payload).map(Self::Stock),
            "product" => join(name, version, payload).map(Self::Product),
            "sku" => join(name, version, payload).map(Self::Sku),
            "connection" => join(name, version, payload).map(Self::Connection),
            "listing" => join(name, version, payload).map(Self::Listing),
            "delivery" => join(name, version, payload).map(Self::Delivery),
            "order" => join(name, version, payload).map(Self::Order),
            "key" => join(name, version, payload).map(Self::Key),
            "location" => join(name, version, payload).map(Self::Location),
            "cart" => join(name, version, payload).map(Self::Cart),
            "monitor" => join(name, version, payload).map(Self::Monitor),
            "flag" => join(name, version, payload).map(Self::Flag),
            "signal" => join(name, version, payload).map(Self::Signal),
            "administration" => join(name, version, payload).map(Self::Administration),
            _ => Err(UnreadableEvent::Unknown(name.to_owned())),
        }
    }
}

/// Splits `{"stock.reserved":{…}}`, serde's form of an enum, into name and payload.
fn split<E: Serialize>(event: &E) -> (String, String) {
    let text =
        serde_json::to_string(event).expect("events are made of texts, numbers and maps with text keys");
    let body = text.strip_prefix("{\"").and_then(|rest| rest.strip_suffix('}'));
    let (name, payload) = body
        .and_then(|body| body.split_once("\":"))
        .expect("every event variant carries fields, so serde writes name and payload");
    (name.to_owned(), payload.to_owned())
}

/// The opposite of [`split`].
fn join<E: DeserializeOwned>(name: &str, version: i16, payload: &str) -> Result<E, UnreadableEvent> {
    serde_json::from_str(&format!("{{\"{name}\":{payload}}}")).map_err(|error| {
        if error.to_string().starts_with("unknown variant") {
            UnreadableEvent::Unknown(name.to_owned())
        } else {
            UnreadableEvent::Malformed { name: name.to_owned(), version, why: error.to_string() }
        }
    })
}

fn newest_version(upcasts: &[Upcast], name: &str) -> i16 {
    upcasts.iter().filter(|upcast| upcast.name == name).map(|upcast| upcast.from + 1).max().unwrap_or(1)
}

fn raise(upcasts: &[Upcast], name: &str, version: i16, payload: &str) -> Result<String, UnreadableEvent> {
    let malformed = |why: serde_json::Error| UnreadableEvent::Malformed {
        name: name.to_owned(),
        version,
        why: why.to_string(),
    };
    let mut value = serde_json::from_str(payload).map_err(malformed)?;
    for from in version..newest_version(upcasts, name) {
        if let Some(upcast) = upcasts.iter().find(|upcast| upcast.name == name && upcast.from == from) {
            value = (upcast.change)(value);
        }
    }
    serde_json::to_string(&value).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::values::{Quantity, ReservationId};

    #[test]
    fn an_event_is_stored_under_its_name_with_its_fields_as_payload() {
        let event = Event::from(StockEvent::Committed {
            reservation: ReservationId(Uuid::nil()),
            quantity: Quantity::new(2).expect("in range"),
            reference: None,
            occurred_at: None,
            origin: None,
        });
        let stored = event.stored();
        assert_eq!((stored.name.as_str(), stored.version), ("stock.committed", 1));
        assert_eq!(stored.payload, r#"{"reservation":"00000000-0000-0000-0000-000000000000","quantity":2}"#);
        assert_eq!(Event::read(&stored.name, stored.version, &stored.payload), Ok(event));
    }

    #[test]
    fn an_event_nobody_knows_is_named_and_refused() {
        assert_eq!(
            Event::read("stock.evaporated", 1, "{}"),
            Err(UnreadableEvent::Unknown("stock.evaporated".into()))
        );
        assert_eq!(
            Event::read("weather.rained", 1, "{}"),
            Err(UnreadableEvent::Unknown("weather.rained".into()))
        );
    }

    #[test]
    fn an_event_from_a_newer_program_is_refused() {
        assert!(matches!(
            Event::read("stock.restocked", 2, r#"{"quantity":1}"#),
            Err(UnreadableEvent::TooNew { version: 2, known: 1, .. })
        ));
    }

    #[test]
    fn an_older_shape_is_raised_step_by_step() {
        let upcasts = [
            Upcast { name: "a.b", from: 1, change: |v| serde_json::json!({ "units": v["n"] }) },
            Upcast { name: "a.b", from: 2, change: |v| serde_json::json!({ "quantity": v["units"] }) },
        ];
        assert_eq!(newest_version(&upcasts, "a.b"), 3);
        assert_eq!(raise(&upcasts, "a.b", 1, r#"{"n":4}"#).as_deref(), Ok(r#"{"quantity":4}"#));
        assert_eq!(raise(&upcasts, "a.b", 2, r#"{"units":4}"#).as_deref(), Ok(r#"{"quantity":4}"#));
    }
}
