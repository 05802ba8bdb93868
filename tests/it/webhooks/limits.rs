//! What is not let in: too many, too large, wrapped, forged; and what comes twice.

use axum::body::Body;
use onhand_domain::connection::Platform;
use onhand_tests::{
    World,
    sample::Delivery,
    shop::{self, Webhook},
};
use serde_json::{Value, json};
use uuid::Uuid;

async fn orders(world: &World, connection: &str, count: u128) -> Vec<u16> {
    let mut codes = vec![];
    for number in 0..count {
        let id = Uuid::from_u128(Uuid::now_v7().as_u128() ^ number);
        let sent = Delivery::new(world, Platform::Standard, connection, "order.cancelled", "X", id);
        codes.push(sent.send(&world.admin).await.status.as_u16());
    }
    codes
}

#[tokio::test]
async fn a_connection_is_let_in_so_often_a_minute_and_both_processes_count_together() {
    let world = World::new().await;
    let connection = world.connect_to(Platform::Standard, json!({})).await;
    let other = world.connect_to(Platform::Standard, json!({})).await;
    let one = world.with_webhook_rate(20).await;
    let two = world.with_webhook_rate(20).await;
    // The beginning of a minute, by the clocks of both.
    let rest = 60 - one.clock.now().timestamp() % 60;
    for world in [&world, &one, &two] {
        world.clock.advance(chrono::TimeDelta::seconds(rest));
    }
    let first = orders(&one, &connection, 12).await;
    let second = orders(&two, &connection, 12).await;
    let let_in = |codes: &[u16]| codes.iter().filter(|code| **code == 200).count();
    assert_eq!((let_in(&first), let_in(&second)), (12, 8), "{first:?} {second:?}");

    let refused =
        Delivery::new(&one, Platform::Standard, &connection, "order.cancelled", "X", Uuid::now_v7());
    let refused = refused.send(&one.admin).await;
    let wait: u32 = refused.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(refused.problem(429), "webhook.rate");
    assert_eq!(orders(&one, &other, 1).await, [200], "another connection has its own");
    one.clock.advance(chrono::TimeDelta::seconds(60));
    assert_eq!(orders(&one, &connection, 1).await, [200], "the next minute is a new one");
}

#[tokio::test]
async fn forged_requests_do_not_use_up_what_genuine_ones_need() {
    let world = World::new().await;
    let connection = world.connect_to(Platform::Standard, json!({})).await;
    let busy = world.with_webhook_rate(10).await;
    for _ in 0..30 {
        let mut forged =
            Delivery::new(&busy, Platform::Standard, &connection, "order.cancelled", "X", Uuid::now_v7());
        forged.body.push(b' ');
        assert_eq!(forged.send(&busy.admin).await.problem(401), "webhook.rejected");
    }
    assert_eq!(orders(&busy, &connection, 3).await, [200, 200, 200]);
}

#[tokio::test]
async fn bodies_are_taken_as_they_are_or_refused_as_what_they_are() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let order = |bytes: &str, id: &str| Webhook::of_bytes("orders/create", id, bytes.as_bytes().to_vec());
    let fine = [
        "\u{feff}{\"id\":1,\"line_items\":[]}",
        "{\r\n\"id\": 2,\r\n\"line_items\": []\r\n}\r\n",
        r#"{"line_items":[],"id":3,"note":"\u00e9 \/ \u0026"}"#,
        r#"{"id":4,"line_items":[{"variant_id":null,"quantity":1.0,"title":"x"}]}"#,
    ];
    for (number, bytes) in fine.iter().enumerate() {
        let answer = order(bytes, &format!("fine-{number}")).send(&world.admin, &connection).await;
        assert_eq!(answer.status, 200, "{bytes}: {}", answer.body);
    }
    // Genuine, and not to be understood: kept, and the sender is told to try again; then that it is of no use.
    let odd = order(r#"{"id":5,"id":6,"line_items":[]}"#, "odd");
    assert_eq!(odd.send(&world.admin, &connection).await.problem(500), "delivery.failed");
    assert_eq!(odd.send(&world.admin, &connection).await.expect(200)["status"], "dead_letter");

    let sent = order(fine[0], "wrapped");
    let headers = [
        ("x-shopify-topic", "orders/create"),
        ("x-shopify-hmac-sha256", sent.signature.as_str()),
        ("content-encoding", "gzip"),
    ];
    let path = format!("/webhook/shopify/{connection}");
    let answer = world.admin.send("POST", &path, &headers, Body::from(sent.body.clone())).await;
    assert_eq!(answer.problem(415), "body.encoded");
    let plain = order(fine[0], "plain");
    let headers = [
        ("x-shopify-topic", "orders/create"),
        ("x-shopify-hmac-sha256", plain.signature.as_str()),
        ("content-encoding", "Identity"),
    ];
    world.admin.send("POST", &path, &headers, Body::from(plain.body.clone())).await.expect(200);
    // The valid signature comes last; none of them is believed for being there.
    let headers = [
        ("x-shopify-topic", "orders/create"),
        ("x-shopify-hmac-sha256", "AAAA"),
        ("X-Shopify-Hmac-Sha256", "no base64 ö"),
        ("x-shopify-hmac-sha256", sent.signature.as_str()),
    ];
    world.admin.send("POST", &path, &headers, Body::from(sent.body.clone())).await.expect(200);
    let stray = world.admin.send("POST", "/webhook/ebay/x", &[], Body::empty()).await;
    assert_eq!(stray.status, 400, "no connection has such an id");
    let stray = format!("/webhook/ebay/{connection}");
    assert_eq!(world.admin.send("POST", &stray, &[], Body::empty()).await.problem(404), "platform.unknown");
}

