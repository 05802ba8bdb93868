//! Counts of stock: physical counts are taken in, all of a call or none, and told when asked for.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Good, Reply, Shop},
    errors, invalid, page, refused, texts, time,
};

/// The most changes in a call.
const CHANGES_MAX: usize = 100;

/// Counts in one page of an answer; Square says no number, and few show whether further pages are read.
const PAGE: usize = 50;

/// A count may not be older, nor of a later time than the call. How exactly Square looks is not published.
const OLDEST: TimeDelta = TimeDelta::hours(24);
const AHEAD: TimeDelta = TimeDelta::seconds(10);

/// `POST /v2/inventory/changes/batch-create`.
pub(super) fn change(shop: &mut Shop, body: &Value) -> Reply {
    let field = Some("changes".to_owned());
    let Some(changes) = body["changes"].as_array().filter(|changes| !changes.is_empty()) else {
        return refused("ARRAY_EMPTY", "It takes at least one change.", field);
    };
    if changes.len() > CHANGES_MAX {
        return refused("ARRAY_LENGTH_TOO_LONG", "It takes at most 100 changes.", field);
    }
    let read = changes.iter().enumerate().map(|(place, change)| count(shop, place, change));
    let (fine, wrong): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
    let wrong: Vec<Value> = wrong.into_iter().filter_map(Result::err).collect();
    if !wrong.is_empty() {
        return errors(400, &wrong);
    }
    // By default a count that changes nothing is passed over, and not spoken of.
    let silent = body["ignore_unchanged_counts"].as_bool().unwrap_or(true);
    let mut counted = Vec::new();
    for (place, quantity) in fine.into_iter().filter_map(Result::ok) {
        let differs = shop.goods[place].quantity != quantity;
        shop.set_quantity(place, quantity);
        if differs || !silent {
            counted.push(written(shop, &shop.goods[place]));
        }
    }
    Reply::ok(json!({ "counts": counted, "errors": [] }))
}

/// What one change says: which good, and how many there are.
fn count(shop: &Shop, place: usize, change: &Value) -> Result<(usize, i64), Value> {
    let count = &change["physical_count"];
    let at = |name: &str| Some(format!("changes[{place}].{name}"));
    let of = |name: &str| Some(format!("changes[{place}].physical_count.{name}"));
    if change["type"] != "PHYSICAL_COUNT" {
        return Err(invalid("INVALID_ENUM_VALUE", "Only physical counts are taken here.", at("type")));
    }
    let variation = count["catalog_object_id"].as_str().unwrap_or_default();
    let Some(good) = shop.variant(variation) else {
        return Err(invalid("NOT_FOUND", "The catalogue has no such variation.", of("catalog_object_id")));
    };
    if count["location_id"].as_str() != Some(shop.settings.location.as_str()) {
        return Err(invalid("NOT_FOUND", "The seller has no such location.", of("location_id")));
    }
    if count["state"] != "IN_STOCK" {
        return Err(invalid("INVALID_ENUM_VALUE", "The state is not known here.", of("state")));
    }
    let Some(quantity) = units(&count["quantity"]) else {
        return Err(invalid(
            "INVALID_VALUE",
            "A quantity is a decimal text, and not below zero.",
            of("quantity"),
        ));
    };
    if !counted_lately(shop, &count["occurred_at"]) {
        let detail = "A count is of the last day, and not of a time to come.";
        return Err(invalid("INVALID_TIME", detail, of("occurred_at")));
    }
    if shop.refuses() {
        return Err(invalid("CONFLICT", "Another change is being made to it.", at("physical_count")));
    }
    Ok((good, quantity))
}

/// A decimal text, not below zero; all that is sold here is sold in whole units.
fn units(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fine = fraction.len() <= 5 && fraction.bytes().all(|digit| digit == b'0');
    whole.parse().ok().filter(|units| fine && *units >= 0)
}

fn counted_lately(shop: &Shop, value: &Value) -> bool {
    let Some(at) = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok()) else {
        return false;
    };
    let (at, now): (DateTime<Utc>, _) = (at.to_utc(), shop.now());
    at >= now - OLDEST && at <= now + AHEAD
}

/// `POST /v2/inventory/counts/batch-retrieve`. What Square answers for an unknown location is not published.
pub(super) fn counts(shop: &Shop, body: &Value) -> Reply {
    if texts(&body["location_ids"]).iter().any(|location| *location != shop.settings.location) {
        let field = Some("location_ids".to_owned());
        return refused("INVALID_VALUE", "The seller has no such location.", field);
    }
    let wants = |name: &str, value: &str| {
        let wanted = texts(&body[name]);
        wanted.is_empty() || wanted.contains(&value)
    };
    let goods = shop.goods.iter().filter(|good| !good.removed && wants("catalog_object_ids", &good.variant));
    let here =
        goods.filter(|_| wants("location_ids", &shop.settings.location) && wants("states", "IN_STOCK"));
    let (counts, cursor) = page(here.map(|good| written(shop, good)).collect(), body, PAGE);
    let mut answer = json!({ "errors": [] });
    if !counts.is_empty() {
        answer["counts"] = counts.into();
    }
    if let Some(cursor) = cursor {
        answer["cursor"] = cursor.into();
    }
    Reply::ok(answer)
}

/// A count as Square writes it: units as text.
pub(super) fn written(shop: &Shop, good: &Good) -> Value {
    json!({
        "catalog_object_id": good.variant,
        "catalog_object_type": "ITEM_VARIATION",
        "state": "IN_STOCK",
        "location_id": shop.settings.location,
        "quantity": good.quantity.to_string(),
        "calculated_at": time(good.changed_at),
    })
}
