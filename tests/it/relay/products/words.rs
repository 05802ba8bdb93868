//! Words: which of ours a shop is told and which of its own it keeps, whatever of it is heard and whenever.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use onhand_domain::connection::Platform;
use onhand_infrastructure::outbox;
use onhand_tests::{
    World,
    channels::{self, Channel},
    shop,
};
use serde_json::{Value, json};

use super::{
    cases::{add, rules, speak, titles},
    describe, everything, make, open, runner, runner_in_a_shop, skus, woo,
};
use crate::relay::{all_is_done, statuses, step, times};

fn tagged(title: &str, tags: &[&str]) -> Value {
    let mut details = runner(title);
    details["tags"] = json!(tags);
    details
}

/// What a product is here.
async fn product(world: &World, id: &str) -> Value {
    world.project().await;
    world.admin.get(&format!("/api/products/{id}")).await.expect(200)
}

fn tags(channel: &Channel) -> BTreeSet<String> {
    channel.sandbox.goods().into_iter().flat_map(|good| good.tags).collect()
}

/// Takes in hand all that is due, as a process does that tells it at this moment.
async fn take_in_hand(world: &World) {
    world.project().await;
    let claimed = outbox::claim(world.onhand.pool(), world.clock.now(), TimeDelta::seconds(60), 9, &[]).await;
    assert_eq!(claimed.expect("a claim").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_added_in_one_shop_leaves_another_its_own_title() {
    let world = World::new().await;
    let sandbox = shop::empty().await;
    let connection = world.connect(Some(&sandbox.base_url()), everything()).await;
    let quiet = json!({ "propagateCreates": true, "propagateUpdates": false });
    let channel = open(&world, Platform::Woocommerce, json!({ "rules": quiet })).await;
    channel.sandbox.seed("Corsa", &[("RUN-42", 12_000, 0)]);
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    rules(&world, &channel, everything()).await;
    world.converge().await;
    assert_eq!((titles(&channel), tags(&channel)), (vec!["Corsa".to_owned()], BTreeSet::new()));

    let shop = (&sandbox, connection.as_str());
    speak(&world, shop, &json!({ "title": "Runner", "tags": "sand" }), world.clock.now()).await;
    world.converge().await;
    assert_eq!(product(&world, &id).await["tags"], json!(["sand"]));
    assert_eq!((titles(&channel), tags(&channel)), (vec!["Corsa".to_owned()], ["sand".to_owned()].into()));

    // Also if nobody knows what became of it at first.
    describe(&world, &id, tagged("Runner", &["low", "sand"])).await;
    channel.faults().fail_next(1, 503);
    world.converge().await;
    let both = ["low", "sand"].map(str::to_owned);
    assert_eq!((titles(&channel), tags(&channel)), (vec!["Corsa".to_owned()], both.into()));
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shop_tells_to_be_none_is_taken_off_another_and_what_it_leaves_out_is_not() {
    let world = World::new().await;
    let sandbox = shop::empty().await;
    let connection = world.connect(Some(&sandbox.base_url()), everything()).await;
    let channel = woo(&world).await;
    let id = make(&world, tagged("Runner", &["low"]), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    let shop = (&sandbox, connection.as_str());
    speak(&world, shop, &json!({ "title": "Runner" }), world.clock.now()).await;
    world.converge().await;
    assert_eq!((product(&world, &id).await["tags"].clone(), tags(&channel).len()), (json!(["low"]), 1));

    world.clock.advance(TimeDelta::seconds(1));
    speak(&world, shop, &json!({ "title": "Runner", "tags": "" }), world.clock.now()).await;
    world.converge().await;
    assert_eq!((product(&world, &id).await["tags"].clone(), tags(&channel).len()), (json!([]), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_a_condition_kept_back_from_a_shop_that_was_never_told_are_told_once_it_is_met() {
    let world = World::new().await;
    let sandbox = shop::open("RUN", &["42"]).await;
    let conditions = json!({ "conditions": { "priceMax": 10_000 } });
    let connection = world.connect(Some(&sandbox.base_url()), conditions).await;
    shop::introduce(&sandbox, &world.admin, &connection).await;
    world.project().await;
    let products = world.admin.get("/api/products").await.expect(200);
    let id = products["data"][0]["id"].as_str().expect("an id").to_owned();
    describe(&world, &id, runner("Runner II")).await;
    world.converge().await;
    assert_eq!(times(&world, "product.pushed").await, 0);
    channels::price(&world, "RUN-42", "80.00").await;
    world.converge().await;
    assert_eq!(product(&world, &id).await["offers"][0]["shown"]["title"], "Runner II");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_ours_that_are_seen_before_anybody_has_noted_them_are_not_taken_for_the_shops() {
    let (world, sandbox, connection, id) = runner_in_a_shop().await;
    let shop = (&sandbox, connection.as_str());
    let long = "Runner ".repeat(40) + "II";
    let cut: String = long.chars().take(255).collect();
    let (long, cut) = (long.as_str(), cut.as_str());
    for (ours, shown, next) in [("Runner II", "Runner II", "Runner III"), (long, cut, long)] {
        world.clock.advance(TimeDelta::seconds(1));
        describe(&world, &id, runner(ours)).await;
        take_in_hand(&world).await;
        describe(&world, &id, runner(next)).await;
        speak(&world, shop, &json!({ "title": shown }), world.clock.now()).await;
        assert_eq!(product(&world, &id).await["title"], next);
        // Whoever had it in hand is dead.
        world.end_leases().await;
        world.converge().await;
        assert_eq!(product(&world, &id).await["title"], next);
    }
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_ours_whose_answer_was_lost_are_not_taken_for_the_shops_when_they_are_seen() {
    let (world, sandbox, connection, id) = runner_in_a_shop().await;
    let shop = (&sandbox, connection.as_str());
    speak(&world, shop, &json!({ "title": "Runner" }), world.clock.now()).await;
    world.clock.advance(TimeDelta::seconds(1));
    describe(&world, &id, runner("Runner II")).await;
    sandbox.faults().drop_after_applying_rate(1.0);
    assert_eq!(step(&world).await, 1);
    sandbox.faults().clear();
    describe(&world, &id, runner("Runner III")).await;
    speak(&world, shop, &json!({ "title": "Runner II" }), world.clock.now()).await;
    assert_eq!(product(&world, &id).await["title"], "Runner III");
    world.converge().await;
    let known = product(&world, &id).await;
    let titles = [&known["title"], &known["offers"][0]["shown"]["title"]];
    assert_eq!(titles, ["Runner III"; 2]);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_wait_for_a_review_are_taken_back_with_it() {
    let world = World::new().await;
    let id = make(&world, runner("Harbour"), &[("RUN-42", None)]).await;
    let channel = Channel::open(&world, Platform::TiktokShop, &["RUN-42"]).await;
    describe(&world, &id, runner("Harbour Runner")).await;
    world.converge().await;
    assert_eq!(titles(&channel), ["Harbour Runner"]);

    channel.sandbox.review(true);
    describe(&world, &id, runner("Pier Runner")).await;
    world.converge().await;
    assert_eq!(titles(&channel), ["Harbour Runner"], "nobody has looked at the other yet");
    describe(&world, &id, runner("Harbour Runner")).await;
    world.converge().await;
    channel.sandbox.review(false);
    assert_eq!(titles(&channel), ["Harbour Runner"]);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_without_a_word_leaves_known_what_is_shown_however_late() {
    let world = World::new().await;
    let channel = woo(&world).await;
    let id = make(&world, runner("Runner"), &[("RUN-42", Some("120.00"))]).await;
    world.converge().await;
    add(&world, &id, "RUN-43").await;
    channel.faults().fail_next(1, 503);
    assert_eq!(step(&world).await, 1);
    channel.faults().fail_next(1, 422);
    world.converge().await;
    assert_eq!((times(&world, "product.push_failed").await, skus(&channel)), (1, vec!["RUN-42".to_owned()]));
    assert_eq!(product(&world, &id).await["offers"][0]["shown"]["title"], "Runner");
}
