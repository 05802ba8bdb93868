//! Leases: a command is in one hand at a time, and comes back when that hand is gone.

use chrono::TimeDelta;
use onhand_infrastructure::outbox::{self, breakers};
use onhand_tests::World;
use serde_json::json;
use uuid::Uuid;

use super::{restock, shop_and_world};

const LEASE: TimeDelta = TimeDelta::seconds(60);

/// Leases what is due, as a relay does. Gives the rows, and whether each is leased as a probe.
async fn claim(world: &World) -> Vec<(Uuid, bool)> {
    let claimed = outbox::claim(world.onhand.pool(), world.clock.now(), LEASE, 100, &[]).await;
    claimed.expect("a claim").iter().map(|command| (command.row, command.probe)).collect()
}

#[tokio::test]
async fn what_a_relay_that_vanished_held_is_leased_anew_under_another_token() {
    let (_sandbox, world, _) = shop_and_world(&["42"], json!({})).await;
    let claim = || outbox::claim(world.onhand.pool(), world.clock.now(), LEASE, 100, &[]);
    let first = claim().await.expect("a claim");
    world.clock.advance(LEASE + TimeDelta::seconds(1));
    let back = outbox::give_back_expired(world.onhand.pool(), world.clock.now()).await;
    assert_eq!(back.expect("leases are given back"), first.len() as u64);
    let second = claim().await.expect("a claim");
    assert_eq!(second.len(), first.len());
    assert!(second.iter().all(|command| command.attempt == 2 && command.token != first[0].token));
}

#[tokio::test]
async fn however_much_a_relay_that_vanished_held_all_of_it_comes_back_at_once() {
    let world = World::new().await;
    sqlx::query(
        "insert into outbox (tenant_id, id, connection_id, listing_id, kind, status, position, attempts, next_attempt_at, token,
                             leased_until, created_at)
         select $1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'quantity', 'leased', 1, 1, $2, gen_random_uuid(),
                $2 - interval '1 second', $2
         from generate_series(1, 1201)",
    )
    .bind(world.tenant.0)
    .bind(world.clock.now())
    .execute(world.onhand.pool())
    .await
    .expect("the outbox can be written");
    let back = outbox::give_back_expired(world.onhand.pool(), world.clock.now()).await;
    assert_eq!(back.expect("leases are given back"), 1_201);
    assert_eq!(super::statuses(&world).await, [("pending".to_owned(), 1_201)]);
}

#[tokio::test]
async fn a_command_that_a_commit_is_moving_is_not_waited_for_and_leased_when_that_is_over() {
    let (_sandbox, world, _) = shop_and_world(&["42", "43"], json!({})).await;
    world.converge().await;
    restock(&world, "RUN-42", 5).await;
    restock(&world, "RUN-43", 5).await;
    let mut commit = world.onhand.pool().begin().await.expect("a transaction");
    let (moved,): (Uuid,) = sqlx::query_as(
        "update outbox set next_attempt_at = next_attempt_at - interval '1 second'
         where id = (select id from outbox where status = 'pending' order by listing_id limit 1) returning id",
    )
    .fetch_one(&mut *commit)
    .await
    .expect("something is pending");
    let meanwhile = claim(&world).await;
    assert!(meanwhile.len() == 1 && meanwhile[0].0 != moved, "{meanwhile:?} while {moved} is moved");
    commit.commit().await.expect("a commit");
    assert_eq!(claim(&world).await, [(moved, false)]);
    assert!(claim(&world).await.is_empty(), "nothing is leased twice");
}

/// A breaker that lets nothing through but a probe a minute would stay open for another one if the probe were lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_leased_also_if_a_commit_moved_it_while_it_was_looked_for() {
    let (_sandbox, world, connection) = shop_and_world(&["42"], json!({})).await;
    world.converge().await;
    restock(&world, "RUN-42", 5).await;
    let pool = world.onhand.pool();
    let connection: Uuid = connection.parse().expect("an id");
    sqlx::query(
        "insert into breakers (tenant_id, connection_id, state, failures, retry_at) values ($1, $2, 'open', '{}', $3)
         on conflict (tenant_id, connection_id) do update set state = 'open', retry_at = $3",
    )
    .bind(world.tenant.0)
    .bind(connection)
    .bind(world.clock.now() - TimeDelta::seconds(1))
    .execute(pool)
    .await
    .expect("breakers can be written");

    // A claim comes to a halt after it has begun to see, and before it locks what it has seen.
    let mut owner = world.database.owner().await;
    sqlx::raw_sql(
        "alter table connections rename to connections_behind;
         create view connections as
             select c.* from connections_behind c where pg_advisory_xact_lock(42)::text is not null;
         grant select on connections to public;
         select pg_advisory_lock(42);",
    )
    .execute(&mut owner)
    .await
    .expect("the owner may");
    let looking = claim(&world);
    let moving = async {
        while !is_somebody_waiting(&world).await {}
        let moved =
            sqlx::query("update outbox set next_attempt_at = next_attempt_at where status = 'pending'")
                .execute(pool)
                .await
                .expect("what is pending can be moved");
        assert_eq!(moved.rows_affected(), 1);
        sqlx::raw_sql("select pg_advisory_unlock(42)").execute(&mut owner).await.expect("it is let go on");
    };
    let (leased, ()) = tokio::join!(looking, moving);
    assert!(matches!(leased[..], [(_, true)]), "{leased:?}");
    let breaker = breakers::of(pool, world.tenant, onhand_domain::values::ConnectionId(connection)).await;
    assert!(breaker.expect("breakers can be read").retry_at > Some(world.clock.now()), "it is probed");
}

/// Whether a claim waits for the advisory lock.
async fn is_somebody_waiting(world: &World) -> bool {
    let (waiting,): (bool,) = sqlx::query_as(
        "select exists (
             select from pg_locks l join pg_database d on d.oid = l.database
             where d.datname = current_database() and l.locktype = 'advisory' and not l.granted)",
    )
    .fetch_one(world.onhand.pool())
    .await
    .expect("locks can be seen");
    waiting
}
