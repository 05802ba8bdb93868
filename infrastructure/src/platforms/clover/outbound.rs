//! Clover's side of what is pushed, read back and offered: one item a call to set, up to a hundred a call to read.
//!
//! An item of Clover's is one thing to sell, so that product, variant and stock have one id. Clover takes no keys for
//! repeated calls and no versions; values are set whole, and that may be repeated.

mod products;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use futures_util::{StreamExt, stream};
use onhand_domain::values::{Currency, Money};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

pub(super) use self::products::{describe, offer, take_off};
use super::{
    super::{
        adapter::Call,
        outbound::{
            Answer, Api, CALLS_AT_ONCE, CallError, Handle, Limit, Outcome, PriceAsk, QuantityAsk, Renewed,
            Shown,
        },
        read,
    },
    look::{self, Problem, bodies::Item},
};
use crate::secrets::Secret;

/// 16 calls a second with one token (docs.clover.com/docs/api-usage-rate-limits). Besides, five calls may be under way at
/// the same time, which is more than [`CALLS_AT_ONCE`].
pub(super) const LIMITS: &[Limit] = &[Limit { calls: 16, within: Duration::from_secs(1) }];

/// The most items that are asked for in one call: what Clover recommends as the most ids in a filter, and what a page
/// has (docs.clover.com/docs/using-filters-to-retrieve-multiple-results-from-an-endpoint).
const ITEMS_MAX: usize = 100;

/// The longest id that is taken for an item's; Clover's own have thirteen characters.
const ID_MAX: usize = 32;

/// What was found of items, by id.
type Found = Result<BTreeMap<String, Value>, CallError>;

/// Has quantities shown, one call an item.
///
/// Before, up to a hundred items are looked at in one call: stock is taken for hidden and deleted items too, and the answer
/// does not say so. What cannot be looked at is set all the same.
pub(super) async fn set_quantities(api: &Api, asks: &[QuantityAsk]) -> Vec<Outcome<i64>> {
    let mut outcomes = Vec::with_capacity(asks.len());
    for asks in asks.chunks(ITEMS_MAX) {
        let found = find(api, asks.iter().map(|ask| &ask.handle).collect()).await;
        let calls: Vec<_> = asks.iter().map(|ask| set_quantity(api, ask, &found)).collect();
        outcomes.extend(in_order(calls).await.into_iter().map(outcome));
    }
    outcomes
}

/// Has prices shown, one call an item.
pub(super) async fn set_prices(api: &Api, asks: &[PriceAsk]) -> Vec<Outcome<Money>> {
    let calls: Vec<_> = asks.iter().map(|ask| set_price(api, ask)).collect();
    in_order(calls).await.into_iter().map(outcome).collect()
}

/// What is shown of each item. Clover says nowhere with an item which currency its price is in; it is the merchant's, and
/// taken to be the connection's.
pub(super) async fn read(api: &Api, handles: &[Handle]) -> Vec<Result<Shown, CallError>> {
    let calls: Vec<_> = handles.chunks(ITEMS_MAX).map(|handles| read_some(api, handles)).collect();
    in_order(calls).await.into_iter().flatten().collect()
}

async fn in_order<F: Future>(calls: Vec<F>) -> Vec<F::Output> {
    stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await
}

fn outcome<T>(set: Result<T, CallError>) -> Outcome<T> {
    set.map_or_else(Outcome::Failed, Outcome::Shown)
}

/// The item that a handle leads to. Anything else in a path would lead elsewhere, and in a filter spoil it for all.
fn item(handle: &Handle) -> Result<&str, CallError> {
    let id = handle.variant.as_str();
    if id.len() > ID_MAX || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(CallError::never(format!("{id} is no id of an item at Clover")));
    }
    Ok(id)
}

async fn set_quantity(api: &Api, ask: &QuantityAsk, found: &Found) -> Result<i64, CallError> {
    let id = item(&ask.handle)?;
    match there(found, id) {
        Err(error) if !error.is_failure() => return Err(error),
        _ => {}
    }
    count(api, id, ask.quantity).await?;
    Ok(ask.quantity)
}

/// What is posted replaces the quantity; the answer tells the one that holds now
/// (docs.clover.com/docs/managing-items-item-groups).
async fn count(api: &Api, id: &str, quantity: i64) -> Result<(), CallError> {
    let stock: Value = post(api, &format!("item_stocks/{id}"), &json!({ "quantity": quantity })).await?;
    if stock["item"]["id"] != id || read::whole(&stock["quantity"]) != Some(quantity) {
        return Err(CallError::failed("Clover's answer does not show the quantity that was set"));
    }
    Ok(())
}

/// A post changes the fields it names and no others; the answer is the item as it is now.
async fn set_price(api: &Api, ask: &PriceAsk) -> Result<Money, CallError> {
    let id = item(&ask.handle)?;
    let currency = api.details().currency;
    if ask.price.currency != currency {
        let why = format!("{} is not in {currency}, as this account's prices are", ask.price);
        return Err(CallError::never(why));
    }
    let shown: Item = post(api, &format!("items/{id}"), &json!({ "price": ask.price.minor })).await?;
    if shown.id().as_str() != id {
        return Err(CallError::failed("Clover's answer shows another item"));
    }
    still_there(&shown)?;
    if shown.is_priced_at_the_till() {
        return Err(CallError::never("the item is priced at the till, so that no price of it is shown"));
    }
    if shown.price(currency) != Some(ask.price) {
        return Err(CallError::failed("Clover's answer does not show the price that was set"));
    }
    Ok(ask.price)
}

