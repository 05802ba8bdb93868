//! Reading back what is shown: items without models up to fifty a call, models by one call for each item.
//!
//! A look at a hint asks the same of Shopee; but there a shop's places are summed up, and here only the one place counts
//! whose stock is set.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};
use onhand_domain::values::{Currency, ExternalId, Money};
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{
        super::{
            outbound::{Api, CALLS_AT_ONCE, CallError, Handle, Shown},
            read::{whole, word},
        },
        look,
    },
    BATCH_MAX, Model,
    call::{Refusal, shows, understood},
    products::NOT_FOUND,
};

const ITEMS: &str = "/api/v2/product/get_item_base_info";
const MODELS: &str = "/api/v2/product/get_model_list";

/// What was found of each item: what its models show, 0 being an item without any.
type Found = BTreeMap<i64, Result<BTreeMap<i64, Shown>, CallError>>;

/// What is shown of each, in order.
pub(in super::super) async fn read(api: &Api, handles: &[Handle]) -> Vec<Result<Shown, CallError>> {
    let asked: Vec<Result<Model, CallError>> = handles.iter().map(Model::of).collect();
    let ids = |plain: bool| -> BTreeSet<i64> {
        let asked = asked.iter().flatten().filter(|model| (model.model == 0) == plain);
        asked.map(|model| model.item).collect()
    };
    let (plain, parted): (Vec<i64>, BTreeSet<i64>) = (ids(true).into_iter().collect(), ids(false));
    let items: Vec<_> = plain.chunks(BATCH_MAX).map(|ids| read_items(api, ids)).collect();
    let items: Vec<Found> = stream::iter(items).buffered(CALLS_AT_ONCE).collect().await;
    let items: Found = items.into_iter().flatten().collect();
    let models: Vec<_> = parted.into_iter().map(|item| read_models(api, item)).collect();
    let models: Vec<_> = stream::iter(models).buffered(CALLS_AT_ONCE).collect().await;
    let models: Found = models.into_iter().collect();
    let one = |model: Model| shown(if model.model == 0 { &items } else { &models }, model);
    asked.into_iter().map(|model| model.and_then(one)).collect()
}

fn shown(found: &Found, model: Model) -> Result<Shown, CallError> {
    match found.get(&model.item) {
        Some(Ok(models)) => models.get(&model.model).cloned().ok_or_else(|| gone(model)),
        Some(Err(error)) => Err(error.clone()),
        None => Err(gone(model)),
    }
}

fn gone(model: Model) -> CallError {
    match model.model {
        0 => CallError::never(format!("Shopee has no item {}", model.item)),
        id => CallError::never(format!("Shopee has no model {id} of item {}", model.item)),
    }
}

/// Items without models. Whether an unknown item only lacks in the answer is not documented; if it spoils the call, that is
/// made again in halves.
async fn read_items(api: &Api, ids: &[i64]) -> Found {
    let mut found = Found::new();
    let mut open = vec![ids];
    while let Some(ids) = open.pop() {
        match items_once(api, ids).await {
            Ok(items) => found.extend(items),
            Err(refusal) if ids.len() > 1 && refusal.may_be_about_one() => {
                let (first, second) = ids.split_at(ids.len() / 2);
                open.extend([second, first]);
            }
            Err(refusal) => {
                let error = read_in_vain(refusal);
                found.extend(ids.iter().map(|id| (*id, Err(error.clone()))));
            }
        }
    }
    found
}

/// What became of things whose call was refused: they are missing only if Shopee says so.
fn read_in_vain(refusal: Refusal) -> CallError {
    if refusal.name == NOT_FOUND { refusal.error } else { refusal.error.of_none() }
}

async fn items_once(api: &Api, ids: &[i64]) -> Result<Found, Refusal> {
    let list: Vec<String> = ids.iter().map(i64::to_string).collect();
    let call = shows(api, ITEMS, &format!("item_id_list={}", list.join(",")))?;
    let response = understood(api, &api.read(call).await?)?.whole()?;
    let items = listed(&response, "item_list")?;
    let one = |item: &Value| Some((whole(item.get("item_id")?)?, of_item(api, item)));
    Ok(items.iter().filter_map(one).collect())
}

fn of_item(api: &Api, item: &Value) -> Result<BTreeMap<i64, Shown>, CallError> {
    let status = item.get("item_status").and_then(Value::as_str).unwrap_or("NORMAL");
    if !matches!(status, "NORMAL" | "UNLIST") {
        return Err(CallError::never(format!("nobody can buy the item: it is {} there", word(status))));
    }
    if item.get("has_model").is_some_and(look::yes) {
        return Err(CallError::never("the item has models, each of which is a variant of its own"));
    }
    Ok(BTreeMap::from([(0, of_thing(api, item))]))
}

/// The models of one item.
async fn read_models(api: &Api, item: i64) -> (i64, Result<BTreeMap<i64, Shown>, CallError>) {
    (item, models_once(api, item).await.map_err(read_in_vain))
}

async fn models_once(api: &Api, item: i64) -> Result<BTreeMap<i64, Shown>, Refusal> {
    let call = shows(api, MODELS, &format!("item_id={item}"))?;
    let response = understood(api, &api.read(call).await?)?.whole()?;
    let models = listed(&response, "model")?;
    let one = |model: &Value| Some((whole(model.get("model_id")?)?, of_thing(api, model)));
    Ok(models.iter().filter_map(one).collect())
}

fn listed<'r>(response: &'r Value, name: &str) -> Result<&'r Vec<Value>, CallError> {
    let list = response.get(name).and_then(Value::as_array);
    list.ok_or_else(|| CallError::failed(format!("Shopee's answer has no {name}")))
}

/// An item without models and a model show the same.
fn of_thing(api: &Api, thing: &Value) -> Shown {
    let details = api.details();
    Shown {
        quantity: quantity(thing, details.platform_location.as_ref()),
        price: price(thing, details.currency),
    }
}

fn price(thing: &Value, currency: Currency) -> Option<Money> {
    look::price(thing.get("price_info"), currency)
}

/// What the seller has for sale at the location, or anywhere if it is not told. None where it is not said.
fn quantity(thing: &Value, location: Option<&ExternalId>) -> Option<i64> {
    let stock = look::Stock::deserialize(thing.get("stock_info_v2")?).ok()?;
    stock.available(location).ok().flatten()
}
