//! What is shown: a look at each product, as the inbound side takes it after a hint.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use futures_util::{StreamExt, stream};
use onhand_domain::values::ExternalId;

use super::{
    super::{
        super::{
            fact::Fact,
            outbound::{Api, CALLS_AT_ONCE, CallError, Handle, Shown},
        },
        look,
    },
    call::{self, Refused},
    changes::OF_THE_PRODUCT,
    known,
};

/// What is shown of each, with one call for each product.
pub(in super::super) async fn read(api: &Api, handles: &[Handle]) -> Vec<Result<Shown, CallError>> {
    let products = handles.iter().filter(|handle| known(handle).is_ok()).map(|handle| &handle.product);
    let products: Vec<&ExternalId> = products.collect::<BTreeSet<_>>().into_iter().collect();
    let calls: Vec<_> = products.iter().map(|product| look_at(api, product, CallError::of_none)).collect();
    let seen: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
    let seen: BTreeMap<&ExternalId, _> = products.into_iter().zip(seen).collect();
    let warehouse = api.details().platform_location.as_ref();
    let of_it = |handle: &Handle| -> Result<Shown, CallError> {
        known(handle)?;
        match seen.get(&handle.product) {
            Some(Ok(facts)) => shown(facts, &handle.variant, warehouse),
            Some(Err(error)) => Err(error.clone()),
            None => Err(CallError::failed("the product was not looked at")),
        }
    };
    handles.iter().map(of_it).collect()
}

/// What a look at a product shows, whether or not its seller has switched it off. What a refusal means that says nothing about
/// the product, `refused` says.
pub(super) async fn look_at(
    api: &Api,
    product: &ExternalId,
    refused: fn(CallError) -> CallError,
) -> Result<Vec<Fact>, CallError> {
    let call = call::signed(api, Method::GET, &look::product(product), None)?;
    let answer = api.read(call).await?;
    call::told(&answer).map_err(|Refused { code, error }| match code {
        Some(code) if OF_THE_PRODUCT.contains(&code) => error,
        _ => refused(error),
    })?;
    look::shown(&answer.body, api.access().now, api.details())
        .map_err(|wrong| CallError::failed(wrong.to_string()))
}

fn shown(facts: &[Fact], sku: &ExternalId, warehouse: Option<&ExternalId>) -> Result<Shown, CallError> {
    let variants = facts.iter().filter_map(|fact| match fact {
        Fact::Product(product) => Some(&product.variants),
        _ => None,
    });
    let variant = variants.flatten().find(|variant| variant.external == *sku);
    let variant = variant.ok_or_else(|| CallError::never(format!("the shop has no SKU {sku} any more")))?;
    Ok(Shown { quantity: quantity(facts, sku, warehouse), price: variant.price })
}

/// Units in the connection's warehouse; where it names none, those in the only one there is. Of several nobody says which
/// one is meant, and their sum is not what was set.
fn quantity(facts: &[Fact], sku: &ExternalId, warehouse: Option<&ExternalId>) -> Option<i64> {
    let mut shelves = facts.iter().filter_map(|fact| match fact {
        Fact::StockObserved { inventory, platform_location, available, .. } if inventory == sku => {
            let place = platform_location.as_ref();
            (warehouse.is_none() || place.is_none() || place == warehouse).then_some(*available)
        }
        _ => None,
    });
    let first = shelves.next()?;
    if shelves.next().is_some() { None } else { first }
}
