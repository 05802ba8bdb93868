use futures_util::future::join_all;
use onhand_tests::World;
use serde_json::json;

#[tokio::test]
async fn the_same_key_and_body_give_the_same_answer_and_one_effect() {
    let world = World::new().await;
    world.stocked(&[("A", 9)]).await;
    let body = json!({ "lines": [{ "sku": "A", "quantity": 2 }] });

    let first = world.admin.post_once("/api/reservations", "\"k-1\"", body.clone()).await;
    let again = world.admin.post_once("/api/reservations", "k-1", body).await;
    assert_eq!(first.body, again.body);
    assert!(first.headers.get("idempotency-replayed").is_none());
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.status, 201);
    assert_eq!(world.levels().await["A"], (9, 2, 7));
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let world = World::new().await;
    world.stocked(&[("A", 9)]).await;
    let restock = |quantity: i64| json!({ "sku": "A", "quantity": quantity });
    world.admin.post_once("/api/stock/restock", "k", restock(1)).await.expect(200);
    let refused = world.admin.post_once("/api/stock/restock", "k", restock(2)).await;
    assert_eq!(refused.problem(422), "idempotency.key_reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_at_the_same_instant_on_two_processes_has_one_effect() {
    let one = World::new().await;
    let two = one.twin().await;
    one.stocked(&[("A", 100)]).await;
    // One key belongs to one actor; both processes are asked by the same one.
    let two = two.admin.with_key(Some(&one.key));
    for round in 0..20 {
        let key = format!("k-{round}");
        let body = json!({ "lines": [{ "sku": "A", "quantity": 1 }] });
        let asks = (0..6).map(|n| {
            let client = if n % 2 == 0 { &one.admin } else { &two };
            client.post_once("/api/reservations", &key, body.clone())
        });
        let answers = join_all(asks).await;
        let first = answers[0].body["reservation"].clone();
        assert!(first.is_string(), "{:?}", answers[0]);
        assert!(answers.iter().all(|answer| answer.body["reservation"] == first), "{answers:?}");
    }
    assert_eq!(one.levels().await["A"], (100, 20, 80));
}

#[tokio::test]
async fn a_repeat_of_a_success_is_not_refused_when_the_stock_is_gone() {
    let one = World::new().await;
    one.stocked(&[("A", 1)]).await;
    let body = json!({ "lines": [{ "sku": "A", "quantity": 1 }] });
    let first = one.admin.post_once("/api/reservations", "k", body.clone()).await.expect(201);
    // A process that has never heard of the key, as after a restart.
    let again =
        one.twin().await.admin.with_key(Some(&one.key)).post_once("/api/reservations", "k", body).await;
    assert_eq!(again.expect(201)["reservation"], first["reservation"]);
}

#[tokio::test]
async fn a_request_that_made_no_sense_is_put_right_under_the_same_key() {
    let world = World::new().await;
    world.stocked(&[("A", 9)]).await;
    let restock = |quantity: i64| json!({ "sku": "A", "quantity": quantity });
    for _ in 0..2 {
        let refused = world.admin.post_once("/api/stock/restock", "k", restock(0)).await;
        assert!(refused.headers.get("idempotency-replayed").is_none());
        assert_eq!(refused.problem(422), "quantity.zero");
    }
    assert_eq!(world.admin.post_once("/api/stock/restock", "k", restock(1)).await.expect(200)["on_hand"], 10);
    let other = world.admin.post_once("/api/stock/restock", "k", restock(2)).await;
    assert_eq!(other.problem(422), "idempotency.key_reused");

    // What the stock did not allow is an answer like any other.
    let adjust = |delta: i64| json!({ "sku": "A", "delta": delta, "reason": "lost" });
    let refused = world.admin.post_once("/api/stock/adjust", "l", adjust(-11)).await;
    assert_eq!(refused.problem(409), "stock.insufficient");
    let other = world.admin.post_once("/api/stock/adjust", "l", adjust(-1)).await;
    assert_eq!(other.problem(422), "idempotency.key_reused");
}
