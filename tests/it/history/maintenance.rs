//! Retention: what is only kept for a while goes once its time is over, and what somebody may still need stays.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use onhand_domain::{connection::Platform, values::TenantId};
use onhand_infrastructure::{
    config::Retention,
    operations::maintenance::{Swept, rules},
};
use onhand_projector::MODELS;
use onhand_tests::{
    World,
    channels::{self, Channel},
    process::onhand,
    shop::{self, Webhook},
};
use serde_json::json;

/// More keys than one stretch of blocks has room for.
const MANY: i64 = 20_000;

/// Rows that go now, by table.
async fn swept(world: &World) -> BTreeMap<&'static str, u64> {
    let swept = world.onhand.operations.sweep(&Retention::default(), None, false).await;
    assert!(swept.iter().all(|swept| swept.trouble.is_none()), "{swept:?}");
    swept.iter().map(|swept| (swept.rule.name, swept.total())).filter(|(_, total)| *total > 0).collect()
}

async fn count(world: &World, sql: &'static str) -> u64 {
    let (count,): (i64,) =
        sqlx::query_as(sql).fetch_one(world.onhand.pool()).await.expect("rows can be counted");
    count.unsigned_abs()
}

async fn restock(world: &World, sku: &str, quantity: i64) {
    world.admin.post("/api/stock/restock", json!({ "sku": sku, "quantity": quantity })).await.expect(200);
}

/// Answers to requests that nobody repeats any more.
async fn old_keys(world: &World, tenant: TenantId, many: i64) {
    sqlx::query(
        "insert into idempotency_keys (tenant_id, key_digest, fingerprint, position, answer, created_at)
         select $1, gen_random_uuid(), '', 1, '{}', now() - interval '25 hours' from generate_series(1, $2)",
    )
    .bind(tenant.0)
    .bind(many)
    .execute(world.onhand.pool())
    .await
    .expect("keys are written");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_are_over_go_after_a_week_and_those_somebody_has_to_look_at_stay() {
    let sandbox = shop::open("RUN", &["42", "43"]).await;
    let world = World::new().await;
    let connection = world.connect(Some(&sandbox.base_url()), json!({})).await;
    shop::introduce(&sandbox, &world.admin, &connection).await;
    sandbox.unstock_by_hand("RUN-42").await;
    restock(&world, "RUN-42", 4).await;
    restock(&world, "RUN-43", 6).await;
    world.converge().await;
    restock(&world, "RUN-43", 1).await;
    let over = count(&world, "select count(*) from outbox where status in ('done', 'superseded')").await;
    assert!(over > 0);
    let stays = "select count(*) from outbox where status in ('dead', 'pending')";
    assert_eq!(count(&world, stays).await, 2);

    world.clock.advance(TimeDelta::days(6));
    assert_eq!(swept(&world).await.get("outbox"), None);
    world.clock.advance(TimeDelta::hours(25));
    assert_eq!(swept(&world).await.get("outbox"), Some(&over));
    assert_eq!(count(&world, "select count(*) from outbox").await, 2);
    assert_eq!(count(&world, stays).await, 2);
    world.converge().await;
    assert_eq!(World::shows(&sandbox)["RUN-43"].0, 7, "what was pending is pushed as ever");
}

#[tokio::test]
async fn bytes_of_webhooks_go_after_ninety_days_and_those_of_a_dead_letter_once_it_is_replayed() {
    let world = World::new().await;
    world.stocked(&[("X", 10)]).await;
    let connection = world.connect(None, json!({})).await;
    let order = |id: i64| json!({ "id": id, "line_items": [{ "variant_id": null, "sku": "X", "quantity": 2, "title": "x" }] });
    Webhook::new("orders/create", "o", &order(9)).send(&world.admin, &connection).await.expect(200);
    let failing = Webhook::of_bytes("orders/create", "late", b"{\"id\":10}".to_vec());
    failing.send(&world.admin, &connection).await.expect(500);

    world.project().await;
    world.clock.advance(TimeDelta::days(89));
    assert_eq!(swept(&world).await.get("delivery_bodies"), None);
    // One more, of which the read model has not heard when its time is over.
    Webhook::new("orders/create", "p", &order(11)).send(&world.admin, &connection).await.expect(200);
    world.clock.advance(TimeDelta::days(91));
    assert_eq!(swept(&world).await.get("delivery_bodies"), Some(&1), "the one that is known to be done");
    world.project().await;
    assert_eq!(swept(&world).await.get("delivery_bodies"), Some(&1));

    // As if an earlier release had not understood it.
    sqlx::query("update delivery_bodies set body = $1")
        .bind(order(10).to_string().into_bytes())
        .execute(world.onhand.pool())
        .await
        .expect("the bytes are changed");
    let replayed = world.admin.post("/api/dead-letters/replay", json!({})).await.expect(200);
    assert_eq!(replayed["replayed"][0]["result"], "processed", "{replayed}");
    world.project().await;
    assert_eq!(swept(&world).await.get("delivery_bodies"), Some(&1));
    assert_eq!(count(&world, "select count(*) from delivery_bodies").await, 0);
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn bytes_of_what_nobody_knew_stay_until_somebody_does() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let order =
        json!({ "id": 9, "line_items": [{ "variant_id": null, "sku": "Y", "quantity": 2, "title": "y" }] });
    Webhook::new("orders/create", "o", &order).send(&world.admin, &connection).await.expect(200);
    world.project().await;
    let unmapped = "select count(*) from deliveries where outcome = 'unmapped'";
    assert_eq!(count(&world, unmapped).await, 1);
    world.clock.advance(TimeDelta::days(91));
    assert_eq!(swept(&world).await.get("delivery_bodies"), None);

    world.stocked(&[("Y", 10)]).await;
    world.follow_up().await;
    assert_eq!(world.levels().await["Y"].2, 8, "it could still be read");
    assert_eq!(count(&world, unmapped).await, 0);
    assert_eq!(swept(&world).await.get("delivery_bodies"), Some(&1));
}

#[tokio::test]
async fn how_webhooks_fared_is_kept_for_thirty_days() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    for id in ["a", "b"] {
        Webhook::new("orders/create", id, &json!({ "id": 1, "line_items": [] }))
            .send(&world.admin, &connection)
            .await;
    }
    world.onhand.operations.observer().flush().await;
    assert_eq!(count(&world, "select count(*) from webhook_traces").await, 2);
    world.clock.advance(TimeDelta::days(29));
    assert_eq!(swept(&world).await.get("webhook_traces"), None);
    world.clock.advance(TimeDelta::days(2));
    assert_eq!(swept(&world).await.get("webhook_traces"), Some(&2));
}

