//! Reconciliation: what platforms show is read back and compared with what they are to show.
//!
//! A run goes through an account's listings page by page, within the platform's limits, and goes on where it stopped,
//! whoever dies meanwhile. What has strayed is put right by the very rules and pushes that keep it right otherwise.
//! What a platform does not say is unknown, which is not zero.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    Event, Refusal, StreamId,
    administration::AdministrationEvent,
    aggregate::verdict,
    catalog::Changes,
    connection::ConnectionCommand,
    listing::{Figure, ListingCommand, ListingEvent},
    sighting::{self, Sight},
    stream::Lookup,
    values::{ConnectionId, ListingId, StockId, TenantId},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Caller, Operations};
use crate::{
    ledger::{Context, Decision, LedgerError},
    outbox::{CommandKind, breakers},
    platforms::outbound::{CallError, Outcome, Shown, outbound_of},
    queries::{
        connections::{Connected, connected},
        listings::{Target, targets},
        reconciliations::{self, Leased, Tally, Wanted},
    },
    relay::breaker::Report,
};

/// Listings that are read back at a time.
const PAGE: i64 = 100;
/// Longer than a page may take.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// No call is begun later than this: a page that takes longer is cut off, and gone on with.
const BEGIN_WITHIN: Duration = Duration::from_mins(2);
/// How often in a row a page may fail.
const FAILURES_MAX: i32 = 10;
/// When a platform that fails is asked again.
const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// A figure that is not as it is to be.
#[derive(Debug, Clone, Copy)]
struct Stray {
    listing: ListingId,
    shows: Figure,
    /// What it was to show when we looked. If that is another by now, nothing follows: the next run looks again.
    owed: Figure,
    /// Nobody over there changed it: our own push was lost, or given up.
    ours: bool,
}

impl Operations {
    /// Begins to read back what an account shows. A `preview` tells what has strayed and leaves it alone.
    pub async fn begin_reconciliation(
        &self,
        caller: Caller,
        id: ConnectionId,
        preview: bool,
    ) -> Result<uuid::Uuid, LedgerError> {
        let connection = self.own_connection(&caller, id).await?;
        if outbound_of(connection.details.platform).is_none() {
            let detail =
                format!("{} shows nothing of ours that could be read back", connection.details.platform);
            return Err(Refusal::invalid("reconciliation.impossible", detail).into());
        }
        let running = || {
            let detail = "the connection is being reconciled; wait for it to end";
            Refusal::conflict("reconciliation.running", detail)
        };
        let (pool, tenant) = (self.ledger().pool(), caller.context.tenant);
        if reconciliations::is_running(pool, tenant, id).await? {
            return Err(running().into());
        }
        // On record before anything is done: a run that cannot be noted does not begin.
        let run = uuid::Uuid::now_v7();
        let event = AdministrationEvent::ReconciliationBegun { connection: id, reconciliation: run, preview };
        self.note(Caller { idempotency: None, ..caller.clone() }, event).await?;
        let Context { actor, correlation_id, .. } = &caller.context;
        let wanted = Wanted { tenant, id: run, connection: id, preview, actor, correlation_id };
        if !reconciliations::begin(pool, &wanted, self.ledger().clock().now()).await? {
            return Err(running().into()); // Somebody else was faster, just now.
        }
        Ok(run)
    }

    /// Begins a run for each account that was last looked at more than `every` ago. Says how many.
    pub async fn schedule_reconciliations(&self, every: TimeDelta) -> Result<u64, LedgerError> {
        let now = self.ledger().clock().now();
        Ok(reconciliations::begin_due(self.ledger().pool(), now - every, now).await?)
    }

    /// Reads back one page of one run. False if nothing is to be done for now.
    pub async fn reconcile(&self) -> Result<bool, LedgerError> {
        let (pool, now) = (self.ledger().pool(), self.ledger().clock().now());
        let Some(run) = reconciliations::claim(pool, now, LEASE).await? else { return Ok(false) };
        let tenant = TenantId(run.tenant_id);
        let Some(connection) = connected(pool, ConnectionId(run.connection_id)).await? else {
            reconciliations::end(pool, &run, now, Some("the connection is gone")).await?;
            return Ok(true);
        };
        let page = reconciliations::page(pool, &run, PAGE).await?;
        if page.is_empty() {
            self.end_reconciliation(&run, &connection).await?;
            return Ok(true);
        }
        let flew = reconciliations::in_flight(pool, &run, &page).await?;
        match self.read_back(&connection, &page).await? {
            Ok((seen, last)) => {
                let tally = self.compare(&run, &connection, (seen, flew), now).await?;
                reconciliations::advance(pool, &run, (last, &tally), (now, None)).await?;
            }
            Err(error) => self.stopped(&run, page.first().copied(), &error).await?,
        }
        tracing::debug!(%tenant, connection = %connection.id, "reconciled a page");
        Ok(true)
    }

