//! Orders: what a platform has already sold. They hold what is there, and say what is missing.
//!
//! A buyer's reservation may be refused; a platform's order is a fact. So an order takes what its
//! lines can get, one by one, and the shortage is written down for a person to settle.

mod news;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::news::{Heard, News, ToldLine, cancel, hear};
use crate::{
    Refusal,
    aggregate::aggregate,
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
        /// Of when those lines are, by the platform's clock where it gives a time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<DateTime<Utc>>,
    },
    /// The order became another on the platform before it was paid; what is held for it went along.
    #[serde(rename = "order.edited")]
    Edited {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// All that is bought by now, and what is held.
        lines: Vec<OrderLine>,
        /// Lines that name variants we do not know, as the platform names them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unmapped: Vec<String>,
        /// Of when those lines are, by the platform's clock where it gives a time.
        at: DateTime<Utc>,
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
        /// Of when its lines are still as they were known, by the platform's clock, where that was told with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<DateTime<Utc>>,
    },
    /// The platform told of the order again, and its lines stay as they are known: they are the same, or it was paid with
    /// them. What was told of them before that is older news.
    #[serde(rename = "order.confirmed")]
    Confirmed {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// Of when those lines are, by the platform's clock where it gives a time.
        at: DateTime<Utc>,
    },
    /// The platform cancelled the order; a cancellation may come before the order itself.
    #[serde(rename = "order.cancelled")]
    Cancelled {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// When, by the platform's clock where it gives a time; none on entries of older programs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<DateTime<Utc>>,
    },
    /// The platform goes on with an order that it had cancelled, such as one whose payment came late. It is as if it were new.
    #[serde(rename = "order.reopened")]
    Reopened {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// Of when that is, by the platform's clock.
        at: DateTime<Utc>,
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
        /// Of when those lines are.
        at: DateTime<Utc>,
    },
    /// Note that it has other lines by now.
    Edit {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// All that is bought by now, and what is held.
        lines: Vec<OrderLine>,
        /// Lines we cannot map.
        unmapped: Vec<String>,
        /// Of when those lines are.
        at: DateTime<Utc>,
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
        /// Of when its lines are still as they were known, where that was told with it.
        at: Option<DateTime<Utc>>,
    },
    /// Note that its lines were told again and stay as they are; nothing happens if news as new are known.
    Confirm {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// Of when those lines are.
        at: DateTime<Utc>,
    },
    /// Note that it was cancelled; nothing happens if that is known.
    Cancel {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// When, by the platform's clock where it gives a time.
        at: DateTime<Utc>,
    },
    /// Note that the platform goes on with it; nothing happens unless it was cancelled before that.
    Reopen {
        /// Where.
        connection: ConnectionId,
        /// The platform's id.
        external_id: ExternalId,
        /// Of when that is.
        at: DateTime<Utc>,
    },
}

/// An order as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What was bought, once we know.
    pub lines: Option<Vec<OrderLine>>,
    /// Of when those lines are, by the platform's clock; news from before say nothing new of them.
    #[serde(default)]
    pub told_at: Option<DateTime<Utc>>,
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
    /// When, by the platform's clock.
    #[serde(default)]
    pub cancelled_at: Option<DateTime<Utc>>,
}

impl Order {
    #[expect(clippy::unnecessary_wraps, reason = "deciders share one signature")]
    fn decide(&self, command: OrderCommand) -> Result<Vec<OrderEvent>, Refusal> {
        Ok(match command {
            OrderCommand::Reopen { connection, external_id, at }
                if self.cancelled_at.is_some_and(|cancelled| cancelled < at) =>
            {
                vec![OrderEvent::Reopened { connection, external_id, at }]
            }
            OrderCommand::Reopen { .. } => vec![],
            // Told again of a later time: what was told between the two is older than that.
            OrderCommand::Cancel { connection, external_id, at }
                if self.cancelled_at.is_some_and(|known| known < at) =>
            {
                vec![OrderEvent::Cancelled { connection, external_id, at: Some(at) }]
            }
            _ if self.cancelled => vec![],
            OrderCommand::Place { .. } if self.lines.is_some() => vec![],
            OrderCommand::Place { connection, external_id, lines, unmapped, buyer, at } => {
                let at = Some(at);
                vec![OrderEvent::Placed { connection, external_id, lines, unmapped, buyer, at }]
            }
            OrderCommand::Edit { connection, external_id, lines, unmapped, at } => {
                vec![OrderEvent::Edited { connection, external_id, lines, unmapped, at }]
            }
            OrderCommand::FindLines { found, .. } if found.is_empty() => vec![],
            OrderCommand::FindLines { connection, external_id, lines, found, sold } => {
                vec![OrderEvent::LinesFound { connection, external_id, lines, found, sold }]
            }
            OrderCommand::Pay { .. } if self.paid => vec![],
            OrderCommand::Pay { connection, external_id, sold, at } => {
                vec![OrderEvent::Paid { connection, external_id, sold, at }]
            }
            OrderCommand::Confirm { at, .. } if self.told_at.is_some_and(|known| at <= known) => vec![],
            OrderCommand::Confirm { connection, external_id, at } => {
                vec![OrderEvent::Confirmed { connection, external_id, at }]
            }
            OrderCommand::Cancel { connection, external_id, at } => {
                vec![OrderEvent::Cancelled { connection, external_id, at: Some(at) }]
            }
        })
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(mut self, event: OrderEvent) -> Self {
        match event {
            OrderEvent::Placed { lines, unmapped, at, .. } => {
                self.lines = Some(lines);
                self.unmapped = unmapped;
                self.told_at = at;
            }
            OrderEvent::Edited { lines, unmapped, at, .. } => {
                self.lines = Some(lines);
                self.unmapped = unmapped;
                self.told_at = Some(at);
            }
            OrderEvent::LinesFound { lines, found, sold, .. } => {
                self.lines.get_or_insert_default().extend(lines);
                self.sold.extend(sold);
                self.unmapped.retain(|name| !found.contains(name));
            }
            OrderEvent::Paid { sold, at, .. } => {
                self.paid = true;
                self.sold.extend(sold);
                self.told_at = self.told_at.max(at);
            }
            OrderEvent::Confirmed { at, .. } => self.told_at = Some(at),
            OrderEvent::Cancelled { at, .. } => {
                self.cancelled = true;
                self.cancelled_at = at;
            }
            OrderEvent::Reopened { .. } => return Self::default(),
        }
        self
    }
}

aggregate!(Order, OrderId, OrderEvent, OrderCommand, Refusal);

#[cfg(test)]
mod tests;
