//! What is let out at once where there is much already: noted by its commit, and owed page by page, by whichever process.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use onhand_domain::connection::Platform;
use onhand_infrastructure::outbox::follow_ups::{self, LET_OUT};
use onhand_tests::{World, channels};
use serde_json::{Value, json};

/// Commands that a page comes to at most.
const PAGE: i64 = 500;
/// Requests that are under way at the same time.
const ABREAST: usize = 50;
const LEASE: TimeDelta = TimeDelta::seconds(60);

/// An account at which nobody answers.
async fn account(world: &World) -> String {
    world.connect_to(Platform::Square, json!({ "endpoint": "http://127.0.0.1:9" })).await
}

async fn send(world: &World, path: &str, bodies: &[Value]) {
    for bodies in bodies.chunks(ABREAST) {
        for answer in join_all(bodies.iter().map(|body| world.admin.post(path, body.clone()))).await {
            assert!(answer.status.is_success(), "{}", answer.body);
        }
    }
}

async fn make(world: &World, products: i64) {
    let product = |number: i64| {
        let variant = json!({ "sku": format!("RUN-{number}") });
        json!({ "title": "Runner", "brand": "kite", "variants": [variant] })
    };
    send(world, "/api/products", &(0..products).map(product).collect::<Vec<_>>()).await;
    world.follow_up().await;
}

async fn map(world: &World, connection: &str, skus: &[String]) {
    let listing = |sku: &String| {
        json!({
            "connection": connection, "external_product": sku, "external_variant": sku, "sku": sku,
        })
    };
    send(world, "/api/listings", &skus.iter().map(listing).collect::<Vec<_>>()).await;
    world.follow_up().await;
}

async fn rules(world: &World, connection: &str, rules: Value) {
    world.admin.put(&format!("/api/connections/{connection}/rules"), rules).await.expect(200);
}

/// One page of each thing that was let out. Says how many commands then wait.
async fn page(world: &World) -> i64 {
    world.onhand.operations.follow_up().await.expect("follow-ups are taken");
    waiting(world).await
}

async fn waiting(world: &World) -> i64 {
    let (waiting,): (i64,) = sqlx::query_as("select count(*) from outbox where status = 'pending'")
        .fetch_one(world.onhand.pool())
        .await
        .expect("the outbox can be read");
    waiting
}

async fn is_looked_for(world: &World) -> bool {
    let (is_looked_for,): (bool,) =
        sqlx::query_as("select exists (select from follow_ups where kind = 'let_out')")
            .fetch_one(world.onhand.pool())
            .await
            .expect("follow-ups can be read");
    is_looked_for
}

#[tokio::test(flavor = "multi_thread")]
async fn products_that_other_rules_let_out_are_owed_page_by_page_whoever_dies_meanwhile() {
    let world = World::new().await;
    let connection = account(&world).await;
    make(&world, PAGE + 30).await;
    rules(&world, &connection, json!({ "propagateCreates": true })).await;
    assert_eq!(waiting(&world).await, 0, "the commit has only noted it");
    assert_eq!(page(&world).await, PAGE);

    // Another process has it in hand, and is never heard of again.
    let taken = follow_ups::claim(world.onhand.pool(), world.clock.now(), LEASE, 16, false).await;
    assert!(taken.expect("a claim").iter().any(|it| it.followed.kind == LET_OUT));
    let twin = world.twin().await;
    assert_eq!(page(&twin).await, PAGE);
    world.clock.advance(LEASE + TimeDelta::seconds(1));
    assert_eq!(page(&twin).await, PAGE + 30);
    assert!(!is_looked_for(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_let_out_anew_is_looked_for_from_the_beginning() {
    let world = World::new().await;
    let connection = account(&world).await;
    make(&world, PAGE + 30).await;
    for _ in 0..2 {
        rules(&world, &connection, json!({})).await;
        rules(&world, &connection, json!({ "propagateCreates": true })).await;
        assert_eq!(page(&world).await, PAGE);
    }
    assert_eq!(page(&world).await, PAGE + 30);
    assert!(!is_looked_for(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_switched_on_again_owes_its_figures_page_by_page() {
    let world = World::new().await;
    let connection = account(&world).await;
    assert!(!is_looked_for(&world).await, "there is nothing that it could be owed to");
    let path = |what: &str| format!("/api/connections/{connection}/{what}");
    world.admin.post(&path("disable"), json!({})).await.expect(200);
    // Each has a quantity and a price.
    let skus: Vec<String> = (0..PAGE / 2 + 30).map(|number| format!("RUN-{number}")).collect();
    channels::stock(&world, &skus, 0, None).await;
    map(&world, &connection, &skus).await;
    assert_eq!(waiting(&world).await, 0);

    world.admin.post(&path("enable"), json!({})).await.expect(200);
    assert_eq!(waiting(&world).await, 0, "the commit has only noted it");
    assert_eq!((page(&world).await, page(&world).await), (PAGE, PAGE + 60));
    assert!(!is_looked_for(&world).await);
}

#[tokio::test]
async fn what_is_in_its_backoff_stays_there_under_other_rules_and_not_if_it_is_asked_for() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 0, None).await;
    let connection = account(&world).await;
    map(&world, &connection, &["RUN-42".to_owned()]).await;
    let mut owner = world.database.owner().await;
    sqlx::query(
        "update outbox set last_error = 'busy', next_attempt_at = next_attempt_at + interval '1 hour'",
    )
    .execute(&mut owner)
    .await
    .expect("the owner may");
    // When the last of its figures is due, and whether they are told whatever is believed to be shown.
    let due = async || -> (DateTime<Utc>, bool) {
        sqlx::query_as("select max(next_attempt_at), bool_and(forced) from outbox where kind <> 'content'")
            .fetch_one(world.onhand.pool())
            .await
            .expect("the outbox can be read")
    };
    let before = due().await;
    rules(&world, &connection, json!({ "safetyBuffer": 1 })).await;
    assert!(is_looked_for(&world).await);
    world.follow_up().await;
    assert!(!is_looked_for(&world).await);
    assert_eq!(due().await, before);
    assert!(!before.1, "nobody has asked for it");

    world.admin.post("/api/sync", json!({})).await.expect(200);
    let (at, forced) = due().await;
    assert!(at < before.0 && forced, "{at}");
}
