//! Orders that are paid after they were made: what a shop takes off its figures only then, and what it takes up again.

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use onhand_domain::connection::Platform;
use onhand_tests::{World, channels, sample::SIGNING_SECRET, stand_in::StandIn};
use serde_json::{Value, json};

/// A `WooCommerce` shop that shows 10 of X.
struct Shop {
    world: World,
    connection: String,
    since: DateTime<Utc>,
}

impl Shop {
    async fn open(rules: Value) -> Self {
        let world = World::new().await;
        let connection = world.connect_to(Platform::Woocommerce, json!({})).await;
        let path = format!("/api/connections/{connection}/rules");
        let counts = rules["acceptInventory"] == true;
        world.admin.put(&path, rules).await.expect(200);
        let since = world.clock.now() - TimeDelta::hours(1);
        let shop = Self { world, connection, since };
        shop.shows(10, 0).await;
        if counts {
            // The first time it was a product that nobody knew.
            shop.shows(10, 1).await;
        } else {
            let restock = json!({ "sku": "X", "quantity": 10 });
            shop.world.admin.post("/api/stock/restock", restock).await.expect(200);
        }
        shop
    }

    fn at(&self, second: i64) -> String {
        (self.since + TimeDelta::seconds(second)).format("%Y-%m-%dT%H:%M:%S").to_string()
    }

    async fn tells(&self, topic: &str, body: &Value) {
        let body = body.to_string().into_bytes();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SIGNING_SECRET.as_bytes()).expect("any length");
        mac.update(&body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let id = uuid::Uuid::now_v7().to_string();
        let headers = [
            ("x-wc-webhook-topic", topic),
            ("x-wc-webhook-signature", &*signature),
            ("x-wc-webhook-delivery-id", &*id),
        ];
        let path = format!("/webhook/woocommerce/{}", self.connection);
        self.world.admin.with_key(None).send("POST", &path, &headers, Body::from(body)).await.expect(200);
    }

    /// The shop's own figure.
    async fn shows(&self, quantity: i64, second: i64) {
        let product = json!({
            "id": 8, "name": "X", "type": "simple", "status": "publish", "sku": "X", "price": "10.00",
            "regular_price": "10.00", "manage_stock": true, "stock_quantity": quantity, "stock_status": "instock",
            "date_created_gmt": self.at(0), "date_modified_gmt": self.at(second), "variations": [],
        });
        self.tells("product.updated", &product).await;
    }

    /// An order of two, made in the 10th second.
    async fn order(&self, status: &str, second: i64) {
        let paid = matches!(status, "processing" | "completed").then(|| self.at(second));
        let order = json!({
            "id": 3, "status": status, "date_created_gmt": self.at(10), "date_modified_gmt": self.at(second),
            "date_paid_gmt": paid,
            "line_items": [{ "id": 1, "product_id": 8, "variation_id": 0, "quantity": 2, "sku": "X", "name": "X" }],
        });
        self.tells("order.updated", &order).await;
    }

    async fn level(&self) -> (i64, i64, i64) {
        self.world.levels().await["X"]
    }

    async fn available(&self) -> i64 {
        self.level().await.2
    }
}

