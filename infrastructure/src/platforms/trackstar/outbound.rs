//! Trackstar's API: what a cart shows is set, what a warehouse holds is moved by the difference, what a warehouse lacks
//! is made there, prices stay as they are.
//!
//! A warehouse takes no figures, only how many more or fewer. So that a call that is sent again does not move the
//! stock again, its key is made from the record that it starts from; see [`move_to`]. What is answered to a key that is
//! known already says nothing about now, so then the record is looked at.

mod products;
mod records;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::identity,
    time::Duration,
};

use axum::http::{Method, StatusCode};
use futures_util::{StreamExt, stream};
use onhand_domain::values::{ExternalId, Money};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        adapter::Call,
        outbound::{
            Answer, Api, CALLS_AT_ONCE, CallError, Handle, Limit, Outcome, PriceAsk, QuantityAsk, Shown,
        },
        read,
    },
    look,
};
pub(super) use products::offer;
use records::{One, Page, Record, Sort, Thing, Written};

/// Ten reads in a second for one access token; fifty writes would be let in, but a write is seldom without a read.
/// Source: the vendor's page on rate limits.
pub(super) const LIMITS: [Limit; 1] = [Limit { calls: 10, within: Duration::from_secs(1) }];

/// The most ids that a list is filtered by; more are refused. Source: the vendor's page on filtering.
pub(super) const IDS_MAX: usize = 100;

/// How long to wait for the first of two calls with one key, which is still under way.
const RUNNING: Duration = Duration::from_secs(2);

/// How often a write is sent for one ask: a second time where the first has turned out to be known already.
const WRITES_MAX: usize = 2;

/// The namespace of keys that stand for a move from one state of a record.
const MOVES: Uuid = Uuid::from_u128(0x5a1f_0d6e_93c4_4b27_8e05_7c21_b9d8_3f46);

type Listed<'h> = BTreeMap<Thing<'h>, Result<Record, CallError>>;

/// Has quantities shown, one in a call. Trackstar has a call for many of a cart's, but does not say what it answers
/// when some of them fail.
pub(super) async fn set_quantities(api: &Api, asks: &[QuantityAsk], key: Uuid) -> Vec<Outcome<i64>> {
    let each: Vec<_> = asks.iter().map(|ask| set_quantity(api, ask, key)).collect();
    stream::iter(each).buffered(CALLS_AT_ONCE).collect().await
}

/// Refuses all prices: what Trackstar changes of a cart's product is its stock alone.
pub(super) fn set_prices(asks: &[PriceAsk]) -> Vec<Outcome<Money>> {
    let why = "Trackstar has no call that sets prices; change them in the shop behind it";
    asks.iter().map(|_| Outcome::Failed(CallError::never(why))).collect()
}

/// What is shown of each: of a cart's variant quantity and price, of a warehouse's item the quantity, of what is
/// made of several items the price.
pub(super) async fn shown(api: &Api, handles: &[Handle]) -> Vec<Result<Shown, CallError>> {
    let things: Vec<_> = handles.iter().map(Thing::of).collect();
    let listed = listed(api, &things).await;
    let each: Vec<_> = things.into_iter().map(|thing| one_shown(api, thing, &listed)).collect();
    stream::iter(each).buffered(CALLS_AT_ONCE).collect().await
}

async fn set_quantity(api: &Api, ask: &QuantityAsk, key: Uuid) -> Outcome<i64> {
    if ask.quantity < 0 {
        return Outcome::Failed(CallError::never("less than nothing cannot be shown"));
    }
    let done = match Thing::of(&ask.handle) {
        Ok(thing) => match thing.sort {
            Sort::Variant => set_exactly(api, thing, ask.quantity, key).await,
            Sort::Item => move_to(api, thing, ask).await,
            Sort::Composite => Err(CallError::never(
                "the product is made of several items, or lies under several, and has no stock of its own",
            )),
        },
        Err(error) => Err(error),
    };
    done.unwrap_or_else(Outcome::Failed)
}

/// Sets what a cart shows of a variant. `exact` is in the vendor's guide to cart orders; the reference names only
/// the other two.
///
/// A key is known already where the process that used it first has died. The figure may have changed since, so it is
/// looked at, and set once more where it is another one.
async fn set_exactly(
    api: &Api,
    thing: Thing<'_>,
    quantity: i64,
    key: Uuid,
) -> Result<Outcome<i64>, CallError> {
    let target = format!("{}/adjust-inventory", thing.target());
    let body = adjustment(api, "exact", quantity.unsigned_abs());
    let mut shown = None;
    for number in 0..WRITES_MAX {
        let key = Uuid::new_v5(&key, format!("{target}\n{body}\n{number}").as_bytes());
        let answer = write(api, target.clone(), body.clone(), key).await?;
        let replayed = is_replayed(&answer);
        shown = if replayed { None } else { after(api, thing, &answer, quantity)? };
        if shown.is_none() {
            shown = look_at(api, thing, identity).await?.figure(thing.sort, place(api))?;
        }
        if !replayed || shown == Some(quantity) {
            break;
        }
    }
    match shown {
        Some(shown) if shown == quantity => Ok(Outcome::Shown(shown)),
        Some(observed) => Ok(Outcome::Stale { observed }),
        None => Err(CallError::failed("the answer does not say what the cart shows now")),
    }
}

