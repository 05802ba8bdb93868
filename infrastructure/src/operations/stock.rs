//! Restock, adjust, count, transfer, and the rules of a shelf.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    reservation::{self, Line},
    stock::{Policy, Stock, StockCommand, StockEvent, occurred},
    values::{LocationCode, Quantity, ReservationId, Sku, StockId},
};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Caller, Operations,
    directory::{Named, unknown_sku},
    reservations::{Wanted, skus_of, with_skus},
};
use crate::ledger::{Decision, LedgerError, Receipt};

/// The most changes one request may ask for.
pub const BULK_MAX: usize = 10_000;
/// Changes on their way at the same time; the queue has room for others, too.
const BULK_ABREAST: usize = 500;

/// A change of one shelf.
#[derive(Debug, Clone)]
pub enum StockChange {
    /// Units arrived.
    Restock {
        /// How many.
        quantity: Quantity,
        /// Where they came from.
        reference: Option<String>,
    },
    /// A correction.
    Adjust {
        /// By how many.
        delta: i64,
        /// Why.
        reason: String,
        /// What it goes back to.
        reference: Option<String>,
    },
    /// A count.
    Count {
        /// How many were found.
        counted: Quantity,
        /// By whom or what.
        reference: Option<String>,
    },
}

impl StockChange {
    fn command(self, occurred_at: DateTime<Utc>) -> StockCommand {
        match self {
            Self::Restock { quantity, reference } => {
                StockCommand::Restock { quantity, reference, occurred_at }
            }
            Self::Adjust { delta, reason, reference } => {
                StockCommand::Adjust { delta, reason, reference, occurred_at }
            }
            Self::Count { counted, reference } => StockCommand::Count { counted, reference, occurred_at },
        }
    }
}

/// A change, and of what.
#[derive(Debug, Clone)]
pub struct ShelfChange {
    /// Of what.
    pub sku: Sku,
    /// Where.
    pub location: LocationCode,
    /// What happened.
    pub change: StockChange,
    /// When; now, if nobody said.
    pub occurred_at: Option<DateTime<Utc>>,
}

/// Units that go from one location to another.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// Of what.
    pub sku: Sku,
    /// From where.
    pub from: LocationCode,
    /// To where.
    pub to: LocationCode,
    /// How many.
    pub quantity: Quantity,
    /// What it goes back to.
    pub reference: Option<String>,
}

/// What became of many changes.
#[derive(Debug, Serialize)]
pub struct Outcomes {
    /// One for each, in the order of the request.
    pub rows: Vec<Row>,
    /// The highest of theirs; none if none of them happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// True if the request had been made before, with the same key.
    #[serde(skip)]
    pub replayed: bool,
}

/// What became of one change among many.
#[derive(Debug, Serialize)]
pub struct Row {
    /// From 0, as the request had it.
    row: usize,
    #[serde(flatten)]
    outcome: Value,
}

impl Operations {
    /// Changes what is on a shelf. Answers with the shelf as it then stands.
    pub async fn change_stock(&self, caller: Caller, change: ShelfChange) -> Result<Receipt, LedgerError> {
        let named = self.named(&caller, std::slice::from_ref(&change.sku)).await?;
        let variant = named.first().map(|named| named.variant);
        self.change_shelf(caller, variant.ok_or_else(|| unknown_sku(&change.sku))?, change).await
    }

    async fn change_shelf(
        &self,
        caller: Caller,
        variant: onhand_domain::values::VariantId,
        change: ShelfChange,
    ) -> Result<Receipt, LedgerError> {
        let ShelfChange { sku, location, change, occurred_at } = change;
        if let StockChange::Adjust { reason, .. } = &change
            && reason.trim().is_empty()
        {
            return Err(Refusal::invalid("text.empty", "an adjustment has a reason; say why").into());
        }
        let id = StockId { variant, location };
        let stream = StreamId::Stock(id.clone());
        self.submit(caller, vec![stream.clone()], move |lookup, now| {
            let shelf = lookup.stock(&id);
            let events = verdict(&id, shelf, change.clone().command(occurred(occurred_at, now)?))?;
            Ok(Decision {
                answer: level(&sku, &id.location, shelf, &events).into(),
                changes: events.into_iter().map(|event| (stream.clone(), event.into())).collect(),
                ..Decision::default()
            })
        })
        .await
    }

    /// When a request with a key was made: at this time, or, if it comes again, at the time that was given first.
    pub async fn first_at(&self, caller: Caller, at: DateTime<Utc>) -> Result<DateTime<Utc>, LedgerError> {
        let taken = self.submit(caller, vec![], move |_, _| {
            Ok(Decision { answer: json!({ "at": at }).into(), ..Decision::default() })
        });
        let Receipt { position, answer, .. } = taken.await?;
        serde_json::from_value(answer.value()["at"].take())
            .map_err(|error| LedgerError::Unreadable { position, why: error.to_string() })
    }

