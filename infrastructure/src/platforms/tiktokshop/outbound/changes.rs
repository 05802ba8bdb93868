//! Changes of SKUs: a call for each product, in which a SKU fails alone.
//!
//! The platform changes several SKUs of one product at once. Those it could not change it lists; some faults of a single
//! SKU, however, it holds against the whole call, or lists without saying whose they are, and then the others are asked
//! again without it.

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
    call::{self, Refused},
    known,
};

/// The most SKUs that go into one call. The platform publishes no figure; products rarely have more.
pub(super) const SKUS_MAX: usize = 100;

/// Refusals that are about the product: it is not known, not the shop's, deleted, or in no state to be changed. They are the
/// answer for all of its SKUs. (Assumed: the codes are collected from what others tell of these two calls, and which of
/// them stands for a deleted product is not known.)
pub(super) const OF_THE_PRODUCT: [i64; 4] = [12_019_113, 12_052_031, 12_052_032, 12_052_048];

/// The refusal of a SKU that is not known, for which a whole call is refused. Two such SKUs may be in different halves of a
/// call, and say nothing of the others. (Assumed: as above.)
const NO_SUCH_SKU: i64 = 12_019_022;

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
        let of_it = self.errors.iter().flatten().find(|refusal| refusal.is_of(item));
        of_it.map(Refusal::meaning).or_else(|| self.of_none(asked)).map(|refused| refused.error)
    }

    /// What is said of none of those asked.
    fn of_none(&self, asked: &[Item<'_>]) -> Option<Refused> {
        let of_one = |refusal: &&Refusal| asked.iter().any(|item| refusal.is_of(item));
        self.errors.iter().flatten().find(|refusal| !of_one(refusal)).map(Refusal::meaning)
    }
}

impl Refusal {
    fn is_of(&self, item: &Item<'_>) -> bool {
        let named = self.detail.as_ref().and_then(|detail| detail.sku_id.as_ref());
        let named = named.and_then(|sku| ExternalId::deserialize(sku).ok());
        named.is_some_and(|sku| sku == item.handle.variant)
    }

    /// What it means. No person is called for: the call itself went well, and so do those for other SKUs.
    fn meaning(&self) -> Refused {
        let of_the_warehouse = self.detail.as_ref().and_then(|detail| detail.extra_errors.as_ref()?.first());
        let told = of_the_warehouse.unwrap_or(self);
        let Some(code) = told.code.as_ref().and_then(read::whole) else {
            return CallError::failed("TikTok Shop refuses the SKU and gives no reason").into();
        };
        match Refused::new(code, told.message.as_deref().unwrap_or_default()) {
            Refused { code, error: CallError::NeedsPerson { why } } => {
                Refused { code, error: CallError::never(why) }
            }
            refused => refused,
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

/// What became of a SKU, by its place among those asked.
type Told = (usize, Option<CallError>);

/// Changes SKUs of one product. A call that is refused for good is made again in halves, until what is refused is a single
/// SKU: that costs a few calls and saves the others from being given up with it. If both halves are refused for the same
/// reason, that is taken to be about all of them, unless it is by its nature about single SKUs.
async fn change(api: &Api, what: &str, items: &[Item<'_>]) -> Vec<Told> {
    let mut told = Vec::with_capacity(items.len());
    let mut open: Vec<&[Item<'_>]> = Vec::new();
    open.extend(take(items, change_once(api, what, items).await, &mut told));
    while let Some(items) = open.pop() {
        let (first, second) = items.split_at(items.len() / 2);
        let one = change_once(api, what, first).await;
        let other = change_once(api, what, second).await;
        match (one, other) {
            (Err(one), Err(other)) if one.is_for_all_as_well_as(&other) => {
                told.extend(all(items, &one.error));
            }
            (one, other) => {
                open.extend(take(first, one, &mut told));
                open.extend(take(second, other, &mut told));
            }
        }
    }
    told
}

/// Takes from an answer what became of the SKUs in a call. Gives them back where it may be the fault of one of them.
fn take<'i, 'a>(
    items: &'i [Item<'a>],
    answer: Result<Refusals, Refused>,
    told: &mut Vec<Told>,
) -> Option<&'i [Item<'a>]> {
    match answer {
        Err(refused) if items.len() > 1 && refused.may_be_of_one() => return Some(items),
        Err(refused) => told.extend(all(items, &refused.error)),
        Ok(refusals) => {
            told.extend(items.iter().map(|item| (item.place, refusals.against(item, items))));
        }
    }
    None
}

fn all(items: &[Item<'_>], error: &CallError) -> impl Iterator<Item = Told> {
    items.iter().map(|item| (item.place, Some(error.clone())))
}

impl Refused {
    /// The platform has understood, and will never do it.
    fn is_for_good(&self) -> bool {
        self.code.is_some() && matches!(self.error, CallError::Never { .. })
    }

    /// Whether this refusal of one half and that of the other are one of both.
    fn is_for_all_as_well_as(&self, other: &Self) -> bool {
        self.is_for_good() && self.code == other.code && self.code != Some(NO_SUCH_SKU)
    }

    /// Whether the others might be changed without the one it is about.
    fn may_be_of_one(&self) -> bool {
        self.is_for_good() && self.code.is_none_or(|code| !OF_THE_PRODUCT.contains(&code))
    }
}

/// One call. What is listed without saying of which of several SKUs it is, and will not go well another time, is a refusal
/// of the whole call.
async fn change_once(api: &Api, what: &str, items: &[Item<'_>]) -> Result<Refusals, Refused> {
    let Some(first) = items.first() else { return Ok(Refusals::default()) };
    let path = format!("{}/{what}", look::product(&first.handle.product));
    let skus: Vec<&Value> = items.iter().map(|item| &item.sku).collect();
    let call = call::signed(api, Method::POST, &path, Some(json!({ "skus": skus })))?;
    let data = call::told(&api.write(call).await?)?;
    // Where there is nothing to say there may be no data at all.
    let refusals: Option<Refusals> = serde_json::from_value(data)
        .map_err(|_| CallError::failed("the platform's answer to a change makes no sense"))?;
    let refusals = refusals.unwrap_or_default();
    match refusals.of_none(items) {
        Some(refused) if items.len() > 1 && refused.is_for_good() => Err(refused),
        _ => Ok(refusals),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_against_one_sku_calls_for_no_person() {
        let id = |text: &str| ExternalId::new(text).expect("an id");
        let handle = Handle { product: id("1"), variant: id("7"), inventory: None };
        let asked = [Item { place: 0, handle: &handle, sku: json!({ "id": "7" }) }];
        for detail in [json!({ "sku_id": "7" }), json!({ "sku_id": 7 }), json!({}), json!(null)] {
            let error = json!({ "code": 105_002, "message": "over", "detail": detail });
            let told = serde_json::from_value::<Refusals>(json!({ "errors": [error] })).expect("refusals");
            let against = told.against(&asked[0], &asked);
            assert!(matches!(against, Some(CallError::Never { .. })), "{detail}: {against:?}");
        }
    }
}
