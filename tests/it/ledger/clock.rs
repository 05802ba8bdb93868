use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::connection::Platform;
use onhand_tests::{
    World,
    channels::{self, Channel},
};
use serde_json::json;

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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_while_a_clock_was_ahead_puts_nothing_off_once_it_is_right() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    world.converge().await;
    world.clock.advance(TimeDelta::days(2));
    channels::restock(&world, &["RUN-42"], 1).await;
    world.converge().await;
    world.clock.advance(TimeDelta::days(-2));

    channels::restock(&world, &["RUN-42"], 1).await;
    channels::price(&world, "RUN-42", "90.00").await;
    let body = json!({ "lines": [{ "sku": "RUN-42", "quantity": 1 }], "ttl_seconds": 20 });
    let held = world.admin.post("/api/reservations", body).await.expect(201);
    let until: DateTime<Utc> =
        held["expires_at"].as_str().and_then(|at| at.parse().ok()).expect("it ends at a time");
    assert!(until < world.clock.now() + TimeDelta::minutes(1), "{until}");
    world.converge().await;
    assert_eq!(channel.shows()["RUN-42"], (8, 9_000));
    // What is recorded never goes back.
    world.expect_intact().await;
}
