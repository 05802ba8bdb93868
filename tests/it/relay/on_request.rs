//! On request: listings told once more, what was given up taken up again, and rehearsals that change nothing.

use chrono::TimeDelta;
use onhand_domain::connection::Platform;
use onhand_tests::{
    World,
    channels::{self, Channel, TOKEN},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{all_is_done, restock, statuses, step, times};

async fn two_shops() -> (World, Channel, Channel) {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42", "RUN-43"], 7, Some("100.00")).await;
    let one = Channel::open(&world, Platform::Woocommerce, &["RUN-42", "RUN-43"]).await;
    let other = Channel::open(&world, Platform::Square, &["RUN-42", "RUN-43"]).await;
    world.converge().await;
    (world, one, other)
}

/// Lets every push to a shop be given up: its ids are nobody's any more, and then they are somebody's again.
async fn given_up(world: &World, channel: &Channel) {
    sqlx::query("update listings set external_variant = external_variant || '0' where connection_id = $1")
        .bind(channel.id().0)
        .execute(world.onhand.pool())
        .await
        .expect("ids are spoilt");
    restock(world, "RUN-42", 1).await;
    restock(world, "RUN-43", 1).await;
    world.converge().await;
    sqlx::query("update listings set external_variant = left(external_variant, -1) where connection_id = $1")
        .bind(channel.id().0)
        .execute(world.onhand.pool())
        .await
        .expect("ids are mended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_shows_figures_and_calls_and_changes_nothing() {
    let (world, one, other) = two_shops().await;
    // Nobody has heard of this.
    one.sandbox.edit_quantity("RUN-43", 77);
    restock(&world, "RUN-42", 3).await;
    world.project().await;
    let before = (one.shows(), other.shows(), statuses(&world).await, world.history().await.len());
    let shown = world.admin.post("/api/sync", json!({ "dryRun": true })).await.expect(200);
    let rehearsed = shown["rehearsed"].as_array().expect("a list").clone();
    assert_eq!(rehearsed.len(), 2);
    for shop in &rehearsed {
        let figures = shop["figures"].as_array().expect("figures");
        assert_eq!(figures.len(), 4, "whatever is believed to be shown: {shop}");
        for (sku, owed) in [("RUN-42", 10), ("RUN-43", 7)] {
            let figure = figures.iter().find(|it| it["sku"] == sku && it["kind"] == "quantity");
            let figure = figure.expect("it is told");
            assert_eq!((&figure["shown"], &figure["owed"]), (&json!(7), &json!(owed)));
            assert_eq!(figure["problem"], Value::Null);
        }
        assert_eq!(shop["products"][0]["what"], "describe", "in all of our words: {shop}");
        let calls = shop["calls"].as_array().expect("calls");
        let sets = |call: &Value| {
            let body = call["body"].to_string();
            body.contains("quantity") && body.contains("10")
        };
        assert!(calls.iter().any(sets), "{shop}");
    }
    assert!(!shown.to_string().contains(TOKEN), "no credential is shown");
    let after = (one.shows(), other.shows(), statuses(&world).await, world.history().await.len());
    assert_eq!(before, after);

    let told =
        async || times(&world, "listing.quantity_pushed").await + times(&world, "listing.price_pushed").await;
    let so_far = told().await;
    world.admin.post("/api/sync", json!({})).await.expect(200);
    world.converge().await;
    assert_eq!(told().await - so_far, 8, "as it was shown beforehand");
    assert_eq!((one.quantity("RUN-42"), one.quantity("RUN-43")), (10, 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_rehearsed_before_they_are_saved() {
    let (world, one, _other) = two_shops().await;
    let rehearse = async |rules: Value| {
        let body = json!({ "dryRun": true, "connections": [one.connection], "rules": rules });
        let shown = world.admin.post("/api/sync", body).await.expect(200);
        assert_eq!(shown["rehearsed"][0]["products"], json!([]), "that says nothing anew");
        let figures = shown["rehearsed"][0]["figures"].as_array().expect("figures").clone();
        figures.iter().map(|it| (it["sku"].clone(), it["owed"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(rehearse(json!({})).await, []);
    let mut owed = rehearse(json!({ "safetyBuffer": 2, "conditions": { "skus": ["*-43"] } })).await;
    owed.sort_by_key(|(sku, _)| sku.to_string());
    let sold_out = (json!("RUN-42"), json!(0));
    assert_eq!(
        owed,
        [sold_out, (json!("RUN-43"), json!(5))],
        "what is no more to be shown is sold out there"
    );
    assert_eq!(one.quantity("RUN-43"), 7);
    let two = json!({ "dryRun": true, "rules": {} });
    assert_eq!(world.admin.post("/api/sync", two).await.problem(422), "sync.invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_told_once_more_and_progress_can_be_followed() {
    let (world, one, other) = two_shops().await;
    // Nobody has heard of this.
    one.sandbox.edit_quantity("RUN-42", 1);
    sqlx::query("update listings set shown_quantity = null where connection_id = $1")
        .bind(one.id().0)
        .execute(world.onhand.pool())
        .await
        .expect("what is believed is forgotten");
    let body = json!({ "connections": [one.connection], "skus": ["RUN-42"] });
    let begun = world.admin.post("/api/sync", body).await.expect(200);
    assert_eq!(begun["count"], 1);
    assert_eq!(times(&world, "connection.sync_requested").await, 1);
    world.converge().await;
    assert_eq!(one.quantity("RUN-42"), 7);
    assert_eq!(other.quantity("RUN-42"), 7);
    let path = format!("/api/sync/progress/{}?connections={}", begun["position"], one.connection);
    let followed = world.admin.get(&path).await;
    assert_eq!(followed.status.as_u16(), 200);
    assert_eq!(followed.headers["content-type"], "text/event-stream");
    let nobodys = format!("{path},{}", uuid::Uuid::from_u128(7));
    assert_eq!(world.admin.get(&nobodys).await.problem(404), "connection.unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_taken_up_again_one_after_the_other() {
    let (world, one, _other) = two_shops().await;
    given_up(&world, &one).await;
    assert_eq!(one.quantity("RUN-42"), 7);

    let dry = json!({ "platform": "woocommerce", "dryRun": true });
    let shown = world.admin.post("/api/sync/replay", dry).await.expect(200);
    assert_eq!(shown["count"], 2, "{shown}");
    assert!(shown["pushes"][0]["last_error"].is_string(), "it says why: {shown}");
    let elsewhere = json!({ "platform": "square", "dryRun": true });
    assert_eq!(world.admin.post("/api/sync/replay", elsewhere).await.expect(200)["count"], 0);
    let young = json!({ "olderThanSeconds": 3600, "dryRun": true });
    assert_eq!(world.admin.post("/api/sync/replay", young).await.expect(200)["count"], 0);

    let body = json!({ "platform": "woocommerce", "staggerMs": 60000 });
    assert_eq!(world.admin.post("/api/sync/replay", body.clone()).await.expect(200)["count"], 2);
    assert_eq!(world.admin.post("/api/sync/replay", body).await.expect(200)["count"], 0, "once");
    assert_eq!(times(&world, "connection.pushes_replayed").await, 1);
    step(&world).await;
    let shown = one.quantities();
    assert_eq!(
        shown.values().filter(|quantity| **quantity == 8).count(),
        1,
        "the other has to wait: {shown:?}"
    );
    world.clock.advance(TimeDelta::minutes(1));
    step(&world).await;
    assert!(one.quantities().values().all(|quantity| *quantity == 8));
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_needs_nobody_once_its_listing_was_told_what_came_then() {
    let (world, one, _other) = two_shops().await;
    let dead = async || {
        let dead = world.admin.get("/api/outbox?status=dead").await.expect(200);
        dead["data"].as_array().map(Vec::len)
    };
    let watch = async || world.onhand.operations.watch_connections().await.expect("connections are watched");
    for _ in 0..3 {
        given_up(&world, &one).await;
        assert_eq!(dead().await, Some(2), "what is given up anew takes the place of the old one");
    }
    watch().await;
    assert_eq!(times(&world, "connection.alert_raised").await, 1);
    channels::price(&world, "RUN-42", "90.00").await;
    world.converge().await;
    assert_eq!(dead().await, Some(2), "a price is no quantity");
    for (sku, left) in [("RUN-42", Some(1)), ("RUN-43", Some(0))] {
        restock(&world, sku, 1).await;
        world.converge().await;
        assert_eq!((one.quantity(sku), dead().await), (11, left));
    }
    watch().await;
    assert_eq!(times(&world, "connection.alert_cleared").await, 1);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_and_is_not_to_be_pushed_any_more_is_closed_when_it_is_taken_up() {
    let (world, one, _other) = two_shops().await;
    given_up(&world, &one).await;
    let rules = json!({ "propagateInventory": false });
    world.admin.put(&format!("/api/connections/{}/rules", one.connection), rules).await.expect(200);
    world.project().await;
    assert_eq!(world.admin.post("/api/sync/replay", json!({})).await.expect(200)["count"], 2);
    assert_eq!(world.admin.post("/api/sync/replay", json!({})).await.expect(200)["count"], 0, "for good");
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    assert_eq!(one.quantity("RUN-42"), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_takes_up_what_was_given_up_and_only_of_its_own_brand() {
    let (world, one, _other) = two_shops().await;
    given_up(&world, &one).await;
    let editor = world.client("editor", None).await;
    assert_eq!(editor.post("/api/sync/replay", json!({})).await.status.as_u16(), 403);
    let stranger = world.client("admin", Some("other")).await;
    assert_eq!(stranger.post("/api/sync/replay", json!({})).await.expect(200)["count"], 0);
    let shown = stranger.post("/api/sync", json!({ "dryRun": true })).await.expect(200);
    assert_eq!(shown["rehearsed"], json!([]));
    assert_eq!(stranger.get("/api/sync/lag/kite").await.problem(404), "brand.unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_and_not_there_is_told_and_not_taken_for_nothing_to_do() {
    let (world, one, _other) = two_shops().await;
    let before = world.history().await.len();
    for dry in [true, false] {
        let nowhere = json!({ "dryRun": dry, "connections": [one.connection, Uuid::nil()] });
        assert_eq!(world.admin.post("/api/sync", nowhere).await.problem(404), "connection.unknown");
        let nothing = json!({ "dryRun": dry, "skus": ["RUN-42", "RUM-42"] });
        assert_eq!(world.admin.post("/api/sync", nothing).await.problem(404), "sku.unknown");
    }
    assert_eq!(world.history().await.len(), before);
}
