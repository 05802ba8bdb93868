//! Setting stock and prices: calls for one item, with up to fifty of its models each.
//!
//! Shopee takes or refuses each model of a call by itself, except for mistakes in the call: an unknown model spoils it for
//! all. Then the call is made again in halves, until the mistake is alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::stream::{self, StreamExt};
use onhand_domain::values::{ExternalId, Money};
use serde::Deserialize;
use serde_json::{Number, Value, json};

use super::{
    super::{
        super::{
            outbound::{Api, CALLS_AT_ONCE, CallError, Outcome, PriceAsk, QuantityAsk},
            read,
        },
        look,
    },
    BATCH_MAX, Model,
    call::{Refusal, changes, reason, understood},
};

/// Where values of one sort are set, what the list of them is called there, and how an entry of an answer tells the value.
struct Place {
    path: &'static str,
    list: &'static str,
    told: for<'e> fn(&'e Value, Option<&ExternalId>) -> Option<&'e Value>,
}

const STOCK: Place = Place { path: "/api/v2/product/update_stock", list: "stock_list", told: told_stock };
const PRICES: Place = Place { path: "/api/v2/product/update_price", list: "price_list", told: told_price };

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

/// That a value is shown now, and which one, where Shopee tells it.
type Settled = Result<Option<Value>, CallError>;

/// What became of each model.
#[derive(Deserialize, Default)]
struct Lists {
    success_list: Option<Vec<Value>>,
    failure_list: Option<Vec<Value>>,
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
    asks.iter().zip(settled).map(|(ask, settled)| outcome(ask.quantity, settled, read::whole)).collect()
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
    let price = |told: &Value| read::money(told, currency);
    asks.iter().zip(settled).map(|(ask, settled)| outcome(ask.price, settled, price)).collect()
}

/// What became of an ask. What Shopee tells to be shown is believed; where it tells nothing, or nothing that can be read, it
/// is what was asked.
fn outcome<T: PartialEq>(asked: T, settled: Settled, value: impl Fn(&Value) -> Option<T>) -> Outcome<T> {
    match settled.map(|told| told.as_ref().and_then(value)) {
        Ok(Some(observed)) if observed != asked => Outcome::Stale { observed },
        Ok(_) => Outcome::Shown(asked),
        Err(error) => Outcome::Failed(error),
    }
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
                let location = api.details().platform_location.as_ref();
                let one = |entry: &Entry| (entry.ask, lists.settled(entry.model, place, location));
                settled.extend(entries.iter().map(one));
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
    fn settled(&self, model: i64, place: &Place, location: Option<&ExternalId>) -> Settled {
        if let Some(failed) = of(self.failure_list.as_ref(), model).next() {
            return Err(reason(failed["failed_reason"].as_str().unwrap_or_default()));
        }
        let mut entries = of(self.success_list.as_ref(), model).peekable();
        entries.peek().ok_or_else(untold)?;
        Ok(entries.find_map(|entry| (place.told)(entry, location)).cloned())
    }
}

/// What is said of a model. A call for an item without models is about nothing else, so whatever is said is of it.
fn of(list: Option<&Vec<Value>>, model: i64) -> impl Iterator<Item = &Value> {
    let of_it = move |entry: &&Value| {
        entry.is_object() && (model == 0 || entry.get("model_id").and_then(read::whole) == Some(model))
    };
    list.into_iter().flatten().filter(of_it)
}

/// The stock at a location that an entry tells: beside the location's id, or in a list of places.
fn told_stock<'e>(entry: &'e Value, location: Option<&ExternalId>) -> Option<&'e Value> {
    let places = entry.get("seller_stock").and_then(Value::as_array).into_iter().flatten();
    let mut here = places.chain([entry]).filter(|place| look::is_at(place.get("location_id"), location));
    here.find_map(|place| place.get("stock"))
}

fn told_price<'e>(entry: &'e Value, _location: Option<&ExternalId>) -> Option<&'e Value> {
    entry.get("original_price")
}

fn untold() -> CallError {
    CallError::failed("Shopee's answer does not say what became of it")
}

#[cfg(test)]
mod tests {
    use onhand_domain::values::Currency;

    use super::*;

    /// What is said of model 7, whose stock is kept at `QUAY`.
    fn said(place: &Place, lists: Value) -> Settled {
        let location = ExternalId::new("QUAY").expect("an id");
        serde_json::from_value::<Lists>(lists).expect("lists").settled(7, place, Some(&location))
    }

    #[test]
    fn a_value_that_is_told_to_be_another_is_not_called_shown() {
        let at = |location: &str, stock: Value| json!({ "location_id": location, "stock": stock });
        for (entry, told) in [
            (json!({}), None),
            (json!({ "stock": 9 }), None),
            (json!({ "stock": "8" }), Some(8)),
            (at("QUAY", json!(8)), Some(8)),
            (at("", json!(8)), Some(8)),
            (at("MOLE", json!(8)), None),
            (json!({ "stock": "some" }), None),
            (json!({ "seller_stock": [at("MOLE", json!(3)), at("QUAY", json!(7))] }), Some(7)),
        ] {
            let mut success = entry.clone();
            success["model_id"] = json!(7);
            let other = json!({ "model_id": 6, "stock": 1 });
            let settled = said(&STOCK, json!({ "success_list": [other, success] }));
            let expected = told.map_or(Outcome::Shown(9), |observed| Outcome::Stale { observed });
            assert_eq!(outcome(9, settled, read::whole), expected, "{entry}");
        }
        let usd = Currency::new("USD").expect("a currency");
        let money = |text: &str| Money::parse(text, usd).expect("an amount");
        let price = |told: Value| {
            let success = json!({ "success_list": [{ "model_id": "7", "original_price": told }] });
            outcome(money("19.90"), said(&PRICES, success), |told| read::money(told, usd))
        };
        assert_eq!(price(json!(19.9)), Outcome::Shown(money("19.90")));
        assert_eq!(price(json!(19)), Outcome::Stale { observed: money("19.00") });
        assert_eq!(price(json!(null)), Outcome::Shown(money("19.90")));
    }

    #[test]
    fn what_is_listed_as_failed_or_not_at_all_has_failed() {
        let failed =
            json!({ "failure_list": [{ "model_id": 7, "failed_reason": "no location_id like this" }] });
        assert!(matches!(said(&STOCK, failed), Err(CallError::Never { .. })), "and needs no person");
        for lists in [json!({}), json!({ "success_list": [7, { "model_id": 6, "stock": 9 }] })] {
            assert!(said(&STOCK, lists.clone()).is_err_and(|error| error.is_failure()), "{lists}");
        }
    }
}