    /// Makes many changes, each for itself: one that is refused, or was before it got here, keeps no other from happening.
    /// Changes of one shelf happen in the order given; what could not be tried has failed, and so have those after it there.
    /// With a key the request is safe to repeat: rows that were decided are not decided again.
    pub async fn change_many(
        &self,
        caller: &Caller,
        changes: impl ExactSizeIterator<Item = Result<ShelfChange, Refusal>> + Send,
    ) -> Result<Outcomes, LedgerError> {
        let count = changes.len();
        // Asked before they are read: read, millions of them take more memory than a server may have.
        if count == 0 || count > BULK_MAX {
            let detail = format!("send 1 to {BULK_MAX} rows, not {count}");
            return Err(Refusal::invalid("bulk.rows", detail).into());
        }
        let mut replayed = false;
        if caller.idempotency.is_some() {
            // The key is taken by the request as a whole; each row has one that follows from it.
            let taken = self.submit(caller.clone(), vec![], |_, _| Ok(Decision::default())).await?;
            replayed = taken.replayed;
        }
        let mut rows = Vec::with_capacity(count);
        let mut sound = Vec::with_capacity(count);
        for (row, change) in changes.enumerate() {
            match change {
                Ok(change) => sound.push((row, change)),
                Err(refusal) => rows.push(Row { row, outcome: refused(&refusal) }),
            }
        }
        // All of them before the first is made: what fails after that fails row by row.
        let mut named = Vec::with_capacity(sound.len());
        for some in sound.chunks(BULK_ABREAST) {
            let skus: Vec<Sku> = some.iter().map(|(_, change)| change.sku.clone()).collect();
            named.extend(self.named_each(caller, &skus).await?);
        }
        let mut changes = sound.into_iter().zip(named).peekable();
        // Shelves at which one could not be tried, and why.
        let mut failed: HashMap<(Sku, LocationCode), String> = HashMap::new();
        while changes.peek().is_some() {
            let mut shelves: BTreeMap<(Sku, LocationCode), Vec<_>> = BTreeMap::new();
            for ((row, change), named) in changes.by_ref().take(BULK_ABREAST) {
                let shelf = (change.sku.clone(), change.location.clone());
                shelves.entry(shelf).or_default().push((row, change, named));
            }
            let each = shelves.into_iter().map(|(shelf, changes)| {
                let failed = failed.get(&shelf).cloned();
                async { (shelf, self.change_in_order(caller, changes, failed).await) }
            });
            for (shelf, (made, why)) in join_all(each).await {
                rows.extend(made);
                failed.extend(why.map(|why| (shelf, why)));
            }
        }
        rows.sort_unstable_by_key(|row| row.row);
        let position = rows.iter().filter_map(|row| row.outcome["position"].as_i64()).max();
        Ok(Outcomes { rows, position, replayed })
    }

    /// Changes of one shelf, one after the other. Once one could not be tried, or had `failed` before these, those after it are not;
    /// says why that is so.
    async fn change_in_order(
        &self,
        caller: &Caller,
        changes: Vec<(usize, ShelfChange, Option<Named>)>,
        mut failed: Option<String>,
    ) -> (Vec<Row>, Option<String>) {
        let mut rows = Vec::with_capacity(changes.len());
        for (row, change, named) in changes {
            let changed = match (named, &failed) {
                (_, Some(detail)) => Err(String::clone(detail)),
                (Some(named), None) => {
                    let changed = self.change_shelf(caller.of_row(row), named.variant, change).await;
                    outcome(changed).map_err(|error| match error {
                        LedgerError::Database(_) => {
                            "the database cannot be reached for the moment".to_owned()
                        }
                        other => other.to_string(),
                    })
                }
                (None, None) => Ok(refused(&unknown_sku(&change.sku))),
            };
            let outcome = changed.unwrap_or_else(|detail| {
                let outcome = json!({ "status": "failed", "detail": detail });
                failed = Some(detail);
                outcome
            });
            rows.push(Row { row, outcome });
        }
        (rows, failed)
    }

    /// Sends units from one location to another: they leave and arrive in the same instant.
    pub async fn transfer(&self, caller: Caller, transfer: Transfer) -> Result<Receipt, LedgerError> {
        let Transfer { sku, from, to, quantity, reference } = transfer;
        if from == to {
            return Err(Refusal::invalid("transfer.nowhere", "a transfer leads to another location").into());
        }
        let named = self.named(&caller, std::slice::from_ref(&sku)).await?;
        let variant = named.first().map(|named| named.variant).ok_or_else(|| unknown_sku(&sku))?;
        let ids = [from, to].map(|location| StockId { variant, location });
        let reads = ids.iter().cloned().map(StreamId::Stock).collect();
        self.submit(caller, reads, move |lookup, now| {
            let [source, target] = &ids;
            let (from, to) = (source.location.clone(), target.location.clone());
            let out = StockCommand::TransferOut { quantity, to, reference: reference.clone(), now };
            let arrive = StockCommand::TransferIn { quantity, from, reference: reference.clone(), now };
            let left = verdict(source, lookup.stock(source), out)
                .map_err(|refusal| short_here(refusal, &sku, source))?;
            let arrived = verdict(target, lookup.stock(target), arrive)?;
            Ok(Decision {
                answer: json!({
                    "from": level(&sku, &source.location, lookup.stock(source), &left),
                    "to": level(&sku, &target.location, lookup.stock(target), &arrived),
                })
                .into(),
                changes: left
                    .into_iter()
                    .map(|event| (StreamId::Stock(source.clone()), event.into()))
                    .chain(arrived.into_iter().map(|event| (StreamId::Stock(target.clone()), event.into())))
                    .collect(),
                ..Decision::default()
            })
        })
        .await
    }

