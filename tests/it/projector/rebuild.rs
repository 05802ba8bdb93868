use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use futures_util::future::join_all;
use onhand_infrastructure::{ledger::Context, operations::Caller};
use onhand_projector::{MODELS, OnDifference, ReadModel, Rebuilt, rebuild};
use onhand_tests::{
    Client, World,
    process::until,
    shop::{self, Webhook},
};
use serde_json::{Value, json};
use tokio::{
    sync::{oneshot, watch},
    task::AbortHandle,
};

use super::{Dice, pause::standing};

/// How long the history is that is rebuilt; `ONHAND_HISTORY_ENTRIES` asks for another length.
const ENTRIES: i64 = 3_000;
/// Products a shop has, three variants each.
const PRODUCTS: u8 = 20;

/// Lets a process with the duty do what it would do by itself.
pub(super) async fn go_on(world: &World) -> u32 {
    let (_going_on, stop) = watch::channel(false);
    rebuild::go_on(&world.onhand.operations, &stop).await.expect("rebuilds are gone on with")
}

pub(super) fn caller(world: &World) -> Caller {
    Caller::new(Context::internal(world.tenant, "test"))
}

async fn head(world: &World) -> i64 {
    let shown = world.admin.get("/api/projections").await.expect(200);
    shown["ledger"]["position"].as_i64().expect("a position")
}

/// A shop with many products, and what may happen to it.
struct Trade {
    connection: String,
    products: Vec<Value>,
}

impl Trade {
    async fn open(world: &World) -> Self {
        let connection = world.connect(None, json!({ "acceptInventory": true })).await;
        let styles = (0..PRODUCTS).map(|n| char::from(b'A' + n).to_string());
        let products: Vec<Value> = styles
            .map(|style| shop::product(&style, &[("41", "99.00"), ("42", "110.00"), ("43", "115.50")]))
            .collect();
        for (n, product) in products.iter().enumerate() {
            let announced = Webhook::new("products/create", &format!("p-{n}"), product);
            announced.send(&world.admin, &connection).await.expect(200);
        }
        Self { connection, products }
    }

    /// A round of it: two dozen asks side by side, and an order.
    async fn round(&self, client: &Client, dice: &mut Dice, number: u64, held: &mut Vec<String>) {
        let mut asks = Vec::new();
        for _ in 0..24 {
            let style = char::from(b'A' + dice.roll(u64::from(PRODUCTS)) as u8);
            let sku = format!("{style}-4{}", 1 + dice.roll(3));
            let quantity = 1 + dice.roll(5);
            let (path, body) = match dice.roll(8) {
                0 | 1 => ("/api/stock/restock".to_owned(), json!({ "sku": sku, "quantity": quantity * 3 })),
                2 => ("/api/stock/adjust".to_owned(), json!({ "sku": sku, "delta": -1, "reason": "lost" })),
                3 => ("/api/stock/count".to_owned(), json!({ "sku": sku, "counted": quantity * 10 })),
                4 if !held.is_empty() => {
                    let id = held.swap_remove(dice.roll(held.len() as u64) as usize);
                    let verb = if dice.roll(2) == 0 { "commit" } else { "release" };
                    (format!("/api/reservations/{id}/{verb}"), json!({}))
                }
                _ => {
                    let lines = json!([{ "sku": sku, "quantity": quantity }]);
                    ("/api/reservations".to_owned(), json!({ "lines": lines }))
                }
            };
            asks.push(async move { client.post(&path, body).await });
        }
        for answer in join_all(asks).await {
            assert!(answer.status.as_u16() < 500, "{answer:?}");
            if answer.status == 201
                && let Some(id) = answer.body["reservation"].as_str()
            {
                held.push(id.to_owned());
            }
        }
        let product = &self.products[dice.roll(u64::from(PRODUCTS)) as usize];
        let order = shop::order(number, product, &[(dice.roll(3) as usize, 1 + dice.roll(2) as i64)]);
        let (topic, order) = match dice.roll(4) {
            0 => ("orders/cancelled", shop::cancelled(order)),
            1 => ("orders/paid", order),
            _ => ("orders/create", order),
        };
        let told = Webhook::new(topic, &format!("o-{number}-{topic}"), &order);
        told.send(client, &self.connection).await.expect(200);
    }
}

