use onhand_tests::World;
use serde_json::{Value, json};

/// A world with the locations a and b, in this order, and this much of X at each.
async fn two_places(a: i64, b: i64) -> World {
    let world = World::new().await;
    world.stocked(&[("X", 0)]).await;
    for (code, priority, quantity) in [("b", 2, b), ("a", 1, a)] {
        let body = json!({ "priority": priority });
        world.admin.put(&format!("/api/locations/{code}"), body).await.expect(200);
        if quantity > 0 {
            let body = json!({ "sku": "X", "quantity": quantity, "location": code });
            world.admin.post("/api/stock/restock", body).await.expect(200);
        }
    }
    world
}

fn lines(quantity: i64) -> Value {
    json!({ "lines": [{ "sku": "X", "quantity": quantity }] })
}

async fn available(world: &World, quantity: i64) -> Value {
    world.admin.post("/api/availability", lines(quantity)).await.expect(200)
}

async fn levels(world: &World) -> Vec<(String, i64, i64)> {
    world.project().await;
    let body = world.admin.get("/api/stock?sku=X").await.expect(200);
    let rows = body["data"].as_array().expect("rows").clone();
    let number = |row: &Value, name: &str| row[name].as_i64().expect("a number");
    rows.iter()
        .map(|row| {
            let location = row["location"].as_str().expect("a location").to_owned();
            (location, number(row, "on_hand"), number(row, "reserved"))
        })
        .collect()
}

#[tokio::test]
async fn what_is_spread_over_locations_is_reserved_as_one_and_availability_says_so_before() {
    let world = two_places(1, 1).await;
    assert_eq!(available(&world, 2).await["available"], true);
    let held = world.admin.post("/api/reservations", lines(2)).await.expect(201);
    let from: Vec<_> =
        held["lines"].as_array().expect("lines").iter().map(|l| (&l["location"], &l["quantity"])).collect();
    assert_eq!(from, [(&json!("a"), &json!(1)), (&json!("b"), &json!(1))]);
    assert_eq!(available(&world, 1).await["available"], false);
    assert_eq!(world.admin.post("/api/reservations", lines(1)).await.problem(409), "stock.insufficient");
}

#[tokio::test]
async fn of_13_the_first_location_gives_its_10_and_the_second_3() {
    let world = two_places(10, 15).await;
    let held = world.admin.post("/api/reservations", lines(13)).await.expect(201);
    assert_eq!(levels(&world).await, [("a".into(), 10, 10), ("b".into(), 15, 3)]);
    // What two shelves hold for one buyer, one commit sells.
    let path = format!("/api/reservations/{}/commit", held["reservation"].as_str().expect("an id"));
    assert_eq!(world.admin.post(&path, json!({})).await.expect(200)["units"], 13);
    assert_eq!(levels(&world).await, [("a".into(), 0, 0), ("b".into(), 12, 0)]);
}

#[tokio::test]
async fn availability_and_reservation_agree_whatever_is_asked() {
    let world = two_places(3, 4).await;
    for quantity in 1..10 {
        let said = available(&world, quantity).await["available"] == true;
        let answer = world.admin.post("/api/reservations", lines(quantity)).await;
        assert_eq!(said, answer.status == 201, "{quantity}");
        if said {
            let id = answer.body["reservation"].as_str().expect("an id");
            world.admin.post(&format!("/api/reservations/{id}/release"), json!({})).await.expect(200);
        }
    }
    assert_eq!(levels(&world).await, [("a".into(), 3, 0), ("b".into(), 4, 0)]);
}

#[tokio::test]
async fn a_location_that_does_not_sell_is_used_only_by_name() {
    let world = two_places(1, 5).await;
    world.admin.put("/api/locations/b", json!({ "priority": 2, "sells": false })).await.expect(200);
    assert_eq!(available(&world, 2).await["available"], false);
    let named = json!({ "lines": [{ "sku": "X", "quantity": 2, "location": "b" }] });
    world.admin.post("/api/reservations", named).await.expect(201);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_transfer_leaves_and_arrives_in_one_instant_and_takes_only_what_is_free() {
    let world = two_places(5, 0).await;
    let held = json!({ "lines": [{ "sku": "X", "quantity": 3, "location": "a" }] });
    world.admin.post("/api/reservations", held).await.expect(201);
    let send = |quantity: i64, to: &str| json!({ "sku": "X", "from": "a", "to": to, "quantity": quantity });
    let refused = world.admin.post("/api/stock/transfer", send(3, "b")).await;
    assert_eq!(refused.problem(409), "stock.insufficient");
    let nowhere = world.admin.post("/api/stock/transfer", send(1, "a")).await;
    assert_eq!(nowhere.problem(422), "transfer.nowhere");
    let moved = world.admin.post("/api/stock/transfer", send(2, "b")).await.expect(200);
    assert_eq!((&moved["from"]["on_hand"], &moved["to"]["on_hand"]), (&json!(3), &json!(2)));
    assert_eq!(levels(&world).await, [("a".into(), 3, 3), ("b".into(), 2, 0)]);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn locations_are_set_by_an_admin_of_the_whole_tenant() {
    let world = two_places(1, 1).await;
    let body = json!({ "priority": 9 });
    let editor = world.client("editor", None).await;
    assert_eq!(editor.put("/api/locations/c", body.clone()).await.problem(403), "auth.forbidden");
    let branded = world.client("admin", Some("kite")).await;
    assert_eq!(branded.put("/api/locations/c", body).await.problem(403), "auth.forbidden");
    let listed = world.admin.get("/api/locations").await.expect(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(2));
}
