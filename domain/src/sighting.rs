//! Sightings: what it means for the ledger that a platform shows a figure, whether it told us or we looked.
//!
//! Our own push coming back is an echo. Anything else is the platform's own doing, and the connection's rules say what
//! becomes of it: it counts, somebody is asked, or it is put right.

use chrono::{DateTime, Utc};

use crate::{
    Event, Refusal, StreamId,
    aggregate::verdict,
    catalog::Changes,
    connection::{Connection, SyncRules},
    listing::{Conflict, Figure, FigureKind, Listing, ListingCommand, ListingEvent, Mapping, Resolution},
    product::{Product, ProductCommand},
    stock::{Stock, StockCommand, StockEvent},
    stream::Lookup,
    values::{ListingId, Money, ProductId, StockId, VariantId},
};

/// What a sighting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It is older than what is known, or nothing is known of the listing.
    OldNews,
    /// It is as it is to be, or our own push has come back.
    Echo,
    /// It is put right by the next push.
    PutRight,
    /// Somebody has to say which figure counts.
    InQuestion,
    /// It is the ledger's figure now.
    Accepted,
}

/// Units that a platform shows for sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// How many.
    pub quantity: i64,
    /// When, by the platform's own clock where it gives one.
    pub at: DateTime<Utc>,
    /// We were told; it may be an earlier push of ours coming back. What we have looked at ourselves is what is shown now.
    pub told: bool,
}

/// A platform shows so many units for sale.
pub fn of_quantity(
    id: ListingId,
    Sight { quantity, at, told }: Sight,
    lookup: &Lookup<'_>,
    now: DateTime<Utc>,
) -> Result<(Changes, Meaning), Refusal> {
    let listing = lookup.listing(&id);
    let nothing = (Changes::new(), Meaning::OldNews);
    let Some(mapping) = listing.listed() else { return Ok(nothing) };
    let connection = lookup.connection(&mapping.connection);
    let Some(details) = &connection.details else { return Ok(nothing) };
    let rules = &connection.rules;
    let shelf = StockId { variant: mapping.variant, location: details.location.clone() };
    let stock = lookup.stock(&shelf);
    // What a shelf without history is to show is not known.
    let owed = (*stock != Stock::default()).then(|| stock.available().minus(rules.safety_buffer).units());
    let command = ListingCommand::ObserveQuantity { quantity, owed, at, told, now };
    let mut changes = asked(id, listing, command)?;
    let echo = |(_, event): &(StreamId, Event)| {
        matches!(event, Event::Listing(ListingEvent::QuantityObserved { echo: true, .. }))
    };
    if changes.is_empty() {
        return Ok(nothing);
    }
    let told_until = told_before(listing, connection, at);
    let accepted = || verdict(&shelf, stock, accept(mapping, rules, (quantity, at), (told_until, now)));
    let on_shelf = |event: StockEvent| (StreamId::Stock(shelf.clone()), event.into());
    if changes.iter().any(echo) {
        if owed == Some(quantity) {
            changes.extend(agreed(id, listing, FigureKind::Quantity));
        }
        // It came to that by itself, from less than nothing: the orders that did it may be told of later.
        let oversold = rules.accept_inventory && stock.is_oversold_on(mapping.connection);
        if oversold && !listing.is_known(quantity, (at, told)) {
            changes.extend(accepted()?.into_iter().map(on_shelf));
        }
        return Ok((changes, Meaning::Echo));
    }
    if !rules.accept_inventory {
        let holds = rules.hold_conflicts && owed.is_some();
        return held(changes, id, (listing, holds), Figure::Quantity { quantity }, at);
    }
    let events = accepted()?;
    if events.iter().any(|event| matches!(event, StockEvent::Counted { .. })) {
        changes.extend(agreed(id, listing, FigureKind::Quantity));
    }
    changes.extend(events.into_iter().map(on_shelf));
    Ok((changes, Meaning::Accepted))
}

/// Somebody says that a quantity in question is right: it counts as of when it was shown, and what has moved since on top.
pub fn adopt(
    id: ListingId,
    (quantity, at): (i64, DateTime<Utc>),
    lookup: &Lookup<'_>,
    now: DateTime<Utc>,
) -> Result<Changes, Refusal> {
    let listing = lookup.listing(&id);
    let unknown = || Refusal::missing("listing.unknown", format!("there is no listing {id}"));
    let mapping = listing.listed().ok_or_else(unknown)?;
    let connection = lookup.connection(&mapping.connection);
    let details = connection.details.as_ref().ok_or_else(unknown)?;
    let shelf = StockId { variant: mapping.variant, location: details.location.clone() };
    let stock = lookup.stock(&shelf);
    let told_until = told_before(listing, connection, at);
    if stock.is_past(at.min(now), told_until) {
        let detail = format!(
            "the platform showed {quantity} at {at}, and there was a newer count since then, or too much has moved; \
             say use_master, or manual with what is there now"
        );
        return Err(Refusal::conflict("conflict.past", detail));
    }
    let events =
        verdict(&shelf, stock, accept(mapping, &connection.rules, (quantity, at), (told_until, now)))?;
    Ok(events.into_iter().map(|event| (StreamId::Stock(shelf.clone()), event.into())).collect())
}

