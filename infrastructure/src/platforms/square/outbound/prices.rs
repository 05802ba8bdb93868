//! Setting prices: variations are looked up, and sent back with another price and all else as it was.
//!
//! Square takes an object only with its current version, and works on one update of a seller's catalogue at a time; so there
//! is never more than one call here, and what has changed in between is tried again from a new look.

use std::collections::BTreeMap;

use axum::http::Method;
use onhand_domain::values::{ExternalId, Money};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::super::outbound::{Answer, Api, CallError, Outcome, PriceAsk},
    AT_ONCE, call,
    catalog::{self, Objects},
    checked, errors,
    open::Open,
};

/// A variation, what it is to cost, and the whole of it with that price.
type Priced<'a> = (&'a str, Money, Value);

/// What each variation shows now, or why it is not what was asked for.
type Settled<'a> = BTreeMap<&'a str, Result<Money, CallError>>;

/// Has prices shown. Of two asks for one variation the first is made, and the second is to be asked again.
pub(in super::super) async fn set_prices(api: &Api, asks: &[PriceAsk], key: Uuid) -> Vec<Outcome<Money>> {
    let mut outcomes = Vec::with_capacity(asks.len());
    for asks in asks.chunks(AT_ONCE) {
        let mut prices: BTreeMap<&str, Money> = BTreeMap::new();
        for ask in asks {
            if let Ok(variation) = wanted(api, ask) {
                prices.entry(variation).or_insert(ask.price);
            }
        }
        let settled = settle(api, prices, key).await;
        outcomes.extend(asks.iter().map(|ask| outcome(api, ask, &settled)));
    }
    outcomes
}

fn wanted<'a>(api: &Api, ask: &'a PriceAsk) -> Result<&'a str, CallError> {
    let (own, asked) = (api.details().currency, ask.price.currency);
    if asked != own {
        return Err(CallError::never(format!("the price is in {asked}, and the connection sells in {own}")));
    }
    checked(&ask.handle.variant, "a variation")
}

fn outcome(api: &Api, ask: &PriceAsk, settled: &Settled<'_>) -> Outcome<Money> {
    let variation = match wanted(api, ask) {
        Ok(variation) => variation,
        Err(error) => return Outcome::Failed(error),
    };
    match settled.get(variation) {
        Some(Ok(price)) if *price == ask.price => Outcome::Shown(*price),
        Some(Ok(price)) => Outcome::Stale { observed: *price },
        Some(Err(error)) => Outcome::Failed(error.clone()),
        None => Outcome::Failed(unmentioned()),
    }
}

async fn settle<'a>(api: &Api, prices: BTreeMap<&'a str, Money>, key: Uuid) -> Settled<'a> {
    let mut settled = Settled::new();
    let mut changes = Vec::new();
    let place = place(api);
    let mut known = catalog::variations(api, prices.keys().copied().collect()).await;
    for (variation, price) in prices {
        let object = known.remove(variation).unwrap_or_else(|| Err(unmentioned()));
        match object.and_then(|object| catalog::repriced(object, place, price)) {
            Ok(Some(object)) => changes.push((variation, price, object)),
            Ok(None) => drop(settled.insert(variation, Ok(price))),
            Err(error) => drop(settled.insert(variation, Err(error))),
        }
    }
    let mut open = Open::new(changes);
    while let Some(changes) = open.next() {
        match send(api, &changes, key).await {
            Err(error) => {
                settled.extend(changes.into_iter().map(|(variation, ..)| (variation, Err(error.clone()))));
            }
            Ok(answer) => take(api, &answer, changes, &mut open, &mut settled),
        }
    }
    settled
}

/// Where a variation may have a price of its own.
fn place(api: &Api) -> Option<&str> {
    api.details().platform_location.as_ref().map(ExternalId::as_str)
}

/// `POST /v2/catalog/batch-upsert`. A batch is taken as a whole and fails alone, so each variation is one of its own.
/// [src: square/square-ruby-sdk doc/models/batch-upsert-catalog-objects-request.md]
async fn send(api: &Api, changes: &[Priced<'_>], key: Uuid) -> Result<Answer, CallError> {
    let batches: Value = changes.iter().map(|(_, _, object)| json!({ "objects": [object] })).collect();
    let key = Uuid::new_v5(&key, batches.to_string().as_bytes());
    let body = json!({ "idempotency_key": key, "batches": batches });
    api.write(call(api, Method::POST, "/v2/catalog/batch-upsert", Some(&body))?).await
}

/// Takes from an answer what is settled, and leaves the rest open.
fn take<'a>(
    api: &Api,
    answer: &Answer,
    changes: Vec<Priced<'a>>,
    open: &mut Open<Priced<'a>>,
    settled: &mut Settled<'a>,
) {
    let (objects, problems, otherwise) = if answer.is_success() {
        match answer.json::<Objects>() {
            Ok(mut told) => {
                let problems = told.errors.take().unwrap_or_default();
                (told.by_id(), problems, unmentioned())
            }
            Err(error) => (BTreeMap::new(), vec![], error),
        }
    } else {
        (BTreeMap::new(), errors::problems(answer), answer.refusal())
    };
    let mut missing = Vec::new();
    for (number, change) in changes.into_iter().enumerate() {
        let Some(object) = objects.get(change.0) else {
            missing.push((number, change));
            continue;
        };
        let shown = catalog::price(object, place(api), change.1.currency);
        settled.insert(change.0, shown.ok_or_else(unmentioned));
    }
    let over = open.refused(missing, &problems, &otherwise);
    settled.extend(over.into_iter().map(|((variation, ..), error)| (variation, Err(error))));
}

fn unmentioned() -> CallError {
    CallError::failed("Square's answer does not tell the price")
}