#[tokio::test(flavor = "multi_thread")]
async fn reconciliations_go_with_what_they_found_but_for_the_last_by_which_the_next_is_due() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let channel = Channel::open(&world, Platform::Woocommerce, &["RUN-42"]).await;
    world.converge().await;
    channel.sandbox.edit_quantity("RUN-42", 3);
    let begin = async |preview: bool| {
        let body = json!({ "connection": channel.connection, "preview": preview });
        world.admin.post("/api/reconciliations", body).await.expect(202);
    };
    for preview in [true, false, false] {
        begin(preview).await;
        while world.onhand.operations.reconcile().await.expect("a page is read back") {}
        world.converge().await;
    }
    assert_eq!(count(&world, "select count(*) from drifts").await, 2, "one in the preview, one in the run");

    world.clock.advance(TimeDelta::days(89));
    assert_eq!(swept(&world).await.get("reconciliations"), None);
    world.clock.advance(TimeDelta::days(2));
    let gone = swept(&world).await;
    assert_eq!((gone.get("drifts"), gone.get("reconciliations")), (Some(&2), Some(&2)), "{gone:?}");
    // One that is under way is never old.
    begin(false).await;
    world.clock.advance(TimeDelta::days(91));
    assert_eq!(swept(&world).await.get("reconciliations"), Some(&1));
    let running = "select count(*) from reconciliations where status = 'running'";
    assert_eq!(count(&world, running).await, 1);
    assert_eq!(count(&world, "select count(*) from reconciliations").await, 1);
}

#[tokio::test]
async fn of_rebuilds_the_last_of_each_read_model_stays() {
    let world = World::new().await;
    world.stocked(&[("X", 10)]).await;
    world.expect_rebuilt_equals_live().await;
    world.expect_rebuilt_equals_live().await;
    let rows = "select count(*) from rebuilds";
    assert_eq!(count(&world, rows).await, 2 * MODELS.len() as u64);
    world.clock.advance(TimeDelta::days(91));
    assert_eq!(swept(&world).await.get("rebuilds"), Some(&(MODELS.len() as u64)));
    assert_eq!(count(&world, rows).await, MODELS.len() as u64);
}

