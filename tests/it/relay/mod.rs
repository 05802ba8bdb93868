//! The relay: what is true in the ledger comes to be shown by every shop, whatever happens on the way.

mod accounts;
mod conflicts;
mod convergence;
mod deaths;
mod leases;
mod let_out;
mod limits;
mod listings;
mod on_request;
mod processes;
mod products;
mod reading_back;
mod trouble;
mod turns;
mod unheard;

use axum::body::Body;
use onhand_domain::connection::Platform;
use onhand_infrastructure::platforms::shopify::sandbox::SandboxShop;
use onhand_tests::{
    World,
    channels::{self, Channel},
    shop,
};
use serde_json::{Value, json};

/// A stand-in shop with a runner in some sizes, and the world it is connected to.
async fn shop_and_world(sizes: &[&str], rules: Value) -> (SandboxShop, World, String) {
    let sandbox = shop::open("RUN", sizes).await;
    let world = World::new().await;
    let connection = world.connect(Some(&sandbox.base_url()), rules).await;
    shop::introduce(&sandbox, &world.admin, &connection).await;
    (sandbox, world, connection)
}

async fn restock(world: &World, sku: &str, quantity: i64) {
    world.admin.post("/api/stock/restock", json!({ "sku": sku, "quantity": quantity })).await.expect(200);
}

async fn statuses(world: &World) -> Vec<(String, i64)> {
    sqlx::query_as("select status, count(*) from outbox group by 1 order by 1")
        .fetch_all(world.onhand.pool())
        .await
        .expect("the outbox can be read")
}

/// Lets read models follow and the relay take one step. Says how many commands it had in hand.
async fn step(world: &World) -> usize {
    world.project().await;
    world.onhand.relay.step().await.expect("the relay works")
}

/// Status and attempts of the command that was written last.
async fn newest(world: &World) -> (String, i32) {
    sqlx::query_as("select status, attempts from outbox order by created_at desc, id limit 1")
        .fetch_one(world.onhand.pool())
        .await
        .expect("the outbox can be read")
}

/// Whether all that was ever owed was shown.
async fn all_is_done(world: &World) -> bool {
    statuses(world).await.iter().all(|(status, _)| status == "done" || status == "superseded")
}

