//! What `TikTok` Shop is told to show, and what it shows: quantities and prices of SKUs, product by product, and products as
//! a whole.
//!
//! All values are whole, so a repeated call does no harm; the platform takes no idempotency keys for these calls.

mod call;
mod changes;
mod products;
mod renewal;
mod shown;
#[cfg(test)]
mod tests;
mod webhooks;

use std::time::Duration;

use onhand_domain::values::{ExternalId, Money};
use serde_json::{Value, json};

use super::super::outbound::{Api, CallError, Handle, Limit, Outcome, PriceAsk, QuantityAsk};

pub(super) use self::{
    products::{describe, take_off},
    renewal::renew,
    shown::read,
    webhooks::{subscribe, subscriptions, unsubscribe},
};

/// What we were told to keep to; the platform itself publishes no more than that it throttles by app, shop and call.
pub(super) const LIMITS: [Limit; 2] = [
    Limit { calls: 100, within: Duration::from_mins(1) },
    Limit { calls: 50_000, within: Duration::from_hours(24) },
];

/// The most digits an id has; there are some that do not fit into 64 bits.
const ID_DIGITS_MAX: usize = 32;

/// The most units that can be written down. How many of them the platform takes it says itself.
const QUANTITY_MAX: i64 = i32::MAX as i64;

/// Has quantities shown in the connection's warehouse; where it names none, in the shop's default one.
pub(super) async fn set_quantities(api: &Api, asks: &[QuantityAsk]) -> Vec<Outcome<i64>> {
    let skus = asks.iter().map(|ask| (&ask.handle, quantity(api, ask))).collect();
    let errors = changes::make(api, "inventory/update", skus).await;
    asks.iter().zip(errors).map(|(ask, error)| outcome(ask.quantity, error)).collect()
}

/// Has prices shown.
pub(super) async fn set_prices(api: &Api, asks: &[PriceAsk]) -> Vec<Outcome<Money>> {
    let skus = asks.iter().map(|ask| (&ask.handle, price(api, ask))).collect();
    let errors = changes::make(api, "prices/update", skus).await;
    asks.iter().zip(errors).map(|(ask, error)| outcome(ask.price, error)).collect()
}

fn outcome<T>(asked: T, error: Option<CallError>) -> Outcome<T> {
    match error {
        None => Outcome::Shown(asked),
        Some(error) => Outcome::Failed(error),
    }
}

/// A SKU with its new quantity.
fn quantity(api: &Api, ask: &QuantityAsk) -> Result<Value, CallError> {
    if !(0..=QUANTITY_MAX).contains(&ask.quantity) {
        return Err(CallError::never(format!("{} is no quantity that can be shown there", ask.quantity)));
    }
    let mut stock = json!({ "quantity": ask.quantity });
    if let Some(warehouse) = &api.details().platform_location {
        if !is_id(warehouse) {
            return Err(CallError::person(
                "the connection's platform location is no warehouse id; make a new connection with one",
            ));
        }
        stock["warehouse_id"] = json!(warehouse.as_str());
    }
    Ok(json!({ "id": ask.handle.variant.as_str(), "inventory": [stock] }))
}

/// A SKU with its new price, whose amount is a text there.
fn price(api: &Api, ask: &PriceAsk) -> Result<Value, CallError> {
    let (asked, shop) = (ask.price.currency, api.details().currency);
    if asked != shop {
        return Err(CallError::never(format!(
            "the price is in {asked}, and the shop's prices are in {shop}"
        )));
    }
    let price = json!({ "amount": ask.price.to_decimal(), "currency": asked.code() });
    Ok(json!({ "id": ask.handle.variant.as_str(), "price": price }))
}

/// Refuses what the platform cannot have named: it would spoil a call for others, or lead it elsewhere.
fn known(handle: &Handle) -> Result<(), CallError> {
    if is_id(&handle.product) && is_id(&handle.variant) {
        return Ok(());
    }
    let (product, sku) = (&handle.product, &handle.variant);
    Err(CallError::never(format!("{product} and {sku} are no ids of a product and a SKU")))
}

fn is_id(id: &ExternalId) -> bool {
    let id = id.as_str();
    id.len() <= ID_DIGITS_MAX && id.bytes().all(|byte| byte.is_ascii_digit())
}