fn accept(
    mapping: &Mapping,
    rules: &SyncRules,
    (quantity, at): (i64, DateTime<Utc>),
    (told_until, now): (Option<DateTime<Utc>>, DateTime<Utc>),
) -> StockCommand {
    let shown = quantity.saturating_add(rules.safety_buffer.units());
    StockCommand::Accept { shown, connection: mapping.connection, at, told_until, now }
}

/// Until when a platform was told what has moved, when it showed something.
fn told_before(listing: &Listing, connection: &Connection, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (rules, platform) = (&connection.rules, connection.details.as_ref()?.platform);
    // Where nothing is pushed, whoever keeps the figure there knows by other ways.
    let pushed = rules.realtime_sync_enabled && rules.propagate_inventory && platform.takes_quantities();
    listing.told_before(at).filter(|_| pushed)
}

/// A platform shows this price: we have looked.
pub fn of_price(
    id: ListingId,
    (price, at): (Money, DateTime<Utc>),
    lookup: &Lookup<'_>,
) -> Result<(Changes, Meaning), Refusal> {
    let listing = lookup.listing(&id);
    let Some(mapping) = listing.listed() else { return Ok((Changes::new(), Meaning::OldNews)) };
    let ours = (mapping.product, mapping.variant, lookup.product(&mapping.product));
    judge_price((id, listing), ours, (price, at, false), lookup.connection(&mapping.connection))
}

/// A platform shows this price of a variant of ours. Its product is as it is by now: the same sight may have made the variant.
pub(crate) fn judge_price(
    (id, listing): (ListingId, &Listing),
    (product, variant, state): (ProductId, VariantId, &Product),
    (price, at, told): (Money, DateTime<Utc>, bool),
    connection: &Connection,
) -> Result<(Changes, Meaning), Refusal> {
    let nothing = (Changes::new(), Meaning::OldNews);
    let Some(details) = &connection.details else { return Ok(nothing) };
    let (rules, market) = (&connection.rules, &details.market);
    let mut changes = asked(id, listing, ListingCommand::ObservePrice { price, at, told })?;
    let ours = state.variants.get(&variant);
    // The first price there is counts, whatever the rules say.
    if let Some(owed) = ours.and_then(|ours| ours.prices.get(market)).copied() {
        let believed = listing.price.value == Some(price);
        let behind = listing.is_behind(price, (at, told));
        // Late news may by chance be what is owed by now, and not be shown any more.
        if owed == price && behind {
            return Ok(nothing);
        }
        if owed == price && (believed || !changes.is_empty()) {
            changes.extend(agreed(id, listing, FigureKind::Price));
            return Ok((changes, Meaning::Echo));
        }
        if changes.is_empty() {
            return Ok(nothing);
        }
        if believed {
            return Ok((changes, Meaning::Echo));
        }
        if behind || listing.was_sent(Figure::Price { price }, at) {
            return Ok((changes, Meaning::PutRight));
        }
        let counted_at = ours.and_then(|ours| ours.counted_at.get(market));
        let is_older = counted_at.is_some_and(|counted| at < *counted) && !listing.has_taken(owed);
        if !rules.accept_prices || is_older {
            let holds = rules.hold_conflicts && !rules.accept_prices;
            return held(changes, id, (listing, holds), Figure::Price { price }, at);
        }
    }
    let command = ProductCommand::Price { variant, market: market.clone(), price, at: None, counted_at: at };
    let events = verdict(&product, state, command)?;
    if !events.is_empty() {
        changes.extend(agreed(id, listing, FigureKind::Price));
    }
    changes.extend(events.into_iter().map(|event| (StreamId::Product(product), event.into())));
    Ok((changes, Meaning::Accepted))
}

/// What may not change the ledger: put to somebody, or put right. What is in question stays so, whatever the rules say by
/// now: nothing is pushed there.
fn held(
    mut changes: Changes,
    id: ListingId,
    (listing, holds): (&Listing, bool),
    shows: Figure,
    at: DateTime<Utc>,
) -> Result<(Changes, Meaning), Refusal> {
    if !holds && listing.conflict(shows.kind()).is_err() {
        return Ok((changes, Meaning::PutRight));
    }
    changes.extend(asked(id, listing, ListingCommand::OpenConflict(Conflict { shows, at }))?);
    Ok((changes, Meaning::InQuestion))
}

/// Both show the same again: nobody has to judge any more.
fn agreed(id: ListingId, listing: &Listing, kind: FigureKind) -> Changes {
    let over = listing.conflict(kind).is_ok();
    let event = ListingEvent::ConflictResolved { kind, resolution: Resolution::Agreed };
    if over { vec![(StreamId::Listing(id), event.into())] } else { vec![] }
}

fn asked(id: ListingId, listing: &Listing, command: ListingCommand) -> Result<Changes, Refusal> {
    let events = verdict(&id, listing, command)?;
    Ok(events.into_iter().map(|event| (StreamId::Listing(id), event.into())).collect())
}
