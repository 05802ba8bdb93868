//! Hints: what a webhook does not say is looked up on the platform, as a step that nothing loses.

use axum::{body::Body, http::StatusCode};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use onhand_domain::connection::Platform;
use onhand_tests::{World, sample::SIGNING_SECRET, stand_in::StandIn};
use serde_json::{Value, json};

async fn clover(world: &World, connection: &str, object: &str, kind: &str, ts: i64) {
    let body =
        json!({ "appId": "A", "merchants": { "M1": [{ "objectId": object, "type": kind, "ts": ts }] } });
    let path = format!("/webhook/clover/{connection}");
    let headers = [("x-clover-auth", SIGNING_SECRET)];
    world.admin.with_key(None).send("POST", &path, &headers, Body::from(body.to_string())).await.expect(200);
}

fn item(name: &str, stock: f64, modified: i64) -> Value {
    json!({ "id": "ITEM1", "name": name, "sku": "X", "price": 12_900, "priceType": "FIXED", "hidden": false,
            "modifiedTime": modified, "itemStock": { "item": { "id": "ITEM1" }, "stockCount": 5, "quantity": stock } })
}

fn order(id: &str, units: usize, state: &str) -> Value {
    let line = |n: usize| json!({ "id": format!("L{n}"), "name": "Runner", "item": { "id": "ITEM1" } });
    json!({ "id": id, "state": "locked", "paymentState": state,
            "lineItems": { "elements": (0..units).map(line).collect::<Vec<_>>() } })
}

async fn connected() -> (World, StandIn, String) {
    let world = World::new().await;
    let stand_in = StandIn::open().await;
    let more =
        json!({ "account": "M1", "endpoint": stand_in.endpoint, "rules": { "acceptInventory": true } });
    let connection = world.connect_to(Platform::Clover, more).await;
    (world, stand_in, connection)
}

