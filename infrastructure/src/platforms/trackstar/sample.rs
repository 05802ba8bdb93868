//! Made-up Trackstar deliveries, signed, for people who try things out and for tests.

use serde_json::{Value, json};

use super::super::{
    adapter::{Made, Sample},
    svix,
};

pub(super) const TOPICS: [&str; 8] = [
    "inventory.created",
    "inventory.updated",
    "product.created",
    "product.updated",
    "cart-product.created",
    "cart-product.updated",
    "cart-order.created",
    "cart-order.updated",
];

/// A delivery about a runner. What it speaks of is the same for all topics with one sample id.
pub(super) fn sample(topic: &str, sample: &Sample<'_>) -> Option<Made> {
    let data = data(topic, sample)?;
    let connection = sample.details.account.as_deref().unwrap_or("conn_harbour");
    let mut event = json!({
        "connection_id": connection, "integration_name": "sandbox", "event_type": topic, "data": data,
    });
    if topic.ends_with(".updated") {
        event["previous_attributes"] = json!({ "updated_date": "2026-01-01T08:00:00Z" });
    }
    let body = event.to_string().into_bytes();
    let id = format!("msg_{}", sample.id.simple());
    let timestamp = sample.now.timestamp();
    let signature = svix::sign(sample.secret, &id, timestamp, &body)?;
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", "Svix-Webhooks/1.62.0".to_owned()),
        ("svix-id", id),
        ("svix-timestamp", timestamp.to_string()),
        ("svix-signature", signature),
    ];
    Some((headers, body))
}

fn data(topic: &str, sample: &Sample<'_>) -> Option<Value> {
    let id = sample.id.simple();
    let now = sample.now.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let place = sample.details.platform_location.as_ref().map_or("wh_quay", |place| place.as_str());
    let levels = json!({
        "onhand": 8, "committed": 2, "unfulfillable": 1, "fulfillable": 5, "sellable": 5, "awaiting": 0,
    });
    Some(match topic {
        "inventory.created" | "inventory.updated" => json!({
            "id": format!("inv_{id}"), "name": "Harbour Runner", "sku": sample.sku, "active": true,
            "created_date": now, "updated_date": now, "onhand": 8, "committed": 2, "unfulfillable": 1,
            "fulfillable": 5, "sellable": 5, "awaiting": 0, "inventory_by_warehouse_id": { place: levels },
        }),
        "product.created" | "product.updated" => json!({
            "id": format!("prod_{id}"), "name": "Harbour Runner", "sku": sample.sku, "unit_price": 129,
            "inventory_items": [{
                "inventory_item_id": format!("inv_{id}"), "sku": sample.sku, "unit_quantity": 1,
            }],
            "is_kit": false, "active": true, "supplier": "Quay", "created_date": now, "updated_date": now,
        }),
        "cart-product.created" | "cart-product.updated" => json!({
            "id": format!("var_{id}"), "parent_product_id": format!("par_{id}"), "sku": sample.sku,
            "name": "Harbour Runner 42", "is_kit": false, "active": true, "price": 129, "inventory": 5,
            "tags": ["sample"], "created_date": now, "updated_date": now,
        }),
        "cart-order.created" | "cart-order.updated" => json!({
            "id": format!("ord_{id}"), "order_number": "1001", "created_date": now, "updated_date": now,
            "status": if topic == "cart-order.created" { "open" } else { "processing" },
            "raw_status": "sample", "invoice_currency_code": sample.details.currency, "total_price": 129,
            "line_items": [{
                "line_item_id": format!("lin_{id}"), "product_id": format!("var_{id}"),
                "product_sku": sample.sku, "parent_product_id": format!("par_{id}"), "quantity": 1,
                "unit_price": 129,
            }],
        }),
        _ => return None,
    })
}
