//! Stock: what one location holds of one variant, and how much of it is reserved.
//!
//! A channel may sell only what is *available*: on hand, less what is reserved. That inequality is the
//! reason this aggregate exists; everything else here is bookkeeping for it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    aggregate::aggregate,
    values::{Quantity, ReservationId, StockId},
};

/// What has happened to the units on this shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StockEvent {
    /// Units arrived and were put on the shelf.
    #[serde(rename = "stock.restocked")]
    Restocked {
        /// How many.
        quantity: Quantity,
        /// A purchase order, a return, whatever the caller named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// The number on the shelf was corrected by hand, up or down.
    #[serde(rename = "stock.adjusted")]
    Adjusted {
        /// Units added (positive) or taken away (negative).
        delta: i64,
        /// Why.
        reason: String,
    },
    /// Somebody counted the shelf, and this is what was there.
    #[serde(rename = "stock.counted")]
    Counted {
        /// Units found.
        counted: Quantity,
        /// A stock-take, a platform's report, whatever the caller named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// Units were set aside for a buyer; they are still on the shelf.
    #[serde(rename = "stock.reserved")]
    Reserved {
        /// For whom.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
        /// When the hold ends by itself; a platform's order holds until it is cancelled or shipped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<DateTime<Utc>>,
    },
    /// Reserved units were sold and have left the shelf.
    #[serde(rename = "stock.committed")]
    Committed {
        /// For whom they were held.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
    },
    /// Reserved units were given back without a sale.
    #[serde(rename = "stock.released")]
    Released {
        /// For whom they were held.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
    },
    /// A hold ran out of time, and its units are free again.
    #[serde(rename = "stock.expired")]
    Expired {
        /// For whom they were held.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
    },
}

/// What one may ask of a shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockCommand {
    /// Put units on the shelf.
    Restock {
        /// How many; at least one.
        quantity: Quantity,
        /// Where they came from.
        reference: Option<String>,
    },
    /// Correct the number by a difference.
    Adjust {
        /// Units added or taken away; not zero.
        delta: i64,
        /// Why.
        reason: String,
    },
    /// Set the number to what was counted.
    Count {
        /// Units found.
        counted: Quantity,
        /// Who or what counted.
        reference: Option<String>,
    },
    /// Hold units for a buyer.
    Reserve {
        /// For whom.
        reservation: ReservationId,
        /// How many; at least one.
        quantity: Quantity,
        /// When the hold ends by itself.
        expires_at: Option<DateTime<Utc>>,
        /// The present moment: holds that are due by now do not stand in the way.
        now: DateTime<Utc>,
    },
    /// Sell held units, all of them or some.
    Commit {
        /// For whom they are held.
        reservation: ReservationId,
        /// How many; all that are held if not given.
        quantity: Option<Quantity>,
    },
    /// Give held units back, all of them or some.
    Release {
        /// For whom they are held.
        reservation: ReservationId,
        /// How many; all that are held if not given.
        quantity: Option<Quantity>,
    },
    /// End a hold whose time has come; nothing happens if it has not, or if the hold is gone.
    Expire {
        /// For whom they are held.
        reservation: ReservationId,
        /// The present moment.
        now: DateTime<Utc>,
    },
}

/// Units held for one reservation on one shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// How many.
    pub quantity: Quantity,
    /// When the hold ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The shelf as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Shelf", into = "Shelf")]
pub struct Stock {
    on_hand: Quantity,
    reserved: Quantity,
    holds: BTreeMap<ReservationId, Hold>,
    /// Holds by the time they are due, so that a sold-out shelf need not look at every hold.
    due: BTreeSet<(DateTime<Utc>, ReservationId)>,
}

/// What a snapshot keeps; the rest follows from it.
#[derive(Clone, Serialize, Deserialize)]
struct Shelf {
    on_hand: Quantity,
    holds: BTreeMap<ReservationId, Hold>,
}

impl From<Shelf> for Stock {
    fn from(shelf: Shelf) -> Self {
        let mut stock = Self { on_hand: shelf.on_hand, ..Self::default() };
        for (reservation, hold) in shelf.holds {
            stock.hold(reservation, hold);
        }
        stock
    }
}

impl From<Stock> for Shelf {
    fn from(stock: Stock) -> Self {
        Self { on_hand: stock.on_hand, holds: stock.holds }
    }
}

impl Stock {
    /// Units on the shelf, reserved ones included.
    pub fn on_hand(&self) -> Quantity {
        self.on_hand
    }