#[tokio::test]
async fn on_the_command_line_it_is_counted_first_and_on_record_afterwards() {
    let world = World::new().await;
    let other = world.other_tenant().await;
    old_keys(&world, world.tenant, MANY).await;
    old_keys(&world, other.tenant, 1).await;
    let keys = "select count(*) from idempotency_keys";

    let (code, said, wrong) = onhand(&world, &["maintenance", "--dry-run"]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    assert!(said.contains("20001") && said.contains("would go"), "{said}");
    assert_eq!(count(&world, keys).await, 20_001, "counting removes nothing");
    let noted = "select count(*) from events where name = 'administration.maintained'";
    assert_eq!(count(&world, noted).await, 0);

    let (code, said, wrong) = onhand(&world, &["maintenance", "--tenant", "acme"]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    assert!(said.contains("20000"), "{said}");
    assert_eq!(count(&world, keys).await, 1, "what is another's stays");
    let (payload, metadata): (String, String) = sqlx::query_as(
        "select payload, metadata from events where tenant_id = $1 and name = 'administration.maintained'",
    )
    .bind(world.tenant.0)
    .fetch_one(world.onhand.pool())
    .await
    .expect("one entry says so");
    assert_eq!(payload, r#"{"removed":{"idempotency_keys":20000}}"#);
    assert!(metadata.contains(r#""actor":"cli""#), "{metadata}");

    // What is done by the clock is nobody's doing.
    assert_eq!(swept(&world).await.get("idempotency_keys"), Some(&1));
    assert_eq!(count(&world, noted).await, 1);
    world.expect_intact().await;
    let (code, _, wrong) = onhand(&world, &["maintenance", "--tenant", "nobody"]).await;
    assert_ne!(code, 0);
    assert!(wrong.contains("acme"), "the error names who there is: {wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_share_the_work_and_nobody_waits_for_a_row_in_use() {
    let world = World::new().await;
    old_keys(&world, world.tenant, MANY).await;
    let mut owner = world.database.owner().await;
    sqlx::raw_sql("begin; select from idempotency_keys limit 1 for update")
        .execute(&mut owner)
        .await
        .expect("a row is locked");
    let retention = Retention::default();
    let operations = &world.onhand.operations;
    let (one, two) =
        tokio::join!(operations.sweep(&retention, None, false), operations.sweep(&retention, None, false));
    assert!(one.iter().chain(&two).all(|swept| swept.trouble.is_none()), "{one:?} {two:?}");
    let all: u64 = one.iter().chain(&two).map(Swept::total).sum();
    assert_eq!(all, MANY.unsigned_abs() - 1);
    sqlx::raw_sql("rollback").execute(&mut owner).await.expect("it is let go");
    assert_eq!(swept(&world).await.get("idempotency_keys"), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_clock_each_table_is_gone_through_once_a_day_by_one_of_several_processes() {
    let world = World::new().await;
    let twin = world.twin().await;
    let retention = Retention::default();
    let due = async || {
        let (one, two) = tokio::join!(
            world.onhand.operations.sweep_due(&retention),
            twin.onhand.operations.sweep_due(&retention)
        );
        let mut all = one.expect("what is due is swept");
        all.extend(two.expect("what is due is swept"));
        assert!(all.iter().all(|swept| swept.trouble.is_none()), "{all:?}");
        all.iter().map(|swept| (swept.rule.name, swept.total())).collect::<Vec<_>>()
    };
    let rules = rules(&retention).len();
    assert_eq!(due().await.len(), rules);
    assert_eq!(due().await, []);
    old_keys(&world, world.tenant, 3).await;
    world.clock.advance(TimeDelta::hours(1));
    assert_eq!(due().await, [("idempotency_keys", 3)], "what is kept for hours is looked at each hour");
    world.clock.advance(TimeDelta::hours(23));
    assert_eq!(due().await.len(), rules);
}

#[tokio::test]
async fn what_cannot_go_keeps_nothing_else_from_going_and_is_told() {
    let world = World::new().await;
    old_keys(&world, world.tenant, 1).await;
    let mut owner = world.database.owner().await;
    for sql in [
        "update idempotency_keys set position = 7",
        "create function hold() returns trigger language plpgsql as $$ begin raise exception 'held'; end $$",
        "create trigger held before delete on idempotency_keys for each row when (old.position = 7)
             execute function hold()",
    ] {
        sqlx::query(sql).execute(&mut owner).await.expect("the owner may");
    }
    old_keys(&world, world.tenant, MANY).await;
    let swept = world.onhand.operations.sweep(&Retention::default(), None, false).await;
    let keys = swept.iter().find(|swept| swept.rule.name == "idempotency_keys").expect("there is a rule");
    assert!(keys.trouble.as_ref().is_some_and(|error| error.to_string().contains("held")), "{keys:?}");
    let left = count(&world, "select count(*) from idempotency_keys").await;
    assert!(keys.total() > 0 && keys.total() + left == MANY.unsigned_abs() + 1, "{keys:?}, {left} left");
}

#[tokio::test]
async fn what_went_is_told_even_where_it_cannot_be_noted_and_noted_where_it_can() {
    let world = World::new().await;
    let other = world.other_tenant().await;
    for tenant in [world.tenant, other.tenant] {
        old_keys(&world, tenant, 2).await;
    }
    let mut owner = world.database.owner().await;
    sqlx::query("delete from ledger_heads where tenant_id = $1")
        .bind(world.tenant.0)
        .execute(&mut owner)
        .await
        .expect("the owner may");
    let done = world.onhand.operations.maintain("test", &Retention::default(), None).await;
    assert_eq!(done.swept.iter().map(Swept::total).sum::<u64>(), 4);
    let unnoted: Vec<TenantId> = done.unnoted.iter().map(|(tenant, _)| *tenant).collect();
    assert_eq!(unnoted, [world.tenant]);
    assert!(other.history().await.contains(&"administration.maintained".to_owned()));
}
