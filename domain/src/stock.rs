//! Stock: what one location holds of one variant, and how much of it is reserved.
//!
//! A channel may sell only what is *available*: on hand, less what is reserved. That inequality is the
//! reason this aggregate exists; everything else here is bookkeeping for it.

mod command;
mod decide;
mod event;
mod serve;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use uuid::Uuid;

use self::serve::Move;
pub use self::{
    command::{Serving, StockCommand},
    decide::occurred,
    event::{Figure, Origin, Policy, Report, StockEvent},
};
use crate::{
    Refusal,
    aggregate::aggregate,
    values::{ConnectionId, Quantity, ReservationId, StockId},
};

/// Holds that ran out and are remembered, so that a payment that comes late finds its units.
const LAPSED_MAX: usize = 10_000;
/// Shipments and payments that are remembered, so that one that is told twice is taken off once; and those of any one reservation
/// for as long as there is more of it to be sold.
const REFERENCES_MAX: usize = 1_000;

/// Units held for one reservation on one shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// How many.
    pub quantity: Quantity,
    /// When the hold ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// True once it was given time for a payment under way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    payment: bool,
    /// True where it was noted when all of it came to be held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    noted: bool,
}

/// A hold that ran out of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lapsed {
    reservation: ReservationId,
    /// Units it still held then, and that were not sold to it since.
    quantity: Quantity,
    /// True once its payment has to go back.
    refund_due: bool,
}

/// The shelf as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Shelf")]
pub struct Stock {
    on_hand: Quantity,
    reserved: Quantity,
    holds: BTreeMap<ReservationId, Hold>,
    /// Holds by the time they are due, so that a sold-out shelf need not look at every hold.
    due: BTreeSet<(DateTime<Utc>, ReservationId)>,
    /// The rarely used rest, apart from what every reservation touches.
    past: Box<Past>,
    policy: Policy,
    low: bool,
}

/// What has to be remembered for news that come late.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Past {
    /// What has moved that a figure or a count may come without, in the order in which it was recorded.
    moves: VecDeque<Move>,
    /// The newest change of on hand that is not remembered any more.
    forgotten: Option<DateTime<Utc>>,
    /// The newest change of what may be sold that is not remembered any more, those by holds included.
    forgotten_holds: Option<DateTime<Utc>>,
    /// The newest figure that has counted, of each connection.
    figures: BTreeMap<ConnectionId, Figure>,
    /// When the shelf was counted last.
    counted_at: Option<DateTime<Utc>>,
    /// When it was last counted by somebody who looked: what they found has in it whatever older figures had left out.
    looked_at: Option<DateTime<Utc>>,
    /// Holds that ran out, the newest last.
    lapsed: VecDeque<Lapsed>,
    /// What commits were for, the newest last: an id made of reservation and reference each.
    references: VecDeque<Uuid>,
    /// The same of reservations that were committed in part, and of some that have ended since.
    in_parts: BTreeMap<ReservationId, VecDeque<Uuid>>,
}

/// What a snapshot keeps; the rest follows from it.
#[derive(Deserialize)]
struct Shelf {
    on_hand: Quantity,
    holds: BTreeMap<ReservationId, Hold>,
    past: Box<Past>,
    policy: Policy,
    low: bool,
}

impl Serialize for Stock {
    /// As a snapshot keeps it; a hundred thousand holds are not copied to be written.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shelf = serializer.serialize_struct("Shelf", 5)?;
        shelf.serialize_field("on_hand", &self.on_hand)?;
        shelf.serialize_field("holds", &self.holds)?;
        shelf.serialize_field("past", &self.past)?;
        shelf.serialize_field("policy", &self.policy)?;
        shelf.serialize_field("low", &self.low)?;
        shelf.end()
    }
}