#[tokio::test]
async fn a_changed_item_is_looked_at_and_becomes_a_product_with_its_price_and_stock() {
    let (world, stand_in, connection) = connected().await;
    stand_in.show("/v3/merchants/M1/items/ITEM1", item("Runner", 5.0, 1_790_000_000_000));
    // Told three times, looked at once: there is one thing to look at.
    for ts in 0..3 {
        clover(&world, &connection, "I:ITEM1", "UPDATE", 1_790_000_000_000 + ts).await;
    }
    world.follow_up().await;
    assert_eq!(world.levels().await["X"], (5, 0, 5));
    let calls = stand_in.seen();
    assert!(calls.len() <= 2, "{calls:?}"); // Once more, after its own product made its stock known.
    assert_eq!(calls[0].headers["authorization"], "Bearer token-1");
    let shown = world.admin.get("/api/products?sku=X").await.expect(200);
    assert_eq!(
        shown["data"][0]["variants"][0]["prices"]["US"],
        json!({ "minor": 12_900, "currency": "USD" })
    );

    clover(&world, &connection, "I:ITEM1", "DELETE", 1_790_000_000_009).await;
    let listings = world.admin.get("/api/listings").await.expect(200);
    assert_eq!(listings["data"][0]["removed"], true);
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn an_order_of_an_item_nobody_knows_waits_until_somebody_does() {
    let (world, stand_in, connection) = connected().await;
    stand_in.show("/v3/merchants/M1/orders/O1", order("O1", 2, "PAID"));
    clover(&world, &connection, "O:O1", "CREATE", 1).await;
    world.stocked(&[("X", 5)]).await;
    world.follow_up().await;
    assert_eq!(world.levels().await["X"], (5, 0, 5));
    let listing = json!({ "connection": connection, "external_product": "ITEM1", "external_variant": "ITEM1", "sku": "X" });
    world.admin.post("/api/listings", listing).await.expect(200);
    world.follow_up().await;
    let history = world.history().await;
    assert_eq!(history.iter().filter(|name| *name == "order.lines_found").count(), 1, "{history:?}");
    assert_eq!(world.levels().await["X"], (3, 0, 3), "two of five are sold");
    world.expect_intact().await;
}

#[tokio::test]
async fn the_end_of_what_was_never_known_has_nothing_looked_at_again_whatever_becomes_known() {
    let (world, stand_in, connection) = connected().await;
    stand_in.show("/v3/merchants/M1/items/ITEM1", json!({ "message": "Not Found" }));
    let now = world.clock.now().timestamp_millis();
    let news = json!([
        { "objectId": "I:ITEM1", "type": "UPDATE", "ts": now },
        { "objectId": "I:ITEM2", "type": "DELETE", "ts": now },
    ]);
    let body = json!({ "appId": "A", "merchants": { "M1": news } }).to_string();
    let (path, headers) = (format!("/webhook/clover/{connection}"), [("x-clover-auth", SIGNING_SECRET)]);
    world.admin.with_key(None).send("POST", &path, &headers, Body::from(body)).await.expect(200);
    for sku in ["X", "Y"] {
        world.follow_up().await;
        world.stocked(&[(sku, 1)]).await;
    }
    world.follow_up().await;
    assert_eq!(stand_in.seen().len(), 1);
    let unmapped = world.admin.get("/api/deliveries?outcome=unmapped").await.expect(200);
    assert_eq!(unmapped["data"].as_array().map(Vec::len), Some(1), "{unmapped}");
    let (waiting,): (i64,) = sqlx::query_as("select count(*) from follow_ups")
        .fetch_one(world.onhand.pool())
        .await
        .expect("follow-ups can be counted");
    assert_eq!(waiting, 0);
}

#[tokio::test]
async fn a_platform_that_fails_is_asked_again_later_and_what_it_never_shows_is_a_dead_letter() {
    let (world, stand_in, connection) = connected().await;
    stand_in.show("/v3/merchants/M1/items/ITEM1", item("Runner", 5.0, 1_790_000_000_000));
    let unwell = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS, StatusCode::UNAUTHORIZED];
    stand_in.fail(&unwell);
    clover(&world, &connection, "I:ITEM1", "UPDATE", 1).await;
    world.converge().await;
    assert_eq!(world.levels().await["X"], (5, 0, 5));
    assert!(stand_in.seen().len() >= unwell.len());

    stand_in.show("/v3/merchants/M1/orders/O9", json!({ "id": "O9", "lineItems": 7 }));
    clover(&world, &connection, "O:O9", "CREATE", 2).await;
    world.converge().await;
    let dead = world.admin.get("/api/dead-letters").await.expect(200);
    assert_eq!(dead["follow_ups"][0]["external"], "O9", "{dead}");
    assert!(dead["follow_ups"][0]["last_error"].is_string());
    let led = world.admin.get("/api/deliveries?text=O9").await.expect(200);
    let topic = led["data"][0]["topic"].as_str().expect("a topic");
    // Farther away than all attempts took.
    let year = TimeDelta::days(365);
    let [before, after] = [world.clock.now() - year, world.clock.now() + year]
        .map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    for (filter, count) in [
        (
            format!(
                "connection={connection}&platform=clover&topic={topic}&from={before}&until={after}&text=O9"
            ),
            1,
        ),
        ("connection=00000000-0000-7000-8000-000000000000".to_owned(), 0),
        ("platform=tiktokshop".to_owned(), 0),
        ("topic=another".to_owned(), 0),
        (format!("until={before}"), 0),
        (format!("from={after}"), 0),
        ("text=ITEM7".to_owned(), 0),
    ] {
        let dead = world.admin.get(&format!("/api/dead-letters?{filter}")).await.expect(200);
        assert_eq!(dead["follow_ups"].as_array().map(Vec::len), Some(count), "{filter}");
    }
    stand_in.show("/v3/merchants/M1/orders/O9", order("O9", 1, "PAID"));
    for dry_run in [true, true, false] {
        let body = json!({ "follow_ups": true, "dry_run": dry_run });
        let revived = world.admin.post("/api/dead-letters/replay", body).await.expect(200);
        assert_eq!(revived["follow_ups_revived"], 1, "{dry_run}");
    }
    let again = world.admin.post("/api/dead-letters/replay", json!({ "follow_ups": true })).await.expect(200);
    assert_eq!(again["follow_ups_revived"], 0);
    world.follow_up().await;
    assert_eq!(world.levels().await["X"], (4, 0, 4));
    world.expect_intact().await;
}

