use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;
use onhand_infrastructure::ledger::{Entry, Head};
use onhand_projector::checkpoint::Checkpoint;
use onhand_tests::{World, process::until};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::pause::standing;

/// A connection that calls itself `stuck`, with the number of its server process.
async fn stuck(world: &World) -> (PgConnection, i32) {
    let options = world.database.options.clone().application_name("stuck");
    let mut conn = PgConnection::connect_with(&options).await.expect("the server answers");
    let (pid,): (i32,) =
        sqlx::query_as("select pg_backend_pid()").fetch_one(&mut conn).await.expect("it knows itself");
    (conn, pid)
}

#[tokio::test]
async fn a_projection_that_nobody_moves_says_so() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let fresh = standing(&world, "stock_levels").await;
    assert_eq!((&fresh["state"], &fresh["why"]), (&json!("behind"), &json!("catching up")));
    world.clock.advance(TimeDelta::seconds(11));
    assert_eq!(standing(&world, "stock_levels").await["why"], "no projector has moved it yet");

    world.project().await;
    let moved = standing(&world, "stock_levels").await;
    assert_eq!((&moved["state"], &moved["why"]), (&json!("current"), &Value::Null));
    assert_eq!((&moved["lag_entries"], &moved["lag_seconds"]), (&json!(0), &json!(0)));
    world.clock.advance(TimeDelta::hours(1));
    world.admin.post("/api/stock/restock", json!({ "sku": "A", "quantity": 1 })).await.expect(200);
    let late = standing(&world, "stock_levels").await;
    assert_eq!(late["why"], "catching up", "it was idle, not stuck: {late}");
    assert_eq!(late["lag_entries"], 1);
    world.clock.advance(TimeDelta::seconds(11));
    let late = standing(&world, "stock_levels").await;
    let why = late["why"].as_str().expect("a reason");
    assert!(why.starts_with("no projector has moved it since 2"), "{late}");
    assert!(late["lag_seconds"].as_i64().is_some_and(|lag| (11..60).contains(&lag)), "{late}");
}

#[tokio::test]
async fn a_projection_whose_checkpoint_somebody_holds_says_who() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    world.project().await;
    let (mut conn, pid) = stuck(&world).await;
    let mut held = conn.begin().await.expect("a transaction");
    Checkpoint::hold(&mut held, world.tenant, "stock_levels").await.expect("it is free");
    world.reserve(&[("A", 1)]).await.expect(201);
    world.project().await;
    world.clock.advance(TimeDelta::seconds(3));
    let behind = standing(&world, "stock_levels").await;
    let why = behind["why"].as_str().expect("a reason");
    assert!(why.starts_with("another transaction has held its checkpoint for "), "{behind}");
    assert!(why.contains(&format!("pid {pid}, stuck, idle in transaction")), "{behind}");
    assert_eq!(standing(&world, "reservations").await["state"], "current");

    let impatient = world.admin.post("/api/projections/stock_levels/pause", json!({})).await;
    assert_eq!(impatient.problem(409), "projection.held");
    held.rollback().await.expect("it ends");
    world.project().await;
    assert_eq!(standing(&world, "stock_levels").await["state"], "current");
}

#[tokio::test]
async fn a_projection_that_met_something_it_cannot_apply_says_what_until_it_may_try_again() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let held = world.reserve(&[("A", 2)]).await.expect(201);
    world.project().await;
    let id = held["reservation"].as_str().expect("an id");
    world.admin.post(&format!("/api/reservations/{id}/commit"), json!({})).await.expect(200);
    sqlx::raw_sql("create table kept as table reservations; delete from reservations")
        .execute(&mut world.database.owner().await)
        .await
        .expect("an owner may");
    world.project().await;
    let parked = standing(&world, "reservations").await;
    assert_eq!(parked["state"], "parked", "{parked}");
    assert!(parked["why"].as_str().is_some_and(|why| why.contains("have been lost")), "{parked}");
    assert!(parked["parked_at"].is_string(), "{parked}");

    sqlx::query("insert into reservations select * from kept")
        .execute(&mut world.database.owner().await)
        .await
        .expect("an owner may");
    world.admin.post("/api/projections/reservations/resume", json!({})).await.expect(200);
    world.project().await;
    assert_eq!(standing(&world, "reservations").await["state"], "current");
    world.expect_rebuilt_equals_live().await;
}

