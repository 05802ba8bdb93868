//! What others do while the rows of a rebuild are being compared: it counts, it is not held up, and it holds up nobody.

use std::ops::ControlFlow;

use axum::body::Body;
use onhand_infrastructure::ledger::Head;
use onhand_projector::{OnDifference, ProjectorError, find_model, rebuild};
use onhand_tests::{World, process::until};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::watch;

use super::{
    interference::{going_on, noted, somebody_waits, spoilt},
    pause::standing,
    rebuild::{caller, go_on, nobody_is_at_it, running},
};

/// Keeps everybody from a table for as long as the connection lives.
async fn hold(world: &World, table: &str) -> PgConnection {
    let mut held = world.database.owner().await;
    let sql = format!("begin; lock table {table} in access exclusive mode");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut held).await.expect("an owner may");
    held
}

async fn let_go(held: PgConnection) {
    held.close().await.expect("whatever is held is let go");
}

async fn park(world: &World) {
    sqlx::query("update checkpoints set parked = 'spoilt', parked_at = now() where model = 'stock_levels'")
        .execute(world.onhand.pool())
        .await
        .expect("checkpoints may be changed");
}

/// Begins a rebuild, for whoever is there to work it off. Gives where it is seen.
async fn begin(world: &World, model: &str, replace: bool) -> String {
    let path = format!("/api/projections/{model}/rebuild");
    let begun = world.admin.post(&path, json!({ "replace": replace })).await.expect(202);
    format!("/api/rebuilds/{}", begun["id"].as_str().expect("an id"))
}

async fn cancel(world: &World, run: &str) -> Value {
    world.admin.send("DELETE", run, &[], Body::empty()).await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_happens_meanwhile_is_not_lost_by_a_projection_that_was_parked_before_or_is_parked_then() {
    for is_parked_before in [true, false] {
        let world = spoilt().await;
        if is_parked_before {
            park(&world).await;
        }
        begin(&world, "stock_levels", true).await;
        let held = hold(&world, "public.stock_levels").await;
        let task = going_on(&world);
        somebody_waits(&world).await;
        // To a shelf whose row is right so far.
        let row = json!({ "restock": { "sku": "A", "quantity": 1 } });
        world.admin.post("/api/stock/bulk", json!({ "rows": vec![row; 600] })).await.expect(200);
        if !is_parked_before {
            park(&world).await;
        }
        let_go(held).await;
        assert_eq!(task.await.expect("it is not killed"), 1);
        let levels = world.levels().await;
        assert_eq!((levels["A"].0, levels["B"].0), (605, 7), "parked before: {is_parked_before}");
        assert_eq!(standing(&world, "stock_levels").await["state"], "current");
        world.expect_rebuilt_equals_live().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_parked_projection_that_goes_on_meanwhile_is_compared_once_more() {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 7)]).await;
    world.project().await;
    park(&world).await;
    world.stocked(&[("C", 9)]).await;
    let model = find_model("stock_levels").expect("a model");
    let (on, how) = (&world.onhand.operations, (OnDifference::Keep, 2));
    let once_grown = |pace: rebuild::Pace| match pace.position < pace.target {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    };
    let stopped = rebuild::rebuild_in_stretches(on, caller(&world), model, how, once_grown).await;
    assert!(matches!(stopped, Err(ProjectorError::Interrupted(_))), "{stopped:?}");
    let run = format!("/api/rebuilds/{}", running(&world, model).await["id"].as_str().expect("an id"));

    let held = hold(&world, "rebuild.stock_levels").await;
    let task = going_on(&world);
    somebody_waits(&world).await;
    world.admin.post("/api/projections/stock_levels/resume", json!({})).await.expect(200);
    world.project().await;
    let_go(held).await;
    assert_eq!(task.await.expect("it is not killed"), 1);
    let found = world.admin.get(&run).await.expect(200);
    assert_eq!((&found["status"], &found["differences"]), (&json!("done"), &json!(0)), "{found}");
    assert_eq!(found["replaced"], false, "it has put itself right: {found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rebuild_is_cancelled_meanwhile_and_another_one_begun() {
    let world = spoilt().await;
    let first = begin(&world, "stock_levels", false).await;
    let held = hold(&world, "public.stock_levels").await;
    let task = going_on(&world);
    somebody_waits(&world).await;
    let running = world.admin.post("/api/projections/stock_levels/rebuild", json!({})).await;
    assert_eq!(running.problem(409), "rebuild.running");
    assert_eq!(cancel(&world, &first).await["status"], "failed");
    let second = begin(&world, "stock_levels", false).await;
    let_go(held).await;
    assert_eq!(task.await.expect("it is not killed"), 0, "it has not come to its end");
    assert_eq!(noted(&world, "administration.rebuild_failed").await, 1);
    assert_eq!(world.admin.get(&second).await.expect(200)["status"], "running");
    assert_eq!(go_on(&world).await, 1);
    let found = world.admin.get(&second).await.expect(200);
    assert_eq!((&found["status"], &found["differences"]), (&json!("differs"), &json!(1)), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_happens_meanwhile_is_grown_before_writers_have_to_wait() {
    let world = World::new().await;
    let outlet = async |priority: i32| {
        let body = json!({ "priority": priority, "sells": false });
        world.admin.put("/api/locations/outlet", body).await.expect(200);
    };
    outlet(1).await;
    sqlx::query("update locations set priority = 99 where code = 'outlet'")
        .execute(world.onhand.pool())
        .await
        .expect("a read model may be changed");
    assert_eq!(world.rebuild("locations", OnDifference::Keep).await.differences, 1);
    begin(&world, "locations", true).await;
    let held = hold(&world, "rebuild.locations").await;
    let task = going_on(&world);
    somebody_waits(&world).await;
    for priority in 2..12 {
        outlet(priority).await;
    }
    let mut head = world.database.owner().await;
    sqlx::raw_sql("begin").execute(&mut head).await.expect("it begins");
    let end = Head::lock(&mut head, world.tenant).await.expect("the head is free in a moment").position;
    let_go(held).await;
    until("the rows are grown to the end, though the end cannot be held yet", || async {
        let (position,): (i64,) = sqlx::query_as("select position from rebuilds where status = 'running'")
            .fetch_one(world.onhand.pool())
            .await
            .expect("the run is under way");
        position == end
    })
    .await;
    let_go(head).await;
    assert_eq!(task.await.expect("it is not killed"), 1);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_has_ended_is_settled_and_another_read_model_is_rebuilt_while_a_comparison_takes_long() {
    let world = spoilt().await;
    begin(&world, "stock_levels", false).await;
    let cancelled = begin(&world, "reservations", false).await;
    cancel(&world, &cancelled).await;
    let held = hold(&world, "public.stock_levels").await;
    let task = going_on(&world);
    somebody_waits(&world).await;
    assert_eq!(noted(&world, "administration.rebuild_failed").await, 1, "it was settled first");
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()), "the comparison has waited");
    // Its server process waits for the table, and looks from time to time whether anybody still waits for it.
    nobody_is_at_it(&world).await;

    let (going_on, stop) = watch::channel(false);
    let working = tokio::spawn(rebuild::run(world.onhand.operations.clone(), stop));
    somebody_waits(&world).await;
    let other = begin(&world, "deliveries", false).await;
    until("another one has come to its end", || async {
        world.admin.get(&other).await.expect(200)["status"] == "done"
    })
    .await;
    let_go(held).await;
    going_on.send_replace(true);
    working.await.expect("it stops");
}
