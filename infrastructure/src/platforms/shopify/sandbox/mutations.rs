//! The mutations of the shop, with the refusals of the real one, code by code.
//! Setting stock is all or nothing and may demand the quantity it starts from; prices may succeed one by one.

use std::collections::HashSet;

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::graphql::Refusal;
use super::money::Money;
use super::products;
use super::queries::{self, id_of};
use super::schema::{self, as_money};
use super::state::{QUANTITY_BOUND, State, Variant};
use super::webhooks::gid;

/// The most entries one mutation takes.
const ENTRIES_MAX: usize = 250;

/// The quantity is not the one that the change starts from.
const STALE: &str = "CHANGE_FROM_QUANTITY_STALE";

/// What is refused at the top of the answer, before anything is looked up.
pub(super) fn check_form(field: &str, arguments: &Map<String, Value>) -> Result<(), Refusal> {
    let entries = match field {
        "inventorySetQuantities" => &arguments.get("input").unwrap_or(&Value::Null)["quantities"],
        "productVariantsBulkUpdate" | "productVariantsBulkCreate" => {
            arguments.get("variants").unwrap_or(&Value::Null)
        }
        _ => return Ok(()),
    };
    let entries = rows(entries);
    if entries.len() > ENTRIES_MAX {
        let message = format!("{} entries were sent and {ENTRIES_MAX} are taken", entries.len());
        return Err(Refusal::new("MAX_INPUT_SIZE_EXCEEDED", message));
    }
    let explicit = |entry: &Value| entry.get("changeFromQuantity").is_some();
    if field == "inventorySetQuantities" && !entries.iter().all(explicit) {
        return Err(Refusal::new(
            "INVALID_FIELD_ARGUMENTS",
            "Each quantity needs changeFromQuantity, if only as null",
        ));
    }
    Ok(())
}

/// Applies a mutation and answers its payload; what was wrong is among its `userErrors`.
pub(super) fn apply(state: &mut State, field: &str, arguments: &Map<String, Value>) -> Value {
    match field {
        "inventorySetQuantities" => set_quantities(state, arguments.get("input").unwrap_or(&Value::Null)),
        "productVariantsBulkUpdate" => update_variants(state, arguments),
        "productVariantsBulkCreate" => products::add_variants(state, arguments),
        "productSet" => products::set(state, arguments.get("input").unwrap_or(&Value::Null)),
        "productUpdate" => products::update(state, arguments.get("product").unwrap_or(&Value::Null)),
        "publishablePublish" => products::publish(state, arguments),
        "webhookSubscriptionCreate" => subscribe(state, arguments),
        _ => unsubscribe(state, arguments),
    }
}