/// Trades until the ledger is so long, which may change on the way.
async fn trade(world: Arc<World>, trade: Arc<Trade>, seed: u64, length: Arc<AtomicI64>) {
    let (mut dice, mut held) = (Dice(seed), Vec::new());
    let mut number = seed * 1_000_000;
    while head(&world).await < length.load(Ordering::Relaxed) {
        number += 1;
        trade.round(&world.admin, &mut dice, number, &mut held).await;
    }
}

/// How large stretches are to be, so that there are many on the way.
fn stretch(model: &ReadModel, entries: i64) -> i64 {
    // State tables take one stream at a time then.
    if model.follows() { (entries / 40).max(40) } else { 40 }
}

/// Kills a rebuild in the middle of its third stretch: nobody hears of it again. False if it came to its end before.
async fn killed(world: &World, model: &'static ReadModel, entries: i64) -> bool {
    let (operations, caller) = (world.onhand.operations.clone(), caller(world));
    let (tell, told) = oneshot::channel::<AbortHandle>();
    let task = tokio::spawn(async move {
        let itself = told.await.expect("it is told what it is");
        let mut stretches = 0;
        let progress = move |_| {
            stretches += 1;
            if stretches == 2 {
                // The next time it waits for anything, it is gone.
                itself.abort();
            }
            ControlFlow::Continue(())
        };
        let how = (OnDifference::Keep, stretch(model, entries));
        rebuild::rebuild_in_stretches(&operations, caller, model, how, progress).await
    });
    tell.send(task.abort_handle()).expect("it waits to be told");
    let killed = task.await.is_err_and(|error| error.is_cancelled());
    nobody_is_at_it(world).await;
    killed
}

/// Waits until no rebuild has a lock any more.
pub(super) async fn nobody_is_at_it(world: &World) {
    until("the server notices that whoever had the lock is gone", || async {
        let (held,): (i64,) = sqlx::query_as(
            "select count(*) from pg_locks where locktype = 'advisory'
             and database = (select oid from pg_database where datname = current_database())",
        )
        .fetch_one(world.onhand.pool())
        .await
        .expect("locks can be looked at");
        held == 0
    })
    .await;
}

