//! Setting stock and prices: calls for one item, with up to fifty of its models each.
//!
//! Shopee takes or refuses each model of a call by itself, except for mistakes in the call: an unknown model spoils it for
//! all. Then the call is made again in halves, until the mistake is alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt};
use onhand_domain::values::Money;
use serde::Deserialize;
use serde_json::{Number, Value, json};

use super::{
    super::super::{
        outbound::{Api, CALLS_AT_ONCE, CallError, Outcome, PriceAsk, QuantityAsk},
        read,
    },
    BATCH_MAX, Model,
    call::{Refusal, changes, meaning, understood},
};

/// Where values of one sort are set, and what the list of them is called there.
struct Place {
    path: &'static str,
    list: &'static str,
}

const STOCK: Place = Place { path: "/api/v2/product/update_stock", list: "stock_list" };
const PRICES: Place = Place { path: "/api/v2/product/update_price", list: "price_list" };

/// Refusals that are about the item, so that without some of its models the call would be refused as well.
const OF_THE_ITEM: [&str; 4] =
    ["error_item_not_found", "error_item_not_belong_shop", "error_item_uneditable", "error_not_found"];

/// A value on its way: which ask it comes from, for which model, and how it stands in a list.
struct Entry {
    ask: usize,
    model: i64,
    value: Value,
}

/// What goes into calls: by item, and by whether it is for the item itself.
type Items = BTreeMap<(i64, bool), Vec<Entry>>;

/// Whether a value is shown now.
type Settled = Result<(), CallError>;

/// What became of each model.
#[derive(Deserialize, Default)]
struct Lists {
    success_list: Option<Vec<Listed>>,
    failure_list: Option<Vec<Listed>>,
}

#[derive(Deserialize)]
struct Listed {
    model_id: Option<Value>,
    failed_reason: Option<String>,
}

/// Has quantities shown: the stock that the seller sets, at the connection's location if it has one. A shop without
/// warehouses has none, and is asked without.
pub(in super::super) async fn set_quantities(api: &Api, asks: &[QuantityAsk]) -> Vec<Outcome<i64>> {
    let location = api.details().platform_location.as_ref();
    let value = |ask: &QuantityAsk| {
        let model = Model::of(&ask.handle)?;
        if ask.quantity < 0 {
            return Err(CallError::never("fewer than no units cannot be shown"));
        }
        let mut stock = json!({ "stock": ask.quantity });
        if let Some(location) = location {
            stock["location_id"] = json!(location.as_str());
        }
        Ok((model, json!({ "model_id": model.model, "seller_stock": [stock] })))
    };
    let settled = set(api, &STOCK, asks.iter().map(value).collect()).await;
    let outcome = |(ask, settled): (&QuantityAsk, Settled)| match settled {
        Ok(()) => Outcome::Shown(ask.quantity),
        Err(error) => Outcome::Failed(error),
    };
    asks.iter().zip(settled).map(outcome).collect()
}

/// Has prices shown: those outside of promotions. Some countries take no decimals; there Shopee refuses them.
pub(in super::super) async fn set_prices(api: &Api, asks: &[PriceAsk]) -> Vec<Outcome<Money>> {
    let currency = api.details().currency;
    let value = |ask: &PriceAsk| {
        let model = Model::of(&ask.handle)?;
        if ask.price.currency != currency {
            return Err(CallError::never(format!("prices are shown in {currency} here")));
        }
        let price: Number = ask
            .price
            .to_decimal()
            .parse()
            .map_err(|_| CallError::never(format!("{} cannot be written as a price", ask.price)))?;
        Ok((model, json!({ "model_id": model.model, "original_price": price })))
    };
    let settled = set(api, &PRICES, asks.iter().map(value).collect()).await;
    let outcome = |(ask, settled): (&PriceAsk, Settled)| match settled {
        Ok(()) => Outcome::Shown(ask.price),
        Err(error) => Outcome::Failed(error),
    };
    asks.iter().zip(settled).map(outcome).collect()
}

