//! Orders: what a platform has already sold. They hold what is there, and say what is missing.
//!
//! A buyer's reservation may be refused; a platform's order is a fact. So an order takes what its
//! lines can get, one by one, and the shortage is written down for a person to settle.

use std::{borrow::Cow, collections::BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    aggregate::{aggregate, verdict},
    reservation::Events,
    stock::{Stock, StockCommand, StockEvent},
    values::{ConnectionId, ExternalId, OrderId, PersonId, Quantity, StockId},
};

/// One line of an order, and how much of it we could hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Which shelf it is taken from.
    #[serde(flatten)]
    pub stock: StockId,
    /// Units sold.
    pub quantity: Quantity,
    /// Units held; fewer than sold means that somebody has to be disappointed.
    pub held: Quantity,
}

/// Units that left a shelf for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sold {
    /// Which shelf.
    #[serde(flatten)]
    pub stock: StockId,
    /// How many.
    pub quantity: Quantity,
}

/// Who bought: a name that tells nothing, and what is known of the person, to be read with a key that is kept elsewhere.
///
/// Once that key is destroyed nobody can read it any more, and history stands as it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buyer {
    /// The same for all orders of one person on one connection.
    pub person: PersonId,
    /// Nonce, ciphertext and tag, in base64.
    pub sealed: String,
}

/// What has happened to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderEvent {
    /// A customer bought on the platform.
    #[serde(rename = "order.placed")]
    Placed {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// What was bought, and what could be held.
        lines: Vec<OrderLine>,
        /// Lines that name variants we do not know, as the platform names them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unmapped: Vec<String>,
        /// Who bought, if the platform has told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        buyer: Option<Buyer>,
    },
    /// Lines that named unknown variants were recognised, because those variants are known by now.
    #[serde(rename = "order.lines_found")]
    LinesFound {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// What was bought, and what could be held.
        lines: Vec<OrderLine>,
        /// The names they were kept under.
        found: Vec<String>,
        /// What left the shelves with it, the order being paid.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sold: Vec<Sold>,
    },
    /// The customer has paid; the news may come before those of the order itself.
    #[serde(rename = "order.paid")]
    Paid {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// What left the shelves with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sold: Vec<Sold>,
    },
    /// The platform cancelled the order; a cancellation may come before the order itself.
    #[serde(rename = "order.cancelled")]
    Cancelled {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
    },
}

/// What one may ask of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderCommand {
    /// Note that it was placed; nothing happens if it is known, or already cancelled.
    Place {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// What was bought, and what could be held.
        lines: Vec<OrderLine>,
        /// Lines we cannot map.
        unmapped: Vec<String>,
        /// Who bought, if the platform has told.
        buyer: Option<Buyer>,
    },
    /// Note that lines which named unknown variants were recognised.
    FindLines {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// What was bought, and what could be held.
        lines: Vec<OrderLine>,
        /// The names they were kept under.
        found: Vec<String>,
        /// What leaves the shelves with it.
        sold: Vec<Sold>,
    },
    /// Note that it was paid; nothing happens if that is known, or if it was cancelled.
    Pay {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// What leaves the shelves with it.
        sold: Vec<Sold>,
    },
    /// Note that it was cancelled; nothing happens if that is known.
    Cancel {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
    },
}

/// An order as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What was bought, once we know.
    pub lines: Option<Vec<OrderLine>>,
    /// Lines that name variants we do not know, as the platform names them.
    #[serde(default)]
    pub unmapped: Vec<String>,
    /// True once paid: its units are sold, not only held.
    #[serde(default)]
    pub paid: bool,
    /// What left the shelves for it; what comes back if it is cancelled after all.
    #[serde(default)]
    pub sold: Vec<Sold>,
    /// True once cancelled.
    pub cancelled: bool,
}

