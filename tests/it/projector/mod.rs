//! Read models: rebuilt equals live, whatever the history, and a poisoned one stops alone.

mod comparison;
pub(crate) mod interference;
mod panics;
mod pause;
mod readers;
mod rebuild;
mod why;

use futures_util::future::join_all;
use onhand_projector::{OnDifference, Rebuilt, checkpoint::Checkpoint, find_model};
use onhand_tests::{
    World,
    shop::{self, Webhook},
};
use serde_json::json;
use uuid::Uuid;

/// A small generator, so that a history is random and repeatable.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Everything that can happen, in a random order, some of it at two processes at once.
async fn random_history(world: &World, twin: &World, seed: u64) {
    let mut dice = Dice(seed);
    let connection = world.connect(None, json!({ "acceptInventory": true })).await;
    let product = shop::product("DUNK", &[("41", "99.00"), ("42", "110.00"), ("43", "115.50")]);
    Webhook::new("products/create", "p-0", &product).send(&world.admin, &connection).await.expect(200);
    let mut reservations = Vec::new();
    for round in 0..60 {
        let mut asks = Vec::new();
        for n in 0..4_u64 {
            let client = if n % 2 == 0 { &world.admin } else { &twin.admin };
            let sku = format!("DUNK-4{}", 1 + dice.roll(3));
            let quantity = 1 + dice.roll(5);
            asks.push(
                match dice.roll(6) {
                    0 | 1 => {
                        client.post("/api/stock/restock", json!({ "sku": sku, "quantity": quantity * 3 }))
                    }
                    2 => {
                        client.post("/api/stock/adjust", json!({ "sku": sku, "delta": -1, "reason": "lost" }))
                    }
                    3 => client.post("/api/stock/count", json!({ "sku": sku, "counted": quantity * 10 })),
                    _ => client.post(
                        "/api/reservations",
                        json!({ "lines": [{ "sku": sku, "quantity": quantity }] }),
                    ),
                }
                .into_boxed(),
            );
        }
        for answer in join_all(asks).await {
            assert!(answer.status.as_u16() < 500, "{answer:?}");
            if let Some(id) = answer.body["reservation"].as_str() {
                reservations.push(id.to_owned());
            }
        }
        if dice.roll(2) == 0 && !reservations.is_empty() {
            let id = reservations.swap_remove(dice.roll(reservations.len() as u64) as usize);
            let verb = if dice.roll(2) == 0 { "commit" } else { "release" };
            twin.admin.post(&format!("/api/reservations/{id}/{verb}"), json!({})).await;
        }
        if dice.roll(3) == 0 {
            let order = shop::order(round, &product, &[(dice.roll(3) as usize, 1 + dice.roll(2) as i64)]);
            let (topic, order) = match dice.roll(4) {
                0 => ("orders/cancelled", shop::cancelled(order)),
                1 => ("orders/paid", order),
                _ => ("orders/create", order),
            };
            Webhook::new(topic, &format!("o-{round}-{topic}"), &order)
                .send(&world.admin, &connection)
                .await
                .expect(200);
        }
        if dice.roll(5) == 0 {
            world.project().await;
        }
    }
}

trait Boxed<'a>: Future + Send + 'a {
    fn into_boxed(self) -> std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>
    where
        Self: Sized,
    {
        Box::pin(self)
    }
}

impl<'a, F: Future + Send + 'a> Boxed<'a> for F {}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_model_rebuilt_from_a_random_history_equals_the_one_that_grew_live() {
    let world = World::new().await;
    let twin = world.twin().await;
    random_history(&world, &twin, 20_261_122).await;
    let away = json!({ "priority": 9, "sells": false });
    world.admin.put("/api/locations/outlet", away).await.expect(200);
    world.admin.put("/api/flags/FEATURE_ORDERS_MOVE_STOCK", json!({ "value": false })).await.expect(200);
    let monitor = json!({
        "connection": world.connect_kicksdb().await, "style_code": "DD1391-100", "kind": "price",
        "frequency_minutes": 15, "markets": ["US"], "threshold_percent": 5.0,
    });
    world.admin.put("/api/kicks/monitors", monitor).await.expect(200);
    world.project().await;
    let rebuilt = world.expect_rebuilt_equals_live().await;
    assert_eq!(rebuilt.len(), onhand_projector::MODELS.len());
    for Rebuilt { model, rows, .. } in rebuilt {
        assert!(rows > 0, "{model} has rows to compare");
    }
    world.expect_intact().await;
}

