//! What happens to a shelf.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::values::{ConnectionId, LocationCode, Quantity, ReservationId};

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
        /// When they arrived.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occurred_at: Option<DateTime<Utc>>,
        /// Whose order brought them back; none's, or one's that is not a platform's, if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Origin>,
    },
    /// The number on the shelf was corrected by hand, up or down.
    #[serde(rename = "stock.adjusted")]
    Adjusted {
        /// Units added (positive) or taken away (negative).
        delta: i64,
        /// Why.
        reason: String,
        /// A ticket, a document, whatever the caller named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// When the units came or went; none where only the number was wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occurred_at: Option<DateTime<Utc>>,
    },
    /// Somebody counted the shelf, and this is what was there.
    #[serde(rename = "stock.counted")]
    Counted {
        /// Units found.
        counted: Quantity,
        /// A stock-take, a platform's report, whatever the caller named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// When they were counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occurred_at: Option<DateTime<Utc>>,
        /// What is on the shelf by now: the count, and what has moved since. The count itself if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_hand: Option<Quantity>,
        /// Which platform's figure it was; somebody's count if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        figure: Option<Figure>,
    },
    /// A change came to light that a later count had seen already; the number stays.
    #[serde(rename = "stock.covered")]
    Covered {
        /// What was reported.
        report: Report,
        /// When it happened, before the last count.
        occurred_at: DateTime<Utc>,
    },
    /// Units were set aside for a buyer; they are still on the shelf.
    #[serde(rename = "stock.reserved")]
    Reserved {
        /// For whom.
        reservation: ReservationId,
        /// How many, besides those that were held for the same buyer already.
        quantity: Quantity,
        /// When the hold ends by itself; a platform's order holds until it is cancelled or shipped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<DateTime<Utc>>,
        /// Whose order they are held for; a buyer's of our own if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Origin>,
        /// When; said where a platform's figure counts on this shelf, which may not know of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occurred_at: Option<DateTime<Utc>>,
    },
    /// A hold was given more time.
    #[serde(rename = "stock.extended")]
    Extended {
        /// Whose.
        reservation: ReservationId,
        /// When it ends by itself now.
        expires_at: DateTime<Utc>,
        /// True if that is because the buyer is paying at this moment; a hold gets such time once.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        payment: bool,
    },
    /// Reserved units were sold and have left the shelf.
    #[serde(rename = "stock.committed")]
    Committed {
        /// For whom they were held.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
        /// A shipment, a payment, whatever the caller named; the same one is not taken off twice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// When they left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occurred_at: Option<DateTime<Utc>>,
        /// Whose order they were sold for; a buyer's of our own if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Origin>,
    },
    /// Reserved units were given back without a sale.
    #[serde(rename = "stock.released")]
    Released {
        /// For whom they were held.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
        /// Whose order gave them back; a buyer's of our own if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Origin>,
        /// When; said where a platform's figure counts on this shelf, which may not know of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occurred_at: Option<DateTime<Utc>>,
    },
    /// A hold ran out of time, and its units are free again.
    #[serde(rename = "stock.expired")]
    Expired {
        /// For whom they were held.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
        /// When; said where a platform's figure counts on this shelf, which may not know of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occurred_at: Option<DateTime<Utc>>,
    },
    /// Somebody paid for units whose hold had run out; they could still be had, and are held again.
    #[serde(rename = "stock.regained")]
    Regained {
        /// Who paid.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
        /// When; said where a platform's figure counts on this shelf, which may not know of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occurred_at: Option<DateTime<Utc>>,
    },
    /// A buyer who let a reservation go will not come back for units of it whose hold had run out.
    #[serde(rename = "stock.waived")]
    Waived {
        /// Whose.
        reservation: ReservationId,
    },
    /// Somebody paid for units whose hold had run out and that others have by now; the money has to go back.
    #[serde(rename = "stock.refund_due")]
    RefundDue {
        /// Who paid.
        reservation: ReservationId,
        /// For how many.
        quantity: Quantity,
    },
    /// Units left for another location.
    #[serde(rename = "stock.transferred_out")]
    TransferredOut {
        /// How many.
        quantity: Quantity,
        /// Where to.
        to: LocationCode,
        /// A transfer order, whatever the caller named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// When they left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occurred_at: Option<DateTime<Utc>>,
    },
    /// Units came from another location.
    #[serde(rename = "stock.transferred_in")]
    TransferredIn {
        /// How many.
        quantity: Quantity,
        /// Where from.
        from: LocationCode,
        /// A transfer order, whatever the caller named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// When they came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occurred_at: Option<DateTime<Utc>>,
    },
    /// Other rules hold for this shelf from now on.
    #[serde(rename = "stock.policy_set")]
    PolicySet(Policy),
    /// What is available fell to the threshold.
    #[serde(rename = "stock.low")]
    Low {
        /// Units still available.
        available: Quantity,
        /// The threshold.
        threshold: Quantity,
    },
    /// What is available rose above the threshold again.
    #[serde(rename = "stock.recovered")]
    Recovered {
        /// Units available.
        available: Quantity,
    },
}

