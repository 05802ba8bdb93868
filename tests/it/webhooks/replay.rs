//! Dead letters: listed with why, and looked at again from the very bytes they came with.

use onhand_tests::{World, shop::Webhook};
use serde_json::{Value, json};

/// A genuine order that cannot be understood: it has more lines than anybody orders.
fn endless() -> Webhook {
    let lines: Vec<Value> = (0..501).map(|n| json!({ "quantity": 1, "title": n.to_string() })).collect();
    Webhook::new("orders/create", "endless", &json!({ "id": 1, "note": "needle", "line_items": lines }))
}

#[tokio::test]
async fn dead_letters_are_found_by_what_they_are_and_replayed_without_harm() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let other = world.connect(None, json!({})).await;
    assert_eq!(endless().send(&world.admin, &connection).await.problem(500), "delivery.failed");
    endless().send(&world.admin, &other).await.expect(500);
    world.project().await;
    let count = async |query: &str| {
        let listed = world.admin.get(&format!("/api/dead-letters{query}")).await.expect(200);
        listed["data"].as_array().expect("rows").len()
    };
    assert_eq!(count("").await, 2);
    assert_eq!(count(&format!("?connection={connection}")).await, 1);
    assert_eq!(count("?platform=shopify&topic=orders/create&text=needle").await, 2);
    assert_eq!(count("?text=haystack").await, 0);
    assert_eq!(count("?platform=square").await, 0);

    let before = world.history().await.len();
    let dry = json!({ "connection": connection, "dry_run": true });
    let dry = world.admin.post("/api/dead-letters/replay", dry).await.expect(200);
    assert_eq!(dry["replayed"][0]["result"], "would_fail", "{dry}");
    let again = world.admin.post("/api/dead-letters/replay", json!({})).await.expect(200);
    assert_eq!(again["replayed"].as_array().map(Vec::len), Some(2));
    assert!(again["replayed"][0]["reason"].is_string(), "{again}");
    let noted = &world.history().await[before..];
    assert_eq!(noted, ["administration.dead_letters_replayed"], "the same failure is no news, its replay is");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn what_failed_for_a_reason_that_is_gone_is_acted_on_by_its_replay() {
    let world = World::new().await;
    world.stocked(&[("X", 10)]).await;
    let connection = world.connect(None, json!({})).await;
    let order =
        json!({ "id": 9, "line_items": [{ "variant_id": null, "sku": "X", "quantity": 2, "title": "x" }] });
    let sent = Webhook::new("orders/create", "o", &order);
    sent.send(&world.admin, &connection).await.expect(200);
    // As if an earlier release had not understood it.
    let mut owner = world.database.owner().await;
    let (id,): (uuid::Uuid,) =
        sqlx::query_as("select delivery_id from delivery_bodies").fetch_one(&mut owner).await.expect("one");
    let failing = Webhook::of_bytes("orders/create", "late", b"{\"id\":10}".to_vec());
    failing.send(&world.admin, &connection).await.expect(500);
    let order =
        json!({ "id": 10, "line_items": [{ "variant_id": null, "sku": "X", "quantity": 3, "title": "x" }] });
    sqlx::query("update delivery_bodies set body = $2 where delivery_id <> $1")
        .bind(id)
        .bind(order.to_string().into_bytes())
        .execute(&mut owner)
        .await
        .expect("the bytes are changed");
    world.project().await;
    let dry = world.admin.post("/api/dead-letters/replay", json!({ "dry_run": true })).await.expect(200);
    assert_eq!(dry["replayed"][0]["result"], "would_process", "{dry}");
    assert_eq!(world.levels().await["X"], (10, 2, 8));
    let replayed = world.admin.post("/api/dead-letters/replay", json!({})).await.expect(200);
    assert_eq!(replayed["replayed"][0]["result"], "processed", "{replayed}");
    assert_eq!(world.levels().await["X"], (10, 5, 5));
    let replayed = world.admin.post("/api/dead-letters/replay", json!({})).await.expect(200);
    assert_eq!(replayed["replayed"], json!([]), "it is no dead letter any more");
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_of_what_has_no_bytes_any_more() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    endless().send(&world.admin, &connection).await.expect(500);
    world.project().await;
    let mut owner = world.database.owner().await;
    sqlx::query("delete from delivery_bodies").execute(&mut owner).await.expect("the bytes are gone");
    for (dry_run, result) in [(true, "would_fail"), (false, "failed")] {
        let body = json!({ "dry_run": dry_run });
        let told = world.admin.post("/api/dead-letters/replay", body).await.expect(200);
        assert_eq!(told["replayed"][0]["result"], result, "{told}");
        assert!(told["replayed"][0]["reason"].to_string().contains("its bytes are gone"), "{told}");
    }
}

#[tokio::test]
async fn dead_letters_of_another_brand_do_not_exist() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    endless().send(&world.admin, &connection).await.expect(500);
    world.project().await;
    let stranger = world.client("editor", Some("other")).await;
    let listed = stranger.get("/api/dead-letters").await.expect(200);
    assert_eq!(listed["data"], json!([]));
    let replayed = stranger.post("/api/dead-letters/replay", json!({})).await.expect(200);
    assert_eq!(replayed["replayed"], json!([]));
    let viewer = world.client("viewer", None).await;
    assert_eq!(viewer.post("/api/dead-letters/replay", json!({})).await.problem(403), "auth.forbidden");
}

#[tokio::test]
async fn an_empty_list_means_none_and_what_cannot_be_is_no_filter() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    endless().send(&world.admin, &connection).await.expect(500);
    world.project().await;
    let replay = async |body: Value| world.admin.post("/api/dead-letters/replay", body).await;
    assert_eq!(replay(json!({ "ids": [] })).await.expect(200)["replayed"], json!([]));
    assert_eq!(replay(json!({ "platform": "ebay" })).await.problem(400), "filter.invalid");
    let id = world.admin.get("/api/dead-letters").await.expect(200)["data"][0]["id"].clone();
    let named = replay(json!({ "ids": [id], "platform": "shopify" })).await.expect(200);
    assert_eq!(named["replayed"][0]["id"], id);
    let pushes = world.admin.post("/api/sync/replay", json!({ "platform": "ebay", "dryRun": true })).await;
    assert_eq!(pushes.problem(400), "filter.invalid");
    for path in [
        "/api/deliveries?status=lost",
        "/api/deliveries?outcome=lost",
        "/api/deliveries?platform=ebay",
        "/api/dead-letters?platform=ebay",
    ] {
        assert_eq!(world.admin.get(path).await.problem(400), "filter.invalid", "{path}");
    }
    for path in ["/api/deliveries?status=failed", "/api/deliveries?outcome=ignored&platform=tiktokshop"] {
        world.admin.get(path).await.expect(200);
    }
}
