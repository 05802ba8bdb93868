//! Turns: whoever is due is told, however many others wait for their time or are in somebody's hands.

use std::time::Duration;

use chrono::TimeDelta;
use onhand_domain::connection::Platform;
use onhand_infrastructure::outbox;
use onhand_tests::{
    World,
    channels::{self, Channel},
};
use serde_json::json;
use tokio::sync::watch;

use super::restock;

/// As many accounts as a relay calls at the same time.
const CALLED_MAX: usize = 32;
/// Longer than a test takes.
const LEASE: TimeDelta = TimeDelta::hours(1);

/// Connects so many accounts at which nobody answers, each with a listing of the one SKU. Gives their ids, in order.
async fn accounts(world: &World, count: usize) -> Vec<String> {
    let mut connections = vec![];
    for _ in 0..count {
        let account = format!("nobody-{}", uuid::Uuid::now_v7());
        let more = json!({ "account": account, "endpoint": "http://127.0.0.1:9" });
        let connection = world.connect_to(Platform::Square, more).await;
        let mapping = json!({
            "connection": connection, "external_product": "P", "external_variant": "V", "sku": "RUN-42",
        });
        world.admin.post("/api/listings", mapping).await.expect(200);
        connections.push(connection);
    }
    connections
}

#[tokio::test]
async fn what_waits_for_its_time_takes_no_room_from_what_is_due() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 1, None).await;
    accounts(&world, 2).await;
    let mut owner = world.database.owner().await;
    sqlx::query("update outbox set next_attempt_at = next_attempt_at + interval '1 hour'")
        .execute(&mut owner)
        .await
        .expect("the owner may");
    let due = accounts(&world, 1).await;

    let (pool, now) = (world.onhand.pool(), world.clock.now());
    let waiting = outbox::waiting_accounts(pool, None).await.expect("the outbox can be read");
    assert_eq!(waiting.len(), 3, "those that are not due wait, too");
    let claimed = outbox::claim_of(pool, &waiting, (now, LEASE), (100, 1), &[]).await.expect("a claim");
    let told: Vec<String> = claimed.commands.iter().map(|it| it.connection.to_string()).collect();
    assert_eq!(told, [due.concat(), due.concat()], "its quantity and its price");
    assert_eq!(claimed.last, waiting.last().copied(), "and that was the last one there was room for");
}

#[tokio::test]
async fn an_account_with_more_priority_is_told_first() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 1, None).await;
    let mut expected = accounts(&world, 3).await;
    let rules = json!({ "priority": 5 });
    world.admin.put(&format!("/api/connections/{}/rules", expected[2]), rules).await.expect(200);
    expected.rotate_right(1);

    let claimed =
        outbox::claim(world.onhand.pool(), world.clock.now(), LEASE, 100, &[]).await.expect("a claim");
    let mut told: Vec<String> = claimed.iter().map(|it| it.connection.to_string()).collect();
    told.dedup();
    assert_eq!(told, expected, "the others in the order in which they were made");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_another_relay_is_at_keep_none_behind_them_waiting() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 1, None).await;
    accounts(&world, CALLED_MAX).await;
    let claimed = outbox::claim(world.onhand.pool(), world.clock.now(), LEASE, 100, &[]).await;
    assert_eq!(claimed.expect("a claim").len(), 2 * CALLED_MAX);
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    // Something more is due of all of them, and has to wait until what the other relay says is on record.
    restock(&world, "RUN-42", 1).await;
    world.project().await;

    let (going_on, stop) = watch::channel(false);
    let relay = tokio::spawn(world.onhand.relay.clone().run(stop));
    let told = async {
        while channel.quantity("RUN-42") != 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("the last account has its turn");
    going_on.send(true).expect("it is at work");
    relay.await.expect("it stops");
}
