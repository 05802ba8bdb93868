//! Made-up `TikTok` Shop notices, signed, for people who try things out and for tests.

use serde_json::{Value, json};

use super::{
    super::{
        adapter::{Made, Sample},
        signature::hmac_sha256,
    },
    inbound,
};

pub(super) const TOPICS: [&str; 6] = [
    "order_status_change",
    "cancellation_status_change",
    "product_status_change",
    "product_information_change",
    "inventory_status_change",
    "inventory_change",
];

/// Where the ids of samples begin. The platform's have nineteen digits, too many for a floating point number.
const IDS: u64 = 1_729_000_000_000_000_000;

/// A notice about a runner or an order of it; all topics of one sample id speak of the same ones.
pub(super) fn sample(topic: &str, sample: &Sample<'_>) -> Option<Made> {
    let (kind, data) = data(topic, sample)?;
    let id = number(sample);
    let body = json!({
        "type": kind, "tts_notification_id": (id + 9).to_string(), "shop_id": "7495114711471147114",
        "timestamp": sample.now.timestamp(), "data": data,
    });
    let body = body.to_string().into_bytes();
    let app = sample.details.app.as_deref().unwrap_or_default();
    let signature = hmac_sha256(sample.secret, &inbound::keyed(app, &body));
    let headers =
        vec![("content-type", "application/json".to_owned()), ("authorization", hex::encode(signature))];
    Some((headers, body))
}

fn number(sample: &Sample<'_>) -> u64 {
    IDS + (sample.id.as_u64_pair().1 >> 12)
}

fn data(topic: &str, sample: &Sample<'_>) -> Option<(i64, Value)> {
    let id = number(sample);
    let (product, sku, order) = (id.to_string(), (id + 1).to_string(), (id + 2).to_string());
    let now = sample.now.timestamp();
    Some(match topic {
        "order_status_change" => (
            1,
            json!({
                "order_id": order, "order_status": "AWAITING_SHIPMENT", "is_on_hold_order": false,
                "update_time": now,
            }),
        ),
        "cancellation_status_change" => (
            11,
            json!({
                "order_id": order, "cancel_id": (id + 3).to_string(), "cancellations_role": "BUYER",
                "cancel_status": "CANCELLATION_REQUEST_SUCCESS", "create_time": now,
            }),
        ),
        // Of the notices about a product this one has its id as a number.
        "product_status_change" => (
            5,
            json!({
                "product_id": id, "status": "PRODUCT_STATUS_CHANGED", "suspended_reason": "",
                "update_time": now,
            }),
        ),
        "product_information_change" => (
            15,
            json!({
                "product_id": product, "change_source": "SELLER_CENTER", "changed_fields": ["title"],
                "update_time": now,
            }),
        ),
        "inventory_status_change" => (
            27,
            json!({
                "product_id": product, "sku_id": sku, "current_inventory_status": "LOW_STOCK",
                "inventory_distribution": {
                    "total_quantity": 5, "available_quantity": 4, "committed_quantity": 1,
                },
                "update_time": now,
            }),
        ),
        "inventory_change" => (68, inventory_change(sample, &product, &sku)),
        _ => return None,
    })
}

fn inventory_change(sample: &Sample<'_>, product: &str, sku: &str) -> Value {
    let now = sample.now.to_rfc3339();
    json!({
        "event_id": sample.id, "occurred_at": now, "product_id": product, "sku_id": sku,
        "quantity_snapshot_after_change": {
            "total_quantity": 5, "total_available_quantity": 4, "total_committed_quantity": 1,
            "in_shop_quantity": 4,
        },
        "change_detail": [{
            "idempotency_key": sample.id, "trigger_source": "order_created", "occurred_at": now,
            "total_quantity_delta": 0, "available_quantity_delta": -1, "committed_quantity_delta": 1,
        }],
    })
}
