//! What makes the program panic stops whatever has met it, and nothing that goes on beside.

use onhand_tests::World;
use serde_json::json;

use super::{interference::noted, rebuild::go_on};

#[tokio::test]
async fn what_makes_the_program_panic_parks_projections_and_fails_rebuilds_that_meet_it_and_no_others() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    // A time that the database can tell and no program.
    sqlx::raw_sql(
        "set session_replication_role = replica;
         update events set recorded_at = 'infinity' where name = 'stock.restocked'",
    )
    .execute(&mut world.database.owner().await)
    .await
    .expect("a superuser may do anything");
    // Another process, for this one has the entry in memory as it was.
    let other = world.twin().await;
    other.project().await;
    let parked: Vec<(String, String)> =
        sqlx::query_as("select model, parked from checkpoints where parked is not null order by 1")
            .fetch_all(world.onhand.pool())
            .await
            .expect("checkpoints can be read");
    let names: Vec<&str> = parked.iter().map(|(model, _)| model.as_str()).collect();
    assert_eq!(names, ["reservations", "stock_levels"]);
    assert!(parked.iter().all(|(_, why)| why.contains("panic")), "{parked:?}");

    for model in ["stock_levels", "deliveries"] {
        let path = format!("/api/projections/{model}/rebuild");
        world.admin.post(&path, json!({})).await.expect(202);
    }
    assert_eq!(go_on(&world).await, 1, "the other one comes to its end");
    let failed = world.admin.get("/api/rebuilds?projection=stock_levels&status=failed").await.expect(200);
    let why = failed["data"][0]["failure"].as_str().unwrap_or_default();
    assert!(why.contains("panic"), "{failed}");
    assert_eq!(noted(&world, "administration.rebuild_failed").await, 1);
    assert_eq!(noted(&world, "administration.rebuild_ended").await, 1);
}
