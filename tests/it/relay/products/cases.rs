//! Products that are there otherwise than we would have made them, that somebody there has changed, or that are refused.

use axum::body::Body;
use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::connection::Platform;
use onhand_infrastructure::{
    platforms::shopify::sandbox::{SandboxShop, SeedProduct, SeedVariant},
    queries::offers,
};
use onhand_tests::{
    World,
    channels::{self, Channel, Setup},
    shop,
};
use serde_json::{Value, json};

use super::{
    content, describe, everything, goods, make, make_unheard, open, runner, runner_in_a_shop, skus, woo,
};
use crate::relay::{all_is_done, restock, statuses, step, times};

pub(super) fn titles(channel: &Channel) -> Vec<String> {
    goods(channel).into_keys().map(|(_, title)| title).collect()
}

pub(super) async fn rules(world: &World, channel: &Channel, rules: Value) {
    world.admin.put(&format!("/api/connections/{}/rules", channel.connection), rules).await.expect(200);
}

async fn archive(world: &World, id: &str) {
    world.admin.send("DELETE", &format!("/api/products/{id}"), &[], Body::empty()).await.expect(200);
}

pub(super) async fn add(world: &World, id: &str, sku: &str) {
    let prices = json!({ "US": { "amount": "120.00", "currency": "USD" } });
    let variant = json!({ "sku": sku, "attributes": { "size": sku.rsplit('-').next() }, "prices": prices });
    let path = format!("/api/products/{id}/variants");
    world.admin.post(&path, json!({ "variants": [variant] })).await.expect(200);
}

/// Gives the one variant of a product another SKU here.
async fn rename(world: &World, id: &str, sku: &str) {
    let path = format!("/api/products/{id}");
    let variant = world.admin.get(&path).await.expect(200)["variants"][0]["id"].clone();
    let renamed = json!({ "variants": [{ "id": variant, "sku": sku, "attributes": { "size": "42" } }] });
    world.admin.post(&format!("{path}/variants"), renamed).await.expect(200);
}

/// What is ours of the reasons for which pushes were given up.
async fn dead(world: &World) -> Vec<(String, String)> {
    let listed = world.admin.get("/api/outbox?status=dead").await.expect(200);
    let rows = listed["data"].as_array().expect("a page has rows").clone();
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    rows.iter().map(|row| (text(row, "kind"), text(row, "last_error"))).collect()
}

