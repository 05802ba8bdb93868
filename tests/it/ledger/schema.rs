//! The schema: to change it is to wait for a table, and whoever waits must not keep all others waiting.

use std::{collections::BTreeSet, sync::Mutex};

use onhand_infrastructure::database;
use onhand_tests::{World, process::until};
use sqlx::Connection;

#[tokio::test]
async fn a_change_of_the_schema_that_finds_a_table_in_use_steps_aside_and_comes_again() {
    let world = World::new().await;
    let mut owner = world.database.owner().await;
    let mut held = owner.begin().await.expect("a transaction begins");
    sqlx::raw_sql("lock table _sqlx_migrations in access exclusive mode")
        .execute(&mut *held)
        .await
        .expect("nobody is at it");
    let seen = Mutex::new(BTreeSet::new());
    let waited_twice = until("it has waited twice, each time over another connection", || async {
        let waiting: Vec<(i32,)> = sqlx::query_as(
            "select l.pid from pg_locks l join pg_database d on d.oid = l.database
             where d.datname = current_database() and l.relation = 'public._sqlx_migrations'::regclass and not l.granted",
        )
        .fetch_all(world.onhand.pool())
        .await
        .expect("locks can be looked at");
        let mut seen = seen.lock().expect("nobody panics with it");
        seen.extend(waiting);
        seen.len() >= 2
    });
    let freed = async {
        waited_twice.await;
        held.rollback().await.expect("the table is free");
    };
    let (changed, ()) = tokio::join!(database::migrate(&world.database.options), freed);
    changed.expect("the schema is up to date");
}
