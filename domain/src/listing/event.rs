//! What has happened to listings, and what that speaks of.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::values::{ConnectionId, ExternalId, Money, ProductId, Sku, VariantId};

/// Which of our variants is which of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Whose shop.
    pub connection: ConnectionId,
    /// Our product.
    pub product: ProductId,
    /// Our variant.
    pub variant: VariantId,
    /// Their product.
    pub external_product: ExternalId,
    /// Their variant.
    pub external_variant: ExternalId,
    /// Their handle on its stock, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_inventory: Option<ExternalId>,
}

impl Mapping {
    /// Whether stock and price of both are told at the same place of the platform.
    pub fn is_at_place_of(&self, other: &Self) -> bool {
        (&self.external_product, &self.external_variant, &self.external_inventory)
            == (&other.external_product, &other.external_variant, &other.external_inventory)
    }
}

/// How a platform tells a variant from the others of its product.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownVariant {
    /// The seller's SKU, as it stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// `size` and so on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// Something a listing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Figure {
    /// Units for sale.
    Quantity {
        /// How many.
        quantity: i64,
    },
    /// What it costs.
    Price {
        /// How much.
        price: Money,
    },
}

impl Figure {
    /// What sort of figure it is.
    pub fn kind(self) -> FigureKind {
        match self {
            Self::Quantity { .. } => FigureKind::Quantity,
            Self::Price { .. } => FigureKind::Price,
        }
    }
}

/// The sorts of figures a listing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FigureKind {
    /// Units for sale.
    Quantity,
    /// What it costs.
    Price,
}

/// A figure that was changed over there, to be judged by somebody. Nothing of its kind is pushed meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// What the platform shows.
    pub shows: Figure,
    /// Since when, by the platform's own clock where it gives one.
    pub at: DateTime<Utc>,
}

/// A figure that was sent, and that the platform may have taken without our hearing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// What it was to show.
    pub figure: Figure,
    /// When, by our clock.
    pub at: DateTime<Utc>,
    /// There was no answer at all, so that the call may still be under way over there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// How a conflict ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The ledger's figure is shown there.
    UseMaster,
    /// The platform's figure becomes the ledger's.
    UsePlatform,
    /// A third figure becomes both's.
    Manual,
    /// Nobody said anything: both came to show the same again.
    Agreed,
}

/// What has happened to a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListingEvent {
    /// The platform's variant was recognised as ours.
    #[serde(rename = "listing.mapped")]
    Mapped(Mapping),
    /// The platform no longer offers it, or somebody has taken it away here.
    #[serde(rename = "listing.removed")]
    Removed {
        /// When, by the platform's clock where it gives a time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<DateTime<Utc>>,
        /// We have taken it off there, and may offer it again in its old place.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        taken_off: bool,
    },
    /// The platform took our quantity.
    #[serde(rename = "listing.quantity_pushed")]
    QuantityPushed {
        /// What it shows now.
        quantity: i64,
        /// The ledger position that number is true as of.
        as_of: i64,
        /// Until when what has moved is in it, by our clock; none if that is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
        /// When it had taken it, by our clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<DateTime<Utc>>,
    },
    /// The platform took our price.
    #[serde(rename = "listing.price_pushed")]
    PricePushed {
        /// What it shows now.
        price: Money,
        /// The ledger position that price is true as of.
        as_of: i64,
        /// When it had taken it, by our clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<DateTime<Utc>>,
    },
    /// We sent the platform a quantity or a price, and do not know whether it took it.
    #[serde(rename = "listing.figure_sent")]
    FigureSent(Sent),
    /// The platform told or showed us its quantity.
    #[serde(rename = "listing.quantity_observed")]
    QuantityObserved {
        /// What it shows.
        quantity: i64,
        /// When, by the platform's own clock where it gives one.
        at: DateTime<Utc>,
        /// True if this is our own push coming back.
        echo: bool,
        /// Until when what has moved is in it, by our clock: said where it shows what it is to show.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// The platform told or showed us its price.
    #[serde(rename = "listing.price_observed")]
    PriceObserved {
        /// What it shows.
        price: Money,
        /// When, by the platform's own clock where it gives one.
        at: DateTime<Utc>,
        /// True if this is our own push coming back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        echo: bool,
    },
    /// The platform showed the SKU and what sets the variant apart there, for the first time or other than before.
    #[serde(rename = "listing.variant_observed")]
    VariantObserved(ShownVariant),
    /// The platform showed something else than it was to show, though nobody over there had changed it.
    #[serde(rename = "listing.drifted")]
    Drifted {
        /// What it showed.
        shows: Figure,
        /// When we looked, or were told.
        at: DateTime<Utc>,
    },
    /// The platform showed a figure of its own, and somebody has to say which one counts.
    #[serde(rename = "listing.conflict_opened")]
    ConflictOpened(Conflict),
    /// Somebody said which figure counts.
    #[serde(rename = "listing.conflict_resolved")]
    ConflictResolved {
        /// Which figure it was about.
        kind: FigureKind,
        /// What was said.
        resolution: Resolution,
    },
    /// The platform would not take a quantity or a price, and we have stopped trying.
    #[serde(rename = "listing.push_failed")]
    PushFailed {
        /// `quantity` or `price`.
        kind: String,
        /// Why, as far as we know.
        reason: String,
        /// How often it was tried.
        attempts: i32,
    },
}

impl ListingEvent {
    /// The sort of figure it is about, if it is about one.
    pub fn figure(&self) -> Option<FigureKind> {
        match self {
            Self::QuantityPushed { .. } | Self::QuantityObserved { .. } => Some(FigureKind::Quantity),
            Self::PricePushed { .. } | Self::PriceObserved { .. } => Some(FigureKind::Price),
            Self::FigureSent(sent) => Some(sent.figure.kind()),
            Self::Drifted { shows, .. } => Some(shows.kind()),
            Self::ConflictOpened(conflict) => Some(conflict.shows.kind()),
            Self::ConflictResolved { kind, .. } => Some(*kind),
            Self::PushFailed { kind, .. } if kind == "price" => Some(FigureKind::Price),
            Self::PushFailed { .. } => Some(FigureKind::Quantity),
            Self::Mapped(_) | Self::Removed { .. } | Self::VariantObserved(_) => None,
        }
    }
}