/// How often something stands in the history.
async fn times(world: &World, event: &str) -> usize {
    world.history().await.iter().filter(|name| *name == event).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_shows_what_the_ledger_says() {
    let (sandbox, world, _) = shop_and_world(&["42", "43"], json!({})).await;
    restock(&world, "RUN-42", 9).await;
    world.reserve(&[("RUN-42", 2)]).await.expect(201);
    let price = json!({ "amount": "135.50", "currency": "USD" });
    world.admin.put("/api/variants/RUN-43/prices/US", price).await.expect(200);
    world.converge().await;
    let shows = World::shows(&sandbox);
    assert_eq!(shows["RUN-42"], (7, "120.00".to_owned()));
    assert_eq!(shows["RUN-43"], (0, "135.50".to_owned()));
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_from_a_request_says_so_all_the_way_to_the_platform() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let channel = Channel::open(&world, Platform::Woocommerce, &["RUN-42"]).await;
    world.converge().await;
    let since = world.history().await.len();
    let called = [("x-correlation-id", "order-42")];
    let body = |body: Value| Body::from(body.to_string());
    let restock = body(json!({ "sku": "RUN-42", "quantity": 1 }));
    let price = body(json!({ "amount": "90.00", "currency": "USD" }));
    let asked = [
        ("POST", "/api/stock/restock", restock, "quantity", "listing.quantity_pushed"),
        ("PUT", "/api/variants/RUN-42/prices/US", price, "price", "listing.price_pushed"),
    ];
    for (method, path, body, kind, pushed) in asked {
        world.admin.send(method, path, &called, body).await.expect(200);
        let owed = world.admin.get("/api/outbox?status=pending").await.expect(200);
        let owed = owed["data"].as_array().expect("rows");
        assert_eq!(owed.len(), 1, "{kind}: {owed:?}");
        assert_eq!((&owed[0]["kind"], &owed[0]["correlation_id"]), (&json!(kind), &json!("order-42")));
        world.converge().await;
        assert_eq!(channel.calls().followed.as_deref(), Some("order-42"), "{kind}");
        let told = format!("/api/audit?correlation_id=order-42&action={pushed}");
        assert_eq!(
            world.admin.get(&told).await.expect(200)["data"].as_array().map(Vec::len),
            Some(1),
            "{told}"
        );
    }
    assert_eq!(world.history().await.len(), since + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sales_of_one_variant_cost_few_calls() {
    let (sandbox, world, _) = shop_and_world(&["42"], json!({})).await;
    restock(&world, "RUN-42", 1_000).await;
    world.converge().await;
    let before = sandbox.calls().graphql.values().sum::<u64>();
    for _ in 0..10 {
        futures_util::future::join_all((0..100).map(|_| world.reserve(&[("RUN-42", 1)]))).await;
        world.project().await;
        world.onhand.relay.step().await.expect("the relay works");
    }
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 0);
    let calls = sandbox.calls().graphql.values().sum::<u64>() - before;
    assert!(calls <= 20, "{calls} calls for 1,000 sales in 10 steps");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_throttling_and_lost_answers_are_survived() {
    let (sandbox, world, _) = shop_and_world(&["42", "43"], json!({})).await;
    let faults = sandbox.faults();
    restock(&world, "RUN-42", 5).await;
    faults.fail_next(3, 503);
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 5);

    restock(&world, "RUN-42", 1).await;
    faults.throttle_next(2, false);
    world.converge().await;
    restock(&world, "RUN-43", 1).await;
    faults.throttle_next(2, true);
    world.converge().await;
    faults.drop_connection_rate(0.5);
    restock(&world, "RUN-43", 1).await;
    world.converge().await;
    faults.clear();
    let shows = World::shows(&sandbox);
    assert_eq!((shows["RUN-42"].0, shows["RUN-43"].0), (6, 2));
    assert!(statuses(&world).await.iter().all(|(status, _)| status == "done" || status == "superseded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_in_the_shop_that_we_have_not_heard_of_is_not_undone() {
    let (sandbox, world, connection) = shop_and_world(&["42"], json!({})).await;
    restock(&world, "RUN-42", 10).await;
    world.converge().await;
    // Sold there; the webhook is still on its way. Meanwhile one is sold here.
    let order = sandbox.buy(&[("RUN-42".into(), 1)]).await.expect("the shop sells");
    world.reserve(&[("RUN-42", 1)]).await.expect(201);
    world.project().await;
    world.onhand.relay.step().await.expect("the relay works");
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 9, "a stale compare changes nothing");

    let shown = &sandbox.shows()[0];
    let body = json!({ "id": order, "line_items": [{ "id": 1, "variant_id": shown.variant_id, "sku": "RUN-42", "quantity": 1 }] });
    shop::Webhook::new("orders/create", "o", &body).send(&world.admin, &connection).await.expect(200);
    world.converge().await;
    assert_eq!(world.levels().await["RUN-42"], (10, 2, 8));
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_change_is_put_right_where_the_ledger_is_the_master() {
    let (sandbox, world, connection) = shop_and_world(&["42"], json!({})).await;
    restock(&world, "RUN-42", 10).await;
    world.converge().await;
    sandbox.set_quantity_by_hand("RUN-42", 3).await;
    let shown = &sandbox.shows()[0];
    let level = |available: i64| {
        json!({ "inventory_item_id": shown.inventory_item_id, "location_id": 7, "available": available,
                "updated_at": "2026-11-02T09:00:00Z" })
    };
    // The echo of our own push is recognised and goes no further.
    let echo = shop::Webhook::new("inventory_levels/update", "e", &level(10));
    echo.send(&world.admin, &connection).await.expect(200);
    world.project().await;
    let listed = world.admin.get("/api/deliveries?topic=inventory_levels/update").await.expect(200);
    assert_eq!(listed["data"][0]["outcome"], "echo");

    shop::Webhook::new("inventory_levels/update", "f", &level(3))
        .send(&world.admin, &connection)
        .await
        .expect(200);
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 10);
    assert_eq!(world.levels().await["RUN-42"], (10, 0, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_platform_will_never_take_is_a_dead_letter_and_blocks_only_its_own_listing() {
    let (sandbox, world, _) = shop_and_world(&["42", "43"], json!({})).await;
    sandbox.unstock_by_hand("RUN-42").await;
    restock(&world, "RUN-42", 4).await;
    restock(&world, "RUN-43", 6).await;
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-43"].0, 6);
    let dead = world.admin.get("/api/outbox?status=dead").await.expect(200);
    assert_eq!(dead["data"].as_array().map(Vec::len), Some(1), "{dead}");
    assert!(world.history().await.contains(&"listing.push_failed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_dies_with_commands_in_hand_loses_none() {
    let (sandbox, world, _) = shop_and_world(&["42"], json!({})).await;
    restock(&world, "RUN-42", 4).await;
    // It has claimed, and is never heard of again.
    let lease = chrono::TimeDelta::seconds(60);
    let claimed =
        onhand_infrastructure::outbox::claim(world.onhand.pool(), world.clock.now(), lease, 100, &[]).await;
    assert!(!claimed.expect("a claim").is_empty());
    restock(&world, "RUN-42", 1).await;
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_safety_buffer_is_kept_back_and_a_switched_off_connection_hears_nothing() {
    let (sandbox, world, connection) = shop_and_world(&["42"], json!({ "safetyBuffer": 3 })).await;
    restock(&world, "RUN-42", 5).await;
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 2);
    world.admin.post(&format!("/api/connections/{connection}/disable"), json!({})).await.expect(200);
    restock(&world, "RUN-42", 5).await;
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 2);
    // Switched on again, it is told everything.
    world.admin.post(&format!("/api/connections/{connection}/enable"), json!({})).await.expect(200);
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_ahead_of_the_read_model_does_not_take_a_command_for_done() {
    let (sandbox, world, _) = shop_and_world(&["42"], json!({})).await;
    world.converge().await;
    restock(&world, "RUN-42", 4).await;
    // The stock levels have not heard of it yet.
    world.onhand.relay.step().await.expect("the relay works");
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 0);
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_with_stock_of_its_own_is_not_emptied_by_being_connected() {
    let (sandbox, world, _) = shop_and_world(&["42"], json!({})).await;
    sandbox.set_quantity_by_hand("RUN-42", 8).await;
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 8, "unknown is not zero");
}