    /// Nothing could be read. It is tried again; what fails again and again alone is passed over, and nobody waits for a
    /// platform that lets nobody in.
    async fn stopped(
        &self,
        run: &Leased,
        first: Option<ListingId>,
        error: &CallError,
    ) -> Result<(), LedgerError> {
        let (pool, now) = (self.ledger().pool(), self.ledger().clock().now());
        let gives_up = run.failures + 1 >= FAILURES_MAX;
        if gives_up && matches!(error, CallError::NeedsPerson { .. }) {
            reconciliations::end(pool, run, now, Some(&error.to_string())).await?;
            return Ok(());
        }
        let passed_over = first.filter(|_| gives_up && error.is_failure());
        let tally = Tally { unknown: i64::from(passed_over.is_some()), ..Tally::default() };
        let after = match error {
            CallError::Again { after: Some(after), .. } => TimeDelta::from_std(*after).unwrap_or(PAUSE),
            _ => PAUSE,
        };
        let why = error.to_string();
        reconciliations::advance(pool, run, (passed_over, &tally), (now + after, Some(&why))).await?;
        Ok(())
    }

    async fn end_reconciliation(&self, run: &Leased, connection: &Connected) -> Result<(), LedgerError> {
        let now = self.ledger().clock().now();
        if !reconciliations::end(self.ledger().pool(), run, now, None).await? {
            return Ok(());
        }
        let command = ConnectionCommand::NoteReconciliation {
            preview: run.preview,
            checked: run.checked,
            drifted: run.drifted,
            repaired: run.repaired,
            missing: run.missing,
            unknown: run.unknown,
        };
        self.command_connection(caller_of(run), connection.id, command, json!({})).await?;
        Ok(())
    }

    /// What the platform shows of each, up to the first whose figure it would not tell for the moment, and which was the last.
    /// If that is the very first, nothing was read.
    async fn read_back(&self, connection: &Connected, page: &[ListingId]) -> Result<ReadBack, LedgerError> {
        let known = targets(self.ledger().pool(), connection.tenant, page).await?;
        let mut known: Vec<(ListingId, Target)> = known.into_iter().collect();
        known.sort_by_key(|(id, _)| *id);
        let handles: Vec<_> = known.iter().map(|(_, target)| target.handle.clone()).collect();
        let Some(outbound) = outbound_of(connection.details.platform) else {
            return Ok(Err(CallError::person("the platform shows nothing of ours")));
        };
        let api = match self.api(connection) {
            Ok(api) => api,
            Err(error) => return Ok(Err(error)),
        };
        let api = api.until(Instant::now() + BEGIN_WITHIN);
        let shown = outbound.read(&api, &handles).await;
        self.note_doors(connection, &shown, api.is_unauthorized()).await?;
        let cut = shown.iter().position(|it| it.as_ref().is_err_and(|error| !is_never(error)));
        if let (Some(0), Some(Err(error))) = (cut, shown.first()) {
            return Ok(Err(error.clone()));
        }
        let read = cut.unwrap_or(known.len());
        // Listings that are gone here since the page was made are behind us, too, if nothing was cut off.
        let last = if read == known.len() { page.last() } else { known.get(read - 1).map(|(id, _)| id) };
        let last = last.copied();
        let seen = known.into_iter().zip(shown).take(read);
        Ok(Ok((seen.map(|((id, target), shown)| (id, target, shown.ok())).collect(), last)))
    }

    /// Puts on record that a platform lets us in no longer, or lets us in again. What else fails is no sign for pushes: one
    /// listing that cannot be read would keep all others from being told.
    async fn note_doors(
        &self,
        connection: &Connected,
        shown: &[Result<Shown, CallError>],
        unauthorized: bool,
    ) -> Result<(), LedgerError> {
        let mut report = Report::default();
        for it in shown {
            report
                .of(&it.as_ref().map_or_else(|error| Outcome::Failed(error.clone()), |_| Outcome::Shown(())));
        }
        let (pool, account) = (self.ledger().pool(), (connection.tenant, connection.id));
        let report = Report { failed: false, hold: None, ..report };
        let renewing = unauthorized && !report.answered && self.renew_early(connection).await;
        let report = if renewing { report.renewing() } else { report };
        if renewing
            || report.is_shut()
            || (report.answered && breakers::of(pool, account.0, account.1).await?.locked_out)
        {
            for turn in breakers::note(pool, account, &report, self.ledger().clock().now()).await? {
                self.note_turn(account.0, account.1, turn).await?;
            }
        }
        Ok(())
    }