/// Moves what a warehouse can fulfil to what is asked.
///
/// This is the one place where a difference is sent instead of a whole figure, because a warehouse takes nothing
/// else. It is safe by its key, which is made from the difference, the figure that it starts from and the time of
/// that record, and not from the attempt: a second attempt that still finds the same record, while the first is
/// under way or its answer was lost, comes with the same key and is not applied again. Once the first is applied
/// the record is another one, and the difference is none.
///
/// Where the key is known the record may be behind what was applied under it, and to send a difference from there would
/// move the stock twice. Another difference is only sent from a record that is certainly newer; for any other the
/// next attempt is left to find out.
async fn move_to(api: &Api, thing: Thing<'_>, ask: &QuantityAsk) -> Result<Outcome<i64>, CallError> {
    let mut record = look_at(api, thing, identity).await?;
    let mut from = counted(api, &record)?;
    if from != ask.quantity && ask.believed.is_some_and(|believed| believed != from) {
        return Ok(Outcome::Stale { observed: from });
    }
    for _ in 0..WRITES_MAX {
        if from == ask.quantity {
            break;
        }
        let answer = move_from(api, thing, &record, (from, ask.quantity)).await?;
        let replayed = is_replayed(&answer);
        let told = if replayed { None } else { after(api, thing, &answer, ask.quantity)? };
        if let Some(now) = told {
            return moved(now, from, ask.quantity);
        }
        let seen = look_at(api, thing, identity).await?;
        let now = counted(api, &seen)?;
        if now != ask.quantity && !seen.is_newer_than(&record) {
            return Err(CallError::failed("the record is behind"));
        }
        if !replayed {
            return moved(now, from, ask.quantity);
        }
        (record, from) = (seen, now);
    }
    Ok(if from == ask.quantity { Outcome::Shown(from) } else { Outcome::Stale { observed: from } })
}

/// Sends the difference between what a record says and what is wanted, under the key that stands for it.
async fn move_from(
    api: &Api,
    thing: Thing<'_>,
    record: &Record,
    (from, wanted): (i64, i64),
) -> Result<Answer, CallError> {
    let target = format!("{}/adjust", thing.target());
    let kind = if wanted > from { "increase" } else { "decrease" };
    let body = adjustment(api, kind, wanted.abs_diff(from));
    let words = format!("{target}\n{body}\n{from}\n{}", record.version().unwrap_or_default());
    write(api, target, body, Uuid::new_v5(&MOVES, words.as_bytes())).await
}

/// Whether an answer was given before, to the call that came first with its key.
fn is_replayed(answer: &Answer) -> bool {
    answer.headers.contains_key("idempotent-replayed")
}

/// What has become of a figure that was to be moved.
fn moved(now: i64, from: i64, wanted: i64) -> Result<Outcome<i64>, CallError> {
    if now == wanted {
        return Ok(Outcome::Shown(now));
    }
    // Of the vendor's pages one writes what is taken away with a minus and the others do not. Who reads it the
    // other way would add again with each attempt.
    if wanted < from && now > from && now.abs_diff(from) == from.abs_diff(wanted) {
        return Err(CallError::person(format!(
            "the warehouse had {from}, {wanted} were asked for, and it added what it should have taken away; \
             correct it there, and do not push to it"
        )));
    }
    Ok(Outcome::Stale { observed: now })
}

/// What the answer to a write says is there now. That it speaks of the thing is what shows that the write was
/// applied.
fn after(api: &Api, thing: Thing<'_>, answer: &Answer, wanted: i64) -> Result<Option<i64>, CallError> {
    let written: Written = answer.json()?;
    if written.data.id != *thing.id {
        return Err(CallError::failed("the answer is about something else"));
    }
    let now = written.data.figure(thing.sort, place(api))?;
    match written.unused() {
        Some(field) if now != Some(wanted) => Err(CallError::person(format!(
            "the system behind Trackstar makes no use of {field}; look after the connection's platform location"
        ))),
        _ => Ok(now),
    }
}

/// What a warehouse has of an item, as the start of a move.
fn counted(api: &Api, record: &Record) -> Result<i64, CallError> {
    if place(api).is_none() && record.places() > 1 {
        return Err(CallError::person("the item lies in several warehouses; enter one as platform location"));
    }
    let figure = record.figure(Sort::Item, place(api))?;
    figure.ok_or_else(|| CallError::never("the item is not counted at the connection's platform location"))
}

/// The body of a write. What is null or empty is refused, so what is not known is left out.
fn adjustment(api: &Api, kind: &str, units: u64) -> String {
    let mut body = json!({ "quantity": units, "adjustment_type": kind });
    if let Some(place) = place(api) {
        body["warehouse_id"] = json!(place.as_str());
    }
    body.to_string()
}

