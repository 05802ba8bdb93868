//! A process that dies after a platform has done as it was told, and before that is on record.

use std::{
    future::pending,
    mem,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Json, Router, body::Body, extract::State};
use chrono::TimeDelta;
use onhand_domain::connection::Platform;
use onhand_infrastructure::{ledger::LedgerError, outbox};
use onhand_tests::{
    World,
    channels::{self, Channel},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

use super::{all_is_done, newest, restock, statuses, step, times};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_the_hands_of_a_process_that_died_is_tried_once_more() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 0, None).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    world.converge().await;
    restock(&world, "RUN-42", 5).await;
    world.project().await;
    channel.faults().time_out_after_applying_next(1);
    world.kill_relay(|| channel.quantity("RUN-42") == 5).await;
    assert_eq!(newest(&world).await, ("leased".to_owned(), 1));
    assert_eq!(step(&world).await, 0, "nobody else touches it before the lease has run out");
    assert_eq!(channel.calls().made, 1);

    world.converge().await;
    assert_eq!(newest(&world).await, ("done".to_owned(), 2));
    assert_eq!((channel.quantity("RUN-42"), channel.calls().made), (5, 2));
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

/// What a shop was asked.
#[derive(Default)]
struct Noted {
    /// Under which keys quantities were set, in order.
    keys: Vec<String>,
    /// What it shows.
    available: i64,
    /// Whether it does as it is told the next time, and never says so.
    silent: bool,
    /// What it is told next it does only when this rings.
    late: Option<Arc<Notify>>,
    /// Whether it has nothing of the sort any more.
    refuses: bool,
}

/// A shop that speaks just enough of Shopify for the stock of one item, and notes under which keys that is set.
#[derive(Clone, Default)]
struct NotingShop(Arc<Mutex<Noted>>);

