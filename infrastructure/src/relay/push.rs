//! One account: from leased commands to recorded results.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    Event, StreamId,
    catalog::{self, Changes},
    listing::{Figure, FigureKind, ListingCommand, ListingEvent, Sent},
    product::ProductEvent,
    stream::Lookup,
    values::{ListingId, Money, OfferId, ProductId, TenantId},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    Group, InHand, Relay,
    breaker::Report,
    content, policy,
    sighted::{Stray, listed, sighted},
};
use crate::{
    clock::Clock,
    ledger::{Attachments, Context, Decision, FollowUp, Head, LedgerError},
    operations::Caller,
    outbox::{self, Command, CommandKind, Owed, Settlement, Subject, Verdict, breakers},
    platforms::outbound::{Api, CallError, Handle, Outbound, Outcome, PriceAsk, QuantityAsk, outbound_of},
    queries::{
        checkpoints,
        connections::connected,
        listings::{Target, targets},
        offers::{self, OfferTarget},
    },
};

/// No call is begun later than this after the claim: the longest one still ends within the lease.
const BEGIN_WITHIN: Duration = Duration::from_secs(15);

/// How often it is tried to put on record what a platform was told. That is a minute, about.
const RECORD_ATTEMPTS: i32 = 10;

/// How long the read model is waited for, and when a command that is still ahead of it is looked at again.
const CATCH_UP: Duration = Duration::from_millis(100);

/// How long a call may be under way over there after we have given it up.
const STRAGGLING: TimeDelta = TimeDelta::seconds(60);

/// Names of calls are derived from this and from the commands that they serve.
const CALLS: Uuid = Uuid::from_u128(0x6f6e_6861_6e64_2f70_7573_6865_732f_6361);

/// What is true for all commands of a group.
pub(super) struct Attempt {
    pub(super) now: DateTime<Utc>,
    /// When the lease began.
    pub(super) begun: Instant,
    /// Everything up to here was owed when the commands were leased.
    owed: i64,
    /// When the last entry was recorded that is in all quantities, however far their read model is.
    known_at: Option<DateTime<Utc>>,
    clock: Clock,
    targets: HashMap<ListingId, Target>,
    offers: HashMap<OfferId, OfferTarget>,
}

/// What is not known after an attempt.
#[derive(Clone, Copy, Default)]
pub(super) struct Doubt {
    /// As in [`Settlement::in_doubt`].
    pub(super) shown: Option<bool>,
    /// Words were said that may have got through.
    pub(super) words: bool,
}

/// Results of one group: entries for the ledger, what becomes of the rows, and how the platform fares.
#[derive(Default)]
pub(super) struct Results {
    pub(super) changes: Changes,
    settlements: Vec<Settlement>,
    strays: Vec<Stray>,
    /// Figures that were sent, and may have been taken without our hearing of it.
    sent: Vec<(ListingId, Sent)>,
    /// The platform compares quantities before it sets them.
    compares: bool,
    /// Listings that have come or gone with their products.
    moved: Vec<(ListingId, ListingCommand)>,
    /// Why no more products are told of for now.
    pub(super) put_off: Option<CallError>,
    pub(super) report: Report,
    /// Which requests the commands follow from.
    follows_from: HashMap<(StreamId, Option<FigureKind>), String>,
    /// Where on the platform figures were told.
    places: HashMap<ListingId, Handle>,
}

