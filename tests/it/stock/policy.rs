use onhand_tests::World;
use serde_json::{Value, json};

async fn history(world: &World, name: &str) -> usize {
    world.history().await.iter().filter(|entry| *entry == name).count()
}

fn id(answer: &Value) -> &str {
    answer["reservation"].as_str().expect("an id")
}

#[tokio::test]
async fn backorders_go_to_their_limit_and_are_sold_when_their_units_have_come() {
    let world = World::new().await;
    world.stocked(&[("X", 2)]).await;
    assert_eq!(world.reserve(&[("X", 3)]).await.problem(409), "stock.insufficient");
    world.admin.put("/api/variants/X/policy", json!({ "backorder_limit": 3 })).await.expect(200);
    assert_eq!(world.reserve(&[("X", 6)]).await.problem(409), "stock.insufficient");
    let held = world.reserve(&[("X", 5)]).await.expect(201);
    assert_eq!(world.levels().await["X"], (2, 5, 0));

    let path = format!("/api/reservations/{}/commit", id(&held));
    assert_eq!(world.admin.post(&path, json!({})).await.problem(409), "stock.not_on_hand");
    let lower = json!({ "backorder_limit": 2 });
    assert_eq!(world.admin.put("/api/variants/X/policy", lower).await.problem(409), "stock.backordered");
    world.admin.post("/api/stock/restock", json!({ "sku": "X", "quantity": 3 })).await.expect(200);
    world.admin.post(&path, json!({})).await.expect(200);
    assert_eq!(world.levels().await["X"], (0, 0, 0));
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn low_stock_is_told_once_a_crossing_whatever_crosses_it() {
    let world = World::new().await;
    world.stocked(&[("X", 5)]).await;
    let rule = json!({ "low_stock_threshold": 2 });
    world.admin.put("/api/variants/X/policy", rule).await.expect(200);
    assert_eq!(history(&world, "stock.low").await, 0);
    let held = world.reserve(&[("X", 3)]).await.expect(201);
    world.reserve(&[("X", 1)]).await.expect(201);
    assert_eq!((history(&world, "stock.low").await, history(&world, "stock.recovered").await), (1, 0));
    world.project().await;
    let low = world.admin.get("/api/stock?low=true").await.expect(200);
    assert_eq!(low["data"][0]["sku"], "X");

    world.admin.post(&format!("/api/reservations/{}/release", id(&held)), json!({})).await.expect(200);
    assert_eq!((history(&world, "stock.low").await, history(&world, "stock.recovered").await), (1, 1));
    world.project().await;
    assert_eq!(world.admin.get("/api/stock?low=true").await.expect(200)["data"], json!([]));
    let fewer = json!({ "sku": "X", "delta": -2, "reason": "broken" });
    world.admin.post("/api/stock/adjust", fewer).await.expect(200);
    assert_eq!(history(&world, "stock.low").await, 2);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn the_rules_of_a_shelf_are_an_editors_of_its_brand() {
    let world = World::new().await;
    world.stocked(&[("X", 1)]).await;
    let rule = json!({ "backorder_limit": 1 });
    let viewer = world.client("viewer", None).await;
    assert_eq!(viewer.put("/api/variants/X/policy", rule.clone()).await.problem(403), "auth.forbidden");
    let other = world.client("editor", Some("other")).await;
    assert_eq!(other.put("/api/variants/X/policy", rule).await.problem(404), "sku.unknown");
}
