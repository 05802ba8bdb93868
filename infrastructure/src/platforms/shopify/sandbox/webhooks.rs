//! Webhooks as the platform words them: bodies, their bytes, the signature, the headers.
//! All of it is pure, so that tests and tools can make a genuine delivery without running a shop.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::money::Money;
use super::state::{Order, OrderLine, Product, Variant};

/// One delivery: what is told, to be sent in these very bytes however often.
#[derive(Debug, Clone)]
pub struct Notice {
    /// The topic as headers spell it, for example `products/update`.
    pub topic: String,
    /// The shop that speaks.
    pub shop_domain: String,
    /// The version whose shapes the body has.
    pub api_version: String,
    /// The delivery's id, the same on each retry.
    pub webhook_id: Uuid,
    /// The id of what happened, the same for each subscription.
    pub event_id: Uuid,
    /// When it happened.
    pub triggered_at: DateTime<Utc>,
    /// The bytes that are signed and sent.
    pub body: Vec<u8>,
}

/// The signature header's value: HMAC-SHA256 over the raw body, in base64.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The headers of a delivery, signature included, in the documented spelling.
pub fn webhook_headers(notice: &Notice, secret: &str) -> Vec<(&'static str, String)> {
    vec![
        ("Content-Type", "application/json".to_owned()),
        ("User-Agent", "Shopify-Captain-Hook".to_owned()),
        ("X-Shopify-Topic", notice.topic.clone()),
        ("X-Shopify-Hmac-Sha256", sign(secret, &notice.body)),
        ("X-Shopify-Shop-Domain", notice.shop_domain.clone()),
        ("X-Shopify-API-Version", notice.api_version.clone()),
        ("X-Shopify-Webhook-Id", notice.webhook_id.to_string()),
        ("X-Shopify-Event-Id", notice.event_id.to_string()),
        ("X-Shopify-Triggered-At", notice.triggered_at.to_rfc3339_opts(SecondsFormat::Nanos, true)),
    ]
}

/// The bytes of a body: compact, with `/` and `&` escaped as the real store escapes them.
pub fn wire_bytes(body: &Value) -> Vec<u8> {
    // Outside of strings JSON has neither of the two, and inside they stand for themselves.
    body.to_string().replace('/', "\\/").replace('&', "\\u0026").into_bytes()
}

/// `products/create` and `products/update`: the product with all its variants.
pub fn product_body(product: &Product) -> Value {
    let option = |(index, name): (usize, &String)| {
        let mut values: Vec<&str> = Vec::new();
        for value in product.variants.iter().filter_map(|variant| variant.options().nth(index)) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        json!({"id": product.id, "product_id": product.id, "name": name, "position": index + 1, "values": values})
    };
    let options: Vec<Value> = product.options.iter().enumerate().map(option).collect();
    let gids = product.variants.iter().map(|variant| {
        json!({"admin_graphql_api_id": gid("ProductVariant", variant.id), "updated_at": millis(variant.updated_at)})
    });
    json!({
        "id": product.id,
        "admin_graphql_api_id": gid("Product", product.id),
        "title": product.title,
        "body_html": "",
        "vendor": product.vendor,
        "product_type": product.product_type,
        "handle": product.handle,
        "tags": product.tags.join(", "),
        "status": product.status.to_lowercase(),
        "published_scope": "web",
        "template_suffix": null,
        "created_at": seconds(product.created_at),
        "updated_at": seconds(product.updated_at),
        "published_at": product.is_published().then(|| seconds(product.created_at)),
        "variants": product.variants.iter().enumerate().map(variant_body).collect::<Vec<_>>(),
        "options": options,
        "images": [],
        "image": null,
        "media": [],
        "variant_gids": gids.collect::<Vec<_>>(),
        "has_variants_that_requires_components": false,
    })
}

fn variant_body((index, variant): (usize, &Variant)) -> Value {
    json!({
        "id": variant.id,
        "admin_graphql_api_id": gid("ProductVariant", variant.id),
        "product_id": variant.product_id,
        "title": variant.title(),
        "option1": variant.option1,
        "option2": variant.further.first(),
        "option3": variant.further.get(1),
        "sku": variant.sku,
        "barcode": null,
        "price": variant.price.to_string(),
        "compare_at_price": variant.compare_at_price.map(|price| price.to_string()),
        "position": index + 1,
        "inventory_policy": if variant.oversells { "continue" } else { "deny" },
        "inventory_item_id": variant.inventory_item_id,
        "inventory_quantity": variant.available,
        "old_inventory_quantity": variant.available,
        "image_id": null,
        "taxable": true,
        "created_at": seconds(variant.updated_at),
        "updated_at": seconds(variant.updated_at),
    })
}