    /// Lets other rules hold for a shelf.
    pub async fn set_policy(
        &self,
        caller: Caller,
        sku: Sku,
        location: LocationCode,
        policy: Policy,
    ) -> Result<Receipt, LedgerError> {
        let named = self.named(&caller, std::slice::from_ref(&sku)).await?;
        let variant = named.first().map(|named| named.variant).ok_or_else(|| unknown_sku(&sku))?;
        let id = StockId { variant, location };
        let stream = StreamId::Stock(id.clone());
        self.submit(caller, vec![stream.clone()], move |lookup, _| {
            let events = verdict(&id, lookup.stock(&id), StockCommand::SetPolicy(policy))?;
            Ok(Decision {
                answer: json!({ "sku": sku, "location": id.location, "policy": policy }).into(),
                changes: events.into_iter().map(|event| (stream.clone(), event.into())).collect(),
                ..Decision::default()
            })
        })
        .await
    }

    /// Whether a reservation of these lines would be made at this moment, and from where: the very rule that
    /// reserves is asked, on the newest states, and nothing is held.
    pub async fn availability(&self, caller: Caller, wanted: Vec<Wanted>) -> Result<Receipt, LedgerError> {
        let (lines, locations, reads) = self.lines(&caller, &wanted).await?;
        let skus = skus_of(&lines, &wanted);
        let caller = Caller { idempotency: None, ..caller };
        self.submit(caller, reads, move |lookup, now| {
            let nobody = ReservationId(Uuid::nil());
            let answer = allocate(&lines, &locations, nobody, now, |id| lookup.stock(id)).and_then(|lines| {
                reservation::reserve(nobody, &lines, &[], None, now, |id| lookup.stock(id))?;
                Ok(lines)
            });
            let answer = match answer {
                Ok(lines) => json!({ "available": true, "lines": shelves(&lines) }),
                Err(refusal) if refusal.code == "stock.insufficient" => {
                    let shortages =
                        with_skus(refusal, &skus).facts.map(|mut facts| facts["shortages"].take());
                    json!({ "available": false, "shortages": shortages })
                }
                Err(refusal) => return Err(refusal),
            };
            Ok(Decision { answer: answer.into(), ..Decision::default() })
        })
        .await
    }
}

fn outcome(changed: Result<Receipt, LedgerError>) -> Result<Value, LedgerError> {
    match changed {
        Ok(receipt) => {
            let mut outcome = receipt.answer.value();
            outcome["status"] = "done".into();
            outcome["position"] = receipt.position.into();
            Ok(outcome)
        }
        Err(LedgerError::Refused(refusal) | LedgerError::RefusedBefore(refusal)) => Ok(refused(&refusal)),
        Err(error) => Err(error),
    }
}

/// A shelf that is short, said as a reservation says it.
fn short_here(mut refusal: Refusal, sku: &Sku, shelf: &StockId) -> Refusal {
    if refusal.code == "stock.insufficient"
        && let Some(facts) = &mut refusal.facts
    {
        *facts = json!({ "shortages": [{
            "variant": shelf.variant, "sku": sku, "location": shelf.location,
            "wanted": facts["wanted"], "available": facts["available"],
        }]});
    }
    refusal
}

fn refused(refusal: &Refusal) -> Value {
    json!({ "status": "refused", "code": refusal.code, "detail": refusal.detail })
}

/// The shelves for some lines, as far as the buyer of this reservation can be served.
pub(super) fn allocate<'s>(
    lines: &[Line],
    locations: &[LocationCode],
    buyer: ReservationId,
    now: DateTime<Utc>,
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<reservation::Lines, Refusal> {
    reservation::allocate(lines, locations, |id| stock(id).obtainable(&buyer, now))
}

fn shelves(lines: &reservation::Lines) -> Value {
    lines
        .iter()
        .map(|(id, quantity)| {
            json!({ "variant_id": id.variant, "location": id.location, "quantity": quantity })
        })
        .collect()
}

fn level(sku: &Sku, location: &LocationCode, shelf: &Stock, events: &[StockEvent]) -> Value {
    let (on_hand, reserved) = shelf.totals_after(events);
    let mut level = json!({
        "sku": sku, "location": location, "on_hand": on_hand, "reserved": reserved,
        "available": (on_hand - reserved).max(0),
    });
    if events.iter().any(|event| matches!(event, StockEvent::Covered { .. })) {
        level["covered"] = "a later count has seen this already; the number stays".into();
    }
    level
}
