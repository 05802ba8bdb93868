//! One account, one kind: from leased commands to recorded results.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use onhand_domain::{Event, StreamId, catalog::Changes, listing::ListingEvent, values::ListingId};
use serde_json::json;
use uuid::Uuid;

use super::{Group, Relay, policy};
use crate::{
    ledger::{Attachments, Context, Decision, Head, LedgerError},
    operations::Caller,
    outbox::{Command, CommandKind, Settlement, Verdict},
    platforms::shopify::outbound::{CallError, Outcome, PriceAsk, QUANTITIES_MAX, QuantityAsk, Shop},
    queries::{
        checkpoints,
        connections::connected,
        listings::{Target, targets},
    },
};

/// No call is begun later than this after the claim: the longest one still ends within the lease.
const BEGIN_WITHIN: Duration = Duration::from_secs(15);

/// How long the read model is waited for, and when a command that is still ahead of it is looked at again.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Results of one group: entries for the ledger, and what becomes of the rows.
#[derive(Default)]
struct Results {
    changes: Changes,
    settlements: Vec<Settlement>,
}

impl Relay {
    /// Pushes a group and records what came of it: entries and settlements in one commit.
    ///
    /// `begun` is when the lease began; calls that would outlast it are not made.
    pub(super) async fn deliver(&self, group: Group, begun: Instant) -> Result<(), LedgerError> {
        let Some(first) = group.first() else { return Ok(()) };
        let (tenant, connection, kind) = (first.tenant, first.connection, first.kind);
        let now = self.operations.ledger().clock().now();
        let pool = self.operations.ledger().pool();
        let listings: Vec<ListingId> = group.iter().map(|command| command.listing).collect();
        // Everything that was owed when these commands were leased is to be in what is read now.
        let owed = Head::settled(&mut *pool.acquire().await?, tenant).await?;
        if kind == CommandKind::Quantity {
            checkpoints::reached(pool, tenant, "stock_levels", owed, CATCH_UP).await?;
        }
        let targets = targets(pool, tenant, &listings).await?;
        let shop = match connected(pool, connection).await? {
            Some(connected) => self.operations.shop(&connected).map_err(|refusal| refusal.to_string()),
            None => Ok(None),
        };
        let results = match shop {
            Ok(Some(shop)) => match kind {
                CommandKind::Quantity => push_quantities(&shop, &group, &targets, (begun, now, owed)).await,
                CommandKind::Price => push_prices(&shop, &group, &targets, (begun, now)).await,
            },
            Ok(None) => give_up(&group, "the connection has no endpoint or no access token", now),
            Err(why) => give_up(&group, why.as_str(), now),
        };
        self.record(tenant, results).await
    }

    async fn record(
        &self,
        tenant: onhand_domain::values::TenantId,
        results: Results,
    ) -> Result<(), LedgerError> {
        let reads: Vec<StreamId> = results.changes.iter().map(|(stream, _)| stream.clone()).collect();
        let caller = Caller::new(Context::internal(tenant, "relay"));
        for settlement in &results.settlements {
            let outcome = match settlement.verdict {
                Verdict::Done => "done",
                Verdict::Again { .. } => "again",
                Verdict::Dead { .. } => "dead",
            };
            metrics::counter!("onhand_pushes_total", "outcome" => outcome).increment(1);
        }
        self.operations
            .submit(caller, reads, move |_, _| {
                Ok(Decision {
                    changes: results.changes.clone(),
                    answer: json!({}).into(),
                    attachments: Attachments {
                        settlements: results.settlements.clone(),
                        ..Attachments::default()
                    },
                    ..Decision::default()
                })
            })
            .await?;
        Ok(())
    }
}

impl Results {
    fn settle(&mut self, command: &Command, verdict: Verdict) {
        self.settlements.push(Settlement { row: command.row, token: command.token, verdict });
    }

    fn note(&mut self, command: &Command, event: ListingEvent) {
        self.changes.push((StreamId::Listing(command.listing), Event::Listing(event)));
    }

    /// The platform shows what is true as of `as_of`. If something newer was `owed`, which the read model did not
    /// know yet, the command stays open: a variant that sells all the time is still told about all the time.
    fn shown(&mut self, command: &Command, as_of: i64, owed: i64, now: DateTime<Utc>) {
        if as_of >= owed {
            return self.settle(command, Verdict::Done);
        }
        let behind = CallError::Again {
            after: Some(CATCH_UP),
            why: "the stock levels are behind this command".to_owned(),
            counts: false,
        };
        self.settle(command, policy::next(command.attempt, &behind, now));
    }

    /// Not this time: what came before has taken too long.
    fn later(&mut self, command: &Command, now: DateTime<Utc>) {
        let later = CallError::Again {
            after: Some(Duration::ZERO),
            why: "other calls took too long".to_owned(),
            counts: false,
        };
        self.settle(command, policy::next(command.attempt, &later, now));
    }

    fn failed(&mut self, command: &Command, error: &CallError, now: DateTime<Utc>) {
        let verdict = policy::next(command.attempt, error, now);
        if let Verdict::Dead { error } = &verdict {
            let (kind, reason) = (command.kind.name().to_owned(), error.clone());
            self.note(command, ListingEvent::PushFailed { kind, reason, attempts: command.attempt });
        }
        self.settle(command, verdict);
    }