impl Relay {
    /// Pushes a group and records what came of it: entries and settlements in one commit.
    ///
    /// `begun` is when the lease began; calls that would outlast it are not made. The account is let go of as soon as it has
    /// answered, so that it can be told the next things while these are recorded; one in trouble only when that is noted.
    pub(super) async fn deliver(
        &self,
        group: Group,
        begun: Instant,
        mut in_hand: Option<InHand>,
    ) -> Result<(), LedgerError> {
        let Some(first) = group.first() else { return Ok(()) };
        let (tenant, connection) = (first.tenant, first.connection);
        let (probe, troubled) = (first.probe, first.troubled);
        let pool = self.operations.ledger().pool();
        let attempt = self.attempt(tenant, &group, begun).await?;
        let places =
            attempt.targets.iter().map(|(listing, target)| (*listing, target.handle.clone())).collect();
        let mut results = Results { follows_from: follows_from(&group), places, ..Results::default() };
        let mut renewing = false;
        match connected(pool, connection).await? {
            None => give_up(&mut results, &group, &attempt, &CallError::never("the connection is gone")),
            Some(connected) => {
                match (outbound_of(connected.details.platform), self.operations.api(&connected)) {
                    (Some(outbound), Ok(api)) => {
                        results.compares = outbound.compares();
                        let api = api.until(begun + BEGIN_WITHIN);
                        push(&mut results, outbound, &api, (&group, &attempt)).await;
                        let lost = api.has_lost();
                        results.sent.iter_mut().for_each(|(_, sent)| sent.lost = lost);
                        // Credentials that something was done for are not the trouble.
                        renewing = api.is_unauthorized()
                            && !results.report.answered
                            && self.operations.renew_early(&connected).await;
                    }
                    (None, _) => {
                        let error = CallError::never("nothing can be pushed to this platform");
                        give_up(&mut results, &group, &attempt, &error);
                    }
                    (_, Err(error)) => give_up(&mut results, &group, &attempt, &error),
                }
            }
        }
        if renewing {
            results.wait_for_renewal(attempt.now);
        }
        if let Some(CallError::NeedsPerson { why }) = &results.put_off {
            // Before the next ones are taken: each of them would be refused as well.
            let until = content::next_look(attempt.now);
            let done = outbox::put_off_content(pool, (tenant, connection), until, why).await;
            if let Err(error) = done {
                tracing::warn!(%error, "products stay due although none would be taken");
            }
        }
        let report = Report { probe, ..std::mem::take(&mut results.report) };
        let report = if renewing { report.renewing() } else { report };
        let noteworthy = report.is_trouble() || probe || troubled;
        if let Some(in_hand) = in_hand.as_mut().filter(|_| !noteworthy) {
            in_hand.answered();
        }
        self.record_said(tenant, Arc::new(results)).await?;
        if noteworthy {
            let now = self.operations.ledger().clock().now();
            for turn in breakers::note(pool, (tenant, connection), &report, now).await? {
                self.operations.note_turn(tenant, connection, turn).await?;
            }
        }
        Ok(())
    }

    async fn attempt(&self, tenant: TenantId, group: &Group, begun: Instant) -> Result<Attempt, LedgerError> {
        let pool = self.operations.ledger().pool();
        let of_figures = group.iter().filter(|command| command.product.is_none());
        let listings: Vec<ListingId> = of_figures.map(|command| command.listing).collect();
        let content = group.iter().filter_map(|command| Some((command.connection, command.product?)));
        let content: Vec<_> = content.collect();
        // Everything that was owed when these commands were leased is to be in what is read now.
        let owed = Head::settled(&mut *pool.acquire().await?, tenant).await?;
        let known = match group.iter().any(|command| command.kind == CommandKind::Quantity) {
            true => checkpoints::stock_known_to(pool, tenant, owed, CATCH_UP).await?,
            false => 0,
        };
        let known_at = checkpoints::recorded_at(pool, tenant, known).await?;
        let mut targets = targets(pool, tenant, &listings).await?;
        // What the levels were when they were read, they were known to be up to there at least.
        targets.values_mut().for_each(|target| target.quantity_as_of = target.quantity_as_of.max(known));
        let offers = offers::targets(pool, tenant, &content).await?;
        let clock = self.operations.ledger().clock().clone();
        Ok(Attempt { now: clock.now(), begun, owed, known_at, clock, targets, offers })
    }

