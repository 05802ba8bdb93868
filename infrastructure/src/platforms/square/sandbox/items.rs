//! Items: made with their variations, renamed, archived and put back.
//!
//! An item is replaced as a whole: a variation that is not sent is deleted.
//! [src: developer.squareup.com/forums/t/catalog-api-upsert-issue/1140] What is archived is there all the same.

use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Described, Good, Shop},
    catalog, invalid,
};

/// Variations of one item at most. [src: square/square-python-sdk `types/catalog_item_variation.py`]
const VARIATIONS_MAX: usize = 250;

/// The longest names of an item and of a variation. (An item's is unsure.)
const NAME_MAX: usize = 512;
const VARIATION_NAME_MAX: usize = 255;

/// A variation that is to be made.
pub(super) struct Addition {
    /// What it is called until it has an id.
    client: String,
    sku: String,
    size: String,
    price: i64,
}

/// What an item is to be from now on.
pub(super) struct Change {
    /// What it is called until it has an id; none if it is there.
    client: Option<String>,
    /// Which one; empty if it is new.
    item: String,
    name: String,
    archived: bool,
    kept: Vec<catalog::Change>,
    /// Places of variations that were left out.
    dropped: Vec<usize>,
    additions: Vec<Addition>,
}

/// Whether the catalogue has it; what is archived is hidden from those who buy.
pub(super) fn is_there(good: &Good) -> bool {
    good.hidden || !good.removed
}

/// The places of an item's variations.
fn places(shop: &Shop, item: &str) -> Vec<usize> {
    let of_it = |(_, good): &(usize, &Good)| good.product == item && is_there(good);
    shop.goods.iter().enumerate().filter(of_it).map(|(place, _)| place).collect()
}

/// The id of an item that is there.
pub(super) fn of(shop: &Shop, id: &Value) -> Result<String, Value> {
    let id = id.as_str().unwrap_or_default();
    if places(shop, id).is_empty() {
        return Err(invalid("INVALID_VALUE", &format!("The catalogue has no item {id}."), None));
    }
    Ok(id.to_owned())
}

fn name(value: &Value, most: usize, field: &str) -> Result<String, Value> {
    let text = value.as_str().map(str::trim).unwrap_or_default();
    if text.is_empty() {
        return Err(invalid("VALUE_EMPTY", "It takes a name.", Some(field.to_owned())));
    }
    if text.chars().count() > most {
        return Err(invalid("VALUE_TOO_LONG", "The name is too long.", Some(field.to_owned())));
    }
    Ok(text.to_owned())
}

/// A variation of an item, whether the item is there or new.
pub(super) fn addition(shop: &Shop, object: &Value) -> Result<Addition, Value> {
    let data = &object["item_variation_data"];
    if object["type"] != "ITEM_VARIATION" || data["pricing_type"] != "FIXED_PRICING" {
        return Err(invalid("INVALID_VALUE", "Only variations of a fixed price are made here.", None));
    }
    let price = catalog::amount(shop, &data["price_money"])?;
    let size = name(&data["name"], VARIATION_NAME_MAX, "item_variation_data.name")?;
    if shop.refuses() {
        return Err(invalid("CONFLICT", "Another change is being made to the catalogue.", None));
    }
    Ok(Addition {
        client: object["id"].as_str().unwrap_or_default().to_owned(),
        sku: data["sku"].as_str().unwrap_or_default().to_owned(),
        size,
        price,
    })
}

/// What was sent of an item.
pub(super) fn read(shop: &Shop, object: &Value) -> Result<Change, Value> {
    let (id, data) = (object["id"].as_str().unwrap_or_default(), &object["item_data"]);
    let name = name(&data["name"], NAME_MAX, "item_data.name")?;
    let variations = data["variations"].as_array().map(Vec::as_slice).unwrap_or_default();
    if variations.is_empty() || variations.len() > VARIATIONS_MAX {
        let detail = "An item has 1 to 250 variations.";
        return Err(invalid("INVALID_VALUE", detail, Some("item_data.variations".to_owned())));
    }
    let client = id.starts_with('#').then(|| id.to_owned());
    let item = if client.is_some() { String::new() } else { of(shop, &object["id"])? };
    let places = places(shop, &item);
    let version = places.iter().map(|place| catalog::version(shop, &shop.goods[*place])).max();
    if client.is_none() && object["version"].as_i64() != version {
        let detail = "It has changed since this version.";
        return Err(invalid("VERSION_MISMATCH", detail, Some("version".to_owned())));
    }
    let (mut kept, mut additions, mut dropped) = (Vec::new(), Vec::new(), places);
    for variation in variations {
        let own = variation["id"].as_str().unwrap_or_default();
        if variation["item_variation_data"]["item_id"] != id {
            let field = Some("item_variation_data.item_id".to_owned());
            return Err(invalid("INVALID_VALUE", "It names another item than it is in.", field));
        }
        if own.starts_with('#') {
            additions.push(addition(shop, variation)?);
        } else {
            kept.push(catalog::change(shop, variation)?);
            dropped.retain(|place| shop.goods[*place].variant != own);
        }
    }
    let archived = data["is_archived"] == true;
    Ok(Change { client, item, name, archived, kept, dropped, additions })
}

/// Makes a variation of an item that is there. Gives it, as the catalogue holds it.
pub(super) fn add(shop: &mut Shop, item: &str, addition: &Addition, mappings: &mut Vec<Value>) -> Value {
    let known = places(shop, item).first().map(|place| described(&shop.goods[*place]));
    let made = make(shop, item, &known.unwrap_or_default(), std::slice::from_ref(addition), mappings);
    made.first().map(|place| catalog::variation(shop, &shop.goods[*place])).unwrap_or_default()
}

/// Gives the places of what was made.
fn make(
    shop: &mut Shop,
    item: &str,
    described: &Described,
    additions: &[Addition],
    mappings: &mut Vec<Value>,
) -> Vec<usize> {
    let variants: Vec<_> = additions.iter().map(|it| (it.sku.clone(), it.size.clone(), it.price)).collect();
    let places = shop.make(item, described, &variants);
    for (place, addition) in places.iter().zip(additions) {
        mappings.push(mapping(&addition.client, &shop.goods[*place].variant));
    }
    places
}

fn mapping(client: &str, id: &str) -> Value {
    json!({ "client_object_id": client, "object_id": id })
}

fn described(good: &Good) -> Described {
    let Good { title, vendor, category, tags, .. } = good.clone();
    Described { title, vendor, category, tags }
}

/// Gives the item, as the catalogue holds it then.
pub(super) fn apply(shop: &mut Shop, change: Change, mappings: &mut Vec<Value>) -> Value {
    let Change { client, item, name, archived, kept, dropped, additions } = change;
    let item = if client.is_some() { shop.number() } else { item };
    mappings.extend(client.map(|client| mapping(&client, &item)));
    if !archived {
        shop.put_back(&item);
    }
    for place in dropped {
        (shop.goods[place].removed, shop.goods[place].hidden) = (true, false);
    }
    for change in kept {
        catalog::apply(shop, change);
    }
    let there = places(shop, &item);
    let known = there.first().map(|place| described(&shop.goods[*place])).unwrap_or_default();
    let described = Described { title: name, ..known };
    shop.describe(&there, &described);
    make(shop, &item, &described, &additions, mappings);
    if archived {
        let now = shop.now();
        for place in shop.product(&item) {
            shop.goods[place].changed_at = now;
        }
        shop.hide(&item);
    }
    let goods: Vec<&Good> = places(shop, &item).into_iter().map(|place| &shop.goods[place]).collect();
    catalog::item(shop, &goods)
}
