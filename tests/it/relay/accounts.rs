//! Accounts: credentials that nobody gets to see, tokens that are renewed in time, and how each account is found to fare.

use chrono::TimeDelta;
use onhand_domain::connection::Platform;
use onhand_tests::{
    World,
    channels::{self, Channel, Setup, TOKEN},
    process,
};
use serde_json::json;

use super::{restock, step, times};

/// Stands in a credential and nowhere else.
const CANARY: &str = "ca9a4y";

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_stands_anywhere_in_the_clear() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let more = json!({
        "access_token": format!("{CANARY}:{CANARY}"), "refresh_token": CANARY, "app_secret": CANARY,
        "webhook_secret": CANARY.repeat(6), // A key in base64, too, for platforms that want one.
    });
    let mut told = String::new();
    for platform in [
        Platform::Square,
        Platform::Clover,
        Platform::Shopee,
        Platform::TiktokShop,
        Platform::Trackstar,
        Platform::Woocommerce,
    ] {
        let setup = Setup { more: more.clone(), ..Setup::default() };
        let channel = Channel::open_with(&world, platform, &["RUN-42"], &setup).await;
        let path = format!("/api/connections/{}/test", channel.connection);
        told += &world.admin.post(&path, json!({})).await.body.to_string();
        let path = format!("/api/connections/{}/subscriptions", channel.connection);
        told += &world.admin.post(&path, json!({})).await.body.to_string();
    }
    // Each refuses the credentials, in words of its own; what it says is kept and shown.
    restock(&world, "RUN-42", 1).await;
    step(&world).await;
    while world.onhand.operations.renew().await.expect("renewals are tried") {}
    world.clock.advance(TimeDelta::hours(5));
    while world.onhand.operations.renew().await.expect("renewals are tried") {}
    told += &world.admin.post("/api/sync", json!({ "dryRun": true })).await.body.to_string();
    for path in ["/api/connections", "/api/sync/health", "/api/outbox", "/api/audit", "/api/listings"] {
        told += &world.admin.get(path).await.expect(200).to_string();
    }
    assert!(!told.contains(CANARY), "an answer tells a credential");

    let tables: Vec<(String,)> = sqlx::query_as(
        "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables
         where schemaname in ('public', 'rebuild')",
    )
    .fetch_all(world.onhand.pool())
    .await
    .expect("tables are listed");
    assert!(tables.len() > 20);
    for (table,) in tables {
        let sql = format!("select count(*) from {table} t where t::text like '%{CANARY}%'");
        let (found,): (i64,) = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .fetch_one(world.onhand.pool())
            .await
            .expect("a table is searched");
        assert_eq!(found, 0, "a credential stands in {table}");
    }
    let (sealed,): (i64,) =
        sqlx::query_as("select count(*) from connection_secrets where name = 'refresh_token'")
            .fetch_one(world.onhand.pool())
            .await
            .expect("secrets are counted");
    assert_eq!(sealed, 6, "and yet they are there, sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_end_are_renewed_in_time_by_one_of_two_processes() {
    let world = World::new().await;
    let twin = world.twin().await;
    channels::stock(&world, &["RUN-42"], 7, None).await;
    for platform in [Platform::Square, Platform::Shopee, Platform::TiktokShop, Platform::Clover] {
        let more =
            json!({ "refresh_token": "renewal-of-the-shop", "access_token_expires_in_seconds": 14_400 });
        let setup = Setup { more, ..Setup::default() };
        let channel = Channel::open_with(&world, platform, &["RUN-42"], &setup).await;
        world.converge().await;
        assert!(!world.onhand.operations.renew().await.expect("renewals are tried"), "{platform}: not yet");
        world.clock.advance(TimeDelta::hours(3) + TimeDelta::minutes(13));
        let (one, other) = tokio::join!(world.onhand.operations.renew(), twin.onhand.operations.renew());
        let renewed = [one, other].map(|done| done.expect("renewals are tried"));
        assert_eq!(renewed.iter().filter(|renewed| **renewed).count(), 1, "{platform}: {renewed:?}");
        assert_ne!(channel.sandbox.settings().access_token, TOKEN, "{platform}: the old one is over");
        restock(&world, "RUN-42", 1).await;
        world.converge().await;
        let available = world.levels().await["RUN-42"].2;
        assert_eq!(channel.quantity("RUN-42"), available, "{platform}: calls are made with the new one");
        // One after the other, or the others' renewals would be due, too.
        let path = format!("/api/connections/{}/disable", channel.connection);
        world.admin.post(&path, json!({})).await.expect(200);
        sqlx::query("delete from renewals").execute(world.onhand.pool()).await.expect("no more of them");
    }
    assert_eq!(times(&world, "connection.secrets_rotated").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_fails_after_its_credentials_are_kept_does_the_rest_at_its_next_attempt() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, None).await;
    let more = json!({ "refresh_token": "renewal-of-the-shop", "access_token_expires_in_seconds": 14_400 });
    let setup = Setup { more, ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Clover, &["RUN-42"], &setup).await;
    world.converge().await;
    channel.faults().down(true);
    restock(&world, "RUN-42", 1).await;
    for _ in 0..10 {
        step(&world).await;
        world.clock.advance(TimeDelta::seconds(30));
    }
    channel.faults().down(false);
    let path = format!("/realtime-sync/status/{}", channel.connection);
    let breaker = async || world.admin.get(&path).await.expect(200)["breaker"].clone();
    assert_eq!(breaker().await, "open");
    // A sequence is not turned back with the statement that has failed.
    sqlx::raw_sql(
        "create sequence attempts;
         create function stumble_once() returns trigger language plpgsql security definer as
             $$ begin if nextval('attempts') = 1 then raise exception 'not now'; end if; return new; end $$;
         create trigger stumble before update on breakers for each row
             when (old.state = 'open' and new.state = 'closed') execute function stumble_once()",
    )
    .execute(&mut world.database.owner().await)
    .await
    .expect("an owner may");
    world.clock.advance(TimeDelta::hours(3) + TimeDelta::minutes(13));
    assert!(world.onhand.operations.renew().await.expect("renewals are tried"));
    assert_eq!(breaker().await, "closed", "what the platform had against the old ones is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_sealed_anew_and_the_old_key_is_not_needed_any_more() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, None).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    let new = "new:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=".to_owned();
    let both = world.with_keys(format!("{new},{}", onhand_tests::process::master_keys())).await;
    let sealed = both.onhand.operations.reencrypt_secrets(|_, _| {}).await.expect("all of them open");
    assert!(sealed >= 3, "{sealed}");
    assert_eq!(both.onhand.operations.reencrypt_secrets(|_, _| {}).await.expect("none is left"), 0);
    assert_eq!(times(&world, "administration.secrets_reencrypted").await, 1, "it is on record, once");

    let only_new = world.with_keys(new).await;
    only_new.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 7);
}

