//! Pushing on request: many listings and products at once, what was given up once more, or a rehearsal that shows the
//! very calls.

mod offers;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    catalog::Changes,
    connection::{ConnectionCommand, SyncRules},
    listing::FigureKind,
    values::{ConnectionId, ListingId, ProductId, Sku},
};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::offers::OfferView;
use super::{Caller, Operations};
use crate::{
    ledger::{Attachments, Decision, LedgerError, Receipt},
    outbox::{Owed, Subject, let_out},
    platforms::{
        Call,
        outbound::{Api, CallError, Outbound, Outcome, PriceAsk, QuantityAsk, Skills, outbound_of},
    },
    queries::{
        connections::{Connected, connected},
        listings::{ListingFilter, Target, chosen, targets},
        offers::{OfferTarget, chosen as chosen_offers, targets as offer_targets},
        outbox::{DeadFilter, DeadPush, dead},
    },
};

/// Listings, and products on connections, that one request may be about.
pub const LISTINGS_MAX: i64 = 10_000;
/// The same, for one rehearsal.
const REHEARSED_MAX: i64 = 500;
/// Calls of a rehearsal, which only look, are not begun later than this for each connection.
const REHEARSED_WITHIN: Duration = Duration::from_secs(15);
/// Pushes that one request takes up again.
const REPLAY_MAX: i64 = 1_000;
/// The calls that a rehearsal names are not made, and need no name of their own.
const KEY: Uuid = Uuid::nil();

/// A call that would be made. Its headers and its query, in which secrets stand, are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallView {
    /// `POST` and the like.
    pub method: String,
    /// Below the platform's address.
    pub path: String,
    /// As JSON where it is.
    pub body: Option<Value>,
}

/// What pushing would come to on one connection.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsed {
    /// Which.
    pub connection_id: Uuid,
    /// The figures that would be shown.
    pub figures: Vec<FigureView>,
    /// The products that would be offered, described or taken off.
    pub products: Vec<OfferView>,
    /// The calls, in order. Calls that only look are made and not listed.
    pub calls: Vec<CallView>,
    /// What stands in the way of all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One figure that would be shown.
#[derive(Debug, Clone, Serialize)]
pub struct FigureView {
    /// On which listing.
    pub listing_id: Uuid,
    /// The seller's code.
    pub sku: Sku,
    /// `quantity` or `price`.
    pub kind: &'static str,
    /// What is believed to be shown.
    pub shown: Value,
    /// What is to be shown.
    pub owed: Value,
    /// Why the platform would not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Operations {
    /// Has listings and products shown as they are here, whatever they are believed to show. Answers with how many listings
    /// and how many products on connections they are, and the position up to which they are then owed.
    pub async fn sync_listings(&self, caller: Caller, filter: ListingFilter) -> Result<Receipt, LedgerError> {
        let found = self.listings_of(&caller, &filter, LISTINGS_MAX).await?;
        let offers = self.offers_of(&caller, &filter, None, LISTINGS_MAX).await?;
        let due = self.ledger().clock().now();
        let figures = found.iter().flat_map(|(listing, _)| {
            [FigureKind::Quantity, FigureKind::Price].map(|kind| Subject::Figure(*listing, kind))
        });
        let subjects =
            figures.chain(offers.iter().map(|(connection, product)| Subject::Offer(*connection, *product)));
        let owed = subjects
            .map(|of| Owed { of, due, instead_of: None, forced: true, correlation_id: None })
            .collect();
        let mut counts: BTreeMap<ConnectionId, (i64, i64)> = BTreeMap::new();
        found.iter().for_each(|(_, connection)| counts.entry(*connection).or_default().0 += 1);
        offers.iter().for_each(|(connection, _)| counts.entry(*connection).or_default().1 += 1);
        let note = |(listings, products)| ConnectionCommand::NoteSync { listings, products };
        let connections: Vec<_> = counts.keys().copied().collect();
        let answer = json!({ "count": found.len(), "products": offers.len(), "connections": connections });
        let notes = counts.into_iter().map(|(connection, counts)| (connection, note(counts))).collect();
        self.owe(caller, owed, notes, answer).await
    }

    /// Takes up pushes that were given up, `stagger` apart. A dry run tells which, and does nothing.
    pub async fn replay_pushes(
        &self,
        caller: Caller,
        filter: DeadFilter,
        (dry_run, stagger): (bool, TimeDelta),
    ) -> Result<(Vec<DeadPush>, Option<Receipt>), LedgerError> {
        let now = self.ledger().clock().now();
        let found = dead(
            self.ledger().pool(),
            caller.context.tenant,
            (caller.brand.as_deref(), &filter),
            (now, REPLAY_MAX),
        )
        .await?;
        if dry_run {
            return Ok((found, None));
        }
        let owed = found.iter().zip(0..).map(|(push, number)| Owed {
            of: subject(push),
            due: now + stagger * number,
            instead_of: Some(push.id),
            forced: true,
            correlation_id: None,
        });
        let owed = owed.collect();
        let mut counts: BTreeMap<ConnectionId, i64> = BTreeMap::new();
        for push in &found {
            *counts.entry(ConnectionId(push.connection_id)).or_default() += 1;
        }
        let connections: Vec<_> = counts.keys().copied().collect();
        let answer = json!({ "count": found.len(), "connections": connections });
        let note = |count| ConnectionCommand::NoteReplay { count };
        let notes = counts.into_iter().map(|(connection, count)| (connection, note(count))).collect();
        let receipt = self.owe(caller, owed, notes, answer).await?;
        Ok((found, Some(receipt)))
    }