pub(super) fn rows(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn user_error(field: &[&str], code: &str, message: &str) -> Value {
    json!({"field": field, "message": message, "code": code})
}

/// A quantity that passed every check: the variant, its location left out because there is one.
struct Wanted {
    variant_id: u64,
    quantity: i64,
}

fn set_quantities(state: &mut State, input: &Value) -> Value {
    let (name, reason) = (input["name"].as_str().unwrap_or(""), input["reason"].as_str().unwrap_or(""));
    let mut errors = Vec::new();
    if name != "available" && name != "on_hand" {
        errors.push(user_error(&["input", "name"], "INVALID_NAME", "Only available and on_hand can be set"));
    }
    if !schema::REASONS.split_whitespace().any(|known| known == reason) {
        let message = format!("This reason is not one of: {}", schema::REASONS);
        errors.push(user_error(&["input", "reason"], "INVALID_REASON", &message));
    }
    let mut wanted = Vec::new();
    let mut pairs = HashSet::new();
    for (index, entry) in rows(&input["quantities"]).iter().enumerate() {
        match check_quantity(state, entry, name, &mut pairs) {
            Ok(fine) => wanted.push(fine),
            Err(found) => errors.extend(found.into_iter().map(|(field, code, message)| {
                if state.blurs_staleness && code == STALE {
                    return json!({"field": null, "message": message, "code": code});
                }
                user_error(&["input", "quantities", &index.to_string(), field], code, message)
            })),
        }
    }
    if !errors.is_empty() {
        return json!({"inventoryAdjustmentGroup": null, "userErrors": errors});
    }
    let mut changes = Vec::new();
    for Wanted { variant_id, quantity } in wanted {
        let Some(variant) = state.variant(variant_id) else { continue };
        let held = if name == "on_hand" { variant.committed } else { 0 };
        let delta = quantity.saturating_sub(held).saturating_sub(variant.available);
        if delta == 0 {
            continue;
        }
        let available = variant.available + delta;
        state.set_available(variant_id, available);
        let item = state.variant(variant_id).map(|variant| queries::item(variant, state.location_id));
        for name in ["available", "on_hand"] {
            changes.push(json!({
                "name": name,
                "delta": delta,
                "quantityAfterChange": null,
                "item": item,
                "location": queries::location(state.location_id),
            }));
        }
    }
    if changes.is_empty() {
        return json!({"inventoryAdjustmentGroup": null, "userErrors": []});
    }
    let group = json!({
        "id": gid("InventoryAdjustmentGroup", state.new_id()),
        "createdAt": queries::time(Utc::now()),
        "reason": reason,
        "referenceDocumentUri": input["referenceDocumentUri"],
        "changes": changes,
    });
    json!({"inventoryAdjustmentGroup": group, "userErrors": []})
}

pub(super) type Finding = (&'static str, &'static str, &'static str);

fn check_quantity(
    state: &State,
    entry: &Value,
    name: &str,
    pairs: &mut HashSet<(u64, u64)>,
) -> Result<Wanted, Vec<Finding>> {
    let mut found = Vec::new();
    let quantity = entry["quantity"].as_i64().unwrap_or(0);
    if name == "on_hand" && quantity < 0 {
        found.push(("quantity", "INVALID_QUANTITY_NEGATIVE", "What is on hand cannot be below nothing"));
    } else if quantity < -QUANTITY_BOUND {
        found.push(("quantity", "INVALID_QUANTITY_TOO_LOW", "A quantity is at least -1,000,000,000"));
    } else if quantity > QUANTITY_BOUND {
        found.push(("quantity", "INVALID_QUANTITY_TOO_HIGH", "A quantity is at most 1,000,000,000"));
    }
    let item = id_of("InventoryItem", entry.get("inventoryItemId"));
    let variant = item.and_then(|id| state.variant(id).filter(|variant| variant.inventory_item_id == id));
    let location = id_of("Location", entry.get("locationId")).filter(|id| *id == state.location_id);
    if variant.is_none() {
        found.push(("inventoryItemId", "INVALID_INVENTORY_ITEM", "There is no such inventory item"));
    }
    if location.is_none() {
        found.push(("locationId", "INVALID_LOCATION", "There is no such location"));
    }
    let (Some(variant), Some(location)) = (variant, location) else { return Err(found) };
    if !pairs.insert((variant.inventory_item_id, location)) {
        let message = "An item is set once per location in one request";
        found.push(("locationId", "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", message));
    }
    if !variant.stocked {
        found.push(("locationId", "ITEM_NOT_STOCKED_AT_LOCATION", "The location does not keep this item"));
    }
    let current = variant.available + if name == "on_hand" { variant.committed } else { 0 };
    if entry["changeFromQuantity"].as_i64().is_some_and(|expected| expected != current) {
        let message = "The quantity is no longer the one this change starts from";
        found.push(("changeFromQuantity", STALE, message));
    }
    if found.is_empty() { Ok(Wanted { variant_id: variant.id, quantity }) } else { Err(found) }
}

fn update_variants(state: &mut State, arguments: &Map<String, Value>) -> Value {
    let refused =
        |errors: Vec<Value>| json!({"product": null, "productVariants": null, "userErrors": errors});
    let product_id = id_of("Product", arguments.get("productId"));
    let Some(product_id) = product_id.filter(|id| state.products.contains_key(id)) else {
        return refused(vec![user_error(
            &["productId"],
            "PRODUCT_DOES_NOT_EXIST",
            "There is no such product",
        )]);
    };
    let partial = arguments.get("allowPartialUpdates") == Some(&Value::Bool(true));
    let (mut errors, mut named, mut updated) = (Vec::new(), Vec::new(), Vec::new());
    for (index, entry) in rows(arguments.get("variants").unwrap_or(&Value::Null)).iter().enumerate() {
        let id = id_of("ProductVariant", entry.get("id"));
        let variant =
            id.and_then(|id| state.variant(id).filter(|it| it.id == id && it.product_id == product_id));
        let found = match variant {
            Some(variant) => {
                named.push(variant.id);
                check_prices(entry)
            }
            None if entry["id"].is_null() => {
                vec![("id", "PRODUCT_VARIANT_ID_MISSING", "A variant needs its id")]
            }
            None => vec![("id", "PRODUCT_VARIANT_DOES_NOT_EXIST", "This product has no such variant")],
        };
        match variant.filter(|_| found.is_empty()) {
            Some(variant) => updated.push(changed(variant, entry)),
            None => errors.extend(found.into_iter().map(|(field, code, message)| {
                user_error(&["variants", &index.to_string(), field], code, message)
            })),
        }
    }
    let applied = errors.is_empty() || partial;
    let mut any = false;
    for new in updated.into_iter().filter(|_| applied) {
        if let Some((variant, new)) = state.variant_mut(new.id).zip(Some(new)) {
            any |= differs(variant, &new);
            *variant = new;
        }
    }
    if any {
        state.product_changed(product_id);
    }
    let variants = named.iter().filter_map(|id| state.variant(*id)).map(|it| queries::variant(state, it));
    json!({
        "product": state.products.get(&product_id).map(queries::product),
        "productVariants": applied.then(|| variants.collect::<Vec<_>>()),
        "userErrors": errors,
    })
}

/// The order is the platform's: the struck-through price before the price.
pub(super) fn check_prices(entry: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    for field in ["compareAtPrice", "price"] {
        match as_money(&entry[field]) {
            Some(amount) if amount < Money::ZERO => {
                found.push((field, "GREATER_THAN_OR_EQUAL_TO", "An amount cannot be below nothing"));
            }
            Some(amount) if amount >= Money::LIMIT => {
                found.push((field, "INVALID_INPUT", "The amount is too large"))
            }
            _ => {}
        }
    }
    found
}

fn changed(variant: &Variant, entry: &Value) -> Variant {
    let mut new = variant.clone();
    new.price = as_money(&entry["price"]).unwrap_or(new.price);
    if let Some(amount) = entry.get("compareAtPrice") {
        new.compare_at_price = as_money(amount);
    }
    if let Some(policy) = entry["inventoryPolicy"].as_str() {
        new.oversells = policy == "CONTINUE";
    }
    if let Some(sku) = entry["inventoryItem"]["sku"].as_str() {
        sku.clone_into(&mut new.sku);
    }
    new.tracked = entry["inventoryItem"]["tracked"].as_bool().unwrap_or(new.tracked);
    new.updated_at = Utc::now();
    new
}

fn differs(old: &Variant, new: &Variant) -> bool {
    let parts = |it: &Variant| (it.price, it.compare_at_price, it.oversells, it.tracked);
    parts(old) != parts(new) || old.sku != new.sku
}

fn subscribe(state: &mut State, arguments: &Map<String, Value>) -> Value {
    let input = arguments.get("webhookSubscription").unwrap_or(&Value::Null);
    let uri = input["uri"].as_str().or(input["callbackUrl"].as_str()).unwrap_or("");
    let topic = arguments.get("topic").and_then(Value::as_str).and_then(schema::topic).unwrap_or("");
    match state.subscribe(topic, uri) {
        Ok(subscription) => {
            let names = rows(&input["includeFields"]).iter().filter_map(Value::as_str);
            subscription.include_fields = names.map(str::to_owned).collect();
            json!({"webhookSubscription": queries::subscription(subscription), "userErrors": []})
        }
        Err(message) => {
            let error = json!({"field": ["webhookSubscription", "callbackUrl"], "message": message});
            json!({"webhookSubscription": null, "userErrors": [error]})
        }
    }
}

fn unsubscribe(state: &mut State, arguments: &Map<String, Value>) -> Value {
    let id = id_of("WebhookSubscription", arguments.get("id"));
    if id.and_then(|id| state.subscriptions.remove(&id)).is_some() {
        return json!({"deletedWebhookSubscriptionId": arguments.get("id"), "userErrors": []});
    }
    let error = json!({"field": ["id"], "message": "There is no such subscription"});
    json!({"deletedWebhookSubscriptionId": null, "userErrors": [error]})
}
