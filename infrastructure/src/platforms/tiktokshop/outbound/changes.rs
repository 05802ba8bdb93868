//! Changes of SKUs: a call for each product, in which a SKU fails alone.
//!
//! The platform changes several SKUs of one product at once. Those it could not change it lists; some faults of a single
//! SKU, however, it holds against the whole call, and then the others are asked again without it.

use std::collections::BTreeMap;

use axum::http::Method;
use futures_util::{StreamExt, stream};
use onhand_domain::values::ExternalId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        super::{
            outbound::{Api, CALLS_AT_ONCE, CallError, Handle},
            read,
        },
        look,
    },
    call, known,
};

/// The most SKUs that go into one call. The platform publishes no figure; products rarely have more.
pub(super) const SKUS_MAX: usize = 100;

/// A SKU on its way: where it stands among those asked, and what is sent of it.
struct Item<'a> {
    place: usize,
    handle: &'a Handle,
    sku: Value,
}

/// What the platform has against SKUs of a call that went well otherwise.
#[derive(Deserialize, Default)]
struct Refusals {
    errors: Option<Vec<Refusal>>,
}

#[derive(Deserialize)]
struct Refusal {
    code: Option<Value>,
    message: Option<String>,
    detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    sku_id: Option<Value>,
    /// By warehouse, of which a SKU has one here.
    extra_errors: Option<Vec<Refusal>>,
}

impl Refusals {
    /// What stands against an item: what is said of it, or else what is said of none of those asked.
    fn against(&self, item: &Item<'_>, asked: &[Item<'_>]) -> Option<CallError> {
        let refusals = || self.errors.iter().flatten();
        let of_it = refusals().find(|refusal| refusal.is_of(item));
        let of_all = || refusals().find(|refusal| !asked.iter().any(|item| refusal.is_of(item)));
        of_it.or_else(of_all).map(Refusal::meaning)
    }
}

impl Refusal {
    fn is_of(&self, item: &Item<'_>) -> bool {
        let named = self.detail.as_ref().and_then(|detail| detail.sku_id.as_ref());
        let named = named.and_then(|sku| ExternalId::deserialize(sku).ok());
        named.is_some_and(|sku| sku == item.handle.variant)
    }

    fn meaning(&self) -> CallError {
        let of_the_warehouse = self.detail.as_ref().and_then(|detail| detail.extra_errors.as_ref()?.first());
        let told = of_the_warehouse.unwrap_or(self);
        match told.code.as_ref().and_then(read::whole) {
            Some(code) => call::meaning(code, told.message.as_deref().unwrap_or_default()),
            None => CallError::failed("TikTok Shop refuses the SKU and gives no reason"),
        }
    }
}

/// Has SKUs changed and answers what stood in the way of each, in order. `what` is the last part of the path.
pub(super) async fn make(
    api: &Api,
    what: &str,
    skus: Vec<(&Handle, Result<Value, CallError>)>,
) -> Vec<Option<CallError>> {
    let mut errors = vec![None; skus.len()];
    let mut products: BTreeMap<&ExternalId, Vec<Item<'_>>> = BTreeMap::new();
    for (place, (handle, sku)) in skus.into_iter().enumerate() {
        match known(handle).and(sku) {
            Ok(sku) => products.entry(&handle.product).or_default().push(Item { place, handle, sku }),
            Err(error) => errors[place] = Some(error),
        }
    }
    let parts = products.values().flat_map(|items| items.chunks(SKUS_MAX));
    let calls: Vec<_> = parts.map(|items| change(api, what, items)).collect();
    let told: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
    for (place, error) in told.into_iter().flatten() {
        errors[place] = error;
    }
    errors
}

/// Changes SKUs of one product. A call that is refused for good is made again in halves, until what is refused is a single
/// SKU: that costs a few calls and saves the others from being given up with it.
async fn change(api: &Api, what: &str, items: &[Item<'_>]) -> Vec<(usize, Option<CallError>)> {
    let mut told = Vec::with_capacity(items.len());
    let mut open = vec![items];
    while let Some(items) = open.pop() {
        match change_once(api, what, items).await {
            Err(CallError::Never { .. }) if items.len() > 1 => {
                let (first, second) = items.split_at(items.len() / 2);
                open.extend([second, first]);
            }
            Err(error) => told.extend(items.iter().map(|item| (item.place, Some(error.clone())))),
            Ok(refusals) => {
                told.extend(items.iter().map(|item| (item.place, refusals.against(item, items))));
            }
        }
    }
    told
}

async fn change_once(api: &Api, what: &str, items: &[Item<'_>]) -> Result<Refusals, CallError> {
    let Some(first) = items.first() else { return Ok(Refusals::default()) };
    let path = format!("{}/{what}", look::product(&first.handle.product));
    let skus: Vec<&Value> = items.iter().map(|item| &item.sku).collect();
    let call = call::signed(api, Method::POST, &path, Some(json!({ "skus": skus })))?;
    let data = call::data(&api.write(call).await?)?;
    // Where there is nothing to say there may be no data at all.
    let refusals: Option<Refusals> = serde_json::from_value(data)
        .map_err(|_| CallError::failed("the platform's answer to a change makes no sense"))?;
    Ok(refusals.unwrap_or_default())
}
