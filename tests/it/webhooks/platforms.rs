//! Every platform through the same door.

use axum::body::Body;
use futures_util::future::join_all;
use onhand_domain::connection::Platform;
use onhand_infrastructure::platforms::adapter_of;
use onhand_tests::{World, sample::Delivery};
use serde_json::json;
use uuid::Uuid;

/// Platforms whose secret does not cover the body.
fn signs_no_body(platform: Platform) -> bool {
    matches!(platform, Platform::Clover | Platform::Tradingview)
}

#[tokio::test]
async fn what_each_platform_sends_is_let_in_once_and_a_changed_byte_is_not() {
    let world = World::new().await;
    world.stocked(&[("SAMPLE-42", 10)]).await;
    for platform in Platform::ALL {
        let connection = world.connect_to(platform, json!({})).await;
        for topic in adapter_of(platform).topics() {
            let sent = Delivery::new(&world, platform, &connection, topic, "SAMPLE-42", Uuid::now_v7());
            let first = sent.send(&world.admin).await;
            assert_eq!(first.status, 200, "{platform} {topic}: {}", first.body);
            let again = sent.send(&world.admin).await;
            assert_eq!(again.status, 200, "{platform} {topic}: {}", again.body);

            let mut forged = sent.clone();
            let middle = forged.body.len() / 2;
            forged.body[middle] ^= 1;
            let forged = forged.send(&world.admin).await;
            assert!(signs_no_body(platform) || forged.status == 401, "{platform} {topic}: {}", forged.body);

            let path = format!("/webhook/{platform}/{}", Uuid::now_v7());
            let stray = Delivery { path, ..sent }.send(&world.admin).await;
            assert_eq!(stray.problem(404), "connection.unknown");
        }
    }
    world.project().await;
    let (all, repeated): (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where attempts > 1) from deliveries where status = 'completed'",
    )
    .fetch_one(world.onhand.pool())
    .await
    .expect("deliveries are counted");
    assert!(all > 40, "{all}");
    assert_eq!(repeated, 0, "none is acted on twice");
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn platforms_that_count_a_body_as_a_failure_get_none() {
    let world = World::new().await;
    for (platform, topic) in
        [(Platform::Shopee, "order_status"), (Platform::TiktokShop, "order_status_change")]
    {
        let connection = world.connect_to(platform, json!({})).await;
        let sent = Delivery::new(&world, platform, &connection, topic, "X", Uuid::now_v7());
        let answer = sent.send(&world.admin).await;
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &serde_json::Value::Null));
    }
}

#[tokio::test]
async fn two_merchants_in_one_post_are_taken_in_each_by_its_own_connection() {
    let world = World::new().await;
    let one = world.connect_to(Platform::Clover, json!({ "account": "M1" })).await;
    world.connect_to(Platform::Clover, json!({ "account": "M2" })).await;
    let change = |id: &str| json!([{ "objectId": id, "type": "UPDATE", "ts": 1_790_000_000_000_i64 }]);
    let body = json!({ "appId": "A", "merchants": { "M1": change("I:ITEM1"), "M2": change("I:ITEM2") } });
    let headers = [("x-clover-auth", onhand_tests::sample::SIGNING_SECRET)];
    let path = format!("/webhook/clover/{one}");
    let answer = world.admin.send("POST", &path, &headers, Body::from(body.to_string())).await;
    answer.expect(200);
    let due: Vec<(String, String)> = sqlx::query_as(
        "select c.account, f.external from follow_ups f join connections c on c.id = f.connection_id order by 1",
    )
    .fetch_all(world.onhand.pool())
    .await
    .expect("follow-ups can be read");
    assert_eq!(due, [("M1".to_owned(), "ITEM1".to_owned()), ("M2".to_owned(), "ITEM2".to_owned())]);
}