#[tokio::test]
async fn an_order_that_waits_for_its_payment_holds_its_units_where_the_shops_figures_do_not_count() {
    let shop = Shop::open(json!({})).await;
    shop.order("pending", 10).await;
    assert_eq!(shop.level().await, (10, 2, 8));
    shop.order("processing", 20).await;
    shop.shows(8, 21).await;
    assert_eq!(shop.level().await, (8, 0, 8));
    shop.world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn an_order_that_waits_for_its_payment_is_counted_once_where_the_shops_figures_count() {
    let shop = Shop::open(json!({ "acceptInventory": true })).await;
    shop.order("pending", 10).await;
    assert_eq!(shop.level().await, (10, 0, 10), "the shop has them on offer still");
    // Another buyer's is told by a figure alone.
    shop.shows(9, 15).await;
    assert_eq!(shop.available().await, 9);
    shop.order("processing", 20).await;
    shop.shows(7, 21).await;
    assert_eq!(shop.available().await, 7);
    shop.world.expect_rebuilt_equals_live().await;

    // One that is never paid leaves nothing behind.
    let shop = Shop::open(json!({ "acceptInventory": true })).await;
    shop.order("pending", 10).await;
    shop.shows(9, 15).await;
    shop.order("cancelled", 20).await;
    assert_eq!(shop.level().await, (9, 0, 9));
    // And one that is on hold is off the shop's figure.
    let shop = Shop::open(json!({ "acceptInventory": true })).await;
    shop.order("on-hold", 10).await;
    shop.shows(8, 10).await;
    assert_eq!(shop.available().await, 8);
}

#[tokio::test]
async fn an_order_whose_payment_fails_lets_its_units_go_until_it_is_tried_again() {
    let shop = Shop::open(json!({})).await;
    shop.order("pending", 10).await;
    shop.order("failed", 20).await;
    assert_eq!(shop.level().await, (10, 0, 10));
    shop.order("pending", 30).await;
    assert_eq!(shop.level().await, (10, 2, 8));
    shop.order("failed", 20).await;
    assert_eq!(shop.level().await, (10, 2, 8), "that was before");
    shop.order("processing", 40).await;
    assert_eq!(shop.level().await, (8, 0, 8));
    shop.order("failed", 50).await;
    assert_eq!(shop.level().await, (8, 0, 8), "it may have left the house");
    shop.world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn what_was_cancelled_or_failed_before_the_last_that_was_heard_changes_nothing() {
    let shop = Shop::open(json!({})).await;
    shop.order("pending", 10).await;
    shop.order("processing", 30).await;
    shop.order("cancelled", 20).await;
    assert_eq!(shop.level().await, (8, 0, 8), "it was paid after that");
    shop.order("completed", 50).await;
    shop.order("cancelled", 40).await;
    assert_eq!(shop.level().await, (8, 0, 8));
    shop.order("cancelled", 60).await;
    assert_eq!(shop.level().await, (10, 0, 10));
    shop.order("cancelled", 80).await;
    assert_eq!(shop.level().await, (10, 0, 10), "its units come back once");
    shop.order("processing", 70).await;
    assert_eq!(shop.level().await, (10, 0, 10), "it was cancelled after that as well");
    shop.world.expect_intact().await;
    shop.world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn an_order_has_the_units_that_the_shop_has_taken_off_its_figures_and_no_others() {
    // Each with what the shop shows after it, if it shows anything else.
    type Told = (&'static str, Option<i64>);
    let lives: [&[Told]; 4] = [
        &[("on-hold", Some(8)), ("failed", None), ("cancelled", Some(10))],
        &[("on-hold", Some(8)), ("cancelled", Some(10)), ("pending", None), ("processing", Some(8))],
        &[("on-hold", Some(8)), ("pending", Some(10)), ("cancelled", None)],
        &[("pending", None), ("failed", None), ("pending", None), ("on-hold", Some(8)), ("completed", None)],
    ];
    for life in lives {
        for figure_first in [false, true] {
            let shop = Shop::open(json!({ "acceptInventory": true })).await;
            let mut shown = 10;
            for (step, (status, figure)) in (1..).zip(life) {
                let second = step * 10;
                if figure_first && let Some(figure) = figure {
                    shop.shows(*figure, second + 1).await;
                }
                shop.order(status, second).await;
                if !figure_first && let Some(figure) = figure {
                    shop.shows(*figure, second + 1).await;
                }
                shown = figure.unwrap_or(shown);
                assert_eq!(shop.available().await, shown, "{life:?} {figure_first}: {status}");
            }
            shop.world.expect_rebuilt_equals_live().await;
        }
    }
}

#[tokio::test]
async fn an_order_whose_payment_comes_after_its_cancellation_counts_after_all() {
    for rules in [json!({}), json!({ "acceptInventory": true })] {
        let shop = Shop::open(rules).await;
        shop.order("pending", 10).await;
        shop.order("cancelled", 20).await;
        assert_eq!(shop.level().await, (10, 0, 10));
        shop.order("processing", 15).await;
        assert_eq!(shop.level().await, (10, 0, 10), "that was before");
        shop.order("processing", 30).await;
        shop.shows(8, 31).await;
        assert_eq!(shop.level().await, (8, 0, 8));
        shop.order("completed", 40).await;
        assert_eq!(shop.level().await, (8, 0, 8));
        shop.world.expect_intact().await;
        shop.world.expect_rebuilt_equals_live().await;
    }
}

#[tokio::test]
async fn a_paid_order_of_which_something_is_due_again_is_not_given_up_where_cancelled_is_for_good() {
    let world = World::new().await;
    channels::stock(&world, &["X"], 10, None).await;
    let stand_in = StandIn::open().await;
    let rules = json!({ "acceptInventory": true });
    let more = json!({ "endpoint": stand_in.endpoint, "rules": rules });
    let connection = world.connect_to(Platform::Square, more).await;
    let listing =
        json!({ "connection": connection, "sku": "X", "external_product": "P1", "external_variant": "V1" });
    world.admin.post("/api/listings", listing).await.expect(200);
    let path = format!("/webhook/square/{connection}");
    // Paid, then with something due for a parcel, and paid again.
    for (second, due) in (1..).zip([0, 500, 0]) {
        stand_in.show(
            "/v2/orders/O1",
            json!({ "order": {
                "id": "O1", "state": "OPEN", "location_id": "7", "created_at": "2026-07-01T10:00:00Z",
                "updated_at": format!("2026-07-01T10:00:{second:02}Z"),
                "net_amount_due_money": { "amount": due, "currency": "USD" },
                "line_items": [{ "catalog_object_id": "V1", "quantity": "2", "name": "Runner" }],
            } }),
        );
        let told = json!({
            "type": "order.updated", "event_id": format!("e-{second}"), "merchant_id": "shop-1",
            "data": { "type": "order_updated", "id": "O1", "object": { "order_updated": { "order_id": "O1" } } },
        });
        let body = told.to_string();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SIGNING_SECRET.as_bytes()).expect("any length");
        mac.update(format!("http://localhost{path}{body}").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let headers = [("x-square-hmacsha256-signature", &*signature)];
        world.admin.with_key(None).send("POST", &path, &headers, Body::from(body)).await.expect(200);
        world.follow_up().await;
        assert_eq!(world.levels().await["X"], (8, 0, 8), "{due} is due");
    }
    let looks = stand_in.seen().iter().filter(|seen| seen.target == "/v2/orders/O1").count();
    assert!(looks >= 3, "each is seen");
}
