//! Listings that are taken away: nothing is owed to them any more, and nobody has to see to what was given up on them.

use axum::body::Body;
use onhand_domain::connection::Platform;
use onhand_infrastructure::platforms::shopify::sandbox::ShownVariant;
use onhand_tests::{
    Answer, World,
    channels::{self, Channel},
    process::onhand,
    shop,
};
use serde_json::{Value, json};

use super::{all_is_done, restock, shop_and_world, statuses, step, times};

async fn take_away(world: &World, listing: &str, headers: &[(&str, &str)]) -> Answer {
    world.admin.send("DELETE", &format!("/api/listings/{listing}"), headers, Body::empty()).await
}

/// What is given up and was not taken up again: how many.
async fn dead(world: &World) -> usize {
    let dead = world.admin.get("/api/outbox?status=dead").await.expect(200);
    dead["data"].as_array().map(Vec::len).expect("a page has rows")
}

/// The listing of a SKU.
async fn listing(world: &World, sku: &str) -> Value {
    let listed = world.admin.get("/api/listings").await.expect(200);
    let found = listed["data"].as_array().expect("a page has rows").iter().find(|it| it["sku"] == sku);
    found.expect("it is listed").clone()
}

/// A world of which a listing names nothing that its platform has, so that a push to it was given up. Gives its id, too.
async fn lost() -> (World, Channel, String) {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42", "LOST-1"], 3, None).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    let nobodys = json!({
        "connection": channel.connection, "external_product": "NOBODYS", "external_variant": "NOBODYS1",
        "sku": "LOST-1",
    });
    let lost = world.admin.post("/api/listings", nobodys).await.expect(200);
    world.converge().await;
    assert_eq!(dead(&world).await, 1);
    (world, channel, lost["id"].as_str().expect("an id").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_was_mapped_wrongly_is_taken_away_with_what_was_given_up_on_it() {
    let (world, channel, lost) = lost().await;
    let watch = async || world.onhand.operations.watch_connections().await.expect("connections are watched");
    watch().await;
    assert_eq!(times(&world, "connection.alert_raised").await, 1);
    let (code, said, wrong) = onhand(&world, &["status"]).await;
    assert!(code == 1 && said.contains("A PERSON IS NEEDED for dead pushes"), "{said}{wrong}");

    let once = take_away(&world, &lost, &[("idempotency-key", "away")]).await.expect(200);
    assert_eq!((&once["id"], &once["removed"]), (&json!(lost), &json!(true)));
    let again = take_away(&world, &lost, &[("idempotency-key", "away")]).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(200), once);
    take_away(&world, &lost, &[]).await.expect(200);
    assert_eq!(times(&world, "listing.removed").await, 1, "it was gone already");

    assert_eq!(dead(&world).await, 0);
    watch().await;
    assert_eq!(times(&world, "connection.alert_cleared").await, 1);
    let (code, said, wrong) = onhand(&world, &["status"]).await;
    assert!(code == 0 && said.contains("acme: nothing needs a person"), "{said}{wrong}");
    let replay = world.admin.post("/api/sync/replay", json!({ "dryRun": true })).await.expect(200);
    assert_eq!(replay["count"], 0, "{replay}");

    let calls = channel.calls().made;
    restock(&world, "LOST-1", 1).await;
    world.converge().await;
    assert_eq!(channel.calls().made, calls);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    assert_eq!(listing(&world, "LOST-1").await["removed"], true);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_here_stays_as_it_is_there_until_it_is_mapped_again() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, None).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    world.converge().await;
    restock(&world, "RUN-42", 2).await;
    let known = listing(&world, "RUN-42").await;
    take_away(&world, known["id"].as_str().expect("an id"), &[]).await.expect(200);
    assert!(all_is_done(&world).await, "what waited is closed at once: {:?}", statuses(&world).await);
    let calls = channel.calls().made;
    world.converge().await;
    assert_eq!((channel.quantity("RUN-42"), channel.calls().made), (7, calls));

    // Changed there with nobody looking, while it comes to what it was last known to show.
    channel.sandbox.edit_quantity("RUN-42", 1);
    let broken = json!({ "sku": "RUN-42", "delta": -2, "reason": "broken" });
    world.admin.post("/api/stock/adjust", broken).await.expect(200);
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 1);
    let mapping = json!({
        "connection": channel.connection, "sku": "RUN-42", "external_product": known["external_product"],
        "external_variant": known["external_variant"], "external_inventory": known["external_inventory"],
    });
    world.admin.post("/api/listings", mapping).await.expect(200);
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 7);
    assert_eq!(listing(&world, "RUN-42").await["removed"], false);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_on_a_listing_is_over_when_its_shop_deletes_it() {
    let (sandbox, world, connection) = shop_and_world(&["42"], json!({})).await;
    sandbox.unstock_by_hand("RUN-42").await;
    restock(&world, "RUN-42", 4).await;
    world.converge().await;
    assert_eq!(dead(&world).await, 1);

    let gone = json!({ "id": sandbox.shows()[0].product_id });
    shop::Webhook::new("products/delete", "d", &gone).send(&world.admin, &connection).await.expect(200);
    assert_eq!(dead(&world).await, 0);
    assert_eq!(step(&world).await, 0, "and nothing waits");
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_mapped_to_another_place_is_told_there_and_not_believed_to_show_what_it_showed() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    channel.sandbox.seed("Another", &[("WALK-1", 9_000, 50)]);
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 7);
    let goods = channel.sandbox.goods();
    let place =
        |sku: &str| goods.iter().find(|good| good.sku == sku).map(|good| channel.sandbox.handle(good));
    let (product, variant, _) = place("RUN-42").expect("it is there");
    let (.., elsewhere) = place("WALK-1").expect("it is there");
    let mapped = json!({
        "connection": channel.connection, "external_product": product, "external_variant": variant,
        "external_inventory": elsewhere, "sku": "RUN-42",
    });
    world.admin.post("/api/listings", mapped).await.expect(200);
    assert_eq!(listing(&world, "RUN-42").await["shown_quantity"], json!(null));
    world.converge().await;
    assert_eq!(channel.quantity("WALK-1"), 7);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_that_shows_one_variant_is_not_mapped_to_another_as_well() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-41", "RUN-42"], 5, None).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-41", "RUN-42"]).await;
    world.project().await;
    let (one, other) = (listing(&world, "RUN-41").await, listing(&world, "RUN-42").await);
    let mapped = async |sku: &str| {
        let mapping = json!({
            "connection": channel.connection, "external_product": other["external_product"],
            "external_variant": other["external_variant"], "external_inventory": one["external_inventory"],
            "sku": sku,
        });
        world.admin.post("/api/listings", mapping).await
    };
    let refused = mapped("RUN-42").await;
    let named = one["id"].as_str().expect("an id");
    assert!(refused.body["detail"].to_string().contains(named), "{}", refused.body);
    assert_eq!(refused.problem(409), "listing.taken");
    mapped("RUN-41").await.expect(200);
    take_away(&world, named, &[]).await.expect(200);
    mapped("RUN-42").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_listings_of_one_stock_what_one_was_told_is_not_put_right_by_the_other() {
    let (sandbox, world, connection) = shop_and_world(&["41", "42"], json!({})).await;
    restock(&world, "RUN-41", 5).await;
    restock(&world, "RUN-42", 7).await;
    world.converge().await;
    let shown = sandbox.shows();
    let item = shown[0].inventory_item_id;
    let variant =
        |it: &ShownVariant| json!({ "id": it.variant_id, "sku": it.sku, "inventory_item_id": item });
    let product = json!({
        "id": shown[0].product_id, "title": "Runner", "updated_at": "2026-11-01T13:00:00Z",
        "variants": shown.iter().map(variant).collect::<Vec<_>>(),
    });
    let shared = shop::Webhook::new("products/update", "shared", &product);
    shared.send(&world.admin, &connection).await.expect(200);
    world.converge().await;
    restock(&world, "RUN-42", 1).await;
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-41"].0, 8);

    let level = json!({
        "inventory_item_id": item, "location_id": 7, "available": 8, "updated_at": "2026-11-02T09:00:00Z",
    });
    let told = shop::Webhook::new("inventory_levels/update", "told", &level);
    told.send(&world.admin, &connection).await.expect(200);
    let calls = sandbox.calls().graphql.values().sum::<u64>();
    world.converge().await;
    assert_eq!(sandbox.calls().graphql.values().sum::<u64>(), calls, "there is nothing to be told");
    assert_eq!(World::shows(&sandbox)["RUN-41"].0, 8);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}
