//! The catalogue: products with their variations, searched by the time of their changes, looked up and replaced.
//!
//! A variation has a price for all locations, and a location may have one of its own instead. The shop keeps what customers
//! see at its one location; the price for all locations is kept beside it, once it is another one.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::super::sandbox::{Good, Remembered, Reply, Shop},
    errors, invalid, items, missing, page, refused, texts, time,
};

/// The most objects of a look-up, and of one batch. [src: facts.md 2.2]
const OBJECTS_MAX: usize = 1_000;

/// The most values of a query. [src: square/square-python-sdk `types/catalog_query_set.py`]
const VALUES_MAX: usize = 250;

/// What versions begin at: Square's are of this size.
const VERSIONS: i64 = 1_700_000_000_000;

/// `POST /v2/catalog/batch-retrieve`: what is not there is not spoken of.
pub(super) fn retrieve(shop: &Shop, body: &Value) -> Reply {
    let ids = texts(&body["object_ids"]);
    if ids.is_empty() || ids.len() > OBJECTS_MAX {
        let detail = "It takes 1 to 1000 ids.";
        return refused("INVALID_ARRAY_VALUE", detail, Some("object_ids".to_owned()));
    }
    let objects: Vec<Value> = ids.into_iter().filter_map(|id| object(shop, id)).collect();
    Reply::ok(if objects.is_empty() { json!({}) } else { json!({ "objects": objects }) })
}

/// `GET /v2/catalog/object/{id}`.
pub(super) fn one(shop: &Shop, id: &str) -> Reply {
    match object(shop, id) {
        Some(object) => Reply::ok(json!({ "object": object })),
        None => missing("The catalogue has no such object."),
    }
}

/// What is there of an id; what is archived is there.
fn object(shop: &Shop, id: &str) -> Option<Value> {
    let there = shop.goods.iter().filter(|good| items::is_there(good));
    if let Some(good) = there.clone().find(|good| good.variant == id) {
        return Some(variation(shop, good));
    }
    let goods: Vec<&Good> = there.filter(|good| good.product == id).collect();
    (!goods.is_empty()).then(|| item(shop, &goods))
}

/// `POST /v2/catalog/search`, for variations by their SKUs, in letters of any size. Archived ones are found.
fn variations(shop: &Shop, body: &Value) -> Reply {
    let query = &body["query"]["set_query"];
    let values: Vec<String> = texts(&query["attribute_values"]).into_iter().map(str::to_lowercase).collect();
    if query["attribute_name"] != "sku" || values.is_empty() || values.len() > VALUES_MAX {
        let detail = "Variations are looked for by 1 to 250 SKUs here.";
        return refused("INVALID_VALUE", detail, Some("query".to_owned()));
    }
    let there = shop.goods.iter().filter(|good| items::is_there(good));
    let asked = there.filter(|good| values.contains(&good.sku.to_lowercase()));
    found(shop, asked.map(|good| variation(shop, good)).collect(), body)
}

/// `POST /v2/catalog/search`. Since when a product is gone is not kept: it is shown each time such are asked for.
pub(super) fn search(shop: &Shop, body: &Value) -> Reply {
    if texts(&body["object_types"]) == ["ITEM_VARIATION"] && body["query"].is_object() {
        return variations(shop, body);
    }
    let begin = body["begin_time"].as_str().map(DateTime::parse_from_rfc3339);
    let Some(begin) = begin.map_or(Some(None), |begin| begin.ok().map(Some)) else {
        return refused("INVALID_TIME", "This is no time in RFC 3339.", Some("begin_time".to_owned()));
    };
    let kinds = texts(&body["object_types"]);
    if !kinds.is_empty() && !kinds.contains(&"ITEM") {
        return Reply::ok(json!({ "latest_time": time(shop.now()) }));
    }
    let mut products: BTreeMap<&str, Vec<&Good>> = BTreeMap::new();
    for good in &shop.goods {
        products.entry(&good.product).or_default().push(good);
    }
    let mut items = Vec::new();
    for goods in products.into_values() {
        let gone = !goods.iter().any(|good| items::is_there(good));
        let recent = goods.iter().any(|good| begin.is_none_or(|begin| good.changed_at > begin));
        let wanted = if gone { body["include_deleted_objects"] == true } else { recent };
        if wanted {
            items.push(item(shop, &goods));
        }
    }
    found(shop, items, body)
}

