//! Made-up Square deliveries, signed, for people who try things out and for tests.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::{
    super::adapter::{Made, Sample},
    inbound::{SIGNATURE, sign},
};

pub(super) const TOPICS: [&str; 5] = [
    "inventory.count.updated",
    "catalog.version.updated",
    "order.created",
    "order.updated",
    "order.fulfillment.updated",
];

/// A delivery about a variation, the catalogue or an order; Square's bodies name no SKU. What it speaks of is
/// the same for all topics with one sample id. `order.updated` tells of a cancellation, which has no topic of
/// its own.
pub(super) fn sample(topic: &str, sample: &Sample<'_>) -> Option<Made> {
    let body = body(topic, sample)?.to_string().into_bytes();
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", "Square Connect v2".to_owned()),
        (SIGNATURE, sign(sample.secret, sample.url, &body)),
    ];
    Some((headers, body))
}

fn body(topic: &str, sample: &Sample<'_>) -> Option<Value> {
    let id = sample.id.simple().to_string().to_uppercase();
    let now = sample.now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let (kind, named, object) = object(topic, sample, &id, &now)?;
    let merchant = sample.details.account.clone().unwrap_or_else(|| format!("M{id}"));
    Some(json!({
        "merchant_id": merchant,
        "type": topic,
        "event_id": sample.id,
        "created_at": now,
        "data": { "type": kind, "id": named, "object": { kind: object } },
    }))
}

/// The sort of thing, its id and what is told of it.
fn object(topic: &str, sample: &Sample<'_>, id: &str, now: &str) -> Option<(&'static str, String, Value)> {
    let place = sample.details.platform_location.as_ref().map_or("QUAYSIDE", |place| place.as_str());
    let (variation, order) = (format!("V{id}"), format!("O{id}"));
    Some(match topic {
        "inventory.count.updated" => {
            let count = json!({
                "catalog_object_id": variation, "catalog_object_type": "ITEM_VARIATION", "location_id": place,
                "state": "IN_STOCK", "quantity": "5", "calculated_at": now,
            });
            ("inventory_counts", sample.id.to_string(), json!([count]))
        }
        "catalog.version.updated" => ("catalog_version", sample.id.to_string(), json!({ "updated_at": now })),
        "order.created" => {
            let told = json!({
                "order_id": order, "location_id": place, "state": "OPEN", "version": 1, "created_at": now,
            });
            ("order_created", order, told)
        }
        "order.updated" => {
            let told = json!({
                "order_id": order, "location_id": place, "state": "CANCELED", "version": 3,
                "created_at": now, "updated_at": now,
            });
            ("order_updated", order, told)
        }
        "order.fulfillment.updated" => {
            let change = json!({ "fulfillment_uid": "f1", "old_state": "PROPOSED", "new_state": "RESERVED" });
            let told = json!({
                "order_id": order, "location_id": place, "state": "OPEN", "version": 2,
                "created_at": now, "updated_at": now, "fulfillment_update": [change],
            });
            ("order_fulfillment_updated", order, told)
        }
        _ => return None,
    })
}