    /// What was said is not forgotten for a database that is away for a moment: another relay may have told something newer
    /// before it, and only this record says that it has to be told again. Whether it is recorded already is not known after
    /// [`LedgerError::Unknown`], and what is refused would be refused again: that is left to the lease.
    async fn record_said(&self, tenant: TenantId, results: Arc<Results>) -> Result<(), LedgerError> {
        let said = results.settlements.iter().any(|settlement| settlement.said);
        let mut patience = 0..if said { RECORD_ATTEMPTS } else { 0 };
        while let Err(error) = self.record(tenant, Arc::clone(&results)).await {
            let is_passing = matches!(error, LedgerError::Unavailable(_) | LedgerError::Busy);
            let Some(attempt) = patience.next().filter(|_| is_passing) else { return Err(error) };
            tracing::warn!(%error, "what a platform was told cannot be recorded yet");
            tokio::time::sleep(policy::delay(attempt + 1).min(Duration::from_secs(10))).await;
        }
        for settlement in &results.settlements {
            let outcome = match settlement.verdict {
                Verdict::Done | Verdict::Needless => "done",
                Verdict::Again { .. } => "again",
                Verdict::Dead { .. } => "dead",
            };
            metrics::counter!("onhand_pushes_total", "outcome" => outcome).increment(1);
        }
        Ok(())
    }

    async fn record(&self, tenant: TenantId, results: Arc<Results>) -> Result<(), LedgerError> {
        let changed = results.changes.iter().map(|(stream, _)| stream.clone());
        let strays = results.strays.iter().map(|(listing, ..)| StreamId::Listing(*listing));
        let moved = results.moved.iter().map(|(listing, _)| StreamId::Listing(*listing));
        let sent = results.sent.iter().map(|(listing, _)| StreamId::Listing(*listing));
        let reads: Vec<StreamId> = changed.chain(strays).chain(moved).chain(sent).collect();
        let caller = Caller::new(Context::internal(tenant, "relay"));
        self.operations
            .submit(caller, reads, move |lookup, now| {
                // What was told or seen at the place a listing had says nothing of the one it was given meanwhile.
                let is_there = |listing: &ListingId| results.is_at_its_place(listing, lookup);
                let mut changes = results.changes.clone();
                changes.retain(|(stream, event)| match (stream, event) {
                    (
                        StreamId::Listing(listing),
                        Event::Listing(
                            ListingEvent::QuantityPushed { .. } | ListingEvent::PricePushed { .. },
                        ),
                    ) => is_there(listing),
                    _ => true,
                });
                let strays = results.strays.iter().filter(|(listing, ..)| is_there(listing)).copied();
                changes.extend(sighted(&strays.collect::<Vec<_>>(), lookup, now)?);
                changes.extend(content::moved(&results.moved, lookup)?);
                for (listing, sent) in results.sent.iter().filter(|(listing, _)| is_there(listing)) {
                    changes.extend(listed(listing, lookup, ListingCommand::NoteSent(*sent))?);
                }
                let news = changes.iter().any(|(_, event)| catalog::makes_known(event));
                let follow_ups = if news { vec![FollowUp::unmapped(String::new(), now)] } else { vec![] };
                Ok(Decision {
                    changes,
                    answer: json!({}).into(),
                    attachments: Attachments {
                        settlements: results.settlements.clone(),
                        owed: results.owed_again(lookup, now),
                        follow_ups,
                        ..Attachments::default()
                    },
                    follows_from: results.follows_from.clone(),
                    ..Decision::default()
                })
            })
            .await?;
        Ok(())
    }
}

/// Which requests entries about what commands of a group are about follow from.
fn follows_from(group: &Group) -> HashMap<(StreamId, Option<FigureKind>), String> {
    let causes = group.iter().filter_map(|command| {
        let stream = match command.product {
            None => StreamId::Listing(command.listing),
            Some(product) => StreamId::Product(product),
        };
        let figure = match command.kind {
            CommandKind::Quantity => Some(FigureKind::Quantity),
            CommandKind::Price => Some(FigureKind::Price),
            CommandKind::Content => None,
        };
        Some(((stream, figure), command.correlation_id.clone()?))
    });
    causes.collect()
}

/// Quantities first: what is sold twice costs more than what is sold too cheaply. Content last: it takes longest; but one
/// product goes first if it has waited for minutes.
async fn push(
    results: &mut Results,
    outbound: &dyn Outbound,
    api: &Api,
    (group, attempt): (&Group, &Attempt),
) {
    let of_kind = |kind| group.iter().filter(move |command| command.kind == kind);
    let (starved, content) = content::starved(of_kind(CommandKind::Content).collect(), attempt);
    content::push(results, outbound, api, (starved, attempt)).await;
    push_quantities(results, outbound, api, (of_kind(CommandKind::Quantity).collect(), attempt)).await;
    push_prices(results, outbound, api, (of_kind(CommandKind::Price).collect(), attempt)).await;
    content::push(results, outbound, api, (content, attempt)).await;
}

