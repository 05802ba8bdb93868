use chrono::TimeDelta;
use onhand_tests::World;

#[tokio::test]
async fn a_process_whose_machine_has_another_time_goes_by_the_database() {
    let world = World::new().await;
    for wrong in [TimeDelta::days(2), TimeDelta::days(-700)] {
        world.clock.advance(wrong);
        world.clock.set_by(world.onhand.pool()).await.expect("the database tells the time");
        let (off,): (f64,) = sqlx::query_as("select extract(epoch from clock_timestamp() - $1)::float8")
            .bind(world.clock.now())
            .fetch_one(world.onhand.pool())
            .await
            .expect("a difference");
        assert!(off.abs() < 60.0, "{off} s after {wrong}");
    }
}
