use futures_util::future::join_all;
use onhand_tests::World;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn of_64_buyers_at_two_processes_exactly_one_gets_the_last_unit_100_times_over() {
    let one = World::new().await;
    let two = one.twin().await;
    let skus: Vec<String> = (0..100).map(|n| format!("LAST-{n}")).collect();
    let stock: Vec<(&str, i64)> = skus.iter().map(|sku| (sku.as_str(), 1)).collect();
    one.stocked(&stock).await;

    for sku in &skus {
        let buyers = (0..64).map(|n| {
            let world = if n % 2 == 0 { &one } else { &two };
            async move { world.reserve(&[(sku, 1)]).await.status.as_u16() }
        });
        let answers = join_all(buyers).await;
        assert_eq!(answers.iter().filter(|status| **status == 201).count(), 1, "{sku}: {answers:?}");
        assert_eq!(answers.iter().filter(|status| **status == 409).count(), 63, "{sku}: {answers:?}");
    }
    let levels = one.levels().await;
    assert!(levels.values().all(|level| *level == (1, 1, 0)), "{levels:?}");
    one.expect_intact().await;
    one.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_have_no_gaps_and_streams_no_conflicts_whoever_writes() {
    let one = World::new().await;
    let two = one.twin().await;
    let three = one.twin().await;
    one.stocked(&[("A", 0), ("B", 0), ("C", 0)]).await;
    let before = one.history().await.len();

    let writers = (0..300).map(|n| {
        let world = [&one, &two, &three][n % 3];
        let sku = ["A", "B", "C"][n % 5 % 3];
        async move {
            world.admin.post("/api/stock/restock", json!({ "sku": sku, "quantity": 1 })).await.expect(200)
        }
    });
    let answers = join_all(writers).await;

    let mut positions: Vec<i64> =
        answers.iter().map(|a| a["position"].as_i64().expect("a position")).collect();
    positions.sort_unstable();
    let expected: Vec<i64> = (before as i64 + 1..=before as i64 + 300).collect();
    assert_eq!(positions, expected);
    let levels = one.levels().await;
    assert_eq!(levels.values().map(|level| level.0).sum::<i64>(), 300);
    one.expect_intact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_has_slept_does_not_refuse_what_another_has_restocked() {
    let one = World::new().await;
    let two = one.twin().await;
    one.stocked(&[("A", 1)]).await;
    two.reserve(&[("A", 1)]).await.expect(201);
    assert_eq!(two.reserve(&[("A", 1)]).await.problem(409), "stock.insufficient");

    one.admin.post("/api/stock/restock", json!({ "sku": "A", "quantity": 1 })).await.expect(200);
    two.reserve(&[("A", 1)]).await.expect(201);
}

/// As after a failover to a standby that the last commit had not reached.
#[tokio::test]
async fn a_process_that_remembers_more_than_the_server_believes_the_server() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    world.project().await;
    let (head,): (i64,) = sqlx::query_as("select max(position) from events")
        .fetch_one(world.onhand.pool())
        .await
        .expect("history can be read");
    let body = json!({ "lines": [{ "sku": "A", "quantity": 1 }] });
    world.admin.post_once("/api/reservations", "k", body.clone()).await.expect(201);
    assert_eq!(world.reserve(&[("A", 1)]).await.problem(409), "stock.insufficient");

    let mut owner = world.database.owner().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "set session_replication_role = replica;
         update ledger_heads h set position = {head}, hash = e.hash, recorded_at = e.recorded_at
         from events e where e.tenant_id = h.tenant_id and e.position = {head};
         delete from events where position > {head};
         delete from idempotency_keys where position > {head}"
    )))
    .execute(&mut owner)
    .await
    .expect("a superuser may do anything");

    world.reserve(&[("A", 1)]).await.expect(201);
    let lost = world.admin.post_once("/api/reservations", "k", body).await;
    assert_eq!(lost.problem(409), "stock.insufficient");
    assert_eq!(world.levels().await["A"], (1, 1, 0));
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