async fn push_quantities(
    results: &mut Results,
    outbound: &dyn Outbound,
    api: &Api,
    (group, attempt): (Vec<&Command>, &Attempt),
) {
    let (mut commands, mut asks) = (vec![], vec![]);
    let mut handles = HashSet::new();
    for command in group {
        let Some(target) = attempt.target(command).filter(|target| target.pushes_quantity) else {
            results.settle(command, Verdict::Needless); // The listing is gone, or the rules have changed.
            continue;
        };
        match target.owed_quantity(command.is_in_doubt()) {
            // Two listings may share one stock over there; what would be said of it twice is said one after the other.
            Some(_)
                if !handles.insert(target.handle.inventory.as_ref().unwrap_or(&target.handle.variant)) =>
            {
                results.failed(command, &CallError::later(), attempt);
            }
            Some(quantity) => {
                commands.push((command, target));
                let believed = target.shown_quantity.filter(|_| !command.forced);
                asks.push(QuantityAsk { handle: target.handle.clone(), quantity, believed });
            }
            // It is shown; or the shelf has no history, or the read model has not seen its first entry yet.
            None => results.shown(command, target, (attempt, false)),
        }
    }
    if asks.is_empty() {
        return;
    }
    let key = call_key(commands.iter().map(|(command, _)| *command));
    let api = api.following(commands.iter().filter_map(|(command, _)| command.correlation_id.as_deref()));
    let outcomes = outbound.set_quantities(&api, &asks, key).await;
    for (((command, target), ask), outcome) in commands.iter().zip(&asks).zip(outcomes) {
        results.report.of(&outcome);
        match outcome {
            Outcome::Shown(quantity) => {
                let as_of = target.quantity_as_of;
                let until = target.quantity_at.max(attempt.known_at);
                let at = Some(attempt.clock.now());
                results.note(command, ListingEvent::QuantityPushed { quantity, as_of, until, at });
                results.shown(command, target, (attempt, true));
            }
            Outcome::Stale { observed } => {
                results.stale(command, Figure::Quantity { quantity: observed }, attempt);
            }
            Outcome::Failed(error) => {
                let figure = Figure::Quantity { quantity: ask.quantity };
                results.sent_and_failed(command, figure, (&error, attempt));
            }
        }
    }
}

async fn push_prices(
    results: &mut Results,
    outbound: &dyn Outbound,
    api: &Api,
    (group, attempt): (Vec<&Command>, &Attempt),
) {
    let (mut commands, mut asks) = (vec![], vec![]);
    for command in group {
        let Some(target) = attempt.target(command).filter(|target| target.owed_price(true).is_some()) else {
            results.settle(command, Verdict::Needless); // As above, or it has no price in its market.
            continue;
        };
        match target.owed_price(command.is_in_doubt()) {
            Some(price) => {
                commands.push((command, target));
                asks.push(PriceAsk { handle: target.handle.clone(), price });
            }
            None => results.settle(command, Verdict::Done), // It is shown already.
        }
    }
    if asks.is_empty() {
        return;
    }
    let key = call_key(commands.iter().map(|(command, _)| *command));
    let api = api.following(commands.iter().filter_map(|(command, _)| command.correlation_id.as_deref()));
    let outcomes: Vec<Outcome<Money>> = outbound.set_prices(&api, &asks, key).await;
    for (((command, target), ask), outcome) in commands.iter().zip(&asks).zip(outcomes) {
        results.report.of(&outcome);
        match outcome {
            Outcome::Shown(price) => {
                let (as_of, at) = (target.price_as_of, Some(attempt.clock.now()));
                results.note(command, ListingEvent::PricePushed { price, as_of, at });
                results.told(command, Verdict::Done);
            }
            Outcome::Stale { observed } => {
                results.stale(command, Figure::Price { price: observed }, attempt);
            }
            Outcome::Failed(error) => {
                let figure = Figure::Price { price: ask.price };
                results.sent_and_failed(command, figure, (&error, attempt));
            }
        }
    }
}

