//! Pushes that a platform has taken, or takes later, without our hearing of it: they are ours when they come back. And what a
//! platform tells that has not heard of us yet.

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::connection::Platform;
use onhand_infrastructure::platforms::shopify::sandbox::SandboxShop;
use onhand_tests::{
    World,
    channels::{self, Channel},
    shop,
};
use serde_json::json;

use super::{all_is_done, restock, shop_and_world, statuses, step, times};

/// The shop tells what its only runner costs there, as of a time.
async fn tells_price(
    (sandbox, world, connection): (&SandboxShop, &World, &str),
    price: &str,
    at: DateTime<Utc>,
) {
    let shown = &sandbox.shows()[0];
    let product = json!({
        "id": shown.product_id, "title": "Runner", "options": [{ "name": "Size", "position": 1 }], "updated_at": at,
        "variants": [{ "id": shown.variant_id, "sku": shown.sku, "price": price, "option1": "42",
                       "inventory_item_id": shown.inventory_item_id }],
    });
    let told = shop::Webhook::new("products/update", &at.to_rfc3339(), &product);
    told.send(&world.admin, connection).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_answer_was_lost_is_not_counted_and_not_put_to_anybody_when_the_shop_tells_of_it() {
    for rules in [json!({ "acceptInventory": true }), json!({ "holdConflicts": true })] {
        let (sandbox, world, connection) = shop_and_world(&["42"], rules.clone()).await;
        restock(&world, "RUN-42", 10).await;
        world.converge().await;
        sandbox.faults().drop_after_applying_rate(1.0);
        world.reserve(&[("RUN-42", 1)]).await.expect(201);
        step(&world).await;
        assert_eq!(World::shows(&sandbox)["RUN-42"].0, 9, "it was applied");
        assert_eq!(times(&world, "listing.figure_sent").await, 1);

        world.reserve(&[("RUN-42", 1)]).await.expect(201);
        let level = json!({
            "inventory_item_id": sandbox.shows()[0].inventory_item_id, "location_id": 7, "available": 9,
            "updated_at": world.clock.now(),
        });
        let told = shop::Webhook::new("inventory_levels/update", "late", &level);
        told.send(&world.admin, &connection).await.expect(200);
        assert_eq!(world.levels().await["RUN-42"], (10, 2, 8), "{rules}");

        sandbox.faults().clear();
        world.converge().await;
        assert_eq!(World::shows(&sandbox)["RUN-42"].0, 8, "{rules}");
        assert_eq!(world.levels().await["RUN-42"], (10, 2, 8), "{rules}");
        assert_eq!(times(&world, "listing.conflict_opened").await, 0);
        assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
        world.expect_rebuilt_equals_live().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_applied_behind_a_newer_one_is_made_good_a_minute_later_and_once() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 5, None).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    world.converge().await;
    let before = times(&world, "listing.quantity_pushed").await;
    channel.faults().drop_after_applying_rate(1.0);
    restock(&world, "RUN-42", 1).await;
    step(&world).await;
    assert_eq!(times(&world, "listing.figure_sent").await, 1);
    channel.faults().clear();
    restock(&world, "RUN-42", 1).await;
    world.clock.advance(TimeDelta::seconds(5));
    step(&world).await;
    assert_eq!(channel.quantity("RUN-42"), 7);
    // What is owed once more in a minute keeps nothing newer waiting.
    world.reserve(&[("RUN-42", 2)]).await.expect(201);
    step(&world).await;
    assert_eq!(channel.quantity("RUN-42"), 5);

    // What was given up gets there only now.
    assert!(channel.sandbox.edit_quantity("RUN-42", 6));
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 5);
    assert_eq!(times(&world, "listing.quantity_pushed").await, before + 3);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_a_gateway_has_given_up_and_the_shop_has_not_is_made_good_as_well() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 5, None).await;
    let channel = Channel::open(&world, Platform::Woocommerce, &["RUN-42"]).await;
    world.converge().await;
    channel.faults().fail_next(1, 503);
    restock(&world, "RUN-42", 1).await;
    step(&world).await;
    restock(&world, "RUN-42", 1).await;
    world.clock.advance(TimeDelta::seconds(5));
    step(&world).await;
    assert_eq!(channel.quantity("RUN-42"), 7);

    // That it will be told once more is no lag: it is shown.
    let health = async || world.admin.get("/api/sync/health").await.expect(200)["connections"][0].clone();
    world.clock.advance(TimeDelta::seconds(40));
    let waiting = health().await;
    assert_eq!((&waiting["queued"], &waiting["oldest_queued_seconds"]), (&json!(1), &json!(0)), "{waiting}");

    // Behind the gateway the shop is through with the older call only now.
    assert!(channel.sandbox.edit_quantity("RUN-42", 6));
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 7);
    let lag = health().await["lag_p99_ms"].as_i64().expect("some were done");
    assert!(lag <= 6_000, "{lag} ms");
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_once_more_later_waits_for_the_order_behind_a_foreign_figure_and_no_longer() {
    let (sandbox, world, connection) = shop_and_world(&["42"], json!({})).await;
    restock(&world, "RUN-42", 10).await;
    world.converge().await;
    restock(&world, "RUN-42", 1).await;
    // As behind a call that nobody has answered.
    sqlx::query(
        "update outbox set forced = true, next_attempt_at = next_attempt_at + interval '1 minute'
         where status = 'pending' and kind = 'quantity'",
    )
    .execute(world.onhand.pool())
    .await
    .expect("it is put off");
    assert_eq!(step(&world).await, 0);

    sandbox.set_quantity_by_hand("RUN-42", 3).await;
    let level = json!({
        "inventory_item_id": sandbox.shows()[0].inventory_item_id, "location_id": 7, "available": 3,
        "updated_at": world.clock.now(),
    });
    let told = shop::Webhook::new("inventory_levels/update", "foreign", &level);
    told.send(&world.admin, &connection).await.expect(200);
    world.clock.advance(TimeDelta::seconds(1));
    world.reserve(&[("RUN-42", 1)]).await.expect(201);
    assert_eq!(step(&world).await, 0, "the order that explains it may be a moment behind");
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 3);

    world.clock.advance(TimeDelta::seconds(2));
    assert_eq!(step(&world).await, 1, "and not a minute");
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 10);
    world.converge().await;
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_whose_answer_was_lost_does_not_undo_a_newer_one_when_the_shop_tells_of_it() {
    let (sandbox, world, connection) = shop_and_world(&["42"], json!({ "acceptPrices": true })).await;
    world.converge().await;
    sandbox.faults().drop_after_applying_rate(1.0);
    channels::price(&world, "RUN-42", "130.00").await;
    step(&world).await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].1, "130.00", "it was applied");
    assert_eq!(times(&world, "listing.figure_sent").await, 1);

    channels::price(&world, "RUN-42", "140.00").await;
    let (priced, observed) =
        (times(&world, "product.priced").await, times(&world, "listing.price_observed").await);
    tells_price((&sandbox, &world, &connection), "130.00", world.clock.now()).await;
    assert_eq!(times(&world, "listing.price_observed").await, observed + 1, "it is noted");
    assert_eq!(times(&world, "product.priced").await, priced, "and changes nothing here");

    sandbox.faults().clear();
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].1, "140.00");
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_from_before_a_push_of_ours_that_is_told_late_undoes_nothing() {
    let (sandbox, world, connection) = shop_and_world(&["42"], json!({ "acceptPrices": true })).await;
    world.converge().await;
    let before = world.clock.now();
    world.clock.advance(TimeDelta::seconds(5));
    channels::price(&world, "RUN-42", "130.00").await;
    world.converge().await;
    let priced = times(&world, "product.priced").await;

    tells_price((&sandbox, &world, &connection), "110.00", before).await;
    world.converge().await;
    assert_eq!(times(&world, "product.priced").await, priced);
    assert_eq!(World::shows(&sandbox)["RUN-42"].1, "130.00");

    world.clock.advance(TimeDelta::seconds(5));
    tells_price((&sandbox, &world, &connection), "110.00", world.clock.now()).await;
    assert_eq!(times(&world, "product.priced").await, priced + 1, "what is newer counts");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_was_not_told_of_a_hold_yet_does_not_know_of_it_when_it_tells_its_own_figure() {
    let (sandbox, world, connection) = shop_and_world(&["42"], json!({ "acceptInventory": true })).await;
    restock(&world, "RUN-42", 10).await;
    world.converge().await;
    let level = async |id: &str, available: i64| {
        let level = json!({
            "inventory_item_id": sandbox.shows()[0].inventory_item_id, "location_id": 7, "available": available,
            "updated_at": world.clock.now(),
        });
        shop::Webhook::new("inventory_levels/update", id, &level)
            .send(&world.admin, &connection)
            .await
            .expect(200);
    };
    // The first figure of its own.
    world.clock.advance(TimeDelta::seconds(1));
    level("first", 12).await;
    world.converge().await;
    assert_eq!(world.levels().await["RUN-42"], (12, 0, 12));

    world.clock.advance(TimeDelta::seconds(1));
    world.reserve(&[("RUN-42", 3)]).await.expect(201);
    world.clock.advance(TimeDelta::seconds(1));
    level("second", 11).await;
    assert_eq!(world.levels().await["RUN-42"], (11, 3, 8), "eleven, and three of them are held");
    level("third", 10).await;
    assert_eq!(world.levels().await["RUN-42"], (10, 3, 7));

    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 7);
    world.clock.advance(TimeDelta::seconds(1));
    level("fourth", 6).await;
    assert_eq!(world.levels().await["RUN-42"], (9, 3, 6), "by now it knows");
    world.expect_rebuilt_equals_live().await;
}