    async fn owe(
        &self,
        caller: Caller,
        owed: Vec<Owed>,
        notes: BTreeMap<ConnectionId, ConnectionCommand>,
        answer: Value,
    ) -> Result<Receipt, LedgerError> {
        let reads = notes.keys().map(|id| StreamId::Connection(*id)).collect();
        self.submit(caller, reads, move |lookup, _| {
            let mut changes = Changes::new();
            for (id, note) in &notes {
                for event in verdict(id, lookup.connection(id), note.clone())? {
                    changes.push((StreamId::Connection(*id), event.into()));
                }
            }
            Ok(Decision {
                changes,
                answer: answer.clone().into(),
                attachments: Attachments { owed: owed.clone(), ..Attachments::default() },
                ..Decision::default()
            })
        })
        .await
    }

    /// The listings a caller means, each with its connection. What is named has to be there: a slip of the pen would else look
    /// as if there were nothing to tell.
    async fn listings_of(
        &self,
        caller: &Caller,
        filter: &ListingFilter,
        most: i64,
    ) -> Result<Vec<(ListingId, ConnectionId)>, LedgerError> {
        for id in filter.connections.iter().collect::<BTreeSet<_>>() {
            self.own_connection(caller, *id).await?;
        }
        self.named(caller, &filter.skus).await?;
        let (tenant, brand) = (caller.context.tenant, caller.brand.as_deref());
        let found = chosen(self.ledger().pool(), tenant, (brand, filter), most + 1).await?;
        if found.len() as i64 > most {
            let detail = format!("that is more than {most} listings; name connections, products or SKUs");
            return Err(Refusal::invalid("sync.too_many", detail).into());
        }
        Ok(found)
    }

    /// The products a caller means, each with a connection on which something may be told of it; on which something `newly` may,
    /// if that is given.
    async fn offers_of(
        &self,
        caller: &Caller,
        filter: &ListingFilter,
        newly: Option<Skills>,
        most: i64,
    ) -> Result<Vec<(ConnectionId, ProductId)>, LedgerError> {
        let (tenant, brand) = (caller.context.tenant, caller.brand.as_deref());
        let found = chosen_offers(self.ledger().pool(), tenant, (brand, filter), newly, most + 1).await?;
        if found.len() as i64 > most {
            let detail = format!("that is more than {most} products; name connections, products or SKUs");
            return Err(Refusal::invalid("sync.too_many", detail).into());
        }
        Ok(found)
    }

    /// Shows what pushing would come to: the figures, the products, what each platform has against them, and the very calls.
    /// Changes nothing, here or there.
    ///
    /// It is what [`Operations::sync_listings`] would have told. With `rules` it is what would follow if the rules of the one
    /// connection that is named were changed to these.
    pub async fn rehearse(
        &self,
        caller: &Caller,
        filter: &ListingFilter,
        rules: Option<&SyncRules>,
    ) -> Result<Vec<Rehearsed>, LedgerError> {
        if let Some(rules) = rules {
            rules.conditions.check()?;
        }
        let found = self.listings_of(caller, filter, REHEARSED_MAX).await?;
        let newly = match (rules, filter.connections.first()) {
            (Some(rules), Some(id)) => {
                Some(let_out::newly(&self.own_connection(caller, *id).await?.rules, rules))
            }
            _ => None,
        };
        let offered = self.offers_of(caller, filter, newly, REHEARSED_MAX).await?;
        let connections = found.iter().map(|(_, connection)| *connection);
        let connections: BTreeSet<_> = connections.chain(offered.iter().map(|(id, _)| *id)).collect();
        let listings: Vec<ListingId> = found.iter().map(|(listing, _)| *listing).collect();
        let (pool, tenant) = (self.ledger().pool(), caller.context.tenant);
        let mut targets = targets(pool, tenant, &listings).await?;
        if let Some(rules) = rules {
            targets.values_mut().for_each(|target| target.judge_by(rules));
        }
        let mut rehearsed = vec![];
        for id in connections {
            let Some(connection) = connected(pool, id).await? else { continue };
            let of_it = targets.iter().filter(|(_, target)| target.connection == id);
            let mut of_it: Vec<(ListingId, &Target)> = of_it.map(|(id, target)| (*id, target)).collect();
            of_it.sort_by_key(|(id, _)| *id);
            // Of one connection at a time: of all it would be much to hold.
            let offered: Vec<_> =
                offered.iter().filter(|(connection, _)| *connection == id).copied().collect();
            let mut offers: Vec<OfferTarget> =
                offer_targets(pool, tenant, &offered).await?.into_values().collect();
            if let Some(rules) = rules {
                offers.iter_mut().for_each(|offer| offer.judge_by(rules));
            }
            offers.sort_by_key(|offer| offer.product);
            rehearsed.push(self.rehearse_one(&connection, &of_it, (&offers, newly)).await);
        }
        Ok(rehearsed)
    }

