//! Erasures: what is destroyed is what was asked for, all of it and nothing else, whatever happens meanwhile.

use chrono::TimeDelta;
use onhand_tests::{
    World,
    process::master_keys,
    shop::{self, Webhook},
};
use serde_json::json;
use uuid::Uuid;

use super::persons::{EMAIL, OTHER, bought, buyers, connected, count, person, send, times, where_it_stands};

pub(super) const READABLE: &str = "select count(*) from person_keys where person <> ''";
pub(super) const BODIES: &str = "select count(*) from delivery_bodies";

/// Keeps a body of a delivery nobody has heard of.
pub(super) async fn keep(world: &World, number: u128, body: &str) {
    sqlx::query(
        "insert into delivery_bodies (tenant_id, delivery_id, received_at, headers, body)
         values ($1, $2, $3, '{}', $4)",
    )
    .bind(world.tenant.0)
    .bind(Uuid::from_u128(number))
    .bind(world.clock.now())
    .bind(body.as_bytes())
    .execute(world.onhand.pool())
    .await
    .expect("a body is kept");
}

/// Forgets whoever has an address, and expects what tells of it to be destroyed and nothing else.
async fn expect_found(address: &str, spelt: &[(&str, bool)]) {
    let (world, connection, _) = connected().await;
    for (number, (text, _)) in (0..).zip(spelt) {
        keep(&world, number, &format!(r#"{{"note":"{text}"}}"#)).await;
    }
    let whom = json!({ "connection": connection, "email": address });
    world.admin.post("/api/privacy/forget", whom).await.expect(200);
    world.follow_up().await;
    let kept: Vec<(Uuid,)> = sqlx::query_as("select delivery_id from delivery_bodies")
        .fetch_all(world.onhand.pool())
        .await
        .expect("bodies are read");
    for (number, (text, found)) in (0..).zip(spelt) {
        assert_eq!(!kept.contains(&(Uuid::from_u128(number),)), *found, "{text}");
    }
}

#[tokio::test]
async fn a_repeated_request_destroys_nothing_that_has_come_since() {
    let (world, connection, product) = connected().await;
    send(&world, &connection, "orders/create", "c-1", &bought(1, &product, Some(77), EMAIL)).await;
    let whom = json!({ "connection": connection, "email": EMAIL });
    let first = world.admin.post_once("/api/privacy/forget", "k-1", whom.clone()).await.expect(200);
    world.follow_up().await;
    world.clock.advance(TimeDelta::seconds(1));
    send(&world, &connection, "orders/create", "c-2", &bought(2, &product, Some(77), EMAIL)).await;
    send(&world, &connection, "orders/create", "c-3", &bought(3, &product, Some(78), OTHER)).await;
    let before = world.history().await.len();
    assert_eq!(world.admin.post_once("/api/privacy/forget", "k-1", whom).await.expect(200), first);
    let another = json!({ "connection": connection, "email": OTHER });
    assert_eq!(world.admin.post_once("/api/privacy/forget", "k-1", another).await.status.as_u16(), 422);
    world.follow_up().await;
    assert_eq!(world.history().await.len(), before);
    assert_eq!(count(&world, "select count(*) from delivery_bodies where person is not null").await, 2);
    assert_eq!(count(&world, READABLE).await, 2);
}

#[tokio::test]
async fn an_order_that_says_nobody_loses_the_webhooks_it_came_with() {
    let (world, connection, product) = connected().await;
    send(&world, &connection, "orders/create", "c-1", &shop::order(1, &product, &[(0, 1)])).await;
    send(&world, &connection, "orders/create", "c-2", &shop::order(2, &product, &[(0, 1)])).await;
    // It says nothing new, so that no entry leads to it.
    send(&world, &connection, "orders/create", "c-3", &shop::order(1, &product, &[(0, 1)])).await;
    let bodies = count(&world, BODIES).await;
    let told = json!({ "connection": connection, "order": 1 });
    let told = world.admin.post("/api/privacy/forget", told).await.expect(200);
    assert_eq!((&told["persons"], &told["orders"]), (&json!([]), &json!(0)), "{told}");
    world.follow_up().await;
    assert_eq!(count(&world, BODIES).await, bodies - 2);
    assert_eq!(times(&world, "administration.order_forgotten").await, 1);
    world.expect_intact().await;
}

#[tokio::test]
async fn an_address_is_found_however_it_is_escaped_and_no_longer_one_is() {
    let spelt = [
        (r"o'b+r\u00fcn&co@quay.example", true),
        (r"a note:\no'b+rün&co@quay.example", true),
        (r"\to\u0027b\u002br\u00DCn\u0026co@quay.example.", true),
        (r"\uff1aO\u0027B+RÜN\u0026co@Quay.example", true),
        ("：o'b+rün&co@quay.example", true),
        (r"\u003co'b+rün&co@quay.example\u003e", true),
        (r"xo'b+rün&co@quay.example", false),
        (r"o'b+rün&co@quay.example.org", false),
        (r"o'b+run&co@quay.example", false),
    ];
    expect_found("O'b+rün&co@quay.example", &spelt).await;
}

#[tokio::test]
async fn an_address_that_ends_like_another_one_is_another_ones() {
    let spelt = [
        ("o'brien@quay.example", false),
        (r"o\u0027brien@quay.example", false),
        ("o-brien@quay.example", false),
        (r"shop\u002bbrien@quay.example", false),
        ("mc~brien@quay.example", false),
        ("'brien@quay.example'", true),
        (r"from \u0027brien@quay.example\u0027", true),
        ("**{brien@quay.example}**", true),
        ("mailto:brien@quay.example", true),
        ("/account?email=brien@quay.example&page=1", true),
    ];
    expect_found("brien@quay.example", &spelt).await;
}

#[tokio::test]
async fn what_many_have_ordered_under_is_not_one_customers_and_a_dead_letter_stays() {
    let (world, connection, product) = connected().await;
    send(&world, &connection, "orders/create", "c-1", &bought(1, &product, Some(77), EMAIL)).await;
    send(&world, &connection, "orders/create", "c-2", &bought(2, &product, Some(78), EMAIL)).await;
    let elsewhere = world.connect(None, json!({})).await;
    send(&world, &elsewhere, "orders/create", "c-3", &bought(3, &product, Some(79), EMAIL)).await;
    let mut endless = bought(9, &product, Some(77), EMAIL);
    endless["line_items"] = vec![json!({ "quantity": 1 }); 501].into();
    let endless = Webhook::new("orders/create", "e-1", &endless);
    assert_eq!(endless.send(&world.admin, &connection).await.problem(500), "delivery.failed");
    let redact = async |id: u64, delivery: &str| {
        let body = json!({ "shop_domain": "sneaks-one.example", "orders_to_redact": [],
            "customer": { "id": id, "email": EMAIL } });
        send(&world, &connection, "customers/redact", delivery, &body).await;
        world.follow_up().await;
    };
    let orders_kept =
        "select count(*) from delivery_bodies where person is not null and body like '%line_items%'";
    redact(77, "r-1").await;
    assert_eq!((count(&world, READABLE).await, count(&world, orders_kept).await), (2, 3), "only 77's own");
    redact(78, "r-2").await;
    assert_eq!((count(&world, READABLE).await, count(&world, orders_kept).await), (1, 2));
    let dead = "select count(*) from delivery_bodies b join deliveries d on d.tenant_id = b.tenant_id
        and d.id = b.delivery_id where d.status = 'failed'";
    assert_eq!(count(&world, dead).await, 1, "it may still be replayed");
    let told = json!({ "connection": connection, "email": EMAIL });
    world.admin.post("/api/privacy/forget", told).await.expect(200);
    world.follow_up().await;
    assert_eq!(count(&world, "select count(*) from delivery_bodies where person is not null").await, 0);
}

#[tokio::test]
async fn what_is_about_another_shop_is_not_kept() {
    let (world, connection, _) = connected().await;
    let body = json!({ "shop_domain": "another.example", "orders_to_redact": [], "customer": { "id": 7, "email": EMAIL } });
    assert_eq!(send(&world, &connection, "customers/redact", "r-1", &body).await["status"], "processed");
    assert_eq!(where_it_stands(&world, EMAIL).await, Vec::<String>::new());
    assert_eq!(count(&world, "select count(*) from person_keys").await, 0);
}

#[tokio::test]
async fn what_is_to_be_destroyed_is_not_acted_on_again() {
    let (world, connection, product) = connected().await;
    send(&world, &connection, "orders/create", "c-1", &bought(1, &product, Some(77), EMAIL)).await;
    let mut endless = bought(2, &product, Some(77), EMAIL);
    endless["line_items"] = vec![json!({ "quantity": 1 }); 501].into();
    let endless = Webhook::new("orders/create", "e-1", &endless);
    assert_eq!(endless.send(&world.admin, &connection).await.problem(500), "delivery.failed");
    world.project().await;
    // It would be understood by now.
    sqlx::query("update delivery_bodies set body = $1 where length(body) > 5000")
        .bind(bought(2, &product, Some(77), EMAIL).to_string().into_bytes())
        .execute(world.onhand.pool())
        .await
        .expect("a body is put right");
    let replay = async || {
        let told = world.admin.post("/api/dead-letters/replay", json!({})).await.expect(200);
        told["replayed"][0]["result"].clone()
    };
    let person = person(&world, 0).await;
    world.admin.post("/api/privacy/forget", json!({ "person": person })).await.expect(200);
    assert_eq!(replay().await, "failed");
    world.follow_up().await;
    assert_eq!(replay().await, "failed");
    assert_eq!(buyers(&world).await.len(), 1, "no order has come of it");
    assert_eq!(count(&world, READABLE).await, 0);
}

#[tokio::test]
async fn a_key_that_does_not_open_keeps_nobody_from_being_forgotten_and_loses_no_order() {
    let (world, connection, product) = connected().await;
    send(&world, &connection, "orders/create", "c-1", &bought(1, &product, Some(77), EMAIL)).await;
    let sealed_with = async |key: &str, named: bool| {
        let done = sqlx::query("update person_keys set key_id = $1 where (person <> '') = $2")
            .bind(key)
            .bind(named)
            .execute(world.onhand.pool())
            .await;
        assert_eq!(done.expect("a key is changed").rows_affected(), 1);
    };
    sealed_with("gone", false).await;
    let restarted = world.twin().await;
    let second = bought(2, &product, Some(77), EMAIL);
    let second = Webhook::new("orders/create", "c-2", &second);
    assert_eq!(second.send(&restarted.admin, &connection).await.status.as_u16(), 503, "try again");
    assert_eq!(times(&world, "delivery.failed").await, 0);
    sealed_with("test", false).await;
    assert_eq!(second.send(&restarted.admin, &connection).await.expect(200)["status"], "processed");

    let person = person(&world, 0).await;
    sqlx::query("update person_keys set key_id = 'gone' where person <> ''")
        .execute(world.onhand.pool())
        .await
        .expect("keys are changed");
    let told = world.admin.post("/api/privacy/forget", json!({ "person": person })).await.expect(200);
    assert_eq!(told["orders"], 2);
    assert_eq!(count(&world, READABLE).await, 0);
}

#[tokio::test]
async fn whoever_waits_to_be_forgotten_is_sealed_anew_with_all_other_keys() {
    let (world, connection, product) = connected().await;
    send(&world, &connection, "orders/create", "c-1", &bought(1, &product, Some(77), EMAIL)).await;
    send(&world, &connection, "orders/create", "c-2", &bought(2, &product, Some(78), OTHER)).await;
    world.follow_up().await;
    let other = person(&world, 1).await;
    world.admin.post("/api/privacy/forget", json!({ "person": other })).await.expect(200);
    let redact = json!({ "shop_domain": "sneaks-one.example", "orders_to_redact": [],
        "customer": { "id": 77, "email": EMAIL } });
    send(&world, &connection, "customers/redact", "r-1", &redact).await;
    let new = "new:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=".to_owned();
    let both = world.with_keys(format!("{new},{}", master_keys())).await;
    both.onhand.operations.reencrypt_secrets(|_, _| {}).await.expect("all of them open");
    assert_eq!(count(&world, "select count(*) from follow_ups where payload->>'key_id' = 'new'").await, 2);
    assert_eq!(both.onhand.operations.reencrypt_secrets(|_, _| {}).await.expect("none is left"), 0);

    let only_new = world.with_keys(new).await;
    only_new.follow_up().await;
    assert_eq!(count(&world, "select count(*) from follow_ups").await, 0);
    assert_eq!(where_it_stands(&world, EMAIL).await, Vec::<String>::new());
}
