use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;
use onhand_tests::World;
use serde_json::json;
use sqlx::Connection;

use crate::projector::interference::somebody_waits;

#[tokio::test(flavor = "multi_thread")]
async fn a_long_stream_is_snapshotted_and_read_back_the_same() {
    let world = World::new().await;
    world.stocked(&[("A", 5_000)]).await;
    let back = json!({ "sku": "A", "quantity": 1 });
    for _ in 0..4 {
        join_all((0..50).map(|_| world.reserve(&[("A", 1)]))).await;
        join_all((0..250).map(|_| world.admin.post("/api/stock/restock", back.clone()))).await;
    }
    onhand_tests::process::until("a snapshot is written", || async {
        let (count,): (i64,) = sqlx::query_as("select count(*) from stream_snapshots")
            .fetch_one(world.onhand.pool())
            .await
            .expect("snapshots can be read");
        count > 0
    })
    .await;
    // A process without any state in memory decides on snapshot and tail, and on history alone where somebody has made a
    // snapshot say that there is more than there is.
    sqlx::raw_sql(
        "insert into stream_snapshots
         select tenant_id, stream, e.version, e.position, s.format,
                replace(s.state, '\"on_hand\":' || (m.metadata::jsonb ->> 'on_hand'), '\"on_hand\":9000')
         from (select * from stream_snapshots order by version limit 1) s join events m using (tenant_id, stream, version)
         join lateral (select version, position from events where stream = s.stream order by version desc limit 1) e on true",
    )
    .execute(&mut world.database.owner().await)
    .await
    .expect("an owner may");
    let forged = "select count(*) from stream_snapshots where state like '%\"on_hand\":9000%'";
    let (forged,): (i64,) = sqlx::query_as(forged).fetch_one(world.onhand.pool()).await.expect("a count");
    assert_eq!(forged, 1);
    let twin = world.twin().await;
    assert_eq!(twin.reserve(&[("A", 5_801)]).await.body["shortages"][0]["available"], 5_800);
    twin.reserve(&[("A", 5_800)]).await.expect(201);
    assert_eq!(world.levels().await["A"], (6_000, 6_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_reads_what_it_has_not_seen_keeps_no_other_from_writing() {
    let world = World::new().await;
    world.stocked(&[("A", 100)]).await;
    let twin = Arc::new(world.twin().await);
    // One of the two has the shelf in memory.
    world.reserve(&[("A", 1)]).await.expect(201);
    // Reading takes until this is let go.
    let mut held = world.database.owner().await;
    sqlx::raw_sql("begin; lock table stream_snapshots in access exclusive mode")
        .execute(&mut held)
        .await
        .expect("an owner may");
    let reads = Arc::clone(&twin);
    let reads = tokio::spawn(async move { reads.reserve(&[("A", 1)]).await });
    somebody_waits(&world).await;
    for _ in 0..50 {
        world.reserve(&[("A", 1)]).await.expect(201);
    }
    held.close().await.expect("it is let go");
    reads.await.expect("it comes to its end").expect(201);
    assert_eq!(twin.reserve(&[("A", 49)]).await.body["shortages"][0]["available"], 48);
    assert_eq!(world.levels().await["A"], (100, 52, 48));
    world.expect_intact().await;
}

#[tokio::test]
async fn a_hold_ends_by_itself_when_its_time_has_come() {
    let world = World::new().await;
    world.stocked(&[("A", 2)]).await;
    let held = world.reserve(&[("A", 2)]).await.expect(201);
    world.project().await;
    assert_eq!(world.onhand.operations.expire_due().await.expect("expiry works"), 0);

    world.clock.advance(TimeDelta::minutes(15));
    assert_eq!(world.onhand.operations.expire_due().await.expect("expiry works"), 1);
    assert_eq!(world.levels().await["A"], (2, 0, 2));
    // What is found due twice ends once.
    world.onhand.operations.expire_due().await.expect("expiry works");
    assert_eq!(world.history().await.iter().filter(|name| *name == "stock.expired").count(), 1);

    let id = held["reservation"].as_str().expect("an id");
    let shown = world.admin.get(&format!("/api/reservations/{id}")).await.expect(200);
    assert_eq!(shown["status"], "expired");
    let late = world.admin.post(&format!("/api/reservations/{id}/release"), json!({})).await;
    assert_eq!(late.problem(409), "reservation.ended");
}

#[tokio::test]
async fn a_hold_that_is_due_is_no_obstacle_even_if_nobody_has_ended_it() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    world.reserve(&[("A", 1)]).await.expect(201);
    world.clock.advance(TimeDelta::minutes(15));
    world.reserve(&[("A", 1)]).await.expect(201);
    assert_eq!(world.levels().await["A"], (1, 1, 0));
}

#[tokio::test]
async fn a_reservation_is_committed_in_parts_and_by_a_process_that_did_not_make_it() {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 5)]).await;
    let held = world.reserve(&[("A", 3), ("B", 1)]).await.expect(201);
    let path = format!("/api/reservations/{}", held["reservation"].as_str().expect("an id"));

    let part = json!({ "lines": [{ "sku": "A", "quantity": 1 }] });
    let twin = world.twin().await;
    assert_eq!(twin.admin.post(&format!("{path}/commit"), part).await.expect(200)["units"], 1);
    assert_eq!(world.admin.post(&format!("{path}/release"), json!({})).await.expect(200)["units"], 3);
    assert_eq!(
        world.admin.post(&format!("{path}/commit"), json!({})).await.problem(409),
        "reservation.ended"
    );
    let levels = world.levels().await;
    assert_eq!((levels["A"], levels["B"]), ((4, 0, 4), (5, 0, 5)));
}
