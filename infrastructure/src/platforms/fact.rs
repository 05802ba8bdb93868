//! What a webhook tells us, whatever platform sent it, and how a webhook can be wrong.
//!
//! The catalogue, the orders and the stock are moved by these facts alone, so a new platform is a new decoder.

use std::fmt;

use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::ObservedProduct,
    values::{ExternalId, Market, Money, Quantity, Sku},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::adapter::Hint;
use crate::unquoted;

/// Something a platform says has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A product looks like this there, all of its variants included.
    Product(ObservedProduct),
    /// A product is no longer there.
    ProductRemoved {
        /// The platform's id of it.
        external: ExternalId,
    },
    /// The platform shows this much of something at one of its places.
    StockObserved {
        /// The platform's handle on the stock.
        inventory: ExternalId,
        /// The platform's id of the place; none where it has but one.
        platform_location: Option<ExternalId>,
        /// Units for sale, possibly oversold; none where the platform does not count.
        available: Option<i64>,
        /// When, by the body itself; none where only a header, which nobody signs, says when.
        at: Option<DateTime<Utc>>,
    },
    /// Units were added or taken away there.
    StockAdjusted {
        /// The platform's handle on the stock, or the seller's SKU.
        inventory: ExternalId,
        /// The platform's id of the place; none where it has but one.
        platform_location: Option<ExternalId>,
        /// How many, more or less.
        delta: i64,
        /// Why, in the platform's words.
        reason: String,
    },
    /// Somebody bought something.
    OrderPlaced {
        /// The platform's id of the order.
        external: ExternalId,
        /// What was bought; an order of nothing has none.
        lines: Vec<SoldLine>,
        /// Who bought it, if that is told.
        buyer: Option<Person>,
        /// When, as far as that is told.
        times: OrderTimes,
    },
    /// An order was paid for; the news may come before those of the order itself.
    OrderPaid {
        /// The platform's id of the order.
        external: ExternalId,
        /// What was bought.
        lines: Vec<SoldLine>,
        /// Who bought it, if that is told.
        buyer: Option<Person>,
        /// When, as far as that is told.
        times: OrderTimes,
    },
    /// An order will not be fulfilled.
    OrderCancelled {
        /// The platform's id of the order.
        external: ExternalId,
        /// Who had bought it, if that is told.
        buyer: Option<Person>,
        /// When, by the platform's clock; none where it does not say.
        at: Option<DateTime<Utc>>,
    },
    /// An order was not paid after all, and the platform may try again.
    OrderFailed {
        /// The platform's id of the order.
        external: ExternalId,
        /// When, by the platform's clock; none where it does not say.
        at: Option<DateTime<Utc>>,
    },
    /// A market trades a model at this price.
    PriceObserved {
        /// The maker's code of the model.
        style_code: String,
        /// Which size; none where the price is the model's.
        size: Option<String>,
        /// Where.
        market: Market,
        /// The lowest price asked.
        price: Money,
        /// When, by the platform's clock; none where it does not say.
        at: Option<DateTime<Utc>>,
    },
    /// Something has happened to this, and the delivery does not say what: it must be looked at there.
    Hint(Hint),
    /// A hint at what lies at an address that the platform has named. The address may be long, and may let in whoever knows
    /// it: it stands in no note.
    Address {
        /// What lies there.
        hint: Hint,
        /// Where.
        url: String,
    },
    /// A signal for whoever reads signals; moves nothing here.
    SignalRaised {
        /// What it is about: a ticker, a name.
        subject: String,
        /// All of it.
        payload: Value,
    },
    /// What is known of somebody is to be destroyed.
    ErasureAsked {
        /// Of whom.
        person: Person,
        /// The platform's ids of orders that are this person's.
        orders: Vec<ExternalId>,
    },
    /// Somebody wants to be told what is known of them, which a person has to answer.
    DisclosureAsked {
        /// Who.
        person: Person,
        /// The platform's ids of orders that are asked about.
        orders: Vec<ExternalId>,
    },
    /// What is known of all of a shop's customers is to be destroyed.
    ShopErasureAsked,
    /// Part of the body could not be read and was passed over, because the rest of it stands by itself.
    Unread {
        /// Which part and why, for people.
        note: String,
    },
}

impl Fact {
    /// The order it tells of and who placed it, if it says both.
    pub fn buyer(&self) -> Option<(&ExternalId, &Person)> {
        match self {
            Self::OrderPlaced { external, buyer, .. }
            | Self::OrderPaid { external, buyer, .. }
            | Self::OrderCancelled { external, buyer, .. } => Some((external, buyer.as_ref()?)),
            _ => None,
        }
    }

    /// The order it tells of, if it tells of one.
    pub fn order(&self) -> Option<&ExternalId> {
        match self {
            Self::OrderPlaced { external, .. }
            | Self::OrderPaid { external, .. }
            | Self::OrderCancelled { external, .. }
            | Self::OrderFailed { external, .. } => Some(external),
            _ => None,
        }
    }

    /// Whom it tells of, if anybody.
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::ErasureAsked { person, .. } | Self::DisclosureAsked { person, .. } => Some(person),
            told => told.buyer().map(|(_, person)| person),
        }
    }
}

/// Somebody a platform tells of, told apart from others by an id or by an address. Shows itself nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The platform's id of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the person is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// When what is told of an order was, by the platform's clock, as far as it says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderTimes {
    /// When its units left what the platform shows for sale: rather too early than too late, see
    /// [`News::moved_at`](onhand_domain::order::News::moved_at).
    pub moved: Option<DateTime<Utc>>,
    /// Of when its lines are.
    pub told: Option<DateTime<Utc>>,
    /// Its units are still in what the platform shows for sale: it takes them off once the order is paid.
    pub waits: bool,
}

/// One line of an order, as the platform has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoldLine {
    /// The platform's id of the variant; none for what is not in its catalogue.
    pub external_variant: Option<ExternalId>,
    /// The seller's SKU, if the line has one.
    pub sku: Option<Sku>,
    /// How many; none where the buyer gets none of it any more.
    pub quantity: Quantity,
}

/// What can be said about a request before its body is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What it is about, in the platform's words.
    pub topic: String,
    /// The same for each repetition of the same delivery.
    pub external_id: String,
    /// True if the id is in the signed body or signed with it, or is made from the body; an id in a header that nobody
    /// signs can be put on any body that was ever seen.
    pub signed: bool,
    /// When it was sent, if the request says so, signed or not.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Why a request is not taken for a platform's; says nothing about secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A header that every delivery has is not there.
    #[error("the header {0} is missing or empty; send the request as the platform sends it")]
    MissingHeader(&'static str),
    /// None of the connection's secrets makes this signature.
    #[error(
        "no webhook secret of the connection makes this signature, or is the secret that was sent; \
         sign the raw body with it, or send it where the platform signs nothing"
    )]
    BadSignature,
    /// The timestamp is more than five minutes away from our clock.
    #[error("the timestamp is more than five minutes off; set the sender's clock, or send the event anew")]
    Stale,
    /// A header cannot be read.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Why a genuine body cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body cannot be understood: {0}")]
pub struct Undecodable(pub String);

impl From<serde_json::Error> for Undecodable {
    fn from(error: serde_json::Error) -> Self {
        // It stays in history, and the body may be a person's.
        Self(unquoted(&error))
    }
}

/// What a genuine body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Facts, in the order of the body; none where it says nothing of use.
    Facts(Vec<Fact>),
    /// Something this project has no use for.
    UnknownTopic,
}