impl From<Shelf> for Stock {
    fn from(shelf: Shelf) -> Self {
        let Shelf { on_hand, holds, past, policy, low } = shelf;
        let mut stock = Self { on_hand, past, policy, low, ..Self::default() };
        for (reservation, hold) in &holds {
            stock.reserved = stock.reserved.plus(hold.quantity).unwrap_or(Quantity::MAX);
            stock.due.extend(hold.expires_at.map(|due| (due, *reservation)));
        }
        Self { holds, ..stock }
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

    /// Units that may still be reserved: those available, and those that may be promised before they are there.
    fn reservable_units(&self) -> i64 {
        self.on_hand.units() + self.policy.backorder_limit.units() - self.reserved.units()
    }

    /// The rules of this shelf.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Whether it was told that it is low, and not yet that it has recovered.
    pub fn is_low(&self) -> bool {
        self.low
    }

    /// What is held, by reservation.
    pub fn holds(&self) -> &BTreeMap<ReservationId, Hold> {
        &self.holds
    }

    /// What is held for a reservation here.
    pub fn held_for(&self, reservation: &ReservationId) -> Option<&Hold> {
        self.holds.get(reservation)
    }

    /// Units of a reservation whose hold ran out, and that were not sold to it since.
    pub fn lapsed_for(&self, reservation: &ReservationId) -> Option<Quantity> {
        self.lapsed(reservation).map(|lapsed| lapsed.quantity)
    }

    /// Whether something was committed for a reservation under this reference.
    pub fn is_committed(&self, reservation: &ReservationId, reference: &str) -> bool {
        let id = reference_id(reservation, reference);
        let in_parts = self.past.in_parts.get(reservation);
        self.past.references.contains(&id) || in_parts.is_some_and(|known| known.contains(&id))
    }

    /// Roughly how much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        // A node of each tree, at their usual filling, per hold; measured, not computed.
        460 + self.holds.len() * 200
            + self.past.moves.len() * 64
            + self.past.figures.len() * 80
            + self.past.lapsed.len() * 32
            + self.past.references.len() * 16
            + self.past.in_parts.values().map(|known| 80 + known.len() * 16).sum::<usize>()
    }

    fn lapsed(&self, reservation: &ReservationId) -> Option<&Lapsed> {
        self.past.lapsed.iter().rev().find(|lapsed| lapsed.reservation == *reservation)
    }

    /// Takes a fact. Facts are not refused: whatever the history says, happened.
    #[must_use]
    pub fn evolve(mut self, event: StockEvent) -> Self {
        let (delta, held) = event.moves(self.on_hand.units());
        let (when, origin) = event.moved_by();
        let at = when.or(origin.map(|origin| origin.at));
        let before = self.available();
        let mut unnoted = false;
        self.set_on_hand(self.on_hand.units() + delta);
        match event {
            StockEvent::Counted { occurred_at, figure, .. } => {
                if let Some(at) = occurred_at {
                    let available = self.available().units() - before.units();
                    self.count_from(at, figure, (delta, available));
                }
            }
            StockEvent::Restocked { .. }
            | StockEvent::Adjusted { .. }
            | StockEvent::TransferredOut { .. }
            | StockEvent::TransferredIn { .. }
            | StockEvent::Covered { .. } => {}
            StockEvent::Reserved { reservation, quantity, expires_at, .. } => {
                // Who has new units does not come back for old ones.
                self.past.lapsed.retain(|lapsed| lapsed.reservation != reservation);
                self.hold(reservation, quantity, expires_at, at.is_some());
            }
            StockEvent::Regained { reservation, quantity, .. } => {
                for lapsed in self.past.lapsed.iter_mut().filter(|l| l.reservation == reservation) {
                    lapsed.quantity = lapsed.quantity.minus(quantity);
                }
                self.past.lapsed.retain(|lapsed| !lapsed.quantity.is_zero());
                self.hold(reservation, quantity, None, at.is_some());
            }
            StockEvent::Extended { reservation, expires_at, payment } => {
                self.extend(reservation, expires_at, payment);
            }
            StockEvent::Committed { reservation, reference, .. } => {
                let sold = self.holds.get(&reservation);
                unnoted = self.past.figures.is_empty() && sold.is_some_and(|hold| !hold.noted);
                self.unhold(reservation, -held);
                if let Some(reference) = reference {
                    self.note_reference(reservation, reference_id(&reservation, &reference));
                }
            }
            StockEvent::Released { reservation, .. } => self.unhold(reservation, -held),
            StockEvent::Expired { reservation, quantity, .. } => {
                self.unhold(reservation, -held);
                if self.past.lapsed.len() >= LAPSED_MAX {
                    self.past.lapsed.pop_front();
                }
                self.past.lapsed.push_back(Lapsed { reservation, quantity, refund_due: false });
            }
            StockEvent::RefundDue { reservation, .. } => {
                for lapsed in self.past.lapsed.iter_mut().filter(|l| l.reservation == reservation) {
                    lapsed.refund_due = true;
                }
            }
            StockEvent::Waived { reservation } => {
                self.past.lapsed.retain(|lapsed| lapsed.reservation != reservation);
            }
            StockEvent::PolicySet(policy) => self.policy = policy,
            StockEvent::Low { .. } => self.low = true,
            StockEvent::Recovered { .. } => self.low = false,
        }
        if let Some(at) = at {
            // Where nobody has noted that they were held, units leave what may be sold when they leave the shelf.
            let available = if unnoted { delta } else { self.available().units() - before.units() };
            self.remember(Move { at, on_hand: delta, available, origin, unnoted });
        }
        self
    }

