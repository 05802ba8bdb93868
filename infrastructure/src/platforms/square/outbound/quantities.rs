//! Setting what Square counts as in stock at the connection's location.
//!
//! A physical count is absolute, and Square applies counts and sales in the order of their times: a count never undoes a
//! sale that came after it, and a call that was held up does not undo a later one.

use std::collections::BTreeMap;

use axum::http::Method;
use chrono::SecondsFormat;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::super::outbound::{Answer, Api, CallError, Outcome, QuantityAsk},
    AT_ONCE, call, checked,
    counts::Counts,
    errors, firsts,
    open::Open,
};

/// A variation, and the units of it there are to be.
type Change<'a> = (&'a str, i64);

/// What Square counts, or why that is not what it was told.
type Settled<'a> = BTreeMap<&'a str, Result<i64, CallError>>;

/// Has quantities counted. Of several asks for one variation the first is made, and the others are to be asked again.
///
/// The time of the count is part of what is sent, and what is sent is part of Square's key: an attempt that is repeated
/// under the same `key` is a new count, and not the one before once more. What was sold between the two is counted over,
/// until it is heard of and the rest is counted anew.
pub(in super::super) async fn set_quantities(
    api: &Api,
    asks: &[QuantityAsk],
    key: Uuid,
) -> Vec<Outcome<i64>> {
    let location = match super::location(api) {
        Ok(location) => location,
        Err(error) => return asks.iter().map(|_| Outcome::Failed(error.clone())).collect(),
    };
    let asked = firsts(asks.iter().map(change));
    let changes: Vec<Change<'_>> = asked.iter().flatten().copied().collect();
    let mut settled = Settled::new();
    for changes in changes.chunks(AT_ONCE) {
        settled.extend(settle(api, location, changes.to_vec(), key).await);
    }
    asked.into_iter().map(|change| outcome(change, &settled)).collect()
}

fn change(ask: &QuantityAsk) -> Result<Change<'_>, CallError> {
    let variation = ask.handle.inventory.as_ref().unwrap_or(&ask.handle.variant);
    let variation = checked(variation, "a variation")?;
    if ask.quantity < 0 {
        return Err(CallError::never("Square counts nothing below zero"));
    }
    Ok((variation, ask.quantity))
}

fn outcome(change: Result<Change<'_>, CallError>, settled: &Settled<'_>) -> Outcome<i64> {
    let (variation, quantity) = match change {
        Ok(change) => change,
        Err(error) => return Outcome::Failed(error),
    };
    match settled.get(variation) {
        Some(Ok(counted)) if *counted == quantity => Outcome::Shown(*counted),
        // Something was sold since, or was counted there later.
        Some(Ok(counted)) => Outcome::Stale { observed: *counted },
        Some(Err(error)) => Outcome::Failed(error.clone()),
        None => Outcome::Failed(unmentioned()),
    }
}

async fn settle<'a>(api: &Api, location: &str, changes: Vec<Change<'a>>, key: Uuid) -> Settled<'a> {
    let mut settled = Settled::new();
    let mut open = Open::new(changes);
    while let Some(changes) = open.next() {
        match send(api, location, &changes, key).await {
            Err(error) => {
                settled.extend(changes.into_iter().map(|(variation, _)| (variation, Err(error.clone()))));
            }
            Ok(answer) => take(&answer, location, changes, &mut open, &mut settled),
        }
    }
    settled
}

/// `POST /v2/inventory/changes/batch-create`. Counts that are as they were are sent as well, so that the answer tells of
/// every one. [src: facts.md 2.2]
async fn send(api: &Api, location: &str, changes: &[Change<'_>], key: Uuid) -> Result<Answer, CallError> {
    let at = api.access().now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let count = |(variation, quantity): &Change<'_>| {
        json!({
            "type": "PHYSICAL_COUNT",
            "physical_count": {
                "catalog_object_id": variation,
                "location_id": location,
                "state": "IN_STOCK",
                "quantity": quantity.to_string(),
                "occurred_at": at,
            },
        })
    };
    let counts: Value = changes.iter().map(count).collect();
    let key = Uuid::new_v5(&key, counts.to_string().as_bytes());
    let body = json!({ "idempotency_key": key, "changes": counts, "ignore_unchanged_counts": false });
    api.write(call(api, Method::POST, "/v2/inventory/changes/batch-create", Some(&body))?).await
}

/// Takes from an answer what is settled, and leaves the rest open.
fn take<'a>(
    answer: &Answer,
    location: &str,
    changes: Vec<Change<'a>>,
    open: &mut Open<Change<'a>>,
    settled: &mut Settled<'a>,
) {
    let (told, problems, otherwise) = if answer.is_success() {
        match answer.json::<Counts>() {
            Ok(counts) => (counts.for_sale(location), counts.errors.unwrap_or_default(), unmentioned()),
            Err(error) => (BTreeMap::new(), vec![], error),
        }
    } else {
        (BTreeMap::new(), errors::problems(answer), answer.refusal())
    };
    let mut missing = Vec::new();
    for (place, change) in changes.into_iter().enumerate() {
        match told.get(change.0) {
            Some(counted) => drop(settled.insert(change.0, Ok(*counted))),
            None => missing.push((place, change)),
        }
    }
    let over = open.refused(missing, &problems, &otherwise);
    settled.extend(over.into_iter().map(|((variation, _), error)| (variation, Err(error))));
}

fn unmentioned() -> CallError {
    CallError::failed("Square's answer does not tell the count")
}