impl Order {
    #[expect(clippy::unnecessary_wraps, reason = "deciders share one signature")]
    fn decide(&self, command: OrderCommand) -> Result<Vec<OrderEvent>, Refusal> {
        Ok(match command {
            _ if self.cancelled => vec![],
            OrderCommand::Place { .. } if self.lines.is_some() => vec![],
            OrderCommand::Place { connection, external_id, lines, unmapped, buyer } => {
                vec![OrderEvent::Placed { connection, external_id, lines, unmapped, buyer }]
            }
            OrderCommand::FindLines { found, .. } if found.is_empty() => vec![],
            OrderCommand::FindLines { connection, external_id, lines, found, sold } => {
                vec![OrderEvent::LinesFound { connection, external_id, lines, found, sold }]
            }
            OrderCommand::Pay { .. } if self.paid => vec![],
            OrderCommand::Pay { connection, external_id, sold } => {
                vec![OrderEvent::Paid { connection, external_id, sold }]
            }
            OrderCommand::Cancel { connection, external_id } => {
                vec![OrderEvent::Cancelled { connection, external_id }]
            }
        })
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(mut self, event: OrderEvent) -> Self {
        match event {
            OrderEvent::Placed { lines, unmapped, .. } => {
                self.lines = Some(lines);
                self.unmapped = unmapped;
            }
            OrderEvent::LinesFound { lines, found, sold, .. } => {
                self.lines.get_or_insert_default().extend(lines);
                self.sold.extend(sold);
                self.unmapped.retain(|name| !found.contains(name));
            }
            OrderEvent::Paid { sold, .. } => {
                self.paid = true;
                self.sold.extend(sold);
            }
            OrderEvent::Cancelled { .. } => self.cancelled = true,
        }
        self
    }
}

aggregate!(Order, OrderId, OrderEvent, OrderCommand, Refusal);

/// Holds what the shelves can give for an order's lines, which the caller has added up per shelf; sells it at once where
/// `sold` says so.
pub fn hold<'s>(
    order: OrderId,
    wanted: impl IntoIterator<Item = (StockId, Quantity)>,
    sold: impl Fn(&StockId) -> bool,
    now: DateTime<Utc>,
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<(Vec<OrderLine>, Events), Refusal> {
    let mut lines = Vec::new();
    let mut events = Vec::new();
    for (id, quantity) in wanted {
        let command = StockCommand::Take { reservation: order.into(), quantity, sold: sold(&id), now };
        let taken = verdict(&id, stock(&id), command)?;
        let held = taken.iter().find_map(|event| match event {
            StockEvent::Reserved { quantity, .. } => Some(*quantity),
            _ => None,
        });
        events.extend(taken.into_iter().map(|event| (id.clone(), event)));
        lines.push(OrderLine { stock: id, quantity, held: held.unwrap_or_default() });
    }
    Ok((lines, events))
}

/// Sells whatever an order still holds, now that it is paid. What was promised before it is there stays held.
pub fn sell<'s>(
    order: OrderId,
    lines: &[OrderLine],
    now: DateTime<Utc>,
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<Events, Refusal> {
    let reservation = order.into();
    let mut events = Vec::new();
    for id in shelves(lines) {
        let shelf = stock(id);
        let held = shelf.held_for(&reservation).map_or(Quantity::ZERO, |held| held.quantity);
        let there = held.min(shelf.on_hand());
        if !there.is_zero() {
            let command = StockCommand::Commit { reservation, quantity: Some(there), reference: None, now };
            let sold = verdict(id, shelf, command)?;
            events.extend(sold.into_iter().map(|event| (id.clone(), event)));
        }
    }
    Ok(events)
}

/// What left the shelves with these events, shelf by shelf.
pub fn sold(events: &Events) -> Vec<Sold> {
    let committed = events.iter().filter_map(|(stock, event)| match event {
        StockEvent::Committed { quantity, .. } => Some(Sold { stock: stock.clone(), quantity: *quantity }),
        _ => None,
    });
    committed.collect()
}

/// Gives back whatever an order still holds, and takes back in what was sold to it.
pub fn give_back<'s>(
    order: OrderId,
    state: &Order,
    reference: &str,
    now: DateTime<Utc>,
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<Events, Refusal> {
    let reservation = order.into();
    let lines = state.lines.as_deref().unwrap_or_default();
    let mut events = Vec::new();
    for id in shelves(lines) {
        let mut shelf = Cow::Borrowed(stock(id));
        if shelf.held_for(&reservation).is_some() {
            let back = verdict(id, &*shelf, StockCommand::Release { reservation, quantity: None })?;
            shelf = Cow::Owned(back.iter().cloned().fold(shelf.into_owned(), Stock::evolve));
            events.extend(back.into_iter().map(|event| (id.clone(), event)));
        }
        let sold = state.sold.iter().filter(|sold| sold.stock == *id).map(|sold| sold.quantity.units()).sum();
        let sold = Quantity::new(sold)?;
        if !sold.is_zero() {
            let reference = Some(reference.to_owned());
            let command = StockCommand::Restock { quantity: sold, reference, occurred_at: now };
            let back = verdict(id, &*shelf, command)?;
            events.extend(back.into_iter().map(|event| (id.clone(), event)));
        }
    }
    Ok(events)
}

/// The shelves of some lines, each once.
fn shelves(lines: &[OrderLine]) -> BTreeSet<&StockId> {
    lines.iter().map(|line| &line.stock).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        scenario::given,
        values::{LocationCode, VariantId},
    };

    const O: OrderId = OrderId(Uuid::from_u128(1));

    fn shelf() -> StockId {
        StockId { variant: VariantId(Uuid::from_u128(2)), location: LocationCode::default() }
    }

    fn units(n: i64) -> Quantity {
        Quantity::new(n).expect("in range")
    }