#[tokio::test]
async fn an_alert_becomes_a_signal_that_a_consumer_reads_in_order_and_its_secret_is_kept_nowhere() {
    let world = World::new().await;
    let connection =
        world.connect_to(Platform::Tradingview, json!({ "webhook_secret": "pine-secret-kite" })).await;
    for price in [1, 2, 3] {
        let body = json!({ "secret": "pine-secret-kite", "ticker": "KITE", "price": price, "timenow": "2026-11-01T12:00:00Z" });
        let answer = world.admin.with_key(None).post("/api/webhooks/tradingview", body).await.expect(200);
        assert_eq!(answer["status"], "processed");
    }
    let plain = "KITE crossing 140";
    let path = "/api/webhooks/tradingview/pine-secret-kite";
    world.admin.with_key(None).send("POST", path, &[], Body::from(plain)).await.expect(200);
    let wrong =
        world.admin.with_key(None).send("POST", "/api/webhooks/tradingview/no", &[], Body::from(plain)).await;
    assert_eq!(wrong.problem(401), "webhook.rejected");

    let path = |after: i64| format!("/api/signals?connection={connection}&limit=2&after={after}");
    let first = world.admin.get(&path(0)).await.expect(200);
    let second = world.admin.get(&path(first["after"].as_i64().expect("a position"))).await.expect(200);
    let prices = |page: &serde_json::Value| {
        let rows = page["data"].as_array().expect("signals").clone();
        rows.iter().map(|row| row["payload"]["price"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(prices(&first), [json!(1), json!(2)]);
    assert_eq!(prices(&second)[0], json!(3));
    assert_eq!(second["data"][1]["payload"]["text"], plain);
    let (leaks,): (i64,) = sqlx::query_as(
        "select (select count(*) from events where payload::text like '%pine-secret-kite%')
              + (select count(*) from delivery_bodies where position('pine-secret-kite'::bytea in body) > 0
                                                         or headers::text like '%pine-secret-kite%')",
    )
    .fetch_one(world.onhand.pool())
    .await
    .expect("secrets are looked for");
    assert_eq!(leaks, 0);
}

#[tokio::test]
async fn a_secret_is_kept_nowhere_however_an_alert_spells_it() {
    let world = World::new().await;
    let secret = "gruß-schlüssel&<1>";
    let connection = world.connect_to(Platform::Tradingview, json!({ "webhook_secret": secret })).await;
    let escaped = r"gru\u00df-schl\u00FCssel\u0026\u003c1\u003e";
    let in_address = "gru%C3%9F-schl%c3%bcssel%26%3C1%3E";
    let path = format!("/api/webhooks/tradingview/{in_address}");
    for body in [
        format!(r#"{{"secret":"{secret}","ticker":"A","note":"it is {secret}"}}"#),
        format!(r#"{{"secret":"{escaped}","ticker":"B","note":"it is {escaped}"}}"#),
        format!(r#"{{"ticker":"C","{escaped}":1,"note":"it is https://tv.example/{in_address}"}}"#),
        format!("ticker=D it is {secret}"),
    ] {
        let headers = [("x-original-uri", &*path)];
        let anybody = world.admin.with_key(None);
        anybody.send("POST", &path, &headers, Body::from(body)).await.expect(200);
    }
    world.project().await;
    let listed = world.admin.get("/api/deliveries").await.expect(200);
    let listed = listed["data"].as_array().expect("rows").clone();
    assert_eq!(listed.len(), 4);
    for delivery in listed {
        let id = delivery["id"].as_str().expect("an id").to_owned();
        let shown = world.admin.get(&format!("/api/deliveries/{id}")).await.expect(200);
        assert!(shown["body"].as_str().is_some_and(|body| body.contains("it is ")), "{shown}");
        assert!(!shown.to_string().contains("schl"), "{shown}");
    }
    let signals = world.admin.get(&format!("/api/signals?connection={connection}")).await.expect(200);
    assert!(!signals.to_string().contains("schl"), "{signals}");
    for (place, subject) in ["A", "B", "C", "D"].into_iter().enumerate() {
        assert_eq!(signals["data"][place]["subject"], subject, "{signals}");
    }
    let note = signals["data"][1]["payload"]["note"].as_str().expect("a note that is left");
    assert!(note.starts_with("it is ***"), "{note}");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hash_is_made_of_an_alerts_secret_and_under_another_one_it_is_the_same_alert() {
    let world = World::new().await;
    let (old, new) = ("gulls-over-kites-1", "terns-over-kites-2");
    let connection = world.connect_to(Platform::Tradingview, json!({ "webhook_secret": old })).await;
    let send = async |secret: &str, price: i64| {
        let body = json!({
            "secret": secret, "ticker": "KITE", "price": price, "timenow": "2026-11-01T12:00:00Z",
        });
        world.admin.with_key(None).post("/api/webhooks/tradingview", body).await.expect(200)
    };
    let duplicate = json!({ "status": "duplicate" });
    assert_eq!(send(old, 1).await["status"], "processed");
    assert_eq!(send(old, 1).await, duplicate);
    let path = format!("/api/connections/{connection}/secrets");
    world.admin.put(&path, json!({ "webhook_secret": new })).await.expect(200);
    // While they are changed over, both let it in.
    assert_eq!(send(old, 1).await, duplicate);
    assert_eq!(send(new, 1).await, duplicate);
    assert_eq!(send(new, 2).await["status"], "processed");

    world.project().await;
    let (all, of_what_is_kept): (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where d.body_sha256 = encode(sha256(b.body), 'hex') and d.external_id = 'sha256:'
                    || encode(sha256(int8send(5) || 'alert'::bytea || int8send(length(b.body)) || b.body), 'hex'))
         from deliveries d join delivery_bodies b on b.tenant_id = d.tenant_id and b.delivery_id = d.id
         where convert_from(b.body, 'utf8') like '%\"secret\":\"***%'",
    )
    .fetch_one(world.onhand.pool())
    .await
    .expect("hashes are compared");
    assert_eq!((all, of_what_is_kept), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_stands_in_alerts_is_too_long_to_be_a_word_of_theirs() {
    let world = World::new().await;
    let details = |secret: &str| {
        json!({ "platform": "tradingview", "name": "A", "brand": "kite", "currency": "USD",
                "webhook_secret": secret })
    };
    let long = "x".repeat(256);
    for secret in ["buy", "1", "fifteen-letters", long.as_str()] {
        let answer = world.admin.post("/api/connections", details(secret)).await;
        assert_eq!(answer.problem(422), "connection.invalid", "{secret}");
    }
    let made = world.admin.post("/api/connections", details("gulls-over-kites")).await.expect(201);
    let path = format!("/api/connections/{}/secrets", made["id"].as_str().expect("an id"));
    let answer = world.admin.put(&path, json!({ "webhook_secret": "sell" })).await;
    assert_eq!(answer.problem(422), "connection.invalid");
    world.admin.put(&path, json!({ "webhook_secret": &long[1..] })).await.expect(200);
}

#[tokio::test]
async fn an_alert_that_is_nested_too_deep_is_kept_as_words_and_those_after_it_can_be_read() {
    let world = World::new().await;
    let connection =
        world.connect_to(Platform::Tradingview, json!({ "webhook_secret": "pine-secret-kite" })).await;
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for levels in [60, 70, 125, 126, 127, 5_000] {
        let body = format!(r#"{{"secret":"pine-secret-kite","ticker":"KITE","deep":{}}}"#, nested(levels));
        let sent =
            world.admin.with_key(None).send("POST", "/api/webhooks/tradingview", &[], Body::from(body)).await;
        assert_eq!(sent.expect(200)["status"], "processed", "{levels}");
    }
    // A process that has nothing of it in memory.
    let twin = world.twin().await;
    let body = json!({ "secret": "pine-secret-kite", "ticker": "KITE" });
    twin.admin.with_key(None).post("/api/webhooks/tradingview", body).await.expect(200);
    let signals = twin.admin.get(&format!("/api/signals?connection={connection}")).await.expect(200);
    assert_eq!(signals["data"].as_array().map(Vec::len), Some(7));
    world.expect_intact().await;
}

#[tokio::test]
async fn a_secret_that_signs_nothing_is_not_taken_for_one() {
    let world = World::new().await;
    for platform in [Platform::Standard, Platform::Trackstar] {
        let connection = world.connect_to(platform, json!({})).await;
        let path = format!("/api/connections/{connection}/secrets");
        for secret in ["notbase64!!", "whsec_", "whsec_!!!", "whsec_MTExMTE="] {
            let answer = world.admin.put(&path, json!({ "webhook_secret": secret })).await;
            assert_eq!(answer.problem(422), "connection.invalid", "{platform} {secret}");
        }
        // With and without padding.
        for secret in [
            "whsec_dGhpcnR5LXR3byBieXRlcyBhcmUgYSBnb29kIGtleQ==",
            "dGhpcnR5LXR3byBieXRlcyBhcmUgYSBnb29kIGtleQ",
        ] {
            world.admin.put(&path, json!({ "webhook_secret": secret })).await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_changed_over_without_losing_a_webhook() {
    let world = World::new().await;
    let connection = world.connect_to(Platform::Woocommerce, json!({})).await;
    let send = async |id: u128| {
        let sent = Delivery::new(
            &world,
            Platform::Woocommerce,
            &connection,
            "order.created",
            "X",
            Uuid::from_u128(id << 64 | id),
        );
        sent.send(&world.admin).await
    };
    send(1).await.expect(200);
    let path = format!("/api/connections/{connection}/secrets");
    let told = world.admin.put(&path, json!({ "webhook_secret": "new" })).await.expect(200);
    assert_eq!(told["changed"], json!(["webhook_secret", "previous_webhook_secret"]));
    send(2).await.expect(200);
    // Whoever repeats what was not answered ends nothing by it.
    let told = world.admin.put(&path, json!({ "webhook_secret": "new" })).await.expect(200);
    assert_eq!(told["changed"], json!(["webhook_secret"]));
    send(4).await.expect(200);
    world.admin.put(&path, json!({ "webhook_secret": "newer" })).await.expect(200);
    assert_eq!(send(3).await.problem(401), "webhook.rejected");
    assert_eq!(world.admin.put(&path, json!({})).await.problem(422), "connection.invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_50_copies_at_two_processes_one_has_an_effect_whatever_the_platform() {
    let world = World::new().await;
    let twin = world.twin().await;
    world.stocked(&[("SAMPLE-42", 100)]).await;
    for (platform, topic) in [(Platform::Standard, "order.placed"), (Platform::Woocommerce, "order.created")]
    {
        let connection = world.connect_to(platform, json!({})).await;
        let sent = Delivery::new(&world, platform, &connection, topic, "SAMPLE-42", Uuid::now_v7());
        let copies = (0..50).map(|n| sent.send(if n % 2 == 0 { &world.admin } else { &twin.admin }));
        let answers = join_all(copies).await;
        let processed = answers.iter().filter(|answer| answer.body["status"] == "processed").count();
        assert_eq!(processed, 1, "{platform}");
    }
    let history = world.history().await;
    assert_eq!(history.iter().filter(|name| *name == "order.placed").count(), 2);
    world.expect_intact().await;
}
