//! Figures that were changed on a platform, where somebody is to say which one counts.

use chrono::TimeDelta;
use onhand_domain::connection::Platform;
use onhand_infrastructure::platforms::shopify::sandbox::SandboxShop;
use onhand_tests::{Answer, World, channels::Channel, shop};
use serde_json::{Value, json};

use super::{all_is_done, restock, shop_and_world, statuses, times};

/// One runner on two platforms. Of ten two are held, so that both show eight; and then somebody has said three in the shop,
/// which holds conflicts.
struct Disputed {
    shop: SandboxShop,
    /// Square, which shows what the ledger says.
    other: Channel,
    world: World,
    connection: String,
    /// The shop's listing.
    listing: String,
}

impl Disputed {
    async fn new() -> Self {
        let (shop, world, connection) = shop_and_world(&["42"], json!({ "holdConflicts": true })).await;
        let other = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
        restock(&world, "RUN-42", 10).await;
        world.reserve(&[("RUN-42", 2)]).await.expect(201);
        world.converge().await;
        let listed = world.admin.get(&format!("/api/listings?connection={connection}")).await.expect(200);
        let listing = listed["data"][0]["id"].as_str().expect("an id").to_owned();
        let disputed = Self { shop, other, world, connection, listing };
        assert_eq!(disputed.shown(), (8, 8));
        disputed.says(3).await;
        disputed
    }

    /// Somebody says a figure in the shop a minute later, and the shop tells of it.
    async fn says(&self, available: i64) {
        self.world.clock.advance(TimeDelta::minutes(1));
        let updated_at = &self.world.clock.now().to_rfc3339();
        self.shop.set_quantity_by_hand("RUN-42", available).await;
        let told = json!({
            "inventory_item_id": self.shop.shows()[0].inventory_item_id, "location_id": 7,
            "available": available, "updated_at": updated_at,
        });
        let webhook = shop::Webhook::new("inventory_levels/update", updated_at, &told);
        webhook.send(&self.world.admin, &self.connection).await.expect(200);
        self.world.converge().await;
    }

    async fn rule(&self, rules: Value) {
        let path = format!("/api/connections/{}/rules", self.connection);
        self.world.admin.put(&path, rules).await.expect(200);
    }

    /// What the shop and the other one show.
    fn shown(&self) -> (i64, i64) {
        (World::shows(&self.shop)["RUN-42"].0, self.other.quantity("RUN-42"))
    }

    /// What is in question.
    async fn conflicts(&self) -> Vec<Value> {
        let listed = self.world.admin.get("/api/conflicts").await.expect(200);
        listed["data"].as_array().expect("a page has rows").clone()
    }

    async fn resolve(&self, judgement: Value) -> Answer {
        let path = format!("/api/conflicts/{}/quantity/resolve", self.listing);
        self.world.admin.post(&path, judgement).await
    }