    fn cancelled() -> OrderEvent {
        OrderEvent::Cancelled { connection: ConnectionId(Uuid::from_u128(3)), external_id: 9.into() }
    }

    fn place() -> OrderCommand {
        OrderCommand::Place {
            connection: ConnectionId(Uuid::from_u128(3)),
            external_id: 9.into(),
            lines: vec![],
            unmapped: vec![],
            buyer: Some(buyer()),
        }
    }

    fn buyer() -> Buyer {
        let person = PersonId::new("00112233445566778899aabbccddeeff").expect("a name");
        Buyer { person, sealed: "c2VhbGVk".into() }
    }

    #[test]
    fn an_order_takes_what_is_there_and_says_what_is_missing() {
        let stock = Stock::default().evolve(StockEvent::Restocked {
            quantity: units(2),
            reference: None,
            occurred_at: None,
        });
        let (lines, events) = hold(O, [(shelf(), units(5))], |_| false, DateTime::UNIX_EPOCH, |_| &stock)
            .expect("orders are not refused");
        assert_eq!((lines[0].quantity, lines[0].held), (units(5), units(2)));
        let stock = events.into_iter().fold(stock, |stock, (_, event)| stock.evolve(event));
        assert_eq!(stock.available(), units(0));

        let order = Order { lines: Some(lines), ..Order::default() };
        let back = give_back(O, &order, "order 9", DateTime::UNIX_EPOCH, |_| &stock).expect("they are held");
        let stock = back.into_iter().fold(stock.clone(), |stock, (_, event)| stock.evolve(event));
        assert_eq!(stock.available(), units(2));
    }

    #[test]
    fn a_paid_order_sells_its_units_once_and_a_cancellation_brings_them_back() {
        let at = DateTime::UNIX_EPOCH;
        let three = StockEvent::Restocked { quantity: units(3), reference: None, occurred_at: None };
        let stock = Stock::default().evolve(three);
        let apply = |stock: Stock, events: Events| events.into_iter().fold(stock, |s, (_, e)| s.evolve(e));
        let (lines, events) =
            hold(O, [(shelf(), units(2))], |_| false, at, |_| &stock).expect("never refused");
        let stock = apply(stock, events);
        let sold = sell(O, &lines, at, |_| &stock).expect("they are there");
        let record = super::sold(&sold);
        let stock = apply(stock, sold);
        assert_eq!((stock.on_hand(), stock.reserved()), (units(1), units(0)));
        assert_eq!(sell(O, &lines, at, |_| &stock), Ok(vec![]), "once");

        let order = Order { lines: Some(lines), paid: true, sold: record, ..Order::default() };
        let back = give_back(O, &order, "order 9", at, |_| &stock).expect("it was sold");
        let stock = apply(stock, back);
        assert_eq!((stock.on_hand(), stock.reserved()), (units(3), units(0)));
    }

    #[test]
    fn what_is_paid_before_it_is_heard_of_is_sold_at_once() {
        let three = StockEvent::Restocked { quantity: units(3), reference: None, occurred_at: None };
        let stock = Stock::default().evolve(three);
        let (lines, events) = hold(O, [(shelf(), units(5))], |_| true, DateTime::UNIX_EPOCH, |_| &stock)
            .expect("never refused");
        let stock = events.into_iter().fold(stock, |stock, (_, event)| stock.evolve(event));
        assert_eq!((stock.on_hand(), stock.reserved(), lines[0].held), (units(0), units(0), units(3)));
    }

    #[test]
    fn an_order_gets_units_whose_hold_is_due() {
        let cart = crate::values::ReservationId(Uuid::from_u128(8));
        let stock = Stock::default()
            .evolve(StockEvent::Restocked { quantity: units(1), reference: None, occurred_at: None })
            .evolve(StockEvent::Reserved {
                reservation: cart,
                quantity: units(1),
                expires_at: Some(DateTime::UNIX_EPOCH),
            });
        let (lines, events) = hold(O, [(shelf(), units(1))], |_| false, DateTime::UNIX_EPOCH, |_| &stock)
            .expect("orders are not refused");
        assert_eq!((lines[0].held, events.len()), (units(1), 2));
    }

    #[test]
    fn an_order_says_who_placed_it_and_keeps_that_out_of_its_state() {
        let placed = OrderEvent::Placed {
            connection: ConnectionId(Uuid::from_u128(3)),
            external_id: 9.into(),
            lines: vec![],
            unmapped: vec![],
            buyer: Some(buyer()),
        };
        given::<Order>(O, []).when(place()).then([placed.clone()]);
        let state = serde_json::to_string(&Order::default().evolve(placed)).expect("a state");
        assert!(!state.contains("00112233"), "{state}");
    }

    #[test]
    fn an_order_cancelled_before_it_was_heard_of_holds_nothing() {
        given::<Order>(O, [cancelled()]).when(place()).then([]);
    }
}
