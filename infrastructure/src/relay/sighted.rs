//! What relays come to see of listings beside what they push, as entries on the newest states.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    catalog::Changes,
    listing::{Figure, ListingCommand},
    sighting::{self, Sight},
    stream::Lookup,
    values::ListingId,
};

/// A figure that was not what it was believed to be, and when that was seen.
pub(super) type Stray = (ListingId, Figure, DateTime<Utc>);

/// What follows from figures that were not what they were believed to be.
///
/// A figure that the rules accept may still be none that a shelf can have, or that could be counted any more. It is noted, so
/// that the next attempt starts from it and puts it right: what one listing shows loses nobody else's record.
pub(super) fn sighted(strays: &[Stray], lookup: &Lookup<'_>, now: DateTime<Utc>) -> Result<Changes, Refusal> {
    let (mut changes, mut counted) = (Changes::new(), HashMap::new());
    for (listing, shows, at) in strays.iter().copied() {
        let (found, noting) = match shows {
            Figure::Quantity { quantity } => (
                sighting::of_quantity(listing, Sight { quantity, at, told: false }, lookup, now),
                ListingCommand::ObserveQuantity { quantity, owed: None, at, told: false, now },
            ),
            Figure::Price { price } => (
                sighting::of_price(listing, (price, at), lookup),
                ListingCommand::ObservePrice { price, at, told: false },
            ),
        };
        let found = match found {
            Ok((found, _)) => found,
            Err(_) => listed(&listing, lookup, noting)?,
        };
        // Two listings of one variant say the same of one shelf.
        changes.extend(found.into_iter().filter(|(stream, _)| match stream {
            StreamId::Stock(shelf) => *counted.entry(shelf.clone()).or_insert(listing) == listing,
            _ => true,
        }));
    }
    Ok(changes)
}

/// What a listing answers to a command.
pub(super) fn listed(
    id: &ListingId,
    lookup: &Lookup<'_>,
    command: ListingCommand,
) -> Result<Changes, Refusal> {
    let events = verdict(id, lookup.listing(id), command)?;
    Ok(events.into_iter().map(|event| (StreamId::Listing(*id), event.into())).collect())
}