    /// Somebody says which figure counts, and what follows from that is done. Gives the level and what is shown then.
    async fn settled(&self, judgement: Value) -> ((i64, i64, i64), (i64, i64)) {
        self.resolve(judgement).await.expect(200);
        self.world.converge().await;
        assert!(self.conflicts().await.is_empty());
        assert!(all_is_done(&self.world).await, "{:?}", statuses(&self.world).await);
        assert_eq!(times(&self.world, "listing.conflict_resolved").await, 1);
        self.world.expect_rebuilt_equals_live().await;
        (self.world.levels().await["RUN-42"], self.shown())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_change_that_is_in_question_is_left_alone_and_listed() {
    let disputed = Disputed::new().await;
    assert_eq!(disputed.shown(), (3, 8));
    let conflicts = disputed.conflicts().await;
    let [conflict] = &conflicts[..] else { panic!("{conflicts:?}") };
    assert_eq!((&conflict["listing_id"], &conflict["sku"]), (&json!(disputed.listing), &json!("RUN-42")));
    assert_eq!(conflict["quantity"]["shows"]["quantity"], 3);
    assert_eq!(conflict["ledger_quantity"], 8);
    assert_eq!(conflict["price"], Value::Null);
    // Also when the ledger's own figure changes.
    restock(&disputed.world, "RUN-42", 1).await;
    disputed.world.converge().await;
    assert_eq!(disputed.shown(), (3, 9));
    assert_eq!(disputed.conflicts().await[0]["ledger_quantity"], 9);
    assert_eq!(times(&disputed.world, "listing.conflict_opened").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledgers_figure_is_shown_again_where_it_is_said_to_count() {
    let disputed = Disputed::new().await;
    assert_eq!(disputed.settled(json!({ "resolution": "use_master" })).await, ((10, 2, 8), (8, 8)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_figure_becomes_the_ledgers_and_is_shown_elsewhere() {
    let disputed = Disputed::new().await;
    // What is held stays held, and is not among what is for sale.
    assert_eq!(disputed.settled(json!({ "resolution": "use_platform" })).await, ((5, 2, 3), (3, 3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_sold_there_since_a_figure_in_question_was_shown_is_not_for_sale_again() {
    let disputed = Disputed::new().await;
    disputed.world.clock.advance(TimeDelta::minutes(1));
    // One of the three is sold there, and the order is told of before the figure that it leaves.
    let at = disputed.world.clock.now().to_rfc3339();
    let order = json!({
        "id": 1, "created_at": at, "updated_at": at,
        "line_items": [{ "variant_id": null, "sku": "RUN-42", "quantity": 1, "title": "Runner" }],
    });
    let webhook = shop::Webhook::new("orders/paid", "o-1", &order);
    webhook.send(&disputed.world.admin, &disputed.connection).await.expect(200);
    disputed.shop.set_quantity_by_hand("RUN-42", 2).await;
    assert_eq!(disputed.settled(json!({ "resolution": "use_platform" })).await, ((4, 2, 2), (2, 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_figure_from_before_a_count_is_not_taken_for_right() {
    let disputed = Disputed::new().await;
    disputed.world.clock.advance(TimeDelta::minutes(1));
    let counted = json!({ "sku": "RUN-42", "counted": 9 });
    disputed.world.admin.post("/api/stock/count", counted).await.expect(200);
    let refused = disputed.resolve(json!({ "resolution": "use_platform" })).await;
    assert_eq!(refused.problem(409), "conflict.past");
    assert_eq!(disputed.settled(json!({ "resolution": "use_master" })).await, ((9, 2, 7), (7, 7)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_question_follows_the_platform_also_when_the_rules_hold_nothing_any_more() {
    let disputed = Disputed::new().await;
    disputed.rule(json!({})).await;
    // One more is sold there.
    disputed.says(2).await;
    assert_eq!(disputed.shown(), (2, 8), "nobody has judged it yet");
    assert_eq!(disputed.conflicts().await[0]["quantity"]["shows"]["quantity"], 2);
    assert_eq!(disputed.settled(json!({ "resolution": "use_platform" })).await, ((4, 2, 2), (2, 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_question_is_over_when_the_rules_let_a_newer_figure_count() {
    let disputed = Disputed::new().await;
    disputed.rule(json!({ "acceptInventory": true })).await;
    assert_eq!(disputed.conflicts().await.len(), 1, "rules alone judge nothing");
    disputed.says(5).await;
    assert!(disputed.conflicts().await.is_empty());
    assert_eq!(times(&disputed.world, "listing.conflict_resolved").await, 1);
    let (_, _, available) = disputed.world.levels().await["RUN-42"];
    assert_eq!(disputed.shown(), (available, available));
    assert!(all_is_done(&disputed.world).await, "{:?}", statuses(&disputed.world).await);
    disputed.world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_figure_becomes_that_of_both() {
    let disputed = Disputed::new().await;
    let manual = json!({ "resolution": "manual", "quantity": 5 });
    assert_eq!(disputed.settled(manual).await, ((7, 2, 5), (5, 5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_question_cannot_be_resolved() {
    let disputed = Disputed::new().await;
    let price = format!("/api/conflicts/{}/price/resolve", disputed.listing);
    let ours = json!({ "resolution": "use_master" });
    let answer = disputed.world.admin.post(&price, ours.clone()).await;
    assert_eq!(answer.problem(404), "conflict.unknown");
    disputed.settled(ours.clone()).await;
    assert_eq!(disputed.resolve(ours).await.problem(404), "conflict.unknown", "it is settled");
    assert_eq!(times(&disputed.world, "listing.conflict_resolved").await, 1);
}