/// A shop speaks of its one product.
pub(super) async fn speak(
    world: &World,
    (sandbox, connection): (&SandboxShop, &str),
    product: &Value,
    at: DateTime<Utc>,
) {
    let shown = &sandbox.shows()[0];
    let variant = json!({
        "id": shown.variant_id, "sku": "RUN-42", "price": shown.price, "option1": "42",
        "inventory_item_id": shown.inventory_item_id,
    });
    let mut told = json!({
        "id": shown.product_id, "options": [{ "name": "Size", "position": 1 }], "updated_at": at,
        "variants": [variant],
    });
    for (name, value) in product.as_object().into_iter().flatten() {
        told[name] = value.clone();
    }
    shop::Webhook::new("products/update", &at.to_rfc3339(), &told)
        .send(&world.admin, connection)
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_a_shop_has_split_keeps_the_words_of_its_parts() {
    let world = World::new().await;
    let id = make(&world, runner("Runner"), &[("RUN-42", None), ("RUN-43", None)]).await;
    let setup = Setup { sizes: 1, more: json!({ "rules": everything() }), ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Square, &["RUN-42", "RUN-43"], &setup).await;
    world.converge().await;
    describe(&world, &id, runner("Runner II")).await;
    world.converge().await;
    assert_eq!(titles(&channel), ["RUN-42", "RUN-43"]);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_products_that_are_one_in_a_shop_are_neither_renamed_nor_taken_off_for_each_other() {
    let world = World::new().await;
    let channel = woo(&world).await;
    channel.sandbox.seed("Both", &[("RED-42", 9_000, 0), ("BLUE-42", 9_000, 0)]);
    let red = make(&world, runner("Red"), &[("RED-42", Some("90.00"))]).await;
    let blue = make(&world, runner("Blue"), &[("BLUE-42", Some("90.00"))]).await;
    world.converge().await;
    assert_eq!(times(&world, "listing.mapped").await, 2, "they are found there");
    describe(&world, &red, runner("Red II")).await;
    world.converge().await;
    assert_eq!(titles(&channel), ["Both"]);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);

    archive(&world, &red).await;
    world.converge().await;
    assert_eq!(skus(&channel), ["BLUE-42", "RED-42"]);
    let dead = dead(&world).await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].0 == "content" && dead[0].1.contains("by hand"), "{dead:?}");
    let body = json!({ "dryRun": true, "connections": [channel.connection] });
    let rehearsed = world.admin.post("/api/sync", body).await.expect(200);
    assert!(rehearsed["rehearsed"][0]["products"][0]["problem"].is_string(), "{rehearsed}");

    // Once nothing is in it that is sold, it goes.
    archive(&world, &blue).await;
    world.converge().await;
    assert!(skus(&channel).is_empty());
    assert_eq!(times(&world, "product.taken_off").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shop_has_removed_is_not_made_again_with_another_size() {
    let (world, sandbox, connection, id) = runner_in_a_shop().await;
    let product = sandbox.shows()[0].product_id;
    assert!(sandbox.delete_product(product).await);
    let gone = json!({ "id": product });
    shop::Webhook::new("products/delete", "d", &gone).send(&world.admin, &connection).await.expect(200);
    add(&world, &id, "RUN-44").await;
    world.converge().await;
    assert!(sandbox.shows().is_empty());
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_rewrite_nothing_that_somebody_else_has_worded() {
    let world = World::new().await;
    let id = make(&world, runner("Runner"), &[("RUN-42", None)]).await;
    let channel = Channel::open(&world, Platform::Woocommerce, &["RUN-42"]).await;
    world.converge().await;
    for others in [json!({ "safetyBuffer": 1 }), json!({ "propagateUpdates": false }), json!({})] {
        rules(&world, &channel, others.clone()).await;
        world.converge().await;
        assert_eq!(content(&world).await.0, 0, "{others}");
    }
    for what in ["disable", "enable"] {
        let path = format!("/api/connections/{}/{what}", channel.connection);
        world.admin.post(&path, json!({})).await.expect(200);
    }
    world.converge().await;
    assert_eq!((content(&world).await.0, titles(&channel)), (0, vec!["RUN-42".to_owned()]));

    describe(&world, &id, runner("Runner II")).await;
    world.converge().await;
    assert_eq!(titles(&channel), ["Runner II"], "other words were chosen here");
    rules(&world, &channel, json!({ "propagateUpdates": false })).await;
    describe(&world, &id, runner("Runner III")).await;
    world.converge().await;
    assert_eq!(titles(&channel), ["Runner II"]);
    rules(&world, &channel, json!({})).await;
    world.converge().await;
    assert_eq!(titles(&channel), ["Runner III"], "ours are there, and are others now");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_a_condition_kept_back_are_told_once_it_is_met() {
    let world = World::new().await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("90.00"))]).await;
    let more = json!({ "rules": { "conditions": { "priceMax": 10_000 } } });
    let setup = Setup { more, ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Woocommerce, &["RUN-42"], &setup).await;
    describe(&world, &id, runner("Runner II")).await;
    world.converge().await;
    channels::price(&world, "RUN-42", "120.00").await;
    describe(&world, &id, runner("Runner III")).await;
    world.converge().await;
    assert_eq!(titles(&channel), ["Runner II"]);
    channels::price(&world, "RUN-42", "80.00").await;
    world.converge().await;
    assert_eq!(titles(&channel), ["Runner III"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_unheard_and_then_archived_is_taken_off_once_it_turns_up() {
    let world = World::new().await;
    let channel = woo(&world).await;
    let prices = json!({ "US": { "amount": "120.00", "currency": "USD" } });
    let product = json!({ "title": "Runner", "variants": [{ "sku": "RUN", "prices": prices }] });
    let made = world.admin.post("/api/products", product).await.expect(201);
    world.project().await;
    make_unheard(&world, &channel).await;
    archive(&world, made["id"].as_str().expect("an id")).await;
    world.converge().await;
    assert_eq!((skus(&channel), times(&world, "listing.mapped").await), (vec!["RUN".to_owned()], 0));

    let good = &channel.sandbox.goods()[0];
    let (product, variant, inventory) = channel.sandbox.handle(good);
    let mapped = json!({
        "connection": channel.connection, "external_product": product, "external_variant": variant,
        "external_inventory": inventory, "sku": "RUN",
    });
    world.admin.post("/api/listings", mapped).await.expect(200);
    world.converge().await;
    assert!(skus(&channel).is_empty());
    assert_eq!(times(&world, "product.taken_off").await, 1);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_that_is_refused_keeps_back_no_words_and_is_not_tried_again_for_every_change() {
    let world = World::new().await;
    let channel = woo(&world).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    add(&world, &id, "RUN-43").await;
    describe(&world, &id, runner("Runner II")).await;
    channel.faults().fail_next(1, 422);
    world.converge().await;
    assert_eq!((titles(&channel), skus(&channel)), (vec!["Runner II".to_owned()], vec!["RUN-42".to_owned()]));
    assert_eq!(times(&world, "product.push_failed").await, 1);

    let before = content(&world).await;
    channels::price(&world, "RUN-43", "125.00").await;
    let mut others = everything();
    for (name, value) in [("safetyBuffer", json!(1)), ("propagateInventory", json!(false))] {
        others[name] = value;
        rules(&world, &channel, others.clone()).await;
    }
    world.converge().await;
    assert_eq!((content(&world).await, skus(&channel)), (before, vec!["RUN-42".to_owned()]));

    world.admin.post("/api/sync/replay", json!({ "type": "content" })).await.expect(200);
    world.converge().await;
    assert_eq!(skus(&channel), ["RUN-42", "RUN-43"]);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_let_in_no_more_is_tried_once_and_not_for_each_product() {
    let world = World::new().await;
    let channel = woo(&world).await;
    for number in 0..60 {
        let sku = format!("RUN-{number}");
        make(&world, runner("Runner"), &[(sku.as_str(), Some("120.00"))]).await;
    }
    let before = channel.calls().made;
    channel.faults().fail_next(2, 401);
    assert_eq!((step(&world).await, step(&world).await, step(&world).await), (50, 10, 0));
    assert_eq!(channel.calls().made, before + 2, "once in each group");
    world.clock.advance(TimeDelta::minutes(5));
    step(&world).await;
    assert!(!skus(&channel).is_empty(), "kept, and made once it may be");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_may_be_made_what_is_there_is_taken_off_all_the_same() {
    let world = World::new().await;
    let channel = woo(&world).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    for number in 0..50 {
        let sku = format!("WALK-{number}");
        make(&world, runner("Walker"), &[(sku.as_str(), Some("80.00"))]).await;
    }
    world.clock.advance(TimeDelta::seconds(1));
    archive(&world, &id).await;
    channel.faults().fail_next(1, 403);
    assert_eq!(step(&world).await, 50);
    assert_eq!(skus(&channel), ["RUN-42"], "it waits behind those that were first");
    step(&world).await;
    assert!(skus(&channel).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_owed_are_told_although_others_are_seen_before() {
    let (world, sandbox, connection, id) = runner_in_a_shop().await;
    let shop = (&sandbox, connection.as_str());
    speak(&world, shop, &json!({ "title": "Runner" }), world.clock.now()).await;
    world.clock.advance(TimeDelta::minutes(1));
    let mut details = runner("Runner II");
    details["category"] = json!("Shoes");
    describe(&world, &id, details).await;
    // Somebody there has chosen the same category, so that nothing changes here.
    speak(&world, shop, &json!({ "title": "Runner", "product_type": "Shoes" }), world.clock.now()).await;
    assert_eq!(times(&world, "product.described").await, 1);
    world.converge().await;
    assert_eq!(times(&world, "product.pushed").await, 2);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

/// Whether nothing is owed of our words, by what is known of an offer: in the database and outside it.
async fn is_in_order(world: &World, channel: &Channel, product: &str, known: Value) -> (bool, bool) {
    let (pool, id) = (world.onhand.pool(), product.parse().expect("an id is a UUID"));
    sqlx::query("update products set offers = jsonb_build_object($1::text, $2::jsonb) where id = $3::uuid")
        .bind(&channel.connection)
        .bind(known)
        .bind(product)
        .execute(pool)
        .await
        .expect("products can be written");
    let (owed,): (bool,) = sqlx::query_as(
        "select is_outdated or is_untold from offer_targets
         where connection_id = $1::uuid and product_id = $2::uuid",
    )
    .bind(&channel.connection)
    .bind(product)
    .fetch_one(pool)
    .await
    .expect("it may be described there");
    let targets = offers::targets(pool, world.tenant, &[(channel.id(), id)]).await.expect("it can be read");
    (!owed, !targets.into_values().next().expect("it is there").owes_words())
}

#[tokio::test(flavor = "multi_thread")]
async fn our_words_are_in_order_if_all_that_a_shop_can_be_told_is_as_it_was_or_shown_and_nothing_is_waited_for()
 {
    let world = World::new().await;
    let mut details = runner("Runner");
    for (name, value) in [("vendor", json!("Quay")), ("category", json!("Shoes")), ("tags", json!(["low"]))] {
        details[name] = value;
    }
    let id = make(&world, details, &[("RUN-42", None)]).await;
    let square = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    let other = Channel::open(&world, Platform::Woocommerce, &["RUN-42"]).await;
    let [title, others, all_but_vendor] = [
        json!({ "title": "Runner" }),
        json!({ "title": "Walker" }),
        json!({ "title": "Runner", "category": "Shoes", "tags": ["low"] }),
    ];
    let known = |settled: &Value, shown: &Value| json!({ "settled": settled, "shown": shown });
    let mut awaiting = known(&others, &title);
    awaiting["is_awaited"] = json!(true);
    for (channel, known, expected) in [
        (&square, known(&others, &title), true),
        (&square, known(&others, &others), false),
        // It was to be called otherwise, and that is yet to come.
        (&square, awaiting, false),
        // It has always been called so there.
        (&square, known(&title, &others), true),
        (&other, known(&title, &all_but_vendor), true),
        (&other, known(&all_but_vendor, &title), true),
        // It would take a category and tags, and has none.
        (&other, known(&title, &title), false),
        // As the release before has written it.
        (&square, json!({ "pushed": title, "shown": others, "taken_off": false, "awaited": [title] }), true),
        (&square, json!({ "pushed": others, "shown": others, "taken_off": false }), false),
    ] {
        let case = format!("{:?}: {known}", channel.platform);
        assert_eq!(is_in_order(&world, channel, &id, known).await, (expected, expected), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_has_waited_for_minutes_goes_before_figures() {
    let world = World::new().await;
    let channel = woo(&world).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    describe(&world, &id, runner("Runner II")).await;
    world.clock.advance(TimeDelta::minutes(4));
    restock(&world, "RUN-42", 1).await;
    channel.faults().fail_next(1, 422);
    step(&world).await;
    let dead = dead(&world).await;
    assert!(dead.len() == 1 && dead[0].0 == "content", "{dead:?}");
    assert_eq!((channel.quantity("RUN-42"), titles(&channel)), (1, vec!["Runner".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_is_restored_is_brought_back_where_we_took_it_off() {
    let world = World::new().await;
    let one = woo(&world).await;
    let other = open(&world, Platform::Square, json!({ "rules": everything() })).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    restock(&world, "RUN-42", 3).await;
    world.converge().await;
    archive(&world, &id).await;
    world.converge().await;
    assert!(skus(&one).is_empty() && skus(&other).is_empty());

    world.admin.post(&format!("/api/products/{id}/restore"), json!({})).await.expect(200);
    world.converge().await;
    for channel in [&one, &other] {
        assert_eq!((channel.quantity("RUN-42"), titles(channel)), (3, vec!["Runner".to_owned()]));
    }
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_whose_sku_was_changed_here_is_brought_back_and_not_made_a_second_time() {
    let (world, sandbox, _, id) = runner_in_a_shop().await;
    let shown = || -> Vec<(u64, u64, String)> {
        let shows = sandbox.shows().into_iter();
        shows.map(|it| (it.product_id, it.variant_id, it.sku)).collect()
    };
    let before = shown();
    restock(&world, "RUN-42", 3).await;
    world.converge().await;
    rename(&world, &id, "RUN-42-W").await;
    archive(&world, &id).await;
    world.converge().await;
    assert_eq!((before.len(), shown().len()), (1, 0));

    world.admin.post(&format!("/api/products/{id}/restore"), json!({})).await.expect(200);
    world.converge().await;
    assert_eq!(shown(), before, "the shop goes on showing the SKU it has");
    assert_eq!(sandbox.shows()[0].available, 3);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_listed_by_mistake_and_taken_away_does_not_come_back_with_the_product() {
    let (world, sandbox, connection, id) = runner_in_a_shop().await;
    let other = SeedVariant { sku: "THEIRS".into(), quantity: 9, ..SeedVariant::default() };
    let theirs = SeedProduct { title: "Theirs".into(), variants: vec![other], ..SeedProduct::default() };
    let theirs = sandbox.seed(theirs);
    let path = format!("/api/products/{id}/variants");
    let unpriced = json!({ "variants": [{ "sku": "RUN-43", "attributes": { "size": "43" } }] });
    world.admin.post(&path, unpriced).await.expect(200);
    let mistake = json!({
        "connection": connection, "sku": "RUN-43", "external_product": theirs.product_id.to_string(),
        "external_variant": theirs.variants[0].variant_id.to_string(),
        "external_inventory": theirs.variants[0].inventory_item_id.to_string(),
    });
    let listed = world.admin.post("/api/listings", mistake).await.expect(200);
    let listed = listed["id"].as_str().expect("an id");
    world.converge().await;
    world.admin.send("DELETE", &format!("/api/listings/{listed}"), &[], Body::empty()).await.expect(200);
    archive(&world, &id).await;
    world.converge().await;

    let price = json!({ "amount": "120.00", "currency": "USD" });
    world.admin.put("/api/variants/RUN-43/prices/US", price).await.expect(200);
    world.admin.post(&format!("/api/products/{id}/restore"), json!({})).await.expect(200);
    world.converge().await;
    restock(&world, "RUN-43", 5).await;
    world.converge().await;
    let shown = World::shows(&sandbox);
    assert_eq!((shown["THEIRS"].0, shown["RUN-43"].0), (9, 5));
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn news_of_how_it_stood_before_it_was_described_and_of_a_sku_that_was_changed_here_change_nothing() {
    let (world, sandbox, connection, id) = runner_in_a_shop().await;
    let shop = (&sandbox, connection.as_str());
    speak(&world, shop, &json!({ "title": "Runner" }), world.clock.now()).await;
    let before = world.clock.now();
    world.clock.advance(TimeDelta::minutes(1));
    describe(&world, &id, runner("Runner II")).await;
    world.converge().await;
    // Somebody had given it a category, and our words were told before we heard of that.
    speak(&world, shop, &json!({ "title": "Runner", "product_type": "Shoes" }), before).await;
    world.converge().await;
    let path = format!("/api/products/{id}");
    assert_eq!(world.admin.get(&path).await.expect(200)["title"], "Runner II");
    assert_eq!(times(&world, "product.described").await, 1);

    rename(&world, &id, "RUN-42-W").await;
    speak(&world, shop, &json!({ "title": "Runner II" }), world.clock.now()).await;
    world.converge().await;
    assert_eq!(world.admin.get(&path).await.expect(200)["variants"][0]["sku"], "RUN-42-W");
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test]
async fn statements_are_not_compiled_while_a_ledger_waits() {
    let world = World::new().await;
    let (jit,): (String,) =
        sqlx::query_as("show jit").fetch_one(world.onhand.pool()).await.expect("it is told");
    assert_eq!(jit, "off");
}