    fn stale(&mut self, command: &Command, event: ListingEvent, now: DateTime<Utc>) {
        // Somebody changed it there, or our own last call was applied and its answer lost. What it shows is
        // noted; the next attempt starts from that, a moment later, when the order behind it may have come.
        self.note(command, event);
        let stale = CallError::Again {
            after: None,
            why: "the platform shows something else than believed".to_owned(),
            counts: true,
        };
        self.settle(command, policy::next(command.attempt, &stale, now));
    }
}

async fn push_quantities(
    shop: &Shop,
    group: &[Command],
    targets: &HashMap<ListingId, Target>,
    (begun, now, owed): (Instant, DateTime<Utc>, i64),
) -> Results {
    let mut results = Results::default();
    let mut asks = Vec::new();
    for command in group {
        let Some(target) = targets.get(&command.listing).filter(|target| target.pushes_quantity) else {
            results.settle(command, Verdict::Done); // Nothing is owed: the listing is gone, or the rules have changed.
            continue;
        };
        let Some(quantity) = target.quantity else {
            // The shelf has no history, or the read model has not seen its first entry yet.
            results.shown(command, target.quantity_as_of, owed, now);
            continue;
        };
        if target.shown_quantity == Some(quantity) {
            results.shown(command, target.quantity_as_of, owed, now);
            continue;
        }
        match &target.external_inventory {
            Some(inventory) => asks.push((
                command,
                target,
                QuantityAsk { inventory: inventory.clone(), quantity, believed: target.shown_quantity },
            )),
            None => {
                let why = "the platform gave no inventory item for this listing".to_owned();
                results.failed(command, &CallError::Never { why }, now);
            }
        }
    }
    for chunk in asks.chunks(QUANTITIES_MAX) {
        if begun.elapsed() > BEGIN_WITHIN {
            chunk.iter().for_each(|(command, _, _)| results.later(command, now));
            continue;
        }
        let asks: Vec<QuantityAsk> = chunk.iter().map(|(_, _, ask)| ask.clone()).collect();
        let (reference, key) = chunk.first().map_or_else(Default::default, |(command, target, _)| {
            (format!("onhand://ledger/{}", target.quantity_as_of), call_key(command))
        });
        let outcomes = shop.set_quantities(&asks, &reference, key).await;
        for ((command, target, _), outcome) in chunk.iter().zip(outcomes) {
            match outcome {
                Outcome::Shown(quantity) => {
                    results.note(
                        command,
                        ListingEvent::QuantityPushed { quantity, as_of: target.quantity_as_of },
                    );
                    results.shown(command, target.quantity_as_of, owed, now);
                }
                Outcome::Stale { observed } => {
                    let event = ListingEvent::QuantityObserved { quantity: observed, at: now, echo: false };
                    results.stale(command, event, now);
                }
                Outcome::Failed(error) => results.failed(command, &error, now),
            }
        }
    }
    results
}

async fn push_prices(
    shop: &Shop,
    group: &[Command],
    targets: &HashMap<ListingId, Target>,
    (begun, now): (Instant, DateTime<Utc>),
) -> Results {
    let mut results = Results::default();
    let mut asks: Vec<(&Command, &Target, PriceAsk)> = Vec::new();
    for command in group {
        let target = targets.get(&command.listing).filter(|target| target.pushes_price);
        let Some((target, price)) = target.and_then(|target| Some((target, target.price?))) else {
            results.settle(command, Verdict::Done); // No listing, or no price in its market: nothing is owed.
            continue;
        };
        if target.shown_price == Some(price) {
            results.settle(command, Verdict::Done);
            continue;
        }
        let ask = PriceAsk {
            product: target.external_product.clone(),
            variant: target.external_variant.clone(),
            price,
        };
        asks.push((command, target, ask));
    }
    // One call a product: the platform takes the variants of one product at a time.
    asks.sort_by(|(_, _, a), (_, _, b)| a.product.cmp(&b.product));
    for product in asks.chunk_by(|(_, _, a), (_, _, b)| a.product == b.product) {
        if begun.elapsed() > BEGIN_WITHIN {
            product.iter().for_each(|(command, _, _)| results.later(command, now));
            continue;
        }
        let calls: Vec<PriceAsk> = product.iter().map(|(_, _, ask)| ask.clone()).collect();
        for ((command, target, _), outcome) in product.iter().zip(shop.set_prices(&calls).await) {
            match outcome {
                Outcome::Shown(price) => {
                    results.note(command, ListingEvent::PricePushed { price, as_of: target.price_as_of });
                    results.settle(command, Verdict::Done);
                }
                Outcome::Stale { observed } => {
                    results.stale(command, ListingEvent::PriceObserved { price: observed, at: now }, now);
                }
                Outcome::Failed(error) => results.failed(command, &error, now),
            }
        }
    }
    results
}

fn give_up(group: &[Command], why: &str, now: DateTime<Utc>) -> Results {
    let mut results = Results::default();
    for command in group {
        results.failed(command, &CallError::NeedsPerson { why: why.to_owned() }, now);
    }
    results
}

/// Names one call: the platform answers a repeat of it as it answered the first. Each attempt is a call of
/// its own; what makes a repeated attempt harmless is the compare, not the key.
fn call_key(command: &Command) -> Uuid {
    Uuid::new_v5(&command.row, format!("{}/{}", command.token, command.attempt).as_bytes())
}