/// The same, and then others have written more than anybody reads to follow.
#[tokio::test]
async fn a_process_that_remembers_what_was_lost_finds_out_however_much_was_written_in_its_place() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    let body = json!({ "lines": [{ "sku": "A", "quantity": 1 }] });
    let held = world.admin.post_once("/api/reservations", "k", body.clone()).await.expect(201);
    let at = held["position"].as_i64().expect("a position");
    assert_eq!(world.reserve(&[("A", 1)]).await.problem(409), "stock.insufficient");

    let mut owner = world.database.owner().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "set session_replication_role = replica;
         delete from events where position >= {at};
         delete from idempotency_keys where position >= {at};
         insert into events (tenant_id, position, event_id, stream, version, name, name_version, recorded_at, payload, metadata, hash)
         select h.tenant_id, n, gen_random_uuid(), 'administration/log', n, 'administration.exported', 1, h.recorded_at, '{{}}', '{{}}',
                sha256(n::text::bytea)
         from ledger_heads h cross join generate_series({at}, {at} + 25000) as n;
         update ledger_heads set position = {at} + 25000"
    )))
    .execute(&mut owner)
    .await
    .expect("a superuser may do anything");

    world.reserve(&[("A", 1)]).await.expect(201);
    let anew = world.admin.post_once("/api/reservations", "k", body).await;
    assert_eq!(anew.problem(409), "stock.insufficient", "it is not in the ledger any more");
}

#[tokio::test]
async fn a_reservation_holds_all_of_its_lines_or_none() {
    let world = World::new().await;
    world.stocked(&[("X", 5), ("Y", 5)]).await;

    let refused = world.reserve(&[("X", 5), ("X", 5)]).await;
    assert_eq!(refused.body["shortages"][0]["wanted"], 10);
    assert_eq!(refused.problem(409), "stock.insufficient");
    assert_eq!(world.reserve(&[("X", 1), ("Y", 6)]).await.problem(409), "stock.insufficient");
    assert_eq!(world.levels().await["X"], (5, 0, 5));

    world.reserve(&[("X", 3), ("X", 2)]).await.expect(201);
    assert_eq!(world.levels().await["X"], (5, 5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_the_database_cannot_take_does_not_harm_its_batch() {
    let world = World::new().await;
    world.stocked(&[("A", 0)]).await;
    let restock = |n: usize| {
        let reference = if n == 7 { "a\u{0}b" } else { "fine" };
        let body = json!({ "sku": "A", "quantity": 1, "reference": reference });
        let world = &world;
        async move { world.admin.post("/api/stock/restock", body).await.status.as_u16() }
    };
    let answers = join_all((0..20).map(restock)).await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 19, "{answers:?}");
    assert_eq!(answers[7], 422);
    assert_eq!(world.levels().await["A"], (19, 0, 19));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_in_the_middle_of_commits_lose_nothing_and_double_nothing() {
    let world = World::new().await;
    world.stocked(&[("A", 0)]).await;
    let over = std::sync::atomic::AtomicBool::new(false);
    let cutting = async {
        let mut owner = world.database.owner().await;
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            sqlx::query(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid() and state = 'active'",
            )
            .execute(&mut owner)
            .await
            .expect("a superuser may cut connections");
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
    };
    let restocking = async {
        // Each asks, with its own key, until it is told yes.
        let asks = (0..8).map(|who| {
            let world = &world;
            async move {
                for n in 0..40 {
                    let key = format!("{who}-{n}");
                    let body = json!({ "sku": "A", "quantity": 1 });
                    while !world
                        .admin
                        .post_once("/api/stock/restock", &key, body.clone())
                        .await
                        .status
                        .is_success()
                    {}
                }
            }
        });
        join_all(asks).await;
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    tokio::join!(cutting, restocking);
    assert_eq!(world.levels().await["A"], (320, 0, 320));
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}
