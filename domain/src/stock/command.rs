//! What one may ask of a shelf.

use chrono::{DateTime, Utc};

use super::{Origin, Policy};
use crate::values::{ConnectionId, LocationCode, Quantity, ReservationId};

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
    /// Let what a platform shows for sale count: that much is available, and what has moved since on top.
    Accept {
        /// What is shown, the safety buffer included; less than nothing where more was sold than was there.
        shown: i64,
        /// Where.
        connection: ConnectionId,
        /// When, by the platform's own clock where it gives a time.
        at: DateTime<Utc>,
        /// Until when it was told what others have moved, by our clock; all until `at` if that is not known or is later.
        told_until: Option<DateTime<Utc>>,
        /// The present moment.
        now: DateTime<Utc>,
    },
    /// Do what a platform's order asks of this shelf.
    Serve(Serving),
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
        /// The present moment.
        now: DateTime<Utc>,
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

/// What a platform's order asks of one shelf, all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// Under which name it holds its units.
    pub reservation: ReservationId,
    /// Units to hold besides those that it holds, as many of them as can be had.
    pub take: Quantity,
    /// Units to give back of those that it holds, as many of them as it does.
    pub give_back: Quantity,
    /// True to sell all that it then holds and that is there.
    pub sell: bool,
    /// Units sold to it that come back.
    pub take_back: Quantity,
    /// Whose order it is, and when all this showed in the platform's figure, or will.
    pub origin: Origin,
    /// What people are to read.
    pub reference: String,
    /// The present moment.
    pub now: DateTime<Utc>,
}
