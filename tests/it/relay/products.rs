//! Products on platforms: what the ledger sells is offered, described and taken off where the rules say so, and nowhere twice.

mod cases;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use chrono::TimeDelta;
use onhand_domain::connection::Platform;
use onhand_infrastructure::{
    outbox::{self, CommandKind, breakers},
    platforms::shopify::sandbox::SandboxShop,
};
use onhand_tests::{
    World,
    channels::{self, Channel, Setup},
    shop,
};
use serde_json::{Value, json};

use super::{all_is_done, restock, statuses, step, times};

/// Whatever may flow out does.
fn everything() -> Value {
    json!({ "propagateCreates": true, "propagateUpdates": true, "propagateDeletes": true })
}

/// A stand-in with nothing on it.
async fn open(world: &World, platform: Platform, more: Value) -> Channel {
    let setup = Setup { more, ..Setup::default() };
    Channel::open_with(world, platform, &[] as &[&str], &setup).await
}

/// A product made here and told to a Shopify shop: the world, the shop, its connection, and the product's id.
async fn runner_in_a_shop() -> (World, SandboxShop, String, String) {
    let world = World::new().await;
    let sandbox = shop::empty().await;
    let connection = world.connect(Some(&sandbox.base_url()), everything()).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    (world, sandbox, connection, id)
}

async fn woo(world: &World) -> Channel {
    open(world, Platform::Woocommerce, json!({ "rules": everything() })).await
}

fn runner(title: &str) -> Value {
    json!({ "title": title, "brand": "kite" })
}

/// Takes a product into the ledger, with these SKUs in sizes and these prices. Gives its id.
async fn make(world: &World, mut product: Value, variants: &[(&str, Option<&str>)]) -> String {
    let variant = |(sku, price): &(&str, Option<&str>)| {
        let mut variant = json!({ "sku": sku, "attributes": { "size": sku.rsplit('-').next() } });
        if let Some(amount) = price {
            variant["prices"] = json!({ "US": { "amount": amount, "currency": "USD" } });
        }
        variant
    };
    product["variants"] = variants.iter().map(variant).collect();
    let made = world.admin.post("/api/products", product).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

async fn describe(world: &World, id: &str, details: Value) {
    world.admin.put(&format!("/api/products/{id}"), details).await.expect(200);
}

/// The products of a stand-in: SKUs by the name of each.
fn goods(channel: &Channel) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut products: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for good in channel.sandbox.goods() {
        assert!(
            products.entry((good.product, good.title)).or_default().insert(good.sku),
            "each is there once"
        );
    }
    products
}

fn skus(channel: &Channel) -> Vec<String> {
    channel.shows().into_keys().collect()
}

