//! Made-up deliveries in our own words, signed, for people who try things out and for tests.

use chrono::SecondsFormat;
use onhand_domain::values::ExternalId;
use serde_json::{Value, json};

use super::super::{
    adapter::{Made, Sample},
    svix,
};

/// A delivery about a runner in one size. What it speaks of is the same for all topics with one sample id.
///
/// None if the secret is no secret of the standard's kind, because such a secret signs nothing.
pub(super) fn sample(topic: &str, sample: &Sample<'_>) -> Option<Made> {
    let now = sample.now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let body = json!({ "type": topic, "timestamp": now, "data": data(topic, sample)? });
    let body = body.to_string().into_bytes();
    let id = format!("msg_{}", sample.id.simple());
    let seconds = sample.now.timestamp();
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-signature", svix::sign(sample.secret, &id, seconds, &body)?),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-id", id),
    ];
    Some((headers, body))
}

fn data(topic: &str, sample: &Sample<'_>) -> Option<Value> {
    let id = sample.id.simple();
    let (product, variant, order) = (format!("product-{id}"), format!("variant-{id}"), format!("order-{id}"));
    // Stock that the ledger knows can be spoken of by its SKU, unless that has blanks, which no handle has.
    let inventory = ExternalId::new(sample.sku).map_or(variant.as_str(), |_| sample.sku);
    let location = &sample.details.platform_location;
    let currency = sample.details.currency;
    Some(match topic {
        "product.created" | "product.updated" => json!({
            "id": product, "title": "Harbour Runner", "vendor": "Quay", "category": "Shoes",
            "tags": ["sample"],
            "variants": [{
                "id": variant, "sku": sample.sku, "price": "129.00", "currency": currency,
                "attributes": { "size": "42", "colour": "sand" },
            }],
        }),
        "product.deleted" => json!({ "id": product }),
        "stock.observed" => json!({ "inventory": inventory, "location": location, "available": 5 }),
        "stock.adjusted" => {
            json!({ "inventory": inventory, "location": location, "delta": -1, "reason": "damaged" })
        }
        "price.observed" => json!({
            "style_code": sample.sku, "size": "9", "market": sample.details.market, "price": "141.00",
            "currency": currency,
        }),
        "order.placed" | "order.paid" => json!({
            "id": order,
            "lines": [{ "variant": variant, "sku": sample.sku, "quantity": 1, "title": "Harbour Runner" }],
        }),
        "order.cancelled" => json!({ "id": order }),
        "signal.raised" => json!({
            "subject": sample.sku, "message": "Harbour Runner sells faster than usual",
            "signal": id.to_string(),
        }),
        _ => return None,
    })
}
