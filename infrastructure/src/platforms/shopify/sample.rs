//! Made-up Shopify deliveries, signed, for people who try things out and for tests.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::super::{
    adapter::{Made, Sample},
    signature::hmac_sha256,
};

pub(super) const TOPICS: [&str; 10] = [
    "products/create",
    "products/update",
    "products/delete",
    "inventory_levels/update",
    "orders/create",
    "orders/paid",
    "orders/cancelled",
    "customers/redact",
    "customers/data_request",
    "shop/redact",
];

/// A delivery about a runner in one size. What it speaks of is the same for all topics with one sample id.
pub(super) fn sample(topic: &str, sample: &Sample<'_>) -> Option<Made> {
    let shop = sample.details.account.clone().unwrap_or_else(|| "quay-side.example".to_owned());
    let body = body(topic, &shop, sample)?.to_string().into_bytes();
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", "Shopify-Captain-Hook".to_owned()),
        ("x-shopify-topic", topic.to_owned()),
        ("x-shopify-shop-domain", shop),
        ("x-shopify-api-version", "2026-04".to_owned()),
        ("x-shopify-webhook-id", sample.id.to_string()),
        ("x-shopify-triggered-at", sample.now.to_rfc3339()),
        ("x-shopify-hmac-sha256", STANDARD.encode(hmac_sha256(sample.secret, &body))),
    ];
    Some((headers, body))
}

fn body(topic: &str, shop: &str, sample: &Sample<'_>) -> Option<Value> {
    // Ids of the platform are 64 bits; those of samples stay below 2^53 as well, so that a browser shows them whole.
    let id = sample.id.as_u64_pair().1 >> 12;
    let now = sample.now.to_rfc3339();
    let place = sample.details.platform_location.as_ref().map_or("1", |place| place.as_str());
    let place = place.parse::<u64>().map_or_else(|_| json!(place), |number| json!(number));
    let variant = json!({
        "id": id + 1, "product_id": id, "inventory_item_id": id + 2, "sku": sample.sku, "price": "129.00",
        "option1": "42", "title": "42", "inventory_quantity": 5, "updated_at": now,
    });
    let customer = json!({
        "id": id + 5, "email": "robin@quay-side.example", "first_name": "Robin", "last_name": "Quay", "phone": null,
    });
    Some(match topic {
        "products/create" | "products/update" => json!({
            "id": id, "title": "Harbour Runner", "vendor": "Quay", "product_type": "Shoes", "tags": "sample",
            "status": "active", "options": [{ "name": "Size", "position": 1, "values": ["42"] }],
            "variants": [variant], "created_at": now, "updated_at": now,
        }),
        "products/delete" => json!({ "id": id }),
        "inventory_levels/update" => {
            json!({ "inventory_item_id": id + 2, "location_id": place, "available": 5, "updated_at": now })
        }
        "orders/create" | "orders/paid" => json!({
            "id": id + 3, "name": "#1001", "currency": sample.details.currency, "created_at": now, "updated_at": now,
            "financial_status": if topic == "orders/paid" { "paid" } else { "pending" },
            "email": customer["email"], "customer": customer,
            "line_items": [{
                "id": id + 4, "product_id": id, "variant_id": id + 1, "sku": sample.sku,
                "title": "Harbour Runner", "quantity": 1, "price": "129.00",
            }],
        }),
        "orders/cancelled" => json!({ "id": id + 3, "cancelled_at": now, "cancel_reason": "customer" }),
        "customers/redact" => json!({
            "shop_id": 1, "shop_domain": shop, "customer": customer, "orders_to_redact": [id + 3],
        }),
        "customers/data_request" => json!({
            "shop_id": 1, "shop_domain": shop, "customer": customer, "orders_requested": [id + 3],
            "data_request": { "id": id + 6 },
        }),
        "shop/redact" => json!({ "shop_id": 1, "shop_domain": shop }),
        _ => return None,
    })
}
