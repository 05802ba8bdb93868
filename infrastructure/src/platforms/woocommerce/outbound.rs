//! What a `WooCommerce` shop shows: quantities and prices, set in batches and read back.
//!
//! The shop answers a batch with the listings as they have become, so a value is shown only where it stands there:
//! settings and plugins of a shop may leave another one.

mod batch;
mod listing;
pub(super) mod products;
mod record;
mod refusal;
mod terms;
#[cfg(test)]
mod tests;
pub(super) mod webhooks;

use axum::http::Method;
use onhand_domain::values::Money;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::batch::{Place, READS_MAX, UPDATES_MAX};
use super::{
    super::{
        adapter::Call,
        outbound::{Answer, Api, CallError, Handle, Outcome, PriceAsk, QuantityAsk, Shown},
        read as reading,
    },
    look,
};

/// Where version 3 of the API is, the one whose records the webhooks carry too (`wp-api-v3` of
/// `woocommerce-rest-api-docs`).
const API: &str = "/wp-json/wc/v3";

/// Has quantities shown. A listing that was not counted is counted from then on.
pub(super) async fn set_quantities(api: &Api, asks: &[QuantityAsk]) -> Vec<Outcome<i64>> {
    let places = asks.iter().map(|ask| Place::of(&ask.handle)).collect();
    let counted = |ask: &QuantityAsk| json!({ "manage_stock": true, "stock_quantity": ask.quantity });
    let fields: Vec<Value> = asks.iter().map(counted).collect();
    let listings = batch::each(places, UPDATES_MAX, |batch| batch.update(api, &fields)).await;
    let shown = asks.iter().zip(listings);
    shown.map(|(ask, listing)| outcome(listing.and_then(|it| it.counts(ask.quantity)))).collect()
}

/// Has regular prices shown. A sale price that is below stays what customers pay until the sale ends.
pub(super) async fn set_prices(api: &Api, asks: &[PriceAsk]) -> Vec<Outcome<Money>> {
    let places = asks.iter().map(|ask| priced(api, ask)).collect();
    let cost = |ask: &PriceAsk| json!({ "regular_price": ask.price.to_decimal() });
    let fields: Vec<Value> = asks.iter().map(cost).collect();
    let listings = batch::each(places, UPDATES_MAX, |batch| batch.update(api, &fields)).await;
    let shown = asks.iter().zip(listings);
    shown.map(|(ask, listing)| outcome(listing.and_then(|it| it.costs(ask.price)))).collect()
}

/// What is shown of each: what is counted by itself, and the regular price.
///
/// The shop writes no currency beside a price; all its products are in one, which is the connection's.
pub(super) async fn read(api: &Api, handles: &[Handle]) -> Vec<Result<Shown, CallError>> {
    let places = handles.iter().map(Place::of).collect();
    let listings = batch::each(places, READS_MAX, |batch| batch.read(api)).await;
    let currency = api.details().currency;
    listings.into_iter().map(|listing| listing.map(|it| it.shown(currency))).collect()
}

fn outcome<T>(shown: Result<T, CallError>) -> Outcome<T> {
    shown.map_or_else(Outcome::Failed, Outcome::Shown)
}

fn priced(api: &Api, ask: &PriceAsk) -> Result<Place, CallError> {
    let (given, shops) = (ask.price.currency, api.details().currency);
    if given != shops {
        return Err(CallError::never(format!("the price is in {given}, and the shop's are in {shops}")));
    }
    Place::of(&ask.handle)
}

/// A call to a path below the API.
fn call(api: &Api, method: Method, path: &str, body: Option<&Value>) -> Result<Call, CallError> {
    let authorization = look::authorization(Some(api.token()?)).ok_or_else(|| {
        CallError::person(
            "the connection's access token is no pair of keys; \
             enter the consumer key, a colon, and the consumer secret",
        )
    })?;
    Ok(Call {
        method,
        target: format!("{API}/{path}"),
        headers: vec![authorization],
        body: body.map(ToString::to_string),
    })
}

/// What the shop answered, or why it would not.
fn understood<T: DeserializeOwned>(answer: &Answer) -> Result<T, CallError> {
    if !answer.is_success() {
        return Err(refusal::of(answer));
    }
    // What plugins print by mistake stands before the JSON or instead of it.
    reading::json(&answer.body).map_err(|_| {
        CallError::failed(format!("the shop's answer ({}) is not what it should be", answer.status))
    })
}