/// A product with variations is told; what is listed of it is not.
async fn woocommerce(world: &World, connection: &str, title: &str, modified: DateTime<Utc>) {
    let modified = modified.format("%Y-%m-%dT%H:%M:%S").to_string();
    let body = json!({ "id": 8, "name": title, "type": "variable", "variations": [9], "date_modified_gmt": modified });
    let body = body.to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SIGNING_SECRET.as_bytes()).expect("any length");
    mac.update(body.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let headers = [("x-wc-webhook-topic", "product.updated"), ("x-wc-webhook-signature", &*signature)];
    let path = format!("/webhook/woocommerce/{connection}");
    world.admin.with_key(None).send("POST", &path, &headers, Body::from(body)).await.expect(200);
}

#[tokio::test]
async fn of_titles_that_wait_for_one_look_the_newer_counts_and_one_that_comes_too_late_changes_nothing() {
    let world = World::new().await;
    let stand_in = StandIn::open().await;
    let more = json!({ "endpoint": stand_in.endpoint, "access_token": "ck_1:cs_1" });
    let connection = world.connect_to(Platform::Woocommerce, more).await;
    let variation = json!({ "id": 9, "sku": "MOLE-41", "price": "129.00", "attributes": [] });
    stand_in.show("/wp-json/wc/v3/products/8/variations", json!([variation]));
    let title =
        async || world.admin.get("/api/products?sku=MOLE-41").await.expect(200)["data"][0]["title"].clone();
    let now = world.clock.now();
    woocommerce(&world, &connection, "Mole II", now - TimeDelta::minutes(2)).await;
    woocommerce(&world, &connection, "Mole", now - TimeDelta::minutes(3)).await;
    world.follow_up().await;
    assert_eq!(title().await, "Mole II");
    assert_eq!(stand_in.seen().len(), 1, "there is one thing to look at");

    for (told, minutes, stands) in [("Mole I", 4, "Mole II"), ("Mole III", 1, "Mole III")] {
        woocommerce(&world, &connection, told, now - TimeDelta::minutes(minutes)).await;
        world.follow_up().await;
        assert_eq!(title().await, stands, "after {told}");
    }
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_title_of_a_time_that_never_was_or_is_to_come_gives_way_to_the_next_one() {
    let world = World::new().await;
    let connection = world.connect_to(Platform::Woocommerce, json!({})).await;
    for (title, seconds) in [("Never", -62_190_000_000), ("Later", 253_370_764_800)] {
        let odd = DateTime::from_timestamp(seconds, 0).expect("a time");
        woocommerce(&world, &connection, title, odd).await;
        world.clock.advance(TimeDelta::minutes(10));
        woocommerce(&world, &connection, "Mole", world.clock.now()).await;
        let (waits,): (String,) =
            sqlx::query_as("select payload->>'title' from follow_ups where external = '8/1'")
                .fetch_one(world.onhand.pool())
                .await
                .expect("a look is due");
        assert_eq!(waits, "Mole", "after {title}");
    }
}

#[tokio::test]
async fn a_signed_address_of_a_body_that_was_too_large_is_kept_whole_and_stands_in_no_history() {
    let world = World::new().await;
    let connection = world.connect_to(Platform::Trackstar, json!({})).await;
    let url = format!("https://production.trackstarhq.com/data?signature={}", "f".repeat(2_000));
    let body =
        json!({ "event_type": "inventory.updated", "data_truncated": true, "data_url": url }).to_string();
    let sent_at = world.clock.now().timestamp().to_string();
    let key = SIGNING_SECRET.strip_prefix("whsec_").unwrap_or(SIGNING_SECRET);
    let key = STANDARD.decode(key).expect("base64");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("any length");
    mac.update(format!("msg_1.{sent_at}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let headers =
        [("svix-id", "msg_1"), ("svix-timestamp", sent_at.as_str()), ("svix-signature", signature.as_str())];
    let path = format!("/webhook/trackstar/{connection}");
    world.admin.with_key(None).send("POST", &path, &headers, Body::from(body)).await.expect(200);
    let (external, kept): (String, String) =
        sqlx::query_as("select external, payload->>'url' from follow_ups where kind = 'document'")
            .fetch_one(world.onhand.pool())
            .await
            .expect("a look is due");
    assert_eq!(kept, url);
    assert!(external.starts_with("inventory.updated|sha256:"), "{external}");
    let (told,): (i64,) =
        sqlx::query_as("select count(*) from events where payload::text like '%signature=%'")
            .fetch_one(world.onhand.pool())
            .await
            .expect("history can be read");
    assert_eq!(told, 0);
}
