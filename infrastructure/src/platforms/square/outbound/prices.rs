//! Setting prices: variations are looked up, and sent back with another price and all else as it was.
//!
//! Square takes an object only with its current version, and works on one update of a seller's catalogue at a time; so there
//! is never more than one call here, and what has changed in between is tried again from a new look.

use std::{collections::BTreeMap, convert::identity};

use axum::http::Method;
use onhand_domain::values::Money;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::super::outbound::{Answer, Api, CallError, Outcome, PriceAsk},
    AT_ONCE, call,
    catalog::{self, Objects},
    checked, errors, firsts,
    open::Open,
};

/// A variation, and what it is to cost.
type Wanted<'a> = (&'a str, Money);

/// A variation, what it is to cost, and the whole of it with that price.
type Priced<'a> = (&'a str, Money, Value);

/// What each variation shows now, or why it is not what was asked for.
type Settled<'a> = BTreeMap<&'a str, Result<Money, CallError>>;

/// Has prices shown, those of the connection's location where it has one, and otherwise those for all locations. Of several
/// asks for one variation the first is made, and the others are to be asked again.
pub(in super::super) async fn set_prices(api: &Api, asks: &[PriceAsk], key: Uuid) -> Vec<Outcome<Money>> {
    let place = match place(api) {
        Ok(place) => place,
        Err(error) => return asks.iter().map(|_| Outcome::Failed(error.clone())).collect(),
    };
    let asked = firsts(asks.iter().map(|ask| wanted(api, ask)));
    let prices: Vec<Wanted<'_>> = asked.iter().flatten().copied().collect();
    let mut settled = Settled::new();
    for prices in prices.chunks(AT_ONCE) {
        settled.extend(settle(api, place, prices, key).await);
    }
    asked.into_iter().map(|wanted| outcome(wanted, &settled)).collect()
}

/// Where a variation is to have a price of its own; none where the connection is about no location.
fn place(api: &Api) -> Result<Option<&str>, CallError> {
    api.details().platform_location.as_ref().map(|_| super::location(api)).transpose()
}

fn wanted<'a>(api: &Api, ask: &'a PriceAsk) -> Result<Wanted<'a>, CallError> {
    let (own, asked) = (api.details().currency, ask.price.currency);
    if asked != own {
        return Err(CallError::never(format!("the price is in {asked}, and the connection sells in {own}")));
    }
    Ok((checked(&ask.handle.variant, "a variation")?, ask.price))
}

fn outcome(wanted: Result<Wanted<'_>, CallError>, settled: &Settled<'_>) -> Outcome<Money> {
    let (variation, asked) = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return Outcome::Failed(error),
    };
    match settled.get(variation) {
        Some(Ok(price)) if *price == asked => Outcome::Shown(*price),
        Some(Ok(price)) => Outcome::Stale { observed: *price },
        Some(Err(error)) => Outcome::Failed(error.clone()),
        None => Outcome::Failed(unmentioned()),
    }
}

async fn settle<'a>(api: &Api, place: Option<&str>, prices: &[Wanted<'a>], key: Uuid) -> Settled<'a> {
    let mut settled = Settled::new();
    let mut changes = Vec::new();
    let variations = prices.iter().map(|(variation, _)| *variation).collect();
    let mut known = catalog::variations(api, variations, identity).await;
    for (variation, price) in prices.iter().copied() {
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
            Ok(answer) => take(&answer, place, changes, &mut open, &mut settled),
        }
    }
    settled
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
    answer: &Answer,
    place: Option<&str>,
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
        let shown = catalog::price(object, place, change.1.currency);
        settled.insert(change.0, shown.ok_or_else(unmentioned));
    }
    let over = open.refused(missing, &problems, &otherwise);
    settled.extend(over.into_iter().map(|((variation, ..), error)| (variation, Err(error))));
}

fn unmentioned() -> CallError {
    CallError::failed("Square's answer does not tell the price")
}
