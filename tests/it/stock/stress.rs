//! The sequencer where it hurts: more than it can take, a database that goes away, keys that grow old.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use futures_util::future::join_all;
use onhand_infrastructure::config::Retention;
use onhand_tests::{World, process::until};
use serde_json::json;

#[tokio::test]
async fn a_refusal_is_an_answer_like_any_other_to_a_request_with_a_key() {
    let one = World::new().await;
    one.stocked(&[("X", 1)]).await;
    let body = json!({ "lines": [{ "sku": "X", "quantity": 2 }] });
    let refused = one.admin.post_once("/api/reservations", "k", body.clone()).await;
    assert_eq!(refused.problem(409), "stock.insufficient");
    one.admin.post("/api/stock/restock", json!({ "sku": "X", "quantity": 5 })).await.expect(200);

    let again = one.admin.post_once("/api/reservations", "k", body.clone()).await;
    assert_eq!(again.body["shortages"][0]["available"], 1, "as it was then");
    assert_eq!(again.headers["idempotency-replayed"], "true");
    // Also by a process that has only the database to remember by.
    let two = one.twin().await.admin.with_key(Some(&one.key));
    let elsewhere = two.post_once("/api/reservations", "k", body.clone()).await;
    assert_eq!(elsewhere.body["shortages"], again.body["shortages"]);
    assert_eq!(elsewhere.problem(409), "stock.insufficient");
    let other = json!({ "lines": [{ "sku": "X", "quantity": 1 }] });
    assert_eq!(two.post_once("/api/reservations", "k", other).await.problem(422), "idempotency.key_reused");
    two.post_once("/api/reservations", "k-2", body).await.expect(201);
    one.expect_intact().await;
}

#[tokio::test]
async fn a_key_is_kept_for_a_day_and_then_may_be_used_anew() {
    let world = World::new().await;
    world.stocked(&[("X", 5)]).await;
    let body = json!({ "sku": "X", "quantity": 1 });
    world.admin.post_once("/api/stock/restock", "k", body.clone()).await.expect(200);
    let prune = async || {
        let swept = world.onhand.operations.sweep(&Retention::default(), None, false).await;
        swept
            .iter()
            .filter(|swept| swept.rule.name == "idempotency_keys")
            .map(|swept| swept.total())
            .sum::<u64>()
    };
    world.clock.advance(TimeDelta::hours(23));
    assert_eq!(prune().await, 0);
    world.clock.advance(TimeDelta::hours(2));
    assert_eq!(prune().await, 1);
    // Also where it is still in memory.
    world.admin.post_once("/api/stock/restock", "k", body).await.expect(200);
    assert_eq!(world.levels().await["X"], (7, 0, 7));
}

#[tokio::test]
async fn keys_of_two_actors_never_meet() {
    let world = World::new().await;
    world.stocked(&[("X", 0)]).await;
    let editor = world.client("editor", None).await;
    let body = json!({ "sku": "X", "quantity": 1 });
    for client in [&world.admin, &editor] {
        let answer = client.post_once("/api/stock/restock", "the-same", body.clone()).await;
        assert!(answer.headers.get("idempotency-replayed").is_none());
        answer.expect(200);
    }
    assert_eq!(world.levels().await["X"], (2, 0, 2));
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back_and_nothing_half_happens() {
    let world = World::new().await;
    world.stocked(&[("X", 0)]).await;
    // While the head is locked by somebody else, nothing can be committed, and commands queue up.
    let mut owner = world.database.owner().await;
    sqlx::raw_sql("begin; select from ledger_heads for update").execute(&mut owner).await.expect("a lock");
    let refused = AtomicBool::new(false);
    let asks = join_all((0..9_000).map(async |_| {
        let answer = world.admin.post("/api/stock/restock", json!({ "sku": "X", "quantity": 1 })).await;
        refused.fetch_or(answer.status == 503, Ordering::Relaxed);
        answer
    }));
    let unlock = async {
        until("somebody is told to come back", async || refused.load(Ordering::Relaxed)).await;
        sqlx::raw_sql("rollback").execute(&mut owner).await.expect("the lock is let go");
    };
    let (answers, ()) = tokio::join!(asks, unlock);
    let (done, rest): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert!(!rest.is_empty(), "the queue is bounded");
    for answer in rest {
        assert_eq!(answer.headers["retry-after"], "1");
        assert_eq!(answer.problem(503), "ledger.busy");
    }
    assert_eq!(world.levels().await["X"].0, done.len() as i64);
    world.expect_intact().await;
}

#[tokio::test]
async fn what_was_accepted_before_a_stop_is_answered() {
    let world = World::new().await;
    world.stocked(&[("X", 0)]).await;
    let asks = join_all(
        (0..200).map(|_| world.admin.post("/api/stock/restock", json!({ "sku": "X", "quantity": 1 }))),
    );
    let (answers, ()) = tokio::join!(asks, world.onhand.ledger().drain());
    // What comes too late for one sequencer begins the next; what one has accepted it answers.
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(world.levels().await["X"].0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_is_said_to_be_away_and_found_again_when_it_is_back() {
    let world = World::new().await;
    world.stocked(&[("X", 1_000)]).await;
    let restock = json!({ "sku": "X", "quantity": 1 });
    // Connections of all kinds lie about, as after a busy hour.
    join_all((0..50).map(|_| world.admin.post("/api/stock/restock", restock.clone()))).await;
    world.database.close().await;

    for answer in join_all((0..20).map(|_| world.reserve(&[("X", 1)]))).await {
        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        assert_eq!(answer.problem(503), "database.unavailable");
    }
    world.database.open().await;
    // Nobody is turned away for the sake of connections that died meanwhile.
    for answer in join_all((0..20).map(|_| world.reserve(&[("X", 1)]))).await {
        answer.expect(201);
    }
    assert_eq!(world.levels().await["X"], (1_050, 20, 1_030));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_little_memory_for_states_decides_the_same() {
    let world = World::new().await.with_states_bytes(20_000).await;
    let skus: Vec<String> = (0..200).map(|n| format!("S-{n}")).collect();
    world.stocked(&skus.iter().map(|sku| (sku.as_str(), 3)).collect::<Vec<_>>()).await;
    for _ in 0..4 {
        let lines: Vec<[(&str, i64); 1]> = skus.iter().map(|sku| [(sku.as_str(), 1)]).collect();
        join_all(lines.iter().map(|line| world.reserve(line))).await;
    }
    let levels = world.levels().await;
    assert!(levels.values().all(|level| *level == (3, 3, 0)), "{levels:?}");
}
