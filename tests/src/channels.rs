//! Channels: stand-ins of platforms with goods of ours on them, connected and mapped as a seller would do it.
//!
//! A stand-in goes by the world's clock, so that its minute is the test's minute. Nobody is told of what happens there.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use futures_util::future::join_all;
use onhand_domain::{connection::Platform, values::ConnectionId};
use onhand_infrastructure::platforms::sandbox::{Calls, Faults, Good, Sandbox, Settings, wire_of};
use serde_json::{Value, json};

use crate::{World, sample::SIGNING_SECRET};

/// What calls are made with. With a colon in it, as the pair of keys has that `WooCommerce` gives out; to the others it is a
/// token like any.
pub const TOKEN: &str = "ck_stand:cs_stand";

/// Variants of one product, here and there.
const VARIANTS_MAX: usize = 100;
/// Requests that are under way at the same time.
const ABREAST: usize = 50;
/// What everything costs over there to begin with, in cents.
const PRICE: i64 = 9_000;

/// What is special about a channel.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Variants of one product over there.
    pub sizes: usize,
    /// Calls that are let in within any minute; none for as many as there come.
    pub calls_a_minute: Option<usize>,
    /// What the connection is made with, beyond what the stand-in wants or instead of it.
    pub more: Value,
}

impl Default for Setup {
    fn default() -> Self {
        Self { sizes: VARIANTS_MAX, calls_a_minute: None, more: Value::Null }
    }
}

/// A stand-in, and our connection to it.
pub struct Channel {
    /// Whose words it speaks.
    pub platform: Platform,
    /// The stand-in.
    pub sandbox: Sandbox,
    /// The connection's id.
    pub connection: String,
}

impl Channel {
    /// Opens a stand-in that has these SKUs, none of them in stock, and maps each. They have to be in the ledger.
    pub async fn open(world: &World, platform: Platform, skus: &[impl AsRef<str>]) -> Self {
        Self::open_with(world, platform, skus, &Setup::default()).await
    }

    /// The same, set up otherwise.
    ///
    /// # Panics
    /// When the platform has no stand-in of this sort.
    pub async fn open_with(
        world: &World,
        platform: Platform,
        skus: &[impl AsRef<str>],
        setup: &Setup,
    ) -> Self {
        let wire = wire_of(platform).expect("the platform has a stand-in");
        let settings = Settings {
            access_token: TOKEN.into(),
            webhook_secret: SIGNING_SECRET.into(),
            calls_a_minute: setup.calls_a_minute,
            ..Settings::new(world.clock.clone())
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sandbox = Sandbox::open(wire, settings, listen).await.expect("a free port");
        for (number, skus) in skus.chunks(setup.sizes).enumerate() {
            let variants: Vec<(&str, i64, i64)> = skus.iter().map(|sku| (sku.as_ref(), PRICE, 0)).collect();
            let title = match &variants[..] {
                // To some platforms that is a product by itself.
                [(sku, ..)] => (*sku).to_owned(),
                _ => format!("Runner {number}"),
            };
            sandbox.seed(&title, &variants);
        }
        let connection = world.connect_to(platform, account(&sandbox, &setup.more)).await;
        let channel = Self { platform, sandbox, connection };
        let goods = channel.sandbox.goods();
        for goods in goods.chunks(ABREAST) {
            join_all(goods.iter().map(|good| channel.map(world, good))).await;
        }
        channel
    }

    async fn map(&self, world: &World, good: &Good) {
        let (product, variant, inventory) = self.sandbox.handle(good);
        let body = json!({
            "connection": self.connection, "external_product": product, "external_variant": variant,
            "external_inventory": inventory, "sku": good.sku,
        });
        world.admin.post("/api/listings", body).await.expect(200);
    }

    /// The connection's id.
    pub fn id(&self) -> ConnectionId {
        self.connection.parse().expect("an id is a UUID")
    }

    /// What customers see: quantity, and price in cents, by SKU.
    pub fn shows(&self) -> BTreeMap<String, (i64, i64)> {
        self.sandbox.shows()
    }

    /// How many of one customers see.
    pub fn quantity(&self, sku: &str) -> i64 {
        self.shows()[sku].0
    }

    /// How many of each customers see, by SKU.
    pub fn quantities(&self) -> BTreeMap<String, i64> {
        self.shows().into_iter().map(|(sku, (quantity, _))| (sku, quantity)).collect()
    }

    /// What it was asked so far.
    pub fn calls(&self) -> Calls {
        self.sandbox.calls()
    }

    /// What goes wrong there.
    pub fn faults(&self) -> Faults {
        self.sandbox.faults()
    }
}

/// What a connection to a stand-in is made with.
fn account(sandbox: &Sandbox, more: &Value) -> Value {
    let settings = sandbox.settings();
    let mut account = json!({
        "account": settings.account, "app": settings.app, "endpoint": sandbox.endpoint(),
        "platform_location": settings.location, "currency": settings.currency,
        "access_token": settings.access_token, "app_secret": settings.app_secret,
        "webhook_secret": settings.webhook_secret,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        account[name] = value.clone();
    }
    account
}

/// Takes SKUs into the ledger, a hundred variants a product, with so many units of each at `main`, and a price where one is
/// given: `"100.00"`.
pub async fn stock(world: &World, skus: &[impl AsRef<str>], quantity: i64, price: Option<&str>) {
    for (number, skus) in skus.chunks(VARIANTS_MAX).enumerate() {
        let variants: Vec<Value> = skus
            .iter()
            .map(|sku| match price {
                None => json!({ "sku": sku.as_ref() }),
                Some(price) => {
                    json!({ "sku": sku.as_ref(), "prices": { "US": { "amount": price, "currency": "USD" } } })
                }
            })
            .collect();
        let product = json!({ "title": format!("Runner {number}"), "brand": "kite", "variants": variants });
        world.admin.post("/api/products", product).await.expect(201);
    }
    if quantity > 0 {
        restock(world, skus, quantity).await;
    }
}

/// So many units of each arrive at `main`.
///
/// # Panics
/// When one of them does not.
pub async fn restock(world: &World, skus: &[impl AsRef<str>], quantity: i64) {
    let arrived = |sku: &str| json!({ "restock": { "sku": sku, "quantity": quantity } });
    let rows: Vec<Value> = skus.iter().map(|sku| arrived(sku.as_ref())).collect();
    let answer = world.admin.post("/api/stock/bulk", json!({ "rows": rows })).await.expect(200);
    let outcomes = answer["rows"].as_array().expect("an outcome a row");
    let done = outcomes.iter().filter(|row| row["status"] == "done").count();
    assert_eq!(done, skus.len(), "{answer}");
}

/// What one costs in the market of all channels from now on: `"100.00"`.
pub async fn price(world: &World, sku: &str, amount: &str) {
    let body = json!({ "amount": amount, "currency": "USD" });
    world.admin.put(&format!("/api/variants/{sku}/prices/US"), body).await.expect(200);
}