    /// Compares, and lets what has strayed be put right. What was pushed while we looked, or is owed another figure by now,
    /// has not strayed.
    async fn compare(
        &self,
        run: &Leased,
        connection: &Connected,
        (seen, flew): (Vec<Seen>, Vec<(ListingId, String)>),
        at: DateTime<Utc>,
    ) -> Result<Tally, LedgerError> {
        let listings: Vec<ListingId> = seen.iter().map(|(id, ..)| *id).collect();
        let in_flight = reconciliations::in_flight(self.ledger().pool(), run, &listings).await?;
        let in_flight: HashSet<(ListingId, String)> = in_flight.into_iter().chain(flew).collect();
        let current = targets(self.ledger().pool(), connection.tenant, &listings).await?;
        let (mut tally, mut strays) = (Tally::default(), vec![]);
        for (id, target, shown) in &seen {
            tally.checked += 1;
            let Some(shown) = shown else {
                tally.missing += 1;
                tally.drifts.push((*id, "missing", None, None));
                continue;
            };
            let current = current.get(id);
            let flies = |kind: &str| in_flight.contains(&(*id, kind.to_owned()));
            let quantity_moved =
                flies("quantity") || current.is_none_or(|current| current.quantity != target.quantity);
            let price_moved = flies("price") || current.is_none_or(|current| current.price != target.price);
            let quantity = ReadFigure {
                shows: shown.quantity,
                owed: target.quantity.filter(|_| !quantity_moved),
                believed: target.shown_quantity,
                pushed: target.pushes_quantity,
                in_question: target.quantity_in_question,
            };
            let price = ReadFigure {
                shows: shown.price,
                owed: target.price.filter(|_| !price_moved),
                believed: target.shown_price,
                pushed: target.pushes_price,
                in_question: target.price_in_question,
            };
            strays.extend(stray(*id, |quantity| Figure::Quantity { quantity }, &quantity, &mut tally));
            strays.extend(stray(*id, |price| Figure::Price { price }, &price, &mut tally));
        }
        if !run.preview && !strays.is_empty() {
            tally.repaired = self.repair(run, connection, strays, at).await?;
        }
        Ok(tally)
    }

    async fn repair(
        &self,
        run: &Leased,
        connection: &Connected,
        strays: Vec<Stray>,
        at: DateTime<Utc>,
    ) -> Result<i64, LedgerError> {
        let id = connection.id;
        let mut reads: Vec<StreamId> = strays.iter().map(|stray| StreamId::Listing(stray.listing)).collect();
        reads.push(StreamId::Connection(id));
        let receipt = self
            .submit(caller_of(run), reads, move |lookup, now| {
                let mut changes = Changes::new();
                let (mut repaired, mut counted) = (0, HashMap::new());
                for stray in &strays {
                    // What one listing cannot be is no reason to leave the others astray.
                    let Ok(found) = repaired_by(stray, (lookup, at, now)) else { continue };
                    repaired += i64::from(!found.is_empty() && stray.shows != stray.owed);
                    // Of two listings of one variant the first one counts. The other is only seen: what it shows is not agreed.
                    let again = found.iter().any(|(stream, _)| match stream {
                        StreamId::Stock(shelf) => !first(&mut counted, shelf, stray.listing),
                        _ => false,
                    });
                    let seen = |event: &Event| {
                        matches!(event, Event::Listing(ListingEvent::QuantityObserved { .. }))
                    };
                    changes.extend(found.into_iter().filter(|(_, event)| !again || seen(event)));
                }
                Ok(Decision {
                    changes,
                    answer: json!({ "repaired": repaired }).into(),
                    ..Decision::default()
                })
            })
            .await?;
        let answer: Value = serde_json::from_str(receipt.answer.as_str()).unwrap_or_default();
        Ok(answer["repaired"].as_i64().unwrap_or_default())
    }
}

/// A listing, what it is to show, and what it shows; nothing if it is not there.
type Seen = (ListingId, Target, Option<Shown>);
type ReadBack = Result<(Vec<Seen>, Option<ListingId>), CallError>;

fn is_never(error: &CallError) -> bool {
    matches!(error, CallError::Never { .. })
}

fn first(counted: &mut HashMap<StockId, ListingId>, shelf: &StockId, listing: ListingId) -> bool {
    *counted.entry(shelf.clone()).or_insert(listing) == listing
}

