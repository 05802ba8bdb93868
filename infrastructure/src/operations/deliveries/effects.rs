//! What follows from what a platform told us: facts in, changes out, decided on the newest states.

mod orders;
mod prices;

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    catalog::{self, Changes},
    connection::{ConnectionDetails, Platform},
    delivery::Outcome,
    flag::FlagName,
    listing::{Listing, ListingCommand},
    sighting::{self, Meaning, Sight},
    signal::SignalCommand,
    stock::StockCommand,
    stream::Lookup,
    values::{ConnectionId, ExternalId, ListingId, MonitorId, OrderId, PersonId, Sku, StockId, VariantId},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    super::Operations,
    steps::{self, PriceNews, Step},
};
use crate::{
    ledger::{FollowUp, LedgerError, PersonKey},
    outbox::follow_ups::FORGET,
    persons::Persons,
    platforms::Fact,
    queries::{connections::Connected, products::variants_of_style},
};

/// The facts of one delivery, with the look-ups made that need a query.
pub(in super::super) struct Effects {
    connection: ConnectionId,
    platform: Platform,
    steps: Vec<Step>,
    persons: Persons,
    /// When the facts were true that do not say so themselves.
    at: DateTime<Utc>,
    /// They are looked at again, and may have been true some time ago.
    again: bool,
    /// They were looked at on the platform.
    looked: bool,
    /// No topic of ours.
    ignored: bool,
}

/// What a delivery comes to.
pub(in super::super) struct Effected {
    pub(in super::super) changes: Changes,
    pub(in super::super) outcome: Outcome,
    pub(in super::super) notes: Vec<String>,
    pub(in super::super) follow_ups: Vec<FollowUp>,
    pub(in super::super) person_keys: Vec<PersonKey>,
}

/// What a delivery adds up to so far.
#[derive(Default)]
struct Tally {
    changes: Changes,
    notes: Vec<String>,
    follow_ups: Vec<FollowUp>,
    person_keys: Vec<PersonKey>,
    echoes: usize,
    unmapped: usize,
}