/// Sets values and says what became of each, in order.
async fn set(api: &Api, place: &Place, values: Vec<Result<(Model, Value), CallError>>) -> Vec<Settled> {
    let (items, mut outcomes) = by_item(values);
    let mut calls = Vec::new();
    for ((item, _), entries) in &items {
        calls.extend(entries.chunks(BATCH_MAX).map(|entries| set_models(api, place, *item, entries)));
    }
    let settled: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
    for (ask, outcome) in settled.into_iter().flatten() {
        outcomes[ask] = outcome;
    }
    outcomes
}

/// What goes into the calls for each item, and what is known without any. An item is asked for itself and for its models
/// in separate calls, for only one of the two can be right.
fn by_item(values: Vec<Result<(Model, Value), CallError>>) -> (Items, Vec<Settled>) {
    let mut items = Items::new();
    let mut known = BTreeSet::new();
    let mut outcomes = Vec::with_capacity(values.len());
    for (ask, value) in values.into_iter().enumerate() {
        outcomes.push(match value {
            Ok((model, value)) if known.insert(model) => {
                let entry = Entry { ask, model: model.model, value };
                items.entry((model.item, model.model == 0)).or_default().push(entry);
                Err(untold())
            }
            Ok(_) => Err(CallError::wait(Duration::ZERO, "held back, because the same is asked for twice")),
            Err(error) => Err(error),
        });
    }
    (items, outcomes)
}

async fn set_models(api: &Api, place: &Place, item: i64, entries: &[Entry]) -> Vec<(usize, Settled)> {
    let mut settled = Vec::with_capacity(entries.len());
    let mut open = vec![entries];
    while let Some(entries) = open.pop() {
        match set_once(api, place, item, entries).await {
            Ok(lists) => {
                let now = api.access().now;
                settled.extend(entries.iter().map(|entry| (entry.ask, lists.outcome(entry.model, now))));
            }
            Err(refusal) if entries.len() > 1 && is_of_models(&refusal) => {
                let (first, second) = entries.split_at(entries.len() / 2);
                open.extend([second, first]);
            }
            Err(refusal) => {
                settled.extend(entries.iter().map(|entry| (entry.ask, Err(refusal.error.clone()))));
            }
        }
    }
    settled
}

fn is_of_models(refusal: &Refusal) -> bool {
    refusal.may_be_about_one() && !OF_THE_ITEM.contains(&refusal.name.as_str())
}

async fn set_once(api: &Api, place: &Place, item: i64, entries: &[Entry]) -> Result<Lists, Refusal> {
    let values: Vec<&Value> = entries.iter().map(|entry| &entry.value).collect();
    let mut body = json!({ "item_id": item });
    body[place.list] = json!(values);
    let answer = api.write(changes(api, place.path, &body)?).await?;
    let said = understood(api, &answer)?;
    // Lists that make no sense say nothing, and what is said nothing of is tried again.
    let lists: Lists = serde_json::from_value(said.response).unwrap_or_default();
    match said.refusal {
        // When all models fail there is an error as well, and the lists say why each of them did.
        Some(refusal) if lists.failure_list.as_ref().is_none_or(Vec::is_empty) => Err(refusal),
        _ => Ok(lists),
    }
}

impl Lists {
    fn outcome(&self, model: i64, now: DateTime<Utc>) -> Settled {
        if let Some(failed) = find(self.failure_list.as_ref(), model) {
            return Err(meaning("failed_reason", failed.failed_reason.as_deref().unwrap_or_default(), now));
        }
        find(self.success_list.as_ref(), model).map(|_| ()).ok_or_else(untold)
    }
}

/// What is said of a model. A call for an item without models has one entry only, so whatever is said is of it.
fn find(list: Option<&Vec<Listed>>, model: i64) -> Option<&Listed> {
    let of_it =
        |listed: &&Listed| model == 0 || listed.model_id.as_ref().and_then(read::whole) == Some(model);
    list?.iter().find(of_it)
}

fn untold() -> CallError {
    CallError::failed("Shopee's answer does not say what became of it")
}
