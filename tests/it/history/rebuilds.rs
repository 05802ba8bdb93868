//! What rebuilds have grown while entries were missing is of no use once these are put back.

use std::ops::ControlFlow;

use onhand_infrastructure::{ledger::Context, operations::Caller};
use onhand_projector::{OnDifference, ProjectorError, find_model, rebuild};
use onhand_tests::World;
use tokio::runtime::Handle;

use super::archive::{Folder, archive, head, restore, tamper, with_history};

/// A world that has lost the only entry of one of its shelves, whose row is right; where that was; and an archive that has it.
async fn with_a_loss() -> (World, i64, Folder) {
    let (world, folder) = (with_history().await, Folder::new());
    world.project().await;
    archive(&world, head(&world).await, &folder).await.expect("a file is written");
    let (lost,): (i64,) = sqlx::query_as("select max(position) from events where name = 'stock.restocked'")
        .fetch_one(world.onhand.pool())
        .await
        .expect("history can be read");
    tamper(
        &world,
        "delete from events where position = (select max(position) from events where name = 'stock.restocked')",
    )
    .await;
    (world, lost, folder)
}

fn caller(world: &World) -> Caller {
    Caller::new(Context::internal(world.tenant, "test"))
}

#[tokio::test]
async fn rows_that_differed_then_do_not_take_the_place_of_live_ones() {
    let (world, _, folder) = with_a_loss().await;
    let told = world.rebuild("stock_levels", OnDifference::Keep).await;
    assert_eq!((told.differences, told.replaced), (1, false), "{:?}", told.sample);
    assert_eq!(restore(&world, &folder.files(), false).await.expect("it fits"), [1]);
    let anew = world.rebuild("stock_levels", OnDifference::Replace).await;
    assert_eq!((anew.differences, anew.replaced), (0, false), "{:?}", anew.sample);
    assert_eq!(world.levels().await["C"].0, 7);
}

#[tokio::test]
async fn a_rebuild_that_nobody_is_at_is_begun_anew() {
    let (world, _, folder) = with_a_loss().await;
    let model = find_model("stock_levels").expect("a model");
    let (on, how) = (&world.onhand.operations, (OnDifference::Keep, 3));
    let once_grown = |pace: rebuild::Pace| match pace.position < pace.target {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    };
    let stopped = rebuild::rebuild_in_stretches(on, caller(&world), model, how, once_grown).await;
    assert!(matches!(stopped, Err(ProjectorError::Interrupted(_))), "{stopped:?}");
    assert_eq!(restore(&world, &folder.files(), false).await.expect("it fits"), [1]);
    let rebuilt = world.rebuild("stock_levels", OnDifference::Keep).await;
    assert_eq!((rebuilt.differences, rebuilt.rows), (0, 3), "{:?}", rebuilt.sample);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_somebody_is_at_is_begun_anew_by_him() {
    let (world, lost, folder) = with_a_loss().await;
    let files = folder.files();
    let model = find_model("stock_levels").expect("a model");
    let mut is_restored = false;
    let progress = |pace: rebuild::Pace| {
        if !is_restored && pace.position >= lost {
            let restoring = restore(&world, &files, false);
            let restored = tokio::task::block_in_place(|| Handle::current().block_on(restoring));
            assert_eq!(restored.expect("it fits"), [1]);
            is_restored = true;
        }
        ControlFlow::Continue(())
    };
    let (on, how) = (&world.onhand.operations, (OnDifference::Keep, 3));
    let rebuilt = rebuild::rebuild_in_stretches(on, caller(&world), model, how, progress).await;
    let rebuilt = rebuilt.expect("it comes to its end");
    assert!(is_restored);
    assert_eq!((rebuilt.differences, rebuilt.rows), (0, 3), "{:?}", rebuilt.sample);
    let noted = world.history().await.iter().filter(|name| *name == "administration.rebuild_begun").count();
    assert_eq!(noted, 1, "it is the same run");
}