#[tokio::test]
async fn of_two_who_seal_anew_at_once_each_counts_what_it_has_sealed_itself() {
    let world = World::new().await;
    for platform in [Platform::Square, Platform::Clover] {
        world.connect_to(platform, json!({})).await;
    }
    let keys = format!("new:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=,{}", process::master_keys());
    let (one, other) = (world.with_keys(keys.clone()).await, world.with_keys(keys).await);
    let (there,): (i64,) = sqlx::query_as(
        "select (select count(*) from connection_secrets where key_id <> 'new')
              + (select count(*) from signing_keys where key_id <> 'new')
              + (select count(*) from person_keys where key_id <> 'new')",
    )
    .fetch_one(world.onhand.pool())
    .await
    .expect("they can be counted");
    let (one, other) = tokio::join!(
        one.onhand.operations.reencrypt_secrets(|_, _| {}),
        other.onhand.operations.reencrypt_secrets(|_, _| {})
    );
    let told = one.expect("all of them open") + other.expect("all of them open");
    assert_eq!(told, there);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_found_to_answer_or_told_what_is_wrong() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    world.converge().await;
    let test = format!("/realtime-sync/test/{}", channel.connection);
    assert_eq!(world.admin.post(&test, json!({})).await.expect(200)["status"], "pass");
    let disable = format!("/api/connections/{}/disable", channel.connection);
    world.admin.post(&disable, json!({})).await.expect(200);
    let passed = world.admin.post(&test, json!({})).await.expect(200);
    let detail = "it shows quantity 7 and price 100.00 USD of a listing";
    assert_eq!(
        (&passed["status"], &passed["detail"]),
        (&json!("pass"), &json!(detail)),
        "switched off or not"
    );
    channel.faults().down(true);
    let failed = world.admin.post(&test, json!({})).await.expect(200);
    assert_eq!(failed["status"], "fail");
    assert!(failed["detail"].as_str().is_some_and(|detail| detail.contains("503")), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_what_waits_and_an_alert_is_raised_once_and_cleared() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let channel = Channel::open(&world, Platform::Woocommerce, &["RUN-42"]).await;
    world.converge().await;
    let watch = async || world.onhand.operations.watch_connections().await.expect("connections are watched");
    let health = async || world.admin.get("/api/sync/health").await.expect(200);
    watch().await;
    let well = health().await;
    assert_eq!(well["status"], "pass", "{well}");
    assert_eq!((&well["connections"][0]["queued"], &well["connections"][0]["dead"]), (&json!(0), &json!(0)));
    assert!(well["connections"][0]["lag_p95_ms"].is_i64(), "{well}");

    channel.faults().down(true);
    restock(&world, "RUN-42", 1).await;
    for _ in 0..10 {
        step(&world).await;
        world.clock.advance(TimeDelta::seconds(30));
        watch().await;
    }
    let ill = health().await;
    assert_eq!(
        (&ill["status"], &ill["connections"][0]["breaker"]),
        (&json!("warn"), &json!("open")),
        "{ill}"
    );
    assert_eq!(ill["connections"][0]["amiss"], json!(["lag"]));
    assert!(ill["connections"][0]["oldest_queued_seconds"].as_i64() > Some(180));
    assert_eq!(times(&world, "connection.alert_raised").await, 1);
    let lag = world.admin.get("/api/sync/lag/kite").await.expect(200);
    assert!(lag["lag_seconds"].as_i64() > Some(180), "{lag}");
    let status = world.admin.get(&format!("/realtime-sync/status/{}", channel.connection)).await.expect(200);
    assert_eq!(status["breaker"], "open");

    channel.faults().down(false);
    world.converge().await;
    assert_eq!(health().await["connections"][0]["queued"], 0);
    // What took so long counts for a quarter of an hour.
    world.clock.advance(TimeDelta::minutes(16));
    watch().await;
    assert_eq!(times(&world, "connection.alert_cleared").await, 1);
    assert_eq!(health().await["status"], "pass");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_told_because_its_account_is_off_is_not_late() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let channel = Channel::open(&world, Platform::Woocommerce, &["RUN-42"]).await;
    world.converge().await;
    let behind = async || {
        let lag = world.admin.get("/api/sync/lag/kite").await.expect(200);
        lag["lag_seconds"].as_i64().expect("a number")
    };
    let turn = async |to: &str| {
        let path = format!("/api/connections/{}/{to}", channel.connection);
        world.admin.post(&path, json!({})).await.expect(200);
    };
    restock(&world, "RUN-42", 1).await;
    world.clock.advance(TimeDelta::minutes(20));
    assert!(behind().await >= 1_200);
    for (to, late) in [("pause", false), ("resume", true), ("disable", false)] {
        turn(to).await;
        assert_eq!(behind().await > 0, late, "{to}");
    }
    // It comes to its turn, and nothing is owed any more.
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 7);
    turn("enable").await;
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 8);
    assert!(behind().await < 60, "nobody was shown anything late");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_of_credentials_that_are_not_renewed_until_others_are_given() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, Some("100.00")).await;
    let more = json!({ "refresh_token": "a-wrong-one", "access_token_expires_in_seconds": 14_400 });
    let setup = Setup { more, ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Clover, &["RUN-42"], &setup).await;
    world.converge().await;
    let health = async || world.admin.get("/api/sync/health").await.expect(200);
    assert_eq!(health().await["status"], "pass");

    world.clock.advance(TimeDelta::hours(4));
    assert!(world.onhand.operations.renew().await.expect("renewals are tried"));
    step(&world).await;
    let ill = health().await;
    assert_eq!(ill["connections"][0]["alerts"], json!(["renewal"]), "{ill}");
    assert_eq!((&ill["status"], &ill["connections"][0]["amiss"]), (&json!("warn"), &json!([])), "{ill}");

    let path = format!("/api/connections/{}/secrets", channel.connection);
    world.admin.put(&path, json!({ "refresh_token": "renewal-of-the-shop" })).await.expect(200);
    step(&world).await;
    let well = health().await;
    assert_eq!((&well["status"], &well["connections"][0]["alerts"]), (&json!("pass"), &json!([])), "{well}");
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_asked_for_when_a_connection_is_switched_on_and_ended_when_it_is_switched_off() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, None).await;
    for platform in [Platform::Square, Platform::Shopee, Platform::TiktokShop, Platform::Woocommerce] {
        let channel = Channel::open(&world, platform, &["RUN-42"]).await;
        let operations = &world.onhand.operations;
        let caller = || {
            let context = onhand_infrastructure::ledger::Context::internal(world.tenant, "test");
            onhand_infrastructure::operations::Caller::new(context)
        };
        let public = Some("https://onhand.example");
        for _ in 0..2 {
            operations.enable_connection(caller(), channel.id(), public).await.expect("it is switched on");
        }
        let path = format!("/api/connections/{}/subscriptions", channel.connection);
        let known = world.admin.post(&path, json!({})).await.expect(200);
        let known = known["data"].as_array().expect("a list").clone();
        let address = format!("https://onhand.example/webhook/{platform}/{}", channel.connection);
        assert!(!known.is_empty(), "{platform}");
        assert!(known.iter().all(|it| it["address"] == address.as_str()), "{platform}: {known:?}");
        let mut topics: Vec<_> = known.iter().map(|it| it["topic"].to_string()).collect();
        topics.sort();
        let all = topics.len();
        topics.dedup();
        assert_eq!(topics.len(), all, "{platform}: once each");
        operations.disable_connection(caller(), channel.id(), public).await.expect("it is switched off");
        let known = world.admin.post(&path, json!({})).await.expect(200);
        assert_eq!(known["data"], json!([]), "{platform}");
    }
    assert_eq!(times(&world, "administration.webhooks_asked_for").await, 8, "each time is on record");
}