/// `products/delete`: the id and nothing else.
pub fn product_deleted_body(product_id: u64) -> Value {
    json!({"id": product_id})
}

/// `inventory_levels/update`: one item at one location; uncounted stock is null.
pub fn inventory_level_body(variant: &Variant, location_id: u64) -> Value {
    let item = variant.inventory_item_id;
    json!({
        "inventory_item_id": item,
        "location_id": location_id,
        "available": variant.tracked.then_some(variant.available),
        "updated_at": seconds(variant.updated_at),
        "admin_graphql_api_id": format!("{}?inventory_item_id={item}", gid("InventoryLevel", location_id)),
    })
}

/// `inventory_levels/disconnect`: the two ids and nothing else.
pub fn inventory_level_gone_body(inventory_item_id: u64, location_id: u64) -> Value {
    json!({"inventory_item_id": inventory_item_id, "location_id": location_id})
}

/// `orders/create` and, once the order is cancelled, `orders/cancelled`.
pub fn order_body(order: &Order) -> Value {
    let total = order
        .lines
        .iter()
        .fold(Money::ZERO, |sum, line| sum.plus(line.price.times(line.quantity)))
        .to_string();
    let cancelled = order.cancelled_at.is_some();
    json!({
        "id": order.id,
        "admin_graphql_api_id": gid("Order", order.id),
        "name": format!("#{}", order.number),
        "number": order.number.saturating_sub(1000),
        "order_number": order.number,
        "confirmed": true,
        "test": false,
        "source_name": "web",
        "created_at": seconds(order.created_at),
        "processed_at": seconds(order.created_at),
        "updated_at": seconds(order.cancelled_at.unwrap_or(order.created_at)),
        "cancelled_at": order.cancelled_at.map(seconds),
        "cancel_reason": cancelled.then_some("customer"),
        "closed_at": null,
        "currency": "USD",
        "financial_status": if cancelled { "voided" } else { "paid" },
        "fulfillment_status": null,
        "subtotal_price": total,
        "total_line_items_price": total,
        "total_discounts": "0.00",
        "total_tax": "0.00",
        "total_price": total,
        "taxes_included": false,
        "email": "",
        "note": null,
        "tags": "",
        "location_id": null,
        "customer": null,
        "discount_codes": [],
        "fulfillments": [],
        "refunds": [],
        "shipping_lines": [],
        "line_items": order.lines.iter().map(line_body).collect::<Vec<_>>(),
    })
}

fn line_body(line: &OrderLine) -> Value {
    json!({
        "id": line.id,
        "admin_graphql_api_id": gid("LineItem", line.id),
        "product_id": line.product_id,
        "variant_id": line.variant_id,
        "sku": line.sku,
        "title": line.title,
        "variant_title": line.variant_title,
        "name": format!("{} - {}", line.title, line.variant_title),
        "quantity": line.quantity,
        "fulfillable_quantity": line.quantity,
        "fulfillment_status": null,
        "price": line.price.to_string(),
        "total_discount": "0.00",
        "gift_card": false,
        "requires_shipping": true,
        "product_exists": true,
        "variant_inventory_management": "shopify",
        "properties": [],
        "tax_lines": [],
    })
}

pub(super) fn gid(kind: &str, id: u64) -> String {
    format!("gid://shopify/{kind}/{id}")
}

/// Store deliveries carry whole seconds and a numeric offset.
fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, false)
}

fn millis(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_published_construction() {
        // The second case of RFC 4231, in base64.
        let digest = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
        assert_eq!(sign("Jefe", b"what do ya want for nothing?"), digest);
    }

    #[test]
    fn bytes_are_compact_and_escaped_and_mean_the_same() {
        let body = json!({"title": "Salt & Sole 9/10", "id": 12_000_000_000_000_001_u64});
        let bytes = wire_bytes(&body);
        assert_eq!(bytes, br#"{"id":12000000000000001,"title":"Salt \u0026 Sole 9\/10"}"#);
        assert_eq!(serde_json::from_slice::<Value>(&bytes).ok(), Some(body));
    }
}
