//! Dump and restore with stock tools: nothing is lost, and everything goes on from there.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use futures_util::future::join_all;
use onhand_infrastructure::{
    database,
    ledger::proof::{Verdict, Verification, prove},
    outbox,
};
use onhand_tests::{
    Database, World,
    process::until,
    shop::{self, Webhook},
};
use serde_json::json;
use sqlx::PgConnection;

use super::{
    archive::{Folder, archive},
    proof::{position_of, sign, verify, verify_against},
};

/// Every table with the number of its rows and a hash of all of them.
async fn contents(database: &Database) -> Vec<(String, i64, String)> {
    let mut owner = database.owner().await;
    let tables: Vec<(String,)> = sqlx::query_as(
        "select format('%I.%I', schemaname, tablename) from pg_tables
         where schemaname in ('public', 'rebuild') order by 1",
    )
    .fetch_all(&mut owner)
    .await
    .expect("the catalogue can be read");
    let mut contents = Vec::new();
    for (table,) in tables {
        let sql = format!(
            "select count(*), coalesce(md5(string_agg(t::text, chr(10) order by t::text collate \"C\")), '') from {table} t"
        );
        let (rows, hash): (i64, String) = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .fetch_one(&mut owner)
            .await
            .expect("a table can be read");
        contents.push((table, rows, hash));
    }
    contents
}

async fn restock(world: &World, sku: &str, quantity: i64) {
    world.admin.post("/api/stock/restock", json!({ "sku": sku, "quantity": quantity })).await.expect(200);
}

