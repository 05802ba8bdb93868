//! Erasures that take several turns: meanwhile leases are lost, tables are written anew and bodies are replayed.

use std::time::Duration;

use chrono::TimeDelta;
use onhand_domain::values::ConnectionId;
use onhand_infrastructure::operations::{Operations, erasures::Pace, privacy::Whom};
use onhand_tests::{
    World,
    process::until,
    shop::{self, Webhook},
};
use serde_json::{Value, json};
use sqlx::Connection;

use super::{
    erasures::{BODIES, READABLE, keep},
    persons::{EMAIL, OTHER, bought, buyers, caller, connected, count, person, send, times, where_it_stands},
};

/// Erasures that get no further in a turn than they have to.
fn step_by_step(world: &World) -> Operations {
    world.onhand.operations.with_pace(Pace { page: 2, blocks: 128, bytes: 1, patience: Duration::ZERO })
}

/// A table of bodies of several blocks, in the first and the last of which the address stands, and the wish to be forgotten.
async fn scattered() -> World {
    let (world, connection, _) = connected().await;
    world.follow_up().await;
    let fill = "f".repeat(1_700);
    for number in 0..12 {
        let told = if number % 11 == 0 { EMAIL } else { "nobody" };
        keep(&world, number, &format!(r#"{{"note":"{told}","fill":"{fill}"}}"#)).await;
    }
    let whom = json!({ "connection": connection, "email": EMAIL });
    world.admin.post("/api/privacy/forget", whom).await.expect(200);
    world
}

/// The block an erasure has come to; none once it is over.
async fn block(world: &World) -> Option<i64> {
    let found: Option<(i64,)> =
        sqlx::query_as("select (payload->>'block')::bigint from follow_ups where kind = 'erase'")
            .fetch_optional(world.onhand.pool())
            .await
            .expect("follow-ups can be read");
    found.map(|(block,)| block)
}

async fn told_of(world: &World, address: &str) -> bool {
    where_it_stands(world, address).await.contains(&"public.delivery_bodies".to_owned())
}

#[tokio::test]
async fn bodies_are_looked_through_by_what_they_are_long_a_turn_after_the_other() {
    let world = scattered().await;
    let blocks = count(&world, "select pg_relation_size('delivery_bodies') / 8192").await;
    assert!(blocks > 2);
    let erasing = step_by_step(&world);
    for turn in 1..=blocks {
        assert_eq!(erasing.follow_up().await.expect("a turn"), 1);
        assert_eq!(block(&world).await, Some(turn), "one block has more bytes than a statement may read");
    }
    assert_eq!(erasing.follow_up().await.expect("a turn"), 1);
    assert_eq!(block(&world).await, None);
    assert!(!told_of(&world, EMAIL).await);
    assert_eq!(count(&world, "select count(*) from delivery_bodies where body like '%nobody%'").await, 10);
}

#[tokio::test]
async fn a_table_that_is_written_anew_meanwhile_is_looked_through_from_its_beginning() {
    let world = scattered().await;
    let erasing = step_by_step(&world);
    assert_eq!(erasing.follow_up().await.expect("a turn"), 1);
    assert_eq!(block(&world).await, Some(1));
    // What lay in the last block lies in the first one then.
    let mut owner = world.database.owner().await;
    sqlx::query("delete from delivery_bodies where body not like '%Rb7quill%'")
        .execute(&mut owner)
        .await
        .expect("bodies are removed");
    sqlx::query("vacuum full delivery_bodies").execute(&mut owner).await.expect("the table is written anew");
    assert_eq!(count(&world, BODIES).await, 1);
    while erasing.follow_up().await.expect("a turn") > 0 {}
    assert_eq!(count(&world, BODIES).await, 0);
}

#[tokio::test]
async fn whoever_has_lost_the_lease_of_an_erasure_changes_nothing_of_it() {
    let world = scattered().await;
    let mut owner = world.database.owner().await;
    let mut held = owner.begin().await.expect("a transaction");
    sqlx::query("select from delivery_bodies where body like '%Rb7quill%' for update")
        .execute(&mut *held)
        .await
        .expect("bodies are locked");
    let erasing = step_by_step(&world);
    let turn = tokio::spawn(async move { erasing.follow_up().await });
    until("the erasure waits for a body", || async {
        // Whoever waits for a row to be let go of holds a lock on it meanwhile.
        let waiting = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
             where d.datname = current_database() and l.locktype = 'tuple' and l.relation = 'delivery_bodies'::regclass";
        count(&world, waiting).await == 1
    })
    .await;
    // It has taken too long, and another process is at it by now.
    let taken =
        "update follow_ups set token = gen_random_uuid(), payload = payload || '{\"block\": 0, \"file\": 7}'";
    sqlx::query(taken).execute(world.onhand.pool()).await.expect("another process takes it");
    held.rollback().await.expect("bodies are let go of");
    turn.await.expect("it does not panic").expect("a turn");
    let lease = "select count(*) from follow_ups where status = 'leased' and payload->>'file' = '7'";
    assert_eq!(count(&world, lease).await, 1, "it is still the other's");
    // That one has died.
    world.clock.advance(TimeDelta::minutes(2));
    world.follow_up().await;
    assert_eq!(block(&world).await, None);
    assert!(!told_of(&world, EMAIL).await);
}

#[tokio::test]
async fn of_many_persons_those_who_were_not_forgotten_at_once_follow_page_by_page() {
    let (world, connection, product) = connected().await;
    for order in 1..=5 {
        let body = bought(order, &product, Some(70 + order), EMAIL);
        send(&world, &connection, "orders/create", &format!("c-{order}"), &body).await;
    }
    world.follow_up().await;
    let connection: ConnectionId = connection.parse().expect("an id is a UUID");
    let whom = Whom::Address { connection, email: EMAIL.to_owned() };
    let erasing = step_by_step(&world);
    let told = erasing.forget(caller(&world), &whom).await.expect("it is done");
    assert_eq!(told.answer.value()["persons"].as_array().map(Vec::len), Some(6), "one has no account");
    for forgotten in [2, 4, 6] {
        assert_eq!(times(&world, "administration.person_forgotten").await, forgotten);
        assert_eq!(block(&world).await, Some(0), "bodies come after them");
        erasing.follow_up().await.expect("a turn");
    }
    assert_eq!(count(&world, READABLE).await, 0);
    while erasing.follow_up().await.expect("a turn") > 0 {}
    assert_eq!(times(&world, "administration.person_forgotten").await, 6);
    assert_eq!(where_it_stands(&world, EMAIL).await, Vec::<String>::new());
    world.expect_intact().await;
}

#[tokio::test]
async fn everybody_is_forgotten_page_by_page_and_where_nobody_was_named_history_says_so_too() {
    let (world, stays, product) = connected().await;
    send(&world, &stays, "orders/create", "c-1", &bought(1, &product, Some(77), OTHER)).await;
    let leaves = world.connect(None, json!({})).await;
    let erasing = step_by_step(&world);
    let forget_everybody = async || {
        let connection: ConnectionId = leaves.parse().expect("an id is a UUID");
        erasing.forget_everybody(caller(&world), connection).await.expect("it is noted");
    };
    send(&world, &leaves, "orders/create", "c-1", &shop::order(1, &product, &[(0, 1)])).await;
    world.follow_up().await;
    let bodies = count(&world, BODIES).await;
    forget_everybody().await;
    assert_eq!(count(&world, BODIES).await, bodies, "first of all it is on record");
    assert_eq!(times(&world, "administration.connection_forgotten").await, 1);
    while erasing.follow_up().await.expect("a turn") > 0 {}
    assert_eq!(count(&world, BODIES).await, bodies - 1);

    for order in 2..=6 {
        let body = bought(order, &product, Some(70 + order), EMAIL);
        send(&world, &leaves, "orders/create", &format!("c-{order}"), &body).await;
    }
    let mut endless = bought(9, &product, Some(77), EMAIL);
    endless["line_items"] = vec![json!({ "quantity": 1 }); 501].into();
    let endless = Webhook::new("orders/create", "e-1", &endless);
    assert_eq!(endless.send(&world.admin, &leaves).await.problem(500), "delivery.failed");
    world.follow_up().await;
    forget_everybody().await;
    // What has come later is kept, of those as well who had ordered before.
    world.clock.advance(TimeDelta::seconds(1));
    for (order, buyer) in [(7, 99), (8, 72)] {
        let body = bought(order, &product, Some(buyer), OTHER);
        send(&world, &leaves, "orders/create", &format!("c-{order}"), &body).await;
    }
    while erasing.follow_up().await.expect("a turn") > 0 {}
    assert_eq!(times(&world, "administration.person_forgotten").await, 5);
    assert_eq!((count(&world, READABLE).await, count(&world, BODIES).await), (3, bodies + 1));
    assert!(!told_of(&world, &format!("\"{EMAIL}")).await);
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

/// Somebody's order that was not understood, and would be by now.
async fn understood_by_now(world: &World, connection: &str, product: &Value) {
    let mut endless = bought(2, product, Some(77), EMAIL);
    endless["line_items"] = vec![json!({ "quantity": 1 }); 501].into();
    let endless = Webhook::new("orders/create", "e-1", &endless);
    assert_eq!(endless.send(&world.admin, connection).await.problem(500), "delivery.failed");
    world.follow_up().await;
    sqlx::query("update delivery_bodies set body = $1 where length(body) > 5000")
        .bind(bought(2, product, Some(77), EMAIL).to_string().into_bytes())
        .execute(world.onhand.pool())
        .await
        .expect("a body is put right");
}

#[tokio::test]
async fn a_replay_that_has_read_its_bytes_before_somebody_is_forgotten_does_not_act_on_them() {
    for everybody in [false, true] {
        let (world, connection, product) = connected().await;
        send(&world, &connection, "orders/create", "c-1", &bought(1, &product, Some(77), EMAIL)).await;
        understood_by_now(&world, &connection, &product).await;
        // Whoever reads a body has read it, and goes no further.
        let mut owner = world.database.owner().await;
        sqlx::raw_sql(
            "create function stop() returns boolean language plpgsql as
                 'begin perform pg_advisory_xact_lock_shared(8); return true; end';
             create policy stopped on delivery_bodies using (stop());
             alter table delivery_bodies enable row level security;
             select pg_advisory_lock(8)",
        )
        .execute(&mut owner)
        .await
        .expect("the owner may");
        let admin = world.admin.clone();
        let replay = tokio::spawn(async move { admin.post("/api/dead-letters/replay", json!({})).await });
        until("the replay is stopped", || async {
            let stopped = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
                 where d.datname = current_database() and l.locktype = 'advisory' and not l.granted";
            count(&world, stopped).await == 1
        })
        .await;
        if everybody {
            let connection: ConnectionId = connection.parse().expect("an id is a UUID");
            let told = world.onhand.operations.forget_everybody(caller(&world), connection).await;
            told.expect("it is noted");
        } else {
            let person = person(&world, 0).await;
            world.admin.post("/api/privacy/forget", json!({ "person": person })).await.expect(200);
        }
        sqlx::query("select pg_advisory_unlock(8)").execute(&mut owner).await.expect("it goes on");
        let told = replay.await.expect("it does not panic").expect(200);
        let reason = told["replayed"][0]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("being forgotten"), "{told}");
        world.follow_up().await;
        assert_eq!(buyers(&world).await.len(), 1, "no order has come of it");
        assert_eq!(count(&world, READABLE).await, 0);
        assert!(!told_of(&world, EMAIL).await);
    }
}

#[tokio::test]
async fn an_erasure_that_does_not_end_keeps_nothing_from_being_replayed_but_what_tells_of_somebody() {
    let (world, connection, product) = connected().await;
    send(&world, &connection, "orders/create", "c-1", &bought(1, &product, Some(77), EMAIL)).await;
    let unknown = shop::product("LOW", &[("42", "90.00")]);
    send(&world, &connection, "orders/create", "c-2", &bought(2, &unknown, Some(78), OTHER)).await;
    send(&world, &connection, "orders/create", "c-3", &shop::order(3, &unknown, &[(0, 1)])).await;
    world.follow_up().await;
    let person = person(&world, 0).await;
    world.admin.post("/api/privacy/forget", json!({ "person": person })).await.expect(200);
    let stands = async |status: &'static str| {
        sqlx::query("update follow_ups set status = $1 where kind = 'erase'")
            .bind(status)
            .execute(world.onhand.pool())
            .await
            .expect("a row is changed");
    };
    stands("dead").await;
    send(&world, &connection, "products/create", "p-2", &unknown).await;
    let unmapped = "select count(*) from deliveries where outcome = 'unmapped'";
    for _ in 0..15 {
        world.follow_up().await;
        assert_eq!(count(&world, unmapped).await, 1, "only the one that tells of somebody waits");
        assert_eq!(count(&world, "select count(*) from follow_ups where status = 'dead'").await, 1);
        world.clock.advance(TimeDelta::seconds(61));
    }
    let why = world.admin.post("/api/dead-letters/replay", json!({ "unmapped": true })).await.expect(200);
    let why = why["replayed"][0]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("being forgotten"), "{why}");

    stands("pending").await;
    world.follow_up().await;
    world.clock.advance(TimeDelta::seconds(61));
    world.follow_up().await;
    assert_eq!(count(&world, unmapped).await, 0);
    assert_eq!(count(&world, "select count(*) from follow_ups").await, 0);
}