/// The run of a model that is under way.
pub(super) async fn running(world: &World, model: &ReadModel) -> Value {
    let path = format!("/api/rebuilds?projection={}&status=running", model.name);
    world.admin.get(&path).await.expect(200)["data"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rebuild_killed_twice_on_its_way_equals_what_grew_live_while_writers_go_on() {
    let entries: i64 =
        std::env::var("ONHAND_HISTORY_ENTRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(ENTRIES);
    let world = Arc::new(World::new().await);
    let twin = Arc::new(world.twin().await);
    let shop = Arc::new(Trade::open(&world).await);
    let _following = world.projecting();
    let length = Arc::new(AtomicI64::new(entries));
    let writers = |seed| {
        [(&world, seed), (&twin, seed + 1)].map(|(world, seed)| {
            tokio::spawn(trade(Arc::clone(world), Arc::clone(&shop), seed, Arc::clone(&length)))
        })
    };
    for writer in writers(1) {
        writer.await.expect("it writes");
    }
    length.store(i64::MAX, Ordering::Relaxed);
    let going_on = writers(3);

    for model in MODELS {
        let twice = killed(&world, model, entries).await && killed(&world, model, entries).await;
        let must = ["products", "listings", "stock_levels", "reservations", "deliveries"];
        assert!(twice || !must.contains(&model.name), "{} was not killed twice", model.name);
        let left = running(&world, model).await;
        let mut told = Vec::new();
        let how = (OnDifference::Keep, stretch(model, entries));
        let progress = |pace: rebuild::Pace| {
            told.push(pace.position);
            ControlFlow::Continue(())
        };
        let rebuilt =
            rebuild::rebuild_in_stretches(&world.onhand.operations, caller(&world), model, how, progress)
                .await
                .expect("it comes to its end");
        assert_eq!(rebuilt.differences, 0, "{}: {:?}", model.name, rebuilt.sample);
        if must.contains(&model.name) {
            assert_eq!(json!(rebuilt.id), left["id"], "{}: it is the same run", model.name);
            let reached = left["reached"].as_i64().expect("a number");
            assert!(reached > 0, "{}: {left}", model.name);
            assert!(told[0] > reached, "{}: {told:?} goes on where it was: {left}", model.name);
            assert!(rebuilt.rows > 0, "{} has rows to compare", model.name);
        }
    }

    length.store(0, Ordering::Relaxed);
    for writer in going_on {
        writer.await.expect("it writes on");
    }
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_difference_is_told_and_left_alone_until_somebody_asks_to_replace_it() {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 7)]).await;
    let before = world.levels().await;
    sqlx::query("update stock_levels set on_hand = 99 where on_hand = 7")
        .execute(world.onhand.pool())
        .await
        .expect("a read model may be changed");
    let spoilt = world.levels().await;

    let begun = world.admin.post("/api/projections/stock_levels/rebuild", json!({})).await.expect(202);
    let running = world.admin.post("/api/projections/stock_levels/rebuild", json!({})).await;
    assert_eq!(running.problem(409), "rebuild.running");
    let shown = standing(&world, "stock_levels").await;
    assert_eq!((&shown["state"], &shown["rebuild"]["id"]), (&json!("rebuilding"), &begun["id"]));
    assert_eq!(go_on(&world).await, 1);
    assert_eq!(go_on(&world).await, 0, "it has come to its end");

    let path = format!("/api/rebuilds/{}", begun["id"].as_str().expect("an id"));
    let found = world.admin.get(&path).await.expect(200);
    assert_eq!((&found["status"], &found["replaced"]), (&json!("differs"), &json!(false)), "{found}");
    assert_eq!((&found["differences"], &found["rows"]), (&json!(1), &json!(2)), "{found}");
    let row = &found["sample"][0];
    assert_eq!((&row["table"], &row["key"]["location"]), (&json!("stock_levels"), &json!("main")), "{row}");
    assert_eq!((&row["live"]["on_hand"], &row["rebuilt"]["on_hand"]), (&json!(99), &json!(7)), "{row}");
    assert_eq!(world.levels().await, spoilt, "it was only told");
    let of_a_brand = world.client("viewer", Some("kite")).await;
    assert_eq!(of_a_brand.get(&path).await.expect(200)["sample"], Value::Null, "rows may be another brand's");
    let progress = world.admin.get(&format!("{path}/progress")).await;
    assert_eq!(progress.headers["content-type"], "text/event-stream");
    let told: Vec<&str> = progress.text.lines().filter(|line| !line.is_empty()).collect();
    let [event, data] = told[..] else { panic!("what has ended is told once: {told:?}") };
    assert_eq!(event, "event: progress");
    let data = data.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok());
    let data = data.expect("what is told is JSON");
    assert_eq!((&data["status"], &data["differences"]), (&json!("differs"), &json!(1)), "{data}");
    world.other_tenant().await.admin.get(&path).await.problem(404);

    let replace = json!({ "replace": true });
    world.admin.post("/api/projections/stock_levels/rebuild", replace).await.expect(202);
    assert_eq!(go_on(&world).await, 1);
    assert_eq!(world.levels().await, before);
    let runs = world.admin.get("/api/rebuilds?projection=stock_levels").await.expect(200);
    let outcomes: Vec<(&Value, &Value)> =
        runs["data"].as_array().expect("runs").iter().map(|run| (&run["status"], &run["replaced"])).collect();
    assert_eq!(outcomes, [(&json!("done"), &json!(true)), (&json!("differs"), &json!(false))]);
    let noted: Vec<String> =
        world.history().await.into_iter().filter(|name| name.starts_with("administration.")).collect();
    let (begun, ended) = ("administration.rebuild_begun", "administration.rebuild_ended");
    assert_eq!(noted, [begun, ended, begun, ended]);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn rows_that_were_rebuilt_once_need_not_be_rebuilt_to_take_the_place_of_those_that_differ() {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 7)]).await;
    let before = world.levels().await;
    sqlx::query("update stock_levels set on_hand = 99 where on_hand = 7")
        .execute(world.onhand.pool())
        .await
        .expect("a read model may be changed");
    let kept = world.rebuild("stock_levels", OnDifference::Keep).await;
    assert_eq!((kept.differences, kept.replaced), (1, false));
    // A tampered twin stands for the work that is not done again.
    sqlx::query("update rebuild.stock_levels set low = true")
        .execute(world.onhand.pool())
        .await
        .expect("done");
    let replaced = world.rebuild("stock_levels", OnDifference::Replace).await;
    assert_eq!((replaced.differences, replaced.replaced), (2, true), "{:?}", replaced.sample);
    let anew = world.rebuild("stock_levels", OnDifference::Replace).await;
    assert_eq!((anew.differences, anew.replaced), (2, true), "rows that were replaced are not kept beside");
    assert_eq!(world.levels().await, before);
    let (left,): (i64,) = sqlx::query_as("select count(*) from rebuild.stock_levels")
        .fetch_one(world.onhand.pool())
        .await
        .expect("twins can be read");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_rebuild_that_another_program_has_begun_is_begun_anew() {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 7)]).await;
    world.project().await;
    world.admin.post("/api/projections/stock_levels/rebuild", json!({})).await.expect(202);
    sqlx::raw_sql(
        "update rebuilds set program = 'another', grown = true, position = 3, reached = 3;
         insert into rebuild.stock_levels (tenant_id, variant_id, location, on_hand, reserved, position)
         select tenant_id, gen_random_uuid(), 'nowhere', 1, 1, 1 from tenants join ledger_heads on tenant_id = id",
    )
    .execute(&mut world.database.owner().await)
    .await
    .expect("an owner may");
    let rebuilt = world.rebuild("stock_levels", OnDifference::Keep).await;
    assert_eq!((rebuilt.differences, rebuilt.rows), (0, 2), "{:?}", rebuilt.sample);
}