/// A page of what was found.
fn found(shop: &Shop, found: Vec<Value>, body: &Value) -> Reply {
    let most = body["limit"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(OBJECTS_MAX);
    let (objects, cursor) = page(found, body, most.clamp(1, OBJECTS_MAX));
    let mut answer = json!({ "latest_time": time(shop.now()) });
    if !objects.is_empty() {
        answer["objects"] = objects.into();
    }
    if let Some(cursor) = cursor {
        answer["cursor"] = cursor.into();
    }
    Reply::ok(answer)
}

/// `POST /v2/catalog/batch-upsert`: each batch is taken or refused for itself.
pub(super) fn upsert(shop: &mut Shop, body: &Value) -> Reply {
    let batches: Vec<&Vec<Value>> =
        body["batches"].as_array().into_iter().flatten().filter_map(|it| it["objects"].as_array()).collect();
    if batches.is_empty() || batches.iter().any(|objects| objects.is_empty() || objects.len() > OBJECTS_MAX) {
        let detail = "It takes batches of 1 to 1000 objects.";
        return refused("INVALID_ARRAY_VALUE", detail, Some("batches".to_owned()));
    }
    let (mut taken, mut mappings, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for objects in batches {
        let read = objects.iter().map(|object| read(shop, object));
        match read.collect::<Result<Vec<_>, Value>>() {
            Ok(upserts) => {
                taken.extend(upserts.into_iter().map(|upsert| upsert.apply(shop, &mut mappings)));
            }
            Err(error) => wrong.push(error),
        }
    }
    if taken.is_empty() {
        return errors(400, &wrong);
    }
    let mut answer = json!({ "objects": taken, "updated_at": time(shop.now()) });
    if !mappings.is_empty() {
        answer["id_mappings"] = mappings.into();
    }
    if !wrong.is_empty() {
        answer["errors"] = wrong.into();
    }
    Reply::ok(answer)
}

/// What is to become of an object that was sent.
enum Upsert {
    Variation(Change),
    /// Of an item that is there.
    Added(String, items::Addition),
    Item(items::Change),
}

fn read(shop: &Shop, object: &Value) -> Result<Upsert, Value> {
    let id = object["id"].as_str().unwrap_or_default();
    match object["type"].as_str() {
        Some("ITEM") => items::read(shop, object).map(Upsert::Item),
        Some("ITEM_VARIATION") if id.starts_with('#') => {
            let item = items::of(shop, &object["item_variation_data"]["item_id"])?;
            Ok(Upsert::Added(item, items::addition(shop, object)?))
        }
        _ => change(shop, object).map(Upsert::Variation),
    }
}

impl Upsert {
    fn apply(self, shop: &mut Shop, mappings: &mut Vec<Value>) -> Value {
        match self {
            Self::Variation(change) => apply(shop, change),
            Self::Added(item, addition) => items::add(shop, &item, &addition, mappings),
            Self::Item(change) => items::apply(shop, change, mappings),
        }
    }
}

/// What a variation is to be from now on. It is replaced as a whole: what is not sent is cleared.
pub(super) struct Change {
    place: usize,
    /// For all locations.
    base: i64,
    /// At the shop's location, if that has one of its own.
    own: Option<i64>,
    sku: String,
    size: String,
}

/// What was sent of a variation.
pub(super) fn change(shop: &Shop, object: &Value) -> Result<Change, Value> {
    let data = &object["item_variation_data"];
    let id = object["id"].as_str().unwrap_or_default();
    if object["type"] != "ITEM_VARIATION" || !data.is_object() {
        let detail = "Only items and variations are replaced here.";
        return Err(invalid("INVALID_VALUE", detail, Some("type".to_owned())));
    }
    let is_it = |good: &Good| good.variant == id && items::is_there(good);
    let Some(place) = shop.goods.iter().position(is_it) else {
        // Square does not say in a field which one it means.
        return Err(invalid("INVALID_VALUE", &format!("The catalogue has no {id}."), None));
    };
    let good = &shop.goods[place];
    if object["version"].as_i64() != Some(version(shop, good)) {
        let detail = "It has changed since this version.";
        return Err(invalid("VERSION_MISMATCH", detail, Some("version".to_owned())));
    }
    if data["item_id"].as_str() != Some(good.product.as_str()) {
        return Err(invalid(
            "INVALID_VALUE",
            "A variation cannot leave its item.",
            Some("item_id".to_owned()),
        ));
    }
    let (base, own) = (amount(shop, &data["price_money"])?, own_price(shop, data)?);
    if shop.refuses() {
        return Err(invalid("CONFLICT", "Another change is being made to it.", None));
    }
    let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
    Ok(Change { place, base, own, sku: text("sku"), size: text("name") })
}

/// An amount in the seller's currency.
pub(super) fn amount(shop: &Shop, money: &Value) -> Result<i64, Value> {
    let ours = money["currency"].as_str() == Some(shop.settings.currency.as_str());
    let amount = money["amount"].as_i64().filter(|amount| ours && *amount >= 0);
    amount.ok_or_else(|| {
        let detail = "A fixed price is an amount in the currency of the seller.";
        invalid("INVALID_VALUE", detail, Some("price_money".to_owned()))
    })
}

/// The price that the shop's location is to have of its own; none if it is to have none.
fn own_price(shop: &Shop, data: &Value) -> Result<Option<i64>, Value> {
    let mut price = None;
    for own in data["location_overrides"].as_array().into_iter().flatten() {
        let field = |name: &str| Some(format!("item_variation_data.location_overrides.{name}"));
        if own["location_id"].as_str() != Some(shop.settings.location.as_str()) {
            return Err(invalid("NOT_FOUND", "The seller has no such location.", field("location_id")));
        }
        if own["price_money"].is_null() {
            continue;
        }
        if own["pricing_type"] != "FIXED_PRICING" {
            let detail = "A price of its own is a fixed one.";
            return Err(invalid("INVALID_VALUE", detail, field("pricing_type")));
        }
        price = Some(amount(shop, &own["price_money"])?);
    }
    Ok(price)
}

/// The name under which the price for all locations is kept, where the shop's location has one of its own.
fn kept_as(good: &Good) -> String {
    format!("price for all locations: {}", good.variant)
}

/// What a good costs at all locations but the shop's own; none if that has no price of its own.
fn base(shop: &Shop, good: &Good) -> Option<i64> {
    match shop.remembered(&kept_as(good), b"") {
        Remembered::Same(reply) => reply.body.as_i64(),
        Remembered::Nothing | Remembered::Another => None,
    }
}

/// Gives the variation, as the catalogue holds it then.
pub(super) fn apply(shop: &mut Shop, change: Change) -> Value {
    let Change { place, base: for_all, own, sku, size } = change;
    (shop.goods[place].sku, shop.goods[place].size) = (sku, size);
    let kept = own.map(|_| for_all);
    if kept != base(shop, &shop.goods[place]) {
        let name = kept_as(&shop.goods[place]);
        shop.remember(&name, b"", &Reply::ok(json!(kept)));
    }
    shop.set_price(place, own.unwrap_or(for_all));
    variation(shop, &shop.goods[place])
}

/// Changes with what the catalogue holds of a good, and not with its stock, which is not part of it.
pub(super) fn version(shop: &Shop, good: &Good) -> i64 {
    let (price, for_all) = (good.price, base(shop, good));
    let held = format!("{price}/{for_all:?}/{}/{}/{}/{}", good.sku, good.size, good.title, good.removed);
    let hash = Sha256::digest(held.as_bytes());
    VERSIONS + hash.iter().take(4).fold(0_i64, |number, byte| number * 256 + i64::from(*byte))
}

/// An item with its variations, as the catalogue holds it.
pub(super) fn item(shop: &Shop, goods: &[&Good]) -> Value {
    let gone = !goods.iter().any(|good| items::is_there(good));
    let there: Vec<&Good> = goods.iter().copied().filter(|good| gone || items::is_there(good)).collect();
    let changed = there.iter().map(|good| good.changed_at).max().unwrap_or_else(|| shop.now());
    let (id, title) =
        there.first().map(|good| (good.product.as_str(), good.title.as_str())).unwrap_or_default();
    json!({
        "type": "ITEM",
        "id": id,
        "updated_at": time(changed),
        "version": there.iter().map(|good| version(shop, good)).max(),
        "is_deleted": gone,
        "present_at_all_locations": true,
        "item_data": {
            "name": title,
            "is_taxable": true,
            "product_type": "REGULAR",
            "is_archived": there.iter().any(|good| good.hidden),
            "variations": there.into_iter().map(|good| variation(shop, good)).collect::<Vec<_>>(),
        },
    })
}

/// A variation, as the catalogue holds it.
pub(super) fn variation(shop: &Shop, good: &Good) -> Value {
    let money = |amount: i64| json!({ "amount": amount, "currency": shop.settings.currency });
    let base = base(shop, good);
    let mut variation = json!({
        "type": "ITEM_VARIATION",
        "id": good.variant,
        "updated_at": time(good.changed_at),
        "version": version(shop, good),
        "is_deleted": !items::is_there(good),
        "present_at_all_locations": true,
        "item_variation_data": {
            "item_id": good.product,
            "name": good.size,
            "sku": good.sku,
            "ordinal": 0,
            "pricing_type": "FIXED_PRICING",
            "price_money": money(base.unwrap_or(good.price)),
            "track_inventory": true,
            "sellable": true,
            "stockable": true,
        },
    });
    if base.is_some() {
        variation["item_variation_data"]["location_overrides"] = json!([{
            "location_id": shop.settings.location,
            "pricing_type": "FIXED_PRICING",
            "price_money": money(good.price),
        }]);
    }
    variation
}