    fn set_on_hand(&mut self, units: i64) {
        self.on_hand = Quantity::new(units.clamp(0, Quantity::MAX.units())).unwrap_or_default();
    }

    fn hold(
        &mut self,
        reservation: ReservationId,
        quantity: Quantity,
        expires_at: Option<DateTime<Utc>>,
        noted: bool,
    ) {
        self.reserved = self.reserved.plus(quantity).unwrap_or(Quantity::MAX);
        let hold = self.holds.entry(reservation).or_insert_with(|| Hold {
            quantity: Quantity::ZERO,
            expires_at: None,
            payment: false,
            noted: true,
        });
        hold.quantity = hold.quantity.plus(quantity).unwrap_or(Quantity::MAX);
        hold.noted &= noted;
        if let Some(due) = hold.expires_at {
            self.due.remove(&(due, reservation));
        }
        hold.expires_at = expires_at;
        self.due.extend(expires_at.map(|due| (due, reservation)));
    }

    fn extend(&mut self, reservation: ReservationId, expires_at: DateTime<Utc>, payment: bool) {
        let Some(hold) = self.holds.get_mut(&reservation) else { return };
        if let Some(due) = hold.expires_at.replace(expires_at) {
            self.due.remove(&(due, reservation));
        }
        hold.payment |= payment;
        self.due.insert((expires_at, reservation));
    }

    fn note_reference(&mut self, reservation: ReservationId, id: Uuid) {
        note(&mut self.past.references, id);
        let lapsed = &self.past.lapsed;
        let goes_on = |reservation: &ReservationId| {
            self.holds.contains_key(reservation)
                || lapsed.iter().any(|lapsed| lapsed.reservation == *reservation)
        };
        if !goes_on(&reservation) {
            return;
        }
        let in_parts = &mut self.past.in_parts;
        // Now and then those that have ended go.
        if !in_parts.contains_key(&reservation) && in_parts.len() % REFERENCES_MAX == REFERENCES_MAX - 1 {
            in_parts.retain(|reservation, _| goes_on(reservation));
        }
        note(in_parts.entry(reservation).or_default(), id);
    }

    fn unhold(&mut self, reservation: ReservationId, units: i64) {
        let Some(hold) = self.holds.get_mut(&reservation) else { return };
        let quantity = Quantity::new(units).unwrap_or_default();
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

/// Adds to what is remembered, and forgets the oldest.
fn note(references: &mut VecDeque<Uuid>, id: Uuid) {
    if references.len() >= REFERENCES_MAX {
        references.pop_front();
    }
    references.push_back(id);
}

fn reference_id(reservation: &ReservationId, reference: &str) -> Uuid {
    Uuid::new_v5(&reservation.0, reference.as_bytes())
}

aggregate!(Stock, StockId, StockEvent, StockCommand, Refusal);

#[cfg(test)]
mod tests;
