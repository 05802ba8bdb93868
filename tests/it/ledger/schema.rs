//! The schema: to change it is to wait for a table, and whoever waits must not keep all others waiting; and releases older
//! and newer than it are at work with it side by side.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use onhand_infrastructure::database::{self, DatabaseError};
use onhand_tests::{World, process::until};
use sqlx::{
    AssertSqlSafe, Connection, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// A migration of a release to come.
const LATER: i64 = 900_000;

fn later(sql: &'static str, no_tx: bool) -> Migrator {
    let migration = Migration::new(LATER, "made up".into(), MigrationType::Simple, sql.into_sql_str(), no_tx);
    let mut migrations = Migrator::with_migrations(vec![migration]);
    migrations.set_ignore_missing(true);
    migrations
}

/// Lets the schema be changed while a table is in use, until that was tried twice, and the table left to others in between.
async fn steps_aside(world: &World, table: &str, change: impl Future<Output = Result<(), DatabaseError>>) {
    let mut owner = world.database.owner().await;
    let mut held = owner.begin().await.expect("a transaction begins");
    let lock = format!("lock table {table} in access exclusive mode");
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *held).await.expect("nobody is at it");
    let (waited, paused) = (Mutex::new(BTreeSet::new()), AtomicBool::new(false));
    let stepped_aside = until("it has waited twice and kept others from waiting in between", || async {
        let migrators: Vec<(i32, bool)> = sqlx::query_as(
            "select l.pid, exists (select from pg_locks w where w.pid = l.pid and not w.granted)
             from pg_locks l join pg_database d on d.oid = l.database
             where d.datname = current_database() and l.locktype = 'advisory' and l.granted",
        )
        .fetch_all(world.onhand.pool())
        .await
        .expect("locks can be looked at");
        let mut waited = waited.lock().expect("nobody panics with it");
        for (pid, waits) in migrators {
            if waits {
                waited.insert(pid);
            } else if waited.contains(&pid) {
                paused.store(true, Ordering::Relaxed);
            }
        }
        waited.len() >= 2 && paused.load(Ordering::Relaxed)
    });
    let freed = async {
        stepped_aside.await;
        held.rollback().await.expect("the table is free");
    };
    let (changed, ()) = tokio::join!(change, freed);
    changed.expect("the schema is up to date");
}

#[tokio::test]
async fn a_change_of_the_schema_that_finds_a_table_in_use_steps_aside_and_comes_again() {
    let (one, other) = (World::new().await, World::new().await);
    let migrations = later("alter table listings add column made_up int", false);
    tokio::join!(
        steps_aside(&one, "_sqlx_migrations", database::migrate(&one.database.options)),
        steps_aside(&other, "listings", database::migrate_by(&other.database.options, &migrations)),
    );
    sqlx::query("select made_up from listings")
        .fetch_all(&mut other.database.owner().await)
        .await
        .expect("the column is there");
}

#[tokio::test]
async fn an_index_that_is_made_beside_writers_waits_for_them_and_what_was_left_of_it_goes_first() {
    let world = World::new().await;
    let migrations = later("create index concurrently made_up_idx on listings (removed)", true);
    // Half made as well, and not its own, though its name stands in there.
    sqlx::raw_sql(
        "create index up_idx on listings (removed);
         update pg_index set indisvalid = false where indexrelid = 'up_idx'::regclass",
    )
    .execute(&mut world.database.owner().await)
    .await
    .expect("a superuser may do anything");
    for left in ["nothing", "half made", "whole"] {
        let mut owner = world.database.owner().await;
        sqlx::query("delete from _sqlx_migrations where version = $1")
            .bind(LATER)
            .execute(&mut owner)
            .await
            .expect("the owner may");
        if left == "half made" {
            // It is there, and looks as if its making had been broken off.
            sqlx::query("update pg_index set indisvalid = false where indexrelid = 'made_up_idx'::regclass")
                .execute(&mut owner)
                .await
                .expect("a superuser may do anything");
        }
        let mut writer = owner.begin().await.expect("a transaction begins");
        sqlx::raw_sql("lock table listings in row exclusive mode")
            .execute(&mut *writer)
            .await
            .expect("nobody is at it");
        let ended = async {
            until("it waits for longer than others let it", || async {
                let (waiting,): (i64,) = sqlx::query_as(
                    "select count(*) from pg_stat_activity
                     where datname = current_database() and wait_event_type = 'Lock' and query like '%index concurrently%'
                       and clock_timestamp() - query_start > interval '1 second'",
                )
                .fetch_one(&mut world.database.owner().await)
                .await
                .expect("sessions of the same account can be looked at");
                waiting > 0
            })
            .await;
            writer.rollback().await.expect("it ends");
        };
        let (changed, ()) = tokio::join!(database::migrate_by(&world.database.options, &migrations), ended);
        changed.expect("the schema is up to date");
        let (is_valid,): (bool,) =
            sqlx::query_as("select indisvalid from pg_index where indexrelid = 'made_up_idx'::regclass")
                .fetch_one(&mut owner)
                .await
                .expect("the index is there");
        assert!(is_valid, "left before: {left}");
    }
    let (others,): (i64,) = sqlx::query_as("select count(*) from pg_class where relname = 'up_idx'")
        .fetch_one(&mut world.database.owner().await)
        .await
        .expect("indexes are counted");
    assert_eq!(others, 1);
}

#[tokio::test]
async fn a_release_starts_on_a_newer_schema_unless_that_has_taken_away_what_it_needs() {
    let world = World::new().await;
    let mut owner = world.database.owner().await;
    let mut starts = async |description: &str| {
        sqlx::query(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values ($1, $2, true, '', 0)
             on conflict (version) do update set description = excluded.description",
        )
        .bind(LATER)
        .bind(description)
        .execute(&mut owner)
        .await
        .expect("the owner may");
        database::migrate(&world.database.options).await
    };
    starts("made up").await.expect("what it does not know leaves it working");
    starts("contract 3 made up").await.expect("it knows what has to be known");
    let refused = starts("contract 900000 made up").await;
    assert!(matches!(refused, Err(DatabaseError::TooOld { needed: LATER, .. })), "{refused:?}");
}
