//! The database goes away in the middle of the traffic: what was answered 2xx is there once, the rest comes again.
//!
//! With `ONHAND_TRAFFIC_SECONDS=300` it goes on for as long, at half of the rate that the first tenth of the time has shown.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{body::Body, http::HeaderMap};
use futures_util::future::join_all;
use onhand_domain::{connection::Platform, values::ConnectionId};
use onhand_infrastructure::{
    believed::Believed,
    ledger::LedgerError,
    operations::deliveries::{ReceiveError, Request},
};
use onhand_tests::{
    World,
    process::master_keys,
    sample::{Delivery, SIGNING_SECRET},
};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

/// A master key that is not the tests' own.
const OTHER_KEY: &str = "new:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
const SENDERS: u128 = 24;
const MIXED: [(Platform, &str); 4] = [
    (Platform::Shopify, "orders/create"),
    (Platform::Woocommerce, "order.created"),
    (Platform::Standard, "order.placed"),
    (Platform::Kicksdb, "goat.price.updated.usd"),
];

/// How long there is to be traffic, at least.
fn lasting() -> Duration {
    let seconds = std::env::var("ONHAND_TRAFFIC_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

/// How often a sender sends once it is known how much goes through; as often as it can until then.
struct Pace {
    begun: Instant,
    measured: Duration,
    each: OnceLock<Duration>,
}

impl Pace {
    /// Comes back when the next one is to be sent.
    async fn next(&self, answered: usize) {
        if self.measured.is_zero() || self.begun.elapsed() < self.measured {
            return;
        }
        let share = SENDERS as u32 * 2;
        let each =
            self.each.get_or_init(|| self.measured * share / u32::try_from(answered).unwrap_or(u32::MAX));
        tokio::time::sleep(*each).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mixed_traffic_survives_an_outage_with_each_delivery_acted_on_once() {
    let world = World::new().await;
    let twin = world.twin().await;
    world.stocked(&[("SAMPLE-42", 100_000)]).await;
    let mut connections = vec![];
    for (platform, _) in MIXED {
        connections.push(world.connect_to(platform, json!({})).await);
    }
    let (answered, away, over) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicBool::new(false));
    let orders = AtomicUsize::new(0);
    let (begun, lasting) = (Instant::now(), lasting());
    let pace = Pace { begun, measured: lasting / 10, each: OnceLock::new() };
    let senders = join_all((0..SENDERS).map(async |sender| {
        // Until the outage has come and gone, and one round of all platforms beyond it.
        let mut left = MIXED.len();
        for number in 0_u128.. {
            left -= usize::from(over.load(Ordering::Relaxed) && begun.elapsed() >= lasting);
            if left == 0 {
                break;
            }
            pace.next(answered.load(Ordering::Relaxed)).await;
            let which = (sender + number) as usize % MIXED.len();
            let (platform, topic) = MIXED[which];
            let id = Uuid::from_u128(Uuid::now_v7().as_u128() ^ (sender << 32) ^ number);
            let made = Delivery::new(&world, platform, &connections[which], topic, "SAMPLE-42", id);
            let client = if sender % 2 == 0 { &world.admin } else { &twin.admin };
            // As a platform does: until it is taken. What is not taken says so, and says when to come back.
            loop {
                let answer = made.send(client).await;
                if answer.status.is_success() {
                    break;
                }
                assert!([503, 429].contains(&answer.status.as_u16()), "{}: {}", answer.status, answer.body);
                assert!(answer.headers.contains_key("retry-after"), "{}", answer.body);
                away.store(true, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            answered.fetch_add(1, Ordering::Relaxed);
            orders.fetch_add(usize::from(platform != Platform::Kicksdb), Ordering::Relaxed);
        }
    }));
    let outage = async {
        onhand_tests::process::until("a part is answered", async || {
            answered.load(Ordering::Relaxed) > 100 && begun.elapsed() >= lasting / 6
        })
        .await;
        world.database.close().await;
        onhand_tests::process::until("somebody was turned away", async || away.load(Ordering::Relaxed)).await;
        world.database.open().await;
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(senders, outage);

    if let Some(each) = pace.each.get() {
        let seconds = begun.elapsed().as_secs();
        println!("{answered:?} deliveries in {seconds} s; each of {SENDERS} senders sent one every {each:?}");
    }
    let (deliveries, placed, reserved): (i64, i64, i64) = sqlx::query_as(
        "select count(*) filter (where name = 'delivery.completed'), count(*) filter (where name = 'order.placed'),
                count(*) filter (where name = 'stock.reserved') from events",
    )
    .fetch_one(world.onhand.pool())
    .await
    .expect("history can be read");
    assert_eq!(deliveries, answered.load(Ordering::Relaxed) as i64);
    let orders = orders.load(Ordering::Relaxed) as i64;
    assert_eq!((placed, reserved), (orders, orders), "each order holds its unit once");
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_pool_that_is_used_up_is_told_from_a_database_that_is_gone() {
    let world = World::new().await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(100))
        .connect_with(world.database.options.clone())
        .await
        .expect("the database answers");
    let held = pool.acquire().await.expect("nobody else is here");
    let asked = async || {
        let believed = Believed::<u8, u8>::new(Duration::ZERO, 1);
        let answer =
            believed.find_or_ask(&pool, 1, async |_| Ok(pool.acquire().await.map(|_| Some(1))?)).await;
        answer.expect_err("there is one connection, and it is in use")
    };
    let why = asked().await;
    assert!(matches!(why, LedgerError::Busy), "{why:?}");
    world.database.close().await;
    let why = asked().await;
    assert!(matches!(why, LedgerError::Unavailable(_)), "{why:?}");
    drop(held);
}

#[tokio::test]
async fn a_sender_is_not_blamed_where_its_secret_cannot_be_opened() {
    let world = World::new().await;
    world.stocked(&[("SAMPLE-42", 5)]).await;
    let without = world.with_keys(OTHER_KEY.to_owned()).await;
    let unusable = without.onhand.operations.unusable_keys().await.expect("one of each is tried");
    assert!(unusable.is_empty(), "nothing is sealed yet");
    let connection = world.connect_to(Platform::Shopify, json!({})).await;
    let made =
        Delivery::new(&world, Platform::Shopify, &connection, "orders/create", "SAMPLE-42", Uuid::now_v7());
    let forged = Delivery { body: b"{}".to_vec(), ..made.clone() };
    assert_eq!(made.send(&without.admin).await.problem(503), "connection.secret");
    let path = format!("/api/connections/{connection}/subscriptions");
    assert_eq!(without.admin.post(&path, json!({})).await.problem(409), "connection.secret");
    let unusable = without.onhand.operations.unusable_keys().await.expect("one of each is tried");
    assert_eq!(unusable.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["test"]);

    assert_eq!(forged.send(&world.admin).await.problem(401), "webhook.rejected");
    made.send(&world.admin).await.expect(200);
    assert!(world.onhand.operations.unusable_keys().await.expect("one of each is tried").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_secret_that_opens_does_not_stand_for_a_newer_one_that_does_not() {
    let world = World::new().await;
    let other = world.with_keys(OTHER_KEY.to_owned()).await;
    let connection = world.connect_to(Platform::Woocommerce, json!({ "webhook_secret": "the first" })).await;
    let path = format!("/api/connections/{connection}/secrets");
    let told = world.admin.put(&path, json!({ "webhook_secret": "the second" })).await.expect(200);
    assert_eq!(told["changed"], json!(["webhook_secret", "previous_webhook_secret"]));
    let told = other.admin.put(&path, json!({ "webhook_secret": SIGNING_SECRET })).await.expect(200);
    assert_eq!(told["changed"], json!(["webhook_secret"]), "the second does not open there");

    let made =
        Delivery::new(&world, Platform::Woocommerce, &connection, "product.deleted", "X", Uuid::now_v7());
    assert_eq!(made.send(&world.admin).await.problem(503), "connection.secret");
    let id = ConnectionId(connection.parse().expect("an id"));
    assert!(world.onhand.operations.signing(id).await.is_err(), "the first is not what it is signed with");
    made.send(&other.admin).await.expect(200);
}

#[tokio::test]
async fn news_for_an_account_whose_secret_cannot_be_opened_come_again() {
    let world = World::new().await;
    let both = world.with_keys(format!("{OTHER_KEY},{}", master_keys())).await;
    let other = world.with_keys(OTHER_KEY.to_owned()).await;
    let one = world.connect_to(Platform::Clover, json!({ "account": "M1" })).await;
    let two = other.connect_to(Platform::Clover, json!({ "account": "M2" })).await;
    let change = json!([{ "objectId": "I:ITEM1", "type": "UPDATE", "ts": 1_790_000_000_000_i64 }]);
    let body = json!({ "appId": "A", "merchants": { "M1": change, "M2": change } }).to_string();
    let (path, headers) = (format!("/webhook/clover/{one}"), [("x-clover-auth", SIGNING_SECRET)]);
    for (here, enabled, status, merchants) in [
        (&world, true, 503, &["M1"][..]),
        // One that is switched off keeps no other waiting.
        (&world, false, 200, &["M1"][..]),
        (&both, true, 200, &["M1", "M2"][..]),
    ] {
        let switch = if enabled { "enable" } else { "disable" };
        world.admin.post(&format!("/api/connections/{two}/{switch}"), json!({})).await.expect(200);
        let answer = here.admin.send("POST", &path, &headers, Body::from(body.clone())).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
        let due: Vec<(String,)> = sqlx::query_as(
            "select c.account from follow_ups f join connections c on c.id = f.connection_id order by 1",
        )
        .fetch_all(world.onhand.pool())
        .await
        .expect("follow-ups can be read");
        assert_eq!(due.iter().map(|(account,)| account.as_str()).collect::<Vec<_>>(), merchants);
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_opened_lets_nobody_in_and_is_not_tried_without_end() {
    let world = World::new().await;
    let other = world.with_keys(OTHER_KEY.to_owned()).await;
    let busy = world.with_webhook_rate(3).await;
    let connection = other.connect_to(Platform::Clover, json!({})).await;
    let id = ConnectionId(connection.parse().expect("an id"));
    // Nothing is signed before there is a secret; here there is one.
    let handshake = Request {
        headers: HeaderMap::new(),
        body: br#"{"verificationCode":"x"}"#.as_slice().into(),
        url: format!("http://localhost/webhook/clover/{connection}"),
        source_address: Some([192, 0, 2, 7].into()),
        correlation_id: String::new(),
        traceparent: None,
    };
    let answer = async || {
        let answer = busy.onhand.operations.receive(Platform::Clover, Some(id), handshake.clone()).await;
        answer.expect_err("it is not let in")
    };
    let mut answers = vec![];
    for _ in 0..8 {
        answers.push(answer().await);
    }
    assert!(matches!(answers.first(), Some(ReceiveError::Sealed)), "{answers:?}");
    assert!(answers.iter().any(|answer| matches!(answer, ReceiveError::Limited(_))), "{answers:?}");
}