impl Effects {
    /// Makes the look-ups, for facts of a time, at a time. No facts: the topic is none of ours.
    pub(in super::super) async fn prepare(
        operations: &Operations,
        connection: &Connected,
        facts: Option<Vec<Fact>>,
        (at, now): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Self, LedgerError> {
        let ignored = facts.is_none();
        let facts = facts.unwrap_or_default();
        let persons = operations.persons_in(connection, &facts).await?;
        let steps = steps::prepare(operations.ledger().pool(), connection, facts, at, now).await?;
        let (id, platform) = (connection.id, connection.details.platform);
        Ok(Self { connection: id, platform, steps, persons, at, again: false, looked: false, ignored })
    }

    /// Whom the facts tell of, if anybody.
    pub(in super::super) fn person(&self) -> Option<&PersonId> {
        self.persons.person.as_ref()
    }

    /// The same, looked at again.
    pub(in super::super) fn again(self) -> Self {
        Self { again: true, ..self }
    }

    /// The same, seen on the platform a moment ago.
    pub(in super::super) fn looked(self) -> Self {
        Self { looked: true, ..self }
    }

    /// The same for a price that was kept until its time.
    pub(in super::super) async fn prepare_price(
        pool: &sqlx::PgPool,
        connection: &Connected,
        news: PriceNews,
    ) -> Result<Self, sqlx::Error> {
        let styles = [news.style_code.clone()];
        let found = variants_of_style(pool, connection.tenant, &connection.details.brand, &styles).await?;
        let (id, at, platform) = (connection.id, news.at, connection.details.platform);
        let (steps, persons) = (vec![steps::priced(news, &found)], Persons::default());
        let (again, looked, ignored) = (true, false, false);
        Ok(Self { connection: id, platform, steps, persons, at, again, looked, ignored })
    }

    /// The streams that will be looked at, as far as can be told.
    pub(in super::super) fn reads(&self) -> Vec<StreamId> {
        let id = self.connection;
        let mut reads = vec![StreamId::Connection(id)];
        for step in &self.steps {
            match step {
                Step::Product { observed, .. } => reads.extend(catalog::streams(id, observed)),
                Step::Removed { listings, .. }
                | Step::Stock { listings, .. }
                | Step::Adjusted { listings, .. } => {
                    reads.extend(listings.iter().copied().map(StreamId::Listing));
                }
                Step::Order(told) => {
                    reads.push(StreamId::Flag(FlagName::FeatureOrdersMoveStock));
                    if !told.is_new_as_a_rule() {
                        reads.push(StreamId::Order(OrderId::of(id, &told.external)));
                    }
                    let variants = told.lines.iter().filter_map(|line| line.external_variant.as_ref());
                    reads.extend(variants.map(|variant| StreamId::Listing(ListingId::of(id, variant))));
                }
                Step::Cancelled { external, .. } => reads.push(StreamId::Order(OrderId::of(id, external))),
                Step::Price { targets, news } => {
                    reads.push(StreamId::Flag(FlagName::FeatureMonitorUpdatesPrices));
                    reads.push(StreamId::Monitor(MonitorId::of(id, &news.style_code)));
                    reads.extend(targets.iter().map(|(product, _)| StreamId::Product(*product)));
                }
                Step::Signal { .. } => reads.push(StreamId::Signal(id)),
                Step::Unpriced { .. }
                | Step::Erasure
                | Step::Disclosure
                | Step::Hint { .. }
                | Step::Nothing { .. } => {}
            }
        }
        reads
    }

    /// The orders that are new as a rule, and to which an entry is added if they are.
    pub(in super::super) fn new_orders(&self) -> Vec<StreamId> {
        let placed = self.steps.iter().filter_map(|step| match step {
            Step::Order(told) if told.is_new_as_a_rule() => {
                Some(StreamId::Order(OrderId::of(self.connection, &told.external)))
            }
            _ => None,
        });
        placed.collect()
    }

    /// What the facts lead to, on these states.
    pub(in super::super) fn decide(
        &self,
        lookup: &Lookup<'_>,
        now: DateTime<Utc>,
    ) -> Result<Effected, Refusal> {
        let mut tally = Tally::default();
        for step in &self.steps {
            self.take(step, lookup, now, &mut tally)?;
        }
        let Tally { changes, notes, mut follow_ups, person_keys, echoes, unmapped } = tally;
        let outcome = match () {
            () if self.ignored => Outcome::Ignored,
            () if unmapped > 0 => Outcome::Unmapped,
            () if echoes > 0 => Outcome::Echo,
            () if changes.is_empty() => Outcome::Unchanged,
            () => Outcome::Applied,
        };
        if changes.iter().any(|(_, event)| catalog::makes_known(event)) {
            follow_ups.push(FollowUp::unmapped(String::new(), now));
        }
        Ok(Effected { changes, outcome, notes, follow_ups, person_keys })
    }

    fn take(
        &self,
        step: &Step,
        lookup: &Lookup<'_>,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        match step {
            Step::Product { observed, fresh, listed } => {
                let (changes, notes) = catalog::observe(self.connection, observed, *fresh, listed, lookup)?;
                tally.changes.extend(changes);
                tally.notes.extend(notes);
            }
            Step::Removed { external, listings } => {
                if listings.is_empty() {
                    // Older news of it may be on their way, for a day. Where we look ourselves, they lead to another look.
                    let is_over = self.again && now - self.at >= TimeDelta::days(1);
                    tally.unmapped += usize::from(!self.looked && !is_over);
                    tally.notes.push(format!("no listing is of product {external}"));
                }
                for id in listings {
                    self.remove(*id, (lookup, now), tally)?;
                }
            }
            Step::Stock { .. } | Step::Adjusted { .. } if self.platform == Platform::Kicksdb => {
                tally.notes.push("a market feed never changes stock".to_owned());
            }
            Step::Stock { listings, available, at } => {
                self.observe_stock(listings, (*available, *at), (lookup, now), tally)?;
            }
            Step::Adjusted { listings, inventory, delta, reason } => {
                self.adjust(listings, inventory, (*delta, reason), lookup, tally)?;
            }
            Step::Order(told) => self.order(told, (lookup, now), tally)?,
            Step::Cancelled { external, at, failed } => {
                self.cancel(external, (*at, *failed), (lookup, now), tally)?;
            }
            Step::Price { targets, news } => self.price(targets, news, lookup, now, tally)?,
            Step::Unpriced { news } => self.unpriced(news, now, tally),
            Step::Erasure => {
                let person = self.person().map(ToString::to_string).unwrap_or_default();
                tally.notes.push(format!("what is known of person {person} is to be destroyed"));
                if let Some((name, payload)) = self.persons.erasure.clone() {
                    tally.follow_ups.push(self.follow_up(FORGET, name, Some(payload), now));
                }
            }
            Step::Disclosure => {
                let show = |person: &PersonId| format!("`onhand privacy show --person {person}`");
                let Persons { person, guest, others, .. } = &self.persons;
                let mut shown: Vec<_> = person.iter().map(show).collect();
                shown.extend(guest.iter().map(|guest| format!("under the address alone, {}", show(guest))));
                shown.extend(others.iter().map(|other| format!("for an order it lists, {}", show(other))));
                tally.notes.push(format!(
                    "a customer asks what is known of them, and somebody has to answer: {}",
                    shown.join(" and, ")
                ));
            }
            Step::Hint { hint, url } => {
                let titled = hint.titled.as_ref().map(|titled| json!(titled));
                let payload = url.as_ref().map(|url| json!({ "url": url })).or(titled);
                let follow_up = self.follow_up(hint.resource, hint.external.to_string(), payload, now);
                tally.follow_ups.push(follow_up);
                tally.notes.push(format!("{} {} is looked at on the platform", hint.resource, hint.external));
            }
            Step::Signal { subject, payload } => {
                let command = SignalCommand::Raise { subject: subject.clone(), payload: payload.clone() };
                for event in verdict(&self.connection, lookup.signals(&self.connection), command)? {
                    tally.changes.push((StreamId::Signal(self.connection), event.into()));
                }
            }
            Step::Nothing { note, unmapped } => {
                tally.unmapped += usize::from(*unmapped);
                tally.notes.push(note.clone());
            }
        }
        Ok(())
    }

