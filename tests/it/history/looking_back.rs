//! Looking back at what has a history of its own kind: connections, reservations of orders; and where there is no looking
//! back.

use chrono::TimeDelta;
use onhand_tests::{
    World,
    shop::{self, Webhook},
};
use serde_json::{Value, json};

use super::travel::{all, head};

const CONNECTIONS: &str = "/api/connections";
const RESERVATIONS: &str = "/api/reservations";

#[tokio::test]
async fn what_is_told_as_it_is_now_is_not_to_be_taken_for_the_past() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    world.project().await;
    for path in [
        "/api/audit",
        "/api/audit/checkpoints",
        "/api/conflicts",
        "/api/dead-letters",
        "/api/deliveries",
        "/api/flags",
        "/api/kicks/monitors",
        "/api/locations",
        "/api/outbox",
        "/api/projections",
        "/api/rebuilds",
        "/api/reconciliations",
        "/api/stock/why?sku=A",
        "/api/sync/health",
    ] {
        world.admin.get(path).await.expect(200);
        let mark = if path.contains('?') { '&' } else { '?' };
        for moment in ["1", "2001-01-01T00:00:00Z", ""] {
            let answer = world.admin.get(&format!("{path}{mark}at={moment}")).await;
            assert_eq!(answer.problem(400), "at.unsupported", "{path} at {moment}");
        }
    }
}

#[tokio::test]
async fn connections_are_shown_as_they_were_set_up_then() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let recorded = all(&world.admin, CONNECTIONS, "").await;
    assert_eq!(recorded.len(), 1);
    let then = head(&world).await;

    world.admin.post(&format!("{CONNECTIONS}/{connection}/pause"), json!({})).await.expect(200);
    let rules = json!({ "propagateInventory": false });
    world.admin.put(&format!("{CONNECTIONS}/{connection}/rules"), rules).await.expect(200);
    world.connect_kicksdb().await;
    let now = all(&world.admin, CONNECTIONS, "").await;
    assert_eq!(now.len(), 2);
    assert!(now.iter().all(|row| row != &recorded[0]), "each is another one than then");

    assert_eq!(all(&world.admin, CONNECTIONS, &format!("at={then}")).await, recorded);
    let at_the_end = format!("at={}&limit=1", head(&world).await);
    assert_eq!(all(&world.admin, CONNECTIONS, &at_the_end).await, now);
    assert_eq!(all(&world.admin, CONNECTIONS, "at=0").await, Vec::<Value>::new());
    let foreign = world.client("viewer", Some("heron")).await;
    assert_eq!(all(&foreign, CONNECTIONS, &format!("at={then}")).await, Vec::<Value>::new());
}

#[tokio::test]
async fn units_held_for_an_order_are_seen_from_then_on_and_not_before() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let product = shop::product("DUNK", &[("42", "110.00")]);
    Webhook::new("products/create", "p-1", &product).send(&world.admin, &connection).await.expect(200);
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 10 })).await.expect(200);
    let before = head(&world).await;
    world.clock.advance(TimeDelta::milliseconds(1));

    let order = shop::order(1, &product, &[(0, 2)]);
    Webhook::new("orders/create", "o-1", &order).send(&world.admin, &connection).await.expect(200);
    world.project().await;
    let (recorded, then) = (all(&world.admin, RESERVATIONS, "").await, head(&world).await);
    assert_eq!((recorded.len(), &recorded[0]["status"]), (1, &json!("held")));
    world.clock.advance(TimeDelta::milliseconds(1));

    let order = shop::cancelled(order);
    Webhook::new("orders/cancelled", "o-2", &order).send(&world.admin, &connection).await.expect(200);
    world.project().await;
    assert_eq!(all(&world.admin, RESERVATIONS, "").await[0]["status"], "released");
    assert_eq!(all(&world.admin, RESERVATIONS, &format!("at={then}")).await, recorded);
    assert_eq!(all(&world.admin, RESERVATIONS, &format!("at={before}")).await, Vec::<Value>::new());
}

#[tokio::test]
async fn reservations_narrowed_to_a_status_are_all_found_page_by_page() {
    let world = World::new().await;
    world.stocked(&[("A", 20), ("B", 20)]).await;
    for number in 0..9 {
        let made = world.reserve(&[("A", 1), ("B", 1)]).await.expect(201);
        if number % 3 == 0 {
            let id = made["reservation"].as_str().expect("an id");
            world.admin.post(&format!("{RESERVATIONS}/{id}/release"), json!({})).await.expect(200);
        }
    }
    world.project().await;
    let every = all(&world.admin, RESERVATIONS, "limit=2").await;
    assert_eq!(every.len(), 9);
    for (status, count) in [("held", 6), ("released", 3), ("expired", 0)] {
        let expected: Vec<Value> = every.iter().filter(|row| row["status"] == status).cloned().collect();
        assert_eq!(expected.len(), count);
        assert_eq!(all(&world.admin, RESERVATIONS, &format!("status={status}&limit=2")).await, expected);
    }
}