fn caller_of(run: &Leased) -> Caller {
    let context = Context::internal(TenantId(run.tenant_id), "reconciliation");
    Caller::new(Context { correlation_id: run.correlation_id.clone(), ..context })
}

/// A figure that was read back, beside what is known of it here.
struct ReadFigure<T> {
    shows: Option<T>,
    /// What it is to show, unless that has moved since.
    owed: Option<T>,
    believed: Option<T>,
    pushed: bool,
    in_question: bool,
}

/// What is not as it is to be; or is, and somebody was to judge it.
fn stray<T: Copy + PartialEq + Serialize>(
    listing: ListingId,
    figure: fn(T) -> Figure,
    it: &ReadFigure<T>,
    tally: &mut Tally,
) -> Option<Stray> {
    let Some(shows) = it.shows else {
        tally.unknown += 1;
        return None;
    };
    let owed = it.owed?;
    let astray =
        Stray { listing, shows: figure(shows), owed: figure(owed), ours: it.believed == Some(shows) };
    if shows == owed {
        return it.in_question.then_some(Stray { ours: false, ..astray });
    }
    // Whoever judges what is in question is to judge what is shown now.
    if !it.pushed && (!it.in_question || astray.ours) {
        return None;
    }
    tally.drifted += 1;
    let kind = CommandKind::from(astray.shows.kind()).name();
    tally.drifts.push((listing, kind, Some(json!(shows)), Some(json!(owed))));
    Some(astray)
}

/// What has to be on record for a stray to be put right, or put to somebody; nothing if it is known by now, or has changed.
fn repaired_by(
    stray: &Stray,
    (lookup, at, now): (&Lookup<'_>, DateTime<Utc>, DateTime<Utc>),
) -> Result<Changes, Refusal> {
    let id = stray.listing;
    if !is_owed(stray, lookup) {
        return Ok(Changes::new());
    }
    if stray.ours {
        let command = ListingCommand::NoteDrift { shows: stray.shows, at };
        let events = verdict(&id, lookup.listing(&id), command)?;
        return Ok(events.into_iter().map(|event| (StreamId::Listing(id), event.into())).collect());
    }
    let (changes, _) = match stray.shows {
        Figure::Quantity { quantity } => {
            sighting::of_quantity(id, Sight { quantity, at, told: false }, lookup, now)?
        }
        Figure::Price { price } => sighting::of_price(id, (price, at), lookup)?,
    };
    Ok(changes)
}

/// Whether what was owed when we looked still is: what has been sold since then is not in what we saw.
fn is_owed(stray: &Stray, lookup: &Lookup<'_>) -> bool {
    let Some(mapping) = &lookup.listing(&stray.listing).mapping else { return false };
    let connection = lookup.connection(&mapping.connection);
    let Some(details) = &connection.details else { return false };
    match stray.owed {
        Figure::Quantity { quantity } => {
            let shelf = StockId { variant: mapping.variant, location: details.location.clone() };
            let available = lookup.stock(&shelf).available();
            available.minus(connection.rules.safety_buffer).units() == quantity
        }
        Figure::Price { price } => {
            let variant = lookup.product(&mapping.product).variants.get(&mapping.variant);
            variant.and_then(|variant| variant.prices.get(&details.market)) == Some(&price)
        }
    }
}

/// Reconciles what is due until told to stop; begins a run for each account every so often, and asks as often for the webhooks
/// that are to come to `public_url`.
pub async fn run(
    operations: Operations,
    (every, public_url): (TimeDelta, Option<String>),
    mut stop: tokio::sync::watch::Receiver<bool>,
) {
    const IDLE: std::time::Duration = std::time::Duration::from_secs(2);
    let mut subscribed = operations.ledger().clock().now();
    while !*stop.borrow() {
        let now = operations.ledger().clock().now();
        if let Some(public_url) = public_url.as_deref().filter(|_| (now - subscribed).abs() >= every) {
            subscribed = now;
            if let Err(error) = operations.keep_subscribed(public_url).await {
                tracing::warn!(%error, "webhooks cannot be asked for again for the moment");
            }
        }
        if let Err(error) = operations.schedule_reconciliations(every).await {
            tracing::warn!(%error, "reconciliations cannot be begun for the moment");
        }
        loop {
            match operations.reconcile().await {
                Ok(true) if !*stop.borrow() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "a page could not be reconciled; its lease will run out");
                    break;
                }
            }
        }
        tokio::select! {
            _ = stop.changed() => break,
            () = tokio::time::sleep(IDLE) => {}
        }
    }
}
