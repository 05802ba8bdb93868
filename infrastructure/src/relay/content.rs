//! Products of one account: offered, described or taken off, one after the other.
//!
//! Last of a group, and not for long: stock does not wait behind what describes it, but for one that has waited for minutes.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    Refusal, StreamId,
    catalog::Changes,
    listing::{ListingCommand, ListingEvent, Mapping, Shown},
    product::{ProductEvent, Words},
    stream::Lookup,
    values::ListingId,
};
use uuid::Uuid;

use super::{
    policy,
    push::{Attempt, Doubt, Results, call_key},
    sighted::listed,
};
use crate::{
    outbox::{Command, Verdict},
    platforms::outbound::{Api, CallError, Outbound, Outcome, ProductAsk},
    queries::offers::{Due, OfferTarget, Offering},
};

/// No product is begun with later than this after the claim.
const BEGIN_WITHIN: Duration = Duration::from_secs(3);
/// One that has been due for longer goes before figures.
const STARVED: TimeDelta = TimeDelta::minutes(3);
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

/// The product that has waited so long that figures wait for it once, and the others, those first that are due longest. Where a
/// group of figures always takes all the time there is, products would not come to their turn otherwise.
pub(super) fn starved<'c>(
    mut group: Vec<&'c Command>,
    attempt: &Attempt,
) -> (Vec<&'c Command>, Vec<&'c Command>) {
    group.sort_by_key(|command| command.due);
    let starves = group.first().is_some_and(|oldest| oldest.due < attempt.now - STARVED);
    let others = group.split_off(usize::from(starves));
    (group, others)
}

/// Makes products what they are to be there. What there is no time for goes back, as no failure.
pub(super) async fn push(
    results: &mut Results,
    outbound: &dyn Outbound,
    api: &Api,
    (group, attempt): (Vec<&Command>, &Attempt),
) {
    let owed = group.into_iter().map(|command| {
        let target = attempt.offer(command);
        (command, target.map(|target| (target, target.due(command.forced, command.unheard))))
    });
    // What is there is put right before more is made.
    let (making, others): (Vec<_>, Vec<_>) =
        owed.partition(|(_, owed)| matches!(owed, Some((_, Due::Offer(_)))));
    // Why nothing more is made for now: there may be leave to change things and none to make any.
    let mut makes_none: Option<CallError> = None;
    for (command, owed) in others.into_iter().chain(making) {
        let (target, due) = match owed {
            // Nothing is owed, or nothing that the rules let out.
            None | Some((_, Due::Nothing)) => {
                results.settle(command, Verdict::Needless);
                continue;
            }
            Some((_, Due::Never(why))) => {
                results.failed(command, &CallError::never(why), attempt);
                continue;
            }
            Some(owed) => owed,
        };
        if attempt.begun.elapsed() > BEGIN_WITHIN {
            results.put_off.get_or_insert_with(CallError::later);
        }
        let makes = matches!(due, Due::Offer(_));
        match makes_none.clone().filter(|_| makes).or_else(|| results.put_off.clone()) {
            None => {}
            Some(CallError::NeedsPerson { why: error }) => {
                let at = next_look(attempt.now);
                results.settle(command, Verdict::Again { at, error, counts: false });
                continue;
            }
            Some(error) => {
                results.failed(command, &error, attempt);
                continue;
            }
        }
        let api = &api.following(command.correlation_id.as_deref());
        let line = Line { outbound, api, key: call_key(std::iter::once(command)) };
        let before = results.changes.len();
        let says_words = due.says_words();
        let told = line.carry_out(results, target, due).await;
        match told {
            Ok(Told::All) => {
                results.report.of(&Outcome::Shown(()));
                results.told(command, Verdict::Done);
            }
            // What is found that was made before is found again; so it counts, and comes to an end.
            Ok(Told::Found) => {
                results.report.of(&Outcome::Shown(()));
                let why = "it was there already, in other words than ours".to_owned();
                let next = CallError::Again { after: Some(Duration::ZERO), why, counts: true };
                let found = Doubt { shown: Some(true), words: false };
                results.failed_knowing(command, &next, (attempt, found));
            }
            Err(error) => {
                report(results, command, &error);
                // What was done all the same is true after it was given up: that makes forget what is shown.
                let done = results.changes.split_off(before);
                let doubt = Doubt { shown: None, words: says_words && error.is_failure() };
                results.failed_knowing(command, &error, (attempt, doubt));
                results.changes.extend(done);
                match rest(error) {
                    Some(error @ CallError::NeedsPerson { .. }) if makes => makes_none = Some(error),
                    others => results.put_off = others,
                }
            }
        }
    }
}