#[tokio::test]
async fn another_body_under_the_same_id_is_flagged_and_has_no_effect() {
    let world = World::new().await;
    world.stocked(&[("X", 10)]).await;
    let connection = world.connect(None, json!({})).await;
    let line = |n: i64| json!([{ "variant_id": null, "sku": "X", "quantity": n, "title": "x" }]);
    let order = |id: u64, n: i64| json!({ "id": id, "line_items": line(n) });
    Webhook::new("orders/create", "one-id", &order(1, 2)).send(&world.admin, &connection).await.expect(200);
    for _ in 0..2 {
        let other = Webhook::new("orders/create", "one-id", &order(2, 3));
        let answer = other.send(&world.admin, &connection).await.expect(200);
        assert_eq!(answer["status"], "duplicate");
        assert!(answer["detail"].is_string(), "{answer}");
    }
    assert_eq!(world.levels().await["X"], (10, 2, 8));
    let shown = world.admin.get("/api/deliveries?topic=orders/create").await.expect(200);
    assert_eq!(shown["data"][0]["contradicted"], true);
    // A process that knows nothing of it takes it for new, finds out that it is not, and says the same.
    let twin = world.twin().await;
    let other = Webhook::new("orders/create", "one-id", &order(3, 3));
    assert!(other.send(&twin.admin, &connection).await.expect(200)["detail"].is_string());
    let refused = json!({ "id": 4, "line_items": [] });
    let (another, empty) = (world.twin().await, Webhook::new("orders/create", "one-id", &refused));
    assert_eq!(empty.send(&another.admin, &connection).await.expect(200)["status"], "duplicate");
    assert_eq!(world.levels().await["X"], (10, 2, 8));
    let noted = world.history().await;
    assert_eq!(noted.iter().filter(|name| *name == "delivery.contradicted").count(), 1);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_body_that_cannot_be_read_under_an_id_that_was_acted_on_is_flagged_too() {
    let world = World::new().await;
    world.stocked(&[("X", 10)]).await;
    let connection = world.connect(None, json!({})).await;
    let lines = json!([{ "variant_id": null, "sku": "X", "quantity": 2, "title": "x" }]);
    let order = json!({ "id": 1, "line_items": lines });
    Webhook::new("orders/create", "one-id", &order).send(&world.admin, &connection).await.expect(200);
    for _ in 0..2 {
        let odd = Webhook::new("orders/create", "one-id", &json!({ "id": 1, "line_items": 7 }));
        let answer = odd.send(&world.admin, &connection).await.expect(200);
        assert_eq!(answer["status"], "duplicate");
        assert!(answer["detail"].is_string(), "{answer}");
    }
    world.project().await;
    let shown = world.admin.get("/api/deliveries?topic=orders/create").await.expect(200);
    assert_eq!(shown["data"][0]["contradicted"], true);
    let noted = world.history().await;
    assert_eq!(noted.iter().filter(|name| *name == "delivery.contradicted").count(), 1);
    assert!(!noted.iter().any(|name| name == "delivery.failed"), "{noted:?}");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn the_same_words_under_a_new_unsigned_id_do_not_move_stock_twice() {
    let world = World::new().await;
    let rules = json!({ "acceptInventory": true });
    let connection = world.connect(None, rules).await;
    let product = shop::product("DUNK", &[("42", "110.00")]);
    Webhook::new("products/create", "p", &product).send(&world.admin, &connection).await.expect(200);
    let level = json!({
        "inventory_item_id": product["variants"][0]["inventory_item_id"], "location_id": 7, "available": 9,
    });
    let send = async |id: &str, body: &Value| {
        Webhook::new("inventory_levels/update", id, body).send(&world.admin, &connection).await.expect(200)
    };
    assert_eq!(send("a", &level).await["status"], "processed");
    assert_eq!(world.levels().await["DUNK-42"], (9, 0, 9));
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 5 })).await.expect(200);
    assert_eq!(send("b", &level).await["status"], "duplicate", "it says nothing of when that was so");
    assert_eq!(world.levels().await["DUNK-42"], (14, 0, 14));
    // An order is one order, whatever id its news come under; it was made after the figure had been told.
    let mut order = shop::order(5, &product, &[(0, 2)]);
    order["created_at"] = json!(world.clock.now() + chrono::TimeDelta::seconds(1));
    for id in ["c", "d"] {
        Webhook::new("orders/create", id, &order).send(&world.admin, &connection).await.expect(200);
    }
    assert_eq!(world.levels().await["DUNK-42"], (14, 2, 12));
}
