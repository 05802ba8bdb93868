//! What a platform's orders and its figures do to a shelf, in whatever order the news of them come.
//!
//! A platform takes what it sells off its figure by itself. So its figure holds all that its own orders have moved until
//! then, whether or not we have heard of them: what we hear of later is in it already, and what we have heard of
//! before, but happened after it, is not. Both are told by the platform's own clock. Of what others move, its figure knows
//! only once we have said so; that goes by when it was recorded here.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Figure, Origin, Report, Serving, Stock, StockEvent, decide::brief};
use crate::{
    Refusal,
    values::{ConnectionId, Quantity},
};

/// Moves of platforms' orders that are remembered, so that an older figure can be told from what moved after it.
const ORDERS_MAX: usize = 1_000;

/// What a platform's order has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OrderMove {
    origin: Origin,
    /// By how much, of what its platform shows for sale.
    available: i64,
    /// By how much, of what is on hand.
    on_hand: i64,
    /// When the latter was recorded.
    at: DateTime<Utc>,
}

impl OrderMove {
    /// Whether a figure has it in it, or a count that was made at a time.
    fn is_in(&self, counted_at: DateTime<Utc>, figure: Option<&Figure>) -> bool {
        if self.is_of(figure) {
            return figure.is_some_and(|figure| self.origin.at <= figure.at);
        }
        self.at <= counted_at
    }

    fn is_of(&self, figure: Option<&Figure>) -> bool {
        figure.is_some_and(|figure| figure.connection == self.origin.connection)
    }
}

impl Stock {
    /// By how many units what was counted then has moved since; in the eyes of a platform, if the count is its figure.
    pub(super) fn moved_since(
        &self,
        counted_at: DateTime<Utc>,
        figure: Option<&Figure>,
    ) -> Result<i64, Refusal> {
        if self.past.forgotten.is_some_and(|forgotten| forgotten > counted_at) {
            return Err(Refusal::conflict(
                "count.too_old",
                "too much has moved since that count was made; count again",
            ));
        }
        let moved = self.past.recent.iter().filter(|moved| moved.at > counted_at).map(|moved| moved.delta);
        let orders = self.past.orders.iter().filter(|moved| !moved.is_in(counted_at, figure));
        let by_orders = orders.map(|moved| if moved.is_of(figure) { moved.available } else { moved.on_hand });
        Ok(moved.chain(by_orders).sum())
    }

    /// The newest figure of an order's platform, if that has the order in it.
    fn figure_with(&self, origin: &Origin) -> Option<&Figure> {
        self.past.figures.get(&origin.connection).filter(|figure| figure.at >= origin.at)
    }

    /// A platform's figure counts. It cannot take away what is reserved: what is then available is nothing.
    pub(super) fn accept(
        &self,
        shown: i64,
        (connection, at): (ConnectionId, DateTime<Utc>),
        now: DateTime<Utc>,
    ) -> Result<Vec<StockEvent>, Refusal> {
        let occurred_at = at.min(now);
        let counted = Quantity::new(shown.max(0))?.plus(self.reserved)?;
        if self.counted_since(occurred_at) {
            let covered = StockEvent::Covered { report: Report::Count(counted), occurred_at };
            return Ok(if counted == self.on_hand { vec![] } else { vec![covered] });
        }
        let short = Quantity::new(shown.saturating_neg().max(0)).unwrap_or(Quantity::MAX);
        let figure = Figure { connection, at, short };
        let available = shown.saturating_add(self.moved_since(occurred_at, Some(&figure))?);
        let on_hand = Quantity::new(available.max(0))?.plus(self.reserved)?;
        if on_hand == self.on_hand && counted == self.on_hand {
            return Ok(vec![]);
        }
        Ok(vec![StockEvent::Counted {
            counted,
            reference: Some(format!("connection:{connection}")),
            occurred_at: Some(occurred_at),
            on_hand: (on_hand != counted).then_some(on_hand),
            figure: Some(figure),
        }])
    }

