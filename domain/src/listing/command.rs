//! What one may ask of a listing.

use chrono::{DateTime, Utc};

use super::{Conflict, Figure, FigureKind, Mapping, Resolution, Sent, ShownVariant};
use crate::values::Money;

/// What one may ask of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingCommand {
    /// Recognise it; nothing happens if it is mapped so already.
    Map(Mapping),
    /// It is gone from the platform, or to be told nothing more.
    Remove {
        /// When, by the platform's clock where it gives a time.
        at: Option<DateTime<Utc>>,
    },
    /// We have taken it off there.
    TakeOff {
        /// When.
        at: DateTime<Utc>,
    },
    /// Note that a figure was sent and not taken, as far as is known; nothing happens if there was an answer, and that was
    /// noted a short while ago.
    NoteSent(Sent),
    /// The platform told us its quantity. Older news than what is known leads to nothing, nor does what is owed anyway from
    /// before our last push was taken.
    ObserveQuantity {
        /// What it shows.
        quantity: i64,
        /// What it is to show: a platform that shows just that is not astray, whoever made it so. The news of
        /// our own push may be here before the answer to it.
        owed: Option<i64>,
        /// When, by the platform's own clock.
        at: DateTime<Utc>,
        /// We were told; it may be an earlier push of ours coming back. What we have looked at ourselves is shown now.
        told: bool,
        /// The present moment.
        now: DateTime<Utc>,
    },
    /// The platform told us its price. Older news than what is known leads to nothing. What is from before our last push was
    /// taken may be shown all the same, and is noted.
    ObservePrice {
        /// What it shows.
        price: Money,
        /// When, by the platform's own clock.
        at: DateTime<Utc>,
        /// We were told; it may be from before our last push. What we have looked at ourselves is shown now.
        told: bool,
    },
    /// The platform told us the SKU and what sets the variant apart there; nothing happens if that is known.
    ObserveVariant(ShownVariant),
    /// Note that what it shows, which is what it was believed to show, is not what it is to show.
    NoteDrift {
        /// What it shows.
        shows: Figure,
        /// When we looked.
        at: DateTime<Utc>,
    },
    /// Let somebody judge a figure that was changed there. One that is in question already is only noted if it is another.
    OpenConflict(Conflict),
    /// End a conflict.
    ResolveConflict {
        /// Which figure it is about.
        kind: FigureKind,
        /// How.
        resolution: Resolution,
    },
}