/// Commands about products, and the most attempts that one of them took.
async fn content(world: &World) -> (i64, i32) {
    sqlx::query_as("select count(*), coalesce(max(attempts), 0) from outbox where kind = 'content'")
        .fetch_one(world.onhand.pool())
        .await
        .expect("the outbox can be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_made_here_appears_in_two_shops_and_is_sold_there() {
    let world = World::new().await;
    let sandbox = shop::empty().await;
    let connection = world.connect(Some(&sandbox.base_url()), everything()).await;
    let other = woo(&world).await;
    make(&world, runner("Runner"), &[("RUN-42", Some("120.00")), ("RUN-43", Some("125.00"))]).await;
    restock(&world, "RUN-42", 5).await;
    world.converge().await;
    let shows = World::shows(&sandbox);
    assert_eq!(shows["RUN-42"], (5, "120.00".to_owned()));
    assert_eq!(shows["RUN-43"], (0, "125.00".to_owned()));
    let shown = [("RUN-42".to_owned(), (5, 12_000)), ("RUN-43".to_owned(), (0, 12_500))];
    assert_eq!(other.shows(), BTreeMap::from(shown));
    assert_eq!(goods(&other).into_keys().next().map(|(_, title)| title).as_deref(), Some("Runner"));
    assert_eq!((times(&world, "listing.mapped").await, times(&world, "product.pushed").await), (4, 2));

    let order = sandbox.buy(&[("RUN-42".into(), 2)]).await.expect("the shop sells");
    let sold = sandbox.shows().into_iter().find(|it| it.sku == "RUN-42").expect("it is there");
    let line = json!({ "id": 1, "variant_id": sold.variant_id, "sku": "RUN-42", "quantity": 2 });
    let body = json!({ "id": order, "line_items": [line] });
    shop::Webhook::new("orders/create", "o", &body).send(&world.admin, &connection).await.expect(200);
    world.converge().await;
    assert_eq!(world.levels().await["RUN-42"], (5, 2, 3));
    assert_eq!(other.quantity("RUN-42"), 3);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

/// A step of the relay in which something is made, and nobody hears of it.
async fn make_unheard(world: &World, channel: &Channel) {
    // Each call takes a while, so that none is answered any more from the first one on that makes something.
    channel.faults().delay(50);
    let relay = world.onhand.relay.clone();
    let tried = tokio::spawn(async move { relay.step().await });
    world.until(|| channel.calls().writes == 1).await;
    channel.faults().drop_after_applying_rate(1.0);
    tried.await.expect("it is not killed").expect("it is on record that it failed");
    channel.faults().clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_whose_making_nobody_heard_of_is_there_once() {
    let world = World::new().await;
    let channel = woo(&world).await;
    make(&world, runner("Runner"), &[("RUN-42", Some("120.00")), ("RUN-43", Some("120.00"))]).await;
    world.project().await;
    make_unheard(&world, &channel).await;
    assert_eq!(times(&world, "listing.mapped").await, 0);

    world.converge().await;
    assert_eq!(content(&world).await, (1, 2));
    let products = goods(&channel);
    assert_eq!(products.len(), 1, "{products:?}");
    assert_eq!(skus(&channel), ["RUN-42", "RUN-43"]);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

/// Lets something happen here while a product is being told of there.
async fn meanwhile(world: &World, channel: &Channel, happens: impl Future<Output = ()>) {
    world.project().await;
    let before = channel.calls().writes;
    channel.faults().delay(200);
    let relay = world.onhand.relay.clone();
    let told = tokio::spawn(async move { relay.step().await });
    world.until(|| channel.calls().writes > before).await;
    happens.await;
    told.await.expect("it is not killed").expect("it is on record");
    channel.faults().clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_taken_back_while_they_are_told_do_not_stay() {
    let world = World::new().await;
    let channel = woo(&world).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    describe(&world, &id, runner("Runner II")).await;
    meanwhile(&world, &channel, describe(&world, &id, runner("Runner"))).await;
    world.converge().await;
    let titles: Vec<String> = goods(&channel).into_keys().map(|(_, title)| title).collect();
    assert_eq!(titles, ["Runner"]);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_is_archived_while_it_is_being_made_there_is_taken_off() {
    let world = World::new().await;
    let channel = woo(&world).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    let path = format!("/api/products/{id}");
    let archived = async {
        world.admin.send("DELETE", &path, &[], Body::empty()).await.expect(200);
    };
    meanwhile(&world, &channel, archived).await;
    world.converge().await;
    assert_eq!(times(&world, "listing.mapped").await, 1, "it was made");
    assert!(skus(&channel).is_empty());
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_described_once_in_each_shop_and_not_at_all_if_nothing_differs() {
    let world = World::new().await;
    let one = woo(&world).await;
    let other = open(&world, Platform::Square, json!({ "rules": everything() })).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    assert_eq!(times(&world, "product.pushed").await, 2);

    describe(&world, &id, runner("Runner II")).await;
    // What has changed twice by the time it is told is told once.
    describe(&world, &id, runner("Runner III")).await;
    world.converge().await;
    for channel in [&one, &other] {
        let titles: Vec<String> = goods(channel).into_keys().map(|(_, title)| title).collect();
        assert_eq!(titles, ["Runner III"]);
    }
    assert_eq!(times(&world, "product.pushed").await, 4);

    let before = (content(&world).await, one.calls().made, other.calls().made);
    describe(&world, &id, runner("Runner III")).await;
    let mut more = runner("Runner III");
    more["style_code"] = json!("RUN");
    describe(&world, &id, more).await;
    world.converge().await;
    assert_eq!(before, (content(&world).await, one.calls().made, other.calls().made));
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_words_coming_back_change_nothing() {
    let world = World::new().await;
    let sandbox = shop::empty().await;
    let connection = world.connect(Some(&sandbox.base_url()), everything()).await;
    let other = woo(&world).await;
    let mut details = runner("Runner");
    for (name, value) in
        [("vendor", json!("Quay")), ("category", json!("Shoes")), ("tags", json!(["sand", "low"]))]
    {
        details[name] = value;
    }
    let id = make(&world, details.clone(), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    // Longer than the shop lets a title be: it shows the beginning.
    let title = "Runner ".repeat(40) + "II";
    let cut: String = title.chars().take(255).collect();
    details["title"] = json!(title);
    describe(&world, &id, details).await;
    world.converge().await;

    let before = (content(&world).await, other.calls().made, times(&world, "product.described").await);
    let shown = &sandbox.shows()[0];
    let variant = json!({
        "id": shown.variant_id, "sku": "RUN-42", "price": "120.00", "option1": "42",
        "inventory_item_id": shown.inventory_item_id,
    });
    let told = json!({
        "id": shown.product_id, "title": cut, "vendor": "Quay", "product_type": "Shoes", "tags": "low, sand",
        "options": [{ "name": "Size", "position": 1 }], "updated_at": world.clock.now(), "variants": [variant],
    });
    shop::Webhook::new("products/update", "u", &told).send(&world.admin, &connection).await.expect(200);
    world.converge().await;
    assert_eq!(before, (content(&world).await, other.calls().made, times(&world, "product.described").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn that_there_is_nothing_of_what_was_just_made_is_no_count_of_the_shop() {
    let world = World::new().await;
    let sandbox = shop::empty().await;
    let mut rules = everything();
    rules["acceptInventory"] = json!(true);
    let connection = world.connect(Some(&sandbox.base_url()), rules).await;
    make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    restock(&world, "RUN-42", 5).await;
    world.converge().await;
    let nothing = json!({
        "inventory_item_id": sandbox.shows()[0].inventory_item_id, "location_id": 7, "available": 0,
        "updated_at": world.clock.now(),
    });
    shop::Webhook::new("inventory_levels/update", "n", &nothing)
        .send(&world.admin, &connection)
        .await
        .expect(200);
    world.converge().await;
    assert_eq!(world.levels().await["RUN-42"], (5, 0, 5));
    assert_eq!(World::shows(&sandbox)["RUN-42"].0, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_product_is_taken_off_and_hears_nothing_any_more() {
    let world = World::new().await;
    let one = woo(&world).await;
    let other = open(&world, Platform::Square, json!({ "rules": everything() })).await;
    let kept = open(&world, Platform::Clover, json!({ "rules": { "propagateCreates": true } })).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    assert_eq!([&one, &other, &kept].map(skus).concat(), ["RUN-42"; 3]);

    let path = format!("/api/products/{id}");
    world.admin.send("DELETE", &path, &[], Body::empty()).await.expect(200);
    world.converge().await;
    assert!(skus(&one).is_empty() && skus(&other).is_empty());
    assert_eq!(skus(&kept), ["RUN-42"], "its rules let nothing be taken off");
    assert_eq!((times(&world, "product.taken_off").await, times(&world, "listing.removed").await), (2, 2));

    let before = (one.calls().made, other.calls().made);
    restock(&world, "RUN-42", 3).await;
    world.converge().await;
    assert_eq!(before, (one.calls().made, other.calls().made));
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_first_seen_in_one_shop_is_offered_in_another_and_not_brought_back_to_the_first() {
    let world = World::new().await;
    let sandbox = shop::open("RUN", &["42", "43"]).await;
    let connection = world.connect(Some(&sandbox.base_url()), everything()).await;
    let channel = woo(&world).await;
    shop::introduce(&sandbox, &world.admin, &connection).await;
    world.converge().await;
    let shown = [("RUN-42".to_owned(), (0, 12_000)), ("RUN-43".to_owned(), (0, 12_000))];
    assert_eq!(channel.shows(), BTreeMap::from(shown));
    assert_eq!(times(&world, "product.pushed").await, 1, "the first shop has heard nothing");

    let gone = json!({ "id": sandbox.shows()[0].product_id });
    shop::Webhook::new("products/delete", "d", &gone).send(&world.admin, &connection).await.expect(200);
    assert_eq!(times(&world, "listing.removed").await, 2);
    let products = world.admin.get("/api/products").await.expect(200);
    let id = products["data"][0]["id"].as_str().expect("an id").to_owned();
    describe(&world, &id, runner("Runner II")).await;
    world.converge().await;
    assert_eq!(times(&world, "product.pushed").await, 2, "only the other shop is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_brands_and_a_missing_price_keep_things_in() {
    let world = World::new().await;
    let rules = json!({ "propagateCreates": true, "conditions": { "skus": ["RUN-*"] } });
    let one = open(&world, Platform::Woocommerce, json!({ "rules": rules })).await;
    let other =
        open(&world, Platform::Square, json!({ "brand": "heron", "rules": { "propagateCreates": true } }))
            .await;
    make(&world, runner("Runner"), &[("RUN-42", Some("120.00")), ("RUN-43", None)]).await;
    make(&world, runner("Walker"), &[("WALK-42", Some("80.00"))]).await;
    make(&world, json!({ "title": "Anybody's" }), &[("RUN-1", Some("10.00")), ("WALK-2", Some("10.00"))])
        .await;
    world.converge().await;
    assert_eq!(skus(&one), ["RUN-1", "RUN-42"]);
    assert_eq!(skus(&other), ["RUN-1", "WALK-2"]);

    channels::price(&world, "RUN-43", "125.00").await;
    channels::price(&world, "WALK-42", "85.00").await;
    world.converge().await;
    assert_eq!(skus(&one), ["RUN-1", "RUN-42", "RUN-43"]);
    let both = BTreeSet::from(["RUN-42".to_owned(), "RUN-43".to_owned()]);
    assert!(goods(&one).into_values().any(|skus| skus == both), "it has joined its product");
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_is_refused_is_told_of_and_can_be_taken_up_again() {
    let world = World::new().await;
    let channel = woo(&world).await;
    // What enabling lets out is walked through, and that is over.
    world.converge().await;
    channel.faults().fail_next(1, 422);
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    assert!(skus(&channel).is_empty());
    let dead = world.admin.get("/api/outbox?status=dead").await.expect(200);
    assert_eq!((&dead["data"][0]["kind"], &dead["data"][0]["product_id"]), (&json!("content"), &json!(id)));
    assert_eq!(times(&world, "product.push_failed").await, 1);

    // Its next words are refused as well, and nobody has to see to it twice.
    channel.faults().fail_next(1, 422);
    describe(&world, &id, runner("Runner II")).await;
    world.converge().await;
    assert_eq!(times(&world, "product.push_failed").await, 2);
    let dead = world.admin.get("/api/outbox?status=dead").await.expect(200);
    assert_eq!(dead["data"].as_array().map(Vec::len), Some(1), "{dead}");

    let figures = json!({ "type": "price", "dryRun": true });
    assert_eq!(world.admin.post("/api/sync/replay", figures).await.expect(200)["count"], 0);
    let body = json!({ "type": "content" });
    assert_eq!(world.admin.post("/api/sync/replay", body).await.expect(200)["count"], 1);
    world.converge().await;
    assert_eq!(skus(&channel), ["RUN-42"]);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_is_told_before_content_and_where_only_content_is_let_in_no_more() {
    let world = World::new().await;
    let channel = woo(&world).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    restock(&world, "RUN-42", 1).await;
    world.converge().await;

    channel.faults().fail_next(1, 403);
    make(&world, runner("Walker"), &[("WALK-42", Some("80.00"))]).await;
    step(&world).await;
    assert!(skus(&channel).iter().all(|sku| sku != "WALK-42"));
    let breaker = breakers::of(world.onhand.pool(), world.tenant, channel.id()).await;
    assert!(!breaker.expect("breakers can be read").locked_out);
    restock(&world, "RUN-42", 1).await;
    step(&world).await;
    assert_eq!(channel.quantity("RUN-42"), 2);
    world.clock.advance(TimeDelta::minutes(6));
    world.converge().await;
    assert!(skus(&channel).contains(&"WALK-42".to_owned()), "kept, and made once it may be");

    describe(&world, &id, runner("Runner II")).await;
    restock(&world, "RUN-42", 1).await;
    let claimed = outbox::claim(world.onhand.pool(), world.clock.now(), TimeDelta::seconds(60), 9, &[]).await;
    let kinds: Vec<CommandKind> = claimed.expect("a claim").iter().map(|command| command.kind).collect();
    assert_eq!(kinds, [CommandKind::Quantity, CommandKind::Content]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_offered_is_shown_beforehand_and_rules_are_tried_without_being_saved() {
    let world = World::new().await;
    let channel = open(&world, Platform::Woocommerce, json!({})).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00")), ("RUN-43", None)]).await;
    let rehearse = async |rules: Value| {
        let body = json!({ "dryRun": true, "connections": [channel.connection], "rules": rules });
        world.admin.post("/api/sync", body).await.expect(200)["rehearsed"].clone()
    };
    assert_eq!(rehearse(json!({})).await, json!([]));
    let rehearsed = rehearse(everything()).await;
    let offer = json!({ "product_id": id, "title": "Runner", "what": "offer", "skus": ["RUN-42"] });
    assert_eq!(rehearsed[0]["products"], json!([offer]));
    assert_eq!(rehearsed[0]["calls"].as_array().map(Vec::len), Some(1), "{rehearsed}");
    world.converge().await;
    assert!(skus(&channel).is_empty(), "nothing was done");

    let path = format!("/api/connections/{}/rules", channel.connection);
    world.admin.put(&path, everything()).await.expect(200);
    world.converge().await;
    assert_eq!(skus(&channel), ["RUN-42"], "other rules let out what was there before");
    let begun = world.admin.post("/api/sync", json!({})).await.expect(200);
    assert_eq!((&begun["count"], &begun["products"]), (&json!(1), &json!(1)));
    world.converge().await;
    assert_eq!(times(&world, "product.pushed").await, 2, "it is described once more, for it was asked for");
}
