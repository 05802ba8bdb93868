//! Variations as Square's catalogue holds them, and the price each one shows at a location.
//!
//! An object is kept just as it came, because Square replaces the whole of what is sent back.

use std::collections::BTreeMap;

use axum::http::Method;
use onhand_domain::values::{Currency, Money};
use serde::Deserialize;
use serde_json::{Map, Value, json};

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
/// `POST /v2/catalog/batch-retrieve`; what is unknown there is missing from the answer. What a refusal means that says
/// nothing about an id, `refused` says.
pub(super) async fn variations(
    api: &Api,
    ids: Vec<&str>,
    refused: fn(CallError) -> CallError,
) -> BTreeMap<String, Result<Value, CallError>> {
    let mut known = BTreeMap::new();
    let mut open = Open::new(ids);
    while let Some(ids) = open.next() {
        match retrieve(api, &ids).await {
            Err(error) => known.extend(ids.into_iter().map(|id| (id.to_owned(), Err(error.clone())))),
            Ok(Retrieved::Refused(problems, otherwise)) => {
                let over = open.refused(ids.into_iter().enumerate().collect(), &problems, &otherwise);
                known.extend(over.into_iter().map(|(id, error)| (id.to_owned(), Err(refused(error)))));
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

/// The price a variation shows at a location: the location's own, where it has one, and else the one for all locations. None
/// in another currency, and where it is entered at each sale.
pub(super) fn price(object: &Value, location: Option<&str>, currency: Currency) -> Option<Money> {
    let data = &object["item_variation_data"];
    if is_entered_at_the_sale(data, location) {
        return None;
    }
    let own = own(data, location).and_then(|own| own.get("price_money")).filter(|money| money.is_object());
    let money = own.unwrap_or(&data["price_money"]);
    if money["currency"].as_str() != Some(currency.code()) {
        return None;
    }
    Money::new(read::whole(&money["amount"])?, currency).ok()
}

/// What a location has of its own, be it a price or anything else.
fn own<'d>(data: &'d Value, location: Option<&str>) -> Option<&'d Value> {
    let mut overrides = data["location_overrides"].as_array().into_iter().flatten();
    overrides.find(|own| location.is_some() && own["location_id"].as_str() == location)
}

fn is_entered_at_the_sale(data: &Value, location: Option<&str>) -> bool {
    let own = own(data, location).and_then(|own| own["pricing_type"].as_str());
    own.or(data["pricing_type"].as_str()) == Some("VARIABLE_PRICING")
}

/// The variation with another price and all else as it is; none if it shows that price already.
///
/// For a location this is a price of its own, made where it has none: several connections may sell from one catalogue at
/// different prices, and what one of them sets for all locations would undo what the others show. (The price for all
/// locations is `price_money`, the own ones are in `location_overrides`.)
/// [src: developer.squareup.com/reference/square/objects/ItemVariationLocationOverrides]
pub(super) fn repriced(
    mut object: Value,
    location: Option<&str>,
    asked: Money,
) -> Result<Option<Value>, CallError> {
    if !object["version"].is_i64() {
        return Err(CallError::failed("Square's catalogue shows a variation without its version"));
    }
    if is_entered_at_the_sale(&object["item_variation_data"], location) {
        return Err(CallError::never(
            "its price is entered at each sale; give it a fixed one in Square first",
        ));
    }
    if price(&object, location, asked.currency) == Some(asked) {
        return Ok(None);
    }
    let Some(data) = object.get_mut("item_variation_data").and_then(Value::as_object_mut) else {
        return Err(CallError::failed("Square's catalogue shows a variation without its data"));
    };
    let money = json!({ "amount": asked.minor, "currency": asked.currency.code() });
    match location {
        None => drop(data.insert("price_money".to_owned(), money)),
        Some(location) => reprice_at(data, location, money),
    }
    Ok(Some(object))
}

/// Gives a location a price of its own. What else it has of its own stays.
fn reprice_at(data: &mut Map<String, Value>, location: &str, money: Value) {
    let mut overrides = match data.remove("location_overrides") {
        Some(Value::Array(overrides)) => overrides,
        _ => vec![],
    };
    let known = overrides.iter_mut().find(|own| own["location_id"].as_str() == Some(location));
    if let Some(own) = known.and_then(Value::as_object_mut) {
        own.insert("pricing_type".to_owned(), json!("FIXED_PRICING"));
        own.insert("price_money".to_owned(), money);
    } else {
        overrides.push(json!({
            "location_id": location,
            "pricing_type": "FIXED_PRICING",
            "price_money": money,
        }));
    }
    data.insert("location_overrides".to_owned(), overrides.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd() -> Currency {
        Currency::new("USD").expect("a currency")
    }

    fn money(minor: i64) -> Money {
        Money::new(minor, usd()).expect("an amount")
    }

    #[test]
    fn a_location_has_a_price_of_its_own_and_the_others_keep_theirs() {
        let minor = |amount: i64| json!({ "amount": amount, "currency": "USD" });
        let own = |location: &str, amount: i64| json!({ "location_id": location, "pricing_type": "FIXED_PRICING", "price_money": minor(amount) });
        let object = |base: i64, own: Value| {
            json!({ "id": "V1", "version": 7, "custom": [1], "item_variation_data": {
                "sku": "RUN-41", "pricing_type": "FIXED_PRICING", "price_money": minor(base),
                "location_overrides": own,
            } })
        };
        let counted = json!({ "location_id": "L3", "track_inventory": true });
        let before = object(100, json!([own("L1", 200), own("L2", 300), counted]));
        for (location, shown) in [(Some("L1"), 200), (Some("L3"), 100), (Some("L4"), 100), (None, 100)] {
            assert_eq!(price(&before, location, usd()), Some(money(shown)), "{location:?}");
            assert_eq!(repriced(before.clone(), location, money(shown)), Ok(None), "{location:?}");
        }
        assert_eq!(price(&before, Some("L1"), Currency::new("EUR").expect("a currency")), None);
        let after = |location| repriced(before.clone(), location, money(500));
        let mut counted_too = own("L3", 500);
        counted_too["track_inventory"] = json!(true);
        for (location, expected) in [
            (Some("L1"), object(100, json!([own("L1", 500), own("L2", 300), counted]))),
            (Some("L3"), object(100, json!([own("L1", 200), own("L2", 300), counted_too]))),
            (Some("L4"), object(100, json!([own("L1", 200), own("L2", 300), counted, own("L4", 500)]))),
            (None, object(500, json!([own("L1", 200), own("L2", 300), counted]))),
        ] {
            assert_eq!(after(location), Ok(Some(expected)), "{location:?}");
        }
        let first = repriced(object(100, json!(null)), Some("L1"), money(500));
        assert_eq!(first, Ok(Some(object(100, json!([own("L1", 500)])))));
    }

    #[test]
    fn a_price_that_is_entered_at_the_sale_is_not_known_and_not_set() {
        let object = |all: &str, own: Value| {
            json!({ "id": "V1", "version": 7, "item_variation_data": {
                "pricing_type": all, "price_money": { "amount": 100, "currency": "USD" },
                "location_overrides": [{ "location_id": "L1", "pricing_type": own }],
            } })
        };
        for open in
            [object("VARIABLE_PRICING", json!(null)), object("FIXED_PRICING", json!("VARIABLE_PRICING"))]
        {
            assert_eq!(price(&open, Some("L1"), usd()), None);
            let refused = repriced(open, Some("L1"), money(5));
            assert!(matches!(refused, Err(CallError::Never { .. })), "{refused:?}");
        }
    }
}