async fn write(api: &Api, target: String, body: String, key: Uuid) -> Result<Answer, CallError> {
    send(api, Method::PUT, target, body, key).await
}

/// A write, applied once for its key.
async fn send(
    api: &Api,
    method: Method,
    target: String,
    body: String,
    key: Uuid,
) -> Result<Answer, CallError> {
    let mut call = call(api, method, target)?;
    call.headers.push(("idempotency-key", key.to_string()));
    let answer = api.write(Call { body: Some(body), ..call }).await?;
    if answer.is_success() { Ok(answer) } else { Err(refusal(&answer)) }
}

/// What a refusal means that says nothing about the thing, `refused` says.
async fn look_at(
    api: &Api,
    thing: Thing<'_>,
    refused: fn(CallError) -> CallError,
) -> Result<Record, CallError> {
    let answer = api.read(call(api, Method::GET, thing.target())?).await?;
    if !answer.is_success() {
        let error = refusal(&answer);
        return Err(if answer.status == StatusCode::NOT_FOUND { error } else { refused(error) });
    }
    let one: One = answer.json()?;
    if one.data.id != *thing.id {
        return Err(CallError::failed("the answer is about something else"));
    }
    Ok(one.data)
}

/// The records of things of which there are several of a sort. What a list lacks is missing here, and is not taken
/// to be gone.
async fn listed<'h>(api: &Api, things: &[Result<Thing<'h>, CallError>]) -> Listed<'h> {
    let mut listed = Listed::new();
    for sort in Sort::ALL {
        let wanted: BTreeSet<Thing<'h>> =
            things.iter().flatten().filter(|thing| thing.sort == sort).copied().collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        for wanted in wanted.chunks(IDS_MAX) {
            if wanted.len() == 1 {
                continue;
            }
            match list(api, sort, wanted).await {
                Ok(records) => listed.extend(found(wanted, records)),
                Err(error) => listed.extend(wanted.iter().map(|thing| (*thing, Err(error.clone())))),
            }
        }
    }
    listed
}

/// A list by ids; empty where it is refused, for each thing can be asked for alone.
async fn list(api: &Api, sort: Sort, wanted: &[Thing<'_>]) -> Result<Vec<Record>, CallError> {
    let ids: Vec<_> = wanted.iter().map(|thing| read::escaped(thing.id.as_str())).collect();
    let target = format!("{}?ids%5Bin%5D={}", sort.path(), ids.join(","));
    let answer = api.read(call(api, Method::GET, target)?).await?;
    if !answer.is_success() {
        return Ok(vec![]);
    }
    let page: Page = answer.json()?;
    // A record that makes no sense is asked for alone, and spoils no other.
    Ok(page.data.into_iter().filter_map(|record| serde_json::from_value(record).ok()).collect())
}

fn found<'h>(wanted: &[Thing<'h>], records: Vec<Record>) -> Vec<(Thing<'h>, Result<Record, CallError>)> {
    let named = |record: Record| {
        let thing = wanted.iter().find(|thing| *thing.id == record.id)?;
        Some((*thing, Ok(record)))
    };
    records.into_iter().filter_map(named).collect()
}

async fn one_shown(
    api: &Api,
    thing: Result<Thing<'_>, CallError>,
    listed: &Listed<'_>,
) -> Result<Shown, CallError> {
    let thing = thing?;
    match listed.get(&thing) {
        Some(Ok(record)) => record.shown(thing.sort, api.details()),
        Some(Err(error)) => Err(error.clone()),
        None => look_at(api, thing, CallError::of_none).await?.shown(thing.sort, api.details()),
    }
}

fn call(api: &Api, method: Method, target: String) -> Result<Call, CallError> {
    let headers = look::credentials(api.app_secret()?, api.token()?);
    Ok(Call { method, target, headers, body: None })
}

/// The warehouse whose stock is meant.
fn place(api: &Api) -> Option<&ExternalId> {
    api.details().platform_location.as_ref()
}

/// What Trackstar, or the system behind it, has against a call. Source: the vendor's pages on errors and on writing.
fn refusal(answer: &Answer) -> CallError {
    let said: Value = answer.json().unwrap_or_default();
    let theirs = said["origin"] == "integration";
    let who = if theirs { "the system behind Trackstar" } else { "Trackstar" };
    let status = answer.status;
    let why = match &said["error"] {
        Value::Null => format!("{who} answered {status}"),
        Value::String(error) => format!("{who} answered {status}: {error}"),
        error => format!("{who} answered {status}: {error}"),
    };
    match (status.as_u16(), theirs) {
        (409, false) => CallError::wait(RUNNING, why),
        // Wrong values are 422 there; 400 is a key that was used for something else.
        (400, false) | (409, true) => CallError::failed(why),
        (501, _) => CallError::person(format!("{why}; it cannot do this, so nothing is to be pushed to it")),
        _ => CallError::never(why),
    }
}
