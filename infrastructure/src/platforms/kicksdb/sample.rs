//! Made-up `KicksDB` deliveries, signed, for people who try things out and for tests.

use serde_json::{Value, json};

use super::{
    super::adapter::{Made, Sample},
    inbound,
};

pub(super) const TOPICS: [&str; 3] = ["stockx.price.updated.usd", "goat.price.updated.usd", "monitor"];

/// A price of the model whose maker's code is the sample's SKU.
pub(super) fn sample(topic: &str, sample: &Sample<'_>) -> Option<Made> {
    let body = body(topic, sample)?.to_string().into_bytes();
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", "SneakersAPI/1.0".to_owned()),
        ("x-kicksdb-event-id", sample.id.to_string()),
        ("x-kicksdb-timestamp", sample.now.timestamp().to_string()),
        ("x-kicksdb-signature", inbound::sign(sample.secret, &body)),
    ];
    Some((headers, body))
}

fn body(topic: &str, sample: &Sample<'_>) -> Option<Value> {
    let seconds = sample.now.timestamp();
    Some(match topic {
        "stockx.price.updated.usd" => json!({
            "event": topic, "timestamp": seconds, "version": "v1",
            "data": [{
                "product_id": sample.id, "name": "Harbour Runner", "sku": sample.sku, "currency": "USD",
                "sizes": [{ "size": "US M 9", "type": "us m" }], "lowest_ask": 141.5, "number_of_asks": 12,
            }],
        }),
        "goat.price.updated.usd" => json!({
            "event": topic, "timestamp": seconds, "version": "v1",
            "data": [{
                "product_id": 4711, "name": "Harbour Runner", "sku": sample.sku, "size_us": 9, "lowest_ask": 139,
                "available": true, "currency": "USD",
            }],
        }),
        "monitor" => json!({
            "data": {
                "currency": "USD", "market": "US", "platform": "stockx",
                "product": {
                    "brand": "Quay", "id": sample.id, "sku": sample.sku, "slug": "harbour-runner",
                    "title": "Harbour Runner",
                    "variants": [{ "id": sample.id, "size": "9", "price": 140, "count": 3, "changed": true }],
                },
            },
        }),
        _ => return None,
    })
}