/// When the others are looked at again, where a product needs a person: before that one, which keeps nobody waiting if it is the
/// only one that does.
pub(super) fn next_look(now: DateTime<Utc>) -> DateTime<Utc> {
    now + policy::PERSON_DELAY - TimeDelta::seconds(1)
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

/// How far a product was told of.
enum Told {
    /// It is there as it is to be.
    All,
    /// It was found in other words, which are changed once it is known what else stands in the product that has them.
    Found,
}

impl Line<'_> {
    async fn carry_out(
        self,
        results: &mut Results,
        target: &OfferTarget,
        due: Due,
    ) -> Result<Told, CallError> {
        match due {
            Due::Nothing => Ok(Told::All),
            Due::Never(why) => Err(CallError::never(why)),
            Due::Offer(offering) => {
                let offered = self.offer(results, target, &offering).await;
                // What cannot be made keeps back no words from what is there.
                if let (Ok(_) | Err(CallError::Never { .. }), Some(ask)) = (&offered, offering.described) {
                    self.describe(results, target, &ask).await?;
                }
                offered
            }
            Due::Describe(ask) => self.describe(results, target, &ask).await,
            Due::TakeOff(listings) => {
                let handles: Vec<_> = listings.iter().map(|(_, handle)| handle.clone()).collect();
                self.outbound.take_off(self.api, &handles, self.key).await?;
                // News of how it was before come too late from now on.
                let gone = ListingCommand::TakeOff { at: self.api.access().now };
                for (listing, _) in listings {
                    results.moved_with(target.product, listing, gone.clone());
                }
                let event = ProductEvent::TakenOff { connection: target.connection };
                results.note_product(target.product, event);
                Ok(Told::All)
            }
        }
    }

    async fn describe(
        self,
        results: &mut Results,
        target: &OfferTarget,
        ask: &ProductAsk,
    ) -> Result<Told, CallError> {
        let at = self.api.access().now;
        let shows = self.outbound.describe(self.api, ask, self.key).await?;
        // Also of those that were left as the shop puts them: they are in order as of what ours are now.
        let words = target.words.clone();
        let event = ProductEvent::Pushed { connection: target.connection, at, words, shows };
        results.note_product(target.product, event);
        Ok(Told::All)
    }

    /// What was found there instead of being made has the words that somebody gave it.
    async fn offer(
        self,
        results: &mut Results,
        target: &OfferTarget,
        Offering { ask, variants, is_there, may_describe, .. }: &Offering,
    ) -> Result<Told, CallError> {
        let (connection, at) = (target.connection, self.api.access().now);
        let offered = self.outbound.offer(self.api, ask, self.key).await?;
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
            results.moved_with(target.product, listing, ListingCommand::Map(mapping));
        }
        if *is_there {
            return Ok(Told::All); // What was there has the words it had.
        }
        // Where each variant is an item of its own, its title says more than ours.
        let alone = self.api.details().platform.sells_variants_alone();
        let shows = offered.words;
        if alone || agree(&ask.words, &shows) {
            let event = ProductEvent::Pushed { connection, at, words: ask.words.clone(), shows };
            results.note_product(target.product, event);
            return Ok(Told::All);
        }
        let external = offered.handles.into_iter().next().map(|handle| handle.product);
        let event = ProductEvent::Observed { connection, external, at: None, shows: Some(shows) };
        results.note_product(target.product, event);
        Ok(if *may_describe { Told::Found } else { Told::All })
    }
}

/// Whether what is shown is what we say, as far as both say something: a platform does not tell all, and what we leave open is
/// its own affair.
fn agree(ours: &Words, shown: &Words) -> bool {
    let same = |ours: &Option<String>, shown: &Option<String>| {
        ours.as_ref().zip(shown.as_ref()).is_none_or(|(ours, shown)| ours == shown)
    };
    (shown.title.is_empty() || shown.title == ours.title)
        && same(&ours.vendor, &shown.vendor)
        && same(&ours.category, &shown.category)
        && (ours.tags.is_empty() || shown.tags.is_empty() || ours.tags == shown.tags)
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
            let nothing =
                ListingEvent::QuantityPushed { quantity: 0, as_of: BEFORE_ALL, until: None, at: None };
            changes.push((StreamId::Listing(*id), nothing.into()));
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_compared_with_ours_in_all_that_both_tell() {
        let words = |title: &str, category: Option<&str>, tags: &[&str]| Words {
            title: title.to_owned(),
            category: category.map(str::to_owned),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..Words::default()
        };
        let ours = words("Runner", Some("Shoes"), &["low"]);
        assert!(agree(&ours, &ours));
        assert!(agree(&ours, &words("", None, &[])), "it tells nothing");
        assert!(agree(&words("Runner", None, &[]), &ours), "we leave it open");
        for shown in [
            words("Walker", Some("Shoes"), &["low"]),
            words("Runner", Some("Boots"), &["low"]),
            words("Runner", Some("Shoes"), &["high"]),
        ] {
            assert!(!agree(&ours, &shown), "{shown:?}");
        }
    }
}
