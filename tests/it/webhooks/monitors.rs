//! Monitors gate what the market changes; flags are turned while the program runs, and a locked one is not.

use chrono::TimeDelta;
use onhand_domain::connection::Platform;
use onhand_tests::{
    World,
    sample::SIGNING_SECRET,
    shop::{self, Webhook},
};
use serde_json::{Value, json};

async fn priced(world: &World, connection: &str, id: &str, price: i64) -> Value {
    let body = json!({ "data": { "currency": "USD", "market": "US", "platform": "stockx", "product": {
        "brand": "Kite & Co", "id": "m", "sku": "DUNK", "slug": "d", "title": "Dunk",
        "variants": [{ "id": "v", "size": "42", "price": price, "count": 4, "changed": true }] } } });
    send(world, connection, id, &body).await
}

/// The market had this price some minutes ago.
async fn priced_before(world: &World, connection: &str, minutes: i64, price: i64) -> Value {
    let at = world.clock.now() - TimeDelta::minutes(minutes);
    let body = json!({ "event": "stockx.price.updated.usd", "timestamp": at.timestamp(), "version": "v1", "data": [{
        "product_id": "m", "name": "Dunk", "sku": "DUNK", "sizes": [{ "size": "42", "type": "eu" }],
        "lowest_ask": price, "number_of_asks": 4, "currency": "USD" }] });
    send(world, connection, &uuid::Uuid::now_v7().to_string(), &body).await
}

async fn send(world: &World, connection: &str, id: &str, body: &Value) -> Value {
    let body = body.to_string().into_bytes();
    let signature = onhand_infrastructure::platforms::kicksdb::sign(SIGNING_SECRET, &body);
    let timestamp = world.clock.now().timestamp().to_string();
    let headers = [
        ("x-kicksdb-event-id", id),
        ("x-kicksdb-timestamp", &*timestamp),
        ("x-kicksdb-signature", &*signature),
    ];
    let path = format!("/api/kicks/monitor/{connection}");
    world.admin.with_key(None).send("POST", &path, &headers, axum::body::Body::from(body)).await.expect(200)
}

async fn price(world: &World) -> i64 {
    let shown = world.admin.get("/api/products?sku=DUNK-42").await.expect(200);
    shown["data"][0]["variants"][0]["prices"]["US"]["minor"].as_i64().expect("a price")
}

async fn watched() -> (World, String) {
    let world = World::new().await;
    let market = world.connect_to(Platform::Kicksdb, json!({})).await;
    let shop = world.connect(None, json!({})).await;
    let product = shop::product("DUNK", &[("42", "110.00")]);
    Webhook::new("products/create", "p", &product).send(&world.admin, &shop).await.expect(200);
    (world, market)
}

fn monitor(connection: &str, frequency: u32, threshold: f64) -> Value {
    json!({ "connection": connection, "style_code": "DUNK", "kind": "price", "frequency_minutes": frequency,
            "markets": ["US", "UK"], "threshold_percent": threshold })
}