    /// A listing that is gone, unless it was seen later than that. That it was seen at a time that is still to come says only
    /// that its shop's clock is ahead: then it was seen before this came, unless that was some time ago.
    fn remove(
        &self,
        id: ListingId,
        (lookup, now): (&Lookup<'_>, DateTime<Utc>),
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        let listing = lookup.listing(&id);
        let seen = listing.mapping.as_ref().and_then(|mapping| {
            lookup.product(&mapping.product).seen(self.connection, &mapping.external_product)
        });
        if seen.is_some_and(|seen| self.at < seen && (seen <= now || self.again)) {
            tally.notes.push("it was seen later than that".to_owned());
            return Ok(());
        }
        // Later than that sight, so that neither it, told once more, nor anything from before it brings the listing back.
        let at = seen.map_or(self.at, |seen| self.at.max(seen + TimeDelta::microseconds(1)));
        list(tally, id, listing, ListingCommand::Remove { at: Some(at) }).map(|_| ())
    }

    fn follow_up(
        &self,
        kind: &'static str,
        external: String,
        payload: Option<serde_json::Value>,
        due: DateTime<Utc>,
    ) -> FollowUp {
        FollowUp {
            connection: self.connection.0,
            kind,
            external,
            payload,
            delivery: Uuid::nil(),
            correlation_id: String::new(),
            due,
        }
    }

    fn details<'s>(&self, lookup: &Lookup<'s>) -> Option<&'s ConnectionDetails> {
        lookup.connection(&self.connection).details.as_ref()
    }

    /// Units a platform says it has added or taken away.
    fn adjust(
        &self,
        listings: &[ListingId],
        inventory: &ExternalId,
        (delta, reason): (i64, &str),
        lookup: &Lookup<'_>,
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        let connection = lookup.connection(&self.connection);
        let Some(details) = &connection.details else { return Ok(()) };
        let listed = listings.iter().find_map(|id| lookup.listing(id).mapping.as_ref());
        let by_sku = || self.variant_named(&Sku::new(inventory.as_str()).ok()?, lookup);
        let Some(variant) = listed.map(|mapping| mapping.variant).or_else(by_sku) else {
            tally.unmapped += 1;
            tally.notes.push(format!("nothing here is {inventory}"));
            return Ok(());
        };
        if !connection.rules.accept_inventory {
            tally.notes.push(format!("the platform moved {delta}; the rules do not let it change stock"));
            return Ok(());
        }
        let shelf = StockId { variant, location: details.location.clone() };
        let command = StockCommand::Adjust {
            delta,
            reason: reason.to_owned(),
            reference: Some(format!("connection:{}", self.connection)),
            occurred_at: self.at,
        };
        for event in verdict(&shelf, lookup.stock(&shelf), command)? {
            tally.changes.push((StreamId::Stock(shelf.clone()), event.into()));
        }
        Ok(())
    }

    /// A platform's stock figure: our own echo, an order of the ledger where the rules allow it, or a stray.
    ///
    /// Where several listings are of one stock there, what one of them was told is no stray of the others: each would be put
    /// right for ever, or count.
    fn observe_stock(
        &self,
        listings: &[ListingId],
        (available, at): (i64, DateTime<Utc>),
        (lookup, now): (&Lookup<'_>, DateTime<Utc>),
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        let sight = Sight { quantity: available, at, told: true };
        let seen = listings.iter().map(|id| sighting::of_quantity(*id, sight, lookup, now));
        let seen = seen.collect::<Result<Vec<_>, _>>()?;
        let is_told = seen.iter().any(|(_, meaning)| *meaning == Meaning::Echo);
        for (changes, meaning) in seen {
            if is_told && !matches!(meaning, Meaning::Echo | Meaning::OldNews) {
                tally.notes.push(format!(
                    "the platform shows {available}, as another listing of this stock was told"
                ));
                continue;
            }
            let (stock, listing): (Vec<_>, Vec<_>) =
                changes.into_iter().partition(|(stream, _)| matches!(stream, StreamId::Stock(_)));
            tally.changes.extend(listing);
            match meaning {
                Meaning::OldNews => {
                    tally.notes.push(format!("{available} is older news than what is known"));
                }
                Meaning::Echo => {
                    tally.echoes += 1;
                    // What was sold there and was not there is remembered by its newest figure.
                    self.count(stock, available, lookup, tally);
                }
                Meaning::PutRight => tally
                    .notes
                    .push(format!("the platform shows {available}; the rules do not let it change stock")),
                Meaning::InQuestion => tally
                    .notes
                    .push(format!("the platform shows {available}; somebody has to say which figure counts")),
                Meaning::Accepted => self.count(stock, available, lookup, tally),
            }
        }
        Ok(())
    }

    /// The platform's count becomes the ledger's.
    fn count(&self, counted: Changes, available: i64, lookup: &Lookup<'_>, tally: &mut Tally) {
        for (stream, event) in counted {
            let held = match &stream {
                StreamId::Stock(shelf) => !lookup.stock(shelf).reserved().is_zero(),
                _ => false,
            };
            if self.again && held {
                // What was held when the platform counted is not known any more, and what is held now may be counted in it.
                tally
                    .notes
                    .push(format!("{available} was shown before what is held now; count, or wait for news"));
            // Two listings of one variant say the same of one shelf.
            } else if !tally.changes.iter().any(|(changed, _)| *changed == stream) {
                tally.changes.push((stream, event));
            }
        }
    }

    /// The variant of this connection's brand that has the SKU.
    fn variant_named(&self, sku: &Sku, lookup: &Lookup<'_>) -> Option<VariantId> {
        let (product, variant) = lookup.sku(sku).names?;
        catalog::of_brand(lookup, product, &self.details(lookup)?.brand).then_some(variant)
    }
}

fn list(
    tally: &mut Tally,
    id: ListingId,
    listing: &Listing,
    command: ListingCommand,
) -> Result<usize, Refusal> {
    let events = verdict(&id, listing, command)?;
    let count = events.len();
    tally.changes.extend(events.into_iter().map(|event| (StreamId::Listing(id), event.into())));
    Ok(count)
}
