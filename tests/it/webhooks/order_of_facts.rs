//! No platform promises order: what is older never wins, and what is told twice counts once.

use axum::body::Body;
use chrono::TimeDelta;
use onhand_domain::connection::Platform;
use onhand_tests::{
    World,
    sample::SIGNING_SECRET,
    shop::{self, Webhook},
};
use serde_json::{Value, json};

async fn standard(world: &World, connection: &str, id: &str, kind: &str, data: Value) -> Value {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use hmac::{Hmac, KeyInit, Mac};
    let now = world.clock.now();
    let body = json!({ "type": kind, "timestamp": now, "data": data }).to_string();
    let key = STANDARD.decode(SIGNING_SECRET.trim_start_matches("whsec_")).expect("base64");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("any length");
    mac.update(format!("{id}.{}.{body}", now.timestamp()).as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let timestamp = now.timestamp().to_string();
    let headers =
        [("webhook-id", id), ("webhook-timestamp", &*timestamp), ("webhook-signature", &*signature)];
    let path = format!("/webhook/standard/{connection}");
    world.admin.with_key(None).send("POST", &path, &headers, Body::from(body)).await.expect(200)
}

fn at(mut product: Value, time: &str, title: &str) -> Value {
    product["updated_at"] = time.into();
    product["title"] = title.into();
    product
}

#[tokio::test]
async fn an_older_product_never_overwrites_a_newer_one_even_if_it_is_its_creation() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let product = shop::product("DUNK", &[("42", "110.00"), ("43", "110.00")]);
    let send = async |topic: &str, id: &str, body: &Value| {
        Webhook::new(topic, id, body).send(&world.admin, &connection).await.expect(200)
    };
    let newer = at(product.clone(), "2026-11-02T12:00:00Z", "Dunk, renamed");
    send("products/update", "u", &newer).await;
    send("products/create", "c", &at(product.clone(), "2026-11-01T12:00:00Z", "Dunk")).await;
    let title =
        async || world.admin.get("/api/products?sku=DUNK-42").await.expect(200)["data"][0]["title"].clone();
    assert_eq!(title().await, "Dunk, renamed");

    // A size that is no longer there is no longer sold there; news from before do not bring it back.
    let mut fewer = at(product.clone(), "2026-11-03T12:00:00Z", "Dunk, renamed");
    fewer["variants"].as_array_mut().expect("variants").pop();
    send("products/update", "f", &fewer).await;
    send("products/update", "late", &at(product, "2026-11-02T13:00:00Z", "Dunk, late")).await;
    assert_eq!(title().await, "Dunk, renamed");
    let listings = world.admin.get("/api/listings").await.expect(200);
    let removed: Vec<_> =
        listings["data"].as_array().expect("rows").iter().map(|l| l["removed"].clone()).collect();
    assert_eq!(removed.iter().filter(|removed| **removed == true).count(), 1, "{removed:?}");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_shop_whose_clock_is_ahead_can_delete_what_it_has_just_changed() {
    let world = World::new().await;
    let connection = world.connect_to(Platform::Standard, json!({})).await;
    let now = world.clock.now();
    let product = |seconds_ahead: i64| {
        let at = now + TimeDelta::seconds(seconds_ahead);
        json!({ "id": "P", "title": "Mole", "updated_at": at, "variants": [{ "id": "V", "sku": "X" }] })
    };
    let removed = async || world.admin.get("/api/listings").await.expect(200)["data"][0]["removed"].clone();
    standard(&world, &connection, "p-1", "product.updated", product(90)).await;
    assert_eq!(removed().await, false);
    standard(&world, &connection, "d-1", "product.deleted", json!({ "id": "P" })).await;
    assert_eq!(removed().await, true);
    standard(&world, &connection, "p-1-again", "product.updated", product(90)).await;
    assert_eq!(removed().await, true, "that is what it was seen as");
    standard(&world, &connection, "p-2", "product.updated", product(80)).await;
    assert_eq!(removed().await, true, "that was before");
    standard(&world, &connection, "p-3", "product.updated", product(95)).await;
    assert_eq!(removed().await, false);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn what_was_taken_away_here_is_listed_again_as_it_was_mapped_once_the_shop_shows_it_later() {
    let world = World::new().await;
    world.stocked(&[("X", 10), ("Y", 10)]).await;
    let connection = world.connect_to(Platform::Standard, json!({})).await;
    let mapping =
        json!({ "connection": connection, "external_product": "P", "external_variant": "V", "sku": "Y" });
    let made = world.admin.post("/api/listings", mapping).await.expect(200);
    let path = format!("/api/listings/{}", made["id"].as_str().expect("an id"));
    world.admin.send("DELETE", &path, &[], Body::empty()).await.expect(200);

    let now = world.clock.now();
    let product = |seconds: i64| {
        let at = now + TimeDelta::seconds(seconds);
        json!({ "id": "P", "title": "Runner", "updated_at": at, "variants": [{ "id": "V", "sku": "X" }] })
    };
    let listed = async || {
        let listed = world.admin.get("/api/listings").await.expect(200);
        (listed["data"][0]["sku"].clone(), listed["data"][0]["removed"].clone())
    };
    standard(&world, &connection, "p-1", "product.updated", product(-60)).await;
    assert_eq!(listed().await, (json!("Y"), json!(true)), "that was before");
    standard(&world, &connection, "p-2", "product.updated", product(60)).await;
    assert_eq!(listed().await, (json!("Y"), json!(false)));
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_removal_that_comes_after_a_later_sight_removes_nothing() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    // The shop says of each of its deliveries that it was sent on 1 November.
    let product = at(shop::product("DUNK", &[("42", "110.00")]), "2026-11-02T12:00:00Z", "Dunk");
    Webhook::new("products/update", "u", &product).send(&world.admin, &connection).await.expect(200);
    let gone = json!({ "id": product["id"] });
    Webhook::new("products/delete", "d", &gone).send(&world.admin, &connection).await.expect(200);
    let listings = world.admin.get("/api/listings").await.expect(200);
    assert_eq!(listings["data"][0]["removed"], false);
    world.project().await;
    let deliveries = world.admin.get("/api/deliveries?topic=products/delete").await.expect(200);
    assert!(deliveries["data"][0]["notes"].to_string().contains("seen later"), "{deliveries}");
}

#[tokio::test]
async fn a_deletion_that_is_told_before_the_creation_takes_the_listing_away_unless_it_was_seen_later() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let send = async |topic: &str, id: &str, body: &Value| {
        Webhook::new(topic, id, body).send(&world.admin, &connection).await.expect(200)
    };
    let deletion = async |id: &str| {
        let told = world.admin.get("/api/deliveries?topic=products/delete").await.expect(200);
        let mut told = told["data"].as_array().expect("rows").clone().into_iter();
        told.find(|row| row["external_id"] == id).expect("it was told")
    };
    // The shop says of each of its deliveries that it was sent on 1 November.
    let gone = shop::product("GONE", &[("42", "110.00")]);
    let back = at(shop::product("BACK", &[("42", "110.00")]), "2026-11-02T12:00:00Z", "Back");
    let never = json!({ "id": 1 });
    for (id, product) in [("gone", &gone), ("back", &back), ("never", &never)] {
        send("products/delete", id, &json!({ "id": product["id"] })).await;
        world.project().await;
        assert_eq!(deletion(id).await["outcome"], "unmapped");
    }
    send("products/create", "c-gone", &gone).await;
    send("products/create", "c-back", &back).await;
    world.follow_up().await;
    let listed = world.admin.get("/api/listings").await.expect(200);
    let listed = listed["data"].as_array().expect("rows");
    let mut removed: Vec<_> =
        listed.iter().map(|it| (it["sku"].as_str().expect("a SKU"), it["removed"] == true)).collect();
    removed.sort_unstable();
    assert_eq!(removed, [("BACK-42", false), ("GONE-42", true)]);
    assert_eq!(deletion("gone").await["outcome"], "applied");
    let seen_later = deletion("back").await;
    assert_eq!(seen_later["outcome"], "unchanged");
    assert!(seen_later["notes"].to_string().contains("seen later"), "{seen_later}");

    // One that is known to be gone is known; of one that has not come within a day nothing is ever written again.
    send("products/delete", "gone-again", &json!({ "id": gone["id"] })).await;
    world.stocked(&[("X", 1)]).await;
    let before = world.history().await.len();
    world.follow_up().await;
    assert_eq!(world.history().await.len(), before);
    assert_eq!(deletion("gone-again").await["outcome"], "unchanged");
    assert_eq!(deletion("never").await["outcome"], "unchanged");
    assert_eq!(world.admin.get("/api/dead-letters").await.expect(200)["data"], json!([]));
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_paid_order_moves_stock_once_whichever_news_come_first_and_a_cancellation_brings_it_back() {
    let world = World::new().await;
    world.stocked(&[("X", 10), ("Y", 10)]).await;
    let connection = world.connect_to(Platform::Standard, json!({})).await;
    let order = |id: &str, sku: &str| json!({ "id": id, "lines": [{ "sku": sku, "quantity": 2 }] });
    for (number, kind) in ["order.paid", "order.placed", "order.paid"].into_iter().enumerate() {
        standard(&world, &connection, &format!("x-{number}"), kind, order("x", "X")).await;
    }
    for (number, kind) in ["order.placed", "order.paid", "order.placed"].into_iter().enumerate() {
        standard(&world, &connection, &format!("y-{number}"), kind, order("y", "Y")).await;
    }
    let levels = world.levels().await;
    assert_eq!((levels["X"], levels["Y"]), ((8, 0, 8), (8, 0, 8)));
    for id in ["x", "y"] {
        for time in 0..2 {
            let name = format!("cancel-{id}-{time}");
            standard(&world, &connection, &name, "order.cancelled", json!({ "id": id })).await;
        }
        standard(&world, &connection, &format!("late-{id}"), "order.paid", order(id, "X")).await;
    }
    let levels = world.levels().await;
    assert_eq!((levels["X"], levels["Y"]), ((10, 0, 10), (10, 0, 10)));
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn what_speaks_of_a_variant_nobody_knows_is_kept_and_applied_once_it_is_mapped() {
    let world = World::new().await;
    world.stocked(&[("X", 10)]).await;
    let connection = world.connect_to(Platform::Standard, json!({})).await;
    let lines = json!([{ "sku": "X", "quantity": 1 }, { "variant": "V-77", "quantity": 3 }]);
    let paid = json!({ "id": "o", "lines": lines });
    standard(&world, &connection, "o-1", "order.paid", paid.clone()).await;
    assert_eq!(world.levels().await["X"], (9, 0, 9));
    let unmapped = world.admin.get("/api/deliveries?outcome=unmapped").await.expect(200);
    assert_eq!(unmapped["data"].as_array().map(Vec::len), Some(1), "{unmapped}");

    let listing =
        json!({ "connection": connection, "external_product": "P", "external_variant": "V-77", "sku": "X" });
    world.admin.post("/api/listings", listing).await.expect(200);
    world.follow_up().await;
    assert_eq!(world.levels().await["X"], (6, 0, 6), "three more, sold like the first");
    let unmapped = world.admin.get("/api/deliveries?outcome=unmapped").await.expect(200);
    assert_eq!(unmapped["data"].as_array().map(Vec::len), Some(0), "{unmapped}");
    standard(&world, &connection, "o-2", "order.paid", paid).await;
    assert_eq!(world.levels().await["X"], (6, 0, 6));
    standard(&world, &connection, "o-3", "order.cancelled", json!({ "id": "o" })).await;
    assert_eq!(world.levels().await["X"], (10, 0, 10));
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn lines_that_are_found_with_the_news_of_the_payment_are_sold_with_the_others() {
    let world = World::new().await;
    world.stocked(&[("X", 10), ("Y", 10)]).await;
    let connection = world.connect_to(Platform::Standard, json!({})).await;
    let lines = json!([{ "sku": "X", "quantity": 1 }, { "variant": "V-8", "quantity": 2 }]);
    let order = json!({ "id": "o", "lines": lines });
    standard(&world, &connection, "o-1", "order.placed", order.clone()).await;
    let listing =
        json!({ "connection": connection, "external_product": "P", "external_variant": "V-8", "sku": "Y" });
    world.admin.post("/api/listings", listing).await.expect(200);
    standard(&world, &connection, "o-2", "order.paid", order).await;
    let levels = world.levels().await;
    assert_eq!((levels["X"], levels["Y"]), ((9, 0, 9), (8, 0, 8)));
    world.follow_up().await;
    let levels = world.levels().await;
    assert_eq!((levels["X"], levels["Y"]), ((9, 0, 9), (8, 0, 8)));
    standard(&world, &connection, "o-3", "order.cancelled", json!({ "id": "o" })).await;
    let levels = world.levels().await;
    assert_eq!((levels["X"], levels["Y"]), ((10, 0, 10), (10, 0, 10)));
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn hundreds_of_deliveries_that_nobody_will_ever_understand_are_looked_at_once_and_left_alone() {
    let world = World::new().await;
    let connection = world.connect_to(Platform::Standard, json!({})).await;
    for number in 0..230 {
        let order = json!({ "id": format!("o-{number}"), "lines": [{ "sku": "NEVER", "quantity": 1 }] });
        standard(&world, &connection, &format!("d-{number}"), "order.placed", order).await;
    }
    world.stocked(&[("X", 1)]).await;
    let before = world.history().await.len();
    world.follow_up().await;
    assert_eq!(world.history().await.len(), before, "nothing new is known of them");
}

#[tokio::test]
async fn units_a_platform_moves_count_only_where_the_rules_say_so() {
    let world = World::new().await;
    world.stocked(&[("X", 10)]).await;
    let closed = world.connect_to(Platform::Standard, json!({})).await;
    let open = world.connect_to(Platform::Standard, json!({ "rules": { "acceptInventory": true } })).await;
    let moved = json!({ "inventory": "X", "delta": -2, "reason": "damaged" });
    standard(&world, &closed, "m", "stock.adjusted", moved.clone()).await;
    assert_eq!(world.levels().await["X"], (10, 0, 10));
    standard(&world, &open, "m", "stock.adjusted", moved.clone()).await;
    standard(&world, &open, "m", "stock.adjusted", moved).await;
    assert_eq!(world.levels().await["X"], (8, 0, 8));
}

#[tokio::test]
async fn orders_move_no_stock_while_their_flag_is_off() {
    let world = World::new().await;
    world.stocked(&[("X", 10)]).await;
    let connection = world.connect_to(Platform::Standard, json!({})).await;
    let flag = "/api/flags/FEATURE_ORDERS_MOVE_STOCK";
    world.admin.put(flag, json!({ "value": false })).await.expect(200);
    let order = |id: &str| json!({ "id": id, "lines": [{ "sku": "X", "quantity": 2 }] });
    standard(&world, &connection, "a", "order.placed", order("a")).await;
    assert_eq!(world.levels().await["X"], (10, 0, 10));
    world.admin.put(flag, json!({ "value": true })).await.expect(200);
    standard(&world, &connection, "b", "order.placed", order("b")).await;
    assert_eq!(world.levels().await["X"], (10, 2, 8));
}