#[tokio::test]
async fn a_change_below_the_threshold_does_not_count_and_one_too_soon_counts_later() {
    let (world, market) = watched().await;
    world.admin.put("/api/kicks/monitors", monitor(&market, 15, 5.0)).await.expect(200);
    priced(&world, &market, "1", 114).await;
    assert_eq!(price(&world).await, 11_000, "less than 5 %");
    priced(&world, &market, "2", 120).await;
    assert_eq!(price(&world).await, 12_000);
    // Within the quarter of an hour the newest of them waits.
    world.clock.advance(TimeDelta::minutes(2));
    priced(&world, &market, "3", 150).await;
    world.clock.advance(TimeDelta::minutes(2));
    priced(&world, &market, "4", 160).await;
    world.follow_up().await;
    assert_eq!(price(&world).await, 12_000, "too soon");
    world.clock.advance(TimeDelta::minutes(12));
    world.follow_up().await;
    assert_eq!(price(&world).await, 16_000, "the newest, once its time has come");
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn what_waits_counts_by_its_monitor_as_it_is_and_not_as_it_was() {
    let (world, market) = watched().await;
    let set = world.admin.put("/api/kicks/monitors", monitor(&market, 120, 0.0)).await.expect(200);
    let path = format!("/api/kicks/monitors/{}", set["id"].as_str().expect("an id"));
    priced(&world, &market, "1", 120).await;
    world.clock.advance(TimeDelta::minutes(2));
    priced(&world, &market, "2", 150).await;
    world.admin.put("/api/kicks/monitors", monitor(&market, 30, 0.0)).await.expect(200);
    world.follow_up().await;
    assert_eq!(price(&world).await, 12_000, "too soon for this one, too");
    world.clock.advance(TimeDelta::minutes(29));
    world.follow_up().await;
    assert_eq!(price(&world).await, 15_000);

    // One that is off drops nothing before its time, and is asked once it is on.
    world.admin.put("/api/kicks/monitors", monitor(&market, 120, 0.0)).await.expect(200);
    priced(&world, &market, "3", 160).await;
    world.admin.post(&format!("{path}/disable"), json!({})).await.expect(200);
    world.admin.put("/api/kicks/monitors", monitor(&market, 15, 0.0)).await.expect(200);
    world.clock.advance(TimeDelta::minutes(16));
    world.follow_up().await;
    assert_eq!(price(&world).await, 15_000, "it is off");
    world.admin.post(&format!("{path}/enable"), json!({})).await.expect(200);
    world.follow_up().await;
    assert_eq!(price(&world).await, 16_000);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn news_that_come_late_all_at_once_change_a_price_once_and_the_newest_of_the_others_waits() {
    let (world, market) = watched().await;
    world.admin.put("/api/kicks/monitors", monitor(&market, 120, 1.0)).await.expect(200);
    for (minutes, told) in [(125, 120), (124, 130), (122, 150), (123, 140)] {
        priced_before(&world, &market, minutes, told).await;
    }
    world.follow_up().await;
    assert_eq!(price(&world).await, 12_000);
    world.clock.advance(TimeDelta::minutes(121));
    world.follow_up().await;
    assert_eq!(price(&world).await, 15_000, "the newest there, not the one that came last");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_price_is_not_undone_by_what_the_market_said_before_it_said_the_same_or_nearly_the_same() {
    let (world, market) = watched().await;
    priced_before(&world, &market, 15, 100).await;
    priced_before(&world, &market, 0, 100).await;
    priced_before(&world, &market, 10, 90).await;
    assert_eq!(price(&world).await, 10_000);
    world.admin.put("/api/kicks/monitors", monitor(&market, 15, 5.0)).await.expect(200);
    world.clock.advance(TimeDelta::hours(1));
    priced_before(&world, &market, 5, 101).await;
    priced_before(&world, &market, 10, 110).await;
    assert_eq!(price(&world).await, 10_000, "below the threshold, and newer");
    priced_before(&world, &market, 4, 110).await;
    assert_eq!(price(&world).await, 11_000);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_price_set_by_hand_is_not_undone_by_what_the_market_said_before() {
    let (world, market) = watched().await;
    let by_hand = async |amount: &str| {
        let body = json!({ "amount": amount, "currency": "USD" });
        world.admin.put("/api/variants/DUNK-42/prices/US", body).await.expect(200);
    };
    by_hand("50.00").await;
    priced_before(&world, &market, 50, 99).await;
    assert_eq!(price(&world).await, 5_000);
    // Nor by one that was waiting for its time.
    world.admin.put("/api/kicks/monitors", monitor(&market, 15, 0.0)).await.expect(200);
    world.clock.advance(TimeDelta::minutes(5));
    priced(&world, &market, "1", 70).await;
    world.clock.advance(TimeDelta::minutes(1));
    by_hand("60.00").await;
    world.clock.advance(TimeDelta::hours(1));
    world.follow_up().await;
    assert_eq!(price(&world).await, 6_000);
    priced(&world, &market, "2", 80).await;
    assert_eq!(price(&world).await, 8_000, "what it says next counts");
}

#[tokio::test]
async fn a_monitor_that_is_off_or_watches_other_markets_lets_no_price_count() {
    let (world, market) = watched().await;
    let set = world.admin.put("/api/kicks/monitors", monitor(&market, 15, 0.0)).await.expect(200);
    let id = set["id"].as_str().expect("an id").to_owned();
    world.admin.post(&format!("/api/kicks/monitors/{id}/disable"), json!({})).await.expect(200);
    priced(&world, &market, "1", 150).await;
    assert_eq!(price(&world).await, 11_000);
    world.admin.post(&format!("/api/kicks/monitors/{id}/enable"), json!({})).await.expect(200);
    let mut elsewhere = monitor(&market, 15, 0.0);
    elsewhere["markets"] = json!(["JP"]);
    world.admin.put("/api/kicks/monitors", elsewhere).await.expect(200);
    priced(&world, &market, "2", 150).await;
    assert_eq!(price(&world).await, 11_000);
    world.admin.put("/api/kicks/monitors", monitor(&market, 15, 0.0)).await.expect(200);
    priced(&world, &market, "3", 150).await;
    assert_eq!(price(&world).await, 15_000);
    let listed = world.admin.get("/api/kicks/monitors").await.expect(200);
    assert_eq!(listed["data"][0]["style_code"], "DUNK");
    let status = world.admin.get("/api/kicks/monitor/status").await.expect(200);
    assert_eq!((&status["monitors"], &status["monitors_enabled"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_monitor_is_what_the_feed_can_do_or_nothing() {
    let (world, market) = watched().await;
    for (frequency, threshold) in [(20, 0.0), (15, 101.0), (15, -1.0)] {
        let answer = world.admin.put("/api/kicks/monitors", monitor(&market, frequency, threshold)).await;
        assert_eq!(answer.problem(422), "monitor.invalid");
    }
    // No news would ever be found to be of it.
    for code in ["", " DUNK", "DUNK ", "DU\nNK", &"D".repeat(129)] {
        let mut odd = monitor(&market, 15, 0.0);
        odd["style_code"] = code.into();
        assert_eq!(
            world.admin.put("/api/kicks/monitors", odd).await.problem(422),
            "monitor.invalid",
            "{code:?}"
        );
    }
    let shop = world.connect(None, json!({})).await;
    let answer = world.admin.put("/api/kicks/monitors", monitor(&shop, 15, 0.0)).await;
    assert_eq!(answer.problem(404), "connection.unknown");
    let stranger = world.client("editor", Some("other")).await;
    assert_eq!(
        stranger.put("/api/kicks/monitors", monitor(&market, 15, 0.0)).await.problem(404),
        "connection.unknown"
    );
}

#[tokio::test]
async fn a_monitor_may_never_write_stock_and_the_attempt_to_let_it_is_on_record() {
    let (world, _) = watched().await;
    let locked = "/api/flags/FEATURE_MONITOR_UPDATES_STOCK";
    assert_eq!(world.admin.put(locked, json!({ "value": true })).await.problem(403), "flag.locked");
    world.admin.put(locked, json!({ "value": false })).await.expect(200);
    let audit = world.admin.get(&format!("/api/audit?stream=flag/{}", "FEATURE_MONITOR_UPDATES_STOCK")).await;
    let audit = audit.expect(200);
    assert_eq!(audit["data"][0]["action"], "flag.refused", "{audit}");
    let flags = world.admin.get("/api/flags").await.expect(200);
    let flag = flags["data"].as_array().expect("flags").iter().find(|flag| flag["locked"] == true).cloned();
    assert_eq!(flag.expect("one is locked")["value"], false);
    let unknown = world.admin.put("/api/flags/FEATURE_X", json!({ "value": true })).await;
    assert_eq!(unknown.problem(404), "flag.unknown");
}

#[tokio::test]
async fn whoever_tries_to_turn_a_locked_flag_is_on_record_and_only_an_admin_of_all_brands_turns_another() {
    let (world, _) = watched().await;
    let (locked, other) =
        ("/api/flags/FEATURE_MONITOR_UPDATES_STOCK", "/api/flags/FEATURE_MONITOR_UPDATES_PRICES");
    for (tried, (role, brand)) in
        [("viewer", None), ("editor", None), ("admin", Some("kite"))].into_iter().enumerate()
    {
        let client = world.client(role, brand).await;
        assert_eq!(
            client.put(other, json!({ "value": false })).await.problem(403),
            "auth.forbidden",
            "{role}"
        );
        assert_eq!(
            client.put(locked, json!({ "value": false })).await.problem(403),
            "auth.forbidden",
            "{role}"
        );
        assert_eq!(client.put(locked, json!({ "value": true })).await.problem(403), "flag.locked", "{role}");
        world.project().await;
        let audit = world.admin.get("/api/audit?stream=flag/FEATURE_MONITOR_UPDATES_STOCK").await.expect(200);
        let entries = audit["data"].as_array().expect("entries");
        assert_eq!(entries.len(), tried + 1, "{audit}");
        assert!(entries.iter().all(|entry| entry["action"] == "flag.refused"), "{audit}");
    }
    let nobody = world.admin.with_key(None);
    assert_eq!(nobody.put(locked, json!({ "value": true })).await.problem(401), "auth.required");
}

#[tokio::test]
async fn prices_stand_still_while_their_flag_is_off() {
    let (world, market) = watched().await;
    let flag = "/api/flags/FEATURE_MONITOR_UPDATES_PRICES";
    world.admin.put(flag, json!({ "value": false })).await.expect(200);
    priced(&world, &market, "1", 150).await;
    assert_eq!(price(&world).await, 11_000);
    world.admin.put(flag, json!({ "value": true })).await.expect(200);
    priced(&world, &market, "2", 150).await;
    assert_eq!(price(&world).await, 15_000);
    world.expect_rebuilt_equals_live().await;
}
