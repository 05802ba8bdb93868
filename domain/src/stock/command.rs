//! What one may ask of a shelf.

use chrono::{DateTime, Utc};

use super::Policy;
use crate::values::{LocationCode, Quantity, ReservationId};

/// What one may ask of a shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockCommand {
    /// Put units on the shelf.
    Restock {
        /// How many; at least one.
        quantity: Quantity,
        /// Where they came from.
        reference: Option<String>,
        /// When they came; what a later count has seen already does not count twice.
        occurred_at: DateTime<Utc>,
    },
    /// Correct the number by a difference.
    Adjust {
        /// Units added or taken away; not zero.
        delta: i64,
        /// Why.
        reason: String,
        /// What it goes back to.
        reference: Option<String>,
        /// When they came or went.
        occurred_at: DateTime<Utc>,
    },
    /// Set the number to what was counted, and to what has moved since the count was made.
    Count {
        /// Units found.
        counted: Quantity,
        /// Who or what counted.
        reference: Option<String>,
        /// When.
        occurred_at: DateTime<Utc>,
    },
    /// Hold so many units for a buyer, those included that are held for the same buyer already.
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
    /// Hold as many units as can be had, up to so many, until they are released or committed.
    Take {
        /// For whom.
        reservation: ReservationId,
        /// How many at most.
        quantity: Quantity,
        /// True to sell them at once, as far as they are there.
        sold: bool,
        /// The present moment.
        now: DateTime<Utc>,
    },
    /// Give a hold more time.
    Extend {
        /// Whose.
        reservation: ReservationId,
        /// When it is to end; never earlier than it would.
        expires_at: DateTime<Utc>,
        /// The buyer is paying at this moment. A hold gets such time once.
        payment: bool,
    },
    /// Sell held units, all of them or some; also units whose hold has run out, if they can still be had.
    Commit {
        /// For whom they are held.
        reservation: ReservationId,
        /// How many; all that are held if not given.
        quantity: Option<Quantity>,
        /// The shipment or payment; one that is known already sells nothing more.
        reference: Option<String>,
        /// The present moment.
        now: DateTime<Utc>,
    },
    /// Note that a payment for units that are gone has to go back; nothing happens if that is known.
    OweRefund {
        /// Who paid.
        reservation: ReservationId,
        /// For how many; all that had been held if not given.
        quantity: Option<Quantity>,
    },
    /// Give up what was held and ran out; nothing happens if nothing did.
    Waive {
        /// Whose.
        reservation: ReservationId,
    },
    /// Give held units back, all of them or some.
    Release {
        /// For whom they are held.
        reservation: ReservationId,
        /// How many; all that are held if not given.
        quantity: Option<Quantity>,
    },
    /// End holds whose time has come, the longest overdue first.
    Expire {
        /// The present moment.
        now: DateTime<Utc>,
        /// How many holds at most.
        limit: usize,
    },
    /// Send units to another location.
    TransferOut {
        /// How many; at least one.
        quantity: Quantity,
        /// Where to.
        to: LocationCode,
        /// What it goes back to.
        reference: Option<String>,
        /// The present moment.
        now: DateTime<Utc>,
    },
    /// Take in units from another location.
    TransferIn {
        /// How many; at least one.
        quantity: Quantity,
        /// Where from.
        from: LocationCode,
        /// What it goes back to.
        reference: Option<String>,
        /// The present moment.
        now: DateTime<Utc>,
    },
    /// Let other rules hold.
    SetPolicy(Policy),
}
