//! Made-up Shopee pushes, signed, for people who try things out and for tests.

use serde_json::{Value, json};

use super::{
    super::{
        adapter::{Made, Sample},
        signature::hmac_sha256,
    },
    inbound,
};

pub(super) const TOPICS: [&str; 4] = ["order_status", "reserved_stock", "price_update", "violation_item"];

/// A push about a runner or an order of it; all topics of one sample id speak of the same ones.
pub(super) fn sample(topic: &str, sample: &Sample<'_>) -> Option<Made> {
    let (code, data) = data(topic, sample)?;
    let body = json!({
        "code": code, "shop_id": shop(sample), "timestamp": sample.now.timestamp(),
        "msg_id": sample.id.simple().to_string(), "data": data,
    });
    let body = body.to_string().into_bytes();
    let signature = hmac_sha256(sample.secret, &inbound::located(sample.url, &body));
    let headers =
        vec![("content-type", "application/json".to_owned()), ("authorization", hex::encode(signature))];
    Some((headers, body))
}

/// The connection's shop, as the number that it is there.
fn shop(sample: &Sample<'_>) -> Value {
    let account = sample.details.account.as_deref().unwrap_or("47114711");
    account.parse::<u64>().map_or_else(|_| json!(account), |number| json!(number))
}

fn data(topic: &str, sample: &Sample<'_>) -> Option<(i64, Value)> {
    // Ids of samples stay below 2^53, so that a browser shows them whole.
    let id = sample.id.as_u64_pair().1 >> 12;
    let (item, model) = (id, id + 1);
    let now = sample.now.timestamp();
    let order = format!("{}{id:X}", sample.now.format("%y%m%d"));
    Some(match topic {
        "order_status" => (
            3,
            json!({
                "ordersn": order, "status": "READY_TO_SHIP", "update_time": now, "completed_scenario": "",
                "items": [],
            }),
        ),
        "reserved_stock" => (
            8,
            json!({
                "action": "place_order", "item_id": item, "variation_id": model, "ordersn": order,
                "promotion_type": "", "promotion_id": 0, "update_time": now,
                "changed_values": [{ "name": "reserved_stock", "old": 5, "new": 4 }],
            }),
        ),
        "price_update" => (
            22,
            json!({
                "item_id": item, "model_id": model, "update_field": "original_price", "old_value": 139.0,
                "new_value": 129.0, "update_time": now,
            }),
        ),
        "violation_item" => (
            16,
            json!({
                "item_id": item, "item_name": "Harbour Runner", "item_status": "BANNED", "deboost": false,
                "item_status_details": [{ "violation_reason": "The size chart is missing." }],
                "update_time": now,
            }),
        ),
        _ => return None,
    })
}
