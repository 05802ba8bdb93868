use onhand_tests::World;
use serde_json::{Value, json};

fn rows(page: &Value) -> Vec<Value> {
    page["data"].as_array().expect("a page has rows").clone()
}

/// A shelf with a little history, 47 of X on hand at its end.
async fn forty_seven() -> World {
    let world = World::new().await;
    world.stocked(&[("X", 50), ("Y", 5)]).await;
    let held = world.reserve(&[("X", 4), ("Y", 1)]).await.expect(201);
    let path = format!("/api/reservations/{}", held["reservation"].as_str().expect("an id"));
    let part = json!({ "lines": [{ "sku": "X", "quantity": 2 }], "reference": "shipment-1" });
    world.admin.post(&format!("{path}/commit"), part).await.expect(200);
    world.admin.post(&format!("{path}/release"), json!({})).await.expect(200);
    let broken = json!({ "sku": "X", "delta": -1, "reason": "box was wet", "reference": "ticket-3" });
    world.admin.post("/api/stock/adjust", broken).await.expect(200);
    world
}

#[tokio::test]
async fn why_a_number_is_47_is_told_move_by_move() {
    let world = forty_seven().await;
    world.project().await;
    let why = world.admin.get("/api/stock/why?sku=X").await.expect(200);
    assert_eq!((&why["on_hand"], &why["reserved"], &why["available"]), (&json!(47), &json!(0), &json!(47)));
    let moves = rows(&why["moves"]);
    let kinds: Vec<_> = moves.iter().map(|m| m["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["adjusted", "released", "committed", "reserved", "restocked"]);
    assert_eq!(moves[0]["on_hand_after"], 47);
    for pair in moves.windows(2) {
        assert_eq!(pair[0]["on_hand_before"], pair[1]["on_hand_after"]);
        assert_eq!(pair[0]["reserved_before"], pair[1]["reserved_after"]);
    }
    assert_eq!((&moves[4]["on_hand_before"], &moves[4]["quantity"]), (&json!(0), &json!(50)));
    assert_eq!((&moves[0]["reason"], &moves[0]["reference"]), (&json!("box was wet"), &json!("ticket-3")));
    assert_eq!((&moves[2]["reference"], &moves[2]["quantity"]), (&json!("shipment-1"), &json!(2)));
    assert!(moves.iter().all(|m| m["actor"].as_str().is_some_and(|actor| actor.starts_with("key:"))));
    let nothing = world.admin.get("/api/stock/why?sku=X&location=berlin").await;
    assert_eq!(nothing.problem(404), "stock.unknown");
}

#[tokio::test]
async fn moves_are_found_by_shelf_kind_and_reservation_and_paged() {
    let world = forty_seven().await;
    world.project().await;
    let all = rows(&world.admin.get("/api/moves").await.expect(200));
    assert_eq!(all.len(), 8);
    let sold = rows(&world.admin.get("/api/moves?kind=committed").await.expect(200));
    assert_eq!(sold.len(), 1);
    let of_y = rows(&world.admin.get("/api/moves?sku=Y").await.expect(200));
    assert_eq!(of_y.len(), 3);
    let reservation = sold[0]["reservation"].as_str().expect("an id");
    let of_one = rows(&world.admin.get(&format!("/api/moves?reservation={reservation}")).await.expect(200));
    assert_eq!(of_one.len(), 5);

    let mut paged = Vec::new();
    let mut path = "/api/moves?limit=3".to_owned();
    loop {
        let page = world.admin.get(&path).await.expect(200);
        paged.extend(rows(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/moves?limit=3&cursor={cursor}");
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn a_move_whose_reference_is_left_empty_has_none() {
    let world = World::new().await;
    world.stocked(&[("X", 9)]).await;
    for (path, body) in [
        ("restock", json!({ "sku": "X", "quantity": 2, "reference": "" })),
        ("adjust", json!({ "sku": "X", "delta": -1, "reason": "lost", "reference": " " })),
        ("bulk", json!({ "rows": [{ "restock": { "sku": "X", "quantity": 1, "reference": "" } }] })),
        ("transfer", json!({ "sku": "X", "from": "main", "to": "berlin", "quantity": 3, "reference": " " })),
        ("count", json!({ "sku": "X", "counted": 7, "reference": "" })),
    ] {
        world.admin.post(&format!("/api/stock/{path}"), body).await.expect(200);
    }
    world.project().await;
    let moves = rows(&world.admin.get("/api/moves?sku=X").await.expect(200));
    assert_eq!(moves.len(), 7, "{moves:?}");
    assert!(moves.iter().all(|it| it["reference"].is_null()), "{moves:?}");
}

#[tokio::test]
async fn moves_of_another_brand_or_tenant_do_not_exist() {
    let world = forty_seven().await;
    world.project().await;
    let other = world.client("viewer", Some("other")).await;
    for path in ["/api/moves", "/api/moves?sku=X"] {
        assert_eq!(rows(&other.get(path).await.expect(200)), Vec::<Value>::new());
    }
    assert_eq!(other.get("/api/stock/why?sku=X").await.problem(404), "stock.unknown");
    let stranger = world.other_tenant().await;
    assert_eq!(rows(&stranger.admin.get("/api/moves?sku=X").await.expect(200)), Vec::<Value>::new());
}

#[tokio::test]
async fn moves_and_the_reasons_of_a_number_are_never_behind() {
    let world = forty_seven().await;
    // Nothing has been projected yet.
    let of_x = rows(&world.admin.get("/api/moves?sku=X").await.expect(200));
    let at_main = rows(&world.admin.get("/api/moves?sku=X&location=main").await.expect(200));
    assert_eq!((of_x.len(), &of_x), (5, &at_main));
    let why = world.admin.get("/api/stock/why?sku=X").await.expect(200);
    assert_eq!((&why["on_hand"], &rows(&why["moves"])), (&json!(47), &of_x));
    for path in ["/api/moves?sku=X&location=berlin", "/api/moves?sku=NOBODY"] {
        assert_eq!(rows(&world.admin.get(path).await.expect(200)), Vec::<Value>::new(), "{path}");
    }
    assert_eq!(world.admin.get("/api/stock/why?sku=NOBODY").await.problem(404), "stock.unknown");
}

#[tokio::test]
async fn moves_of_a_sku_at_too_many_locations_are_not_cut_without_a_word() {
    let world = World::new().await;
    world.stocked(&[("X", 0)]).await;
    let row = |n: usize| json!({ "restock": { "sku": "X", "quantity": 1, "location": format!("shop-{n}") } });
    let restock = |rows: Vec<Value>| world.admin.post("/api/stock/bulk", json!({ "rows": rows }));
    restock((0..200).map(row).collect()).await.expect(200);
    assert_eq!(rows(&world.admin.get("/api/moves?sku=X&limit=200").await.expect(200)).len(), 200);
    restock(vec![row(200)]).await.expect(200);
    assert_eq!(world.admin.get("/api/moves?sku=X").await.problem(400), "filter.invalid");
    let one = world.admin.get("/api/moves?sku=X&location=shop-200").await.expect(200);
    assert_eq!(rows(&one).len(), 1);
}