impl NotingShop {
    /// Opens it. Gives its address, too.
    async fn open() -> (Self, String) {
        let shop = Self::default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("what listens has an address");
        let routes = Router::new().fallback(answer).with_state(shop.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (shop, format!("http://{address}"))
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what it is told to. True if it says so.
    fn set(&self, key: &str, input: &Value) -> bool {
        let mut noted = self.noted();
        noted.keys.push(key.to_owned());
        noted.available = input["quantities"][0]["quantity"].as_i64().expect("a quantity is set");
        !mem::take(&mut noted.silent)
    }
}

async fn answer(State(shop): State<NotingShop>, Json(asked): Json<Value>) -> Json<Value> {
    let variables = &asked["variables"];
    let data = match variables["key"].as_str() {
        Some(key) => {
            let late = shop.noted().late.take();
            if let Some(late) = late {
                late.notified().await;
            }
            if shop.noted().refuses {
                let error = json!({ "field": null, "message": "Unknown", "code": "INVALID_INVENTORY_ITEM" });
                return Json(json!({ "data": { "inventorySetQuantities": { "userErrors": [error] } } }));
            }
            if !shop.set(key, &variables["input"]) {
                pending::<()>().await;
            }
            json!({ "inventorySetQuantities": { "inventoryAdjustmentGroup": null, "userErrors": [] } })
        }
        None => {
            let shown = json!({ "name": "available", "quantity": shop.noted().available });
            json!({ "nodes": [{ "id": variables["ids"][0], "inventoryLevel": { "quantities": [shown] } }] })
        }
    };
    Json(json!({ "data": data }))
}

/// A noting shop that shows four, its connection, and the world in which a fifth has just come.
async fn noting_shop_that_is_owed_a_fifth() -> (NotingShop, String, World) {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 4, None).await;
    let (shop, address) = NotingShop::open().await;
    let connection = world.connect(Some(&address), json!({})).await;
    let mapping = json!({
        "connection": connection, "external_product": "1", "external_variant": "2", "external_inventory": "3",
        "sku": "RUN-42",
    });
    world.admin.post("/api/listings", mapping).await.expect(200);
    world.converge().await;
    restock(&world, "RUN-42", 1).await;
    world.project().await;
    (shop, connection, world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_repeated_after_a_death_comes_under_the_same_key() {
    let (shop, _, world) = noting_shop_that_is_owed_a_fifth().await;
    shop.noted().silent = true;
    world.kill_relay(|| shop.noted().keys.len() == 2).await;

    world.converge().await;
    assert_eq!(newest(&world).await, ("done".to_owned(), 2));
    let noted = shop.noted();
    let [first, before, after] = &noted.keys[..] else { panic!("{:?}", noted.keys) };
    assert_eq!(before, after, "the shop can tell that it is the same");
    assert_ne!(first, before, "another quantity is another call");
    assert_eq!(noted.available, 5);
}

/// Another relay in the middle of a call that the shop does only when the bell rings.
async fn stuck_relay(
    world: &World,
    shop: &NotingShop,
) -> (JoinHandle<Result<usize, LedgerError>>, Arc<Notify>) {
    let late = Arc::new(Notify::new());
    shop.noted().late = Some(Arc::clone(&late));
    let slow = world.twin().await;
    let stuck = tokio::spawn(async move { slow.onhand.relay.step().await });
    world.until(|| shop.noted().late.is_none()).await;
    (stuck, late)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_figure_that_arrives_after_a_newer_one_does_not_stay() {
    let (shop, _, world) = noting_shop_that_is_owed_a_fifth().await;
    let (stuck, late) = stuck_relay(&world, &shop).await;

    // Its lease runs out; another relay takes over and tells what is true by then.
    world.clock.advance(TimeDelta::seconds(61));
    restock(&world, "RUN-42", 1).await;
    assert_eq!(step(&world).await, 1);
    assert_eq!(shop.noted().available, 6);
    late.notify_one();
    stuck.await.expect("it is not killed").expect("what it has to say is taken note of");
    assert_eq!(shop.noted().available, 5, "the old figure has arrived last");

    world.converge().await;
    assert_eq!(shop.noted().available, 6);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_taken_over_is_not_settled_by_its_first_holder() {
    let (shop, _, world) = noting_shop_that_is_owed_a_fifth().await;
    let (stuck, late) = stuck_relay(&world, &shop).await;

    world.clock.advance(TimeDelta::seconds(61));
    let (pool, now) = (world.onhand.pool(), world.clock.now());
    assert_eq!(outbox::give_back_expired(pool, now).await.expect("leases are given back"), 1);
    let second = outbox::claim(pool, now, TimeDelta::seconds(60), 100, &[]).await.expect("a claim");
    late.notify_one();
    stuck.await.expect("it is not killed").expect("what it has to say is taken note of");

    let held: Vec<(uuid::Uuid, Option<uuid::Uuid>)> =
        sqlx::query_as("select id, token from outbox where status = 'leased'")
            .fetch_all(pool)
            .await
            .expect("the outbox can be read");
    assert_eq!(held, [(second[0].row, Some(second[0].token))], "it is still in the second hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_a_listing_that_was_taken_away_meanwhile_waits_for_nobody() {
    let (shop, _, world) = noting_shop_that_is_owed_a_fifth().await;
    let (stuck, late) = stuck_relay(&world, &shop).await;
    let listings = world.admin.get("/api/listings").await.expect(200);
    let path = format!("/api/listings/{}", listings["data"][0]["id"].as_str().expect("an id"));
    world.admin.send("DELETE", &path, &[], Body::empty()).await.expect(200);
    shop.noted().refuses = true;
    late.notify_one();
    stuck.await.expect("it is not killed").expect("what it has to say is taken note of");

    assert_eq!(newest(&world).await, ("superseded".to_owned(), 1));
    assert_eq!(times(&world, "listing.push_failed").await, 1, "it is on record all the same");
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_put_on_record_when_the_database_is_back() {
    let (shop, _, world) = noting_shop_that_is_owed_a_fifth().await;
    // As Postgres would say it while it begins.
    sqlx::raw_sql(
        "create sequence attempts;
         grant usage on sequence attempts to public;
         create function away() returns trigger language plpgsql as $$ begin
             if nextval('attempts') <= 2 then raise exception 'away' using errcode = '57P03'; end if;
             return new;
         end $$;
         create trigger away before insert on events for each row when (new.name = 'listing.quantity_pushed')
             execute function away()",
    )
    .execute(&mut world.database.owner().await)
    .await
    .expect("an owner may");
    assert_eq!(step(&world).await, 1);
    assert_eq!((newest(&world).await, shop.noted().keys.len()), (("done".to_owned(), 1), 2));
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_said_under_a_lease_that_was_taken_over_is_not_said_once_more() {
    let (shop, connection, world) = noting_shop_that_is_owed_a_fifth().await;
    // Nothing is known of the stock of these: what is owed to them comes to nothing, without a call.
    channels::stock(&world, &["RUN-43"], 0, None).await;
    let mapping = json!({
        "connection": connection, "external_product": "4", "external_variant": "5", "external_inventory": "6",
        "sku": "RUN-43",
    });
    world.admin.post("/api/listings", mapping).await.expect(200);
    world.project().await;
    let (stuck, late) = stuck_relay(&world, &shop).await;

    world.clock.advance(TimeDelta::seconds(61));
    assert!(step(&world).await > 0, "another relay takes over");
    late.notify_one();
    stuck.await.expect("it is not killed").expect("what it has to say is taken note of");
    let (again,): (i64,) = sqlx::query_as("select count(*) from outbox where status = 'pending' and forced")
        .fetch_one(world.onhand.pool())
        .await
        .expect("the outbox can be read");
    assert_eq!(again, 1, "the one thing that was said");
    world.converge().await;
    assert_eq!(shop.noted().available, 5);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_figure_that_got_through_unheard_is_put_back_when_the_old_one_is_true_again() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, None).await;
    let channel = Channel::open(&world, Platform::Clover, &["RUN-42"]).await;
    world.converge().await;
    channel.faults().drop_after_applying_rate(1.0);
    restock(&world, "RUN-42", 3).await;
    step(&world).await;
    assert_eq!(channel.quantity("RUN-42"), 10, "it was applied, and nobody heard of it");
    channel.faults().clear();
    // What it was believed to show all along is true again.
    let body = json!({ "sku": "RUN-42", "delta": -3, "reason": "broken" });
    world.admin.post("/api/stock/adjust", body).await.expect(200);
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 7);
}
