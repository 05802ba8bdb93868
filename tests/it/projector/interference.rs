use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use onhand_infrastructure::ledger::Head;
use onhand_projector::{OnDifference, ProjectorError, Rebuilt, checkpoint::Checkpoint, find_model, rebuild};
use onhand_tests::{
    World,
    process::{onhand, until},
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::{runtime::Handle, sync::watch, task::JoinHandle};

use super::{
    pause::standing,
    rebuild::{caller, go_on, nobody_is_at_it, running},
};

/// A shop with two shelves, one of which is told wrongly.
pub(super) async fn spoilt() -> World {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 7)]).await;
    world.project().await;
    spoil(&world).await;
    world
}

async fn spoil(world: &World) {
    sqlx::query("update stock_levels set on_hand = 99 where on_hand = 7")
        .execute(world.onhand.pool())
        .await
        .expect("a read model may be changed");
}

/// Goes on with rebuilds in a task of its own.
pub(super) fn going_on(world: &World) -> JoinHandle<u32> {
    let operations = world.onhand.operations.clone();
    tokio::spawn(async move {
        let (_going_on, stop) = watch::channel(false);
        rebuild::go_on(&operations, &stop).await.expect("rebuilds are gone on with")
    })
}

async fn kill(world: &World, task: JoinHandle<u32>, held: PgConnection) {
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()), "it came to its end before it was killed");
    // Its server process finds out that nobody listens once it has what it waits for.
    held.close().await.expect("whatever is held is let go");
    nobody_is_at_it(world).await;
}

