//! What an operator looks at first: what stands still, what waits for a person, and what is on its way by itself.

use onhand_domain::connection::Platform;
use onhand_tests::{
    World,
    channels::{self, Channel, Setup, TOKEN},
    process::onhand,
    shop::Webhook,
};
use serde_json::{Value, json};

/// What `status` ends with and says.
async fn status(world: &World, more: &[&str]) -> (i32, String) {
    let (code, said, wrong) = onhand(world, &[&["status"][..], more].concat()).await;
    assert!(!said.is_empty(), "{wrong}");
    (code, said)
}

/// The same about the world's tenant, for programs.
async fn document(world: &World) -> (i32, Value) {
    let (code, said) = status(world, &["--tenant", "acme", "--stats", "--json"]).await;
    (code, serde_json::from_str(&said).expect("one line of JSON"))
}

fn read_model<'s>(status: &'s Value, name: &str) -> &'s Value {
    let models = status["read_models"].as_array().expect("read models");
    models.iter().find(|model| model["name"] == name).unwrap_or_else(|| panic!("{name}: {status}"))
}

/// Lets read models follow and the relay tell what it may.
async fn work(world: &World) {
    for _ in 0..5 {
        world.project().await;
        world.onhand.relay.step().await.expect("the relay works");
    }
}

