//! Webhooks as a shop sends them, signed with a real secret.

use std::net::{Ipv4Addr, SocketAddr};

use axum::body::Body;
use onhand_infrastructure::platforms::{
    kicksdb,
    shopify::sandbox::{self, CostBucket, SandboxShop, SeedProduct, SeedVariant, ShopSettings},
};
use serde_json::{Value, json};

use crate::{Answer, Client};

/// What the tests' shops sign with.
pub const SECRET: &str = "hush-hush-shop-secret";

/// Opens a stand-in shop with nothing in it. Its webhooks go nowhere by themselves.
///
/// # Panics
/// When no port is free.
pub async fn empty() -> SandboxShop {
    let settings = ShopSettings {
        domain: "sneaks-one.example".into(),
        access_token: "shpat_test".into(),
        webhook_secret: SECRET.into(),
        api_version: "2026-04".into(),
        location_id: 7,
        bucket: CostBucket::default(),
    };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    SandboxShop::start(settings, listen).await.expect("a shop opens")
}

/// Opens one with one product, a variant a size, none of it in stock. [`introduce`] makes its product known.
pub async fn open(style: &str, sizes: &[&str]) -> SandboxShop {
    let shop = empty().await;
    let variants = sizes.iter().map(|size| SeedVariant {
        sku: format!("{style}-{size}"),
        option1: (*size).to_owned(),
        price: "120.00".into(),
        quantity: 0,
    });
    shop.seed(SeedProduct { title: "Runner".into(), variants: variants.collect(), ..SeedProduct::default() });
    shop
}

/// Lets a stand-in shop show its product to the ledger.
pub async fn introduce(shop: &SandboxShop, client: &Client, connection: &str) {
    let shown = shop.shows();
    let variants: Vec<Value> = shown
        .iter()
        .map(|v| {
            let size = v.sku.rsplit('-').next();
            json!({ "id": v.variant_id, "sku": v.sku, "price": v.price, "option1": size,
                    "inventory_item_id": v.inventory_item_id })
        })
        .collect();
    let product = json!({
        "id": shown[0].product_id, "title": "Runner", "options": [{ "name": "Size", "position": 1 }],
        "updated_at": "2026-11-01T12:00:00Z", "variants": variants,
    });
    Webhook::new("products/create", "intro", &product).send(client, connection).await.expect(200);
}

/// A webhook about to be sent.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// `orders/create`
    pub topic: String,
    /// The shop's id of the delivery.
    pub id: String,
    /// The very bytes.
    pub body: Vec<u8>,
    /// Base64.
    pub signature: String,
}

impl Webhook {
    /// Signed by the tests' shop.
    pub fn new(topic: &str, id: &str, body: &Value) -> Self {
        Self::of_bytes(topic, id, sandbox::wire_bytes(body))
    }

    /// Signed by the tests' shop, over these bytes.
    pub fn of_bytes(topic: &str, id: &str, body: Vec<u8>) -> Self {
        Self { topic: topic.into(), id: id.into(), signature: sandbox::sign(SECRET, &body), body }
    }

    /// Sends it to a connection.
    pub async fn send(&self, client: &Client, connection: &str) -> Answer {
        let headers = [
            ("x-shopify-topic", self.topic.as_str()),
            ("x-shopify-webhook-id", self.id.as_str()),
            ("x-shopify-hmac-sha256", self.signature.as_str()),
            ("x-shopify-shop-domain", "sneaks-one.example"),
            ("x-shopify-triggered-at", "2026-11-01T12:00:00.123456789Z"),
        ];
        let path = format!("/webhook/shopify/{connection}");
        client.with_key(None).send("POST", &path, &headers, Body::from(self.body.clone())).await
    }
}

/// A product with one variant a size; ids are beyond 2^53 on purpose.
pub fn product(style: &str, sizes: &[(&str, &str)]) -> Value {
    let base = 8_000_000_000_000_000_000_u64 + style.bytes().map(u64::from).sum::<u64>() * 1_000;
    let variants: Vec<Value> = sizes
        .iter()
        .enumerate()
        .map(|(number, (size, price))| {
            let id = base + number as u64 + 1;
            json!({
                "id": id, "product_id": base, "sku": format!("{style}-{size}"), "price": price, "option1": size,
                "title": size, "inventory_item_id": id + 500, "inventory_quantity": 0,
                "updated_at": "2026-11-01T12:00:00Z",
            })
        })
        .collect();
    json!({
        "id": base, "title": format!("Runner {style}"), "vendor": "Kite & Co", "handle": style.to_lowercase(),
        "product_type": "Sneakers", "tags": "low, leather", "status": "active",
        "updated_at": "2026-11-01T12:00:00Z",
        "options": [{ "name": "Size", "position": 1 }], "variants": variants,
    })
}

/// An order of some of a product's variants, by place in the product.
pub fn order(id: u64, product: &Value, lines: &[(usize, i64)]) -> Value {
    let lines: Vec<Value> = lines
        .iter()
        .map(|(place, quantity)| {
            let variant = &product["variants"][place];
            json!({
                "id": id * 10 + *place as u64, "variant_id": variant["id"], "product_id": product["id"],
                "sku": variant["sku"], "quantity": quantity, "price": variant["price"], "title": product["title"],
            })
        })
        .collect();
    json!({ "id": id, "created_at": "2026-11-01T12:00:00Z", "updated_at": "2026-11-01T12:00:00Z", "line_items": lines })
}

/// The same order, once it is cancelled.
pub fn cancelled(mut order: Value) -> Value {
    order["cancelled_at"] = "2026-11-01T12:05:00Z".into();
    order["cancel_reason"] = "customer".into();
    order
}

/// A price move in the market, as KicksDB sends it.
pub async fn kicksdb(client: &Client, id: &str, timestamp: i64, body: &Value) -> Answer {
    let body = body.to_string().into_bytes();
    let signature = kicksdb::sign(SECRET, &body);
    let timestamp = timestamp.to_string();
    let headers = [
        ("x-kicksdb-event-id", id),
        ("x-kicksdb-timestamp", timestamp.as_str()),
        ("x-kicksdb-signature", signature.as_str()),
    ];
    client.with_key(None).send("POST", "/api/kicks/monitor", &headers, Body::from(body)).await
}
