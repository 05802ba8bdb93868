use onhand_infrastructure::ledger::proof::Verdict;
use onhand_tests::World;
use sqlx::PgConnection;

async fn with_history() -> World {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 5), ("C", 5)]).await;
    world.expect_intact().await;
    world
}

/// What only a superuser can do: change history behind the triggers' back.
async fn tamper(world: &World, sql: &'static str) {
    let mut owner = world.database.owner().await;
    for sql in ["set session_replication_role = replica", sql] {
        sqlx::query(sql).execute(&mut owner).await.expect("a superuser may do anything");
    }
}

async fn refused(conn: &mut PgConnection, sql: &'static str) {
    let error = sqlx::query(sql).execute(conn).await.expect_err(sql);
    let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
}

const CHANGES: [&str; 3] = ["update events set payload = '{}'", "delete from events", "truncate events"];

#[tokio::test]
async fn the_role_the_program_uses_cannot_change_history() {
    let world = with_history().await;
    let mut program = world.onhand.pool().acquire().await.expect("a connection of the program");
    for sql in CHANGES {
        refused(&mut program, sql).await;
    }
    let (granted,): (bool,) = sqlx::query_as(
        "select has_table_privilege('onhand_app', 'events', 'update')
             or has_table_privilege('onhand_app', 'events', 'delete')
             or has_table_privilege('onhand_app', 'events', 'truncate')",
    )
    .fetch_one(&mut *program)
    .await
    .expect("privileges can be looked at");
    assert!(!granted, "the grants alone refuse it, without the trigger");
    for sql in ["alter table events disable trigger all", "drop table events"] {
        refused(&mut program, sql).await;
    }
}

#[tokio::test]
async fn even_the_owner_of_the_table_cannot_change_history_by_mistake() {
    let world = with_history().await;
    let mut owner = world.database.owner().await;
    for sql in CHANGES {
        refused(&mut owner, sql).await;
    }
}

#[tokio::test]
async fn one_changed_byte_is_found_and_its_position_named() {
    let world = with_history().await;
    tamper(&world, "update events set payload = replace(payload::text, '5', '6')::json where position = 9")
        .await;
    assert!(
        matches!(world.verify().await, Verdict::Broken { position: 9, .. }),
        "{:?}",
        world.verify().await
    );
}

#[tokio::test]
async fn changed_metadata_time_or_order_is_found() {
    for (sql, position) in [
        ("update events set metadata = replace(metadata::text, 'key', 'kay')::json where position = 9", 9),
        ("update events set recorded_at = recorded_at + interval '1 microsecond' where position = 4", 4),
        (
            "update events set position = case position when 5 then -6 when 6 then -5 else position end where position in (5, 6)",
            5,
        ),
    ] {
        let world = with_history().await;
        if sql.contains("-6") {
            let mut owner = world.database.owner().await;
            for sql in [
                "set session_replication_role = replica",
                sql,
                "update events set position = -position where position < 0",
            ] {
                sqlx::query(sql).execute(&mut owner).await.expect("a superuser may do anything");
            }
        } else {
            tamper(&world, sql).await;
        }
        assert!(
            matches!(world.verify().await, Verdict::Broken { position: found, .. } if found == position),
            "{sql}: {:?}",
            world.verify().await
        );
    }
}

#[tokio::test]
async fn a_removed_entry_is_found_in_the_middle_and_at_the_end() {
    let world = with_history().await;
    tamper(&world, "delete from events where position = 7").await;
    assert!(matches!(world.verify().await, Verdict::Broken { position: 7, .. }));

    let world = with_history().await;
    let last = world.history().await.len() as i64;
    tamper(&world, "delete from events where position = (select max(position) from events)").await;
    assert!(matches!(world.verify().await, Verdict::Broken { position, .. } if position == last));
}

#[tokio::test]
async fn an_inserted_entry_is_found() {
    let world = with_history().await;
    let last = world.history().await.len() as i64;
    tamper(
        &world,
        "insert into events select tenant_id, position + 1, gen_random_uuid(), stream, version + 1, name,
             name_version, recorded_at, payload, metadata, hash
         from events order by position desc limit 1",
    )
    .await;
    assert!(matches!(world.verify().await, Verdict::Broken { position, .. } if position == last + 1));
}

#[tokio::test]
async fn history_carried_into_another_ledger_is_found() {
    let world = with_history().await;
    let other = world.other_tenant().await;
    other.stocked(&[("Z", 1)]).await;
    let mut owner = world.database.owner().await;
    for sql in [
        "set session_replication_role = replica",
        "delete from events where tenant_id = (select id from tenants where name = 'other')",
        "insert into events select (select id from tenants where name = 'other'), position, event_id, stream, version,
             name, name_version, recorded_at, payload, metadata, hash
         from events where tenant_id = (select id from tenants where name = 'acme')",
        "update ledger_heads set (position, hash) = (select position, hash from ledger_heads
             where tenant_id = (select id from tenants where name = 'acme'))
         where tenant_id = (select id from tenants where name = 'other')",
    ] {
        sqlx::query(sql).execute(&mut owner).await.expect("a superuser may do anything");
    }
    assert!(matches!(other.verify().await, Verdict::Broken { position: 1, .. }));
    world.expect_intact().await;
}