fn give_up(results: &mut Results, group: &Group, attempt: &Attempt, error: &CallError) {
    results.report.of(&Outcome::<()>::Failed(error.clone()));
    group.iter().for_each(|command| results.failed(command, error, attempt));
}

impl Attempt {
    fn target(&self, command: &Command) -> Option<&Target> {
        self.targets.get(&command.listing)
    }

    /// What a command about content is about.
    pub(super) fn offer(&self, command: &Command) -> Option<&OfferTarget> {
        self.offers.get(&OfferId(command.listing.0))
    }
}

impl Results {
    /// Whether a listing is where figures were told to it.
    fn is_at_its_place(&self, id: &ListingId, lookup: &Lookup<'_>) -> bool {
        let mapping = lookup.listing(id).mapping.as_ref();
        mapping.zip(self.places.get(id)).is_none_or(|(mapping, told)| {
            (&mapping.external_product, &mapping.external_inventory) == (&told.product, &told.inventory)
        })
    }

    /// A listing has come or gone with its product.
    pub(super) fn moved_with(&mut self, product: ProductId, listing: ListingId, how: ListingCommand) {
        if let Some(cause) = self.follows_from.get(&(StreamId::Product(product), None)).cloned() {
            self.follows_from.insert((StreamId::Listing(listing), None), cause);
        }
        self.moved.push((listing, how));
    }

    /// Settles what the platform was told nothing about.
    pub(super) fn settle(&mut self, command: &Command, verdict: Verdict) {
        self.settle_knowing(command, verdict, (Doubt::default(), false));
    }

    /// Settles what the platform was told.
    pub(super) fn told(&mut self, command: &Command, verdict: Verdict) {
        self.settle_knowing(command, verdict, (Doubt::default(), true));
    }

    fn settle_knowing(&mut self, command: &Command, verdict: Verdict, (doubt, said): (Doubt, bool)) {
        let (row, token, in_doubt) = (command.row, command.token, doubt.shown);
        // Words that may have got through once are in doubt until the command is over.
        let unheard = doubt.words || (command.kind == CommandKind::Content && command.unheard);
        self.settlements.push(Settlement { row, token, verdict, in_doubt, unheard, said });
    }

    fn note(&mut self, command: &Command, event: ListingEvent) {
        self.changes.push((StreamId::Listing(command.listing), Event::Listing(event)));
    }

    /// A figure was not taken, as far as we have heard: if the platform failed, it may show it all the same.
    fn sent_and_failed(
        &mut self,
        command: &Command,
        figure: Figure,
        (error, attempt): (&CallError, &Attempt),
    ) {
        if error.is_failure() {
            self.sent.push((command.listing, Sent { figure, at: attempt.now, lost: false }));
        }
        self.failed(command, error, attempt);
    }

    /// What was taken shortly behind a call that nobody has answered: that one may be applied last, so the figure is told
    /// once more when it has had its time. That is too late to be behind the same call again.
    fn owed_again(&self, lookup: &Lookup<'_>, now: DateTime<Utc>) -> Vec<Owed> {
        let taken = self.changes.iter().filter_map(|(stream, event)| match (stream, event) {
            (StreamId::Listing(id), Event::Listing(ListingEvent::QuantityPushed { .. }))
                if !self.compares =>
            {
                Some((*id, FigureKind::Quantity))
            }
            (StreamId::Listing(id), Event::Listing(ListingEvent::PricePushed { .. })) => {
                Some((*id, FigureKind::Price))
            }
            _ => None,
        });
        let straggling = taken.filter_map(|(id, kind)| {
            let due = lookup.listing(&id).lost_at(kind)? + STRAGGLING;
            let correlation_id = self.follows_from.get(&(StreamId::Listing(id), Some(kind))).cloned();
            let of = Subject::Figure(id, kind);
            (now < due).then_some(Owed { of, due, instead_of: None, forced: true, correlation_id })
        });
        straggling.collect()
    }

    pub(super) fn note_product(&mut self, product: ProductId, event: ProductEvent) {
        self.changes.push((StreamId::Product(product), Event::Product(event)));
    }