    async fn rehearse_one(
        &self,
        connection: &Connected,
        listings: &[(ListingId, &Target)],
        (products, newly): (&[OfferTarget], Option<Skills>),
    ) -> Rehearsed {
        let mut rehearsed = Rehearsed {
            connection_id: connection.id.0,
            figures: vec![],
            products: vec![],
            calls: vec![],
            problem: None,
        };
        let outbound = outbound_of(connection.details.platform);
        let (outbound, api) = match (outbound, self.api(connection)) {
            (Some(outbound), Ok(api)) => {
                (outbound, api.for_rehearsal().until(Instant::now() + REHEARSED_WITHIN))
            }
            (None, _) => {
                rehearsed.problem = Some("nothing can be pushed to this platform".to_owned());
                return rehearsed;
            }
            (_, Err(error)) => {
                rehearsed.problem = Some(error.to_string());
                return rehearsed;
            }
        };
        // Who asks for a push has all told, whatever is believed to be shown; other rules only have told what is not.
        let forced = newly.is_none();
        rehearse_quantities(&mut rehearsed, outbound, &api, (listings, forced)).await;
        rehearse_prices(&mut rehearsed, outbound, &api, (listings, forced)).await;
        offers::rehearse(&mut rehearsed, outbound, &api, (products, newly)).await;
        rehearsed.calls = api.rehearsed().iter().map(view).collect();
        rehearsed
    }
}

async fn rehearse_quantities(
    rehearsed: &mut Rehearsed,
    outbound: &dyn Outbound,
    api: &Api,
    (listings, forced): (&[(ListingId, &Target)], bool),
) {
    let owed = listings.iter().filter_map(|(id, target)| Some((*id, *target, target.owed_quantity(forced)?)));
    let owed: Vec<_> = owed.collect();
    let asks: Vec<QuantityAsk> = owed
        .iter()
        .map(|(_, target, quantity)| QuantityAsk {
            handle: target.handle.clone(),
            quantity: *quantity,
            believed: target.shown_quantity.filter(|_| !forced),
        })
        .collect();
    if asks.is_empty() {
        return;
    }
    let outcomes = outbound.set_quantities(api, &asks, KEY).await;
    rehearsed.figures.extend(owed.iter().zip(outcomes).map(|((id, target, quantity), outcome)| FigureView {
        listing_id: id.0,
        sku: target.sku.clone(),
        kind: "quantity",
        shown: json!(target.shown_quantity),
        owed: json!(quantity),
        problem: problem(&outcome),
    }));
}

async fn rehearse_prices(
    rehearsed: &mut Rehearsed,
    outbound: &dyn Outbound,
    api: &Api,
    (listings, forced): (&[(ListingId, &Target)], bool),
) {
    let owed = listings.iter().filter_map(|(id, target)| Some((*id, *target, target.owed_price(forced)?)));
    let owed: Vec<_> = owed.collect();
    let asks: Vec<PriceAsk> = owed
        .iter()
        .map(|(_, target, price)| PriceAsk { handle: target.handle.clone(), price: *price })
        .collect();
    if asks.is_empty() {
        return;
    }
    let outcomes = outbound.set_prices(api, &asks, KEY).await;
    rehearsed.figures.extend(owed.iter().zip(outcomes).map(|((id, target, price), outcome)| FigureView {
        listing_id: id.0,
        sku: target.sku.clone(),
        kind: "price",
        shown: json!(target.shown_price),
        owed: json!(price),
        problem: problem(&outcome),
    }));
}

/// What a push that was given up was about.
fn subject(push: &DeadPush) -> Subject {
    let listing = ListingId(push.listing_id);
    match push.product_id {
        Some(product) => Subject::Offer(ConnectionId(push.connection_id), ProductId(product)),
        None if push.kind == "price" => Subject::Figure(listing, FigureKind::Price),
        None => Subject::Figure(listing, FigureKind::Quantity),
    }
}

/// What stands against it beyond this being a rehearsal.
fn problem<T>(outcome: &Outcome<T>) -> Option<String> {
    match outcome {
        Outcome::Shown(_) | Outcome::Failed(CallError::Again { counts: false, .. }) => None,
        Outcome::Stale { .. } => Some("the platform shows something else than believed".to_owned()),
        Outcome::Failed(error) => Some(error.to_string()),
    }
}

fn view(call: &Call) -> CallView {
    CallView {
        method: call.method.to_string(),
        path: call.target.split('?').next().unwrap_or_default().to_owned(),
        body: call
            .body
            .as_ref()
            .map(|body| serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.clone()))),
    }
}