    /// What an order asks for. Where the figure of its platform has that in it, the number here is corrected, so that what is
    /// available stays.
    pub(super) fn serve(&self, asked: &Serving) -> Result<Vec<StockEvent>, Refusal> {
        let Serving { reservation, take, give_back, sell, take_back, origin, ref reference, now } = *asked;
        brief(Some(reference))?;
        let figure = self.figure_with(&origin);
        let corrected = |delta: i64, reason: &str| StockEvent::Adjusted {
            delta,
            reason: reason.to_owned(),
            reference: Some(reference.clone()),
            occurred_at: None,
        };
        let mut events = Vec::new();
        let mut on_hand = self.on_hand;
        let mut held = self.holds.get(&reservation).map_or(Quantity::ZERO, |held| held.quantity);
        if !take.is_zero() {
            // What was sold there and was not there is missing here as well.
            let left_out = figure.map_or(Quantity::ZERO, |figure| take.minus(figure.short));
            if !left_out.is_zero() {
                on_hand = on_hand.plus(left_out)?;
                events.push(corrected(left_out.units(), "the platform's figure had left them out already"));
            }
            let (reservable, ended) = self.free_due(take.minus(left_out), Some(reservation), now);
            events.extend(ended);
            let reservable = left_out.plus(reservable).unwrap_or(Quantity::MAX);
            let quantity = take.min(reservable).min(Quantity::MAX.minus(self.reserved));
            if !quantity.is_zero() {
                held = held.plus(quantity)?;
                let origin = Some(origin);
                events.push(StockEvent::Reserved { reservation, quantity, expires_at: None, origin });
            }
        }
        let back = give_back.min(held);
        if !back.is_zero() {
            held = held.minus(back);
            events.push(StockEvent::Released { reservation, quantity: back, origin: Some(origin) });
            let had = if figure.is_some() { back.min(on_hand) } else { Quantity::ZERO };
            if !had.is_zero() {
                on_hand = on_hand.minus(had);
                events.push(corrected(-had.units(), "the platform's figure had them back already"));
            }
        }
        let quantity = held.min(on_hand);
        if sell && !quantity.is_zero() {
            let (occurred_at, origin) = (Some(now), Some(origin));
            events.push(StockEvent::Committed {
                reservation,
                quantity,
                reference: None,
                occurred_at,
                origin,
            });
        }
        if !take_back.is_zero() {
            events.push(self.taken_back(asked, figure.is_some())?);
        }
        Ok(events)
    }

    fn taken_back(&self, asked: &Serving, counted: bool) -> Result<StockEvent, Refusal> {
        let quantity = asked.take_back;
        if counted {
            return Ok(StockEvent::Covered {
                report: Report::Restock(quantity),
                occurred_at: asked.origin.at.min(asked.now),
            });
        }
        self.on_hand.plus(quantity)?;
        Ok(StockEvent::Restocked {
            quantity,
            reference: Some(asked.reference.clone()),
            occurred_at: Some(asked.now),
            origin: Some(asked.origin),
        })
    }

    /// Remembers what an order has moved, for as long as a figure or a count may come that does not have it in it.
    pub(super) fn remember(
        &mut self,
        origin: Origin,
        available: i64,
        (on_hand, at): (i64, Option<DateTime<Utc>>),
    ) {
        if on_hand == 0 && self.figure_with(&origin).is_some() {
            return;
        }
        let orders = &mut self.past.orders;
        if orders.len() >= ORDERS_MAX {
            let oldest = orders.pop_front().map(|moved| moved.at);
            self.past.forgotten = self.past.forgotten.max(oldest);
        }
        orders.push_back(OrderMove { origin, available, on_hand, at: at.unwrap_or(origin.at) });
    }

    /// From a count on, what it has in it need not be remembered.
    pub(super) fn forget_counted(&mut self, counted_at: Option<DateTime<Utc>>, figure: Option<Figure>) {
        if let Some(at) = counted_at {
            self.past.recent.retain(|moved| moved.at > at);
            self.past.orders.retain(|moved| moved.at > at || !moved.is_in(at, figure.as_ref()));
        }
        if let (Some(at), None) = (counted_at, figure) {
            // Somebody has looked since: what they found has in it whatever the figures had left out.
            self.past.figures.retain(|_, figure| figure.at > at);
        }
        if let Some(figure) = figure {
            let newest = self.past.figures.entry(figure.connection).or_insert(figure);
            if figure.at >= newest.at {
                *newest = figure;
            }
        }
    }
}

#[cfg(test)]
mod tests;
