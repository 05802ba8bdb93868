//! Allowances: an account is called as often as its platform grants, whoever calls, and none keeps another waiting.

use std::time::Duration;

use chrono::TimeDelta;
use onhand_domain::{connection::Platform, values::ConnectionId};
use onhand_infrastructure::{
    outbox::{self, Command, CommandKind, breakers},
    relay::breaker::State,
};
use onhand_tests::{
    World,
    channels::{self, Channel, Setup},
};
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use super::{all_is_done, newest, statuses, step};

fn skus(style: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{style}-{number:03}")).collect()
}

async fn claim(world: &World, each: i64, busy: &[Uuid]) -> Vec<Command> {
    let (pool, now) = (world.onhand.pool(), world.clock.now());
    outbox::claim(pool, now, TimeDelta::seconds(60), each, busy).await.expect("a claim")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_together_keep_to_the_calls_that_a_platform_grants() {
    let world = World::new().await;
    let twin = world.twin().await;
    // More than one relay leases of an account at a time, so that something is left for the other.
    let skus = skus("RUN", 210);
    channels::stock(&world, &skus, 0, None).await;
    let setup = Setup { sizes: 1, calls_a_minute: Some(60), ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Shopee, &skus, &setup).await;
    world.converge().await;
    assert_eq!(channel.calls().made, 0, "nothing is known that could be shown");

    channels::restock(&world, &skus, 7).await;
    let following = world.projecting();
    let (mut together, mut seconds) = (false, 0);
    while channel.quantities().values().any(|quantity| *quantity != 7) {
        let (one, two) = tokio::join!(world.onhand.relay.step(), twin.onhand.relay.step());
        let (one, two) = (one.expect("the relay works"), two.expect("the relay works"));
        together |= one > 0 && two > 0;
        seconds += 1;
        assert!(seconds < 1_000, "not all is shown: {:?}", channel.calls());
        world.clock.advance(TimeDelta::seconds(1));
    }
    drop(following);
    world.converge().await;
    assert!(together, "both had something in hand at the same time");
    let calls = channel.calls();
    assert_eq!(calls.throttled, 0, "{calls:?}");
    assert!(calls.most_a_minute <= 60 && calls.made >= 210, "{calls:?}");
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_to_wait_is_called_no_more_until_then_and_no_attempt_is_used_up() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 0, None).await;
    let setup = Setup { calls_a_minute: Some(1), ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Woocommerce, &["RUN-42"], &setup).await;
    world.converge().await;
    channels::restock(&world, &["RUN-42"], 5).await;
    step(&world).await;
    assert_eq!((channel.quantity("RUN-42"), channel.calls().made), (5, 1));

    // The second call of the minute is answered 429, with the time at which the minute ends.
    channels::restock(&world, &["RUN-42"], 1).await;
    step(&world).await;
    assert_eq!((channel.calls().made, channel.calls().throttled), (2, 1));
    for _ in 0..5 {
        assert_eq!(step(&world).await, 0);
    }
    assert_eq!(channel.calls().made, 2);
    assert_eq!(newest(&world).await, ("pending".to_owned(), 0));
    let breaker = breakers::of(world.onhand.pool(), world.tenant, channel.id()).await.expect("it is known");
    assert_eq!((breaker.state, breaker.failures.len()), (State::Closed, 0));
    assert!(breaker.held_until.is_some_and(|until| until > world.clock.now()), "{breaker:?}");
    let told = async || {
        let health = world.admin.get("/api/sync/health").await.expect(200);
        health["connections"][0]["held_until"].clone()
    };
    assert!(told().await.is_string());

    world.clock.advance(TimeDelta::seconds(61));
    assert!(told().await.is_null(), "nothing is held any more");
    step(&world).await;
    assert_eq!((channel.quantity("RUN-42"), channel.calls().made), (6, 3));
    assert_eq!(newest(&world).await, ("done".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_much_to_do_keeps_no_other_waiting() {
    let world = World::new().await;
    let (many, few) = (skus("RUN", 300), skus("WALK", 2));
    channels::stock(&world, &many, 0, None).await;
    channels::stock(&world, &few, 0, None).await;
    let busy = Channel::open(&world, Platform::Square, &many).await;
    let idle = Channel::open(&world, Platform::Clover, &few).await;
    world.converge().await;
    channels::restock(&world, &many, 1).await;
    channels::restock(&world, &few, 1).await;

    let of = |leased: &[Command], channel: &Channel| {
        leased.iter().filter(|command| command.connection == channel.id()).count()
    };
    let leased = claim(&world, 50, &[]).await;
    assert_eq!((of(&leased, &busy), of(&leased, &idle)), (50, 2), "though all of the one was owed first");
    // While it is being called, however slow it is, nothing more is leased for it.
    assert!(claim(&world, 50, &[busy.id().0]).await.is_empty());
    let leased = claim(&world, 50, &[idle.id().0]).await;
    assert_eq!((of(&leased, &busy), of(&leased, &idle)), (50, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_goes_before_prices_that_were_owed_earlier() {
    let world = World::new().await;
    let skus = skus("RUN", 3);
    channels::stock(&world, &skus, 0, None).await;
    let _channel = Channel::open(&world, Platform::Square, &skus).await;
    world.converge().await;
    for sku in &skus {
        channels::price(&world, sku, "100.00").await;
    }
    channels::restock(&world, &skus, 5).await;
    let kinds: Vec<CommandKind> = claim(&world, 2, &[]).await.iter().map(|command| command.kind).collect();
    assert_eq!(kinds, [CommandKind::Quantity, CommandKind::Quantity, CommandKind::Price, CommandKind::Price]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_calls_come_to_an_end_spends_the_last_of_them_on_stock() {
    let world = World::new().await;
    let skus = skus("RUN", 5);
    channels::stock(&world, &skus, 0, None).await;
    let setup = Setup { sizes: 1, ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Shopee, &skus, &setup).await;
    world.converge().await;
    // Of the ten thousand calls of a day, which ends at midnight in UTC+8, three are left.
    sqlx::query(
        "insert into budgets (tenant_id, connection_id, within_ms, earned_at, day, used)
         values ($1, $2, 86400000, $3::timestamptz,
                 (($3::timestamptz at time zone 'UTC') + interval '8 hours')::date, 9997)",
    )
    .bind(world.tenant.0)
    .bind(channel.id().0)
    .bind(world.clock.now())
    .execute(world.onhand.pool())
    .await
    .expect("a budget can be written");
    for sku in &skus {
        channels::price(&world, sku, "100.00").await;
    }
    channels::restock(&world, &skus, 5).await;

    step(&world).await;
    let shown = |is: fn(&(i64, i64)) -> bool| channel.shows().values().filter(|shown| is(shown)).count();
    assert_eq!((shown(|it| it.0 == 5), shown(|it| it.1 == 10_000)), (3, 0));
    assert_eq!(channel.calls().made, 3, "the others were not even tried");
    // On the next day the rest follows.
    world.converge().await;
    assert_eq!(shown(|it| *it == (5, 10_000)), 5);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_at_rest_keeps_what_is_owed_and_shows_it_when_it_goes_on() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 0, None).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    world.converge().await;
    let path = |what: &str| format!("/api/connections/{}/{what}", channel.connection);
    world.admin.post(&path("pause"), json!({})).await.expect(200);
    channels::restock(&world, &["RUN-42"], 5).await;
    for _ in 0..3 {
        assert_eq!(step(&world).await, 0);
        world.clock.advance(TimeDelta::minutes(10));
    }
    assert_eq!((channel.quantity("RUN-42"), channel.calls().made), (0, 0));
    assert_eq!(newest(&world).await, ("pending".to_owned(), 0));

    world.admin.post(&path("resume"), json!({})).await.expect(200);
    step(&world).await;
    assert_eq!(channel.quantity("RUN-42"), 5);
    assert_eq!(newest(&world).await, ("done".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_in_trouble_is_told_nothing_more_until_that_is_noted() {
    let world = World::new().await;
    // More than two groups, so that something could be told while the first is recorded.
    let skus = skus("RUN", 450);
    channels::stock(&world, &skus, 0, None).await;
    let setup = Setup { sizes: 150, ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Woocommerce, &skus, &setup).await;
    world.converge().await;
    channels::restock(&world, &skus, 7).await;
    world.project().await;
    let before = channel.calls().made;
    channel.faults().throttle_next(1_000, true);
    let (going_on, stop) = watch::channel(false);
    let relay = tokio::spawn(world.onhand.relay.clone().run(stop));
    let held = async {
        while !is_held(&world, channel.id()).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), held)
        .await
        .expect("the account is asked to wait, and does");
    going_on.send(true).expect("it is at work");
    relay.await.expect("it stops");
    let called = channel.calls().made - before;
    assert!(called <= 9, "the first two hundred come in nine calls at most, and {called} were made");

    channel.faults().clear();
    world.converge().await;
    assert!(channel.quantities().values().all(|quantity| *quantity == 7));
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
}

async fn is_held(world: &World, connection: ConnectionId) -> bool {
    let breaker = breakers::of(world.onhand.pool(), world.tenant, connection).await;
    breaker.expect("breakers can be read").held_until.is_some_and(|until| until > world.clock.now())
}
