//! Products of one account: offered, described or taken off, one after the other.
//!
//! Last of a group, and not for long: stock does not wait behind what describes it.

use std::time::Duration;

use onhand_domain::{
    Refusal, StreamId,
    catalog::Changes,
    listing::{ListingCommand, ListingEvent, Mapping, Shown},
    product::ProductEvent,
    stream::Lookup,
    values::ListingId,
};
use uuid::Uuid;

use super::{
    push::{Attempt, Results, call_key},
    sighted::listed,
};
use crate::{
    outbox::{Command, Verdict},
    platforms::outbound::{Api, CallError, Outbound, Outcome, ProductAsk, VariantAsk},
    queries::offers::{Due, OfferTarget, Offering},
};

/// No product is begun with later than this after the claim.
const BEGIN_WITHIN: Duration = Duration::from_secs(3);
/// A position that is older than all there are: nothing that is known of a listing gives way to what was true then.
const BEFORE_ALL: i64 = -1;

/// Where things are told.
#[derive(Clone, Copy)]
struct Line<'a> {
    outbound: &'a dyn Outbound,
    api: &'a Api,
    /// Of the attempt.
    key: Uuid,
}

/// Makes products what they are to be there. What there is no time for goes back, as no failure.
pub(super) async fn push(
    results: &mut Results,
    outbound: &dyn Outbound,
    api: &Api,
    (group, attempt): (Vec<&Command>, &Attempt),
) {
    let mut put_off: Option<CallError> = None;
    for command in group {
        let owed = attempt.offer(command).map(|target| (target, target.due(command.is_in_doubt())));
        let Some((target, due)) = owed.filter(|(_, due)| *due != Due::Nothing) else {
            results.settle(command, Verdict::Done); // Nothing is owed, or nothing that the rules let out.
            continue;
        };
        if attempt.begun.elapsed() > BEGIN_WITHIN {
            put_off.get_or_insert_with(CallError::later);
        }
        if let Some(error) = &put_off {
            results.failed(command, error, attempt);
            continue;
        }
        let line = Line { outbound, api, key: call_key(std::iter::once(command)) };
        match line.carry_out(results, target, due).await {
            Ok(()) => {
                results.report.of(&Outcome::Shown(()));
                results.told(command, Verdict::Done);
            }
            Err(error) => {
                report(results, command, &error);
                results.failed(command, &error, attempt);
                put_off = rest(error);
            }
        }
    }
}

/// Where products need a person, as without leave to change them, figures may still be taken: only they hold an account.
fn report(results: &mut Results, command: &Command, error: &CallError) {
    match error {
        CallError::NeedsPerson { .. } => results.report.answered |= command.probe,
        error => results.report.of(&Outcome::<()>::Failed(error.clone())),
    }
}

/// What becomes of the others, if it is no use going on with them.
fn rest(error: CallError) -> Option<CallError> {
    match error {
        CallError::Again { counts: false, .. } => Some(CallError::later()),
        CallError::NeedsPerson { .. } => Some(error),
        CallError::Again { .. } | CallError::Never { .. } => None,
    }
}

impl Line<'_> {
    async fn carry_out(self, results: &mut Results, target: &OfferTarget, due: Due) -> Result<(), CallError> {
        match due {
            Due::Nothing => Ok(()),
            Due::Offer(offering) => self.offer(results, target, offering).await,
            Due::Describe(ask) => self.describe(results, target, ask).await,
            Due::TakeOff(listings) => {
                let handles: Vec<_> = listings.iter().map(|(_, handle)| handle.clone()).collect();
                self.outbound.take_off(self.api, &handles, self.key).await?;
                // News of how it was before come too late from now on.
                let gone = ListingCommand::Remove { at: Some(self.api.access().now) };
                results.moved.extend(listings.into_iter().map(|(id, _)| (id, gone.clone())));
                let event = ProductEvent::TakenOff { connection: target.connection };
                results.note_product(target.product, event);
                Ok(())
            }
        }
    }

    async fn describe(
        self,
        results: &mut Results,
        target: &OfferTarget,
        ask: ProductAsk,
    ) -> Result<(), CallError> {
        let shows = self.outbound.describe(self.api, &ask, self.key).await?;
        let event = ProductEvent::Pushed { connection: target.connection, words: ask.words, shows };
        results.note_product(target.product, event);
        Ok(())
    }

    /// What was found there instead of being made has the words that somebody gave it: it is described, if it may be.
    async fn offer(
        self,
        results: &mut Results,
        target: &OfferTarget,
        Offering { ask, variants, is_there, owes_words, may_describe }: Offering,
    ) -> Result<(), CallError> {
        let connection = target.connection;
        let offered = self.outbound.offer(self.api, &ask, self.key).await?;
        let there = variants.iter().zip(&ask.variants).zip(&offered.handles);
        for ((variant, _), handle) in there.filter(|((_, asked), _)| asked.there.is_none()) {
            let mapping = Mapping {
                connection,
                product: target.product,
                variant: *variant,
                external_product: handle.product.clone(),
                external_variant: handle.variant.clone(),
                external_inventory: handle.inventory.clone(),
            };
            let listing = ListingId::of(connection, &handle.variant);
            results.moved.push((listing, ListingCommand::Map(mapping)));
        }
        // Where each variant is an item of its own, its title says more than ours.
        let alone = self.api.details().platform.sells_variants_alone();
        let theirs = !alone && !offered.words.title.is_empty() && offered.words.title != ask.words.title;
        let lacks_words = if is_there { owes_words } else { theirs };
        if !lacks_words {
            let event = ProductEvent::Pushed { connection, words: ask.words, shows: offered.words };
            results.note_product(target.product, event);
            return Ok(());
        }
        if !may_describe {
            return Ok(()); // Nobody has taken our words.
        }
        let found = ask.variants.iter().cloned().zip(offered.handles);
        let found = found.map(|(asked, handle)| VariantAsk { there: Some(handle), ..asked });
        self.describe(results, target, ProductAsk { variants: found.collect(), ..ask }).await
    }
}

/// What has come or gone, on the newest states.
pub(super) fn moved(
    listings: &[(ListingId, ListingCommand)],
    lookup: &Lookup<'_>,
) -> Result<Changes, Refusal> {
    let mut changes = Changes::new();
    for (id, command) in listings {
        let listing = lookup.listing(id);
        let comes = match command {
            ListingCommand::Map(mapping) => Some(mapping.variant),
            _ => None,
        };
        let known = listing.mapping.as_ref().filter(|_| !listing.removed);
        // Somebody has said that it is another of ours, and knows better.
        if comes.is_some_and(|variant| known.is_some_and(|known| known.variant != variant)) {
            continue;
        }
        changes.extend(listed(id, lookup, command.clone())?);
        // There is nothing of what is made. The platform may tell us so, and that is no count of its own. What was found may have
        // been there in any number: what is shown is not known by this.
        if comes.is_some() && listing.quantity == Shown::default() {
            let nothing = ListingEvent::QuantityPushed { quantity: 0, as_of: BEFORE_ALL };
            changes.push((StreamId::Listing(*id), nothing.into()));
        }
    }
    Ok(changes)
}
