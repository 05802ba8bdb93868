//! Variations as Square's catalogue holds them, and the price each one shows at a location.
//!
//! An object is kept just as it came, because Square replaces the whole of what is sent back.

use std::collections::BTreeMap;

use axum::http::Method;
use onhand_domain::values::{Currency, Money};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::super::{
        outbound::{Api, CallError},
        read,
    },
    call,
    errors::{self, Problem},
    open::Open,
};

/// An answer that holds objects of the catalogue.
#[derive(Deserialize)]
pub(super) struct Objects {
    objects: Option<Vec<Value>>,
    /// What went wrong beside them.
    pub(super) errors: Option<Vec<Problem>>,
}

impl Objects {
    /// By id.
    pub(super) fn by_id(self) -> BTreeMap<String, Value> {
        let objects = self.objects.unwrap_or_default().into_iter();
        objects.filter_map(|object| Some((object["id"].as_str()?.to_owned(), object))).collect()
    }
}

/// What the catalogue holds under each of these ids, which are all different.
///
/// `POST /v2/catalog/batch-retrieve`; what is unknown there is missing from the answer.
pub(super) async fn variations(api: &Api, ids: Vec<&str>) -> BTreeMap<String, Result<Value, CallError>> {
    let mut known = BTreeMap::new();
    let mut open = Open::new(ids);
    while let Some(ids) = open.next() {
        match retrieve(api, &ids).await {
            Err(error) => known.extend(ids.into_iter().map(|id| (id.to_owned(), Err(error.clone())))),
            Ok(Retrieved::Refused(problems, otherwise)) => {
                let over = open.refused(ids.into_iter().enumerate().collect(), &problems, &otherwise);
                known.extend(over.into_iter().map(|(id, error)| (id.to_owned(), Err(error))));
            }
            Ok(Retrieved::Objects(mut objects)) => {
                known.extend(ids.into_iter().map(|id| (id.to_owned(), variation(id, objects.remove(id)))));
            }
        }
    }
    known
}

enum Retrieved {
    Objects(BTreeMap<String, Value>),
    Refused(Vec<Problem>, CallError),
}

async fn retrieve(api: &Api, ids: &[&str]) -> Result<Retrieved, CallError> {
    let body = json!({ "object_ids": ids });
    let call = call(api, Method::POST, "/v2/catalog/batch-retrieve", Some(&body))?;
    let answer = api.read(call).await?;
    if !answer.is_success() {
        return Ok(Retrieved::Refused(errors::problems(&answer), answer.refusal()));
    }
    let objects: Objects = answer.json()?;
    if let Some(problem) = objects.errors.iter().flatten().find(|problem| problem.is_about_all()) {
        return Err(problem.meaning());
    }
    Ok(Retrieved::Objects(objects.by_id()))
}

fn variation(id: &str, object: Option<Value>) -> Result<Value, CallError> {
    let object = object.filter(|object| object["is_deleted"] != true);
    let object = object.ok_or_else(|| CallError::never(format!("Square's catalogue has no {id}")))?;
    if object["item_variation_data"].is_object() {
        return Ok(object);
    }
    Err(CallError::never(format!("{id} is no variation in Square's catalogue")))
}

/// The price a variation shows at a location: the location's own, where it has one. None in another currency.
pub(super) fn price(object: &Value, location: Option<&str>, currency: Currency) -> Option<Money> {
    let data = &object["item_variation_data"];
    let overrides = data["location_overrides"].as_array().into_iter().flatten();
    let mut own = overrides.filter(|own| location.is_some() && own["location_id"].as_str() == location);
    let shown = own.find_map(|own| own.get("price_money").filter(|money| money.is_object()));
    let money = shown.unwrap_or(&data["price_money"]);
    if money["currency"].as_str() != Some(currency.code()) {
        return None;
    }
    Money::new(read::whole(&money["amount"])?, currency).ok()
}

/// The variation with another price and all else as it is; none if it shows that price already.
///
/// Where the location has a price of its own, that is what customers see: it is changed together with the price for all
/// locations, which is the one that looks at the catalogue take in.
pub(super) fn repriced(
    mut object: Value,
    location: Option<&str>,
    price: Money,
) -> Result<Option<Value>, CallError> {
    if !object["version"].is_i64() {
        return Err(CallError::failed("Square's catalogue shows a variation without its version"));
    }
    let Some(data) = object.get_mut("item_variation_data").and_then(Value::as_object_mut) else {
        return Err(CallError::failed("Square's catalogue shows a variation without its data"));
    };
    if data.get("pricing_type").and_then(Value::as_str) == Some("VARIABLE_PRICING") {
        return Err(CallError::never(
            "its price is entered at each sale; give it a fixed one in Square first",
        ));
    }
    let money = json!({ "amount": price.minor, "currency": price.currency.code() });
    let mut changed = data.insert("price_money".to_owned(), money.clone()).as_ref() != Some(&money);
    let overrides = data.get_mut("location_overrides").and_then(Value::as_array_mut);
    for own in overrides.into_iter().flatten() {
        let here = location.is_some() && own["location_id"].as_str() == location;
        if here && own["price_money"].is_object() && own["price_money"] != money {
            own["price_money"] = money.clone();
            changed = true;
        }
    }
    Ok(changed.then_some(object))
}