pub(crate) async fn somebody_waits(world: &World) {
    until("somebody waits for a lock", || async {
        let mut owner = world.database.owner().await;
        let (waiting,): (i64,) = sqlx::query_as(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_one(&mut owner)
        .await
        .expect("sessions of the same account can be looked at");
        waiting > 0
    })
    .await;
}

pub(super) async fn noted(world: &World, name: &str) -> usize {
    world.history().await.iter().filter(|noted| *noted == name).count()
}

async fn in_twin(world: &World) -> i64 {
    let (rows,): (i64,) = sqlx::query_as("select count(*) from rebuild.stock_levels")
        .fetch_one(world.onhand.pool())
        .await
        .expect("twins can be read");
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rebuild_that_is_killed_as_it_compares_or_replaces_has_changed_nothing_and_is_gone_on_with() {
    let world = spoilt().await;
    let begun = world.admin.post("/api/projections/stock_levels/rebuild", json!({ "replace": true })).await;
    let begun = begun.expect(202);

    let mut held = world.database.owner().await;
    sqlx::raw_sql("begin; lock table public.stock_levels in access exclusive mode")
        .execute(&mut held)
        .await
        .expect("an owner may");
    let task = going_on(&world);
    somebody_waits(&world).await;
    let model = find_model("stock_levels").expect("a model");
    let twin = world.twin().await;
    let second = grow_again(&twin, OnDifference::Replace).await;
    assert!(matches!(second, Err(ProjectorError::Busy("stock_levels"))), "{second:?}");
    kill(&world, task, held).await;

    let mut held = world.database.owner().await;
    sqlx::raw_sql("begin; update checkpoints set position = position where model = 'stock_levels'")
        .execute(&mut held)
        .await
        .expect("an owner may");
    let task = going_on(&world);
    somebody_waits(&world).await;
    kill(&world, task, held).await;

    assert_eq!(running(&world, model).await["id"], begun["id"]);
    assert_eq!(world.levels().await["B"].0, 99, "nothing was replaced yet");
    assert_eq!(go_on(&twin).await, 1);
    assert_eq!(world.levels().await["B"].0, 7);
    for name in ["administration.rebuild_begun", "administration.rebuild_ended"] {
        assert_eq!(noted(&world, name).await, 1, "{name}");
    }
    world.expect_rebuilt_equals_live().await;
}

async fn grow_again(world: &World, on_difference: OnDifference) -> Result<Rebuilt, ProjectorError> {
    let model = find_model("stock_levels").expect("a model");
    let on = &world.onhand.operations;
    rebuild::rebuild(on, caller(world), model, on_difference, |_| ControlFlow::Continue(())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_end_of_a_rebuild_that_is_killed_right_then_is_noted_once_and_its_rows_go() {
    let world = spoilt().await;
    let begun = world.admin.post("/api/projections/stock_levels/rebuild", json!({ "replace": true })).await;
    let path = format!("/api/rebuilds/{}", begun.expect(202)["id"].as_str().expect("an id"));
    // Nothing can be noted now.
    let mut held = world.database.owner().await;
    sqlx::raw_sql("begin").execute(&mut held).await.expect("it begins");
    Head::lock(&mut held, world.tenant).await.expect("the head is free in a moment");
    let task = going_on(&world);
    until("the run has ended", || async { world.admin.get(&path).await.expect(200)["status"] == "done" })
        .await;
    kill(&world, task, held).await;
    assert_eq!(in_twin(&world).await, 2, "nobody has seen to it yet");

    assert_eq!(go_on(&world).await, 0, "it has come to its end before");
    assert_eq!(in_twin(&world).await, 0);
    assert_eq!(noted(&world, "administration.rebuild_ended").await, 1);
    // Settled once more, it is not told once more.
    sqlx::query("update rebuilds set settled = false").execute(world.onhand.pool()).await.expect("they may");
    go_on(&world).await;
    assert_eq!(noted(&world, "administration.rebuild_ended").await, 1);
    let (left,): (i64,) = sqlx::query_as("select count(*) from rebuilds where not settled")
        .fetch_one(world.onhand.pool())
        .await
        .expect("runs can be read");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_parked_projection_that_is_resumed_as_it_is_rebuilt_is_waited_for_and_nothing_is_grown_twice() {
    for on_difference in [OnDifference::Keep, OnDifference::Replace] {
        let world = World::new().await;
        world.stocked(&[("A", 5), ("B", 7)]).await;
        sqlx::query(
            "insert into checkpoints (tenant_id, model, parked) values ($1, 'stock_levels', 'spoilt')",
        )
        .bind(world.tenant.0)
        .execute(world.onhand.pool())
        .await
        .expect("checkpoints may be changed");
        let model = find_model("stock_levels").expect("a model");
        let (on, how) = (&world.onhand.operations, (OnDifference::Keep, 2));
        let stopped =
            rebuild::rebuild_in_stretches(on, caller(&world), model, how, |_| ControlFlow::Break(())).await;
        assert!(matches!(stopped, Err(ProjectorError::Interrupted(_))), "{stopped:?}");
        let left = running(&world, model).await;
        assert_eq!(left["reached"], 2, "{left}");

        world.admin.post("/api/projections/stock_levels/resume", json!({})).await.expect(200);
        let waits = grow_again(&world, on_difference).await;
        assert!(matches!(waits, Err(ProjectorError::Behind(_))), "{waits:?}");
        assert_eq!(running(&world, model).await["reached"], 2);
        world.project().await;
        let rebuilt = grow_again(&world, on_difference).await.expect("a rebuild");
        assert_eq!((rebuilt.differences, rebuilt.rows), (0, 2));
        assert_eq!(json!(rebuilt.id), left["id"]);
    }
}

#[tokio::test]
async fn a_paused_projection_is_left_where_it_is_by_a_rebuild_even_if_it_is_parked_as_well() {
    let world = spoilt().await;
    let at = standing(&world, "stock_levels").await["position"].clone();
    sqlx::query("update checkpoints set parked = 'spoilt', parked_at = now() where model = 'stock_levels'")
        .execute(world.onhand.pool())
        .await
        .expect("checkpoints may be changed");
    world.admin.post("/api/projections/stock_levels/pause", json!({})).await.expect(200);
    world.stocked(&[("C", 9)]).await;
    let kept = grow_again(&world, OnDifference::Keep).await.expect("a rebuild");
    assert_eq!((kept.differences, kept.replaced, json!(kept.position)), (1, false, at.clone()));
    assert_eq!(standing(&world, "stock_levels").await["state"], "parked");

    let replaced = grow_again(&world, OnDifference::Replace).await.expect("a rebuild");
    assert_eq!((replaced.differences, replaced.replaced), (1, true));
    let still = standing(&world, "stock_levels").await;
    assert_eq!((&still["state"], &still["position"]), (&json!("paused"), &at), "{still}");
    world.admin.post("/api/projections/stock_levels/resume", json!({})).await.expect(200);
    assert_eq!(world.levels().await.into_values().map(|level| level.0).collect::<Vec<_>>(), [5, 7, 9]);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_projection_that_has_applied_more_than_there_is_is_parked_and_a_rebuild_takes_it_back() {
    let world = spoilt().await;
    let end = standing(&world, "stock_levels").await["head"].clone();
    let ahead = || async {
        sqlx::query("update checkpoints set position = position + 1000 where model = 'stock_levels'")
            .execute(world.onhand.pool())
            .await
            .expect("checkpoints may be changed");
    };
    ahead().await;
    world.project().await;
    let parked = standing(&world, "stock_levels").await;
    assert_eq!((&parked["state"], &parked["position"]), (&json!("parked"), &end), "{parked}");
    assert!(parked["why"].as_str().is_some_and(|why| why.contains("set back")), "{parked}");
    // What happens until somebody rebuilds it is not lost by that.
    world.admin.post("/api/stock/restock", json!({ "sku": "A", "quantity": 1 })).await.expect(200);
    world.project().await;

    // What nobody has met yet is taken back, too; a rebuild of either puts the rows right.
    for found_first in [true, false] {
        if !found_first {
            ahead().await;
        }
        let rebuilt = grow_again(&world, OnDifference::Keep).await.expect("a rebuild");
        assert_eq!((rebuilt.replaced, json!(rebuilt.differences > 0)), (true, json!(found_first)));
        let back = standing(&world, "stock_levels").await;
        assert_eq!(back["parked_at"], json!(null), "{back}");
        world.project().await;
        assert_eq!(standing(&world, "stock_levels").await["state"], "current");
    }
    world.stocked(&[("C", 9)]).await;
    assert_eq!(world.levels().await.into_values().map(|level| level.0).collect::<Vec<_>>(), [6, 7, 9]);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_projection_that_was_put_right_since_it_was_claimed_is_not_parked() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    world.project().await;
    let (tenant, now) = (world.tenant, world.clock.now());
    let mut conn = world.onhand.pool().acquire().await.expect("a connection");
    let mut claims = Vec::new();
    for minutes in 0..2 {
        let mut tx = conn.begin().await.expect("a transaction");
        let claimed = Checkpoint::claim(&mut tx, tenant, &["stock_levels"]).await.expect("it is free");
        tx.rollback().await.expect("it ends");
        let later = now + chrono::TimeDelta::minutes(minutes + 1);
        if minutes == 0 {
            let moved = Checkpoint::advance(&mut conn, tenant, &["stock_levels"], claimed[0].position, later);
            moved.await.expect("it is put right");
        }
        claims.extend(claimed);
    }
    let mut parked = Vec::new();
    for claimed in &claims {
        parked.push(Checkpoint::park(&mut conn, tenant, claimed, "poison", now).await.expect("it is told"));
    }
    assert_eq!(
        parked,
        [false, true],
        "what was claimed before is another one, what was claimed since is not"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_cancelled_on_its_way_ends_with_who_did_it_and_the_next_begins_anew() {
    let world = Arc::new(spoilt().await);
    let model = find_model("stock_levels").expect("a model");
    let cancelling = Arc::clone(&world);
    let progress = move |_| {
        let cancel = async {
            let id = running(&cancelling, model).await["id"].clone();
            let path = format!("/api/rebuilds/{}", id.as_str().expect("an id"));
            cancelling.admin.send("DELETE", &path, &[], axum::body::Body::empty()).await.expect(200)
        };
        let cancelled = tokio::task::block_in_place(|| Handle::current().block_on(cancel));
        assert_eq!(cancelled["status"], "failed", "{cancelled}");
        ControlFlow::Continue(())
    };
    let on = &world.onhand.operations;
    let how = (OnDifference::Replace, 1);
    let cancelled = rebuild::rebuild_in_stretches(on, caller(&world), model, how, progress).await;
    assert!(matches!(cancelled, Err(ProjectorError::Cancelled(_))), "{cancelled:?}");
    assert_eq!(running(&world, model).await, Value::Null);
    assert_eq!(in_twin(&world).await, 0);
    assert_eq!(world.history().await.last().map(String::as_str), Some("administration.rebuild_failed"));
    let runs = world.admin.get("/api/rebuilds?projection=stock_levels").await.expect(200);
    let run = &runs["data"][0];
    assert!(run["failure"].as_str().is_some_and(|why| why.starts_with("cancelled by key:")), "{run}");
    let path = format!("/api/rebuilds/{}", run["id"].as_str().expect("an id"));
    let once_more = world.admin.send("DELETE", &path, &[], axum::body::Body::empty()).await.expect(200);
    assert_eq!(once_more["ended_at"], run["ended_at"], "what has ended is only shown");
    let editor = world.client("editor", None).await;
    editor.send("DELETE", &path, &[], axum::body::Body::empty()).await.problem(403);

    let (code, said, wrong) = onhand(&world, &["rebuild", "stock_levels", "--cancel"]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    assert!(said.contains("is not being rebuilt"), "{said}");
    assert_eq!(grow_again(&world, OnDifference::Replace).await.expect("a rebuild").differences, 1);
}

#[tokio::test]
async fn whoever_only_wants_to_know_replaces_nothing_and_whoever_insists_on_replacing_is_on_record() {
    let world = spoilt().await;
    let path = "/api/projections/stock_levels/rebuild";
    let begun = world.admin.post(path, json!({ "replace": true })).await;
    let position = begun.headers["onhand-position"].to_str().expect("a number").to_owned();
    assert_eq!(begun.expect(202)["position"].to_string(), position);
    let refused = grow_again(&world, OnDifference::Keep).await;
    assert!(matches!(refused, Err(ProjectorError::Replacing(_))), "{refused:?}");
    assert_eq!(go_on(&world).await, 1);

    spoil(&world).await;
    world.admin.post(path, json!({})).await.expect(202);
    assert!(grow_again(&world, OnDifference::Replace).await.expect("a rebuild").replaced);
    let rows: Vec<(bool,)> = sqlx::query_as(
        "select (payload::json->>'replaces')::boolean from events
         where name = 'administration.rebuild_begun' order by position",
    )
    .fetch_all(world.onhand.pool())
    .await
    .expect("history can be read");
    assert_eq!(rows, [(true,), (false,), (true,)]);
}

#[tokio::test]
async fn rows_that_were_grown_before_the_newest_migration_are_not_put_in_the_place_of_live_ones() {
    let world = spoilt().await;
    assert_eq!(grow_again(&world, OnDifference::Keep).await.expect("a rebuild").differences, 1);
    // A tampered twin stands for rows that are made otherwise by now.
    sqlx::raw_sql(
        "update rebuild.stock_levels set low = true;
         insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (999999, 'made up', true, '', 0)",
    )
    .execute(&mut world.database.owner().await)
    .await
    .expect("an owner may");
    let replaced = grow_again(&world, OnDifference::Replace).await.expect("a rebuild");
    assert_eq!((replaced.differences, replaced.replaced), (1, true), "{:?}", replaced.sample);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn one_read_model_that_is_being_rebuilt_keeps_the_command_line_from_none_of_the_others() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    world.project().await;
    let mut elsewhere = world.database.owner().await;
    sqlx::query("select pg_advisory_lock(hashtextextended($1, 0))")
        .bind(format!("rebuild/api_keys/{}", world.tenant))
        .execute(&mut elsewhere)
        .await
        .expect("it is free");
    let (code, said, wrong) = onhand(&world, &["rebuild", "--all"]).await;
    assert_eq!(code, 1, "{said}{wrong}");
    let line = |model: &str| said.lines().find(|line| line.contains(model)).unwrap_or_default().to_owned();
    assert!(line("api_keys").contains("is being rebuilt for this tenant already"), "{said}");
    assert!(line("deliveries").contains("equal to the live ones"), "{said}{wrong}");
}

#[tokio::test]
async fn a_race_that_one_read_model_has_lost_keeps_the_command_line_from_none_of_the_others() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    world.project().await;
    // As Postgres would say it of a deadlock.
    sqlx::raw_sql(
        "create function lose() returns trigger language plpgsql as
             $$ begin raise exception 'the race is lost' using errcode = '40P01'; end $$;
         create trigger lose before delete on rebuild.api_keys for each statement execute function lose()",
    )
    .execute(&mut world.database.owner().await)
    .await
    .expect("an owner may");
    let (code, said, wrong) = onhand(&world, &["rebuild", "--all"]).await;
    assert_eq!(code, 1, "{said}{wrong}");
    let line = |model: &str| said.lines().find(|line| line.contains(model)).unwrap_or_default().to_owned();
    assert!(line("api_keys").contains("FAILED: database: "), "{said}{wrong}");
    assert!(line("deliveries").contains("equal to the live ones"), "{said}{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_leaves_the_pool_all_its_connections() {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 7), ("C", 9)]).await;
    world.project().await;
    let pool = world.onhand.pool();
    for name in ["stock_levels", "products"] {
        let model = find_model(name).expect("a model");
        let (on, how) = (&world.onhand.operations, (OnDifference::Keep, 1));
        let mut all_there = false;
        rebuild::rebuild_in_stretches(on, caller(&world), model, how, |_| {
            // Whoever has noted that it begins gives back what it did that with in a moment.
            let deadline = Instant::now() + Duration::from_secs(2);
            while !all_there && Instant::now() < deadline {
                all_there = pool.num_idle() == pool.size() as usize;
                std::thread::yield_now();
            }
            ControlFlow::Continue(())
        })
        .await
        .expect("a rebuild");
        assert!(all_there, "{name}");
    }
}