    /// Units set aside for buyers.
    pub fn reserved(&self) -> Quantity {
        self.reserved
    }

    /// Units a channel may still sell.
    pub fn available(&self) -> Quantity {
        self.on_hand.minus(self.reserved)
    }

    /// What is held for a reservation here.
    pub fn held_for(&self, reservation: &ReservationId) -> Option<&Hold> {
        self.holds.get(reservation)
    }

    /// Holds on this shelf; what a cached state weighs.
    pub fn holds(&self) -> usize {
        self.holds.len()
    }

    /// What a command leads to: events, or the reason why not.
    pub fn decide(&self, command: StockCommand) -> Result<Vec<StockEvent>, Refusal> {
        match command {
            StockCommand::Restock { quantity, reference } => self.restock(quantity, reference),
            StockCommand::Adjust { delta, reason } => self.adjust(delta, reason),
            StockCommand::Count { counted, reference } => self.count(counted, reference),
            StockCommand::Reserve { reservation, quantity, expires_at, now } => {
                self.reserve(reservation, Hold { quantity, expires_at }, now)
            }
            StockCommand::Commit { reservation, quantity } => {
                let quantity = self.part_of_hold(reservation, quantity)?;
                Ok(vec![StockEvent::Committed { reservation, quantity }])
            }
            StockCommand::Release { reservation, quantity } => {
                let quantity = self.part_of_hold(reservation, quantity)?;
                Ok(vec![StockEvent::Released { reservation, quantity }])
            }
            StockCommand::Expire { reservation, now } => Ok(self.expire(reservation, now)),
        }
    }

    fn restock(&self, quantity: Quantity, reference: Option<String>) -> Result<Vec<StockEvent>, Refusal> {
        at_least_one(quantity)?;
        brief(reference.as_deref())?;
        self.on_hand.plus(quantity)?;
        Ok(vec![StockEvent::Restocked { quantity, reference }])
    }

    fn adjust(&self, delta: i64, reason: String) -> Result<Vec<StockEvent>, Refusal> {
        if delta == 0 {
            return Err(Refusal::invalid("stock.no_change", "an adjustment by 0 changes nothing"));
        }
        brief(Some(&reason))?;
        let left = self.on_hand.units().saturating_add(delta);
        if left < 0 {
            return Err(Refusal::conflict(
                "stock.insufficient",
                format!("{} are on hand; {} cannot be taken away", self.on_hand, delta.unsigned_abs()),
            ));
        }
        self.covers_reserved(Quantity::new(left)?)?;
        Ok(vec![StockEvent::Adjusted { delta, reason }])
    }

    fn count(&self, counted: Quantity, reference: Option<String>) -> Result<Vec<StockEvent>, Refusal> {
        brief(reference.as_deref())?;
        self.covers_reserved(counted)?;
        Ok(vec![StockEvent::Counted { counted, reference }])
    }

    fn covers_reserved(&self, on_hand: Quantity) -> Result<(), Refusal> {
        if on_hand < self.reserved {
            return Err(Refusal::conflict(
                "stock.reserved",
                format!(
                    "{} are reserved; release reservations before going down to {on_hand}",
                    self.reserved
                ),
            ));
        }
        Ok(())
    }

    fn reserve(
        &self,
        reservation: ReservationId,
        hold: Hold,
        now: DateTime<Utc>,
    ) -> Result<Vec<StockEvent>, Refusal> {
        at_least_one(hold.quantity)?;
        if let Some(held) = self.holds.get(&reservation) {
            // A caller repeats itself when our answer is lost; the second ask is not a second hold.
            return if held.quantity == hold.quantity {
                Ok(vec![])
            } else {
                Err(Refusal::conflict(
                    "reservation.exists",
                    format!("{} are already held for reservation {reservation}", held.quantity),
                ))
            };
        }
        let (available, mut events) = self.free_due(hold.quantity, now);
        if hold.quantity > available {
            return Err(insufficient(hold.quantity, available));
        }
        let Hold { quantity, expires_at } = hold;
        events.push(StockEvent::Reserved { reservation, quantity, expires_at });
        Ok(events)
    }

