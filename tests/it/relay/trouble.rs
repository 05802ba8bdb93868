//! Platforms in trouble: one that is down, one that lets us in no longer, and listings that are not there or not wanted.

use chrono::TimeDelta;
use onhand_domain::connection::Platform;
use onhand_infrastructure::{
    outbox::breakers,
    relay::breaker::{Breaker, State},
};
use onhand_tests::{
    World,
    channels::{self, Channel, Setup, TOKEN},
    shop,
};
use serde_json::{Value, json};

use super::{all_is_done, newest, restock, shop_and_world, statuses, step, times};

async fn breaker(world: &World, channel: &Channel) -> Breaker {
    breakers::of(world.onhand.pool(), world.tenant, channel.id()).await.expect("breakers can be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_down_is_left_alone_and_loses_nothing() {
    let world = World::new().await;
    let skus: Vec<String> = (0..10).map(|number| format!("RUN-{number}")).collect();
    channels::stock(&world, &skus, 0, None).await;
    let down = Channel::open(&world, Platform::Woocommerce, &skus).await;
    let well = Channel::open(&world, Platform::Square, &skus).await;
    world.converge().await;
    down.faults().down(true);

    let mut calls: Vec<u64> = vec![];
    for minute in 0..20 {
        let before = down.calls().made;
        let sku = &skus[minute % skus.len()];
        restock(&world, sku, 1).await;
        step(&world).await;
        let units = 1 + minute / skus.len();
        assert_eq!(well.quantity(sku), units as i64, "who is well is served at once, in minute {minute}");
        for _ in 0..12 {
            world.clock.advance(TimeDelta::seconds(5));
            step(&world).await;
        }
        calls.push(down.calls().made - before);
    }
    // Each call of the first minute was for the one listing that was owed something, and failed.
    assert_eq!(calls[0], 5, "five failures are enough: {calls:?}");
    assert!(calls[1..].iter().all(|calls| *calls <= 1), "it is looked at once a minute: {calls:?}");
    assert!(calls[1..].iter().sum::<u64>() >= 15, "and it is looked at: {calls:?}");
    assert_eq!(breaker(&world, &down).await.state, State::Open);
    assert_eq!(breaker(&world, &well).await, Breaker::default());
    assert_eq!(
        (times(&world, "connection.tripped").await, times(&world, "connection.recovered").await),
        (1, 0)
    );
    assert!(down.quantities().values().all(|quantity| *quantity == 0));

    down.faults().down(false);
    world.converge().await;
    assert_eq!(down.quantities(), well.quantities());
    assert_eq!(down.quantity("RUN-7"), 2);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    assert_eq!(breaker(&world, &down).await.state, State::Closed);
    assert_eq!(
        (times(&world, "connection.tripped").await, times(&world, "connection.recovered").await),
        (1, 1)
    );
    world.expect_rebuilt_equals_live().await;
}

/// A Square seller who has given a wrong access token, and what came of it.
async fn locked_out(skus: &[&str]) -> (World, Channel) {
    let world = World::new().await;
    channels::stock(&world, skus, 7, Some("100.00")).await;
    let setup = Setup { more: json!({ "access_token": "a-wrong-one" }), ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Square, skus, &setup).await;
    step(&world).await;
    let breaker = breaker(&world, &channel).await;
    assert_eq!(
        (breaker.state, breaker.locked_out),
        (State::Closed, true),
        "a refusal is no failure of the platform"
    );
    assert!(breaker.held_until > Some(world.clock.now()));
    assert_eq!(times(&world, "connection.alert_raised").await, 1);
    (world, channel)
}

async fn let_in(world: &World, channel: &Channel) {
    let path = format!("/api/connections/{}/secrets", channel.connection);
    world.admin.put(&path, json!({ "access_token": TOKEN })).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_access_token_costs_no_command_and_with_the_right_one_all_is_shown_at_once() {
    let (world, channel) = locked_out(&["RUN-41", "RUN-42", "RUN-43"]).await;
    // A day goes by, and nobody looks after it.
    for _ in 0..24 {
        world.clock.advance(TimeDelta::hours(1));
        step(&world).await;
    }
    assert_eq!(statuses(&world).await, [("pending".to_owned(), 6)], "kept, however often it was tried");
    assert_eq!(newest(&world).await, ("pending".to_owned(), 0));
    assert!(channel.quantities().values().all(|quantity| *quantity == 0));

    let_in(&world, &channel).await;
    step(&world).await;
    assert!(channel.shows().values().all(|shown| *shown == (7, 10_000)), "{:?}", channel.shows());
    world.converge().await;
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    assert!(!breaker(&world, &channel).await.locked_out);
}

#[tokio::test(flavor = "multi_thread")]
async fn being_locked_out_is_told_once_and_again_when_it_happens_again() {
    let (world, channel) = locked_out(&["RUN-42"]).await;
    let_in(&world, &channel).await;
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 7);
    assert_eq!(times(&world, "connection.alert_cleared").await, 1);

    let path = format!("/api/connections/{}/secrets", channel.connection);
    world.admin.put(&path, json!({ "access_token": "another-wrong-one" })).await.expect(200);
    restock(&world, "RUN-42", 1).await;
    step(&world).await;
    assert_eq!(times(&world, "connection.alert_raised").await, 2);
}

/// A seller whose access token has ended before its time.
async fn ended(world: &World, platform: Platform, refresh_token: &str) -> Channel {
    let more = json!({ "access_token": "one-that-has-ended", "refresh_token": refresh_token });
    let setup = Setup { more, ..Setup::default() };
    let channel = Channel::open_with(world, platform, &["RUN-42"], &setup).await;
    step(world).await;
    let breaker = breaker(world, &channel).await;
    assert!(!breaker.locked_out && breaker.held_until > Some(world.clock.now()), "{platform}: {breaker:?}");
    assert_eq!(step(world).await, 0, "{platform}: it is left alone meanwhile");
    channel
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_that_has_ended_is_renewed_at_once_and_nobody_is_called_for() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    for platform in [Platform::Square, Platform::Clover, Platform::TiktokShop, Platform::Shopee] {
        let channel = ended(&world, platform, "renewal-of-the-shop").await;
        assert!(world.onhand.operations.renew().await.expect("renewals are tried"), "{platform}: it is due");
        step(&world).await;
        assert_eq!(channel.quantity("RUN-42"), 7, "{platform}: what has waited goes at once");
        world.converge().await;
        assert_eq!(newest(&world).await, ("done".to_owned(), 1), "{platform}: no attempt was lost");
        let path = format!("/api/connections/{}/disable", channel.connection);
        world.admin.post(&path, json!({})).await.expect(200);
    }
    assert_eq!(times(&world, "connection.alert_raised").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_that_a_reconciliation_finds_to_have_ended_is_renewed_and_locks_nobody_out() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, None).await;
    let more = json!({ "access_token": "one-that-has-ended", "refresh_token": "renewal-of-the-shop" });
    let setup = Setup { more, ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Square, &["RUN-42"], &setup).await;
    let body = json!({ "connection": channel.connection });
    world.admin.post("/api/reconciliations", body).await.expect(202);
    world.onhand.operations.reconcile().await.expect("a page is looked at");
    let found = breaker(&world, &channel).await;
    assert!(!found.locked_out && found.held_until > Some(world.clock.now()), "{found:?}");
    assert!(world.onhand.operations.renew().await.expect("renewals are tried"), "it is due");
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 7);
    assert_eq!(times(&world, "connection.alert_raised").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_again_a_short_while_after_its_early_renewal_is_for_a_person_to_see_to() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let channel = ended(&world, Platform::Square, "renewal-of-the-shop").await;
    assert!(world.onhand.operations.renew().await.expect("renewals are tried"));
    world.converge().await;

    let path = format!("/api/connections/{}/secrets", channel.connection);
    world.admin.put(&path, json!({ "access_token": "another-that-has-ended" })).await.expect(200);
    for minutes in [30, 1] {
        restock(&world, "RUN-42", 1).await;
        step(&world).await;
        assert!(breaker(&world, &channel).await.locked_out);
        assert!(!world.onhand.operations.renew().await.expect("renewals are tried"), "not time and again");
        world.clock.advance(TimeDelta::minutes(minutes));
    }
    assert_eq!(times(&world, "connection.alert_raised").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_that_has_ended_and_is_not_renewed_locks_out() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let channel = ended(&world, Platform::Clover, "a-wrong-one").await;
    assert!(world.onhand.operations.renew().await.expect("renewals are tried"));
    world.clock.advance(TimeDelta::seconds(16));
    step(&world).await;
    assert!(breaker(&world, &channel).await.locked_out);
    assert_eq!(times(&world, "connection.alert_raised").await, 2, "`renewal` and `locked_out`");
    assert_eq!(newest(&world).await, ("pending".to_owned(), 0), "no attempt was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_not_there_is_given_up_at_once_and_no_other_of_its_batch_is() {
    let world = World::new().await;
    let skus: Vec<String> = (0..20).map(|number| format!("RUN-{number}")).collect();
    channels::stock(&world, &skus, 3, None).await;
    channels::stock(&world, &["LOST-1"], 3, None).await;
    let channel = Channel::open(&world, Platform::Square, &skus).await;
    let nobodys = json!({
        "connection": channel.connection, "external_product": "NOBODYS", "external_variant": "NOBODYS1",
        "sku": "LOST-1",
    });
    let lost = world.admin.post("/api/listings", nobodys).await.expect(200);

    step(&world).await;
    assert!(channel.quantities().values().all(|quantity| *quantity == 3), "{:?}", channel.quantities());
    let dead = world.admin.get("/api/outbox?status=dead").await.expect(200);
    let dead: Vec<(&Value, &Value)> = dead["data"]
        .as_array()
        .expect("a page has rows")
        .iter()
        .map(|row| (&row["listing_id"], &row["attempts"]))
        .collect();
    assert_eq!(dead, [(&lost["id"], &json!(1))]);
    for (which, count) in [(json!({ "dryRun": true }), 1), (json!({ "ids": [], "dryRun": true }), 0)] {
        let meant = world.admin.post("/api/sync/replay", which).await.expect(200);
        assert_eq!(meant["count"], count, "an empty list means none: {meant}");
    }
    assert_eq!(times(&world, "listing.push_failed").await, 1);
    assert_eq!(breaker(&world, &channel).await, Breaker::default(), "the platform has answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_fits_the_conditions_of_a_connection_is_shown_there() {
    let world = World::new().await;
    let skus = ["RUN-42", "WALK-42"];
    channels::stock(&world, &skus, 4, Some("100.00")).await;
    let rules = json!({ "rules": { "conditions": { "skus": ["RUN-*"] } } });
    let setup = Setup { more: rules, ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Square, &skus, &setup).await;
    let before = channel.shows();
    world.converge().await;
    for sku in skus {
        restock(&world, sku, 1).await;
        channels::price(&world, sku, "110.00").await;
    }
    world.converge().await;
    assert_eq!(channel.shows()["RUN-42"], (5, 11_000));
    assert_eq!(channel.shows()["WALK-42"], before["WALK-42"]);

    let path = format!("/api/connections/{}/rules", channel.connection);
    world.admin.put(&path, json!({})).await.expect(200);
    world.converge().await;
    assert_eq!(channel.shows()["WALK-42"], (5, 11_000), "the conditions alone stood in the way");
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_longer_fits_is_sold_out_once_and_then_left_to_whoever_counts_it_there() {
    let (sandbox, world, connection) = shop_and_world(&["42"], json!({})).await;
    restock(&world, "RUN-42", 9).await;
    world.converge().await;
    let shows = || World::shows(&sandbox)["RUN-42"].0;
    assert_eq!(shows(), 9);
    let path = format!("/api/connections/{connection}/rules");
    world.admin.put(&path, json!({ "conditions": { "skus": ["WALK-*"] } })).await.expect(200);
    world.converge().await;
    assert_eq!(shows(), 0, "nobody else would take it off");

    sandbox.set_quantity_by_hand("RUN-42", 5).await;
    let level = json!({
        "inventory_item_id": sandbox.shows()[0].inventory_item_id, "location_id": 7, "available": 5,
        "updated_at": "2026-11-02T09:00:00Z",
    });
    let told = shop::Webhook::new("inventory_levels/update", "by-hand", &level);
    told.send(&world.admin, &connection).await.expect(200);
    world.converge().await;
    assert_eq!(shows(), 5);
    restock(&world, "RUN-42", 1).await;
    world.converge().await;
    assert_eq!(shows(), 5, "whatever moves here");

    world.admin.put(&path, json!({})).await.expect(200);
    world.converge().await;
    assert_eq!(shows(), 10, "it fits again");
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_figure_that_cannot_count_is_put_right_and_what_others_were_told_is_on_record() {
    let (sandbox, world, _) = shop_and_world(&["42", "43"], json!({ "acceptInventory": true })).await;
    restock(&world, "RUN-42", 5).await;
    restock(&world, "RUN-43", 5).await;
    world.converge().await;
    let before = times(&world, "listing.quantity_pushed").await;

    // With the one that is held here these are more than can be spoken of.
    sandbox.set_quantity_by_hand("RUN-42", 1_000_000_000).await;
    world.reserve(&[("RUN-42", 1)]).await.expect(201);
    restock(&world, "RUN-43", 1).await;
    step(&world).await;
    assert_eq!(World::shows(&sandbox)["RUN-43"].0, 6);
    assert_eq!(times(&world, "listing.quantity_pushed").await, before + 1);
    assert_eq!(times(&world, "listing.quantity_observed").await, 1);

    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 4);
    assert_eq!(world.levels().await["RUN-42"], (5, 1, 4));
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}