/// Whose order moved units, and when they left or came back to what its platform shows for sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Where the order was placed.
    pub connection: ConnectionId,
    /// When, by the platform's own clock where it gives a time.
    pub at: DateTime<Utc>,
}

/// A platform's own figure: what it shows for sale, less all that its own orders have moved until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// Where it is shown.
    pub connection: ConnectionId,
    /// When it was, by the platform's own clock where it gives a time.
    pub at: DateTime<Utc>,
    /// Units sold there that were not there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub short: Quantity,
    /// Until when it has in it what others have moved, by our clock: what was held or went later was not told there yet. Its own
    /// time if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knows: Option<DateTime<Utc>>,
}

fn is_zero(quantity: &Quantity) -> bool {
    quantity.is_zero()
}

/// What somebody says about a shelf, too late to matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// Units that arrived.
    Restock(Quantity),
    /// Units that came or went.
    Adjustment(i64),
    /// Units that were found.
    Count(Quantity),
}

/// The rules of one shelf.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How many units may be reserved beyond those on hand; none unless said otherwise.
    pub backorder_limit: Quantity,
    /// At how many available units somebody wants to be told; nobody if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_stock_threshold: Option<Quantity>,
}

impl StockEvent {
    /// By how many units on hand and reserved move, given what was on hand before.
    pub fn moves(&self, on_hand: i64) -> (i64, i64) {
        match self {
            Self::Restocked { quantity, .. } | Self::TransferredIn { quantity, .. } => (quantity.units(), 0),
            Self::TransferredOut { quantity, .. } => (-quantity.units(), 0),
            Self::Adjusted { delta, .. } => (*delta, 0),
            Self::Counted { .. } => (self.sets_on_hand().unwrap_or(on_hand) - on_hand, 0),
            Self::Reserved { quantity, .. } | Self::Regained { quantity, .. } => (0, quantity.units()),
            Self::Committed { quantity, .. } => (-quantity.units(), -quantity.units()),
            Self::Released { quantity, .. } | Self::Expired { quantity, .. } => (0, -quantity.units()),
            Self::Covered { .. }
            | Self::Extended { .. }
            | Self::RefundDue { .. }
            | Self::Waived { .. }
            | Self::PolicySet(_)
            | Self::Low { .. }
            | Self::Recovered { .. } => (0, 0),
        }
    }

    /// When it moved units, and whose order did; a count is no movement, and a change of the number alone has no time.
    pub(super) fn moved_by(&self) -> (Option<DateTime<Utc>>, Option<Origin>) {
        match self {
            Self::Restocked { occurred_at, origin, .. }
            | Self::Reserved { occurred_at, origin, .. }
            | Self::Committed { occurred_at, origin, .. }
            | Self::Released { occurred_at, origin, .. } => (*occurred_at, *origin),
            Self::Adjusted { occurred_at, .. }
            | Self::TransferredOut { occurred_at, .. }
            | Self::TransferredIn { occurred_at, .. }
            | Self::Expired { occurred_at, .. }
            | Self::Regained { occurred_at, .. } => (*occurred_at, None),
            Self::Counted { .. }
            | Self::Covered { .. }
            | Self::Extended { .. }
            | Self::RefundDue { .. }
            | Self::Waived { .. }
            | Self::PolicySet(_)
            | Self::Low { .. }
            | Self::Recovered { .. } => (None, None),
        }
    }

    /// What is on hand after a count, whatever it was before; none for everything but a count.
    pub fn sets_on_hand(&self) -> Option<i64> {
        match self {
            Self::Counted { counted, on_hand, .. } => Some(on_hand.unwrap_or(*counted).units()),
            _ => None,
        }
    }

    /// Whether what a channel may sell can be another number after this: not if on hand and reserved go down together,
    /// as in a sale.
    pub fn moves_available(&self) -> bool {
        let (on_hand, reserved) = self.moves(0);
        self.sets_on_hand().is_some() || on_hand != reserved
    }
}