async fn execute(world: &World, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&mut world.database.owner().await).await.expect("an owner may");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_look_tells_what_is_behind_and_ends_with_1_only_where_a_person_is_needed() {
    let world = World::new().await;
    let other = world.other_tenant().await;
    other.stocked(&[("A", 1)]).await;
    let (code, said) = status(&world, &[]).await;
    assert_eq!(code, 0, "that read models are behind is no matter for a person: {said}");
    assert!(said.contains("acme: nothing needs") && said.contains("other: nothing needs"), "{said}");
    assert!(said.contains(" behind for ") && said.contains("none is held"), "{said}");
    assert!(said.ends_with("\n2 tenants, and none needs a person\n"), "{said}");

    // On one account a listing is not there, the other one lets nobody in.
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    channels::stock(&world, &["LOST-1"], 3, None).await;
    let well = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    let nobodys = json!({
        "connection": well.connection, "external_product": "NOBODYS", "external_variant": "NOBODYS1",
        "sku": "LOST-1",
    });
    world.admin.post("/api/listings", nobodys).await.expect(200);
    let setup = Setup { more: json!({ "access_token": "a-wrong-one" }), ..Setup::default() };
    let shut = Channel::open_with(&world, Platform::Square, &["RUN-42"], &setup).await;
    work(&world).await;
    world.admin.post("/api/projections/stock_levels/pause", json!({})).await.expect(200);
    world.admin.post("/api/stock/restock", json!({ "sku": "RUN-42", "quantity": 1 })).await.expect(200);

    let (code, told) = document(&world).await;
    assert_eq!((code, &told["needs_person"]), (1, &json!(["dead_pushes", "accounts"])), "{told}");
    assert_eq!((&told["name"], &told["outbox_dead"]), (&json!("acme"), &json!(1)), "{told}");
    assert_eq!(told["outbox_leased"], 0, "{told}");
    let pending = world.admin.get("/api/outbox?status=pending&limit=200").await.expect(200);
    let [due, put_off] =
        ["outbox_due", "outbox_put_off"].map(|name| told[name].as_u64().expect("a number") as usize);
    assert_eq!(Some(due + put_off), pending["data"].as_array().map(Vec::len), "{told}");
    assert!(due > 0 && told["outbox_due_since"].is_string(), "{told}");
    let accounts = told["accounts"].as_array().expect("accounts");
    assert_eq!(accounts.len(), 1, "who is well is not told of: {told}");
    assert_eq!(accounts[0]["id"], json!(shut.connection));
    assert_eq!(accounts[0]["alerts"], json!(["locked_out"]));
    assert!(accounts[0]["held_until"].is_string() && accounts[0]["reason"].is_string(), "{told}");
    let levels = read_model(&told, "stock_levels");
    assert_eq!(levels["state"], "paused");
    assert!(levels["lag_entries"].as_i64() > Some(0), "{levels}");
    assert_eq!(read_model(&told, "reservations")["state"], "behind");
    assert!(told["ledger"]["recorded_at"].is_string(), "{told}");
    let day = &told["last_24h"];
    assert_eq!(day["entries"], told["ledger"]["position"], "all of it is of today");
    let kinds = day["entries_by_kind"].as_object().expect("kinds").values();
    assert_eq!(kinds.filter_map(Value::as_i64).sum::<i64>(), day["entries"].as_i64().expect("a number"));
    assert_eq!(day["pushes"]["dead"], 1, "{day}");
    assert!(day["pushes"]["done"].as_i64() > Some(0), "{day}");

    let (code, said) = status(&world, &[]).await;
    assert_eq!(code, 1);
    for line in [
        "acme: A PERSON IS NEEDED for dead pushes, accounts\n",
        "other: nothing needs a person\n",
        " in hand, 1 dead\n",
        "paused by key:",
        "; alerts locked_out; ",
        "\n2 tenants, 1 of them amiss: acme\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("24 hours"), "nobody has asked for it: {said}");
    assert_eq!(status(&world, &["--tenant", "other"]).await.0, 0);
    let (code, said, wrong) = onhand(&world, &["stats", "--tenant", "other"]).await;
    assert!(code == 0 && said.contains("  24 hours "), "{said}{wrong}");
    let (code, said) = status(&world, &["--json"]).await;
    assert_eq!((code, said.lines().count()), (1, 2), "one line a tenant, and the verdict is on all: {said}");

    // It is let in again; and what else may wait for a person.
    let secrets = format!("/api/connections/{}/secrets", shut.connection);
    world.admin.put(&secrets, json!({ "access_token": TOKEN })).await.expect(200);
    let connection = world.connect(None, json!({})).await;
    world.admin.post(&format!("/api/connections/{connection}/pause"), json!({})).await.expect(200);
    let failing = Webhook::of_bytes("orders/create", "late", b"{\"id\":10}".to_vec());
    failing.send(&world.admin, &connection).await.expect(500);
    world.project().await;
    execute(
        &world,
        "update checkpoints set parked = 'it is unreadable', parked_at = now()
         where model = 'reservations' and tenant_id = (select id from tenants where name = 'acme');
         update listings set quantity_conflict = '{}' where external_product = 'NOBODYS';
         insert into follow_ups (tenant_id, connection_id, kind, external, status, position, delivery_id, correlation_id,
                                 next_attempt_at)
         select t.id, gen_random_uuid(), 'order', s.status, s.status, 1, gen_random_uuid(), 'c', 'epoch'::timestamptz
         from tenants t cross join (values ('pending'), ('dead')) as s (status) where t.name = 'acme'",
    )
    .await;
    let (code, told) = document(&world).await;
    let needs =
        json!(["parked_read_models", "dead_pushes", "dead_follow_ups", "failed_deliveries", "conflicts"]);
    assert_eq!((code, &told["needs_person"]), (1, &needs), "{told}");
    let counts = ["follow_ups_dead", "deliveries_failed", "conflicts"].map(|name| told[name].clone());
    assert_eq!(counts, [json!(1), json!(1), json!(1)], "{told}");
    let health = world.admin.get("/api/sync/health").await.expect(200);
    assert_eq!(told["follow_ups_due"], health["webhooks"]["follow_ups_due"], "{told}");
    assert!(told["follow_ups_due"].as_i64() > Some(0), "{told}");
    assert_eq!(told["last_24h"]["deliveries"], json!({ "failed": 1 }), "{told}");
    let accounts = told["accounts"].as_array().expect("accounts");
    assert_eq!(accounts.len(), 1, "{told}");
    assert_eq!((&accounts[0]["id"], &accounts[0]["paused"]), (&json!(connection), &json!(true)));
    let (_, said) = status(&world, &["--tenant", "acme", "--stats"]).await;
    for line in ["parked", "it is unreadable", ": paused\n", "  24 hours ", "deliveries: failed 1\n"] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_on_purpose_is_not_late_and_who_cannot_be_looked_at_hides_nobody() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    work(&world).await;
    world.admin.post("/api/stock/restock", json!({ "sku": "RUN-42", "quantity": 1 })).await.expect(200);
    let (_, told) = document(&world).await;
    assert!(told["outbox_due"].as_i64() > Some(0) && told["outbox_due_since"].is_string(), "{told}");
    world.admin.post(&format!("/api/connections/{}/pause", channel.connection), json!({})).await.expect(200);
    let (code, told) = document(&world).await;
    assert!(told["outbox_due"].as_i64() > Some(0) && told["outbox_due_since"].is_null(), "{told}");
    assert_eq!(code, 0, "{told}");

    let other = world.other_tenant().await;
    other.connect(None, json!({})).await;
    execute(
        &world,
        "update connections set alerts = '{}' where tenant_id = (select id from tenants where name = 'other')",
    )
    .await;
    let (code, said, wrong) = onhand(&world, &["status"]).await;
    assert!(code == 1 && wrong.contains("error: other could not be looked at: "), "{said}{wrong}");
    assert!(said.starts_with("acme: nothing needs a person\n") && !said.contains("other: "), "{said}");
    let sum = "2 tenants, 1 of them amiss: other\n";
    assert!(said.ends_with(sum), "{said}");
    let (code, said) = status(&world, &["--amiss"]).await;
    assert_eq!((code, said.as_str()), (1, sum), "who is well is left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_set_back_or_has_lost_its_end_needs_a_person() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    world.project().await;
    assert_eq!(document(&world).await.0, 0);
    let set_back = "update ledger_heads set position = position - 1";
    let lost = "delete from ledger_heads";
    for harm in [set_back, lost] {
        execute(&world, harm).await;
        let (code, said) = status(&world, &["--tenant", "acme"]).await;
        assert_eq!(code, 1, "{harm}: {said}");
        assert!(said.contains("NEEDED for ledger") && said.contains("entries beyond that"), "{said}");
    }
}
