//! What is decided while the batch before it is on its way.

use std::{pin::Pin, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{future::join_all, poll};
use onhand_domain::{Event, StreamId, stock::StockEvent, values::Quantity};
use onhand_infrastructure::ledger::{
    Attachments, Context, Decision, FollowUp, Head, Idempotency, LedgerError, Receipt, Submission,
};
use onhand_tests::World;
use serde_json::json;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::{history::audit::shelf, projector::interference::somebody_waits};

type Asked<'w> = Pin<Box<dyn Future<Output = Result<Receipt, LedgerError>> + 'w>>;

/// Restocks a shelf by one unit; looks at another stream first, if one is given that was not named before.
fn restock<'w>(
    world: &'w World,
    shelf: &StreamId,
    key: Option<&str>,
    unforeseen: Option<StreamId>,
) -> Asked<'w> {
    let unit = StockEvent::Restocked {
        quantity: Quantity::new(1).expect("in range"),
        reference: None,
        occurred_at: None,
        origin: None,
    };
    let entry = (shelf.clone(), Event::from(unit));
    let submission = Submission {
        context: Context::internal(world.tenant, "test"),
        idempotency: key.map(|key| Idempotency::new("test", key, [7; 32])),
        reads: vec![shelf.clone()],
        fresh: vec![],
        decide: Arc::new(move |lookup, _| {
            if let Some(StreamId::Stock(id)) = &unforeseen {
                lookup.stock(id);
            }
            let answer = json!({ "restocked": true }).into();
            Ok(Decision { changes: vec![entry.clone()], answer, ..Decision::default() })
        }),
    };
    Box::pin(world.onhand.ledger().submit(submission))
}

/// One that is under way first, and sixteen that are decided on it, each with a key of its own.
fn one_and_sixteen<'w>(world: &'w World, shelf: &StreamId) -> (Vec<Asked<'w>>, Vec<Asked<'w>>) {
    let keyed = |key: &str| restock(world, shelf, Some(key), None);
    (vec![keyed("under way")], (0..16).map(|n| keyed(&format!("next {n}"))).collect())
}

/// Nothing can be committed until it is let go.
async fn locked(world: &World) -> Transaction<'_, Postgres> {
    let mut lock = world.onhand.pool().begin().await.expect("a transaction");
    Head::lock(&mut lock, world.tenant).await.expect("it is locked");
    lock
}

/// Puts them into the sequencer's queue, and gives it time to look.
async fn ask(asked: &mut [Asked<'_>]) {
    for one in asked {
        assert!(poll!(one.as_mut()).is_pending(), "nothing is answered while the head is locked");
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// How many transactions the last entries were written by.
async fn commits(world: &World, entries: i64) -> i64 {
    let (commits,): (i64,) = sqlx::query_as(
        "select count(distinct xmin::text) from (
             select xmin from events where tenant_id = $1 order by position desc limit $2
         ) as last",
    )
    .bind(world.tenant.0)
    .bind(entries)
    .fetch_one(world.onhand.pool())
    .await
    .expect("entries");
    commits
}

/// The time of the first of the last entries.
async fn earliest(world: &World, entries: i64) -> DateTime<Utc> {
    let (at,): (DateTime<Utc>,) = sqlx::query_as(
        "select min(recorded_at) from (
             select recorded_at from events where tenant_id = $1 order by position desc limit $2
         ) as last",
    )
    .bind(world.tenant.0)
    .bind(entries)
    .fetch_one(world.onhand.pool())
    .await
    .expect("entries");
    at
}

#[tokio::test]
async fn whoever_comes_before_a_batch_is_sent_goes_with_it() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    let shelf = shelf(&world, "A").await;
    let lock = locked(&world).await;

    let asks = |count: usize| -> Vec<Asked<'_>> {
        (0..count).map(|_| restock(&world, &shelf, None, None)).collect()
    };
    let (mut first, mut then, mut last) = (asks(1), asks(16), asks(30));
    ask(&mut first).await;
    somebody_waits(&world).await;
    ask(&mut then).await;
    world.clock.advance(TimeDelta::seconds(5));
    let asked_at = world.clock.now();
    ask(&mut last).await;
    lock.rollback().await.expect("it is let go");

    let receipts = join_all(first.into_iter().chain(then).chain(last)).await;
    let positions: Vec<i64> =
        receipts.into_iter().map(|receipt| receipt.expect("it is done").position).collect();
    assert!(positions.is_sorted_by(|one, next| one + 1 == *next), "in order of arrival: {positions:?}");
    assert!(earliest(&world, 30).await >= asked_at, "nothing is dated before it was asked for");
    assert!(earliest(&world, 46).await < asked_at, "nor later than it was decided");
    assert_eq!(commits(&world, 47).await, 2, "one was under way, all others went together");
    assert_eq!(world.levels().await["A"].0, 48);
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_key_that_is_on_its_way_is_answered_once_it_is_there() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    let shelf = shelf(&world, "A").await;
    let lock = locked(&world).await;

    let keyed = |key| restock(&world, &shelf, Some(key), None);
    let (mut first, mut then) = one_and_sixteen(&world, &shelf);
    let mut twins = vec![keyed("twin"), keyed("twin")];
    let mut repeats = vec![keyed("next 3"), keyed("new"), keyed("under way")];
    ask(&mut first).await;
    somebody_waits(&world).await;
    ask(&mut then).await;
    ask(&mut twins).await;
    ask(&mut repeats).await;
    lock.rollback().await.expect("it is let go");

    let receipts = join_all(first.into_iter().chain(then).chain(twins).chain(repeats)).await;
    let receipts: Vec<Receipt> = receipts.into_iter().map(|receipt| receipt.expect("it is done")).collect();
    let replayed: Vec<bool> = receipts[17..].iter().map(|receipt| receipt.replayed).collect();
    assert_eq!(replayed, [false, true, true, false, true]);
    assert_eq!(receipts[18].position, receipts[17].position, "told together, and done once");
    assert_eq!(receipts[19].position, receipts[4].position);
    assert_eq!(receipts[21].position, receipts[0].position);
    assert_eq!(world.levels().await["A"].0, 1 + 19);
    world.expect_intact().await;
}

