//! Persons: what history says of a buyer is sealed, and once it is forgotten it stands nowhere and can be read by nobody.

use chrono::TimeDelta;
use futures_util::future::join_all;
use onhand_domain::{connection::Platform, values::ConnectionId};
use onhand_infrastructure::{
    ledger::Context,
    operations::{
        Caller,
        privacy::{Held, Whom},
    },
};
use onhand_tests::{
    World,
    process::master_keys,
    sample::Delivery,
    shop::{self, Webhook},
    stand_in::StandIn,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Stands in what is told of one buyer and nowhere else.
const NAME: &str = "Rb7quill";
pub(super) const EMAIL: &str = "Rb7quill@quay.example";
/// Another buyer, whose address ends like that.
pub(super) const OTHER: &str = "arb7quill@quay.example";

/// A world with a connected shop that has shown a product, ten units on hand.
pub(super) async fn connected() -> (World, String, Value) {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let product = shop::product("DUNK", &[("42", "110.00")]);
    Webhook::new("products/create", "p-1", &product).send(&world.admin, &connection).await.expect(200);
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 10 })).await.expect(200);
    (world, connection, product)
}

/// An order of one unit; without an id, by a guest who has left an address.
pub(super) fn bought(order: u64, product: &Value, id: Option<u64>, email: &str) -> Value {
    let customer = |id| json!({ "id": id, "email": email, "first_name": NAME, "last_name": "Quay" });
    let mut order = shop::order(order, product, &[(0, 1)]);
    order["email"] = email.into();
    order["customer"] = id.map_or(Value::Null, customer);
    order
}

pub(super) async fn send(world: &World, connection: &str, topic: &str, id: &str, body: &Value) -> Value {
    Webhook::new(topic, id, body).send(&world.admin, connection).await.expect(200)
}

/// The tables in which a text stands, as text or in bytes.
pub(super) async fn where_it_stands(world: &World, text: &str) -> Vec<String> {
    world.onhand.operations.observer().flush().await;
    let tables: Vec<(String,)> = sqlx::query_as(
        "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables
         where schemaname in ('public', 'rebuild') order by 1",
    )
    .fetch_all(world.onhand.pool())
    .await
    .expect("tables are listed");
    assert!(tables.len() > 20);
    let mut found = vec![];
    for (table,) in tables {
        let sql = format!("select exists (select from {table} t where t::text ilike $1 or t::text like $2)");
        let (there,): (bool,) = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(format!("%{text}%"))
            .bind(format!("%{}%", hex::encode(text)))
            .fetch_one(world.onhand.pool())
            .await
            .expect("a table is searched");
        found.extend(there.then_some(table));
    }
    found
}

/// What history says of the buyers of all orders, in order.
pub(super) async fn buyers(world: &World) -> Vec<Value> {
    let rows: Vec<(Option<Value>,)> = sqlx::query_as(
        "select payload::jsonb->'buyer' from events where tenant_id = $1 and name = 'order.placed' order by position",
    )
    .bind(world.tenant.0)
    .fetch_all(world.onhand.pool())
    .await
    .expect("history can be read");
    rows.into_iter().map(|(buyer,)| buyer.unwrap_or_default()).collect()
}

/// What history calls the buyer of an order.
pub(super) async fn person(world: &World, order: usize) -> String {
    buyers(world).await[order]["person"].as_str().expect("a name").to_owned()
}

async fn held(world: &World, person: &str) -> Value {
    world.admin.get(&format!("/api/privacy/persons/{person}")).await.expect(200)
}

/// The platform's ids of the orders whose buyer can be read.
fn orders(held: &Value) -> Vec<&str> {
    let orders = held["orders"].as_array().expect("a list");
    orders.iter().map(|order| order["external_id"].as_str().expect("an id")).collect()
}

pub(super) async fn count(world: &World, sql: &'static str) -> i64 {
    let (count,): (i64,) =
        sqlx::query_as(sql).fetch_one(world.onhand.pool()).await.expect("rows are counted");
    count
}

/// How often something has happened.
pub(super) async fn times(world: &World, name: &str) -> usize {
    world.history().await.iter().filter(|happened| *happened == name).count()
}

