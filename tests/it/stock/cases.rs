//! What other systems are known to get wrong, each with the quantities it went wrong with.

use chrono::TimeDelta;
use futures_util::future::join_all;
use onhand_tests::{World, shop};
use serde_json::{Value, json};

fn id(answer: &Value) -> String {
    answer["reservation"].as_str().expect("a reservation has an id").to_owned()
}

async fn end(world: &World, reservation: &str, how: &str, body: Value) -> onhand_tests::Answer {
    world.admin.post(&format!("/api/reservations/{reservation}/{how}"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_2_and_of_10_callers_one_gets_the_only_unit_and_gives_it_back_whole() {
    let world = World::new().await;
    let skus: Vec<String> = (0..101).map(|n| format!("ONE-{n}")).collect();
    world.stocked(&skus.iter().map(|sku| (sku.as_str(), 1)).collect::<Vec<_>>()).await;
    for (round, sku) in skus.iter().enumerate() {
        let callers = if round == 100 { 10 } else { 2 };
        let one = [(sku.as_str(), 1)];
        let answers = join_all((0..callers).map(|_| world.reserve(&one))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
        assert_eq!((won.len(), lost.len()), (1, callers - 1), "{sku}");
        assert!(lost.into_iter().all(|answer| answer.problem(409) == "stock.insufficient"));
        end(&world, &id(&won[0].body), "release", json!({})).await.expect(200);
    }
    assert!(world.levels().await.values().all(|level| *level == (1, 0, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_20_callers_10_get_the_10_units_and_nobody_ever_sees_less_than_none() {
    let world = World::new().await;
    world.stocked(&[("TEN", 10)]).await;
    let callers = join_all((0..20).map(|_| world.reserve(&[("TEN", 1)])));
    let watching = async {
        for _ in 0..20 {
            let level = world.levels().await["TEN"];
            assert!(level.1 <= level.0 && level.2 >= 0, "{level:?}");
        }
    };
    let (answers, ()) = tokio::join!(callers, watching);
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 10);
    assert_eq!(world.levels().await["TEN"], (10, 10, 0));
}

#[tokio::test]
async fn two_lines_of_one_variant_in_one_request_count_together() {
    let world = World::new().await;
    world.stocked(&[("X", 5), ("Y", 1)]).await;
    assert_eq!(world.reserve(&[("X", 5), ("X", 5)]).await.problem(409), "stock.insufficient");
    assert_eq!(world.reserve(&[("Y", 1), ("Y", 1)]).await.problem(409), "stock.insufficient");
    assert_eq!(world.levels().await["X"], (5, 0, 5));
    world.reserve(&[("X", 3), ("X", 2)]).await.expect(201);
    assert_eq!(world.levels().await["X"], (5, 5, 0));
}

#[tokio::test]
async fn the_cancellation_of_an_order_that_never_held_anything_changes_nothing() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    world.stocked(&[("X", 2)]).await;
    let cancelled =
        shop::Webhook::new("orders/cancelled", "c-1", &shop::cancelled(shop::order(77, &json!({}), &[])));
    assert_eq!(cancelled.send(&world.admin, &connection).await.status, 200);
    assert_eq!(world.levels().await["X"], (2, 0, 2));
    assert!(world.history().await.contains(&"order.cancelled".to_owned()), "it is on record");
}

#[tokio::test]
async fn of_a_hold_of_5_of_which_3_are_sold_and_the_rest_cancelled_97_of_100_are_left() {
    let world = World::new().await;
    world.stocked(&[("X", 100)]).await;
    let held = id(&world.reserve(&[("X", 5)]).await.expect(201));
    let part = json!({ "lines": [{ "sku": "X", "quantity": 3 }] });
    end(&world, &held, "commit", part).await.expect(200);
    end(&world, &held, "release", json!({})).await.expect(200);
    assert_eq!(world.levels().await["X"], (97, 0, 97));
}

#[tokio::test]
async fn one_shipment_reported_twice_leaves_the_shelf_once() {
    let world = World::new().await;
    world.stocked(&[("X", 50), ("Y", 50)]).await;
    let held = id(&world.reserve(&[("X", 10)]).await.expect(201));
    let path = format!("/api/reservations/{held}/commit");
    let shipped = json!({ "reference": "shipment-1" });
    world.admin.post_once(&path, "delivery-1", shipped.clone()).await.expect(200);
    world.admin.post_once(&path, "delivery-1", shipped.clone()).await.expect(200);
    let again = world.admin.post_once(&path, "delivery-2", shipped).await.expect(200);
    assert_eq!(again["units"], 0);
    assert_eq!(world.levels().await["X"], (40, 0, 40));

    // A part of a hold, shipped once and told twice under another key.
    let held = id(&world.reserve(&[("Y", 10)]).await.expect(201));
    let path = format!("/api/reservations/{held}/commit");
    let part = json!({ "reference": "shipment-2", "lines": [{ "sku": "Y", "quantity": 4 }] });
    assert_eq!(world.admin.post_once(&path, "d-1", part.clone()).await.expect(200)["units"], 4);
    assert_eq!(world.admin.post_once(&path, "d-2", part.clone()).await.expect(200)["units"], 0);
    assert_eq!(world.levels().await["Y"], (46, 6, 40));

    // Also where the rest is on another shelf, which has not heard of the shipment.
    let berlin = json!({ "priority": 2 });
    world.admin.put("/api/locations/berlin", berlin).await.expect(200);
    let there = json!({ "sku": "Y", "quantity": 4, "location": "berlin" });
    world.admin.post("/api/stock/restock", there).await.expect(200);
    let held = id(&world.reserve(&[("Y", 44)]).await.expect(201));
    let path = format!("/api/reservations/{held}/commit");
    let whole = json!({ "reference": "shipment-2" });
    assert_eq!(world.admin.post(&path, part.clone()).await.expect(200)["units"], 4);
    for again in [&part, &whole, &part] {
        let told = world.admin.post(&path, again.clone()).await.expect(200);
        assert_eq!((&told["units"], &told["held"], &told["status"]), (&json!(0), &json!(40), &json!("held")));
    }
    let rest = json!({ "reference": "shipment-3" });
    assert_eq!(world.admin.post(&path, rest.clone()).await.expect(200)["units"], 40);
    let told = world.admin.post(&path, rest).await.expect(200);
    assert_eq!((&told["units"], &told["status"]), (&json!(0), &json!("committed")));
}

#[tokio::test]
async fn each_shipment_whose_reference_is_left_empty_leaves_the_shelf() {
    let world = World::new().await;
    world.stocked(&[("X", 10)]).await;
    let held = id(&world.reserve(&[("X", 6)]).await.expect(201));
    let path = format!("/api/reservations/{held}/commit");
    for reference in [Some(""), Some("   "), None] {
        let part = json!({ "reference": reference, "lines": [{ "sku": "X", "quantity": 1 }] });
        for _ in 0..2 {
            assert_eq!(world.admin.post(&path, part.clone()).await.expect(200)["units"], 1, "{part}");
        }
    }
    assert_eq!(world.levels().await["X"], (4, 0, 4));
}

#[tokio::test]
async fn a_platform_that_does_not_count_a_variant_says_nothing_about_our_stock() {
    let world = World::new().await;
    let connection = world.connect(None, json!({ "acceptInventory": true })).await;
    let product = shop::product("U", &[("42", "100.00")]);
    shop::Webhook::new("products/create", "p", &product).send(&world.admin, &connection).await;
    world.admin.post("/api/stock/restock", json!({ "sku": "U-42", "quantity": 7 })).await.expect(200);
    let (inventory, location) = (product["variants"][0]["inventory_item_id"].clone(), 7);
    let level = |available: Value, minute: u32| {
        json!({ "inventory_item_id": inventory, "location_id": location, "available": available,
                "updated_at": format!("2099-01-01T00:{minute:02}:00Z") })
    };
    let sent = shop::Webhook::new("inventory_levels/update", "i-1", &level(Value::Null, 1));
    assert_eq!(sent.send(&world.admin, &connection).await.status, 200);
    assert_eq!(world.levels().await["U-42"], (7, 0, 7));
    let sent = shop::Webhook::new("inventory_levels/update", "i-2", &level(json!(0), 2));
    assert_eq!(sent.send(&world.admin, &connection).await.status, 200);
    assert_eq!(world.levels().await["U-42"], (0, 0, 0), "a real zero is a number");
}

#[tokio::test]
async fn a_hold_that_ran_out_while_its_buyer_paid_ends_in_one_sale_and_one_refund() {
    let world = World::new().await;
    world.stocked(&[("X", 1)]).await;
    let a = id(&world.reserve(&[("X", 1)]).await.expect(201));
    world.clock.advance(TimeDelta::minutes(15));
    let b = id(&world.reserve(&[("X", 1)]).await.expect(201));

    let late = world.admin.post_once(&format!("/api/reservations/{a}/commit"), "pay", json!({})).await;
    assert_eq!(late.problem(409), "reservation.expired");
    let again = world.admin.post_once(&format!("/api/reservations/{a}/commit"), "pay", json!({})).await;
    assert_eq!(again.headers.get("idempotency-replayed").map(|v| v.as_bytes()), Some(&b"true"[..]));
    assert_eq!(again.problem(409), "reservation.expired");
    assert_eq!(end(&world, &a, "commit", json!({})).await.problem(409), "reservation.expired");
    end(&world, &b, "commit", json!({})).await.expect(200);

    assert_eq!(world.levels().await["X"], (0, 0, 0));
    let due = world.admin.get("/api/reservations?status=refund_due").await.expect(200);
    assert_eq!((due["data"].as_array().map(Vec::len), &due["data"][0]["id"]), (Some(1), &json!(a)));
    let owed = world.history().await.iter().filter(|name| *name == "stock.refund_due").count();
    assert_eq!(owed, 1, "it is said once, however often the payment is told");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_buyer_who_tries_again_from_his_own_cart_holds_his_unit_once() {
    let world = World::new().await;
    world.stocked(&[("X", 1)]).await;
    let cart = json!({ "owner": "cart-7", "lines": [{ "sku": "X", "quantity": 1 }] });
    let first = world.admin.post("/api/reservations", cart.clone()).await.expect(201);
    let again = world.admin.post("/api/reservations", cart.clone()).await.expect(201);
    assert_eq!(id(&first), id(&again));
    // Also where a process has never heard of the cart.
    world.twin().await.admin.with_key(Some(&world.key)).post("/api/reservations", cart).await.expect(201);
    assert_eq!(world.levels().await["X"], (1, 1, 0));
    assert_eq!(world.reserve(&[("X", 1)]).await.problem(409), "stock.insufficient");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_delivery_that_arrives_5_times_at_2_processes_is_one_effect() {
    let (one, connection) = {
        let world = World::new().await;
        let connection = world.connect(None, json!({})).await;
        (world, connection)
    };
    let two = one.twin().await;
    let product = shop::product("T", &[("42", "100.00")]);
    shop::Webhook::new("products/create", "p", &product).send(&one.admin, &connection).await;
    one.admin.post("/api/stock/restock", json!({ "sku": "T-42", "quantity": 9 })).await.expect(200);
    let order = shop::Webhook::new("orders/create", "o-1", &shop::order(5, &product, &[(0, 2)]));
    let sent = (0..5).map(|n| order.send(if n % 2 == 0 { &one.admin } else { &two.admin }, &connection));
    assert!(join_all(sent).await.iter().all(|answer| answer.status == 200));
    assert_eq!(one.levels().await["T-42"], (9, 2, 7));
}

#[tokio::test]
async fn a_sale_that_a_later_count_has_seen_does_not_move_it() {
    let world = World::new().await;
    world.stocked(&[("X", 100)]).await;
    let now = world.clock.now();
    let at = |minutes: i64| (now + TimeDelta::minutes(minutes)).to_rfc3339();
    world.clock.advance(TimeDelta::minutes(40));
    let adjust = |delta: i64, minutes: i64| json!({ "sku": "X", "delta": delta, "reason": "sale", "occurred_at": at(minutes) });
    world.admin.post("/api/stock/adjust", adjust(-3, 10)).await.expect(200);
    let count = json!({ "sku": "X", "counted": 95, "occurred_at": at(30) });
    world.admin.post("/api/stock/count", count).await.expect(200);
    let late = world.admin.post("/api/stock/adjust", adjust(-2, 20)).await.expect(200);
    assert_eq!(late["on_hand"], 95);
    assert!(late["covered"].is_string(), "{late}");
    assert_eq!(world.levels().await["X"], (95, 0, 95));
    let ahead = json!({ "sku": "X", "counted": 1, "occurred_at": at(60 * 24) });
    assert_eq!(world.admin.post("/api/stock/count", ahead).await.problem(422), "time.future");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_count_that_is_older_than_a_sale_does_not_erase_it() {
    let world = World::new().await;
    world.stocked(&[("X", 10)]).await;
    let held = id(&world.reserve(&[("X", 4)]).await.expect(201));
    let counted_at = world.clock.now().to_rfc3339();
    world.clock.advance(TimeDelta::minutes(5));
    end(&world, &held, "commit", json!({})).await.expect(200);
    let count = json!({ "sku": "X", "counted": 10, "occurred_at": counted_at });
    assert_eq!(world.admin.post("/api/stock/count", count).await.expect(200)["on_hand"], 6);
    assert_eq!(world.levels().await["X"], (6, 0, 6));
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_skus_taken_in_opposite_order_1_000_times_never_lock_each_other_out() {
    let one = World::new().await;
    let two = one.twin().await;
    one.stocked(&[("A", 2_000), ("B", 2_000)]).await;
    let buyers = (0..1_000).map(|n| {
        let (world, lines) =
            if n % 2 == 0 { (&one, [("A", 1), ("B", 1)]) } else { (&two, [("B", 1), ("A", 1)]) };
        async move { world.reserve(&lines).await.expect(201) }
    });
    join_all(buyers).await;
    let levels = one.levels().await;
    assert_eq!((levels["A"], levels["B"]), ((2_000, 1_000, 1_000), (2_000, 1_000, 1_000)));
}

#[tokio::test]
async fn a_backorder_that_another_location_cannot_take_stays_where_it_is() {
    let world = World::new().await;
    world.stocked(&[("X", 10)]).await;
    let limit = json!({ "backorder_limit": 5 });
    world.admin.put("/api/variants/X/policy", limit.clone()).await.expect(200);
    let cart = |location: &str| json!({ "owner": "order-1", "lines": [{ "sku": "X", "quantity": 15, "location": location }] });
    world.admin.post("/api/reservations", cart("main")).await.expect(201);
    let moved = world.admin.post("/api/reservations", cart("berlin")).await;
    assert_eq!(moved.problem(409), "stock.insufficient");
    assert_eq!(world.levels().await["X"], (10, 15, 0));

    let open = json!({ "backorder_limit": 15, "location": "berlin" });
    world.admin.put("/api/variants/X/policy", open).await.expect(200);
    world.admin.post("/api/reservations", cart("berlin")).await.expect(201);
    assert_eq!(world.levels().await["X"], (10, 0, 10), "the source is whole again");
    world.expect_rebuilt_equals_live().await;
}
