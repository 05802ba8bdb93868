//! Made-up `WooCommerce` deliveries, signed, for people who try things out and for tests.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::super::{
    adapter::{Made, Sample},
    signature::hmac_sha256,
};

pub(super) const TOPICS: [&str; 7] = [
    "product.created",
    "product.updated",
    "product.restored",
    "product.deleted",
    "order.created",
    "order.updated",
    "order.restored",
];

/// A delivery about a runner. What it speaks of is the same for all topics with one sample id.
pub(super) fn sample(topic: &str, sample: &Sample<'_>) -> Option<Made> {
    let body = body(topic, sample)?.to_string().into_bytes();
    let (resource, event) = topic.split_once('.')?;
    let shop = sample.details.account.as_deref().unwrap_or("quay-side.example");
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", "WooCommerce/9.4.2 Hookshot (WordPress/6.7.1)".to_owned()),
        ("x-wc-webhook-source", format!("https://{shop}/")),
        ("x-wc-webhook-topic", topic.to_owned()),
        ("x-wc-webhook-resource", resource.to_owned()),
        ("x-wc-webhook-event", event.to_owned()),
        ("x-wc-webhook-signature", STANDARD.encode(hmac_sha256(sample.secret, &body))),
        ("x-wc-webhook-id", "1".to_owned()),
        ("x-wc-webhook-delivery-id", sample.id.simple().to_string()),
    ];
    Some((headers, body))
}

fn body(topic: &str, sample: &Sample<'_>) -> Option<Value> {
    // Below 2^53, so that a browser shows all digits.
    let id = sample.id.as_u64_pair().1 >> 12;
    let now = sample.now.format("%Y-%m-%dT%H:%M:%S").to_string();
    Some(match topic {
        "product.created" | "product.updated" | "product.restored" => json!({
            "id": id, "name": "Harbour Runner", "slug": "harbour-runner", "type": "simple", "sku": sample.sku,
            "status": "publish", "price": "129", "regular_price": "129", "manage_stock": true,
            "stock_quantity": 5, "stock_status": "instock", "variations": [], "date_created_gmt": now,
            "date_modified_gmt": now, "categories": [{ "id": 15, "name": "Shoes", "slug": "shoes" }],
        }),
        "order.created" | "order.updated" | "order.restored" => json!({
            "id": id + 1, "number": "1001", "date_created_gmt": now, "date_modified_gmt": now,
            "status": if topic == "order.updated" { "processing" } else { "pending" },
            "currency": sample.details.currency, "total": "129", "customer_id": 0,
            "billing": { "first_name": "Robin", "last_name": "Quay", "email": "robin@quay-side.example" },
            "line_items": [{
                "id": id + 2, "name": "Harbour Runner", "product_id": id, "variation_id": 0, "quantity": 1,
                "sku": sample.sku, "total": "129",
            }],
        }),
        "product.deleted" => json!({ "id": id }),
        _ => return None,
    })
}