#[tokio::test]
async fn a_rebuild_that_was_told_to_stop_is_gone_on_with_by_whoever_is_there_next() {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 7)]).await;
    world.project().await;
    let model = onhand_projector::find_model("reservations").expect("a model");
    let stopped = rebuild::rebuild_in_stretches(
        &world.onhand.operations,
        caller(&world),
        model,
        (OnDifference::Keep, 2),
        |_| ControlFlow::Break(()),
    )
    .await;
    assert!(stopped.is_err_and(|error| error.is_passing()));
    let left = running(&world, model).await;
    assert_eq!((&left["reached"], &left["status"]), (&json!(2), &json!("running")), "{left}");
    let twin = world.twin().await;
    assert_eq!(go_on(&twin).await, 1);
    assert_eq!(running(&world, model).await, Value::Null);
}

#[tokio::test]
async fn entries_too_large_to_be_in_memory_at_once_are_grown_in_shorter_stretches() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let product = shop::product("DUNK", &[("41", "99.00")]);
    Webhook::new("products/create", "p-0", &product).send(&world.admin, &connection).await.expect(200);
    // Forty deliveries with a megabyte to tell each.
    sqlx::raw_sql(
        "insert into events
         select e.tenant_id, h.position + n, gen_random_uuid(), 'delivery/' || gen_random_uuid(), 1, e.name, e.name_version,
                h.recorded_at, jsonb_set(e.payload::jsonb, '{notes}', jsonb_build_array(repeat('x', 1000000)))::text,
                e.metadata, e.hash
         from events e join ledger_heads h using (tenant_id) cross join generate_series(1, 40) n
         where e.name = 'delivery.completed';
         update ledger_heads set position = position + 40",
    )
    .execute(&mut world.database.owner().await)
    .await
    .expect("an owner may");
    world.project().await;
    let model = onhand_projector::find_model("deliveries").expect("a model");
    for stretch in [30, rebuild::STRETCH] {
        let mut told = 0;
        let Rebuilt { differences, rows, .. } = rebuild::rebuild_in_stretches(
            &world.onhand.operations,
            caller(&world),
            model,
            (OnDifference::Keep, stretch),
            |_| {
                told += 1;
                ControlFlow::Continue(())
            },
        )
        .await
        .expect("a rebuild");
        assert_eq!((differences, rows), (0, 41));
        assert!(told >= 3, "{told} stretches of at most {stretch}");
    }
}