    /// The platform shows what is true as of the target's position. If something newer was owed, which the read model did not
    /// know yet, the command stays open: a variant that sells all the time is still told about all the time.
    fn shown(&mut self, command: &Command, target: &Target, (attempt, said): (&Attempt, bool)) {
        if target.quantity_as_of >= attempt.owed {
            return self.settle_knowing(command, Verdict::Done, (Doubt::default(), said));
        }
        let behind = CallError::wait(CATCH_UP, "the stock levels are behind this command");
        let verdict = policy::next(command.attempt, &behind, attempt.now);
        self.settle_knowing(command, verdict, (Doubt { shown: Some(false), words: false }, said));
    }

    pub(super) fn failed(&mut self, command: &Command, error: &CallError, attempt: &Attempt) {
        // What was put off or refused has changed nothing there; what failed may have. No words were said.
        let is_figure = command.kind != CommandKind::Content;
        let shown = (is_figure && error.is_failure()).then_some(true);
        self.failed_knowing(command, error, (attempt, Doubt { shown, words: false }));
    }

    /// The same where it is known what is in doubt by that.
    pub(super) fn failed_knowing(
        &mut self,
        command: &Command,
        error: &CallError,
        (attempt, doubt): (&Attempt, Doubt),
    ) {
        let verdict = match error {
            // How the platform fares says nothing against the one command that was to show it.
            CallError::Again { after, why, counts: true } if command.probe => {
                let error = CallError::Again { after: *after, why: why.clone(), counts: false };
                policy::next(command.attempt, &error, attempt.now)
            }
            // It holds no account, and is looked at again in a while.
            CallError::NeedsPerson { .. } if command.kind == CommandKind::Content => {
                policy::next(command.attempt, error, attempt.now)
            }
            // The account is held; what has waited longest goes first when it is not.
            CallError::Again { after: Some(_), why, counts: false } | CallError::NeedsPerson { why } => {
                Verdict::Again { at: command.due, error: why.clone(), counts: false }
            }
            error => policy::next(command.attempt, error, attempt.now),
        };
        // No words of it can have got through, at this attempt or before.
        let refused = matches!(error, CallError::Never { .. }) && !command.unheard;
        if let Verdict::Dead { error } = &verdict {
            let (kind, reason, attempts) = (command.kind.name().to_owned(), error.clone(), command.attempt);
            match command.product {
                None => self.note(command, ListingEvent::PushFailed { kind, reason, attempts }),
                Some(product) => {
                    let connection = command.connection;
                    let event = ProductEvent::PushFailed { connection, reason, attempts, refused };
                    self.note_product(product, event);
                }
            }
        }
        self.settle_knowing(command, verdict, (doubt, error.is_failure()));
    }

    /// The account is held until its credentials are renewed; what is put off goes when it is not.
    fn wait_for_renewal(&mut self, now: DateTime<Utc>) {
        self.put_off = None;
        for settlement in &mut self.settlements {
            if let Verdict::Again { at, counts: false, .. } = &mut settlement.verdict {
                *at = now.min(*at);
            }
        }
    }

    /// Somebody changed it there, or our own last call was applied and its answer lost. What it shows is looked at by the rules;
    /// the next attempt starts from that, a moment later, when the order behind it may have come.
    fn stale(&mut self, command: &Command, shows: Figure, attempt: &Attempt) {
        self.strays.push((command.listing, shows, attempt.now));
        let stale = CallError::failed("the platform shows something else than believed");
        self.told(command, policy::next(command.attempt, &stale, attempt.now));
    }
}

/// Names the calls of one attempt.
///
/// Adapters add what each call says. The same words come under the same name only when the very same commands are tried once
/// more without anybody knowing how the last attempt ended, as when the process died: a platform that was reached then
/// answers as it did then. Once there was an answer, whatever it was, what is said next is another call.
pub(super) fn call_key<'c>(commands: impl Iterator<Item = &'c Command>) -> Uuid {
    let mut words = Vec::new();
    for command in commands {
        words.extend_from_slice(command.row.as_bytes());
        words.extend_from_slice(&command.answered.to_be_bytes());
    }
    Uuid::new_v5(&CALLS, &words)
}