pub(super) fn caller(world: &World) -> Caller {
    Caller::new(Context::internal(world.tenant, "test"))
}

#[tokio::test]
async fn what_is_known_of_a_buyer_is_sealed_and_once_forgotten_stands_nowhere() {
    let (world, connection, product) = connected().await;
    let mut order = bought(1, &product, Some(77), EMAIL);
    let engraving = json!({ "variant_id": null, "sku": null, "quantity": 1, "title": format!("For {NAME}") });
    order["line_items"].as_array_mut().expect("lines").push(engraving);
    send(&world, &connection, "orders/create", "c-1", &order).await;
    send(&world, &connection, "orders/paid", "d-1", &order).await;
    // Nobody here listens to one of these, and nobody understands the other.
    send(&world, &connection, "orders/updated", "u-1", &order).await;
    let mut endless = bought(9, &product, Some(77), EMAIL);
    endless["line_items"] = vec![json!({ "quantity": 1 }); 501].into();
    let endless = Webhook::new("orders/create", "e-1", &endless);
    assert_eq!(endless.send(&world.admin, &connection).await.problem(500), "delivery.failed");
    send(&world, &connection, "orders/create", "c-2", &bought(2, &product, Some(78), OTHER)).await;
    world.project().await;

    let person = person(&world, 0).await;
    let shown = held(&world, &person).await;
    assert_eq!(orders(&shown), ["1"], "{shown}");
    let read = &shown["orders"][0];
    assert_eq!(
        (&read["name"], &read["email"], &read["buyer_id"], &read["person"]),
        (&json!(format!("{NAME} Quay")), &json!(EMAIL), &json!("77"), &json!(person))
    );
    assert_eq!(shown["bodies"].as_array().map(Vec::len), Some(4), "{shown}");
    assert_eq!(shown["forgotten_at"], Value::Null);
    assert_eq!(where_it_stands(&world, EMAIL).await, ["public.delivery_bodies"]);
    assert_eq!(where_it_stands(&world, NAME).await, ["public.delivery_bodies"], "nor in the name of a line");
    assert_eq!(times(&world, "administration.person_shown").await, 1, "who looks leaves a trace");

    let whom = json!({ "connection": connection, "email": " rb7quill@Quay.EXAMPLE" });
    let told = world.admin.post("/api/privacy/forget", whom.clone()).await.expect(200);
    assert_eq!(told["orders"], 1, "{told}");
    assert!(told["persons"].as_array().is_some_and(|all| all.contains(&json!(person))), "{told}");
    assert_eq!(orders(&held(&world, &person).await).len(), 0, "at once");
    assert_eq!(
        where_it_stands(&world, EMAIL).await,
        ["public.delivery_bodies"],
        "what is sought waits sealed"
    );
    world.follow_up().await;
    let only_the_others = async || {
        assert_eq!(where_it_stands(&world, &format!("\"{EMAIL}")).await, Vec::<String>::new());
        assert_eq!(where_it_stands(&world, OTHER).await, ["public.delivery_bodies"]);
    };
    only_the_others().await;
    let shown = held(&world, &person).await;
    assert_eq!((&shown["orders"], &shown["bodies"]), (&json!([]), &json!([])), "{shown}");
    assert!(shown["forgotten_at"].is_string(), "{shown}");

    // What is told once more brings nothing back.
    assert_eq!(send(&world, &connection, "orders/create", "c-1", &order).await["status"], "duplicate");
    assert_eq!(endless.send(&world.admin, &connection).await.expect(200)["status"], "dead_letter");
    let again = world.admin.post("/api/dead-letters/replay", json!({})).await.expect(200);
    assert!(again["replayed"][0]["reason"].as_str().is_some_and(|why| why.contains("forgotten")), "{again}");
    only_the_others().await;
    let told = world.admin.post("/api/privacy/forget", whom).await.expect(200);
    assert_eq!(told["orders"], 0, "there was nothing left");
    world.follow_up().await;
    only_the_others().await;
    assert_eq!(count(&world, "select count(*) from follow_ups").await, 0);
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_new_order_of_somebody_forgotten_is_theirs_and_tells_nothing_of_the_old_ones() {
    let (world, connection, product) = connected().await;
    send(&world, &connection, "orders/create", "c-1", &bought(1, &product, Some(77), EMAIL)).await;
    let person = person(&world, 0).await;
    world.admin.post("/api/privacy/forget", json!({ "person": person })).await.expect(200);
    // It comes before the bodies of the old ones are looked for.
    world.clock.advance(TimeDelta::seconds(1));
    send(&world, &connection, "orders/create", "c-2", &bought(2, &product, Some(77), EMAIL)).await;
    world.follow_up().await;
    assert_eq!(count(&world, "select count(*) from delivery_bodies where person is not null").await, 1);
    let known = buyers(&world).await;
    assert_eq!(known[0]["person"], known[1]["person"]);
    assert_eq!(orders(&held(&world, &person).await), ["2"]);
    assert_eq!(count(&world, "select count(*) from person_keys where person <> ''").await, 1);
    let told = json!({ "connection": connection, "order": 2 });
    let told = world.admin.post("/api/privacy/forget", told).await.expect(200);
    assert_eq!((&told["persons"], &told["orders"]), (&json!([person]), &json!(1)));
    world.follow_up().await;
    assert_eq!(where_it_stands(&world, NAME).await, Vec::<String>::new());
    let noted = world.history().await;
    assert_eq!(noted.iter().filter(|name| *name == "administration.person_forgotten").count(), 2);
    world.expect_intact().await;
}

#[tokio::test]
async fn only_an_admin_of_all_brands_may_ask_about_persons_and_has_to_say_about_whom() {
    let (world, connection, product) = connected().await;
    send(&world, &connection, "orders/create", "c-1", &shop::order(1, &product, &[(0, 1)])).await;
    assert_eq!(
        count(&world, "select count(*) from person_keys where person <> ''").await,
        0,
        "nobody was named"
    );
    let nobody = json!({ "person": "00112233445566778899aabbccddeeff" });
    for (role, brand) in [("viewer", None), ("editor", None), ("admin", Some("kite"))] {
        let client = world.client(role, brand).await;
        let path = "/api/privacy/persons/00112233445566778899aabbccddeeff";
        assert_eq!(client.get(path).await.problem(403), "auth.forbidden", "{role}");
        assert_eq!(
            client.post("/api/privacy/forget", nobody.clone()).await.problem(403),
            "auth.forbidden",
            "{role}"
        );
    }
    for (status, code, body) in [
        (400, "body.invalid", json!({})),
        (400, "body.invalid", json!({ "email": EMAIL })),
        (400, "body.invalid", json!({ "person": "robin" })),
        (400, "body.invalid", json!({ "connection": connection, "email": EMAIL, "order": "1" })),
        (422, "person.address", json!({ "connection": connection, "email": "e" })),
        (404, "person.unknown", json!({ "connection": connection, "order": "2" })),
        (404, "connection.unknown", json!({ "connection": Uuid::nil(), "order": "1" })),
    ] {
        let answer = world.admin.post("/api/privacy/forget", body.clone()).await;
        assert_eq!(answer.problem(status), code, "{body}");
    }
    let before = world.history().await.len();
    let once = async || world.admin.post_once("/api/privacy/forget", "k-1", nobody.clone()).await.expect(200);
    assert_eq!(once().await, once().await);
    assert_eq!(world.history().await.len(), before + 1, "a request is on record once");
    assert_eq!(times(&world, "administration.person_shown").await, 0, "there was nothing to show");
}

#[tokio::test]
async fn a_shop_may_ask_that_a_customer_be_forgotten_and_what_is_known_of_one() {
    let (world, connection, product) = connected().await;
    let place = async |order: u64, id, email| {
        let body = bought(order, &product, id, email);
        send(&world, &connection, "orders/create", &format!("c-{order}"), &body).await;
    };
    place(1, Some(77), EMAIL).await;
    place(2, Some(77), "moved-rb7quill@quay.example").await;
    place(3, None, EMAIL).await;
    place(4, Some(78), OTHER).await;
    let (person, guest, other) = (person(&world, 0).await, person(&world, 2).await, person(&world, 3).await);

    let customer = json!({ "id": 77, "email": EMAIL, "phone": null });
    let of_shop = |more: Value| {
        let mut body = json!({ "shop_id": 1, "shop_domain": "sneaks-one.example" });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        body
    };
    let asked =
        of_shop(json!({ "customer": customer, "orders_requested": [1, 4], "data_request": { "id": 5 } }));
    send(&world, &connection, "customers/data_request", "q-1", &asked).await;
    send(&world, &connection, "shop/redact", "s-1", &of_shop(json!({}))).await;
    world.project().await;
    for (topic, told) in [("customers/data_request", &person), ("shop/redact", &connection)] {
        let listed = world.admin.get(&format!("/api/deliveries?topic={topic}")).await.expect(200);
        let note = listed["data"][0]["notes"][0].as_str().expect("a note").to_owned();
        assert!(note.contains("onhand privacy") && note.contains(told.as_str()), "{note}");
    }
    let listed = world.admin.get("/api/deliveries?topic=customers/data_request").await.expect(200);
    let note = listed["data"][0]["notes"][0].as_str().expect("a note").to_owned();
    assert!(note.contains(&guest), "the same address without an account: {note}");
    assert!(note.contains(&other), "whoever has placed one of the orders it lists: {note}");
    assert_eq!(note.matches(person.as_str()).count(), 1, "each is named once: {note}");
    assert_eq!(orders(&held(&world, &person).await), ["2", "1"], "a question destroys nothing");

    let redact = of_shop(json!({ "customer": customer, "orders_to_redact": [1] }));
    let redact = Webhook::new("customers/redact", "r-1", &redact);
    assert_eq!(redact.send(&world.admin, &connection).await.expect(200)["status"], "processed");
    assert_eq!(where_it_stands(&world, EMAIL).await, ["public.delivery_bodies"], "it waits, sealed");
    world.follow_up().await;
    assert_eq!(redact.send(&world.admin, &connection).await.expect(200)["status"], "duplicate");
    for forgotten in [&person, &guest] {
        let held = held(&world, forgotten).await;
        assert_eq!((orders(&held).len(), &held["bodies"]), (0, &json!([])), "{held}");
        assert!(held["forgotten_at"].is_string(), "{held}");
    }
    for gone in [format!("\"{EMAIL}"), "moved-rb7quill".to_owned()] {
        assert_eq!(where_it_stands(&world, &gone).await, Vec::<String>::new(), "{gone}");
    }
    let kept = held(&world, &other).await;
    assert_eq!((orders(&kept), kept["bodies"].as_array().map(Vec::len)), (vec!["4"], Some(1)), "{kept}");
    assert_eq!(count(&world, "select count(*) from follow_ups").await, 0);
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_one_name_at_all_processes_and_another_on_each_connection() {
    let (world, connection, product) = connected().await;
    let twin = world.twin().await;
    let sent = (1..=30_u64).map(|n| {
        let webhook = Webhook::new("orders/create", &format!("c-{n}"), &bought(n, &product, Some(77), EMAIL));
        let (world, twin, connection) = (&world, &twin, &connection);
        async move {
            let client = if n % 2 == 0 { &world.admin } else { &twin.admin };
            webhook.send(client, connection).await.expect(200)
        }
    });
    join_all(sent).await;
    let known = buyers(&world).await;
    assert_eq!(known.len(), 30);
    assert!(known.iter().all(|buyer| buyer["person"] == known[0]["person"] && buyer["sealed"].is_string()));
    assert_eq!(count(&world, "select count(*) from person_keys where person = ''").await, 1);
    let person = person(&world, 0).await;
    assert_eq!(orders(&held(&twin, &person).await).len(), 30, "each has a key of its own");

    // Told once more under another id, at a process that takes it for new.
    let restarted = world.twin().await;
    let first = bought(1, &product, Some(77), EMAIL);
    assert_eq!(
        send(&restarted, &connection, "orders/create", "c-1-again", &first).await["status"],
        "processed"
    );
    assert_eq!(count(&world, "select count(*) from person_keys where person <> ''").await, 30);

    let elsewhere = world.connect(None, json!({})).await;
    send(&world, &elsewhere, "orders/create", "c-1", &bought(1, &product, Some(77), EMAIL)).await;
    assert_ne!(buyers(&world).await[30]["person"], known[0]["person"]);
    let there: ConnectionId = elsewhere.parse().expect("an id is a UUID");
    let bodies = count(&world, "select count(*) from delivery_bodies").await;
    for orders in [1, 0] {
        let told =
            world.onhand.operations.forget_everybody(caller(&world), there).await.expect("it is noted");
        assert_eq!(told.answer.value()["orders"], orders);
        world.follow_up().await;
        assert_eq!(count(&world, "select count(*) from person_keys where person <> ''").await, 30);
        assert_eq!(count(&world, "select count(*) from delivery_bodies").await, bodies - 1);
    }
    assert_eq!(orders(&held(&world, &person).await).len(), 30, "those of the other connection stay");
    world.expect_intact().await;
}

#[tokio::test]
async fn a_buyer_who_is_seen_in_a_look_is_sealed_and_forgotten_like_any_other() {
    let world = World::new().await;
    let stand_in = StandIn::open().await;
    let connection = world.connect_to(Platform::Square, json!({ "endpoint": stand_in.endpoint })).await;
    let id = Uuid::now_v7();
    let order = format!("O{}", id.simple().to_string().to_uppercase());
    let recipient = json!({ "display_name": NAME, "email_address": EMAIL });
    let record = json!({ "order": {
        "id": order, "state": "OPEN", "location_id": "7", "customer_id": "C1",
        "line_items": [{ "catalog_object_id": "V1", "quantity": "1", "name": "Runner" }],
        "fulfillments": [{ "type": "SHIPMENT", "shipment_details": { "recipient": recipient } }],
    } });
    stand_in.show(&format!("/v2/orders/{order}"), record);
    Delivery::new(&world, Platform::Square, &connection, "order.created", "X", id)
        .send(&world.admin)
        .await
        .expect(200);
    world.follow_up().await;
    let person = person(&world, 0).await;
    let shown = held(&world, &person).await;
    assert_eq!((&shown["orders"][0]["name"], &shown["orders"][0]["buyer_id"]), (&json!(NAME), &json!("C1")));
    assert_eq!(where_it_stands(&world, NAME).await, Vec::<String>::new(), "no webhook has told it");
    world.admin.post("/api/privacy/forget", json!({ "person": person })).await.expect(200);
    assert_eq!(orders(&held(&world, &person).await).len(), 0);
    world.expect_intact().await;
}

#[tokio::test]
async fn keys_of_persons_are_sealed_anew_with_all_other_keys() {
    let (world, connection, product) = connected().await;
    send(&world, &connection, "orders/create", "c-1", &bought(1, &product, Some(77), EMAIL)).await;
    let new = "new:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=".to_owned();
    let both = world.with_keys(format!("{new},{}", master_keys())).await;
    both.onhand.operations.reencrypt_secrets(|_, _| {}).await.expect("all of them open");
    assert_eq!(count(&world, "select count(*) from person_keys where key_id <> 'new'").await, 0);
    assert_eq!(both.onhand.operations.reencrypt_secrets(|_, _| {}).await.expect("none is left"), 0);

    let only_new = world.with_keys(new).await;
    send(&only_new, &connection, "orders/create", "c-2", &bought(2, &product, Some(77), EMAIL)).await;
    let person = person(&world, 0).await;
    let whom = Whom::Person(person.parse().expect("a name"));
    let Held { orders, .. } = only_new.onhand.operations.held(&caller(&world), &whom).await.expect("read");
    let read: Vec<_> =
        orders.iter().map(|order| (order.external_id.as_str(), order.email.as_deref())).collect();
    assert_eq!(read, [("2", Some(EMAIL)), ("1", Some(EMAIL))], "the names are still made with the same key");
}
