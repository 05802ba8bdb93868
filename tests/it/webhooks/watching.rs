//! How webhooks fare is watched from aside: it shows everything, and costs nobody anything.

use axum::body::Body;
use onhand_domain::connection::Platform;
use onhand_infrastructure::platforms::adapter_of;
use onhand_tests::{
    World,
    shop::{self, Webhook},
};
use serde_json::{Value, json};

async fn delivered() -> (World, String) {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let product = shop::product("DUNK", &[("42", "110.00")]);
    Webhook::new("products/create", "p", &product).send(&world.admin, &connection).await.expect(200);
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 9 })).await.expect(200);
    let order = Webhook::new("orders/create", "o", &shop::order(1, &product, &[(0, 2)]));
    for _ in 0..2 {
        order.send(&world.admin, &connection).await.expect(200);
    }
    let forged = Webhook { signature: "AAAA".into(), ..order };
    forged.send(&world.admin, &connection).await.expect(401);
    world.project().await;
    world.onhand.operations.observer().flush().await;
    (world, connection)
}

#[tokio::test]
async fn a_delivery_is_shown_with_its_bytes_its_stages_and_all_that_followed() {
    let (world, connection) = delivered().await;
    let listed = world.admin.get("/api/deliveries?topic=orders/create&status=completed").await.expect(200);
    let id = listed["data"][0]["id"].as_str().expect("an id").to_owned();
    let shown = world.admin.get(&format!("/api/deliveries/{id}")).await.expect(200);
    assert_eq!(shown["connection_id"], connection.as_str());
    let body: Value = serde_json::from_str(shown["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(body["id"], 1);
    assert_eq!(shown["headers"]["x-shopify-hmac-sha256"], "***");
    let names: Vec<&str> =
        shown["entries"].as_array().expect("entries").iter().filter_map(|e| e["name"].as_str()).collect();
    assert_eq!(names, ["order.placed", "stock.reserved", "delivery.completed"]);
    assert_eq!(shown["pushes"].as_array().map(Vec::len), Some(1), "{}", shown["pushes"]);
    let stages = shown["stages"].as_array().expect("stages");
    assert_eq!(stages.len(), 2, "it came twice");
    let names: Vec<&str> =
        stages[0].as_array().expect("a list").iter().filter_map(|s| s["stage"].as_str()).collect();
    assert_eq!(names, ["received", "enriching", "deciding", "executing", "completed"]);
    assert!(stages[0][3]["took_ms"].as_f64().is_some_and(|took| took > 0.0), "{stages:?}");
    let stranger = world.client("viewer", Some("other")).await;
    assert_eq!(stranger.get(&format!("/api/deliveries/{id}")).await.problem(404), "delivery.unknown");
}

#[tokio::test]
async fn figures_tell_volumes_success_and_latency_of_a_window() {
    let (world, _) = delivered().await;
    let figures = world.admin.get("/api/deliveries/figures").await.expect(200);
    let shopify = &figures["platforms"][0];
    let numbers = ["requests", "succeeded", "failed", "rejected"].map(|name| shopify[name].as_i64());
    assert_eq!(numbers, [Some(4), Some(3), Some(0), Some(1)], "{shopify}");
    assert_eq!(shopify["success_rate"], 1.0);
    assert!(shopify["p50_ms"].as_f64() <= shopify["p99_ms"].as_f64(), "{shopify}");
    let before = "/api/deliveries/figures?from=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z";
    assert_eq!(world.admin.get(before).await.expect(200)["platforms"], json!([]));
    let endless = "/api/deliveries/figures?from=2020-01-01T00:00:00Z&until=2024-01-02T00:00:00Z";
    assert_eq!(world.admin.get(endless).await.problem(400), "filter.invalid");
}

#[tokio::test]
async fn a_watcher_that_cannot_write_delays_and_fails_no_webhook() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let mut owner = world.database.owner().await;
    sqlx::raw_sql("alter table webhook_traces rename to gone").execute(&mut owner).await.expect("renamed");
    let product = shop::product("DUNK", &[("42", "110.00")]);
    Webhook::new("products/create", "p", &product).send(&world.admin, &connection).await.expect(200);
    world.onhand.operations.observer().flush().await;
    sqlx::raw_sql("alter table gone rename to webhook_traces").execute(&mut owner).await.expect("renamed");
    // And one whose table is locked: nobody waits for it.
    sqlx::raw_sql("begin; lock table webhook_traces").execute(&mut owner).await.expect("locked");
    for id in 0..20 {
        Webhook::new("orders/create", &format!("o-{id}"), &shop::order(id, &product, &[]))
            .send(&world.admin, &connection)
            .await
            .expect(200);
    }
    sqlx::raw_sql("rollback").execute(&mut owner).await.expect("unlocked");
    world.expect_intact().await;
}

#[tokio::test]
async fn people_who_try_things_out_get_a_signed_delivery_and_the_line_that_sends_it() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let anybody = world.admin.with_key(None);
    let path = format!("/test/webhook/generate/shopify/orders/create?connection={connection}&sku=X");
    let made = anybody.get(&path).await.expect(200);
    assert!(made["curl"].as_str().is_some_and(|line| line.starts_with("curl -X POST")), "{made}");
    let headers: Vec<(String, String)> = made["headers"]
        .as_object()
        .expect("headers")
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
        .collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let body = made["body"].as_str().expect("text").to_owned();
    let sent = format!("/webhook/shopify/{connection}");
    anybody.send("POST", &sent, &headers, Body::from(body.clone())).await.expect(200);
    let echoed =
        anybody.send("POST", "/test/webhook/echo", &headers, Body::from(body.clone())).await.expect(200);
    assert_eq!((&echoed["body"], &echoed["headers"]["x-shopify-hmac-sha256"]), (&json!(body), &json!("***")));
    let twice = [("x-kite", "1"), ("X-Kite", "2")];
    let echoed = anybody.send("POST", "/test/webhook/echo", &twice, Body::empty()).await.expect(200);
    assert_eq!(echoed["headers"]["x-kite"], "1, 2");
    let unsigned = [("x-shopify-topic", "orders/create")];
    let path = format!("/test/webhook/shopify/{connection}");
    anybody
        .send("POST", &path, &unsigned, Body::from(json!({ "id": 5, "line_items": [] }).to_string()))
        .await
        .expect(200);
    // This one signs the address, which is the one that was asked at.
    let square = world.connect_to(Platform::Square, json!({})).await;
    let topic = adapter_of(Platform::Square).topics()[0];
    let host = ("host", "shop.example:8443");
    let path = format!("/test/webhook/generate/square/{topic}?connection={square}");
    let made = anybody.send("GET", &path, &[host], Body::empty()).await.expect(200);
    let sent = format!("/webhook/square/{square}");
    assert_eq!(made["url"], format!("http://shop.example:8443{sent}"));
    let mut headers: Vec<(&str, &str)> = made["headers"]
        .as_object()
        .expect("headers")
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().expect("text")))
        .collect();
    headers.push(host);
    let body = made["body"].as_str().expect("text").to_owned();
    anybody.send("POST", &sent, &headers, Body::from(body)).await.expect(200);
    let unknown = anybody.get("/test/webhook/generate/shopify/orders/lost").await;
    assert_eq!(unknown.problem(404), "topic.unknown");

    let production = onhand::App::new(world.onhand.clone(), None, None);
    let closed = onhand_tests::Client::new(onhand::router(production), None);
    assert_eq!(
        closed.get("/test/webhook/generate/shopify/orders/create").await.problem(404),
        "route.unknown"
    );
    assert_eq!(
        closed.send("POST", "/test/webhook/echo", &[], Body::empty()).await.problem(404),
        "route.unknown"
    );
}