/// Appends another restock of a shelf that had one, by hand, as a program would that hangs before its commit.
async fn append_by_hand(conn: &mut PgConnection, world: &World, head: &Head) {
    let last: Entry = sqlx::query_as(
        "select * from events e where tenant_id = $1 and stream like 'stock/%'
         order by stream, version desc limit 1",
    )
    .bind(world.tenant.0)
    .fetch_one(&mut *conn)
    .await
    .expect("a shelf has entries");
    assert_eq!(last.name, "stock.restocked", "nothing else has happened to it yet");
    let mut entry = Entry {
        position: head.position + 1,
        event_id: Uuid::now_v7(),
        version: last.version + 1,
        recorded_at: head.recorded_at,
        ..last
    };
    entry.hash = entry.chained(world.tenant, &head.hash).to_vec();
    sqlx::query("insert into events values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
        .bind(world.tenant.0)
        .bind(entry.position)
        .bind(entry.event_id)
        .bind(&entry.stream)
        .bind(entry.version)
        .bind(&entry.name)
        .bind(entry.name_version)
        .bind(entry.recorded_at)
        .bind(&entry.payload)
        .bind(&entry.metadata)
        .bind(&entry.hash)
        .execute(&mut *conn)
        .await
        .expect("it is appended");
    sqlx::query("update ledger_heads set position = $2, hash = $3 where tenant_id = $1")
        .bind(world.tenant.0)
        .bind(entry.position)
        .bind(&entry.hash)
        .execute(conn)
        .await
        .expect("the head is moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_append_held_open_is_waited_for_by_name_and_nothing_is_skipped() {
    let world = Arc::new(World::new().await);
    let twin = Arc::new(world.twin().await);
    world.stocked(&[("A", 5)]).await;
    // Somebody else's business, open all the time.
    let (mut conn, _) = stuck(&world).await;
    let mut unrelated = conn.begin().await.expect("a transaction");
    sqlx::query("insert into webhook_rates values ('address/192.0.2.1', 1, 1)")
        .execute(&mut *unrelated)
        .await
        .expect("it writes");
    world.project().await;

    let (mut holder, pid) = stuck(&world).await;
    let mut open = holder.begin().await.expect("a transaction");
    let head = Head::lock(&mut open, world.tenant).await.expect("the head is free");
    append_by_hand(&mut open, &world, &head).await;
    let others = {
        let (world, twin) = (Arc::clone(&world), Arc::clone(&twin));
        tokio::spawn(async move {
            let restock = json!({ "sku": "A", "quantity": 1 });
            join_all((0..100).map(|n| {
                let client = if n % 2 == 0 { &world.admin } else { &twin.admin };
                client.post("/api/stock/restock", restock.clone())
            }))
            .await
        })
    };
    let waiting = || async { world.admin.get("/api/projections").await.expect(200)["ledger"].clone() };
    until("both processes wait for the head", || async {
        waiting().await["waiting"][0]["transactions"].as_i64() >= Some(2)
    })
    .await;
    let ledger = waiting().await;
    assert_eq!(ledger["position"], head.position, "what is not committed is not there");
    assert_eq!(ledger["waiting"].as_array().map(Vec::len), Some(1), "{ledger}");
    let cause = &ledger["waiting"][0];
    assert_eq!((&cause["blocked_by"], &cause["application"]), (&json!(pid), &json!("stuck")), "{cause}");
    assert_eq!(cause["activity"], "idle in transaction", "{cause}");
    assert!(cause["why"].as_str().is_some_and(|why| why.contains(&format!("pid {pid}, stuck"))), "{cause}");
    // Whoever reads goes on, and no projection has gone past what is open.
    assert_eq!(world.levels().await["A"], (5, 0, 5));
    assert_eq!(standing(&world, "stock_levels").await["position"], head.position);

    open.commit().await.expect("it is committed at last");
    for answer in others.await.expect("nobody panics") {
        answer.expect(200);
    }
    assert_eq!(world.levels().await["A"], (110, 0, 110), "five by hand, a hundred by the others");
    assert_eq!(
        standing(&world, "stock_levels").await["lag_entries"],
        0,
        "the other transaction is still open"
    );
    assert_eq!(waiting().await["waiting"], json!([]));
    unrelated.rollback().await.expect("it ends");
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_appends_that_were_rolled_back_leave_no_gap_and_hold_up_nobody() {
    let world = Arc::new(World::new().await);
    world.stocked(&[("A", 5)]).await;
    let writers = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for _ in 0..100 {
                let restocks = (0..10)
                    .map(|_| world.admin.post("/api/stock/restock", json!({ "sku": "A", "quantity": 1 })));
                for answer in join_all(restocks).await {
                    answer.expect(200);
                }
                world.project().await;
            }
        })
    };
    let (mut conn, _) = stuck(&world).await;
    for _ in 0..1_000 {
        sqlx::raw_sql(
            "begin;
             update ledger_heads set position = position + 1;
             insert into events select h.tenant_id, h.position, gen_random_uuid(), 'stock/none', h.position, 'stock.none', 1,
                 h.recorded_at, '{}', '{}', h.hash from ledger_heads h;
             rollback",
        )
        .execute(&mut conn)
        .await
        .expect("it is rolled back");
    }
    writers.await.expect("every write went through");
    assert_eq!(world.levels().await["A"], (1_005, 0, 1_005));
    let (entries, last): (i64, i64) = sqlx::query_as("select count(*), max(position) from events")
        .fetch_one(world.onhand.pool())
        .await
        .expect("history can be read");
    assert_eq!(entries, last, "no position was skipped");
    assert_eq!(standing(&world, "stock_levels").await["position"], last);
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}