#[tokio::test]
async fn a_read_model_that_was_dropped_or_spoilt_is_put_right_by_a_rebuild() {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 7)]).await;
    let before = world.levels().await;
    for (sql, differences) in [
        ("delete from stock_levels where on_hand = 5", 1),
        ("update stock_levels set on_hand = 99 where on_hand = 7", 1),
        ("update stock_levels set variant_id = gen_random_uuid() where on_hand = 7", 2),
        ("delete from stock_levels", 2),
    ] {
        sqlx::query(sql).execute(world.onhand.pool()).await.expect("a read model may be changed");
        let rebuilt = world.rebuild("stock_levels", OnDifference::Replace).await;
        assert_eq!((rebuilt.differences, rebuilt.rows, rebuilt.replaced), (differences, 2, true), "{sql}");
        assert_eq!(world.levels().await, before, "{sql}");
    }
}

#[tokio::test]
async fn a_projection_that_has_fallen_behind_catches_up_alone_and_the_others_apply_nothing_twice() {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 7)]).await;
    let lines = json!({ "lines": [{ "sku": "A", "quantity": 2 }, { "sku": "B", "quantity": 3 }] });
    world.admin.post("/api/reservations", lines.clone()).await.expect(201);
    let ahead = find_model("reservations").expect("a model");
    let mut conn = world.onhand.pool().acquire().await.expect("a connection");
    world.onhand.projector.advance(&mut conn, &[ahead], world.tenant).await.expect("it advances");
    world.admin.post("/api/reservations", lines).await.expect(201);
    world.project().await;
    let positions: Vec<(i64,)> = sqlx::query_as("select distinct position from checkpoints")
        .fetch_all(&mut *conn)
        .await
        .expect("checkpoints can be read");
    assert_eq!(positions, [(world.history().await.len() as i64,)]);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn while_a_checkpoint_is_held_the_other_projections_go_on() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    world.project().await;
    let mut rebuilding = world.onhand.pool().begin().await.expect("a transaction");
    Checkpoint::hold(&mut rebuilding, world.tenant, "reservations").await.expect("it holds still");
    world
        .admin
        .post("/api/reservations", json!({ "lines": [{ "sku": "A", "quantity": 2 }] }))
        .await
        .expect(201);
    world.project().await;
    assert_eq!(world.levels().await["A"], (5, 2, 3));
    assert_eq!(world.admin.get("/api/reservations").await.expect(200)["data"], json!([]));
    rebuilding.rollback().await.expect("it ends");
    world.project().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_read_model_that_is_missing_holds_up_nobody_else_and_lost_rows_are_told() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let lines = json!({ "lines": [{ "sku": "A", "quantity": 2 }] });
    let made = world.admin.post("/api/reservations", lines).await.expect(201);
    world.project().await;
    let id = made["reservation"].as_str().expect("an id");
    world.admin.post(&format!("/api/reservations/{id}/commit"), json!({})).await.expect(200);
    let mut owner = world.database.owner().await;
    sqlx::raw_sql("alter table deliveries rename to away; delete from reservations")
        .execute(&mut owner)
        .await
        .expect("an owner may");
    let connection = world.connect(None, json!({})).await;
    let product = shop::product("DUNK", &[("41", "99.00")]);
    Webhook::new("products/create", "p-0", &product).send(&world.admin, &connection).await.expect(200);
    world.project().await;
    assert_eq!(world.levels().await["A"], (3, 0, 3));
    let parked: Vec<(String, String)> =
        sqlx::query_as("select model, parked from checkpoints where parked is not null")
            .fetch_all(world.onhand.pool())
            .await
            .expect("checkpoints can be read");
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert_eq!(parked[0].0, "reservations");
    assert!(parked[0].1.contains("have been lost; rebuild it"), "{parked:?}");
    sqlx::raw_sql("alter table away rename to deliveries").execute(&mut owner).await.expect("an owner may");
    world.project().await;
    let rebuilt = world.rebuild("reservations", OnDifference::Keep).await;
    assert_eq!((rebuilt.differences, rebuilt.replaced), (1, true), "what is parked is put right unasked");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn what_is_new_and_what_is_known_come_together_and_what_is_taken_for_new_may_be_known() {
    const MANY: u64 = 40;
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    world.stocked(&[("A", 100)]).await;
    let reserve = async || {
        let made = world.reserve(&[("A", 1)]).await.expect(201);
        Uuid::parse_str(made["reservation"].as_str().expect("an id")).expect("a UUID")
    };
    let (paid, left) = (reserve().await, reserve().await);
    let broken = Webhook::of_bytes("orders/create", "o-9", b"{\"id\":".to_vec());
    broken.send(&world.admin, &connection).await.problem(500);
    world.project().await;
    let (before,): (i64,) = sqlx::query_as("select min(position) from checkpoints")
        .fetch_one(world.onhand.pool())
        .await
        .expect("checkpoints can be read");

    let first = reserve().await;
    for number in 0..MANY {
        reserve().await;
        let product = shop::product(&format!("DUNK{number}"), &[("41", "99.00")]);
        let webhook = Webhook::new("products/create", &format!("p-{number}"), &product);
        webhook.send(&world.admin, &connection).await.expect(200);
    }
    world.admin.post(&format!("/api/reservations/{paid}/commit"), json!({})).await.expect(200);
    world.admin.post(&format!("/api/reservations/{left}/release"), json!({})).await.expect(200);
    let order = shop::order(9, &shop::product("DUNK0", &[("41", "99.00")]), &[(0, 1)]);
    Webhook::new("orders/create", "o-9", &order).send(&world.admin, &connection).await.expect(200);
    world.project().await;
    let rows = async || {
        let rebuilt = world.expect_rebuilt_equals_live().await;
        let of = |name| rebuilt.iter().find(|rebuilt| rebuilt.model == name).map(|rebuilt| rebuilt.rows);
        (of("reservations"), of("deliveries"))
    };
    assert_eq!(rows().await, (Some(MANY + 3), Some(MANY + 1)));

    // As if one of each that is new had been heard of before, and no more than that was known of it.
    let rewound = format!(
        "delete from reservations where reservation_id not in ('{paid}', '{left}', '{first}');
         update reservations set committed = 0, released = 0 where reservation_id <> '{first}';
         update reservations set reserved = 0 where reservation_id = '{first}';
         delete from deliveries where external_id not in ('o-9', 'p-7');
         update deliveries set attempts = attempts - 1;
         update checkpoints set position = {before} where model in ('reservations', 'deliveries')"
    );
    let mut owner = world.database.owner().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(rewound)).execute(&mut owner).await.expect("an owner may");
    world.project().await;
    assert_eq!(rows().await, (Some(MANY + 3), Some(MANY + 1)));
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_parks_one_projection_and_the_others_go_on() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    world.project().await;
    // An entry of a newer program, as far as this one can tell.
    let mut owner = world.database.owner().await;
    sqlx::query(
        "insert into events select tenant_id, position + 1, gen_random_uuid(), stream, version + 1, 'stock.teleported',
             1, recorded_at, payload, metadata, hash from events order by position desc limit 1",
    )
    .execute(&mut owner)
    .await
    .expect("inserted");
    sqlx::query("update ledger_heads set position = position + 1").execute(&mut owner).await.expect("moved");
    world.project().await;
    let parked: Vec<(String, Option<String>)> =
        sqlx::query_as("select model, parked from checkpoints where parked is not null order by 1")
            .fetch_all(world.onhand.pool())
            .await
            .expect("checkpoints can be read");
    let names: Vec<&str> = parked.iter().map(|(model, _)| model.as_str()).collect();
    assert_eq!(names, ["reservations", "stock_levels"]);
    assert!(parked[0].1.as_ref().is_some_and(|why| why.contains("stock.teleported")), "{parked:?}");
    // Only the shelf itself is out of reach; everything else goes on.
    world.stocked(&[("B", 1)]).await;
    let refused = world.admin.post("/api/stock/restock", json!({ "sku": "A", "quantity": 1 })).await;
    assert_eq!(refused.problem(500), "ledger.unreadable");

    // A rebuild cannot read it either: it says where, and leaves the live one alone.
    let shown = world.admin.get("/api/projections").await.expect(200);
    let position = shown["data"].as_array().expect("rows").iter().find(|row| row["name"] == "stock_levels");
    let position = position.and_then(|row| row["position"].as_i64()).expect("it is there") + 1;
    world.admin.post("/api/projections/stock_levels/rebuild", json!({})).await.expect(202);
    rebuild::go_on(&world).await;
    let runs = world.admin.get("/api/rebuilds?projection=stock_levels&status=failed").await.expect(200);
    let failure = runs["data"][0]["failure"].as_str().expect("it failed").to_owned();
    assert!(failure.contains(&format!("position {position} ")), "{failure}");
    assert!(failure.contains("stock.teleported"), "{failure}");
    assert_eq!(world.history().await.last().map(String::as_str), Some("administration.rebuild_failed"));
    assert_eq!(world.levels().await["A"], (5, 0, 5));
}