async fn read_some(api: &Api, handles: &[Handle]) -> Vec<Result<Shown, CallError>> {
    let found = find(api, handles.iter().collect()).await;
    let currency = api.details().currency;
    let one = |id: &str| shown(&there(&found, id)?, currency);
    handles.iter().map(|handle| item(handle).and_then(one)).collect()
}

/// The items that some handles lead to, as far as they lead to any.
async fn find(api: &Api, handles: Vec<&Handle>) -> Found {
    let ids: BTreeSet<&str> = handles.into_iter().filter_map(|handle| item(handle).ok()).collect();
    if ids.is_empty() { Ok(BTreeMap::new()) } else { list(api, &ids).await }
}

/// The item of an id, if somebody can buy it.
fn there(found: &Found, id: &str) -> Result<Item, CallError> {
    let items = found.as_ref().map_err(CallError::clone)?;
    let record = items.get(id).ok_or_else(|| CallError::never("Clover has no such item"))?;
    let item = Item::deserialize(record).map_err(|_| CallError::failed("Clover's item makes no sense"))?;
    still_there(&item)?;
    Ok(item)
}

fn still_there(item: &Item) -> Result<(), CallError> {
    if item.is_gone() {
        return Err(CallError::never("the item is hidden or deleted at Clover"));
    }
    Ok(())
}

/// Items by their ids, as they are listed.
#[derive(Deserialize)]
struct List {
    elements: Vec<Value>,
}

/// The items there are of these, by id. A list with others in it says nothing of those that are missing from it.
async fn list(api: &Api, ids: &BTreeSet<&str>) -> Found {
    let quoted: Vec<_> = ids.iter().map(|id| format!("'{id}'")).collect();
    let filter = read::escaped(&format!("id in ({})", quoted.join(",")));
    let below = format!("items?filter={filter}&expand=itemStock&limit={ITEMS_MAX}");
    let answer = api.read(call(api, Method::GET, &below, None)?).await?;
    if !answer.is_success() {
        return Err(refusal(&answer).of_none());
    }
    let List { elements } = answer.json()?;
    let mut items = BTreeMap::new();
    for element in elements {
        let id = element["id"].as_str().filter(|id| ids.contains(id)).map(str::to_owned);
        let id = id.ok_or_else(|| CallError::failed("Clover lists other items than were asked for"))?;
        items.insert(id, element);
    }
    Ok(items)
}

fn shown(item: &Item, currency: Currency) -> Result<Shown, CallError> {
    let quantity = item.available().map_err(|wrong| CallError::failed(wrong.to_string()))?;
    Ok(Shown { quantity, price: item.price(currency) })
}

async fn post<T: DeserializeOwned>(api: &Api, below: &str, body: &Value) -> Result<T, CallError> {
    let answer = api.write(call(api, Method::POST, below, Some(body.to_string()))?).await?;
    if !answer.is_success() {
        return Err(refusal(&answer));
    }
    answer.json()
}

fn call(api: &Api, method: Method, below: &str, body: Option<String>) -> Result<Call, CallError> {
    api.token()?;
    look::call(method, below, body, &api.access())
        .ok_or_else(|| CallError::person("the connection has no account; enter the merchant's id"))
}

/// What Clover has against a call, in its own words. Whoever answers otherwise is not Clover, or it is out of order; and
/// where there is nothing at all, the address is another's.
fn refusal(answer: &Answer) -> CallError {
    let problem = match answer.json::<Problem>() {
        Ok(problem) => problem,
        Err(_) if answer.status == StatusCode::NOT_FOUND => {
            return CallError::person(format!(
                "whoever answers {} is not Clover; make a new connection with the right endpoint",
                answer.status
            ));
        }
        Err(error) => return error,
    };
    let message = problem.message.as_deref().map(read::word).unwrap_or_default();
    let why = format!("Clover answers {}: {message}", answer.status);
    match answer.status {
        StatusCode::CONFLICT => CallError::failed(why),
        _ => CallError::never(why),
    }
}

/// A new pair of tokens.
#[derive(Deserialize)]
struct Pair {
    access_token: String,
    /// Seconds since 1970.
    access_token_expiration: Option<Value>,
    refresh_token: Option<String>,
}

/// Changes a refresh token for a new pair; it is good for that once (docs.clover.com/docs/refresh-access-tokens). Clover
/// wants the app's id with it, and not its secret.
pub(super) async fn renew(api: &Api, refresh_token: &Secret) -> Result<Renewed, CallError> {
    let app = api.details().app.as_deref();
    let app = app.ok_or_else(|| CallError::person("the connection has no app; enter the app's id"))?;
    let body = json!({ "client_id": app, "refresh_token": refresh_token.reveal() });
    let answer = api
        .exchange(Call {
            method: Method::POST,
            target: "/oauth/v2/refresh".to_owned(),
            headers: vec![],
            body: Some(body.to_string()),
        })
        .await?;
    if !answer.is_success() {
        let why = format!("Clover renews no access token ({}); connect the app anew", answer.status);
        return Err(CallError::person(why));
    }
    let pair: Pair = answer.json()?;
    let access_token = read::filled(Some(pair.access_token));
    let access_token = access_token.ok_or_else(|| CallError::failed("Clover's new access token is empty"))?;
    let ends = pair.access_token_expiration.as_ref().and_then(read::whole);
    let left = ends.and_then(|ends| u64::try_from(ends.saturating_sub(api.access().now.timestamp())).ok());
    Ok(Renewed {
        access_token: Secret::new(access_token),
        refresh_token: read::filled(pair.refresh_token).map(Secret::new),
        // By a clock that goes wrong it may have ended already, which says nothing.
        lasts: left.filter(|seconds| *seconds > 0).map(Duration::from_secs),
    })
}