async fn refuses_changes_of_history(conn: &mut PgConnection) {
    for sql in ["update events set payload = '{}'", "delete from events", "truncate events"] {
        let error = sqlx::query(sql).execute(&mut *conn).await.expect_err(sql);
        let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dumped_half_way_is_restored_whole_and_goes_on() {
    let sandbox = shop::open("RUN", &["42", "43"]).await;
    let world = World::new().await;
    let connection = world.connect(Some(&sandbox.base_url()), json!({})).await;
    shop::introduce(&sandbox, &world.admin, &connection).await;
    restock(&world, "RUN-42", 10).await;
    restock(&world, "RUN-43", 10).await;
    world.converge().await;
    // From here on no projection follows, and no platform is told.
    let body = json!({ "lines": [{ "sku": "RUN-42", "quantity": 3 }] });
    let first = world.admin.post_once("/api/reservations", "yes", body.clone()).await.expect(201);
    let much = json!({ "lines": [{ "sku": "RUN-42", "quantity": 1_000 }] });
    let refused = world.admin.post_once("/api/reservations", "no", much.clone()).await;
    assert_eq!(refused.problem(409), "stock.insufficient");
    restock(&world, "RUN-43", 5).await;
    // A relay is at it when its machine dies.
    let leased =
        outbox::claim(world.onhand.pool(), world.clock.now(), TimeDelta::seconds(60), 100, &[]).await;
    assert_eq!(leased.expect("a claim").len(), 2);
    restock(&world, "RUN-43", 1).await;
    let broken = Webhook::of_bytes("orders/create", "broken", b"{\"id\":10}".to_vec());
    broken.send(&world.admin, &connection).await.expect(500);
    world.onhand.operations.observer().flush().await;
    // Enough entries for a node of the tree.
    let row = json!({ "restock": { "sku": "RUN-43", "quantity": 1 } });
    world.admin.post("/api/stock/bulk", json!({ "rows": vec![row; 300] })).await.expect(200);
    let folder = Folder::new();
    archive(&world, 20, &folder).await.expect("a file is written");
    let checkpoint = sign(&world).await;

    let before = contents(&world.database).await;
    let copy = world.database.dumped_and_restored().await;
    assert_eq!(contents(&copy).await, before);
    let rows = |table: &str| before.iter().find(|(name, ..)| name == table).map_or(0, |(_, rows, _)| *rows);
    for table in [
        "public.events",
        "public.outbox",
        "public.idempotency_keys",
        "public.delivery_bodies",
        "public.signing_keys",
        "public.signed_checkpoints",
        "public.merkle_nodes",
        "public.archives",
    ] {
        assert!(rows(table) > 0, "{table} had something to lose");
    }

    // As the program starts: its schema is there already.
    database::migrate(&copy.options).await.expect("the schema is up to date");
    let restored = World::on(copy).await;
    assert_eq!(restored.tenant, world.tenant);
    restored.expect_intact().await;
    assert_eq!(position_of(&verify_against(&restored, std::slice::from_ref(&checkpoint)).await), None);
    let proof = prove(restored.onhand.pool(), restored.tenant, 5, checkpoint.clone()).await;
    assert_eq!(proof.expect("it is part of what was signed").check(Some(&checkpoint.public_key)), Ok(()));
    assert_eq!(sign(&restored).await.public_key, checkpoint.public_key, "the key came along");
    refuses_changes_of_history(&mut restored.database.owner().await).await;
    refuses_changes_of_history(&mut restored.onhand.pool().acquire().await.expect("a connection")).await;
    let (granted,): (bool,) = sqlx::query_as(
        "select has_table_privilege('onhand_app', 'events', 'update')
             or has_table_privilege('onhand_app', 'events', 'delete')
             or has_table_privilege('onhand_app', 'events', 'truncate')",
    )
    .fetch_one(restored.onhand.pool())
    .await
    .expect("privileges can be looked at");
    assert!(!granted, "the grants came along");

    let caller = restored.admin.with_key(Some(&world.key));
    let again = caller.post_once("/api/reservations", "yes", body).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(201)["reservation"], first["reservation"]);
    let again = caller.post_once("/api/reservations", "no", much).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.problem(409), "stock.insufficient");

    restored.converge().await;
    let shows = World::shows(&sandbox);
    assert_eq!((shows["RUN-42"].0, shows["RUN-43"].0), (7, 316), "what was owed is pushed");
    let dead = restored.admin.get("/api/dead-letters").await.expect(200);
    assert_eq!(dead["data"].as_array().map(Vec::len), Some(1), "{dead}");
    restored.reserve(&[("RUN-42", 7)]).await.expect(201);
    assert_eq!(restored.reserve(&[("RUN-42", 1)]).await.problem(409), "stock.insufficient");
    assert_eq!(restored.levels().await["RUN-42"], (10, 10, 0));
    restored.expect_rebuilt_equals_live().await;
    restored.expect_intact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_taken_while_writers_go_on_is_one_moment_of_history() {
    let world = World::new().await;
    world.stocked(&[("X", 1_000_000)]).await;
    let following = world.projecting();
    let over = AtomicBool::new(false);
    let writers = join_all((0..8).map(async |_| {
        while !over.load(Ordering::Relaxed) {
            world.reserve(&[("X", 1)]).await.expect(201);
        }
    }));
    let dump = async {
        until("writers have begun", async || world.history().await.len() > 20).await;
        let copy = world.database.dumped_and_restored().await;
        let taken = world.history().await.len();
        until("writers have gone on", async || world.history().await.len() > taken + 20).await;
        over.store(true, Ordering::Relaxed);
        copy
    };
    let (copy, _) = tokio::join!(dump, writers);
    drop(following);

    let restored = World::on(copy).await;
    restored.expect_intact().await;
    let (then, now) = (restored.history().await, world.history().await);
    assert!(then.len() < now.len(), "it was taken in the middle");
    restored.project().await;
    restored.expect_rebuilt_equals_live().await;
    let (held,): (i64,) =
        sqlx::query_as("select count(*) from events where tenant_id = $1 and name = 'stock.reserved'")
            .bind(restored.tenant.0)
            .fetch_one(restored.onhand.pool())
            .await
            .expect("history can be read");
    assert_eq!(restored.levels().await["X"], (1_000_000, held, 1_000_000 - held));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_proven_and_verified_while_writers_go_on_agrees_with_history() {
    let world = World::new().await;
    world.stocked(&[("X", 1_000_000)]).await;
    let over = AtomicBool::new(false);
    let writers = join_all((0..8).map(async |_| {
        while !over.load(Ordering::Relaxed) {
            world.reserve(&[("X", 1)]).await.expect(201);
        }
    }));
    let auditors = async {
        let (mut signed, mut begun_at) = (Vec::new(), 0);
        for _ in 0..10 {
            let goal = begun_at + 30;
            until("writers have gone on", async || world.history().await.len() > goal).await;
            begun_at = world.history().await.len();
            let (checkpoint, verdict) = tokio::join!(
                sign(&world),
                verify(&world, Verification { stretch_height: 4, ..Verification::default() })
            );
            assert!(matches!(&verdict, Verdict::Intact { tree_differed: None, .. }), "{verdict:?}");
            let proof =
                prove(world.onhand.pool(), world.tenant, checkpoint.position, checkpoint.clone()).await;
            assert_eq!(proof.expect("it is part of what was signed").check(None), Ok(()));
            signed.push(checkpoint);
            let verdict = verify_against(&world, &signed).await;
            assert_eq!(position_of(&verdict), None, "{verdict:?}");
        }
        over.store(true, Ordering::Relaxed);
        signed
    };
    let (signed, _) = tokio::join!(auditors, writers);
    assert!(signed.is_sorted_by_key(|checkpoint| checkpoint.position) && signed[9].position > 256);
    assert_eq!(position_of(&verify_against(&world, &signed).await), None);
    let oldest = Verification { from: signed.first(), against: &signed[1..], stretch_height: 4 };
    assert_eq!(position_of(&verify(&world, oldest).await), None);
    world.expect_intact().await;
}
