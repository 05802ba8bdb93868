use axum::body::Body;
use onhand_tests::World;
use serde_json::json;

#[tokio::test]
async fn a_mistake_is_answered_with_a_problem_that_says_what_was_wrong() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    let cases = [
        ("/api/stock/restock", json!({ "sku": "A", "quantity": -1 }), 400, "body.invalid"),
        ("/api/stock/restock", json!({ "sku": "A", "quantity": 0 }), 422, "quantity.zero"),
        ("/api/stock/restock", json!({ "sku": "A", "quantity": 1, "colour": "red" }), 400, "body.invalid"),
        ("/api/stock/restock", json!({ "sku": "NOPE", "quantity": 1 }), 404, "sku.unknown"),
        (
            "/api/stock/adjust",
            json!({ "sku": "A", "delta": -2, "reason": "broken" }),
            409,
            "stock.insufficient",
        ),
        ("/api/stock/adjust", json!({ "sku": "A", "delta": 0, "reason": "?" }), 422, "stock.no_change"),
        ("/api/reservations", json!({ "lines": [] }), 422, "reservation.lines"),
        ("/api/reservations", json!({ "lines": [{ "sku": "A", "quantity": 2 }] }), 409, "stock.insufficient"),
        (
            "/api/reservations",
            json!({ "lines": [{ "sku": "A", "quantity": 1 }], "ttl_seconds": 0 }),
            422,
            "reservation.ttl",
        ),
        ("/api/products", json!({ "title": "", "variants": [{ "sku": "B" }] }), 422, "product.title"),
        ("/api/products", json!({ "title": "B", "variants": [{ "sku": "A" }] }), 409, "sku.taken"),
        (
            "/api/products",
            json!({ "title": "B", "variants": [{ "sku": "B" }, { "sku": "B" }] }),
            422,
            "sku.repeated",
        ),
        (
            "/api/connections",
            json!({ "platform": "shopify", "name": "x", "brand": "y", "currency": "USD" }),
            422,
            "connection.invalid",
        ),
    ];
    for (path, body, status, code) in cases {
        let answer = world.admin.post(path, body.clone()).await;
        assert_eq!(answer.problem(status), code, "{path} {body}");
    }
    assert_eq!(world.admin.get("/api/nothing").await.problem(404), "route.unknown");
    assert_eq!(
        world.admin.send("DELETE", "/api/stock", &[], Body::empty()).await.problem(405),
        "method.not_allowed"
    );
    assert_eq!(world.admin.get("/api/stock?cursor=zzz").await.problem(400), "cursor.invalid");
    assert_eq!(world.admin.get("/api/stock?limit=many").await.problem(400), "query.invalid");
    assert_eq!(world.admin.get("/api/products/not-a-uuid").await.problem(400), "path.invalid");
}

#[tokio::test]
async fn a_read_waits_for_the_position_a_write_was_answered_with() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let written =
        world.admin.post("/api/stock/adjust", json!({ "sku": "A", "delta": -2, "reason": "lost" })).await;
    assert_eq!(
        written.headers["onhand-position"].to_str().ok(),
        Some(written.body["position"].to_string().as_str())
    );
    let position = written.expect(200)["position"].clone();

    let path = format!("/api/stock?sku=A&min_position={position}");
    let read = world.admin.get(&path);
    let project = world.project();
    let (read, ()) = tokio::join!(read, project);
    assert_eq!(read.expect(200)["data"][0]["on_hand"], 3);
}

#[tokio::test]
async fn a_position_that_is_not_reached_in_time_is_a_503() {
    let world = World::new().await;
    let answer = world.admin.get("/api/stock?min_position=1000000").await;
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.problem(503), "read.behind");
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page_without_loss_or_repetition() {
    let world = World::new().await;
    let skus: Vec<String> = (0..23).map(|n| format!("P-{n:02}")).collect();
    world.stocked(&skus.iter().map(|sku| (sku.as_str(), 1)).collect::<Vec<_>>()).await;
    world.project().await;
    for path in ["/api/stock", "/api/audit"] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = world.admin.get(&format!("{path}?limit=5{cursor}")).await.expect(200);
            let rows = page["data"].as_array().expect("rows").clone();
            assert!(rows.len() <= 5);
            seen.extend(
                rows.iter().map(|row| row["sku"].as_str().map_or(row["position"].to_string(), str::to_owned)),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count, "{path} repeats");
        let expected = if path == "/api/stock" { 23 } else { world.history().await.len() };
        assert_eq!(count, expected, "{path}");
    }
}

#[tokio::test]
async fn every_entry_carries_who_caused_it_and_what_it_belongs_to() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = json!({ "sku": "A", "quantity": 1 }).to_string();
    let answer =
        world.admin.send("POST", "/api/stock/restock", &[("traceparent", trace)], Body::from(body)).await;
    assert_eq!(answer.headers["x-correlation-id"], "0af7651916cd43dd8448eb211c80319c");
    let (metadata,): (serde_json::Value,) =
        sqlx::query_as("select metadata::json from events order by position desc limit 1")
            .fetch_one(world.onhand.pool())
            .await
            .expect("the last entry");
    assert_eq!(metadata["traceparent"], trace);
    assert_eq!(metadata["correlation_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(metadata["source"], "rest");
    assert!(metadata["actor"].as_str().is_some_and(|actor| actor.starts_with("key:")), "{metadata}");
}