    /// What is available at `now`, and the ends of holds that are due by then: as many as it takes to have
    /// `wanted`, the longest overdue first. What is due is free, whether or not anybody has come round to say so.
    pub fn free_due(&self, wanted: Quantity, now: DateTime<Utc>) -> (Quantity, Vec<StockEvent>) {
        let mut available = self.available();
        let mut events = Vec::new();
        for (due, late) in &self.due {
            if available >= wanted || *due > now {
                break;
            }
            if let Some(Hold { quantity, .. }) = self.holds.get(late) {
                available = available.plus(*quantity).unwrap_or(Quantity::MAX);
                events.push(StockEvent::Expired { reservation: *late, quantity: *quantity });
            }
        }
        (available, events)
    }

    fn part_of_hold(
        &self,
        reservation: ReservationId,
        quantity: Option<Quantity>,
    ) -> Result<Quantity, Refusal> {
        let held = self.holds.get(&reservation).ok_or_else(|| {
            Refusal::conflict(
                "reservation.ended",
                format!(
                    "nothing is held for reservation {reservation}: it was committed, released or has expired"
                ),
            )
        })?;
        let quantity = quantity.unwrap_or(held.quantity);
        at_least_one(quantity)?;
        if quantity > held.quantity {
            return Err(Refusal::conflict(
                "reservation.exceeded",
                format!("{} are held for reservation {reservation}, not {quantity}", held.quantity),
            ));
        }
        Ok(quantity)
    }

    fn expire(&self, reservation: ReservationId, now: DateTime<Utc>) -> Vec<StockEvent> {
        match self.holds.get(&reservation) {
            Some(Hold { quantity, expires_at: Some(due) }) if *due <= now => {
                vec![StockEvent::Expired { reservation, quantity: *quantity }]
            }
            _ => vec![],
        }
    }

    /// Takes a fact. Facts are not refused: whatever the history says, happened.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the trait hands events over, and all aggregates look alike"
    )]
    pub fn evolve(mut self, event: StockEvent) -> Self {
        match event {
            StockEvent::Restocked { quantity, .. } => self.move_on_hand(quantity.units()),
            StockEvent::Adjusted { delta, .. } => self.move_on_hand(delta),
            StockEvent::Counted { counted, .. } => self.on_hand = counted,
            StockEvent::Reserved { reservation, quantity, expires_at } => {
                self.hold(reservation, Hold { quantity, expires_at });
            }
            StockEvent::Committed { reservation, quantity } => {
                self.unhold(reservation, quantity);
                self.move_on_hand(-quantity.units());
            }
            StockEvent::Released { reservation, quantity }
            | StockEvent::Expired { reservation, quantity } => {
                self.unhold(reservation, quantity);
            }
        }
        self
    }

    fn move_on_hand(&mut self, delta: i64) {
        let units = (self.on_hand.units() + delta).clamp(0, Quantity::MAX.units());
        self.on_hand = Quantity::new(units).unwrap_or_default();
    }

    fn hold(&mut self, reservation: ReservationId, hold: Hold) {
        self.reserved = self.reserved.plus(hold.quantity).unwrap_or(Quantity::MAX);
        if let Some(due) = hold.expires_at {
            self.due.insert((due, reservation));
        }
        self.holds.insert(reservation, hold);
    }

    fn unhold(&mut self, reservation: ReservationId, quantity: Quantity) {
        let Some(hold) = self.holds.get_mut(&reservation) else {
            return;
        };
        self.reserved = self.reserved.minus(quantity);
        hold.quantity = hold.quantity.minus(quantity);
        if hold.quantity.is_zero() {
            if let Some(due) = hold.expires_at {
                self.due.remove(&(due, reservation));
            }
            self.holds.remove(&reservation);
        }
    }
}

fn at_least_one(quantity: Quantity) -> Result<(), Refusal> {
    if quantity.is_zero() {
        return Err(Refusal::invalid("quantity.zero", "the quantity must be at least 1"));
    }
    Ok(())
}

/// Reasons and references are for people, and stay in history for ever.
fn brief(words: Option<&str>) -> Result<(), Refusal> {
    if words.is_some_and(|words| words.chars().count() > 500) {
        return Err(Refusal::invalid("text.too_long", "a reason or a reference has at most 500 characters"));
    }
    Ok(())
}

fn insufficient(wanted: Quantity, available: Quantity) -> Refusal {
    Refusal::conflict("stock.insufficient", format!("{wanted} wanted, {available} available"))
        .with_facts(serde_json::json!({ "wanted": wanted, "available": available }))
}

aggregate!(Stock, StockId, StockEvent, StockCommand, Refusal);

#[cfg(test)]
mod tests;