#[tokio::test]
async fn a_batch_that_has_landed_is_answered_whatever_becomes_of_the_one_decided_on_it() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    let shelf = shelf(&world, "A").await;
    let lock = locked(&world).await;

    let (mut first, mut then) = one_and_sixteen(&world, &shelf);
    ask(&mut first).await;
    somebody_waits(&world).await;
    ask(&mut then).await;
    // As if another process had answered this one meanwhile: the batch cannot be committed as it is.
    let used = Idempotency::new("test", "next 3", [7; 32]);
    sqlx::query(
        "insert into idempotency_keys (tenant_id, key_digest, fingerprint, position, answer, created_at)
         values ($1, $2, $3, 1, '{\"restocked\":true}', now())",
    )
    .bind(world.tenant.0)
    .bind(used.key_digest)
    .bind(used.fingerprint.as_slice())
    .execute(world.onhand.pool())
    .await
    .expect("nobody has used it yet");
    lock.rollback().await.expect("it is let go");

    let receipts = join_all(first.into_iter().chain(then)).await;
    let receipts: Vec<Receipt> = receipts.into_iter().map(|receipt| receipt.expect("it is done")).collect();
    assert!(!receipts[0].replayed);
    let replayed: Vec<usize> = (0..17).filter(|n| receipts[*n].replayed).collect();
    assert_eq!((replayed, receipts[4].position), (vec![4], 1));
    let again = restock(&world, &shelf, Some("under way"), None).await.expect("it is known");
    assert_eq!((again.replayed, again.position), (true, receipts[0].position));
    assert_eq!(world.levels().await["A"].0, 1 + 16);
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_decision_that_looks_at_what_is_not_in_memory_costs_those_before_it_nothing_but_time() {
    let world = World::new().await;
    world.stocked(&[("A", 1), ("B", 1)]).await;
    let (a, b) = (shelf(&world, "A").await, shelf(&world, "B").await);
    // This process has not seen either; its first command reads the one.
    let process = world.twin().await;
    restock(&process, &a, None, None).await.expect("it is done");
    let lock = locked(&world).await;

    let asks =
        |count: usize| -> Vec<Asked<'_>> { (0..count).map(|_| restock(&process, &a, None, None)).collect() };
    let (mut first, mut then) = (asks(1), asks(16));
    let mut last = vec![restock(&process, &a, None, Some(b.clone())), restock(&process, &b, None, None)];
    ask(&mut first).await;
    somebody_waits(&world).await;
    ask(&mut then).await;
    ask(&mut last[..1]).await;
    ask(&mut last[1..]).await;
    lock.rollback().await.expect("it is let go");

    let receipts = join_all(first.into_iter().chain(then).chain(last)).await;
    let positions: Vec<i64> =
        receipts.into_iter().map(|receipt| receipt.expect("it is done").position).collect();
    assert!(positions.is_sorted_by(|one, next| one + 1 == *next), "in order of arrival: {positions:?}");
    let levels = world.levels().await;
    assert_eq!((levels["A"].0, levels["B"].0), (1 + 1 + 18, 2));
    world.expect_intact().await;
}

#[tokio::test]
async fn nobody_goes_with_a_batch_that_erases() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    let shelf = shelf(&world, "A").await;
    let lock = locked(&world).await;

    // As an erasure leaves one: all that it concerns was there when it was decided, and is told from what comes later by its time.
    let erasing = Submission {
        context: Context::internal(world.tenant, "test"),
        idempotency: None,
        reads: vec![],
        fresh: vec![],
        decide: Arc::new(|_, now| {
            let follow_up = FollowUp {
                connection: Uuid::nil(),
                kind: "erase",
                external: "all".to_owned(),
                payload: None,
                delivery: Uuid::nil(),
                correlation_id: String::new(),
                due: now + TimeDelta::hours(1),
            };
            let attachments = Attachments { follow_ups: vec![follow_up], ..Attachments::default() };
            Ok(Decision { attachments, ..Decision::default() })
        }),
    };
    let asks = |count: usize| -> Vec<Asked<'_>> {
        (0..count).map(|_| restock(&world, &shelf, None, None)).collect()
    };
    let (mut first, mut then, mut last) = (asks(1), asks(15), asks(30));
    then.push(Box::pin(world.onhand.ledger().submit(erasing)));
    ask(&mut first).await;
    somebody_waits(&world).await;
    ask(&mut then).await;
    ask(&mut last).await;
    lock.rollback().await.expect("it is let go");

    for receipt in join_all(first.into_iter().chain(then).chain(last)).await {
        receipt.expect("it is done");
    }
    let of_those_after = commits(&world, 30).await;
    assert_eq!(commits(&world, 45).await, of_those_after + 1, "the erasure went with those before it");
    world.expect_intact().await;
}
