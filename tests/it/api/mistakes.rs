//! Mistakes of callers: each is told as one, says where it is, and is not taken for something else.

use axum::body::Body;
use onhand_tests::World;
use serde_json::{Value, json};

#[tokio::test]
async fn a_time_beyond_the_years_of_four_digits_is_the_callers_mistake() {
    let world = World::new().await;
    for time in ["-262143-01-01T00:00:00Z", "-5000-01-01T00:00:00Z", "%2B200000-01-01T00:00:00Z"] {
        for path in [
            format!("/api/deliveries/figures?until={time}"),
            format!("/api/deliveries/figures?from={time}"),
            format!("/api/deliveries?from={time}"),
            format!("/api/dead-letters?until={time}"),
        ] {
            assert_eq!(world.admin.get(&path).await.problem(400), "query.invalid", "{path}");
        }
    }
    // As early as it may be, an hour before it is still a time.
    world.admin.get("/api/deliveries/figures?until=0000-01-01T00:00:00Z").await.expect(200);
    let before = json!({ "before": "-5000-01-01T00:00:00Z" });
    assert_eq!(world.admin.post("/api/dead-letters/replay", before).await.problem(400), "body.invalid");
    // A text that no database takes is no failure of ours either.
    let topic = json!({ "topic": "\0" });
    assert_eq!(world.admin.post("/api/dead-letters/replay", topic).await.problem(400), "filter.invalid");
    let made = json!({ "title": "B", "variants": [{ "sku": "B" }] });
    let made = world.admin.post("/api/products", made).await.expect(201);
    let path = format!("/api/products/{}", made["id"].as_str().expect("an id"));
    let brand = json!({ "title": "B", "brand": "\0" });
    let refused = world.admin.put(&path, brand).await;
    assert!(
        refused.body["detail"].as_str().is_some_and(|detail| detail.contains("brand")),
        "{}",
        refused.body
    );
    assert_eq!(refused.problem(422), "text.nul");
}

#[tokio::test]
async fn a_market_or_an_attribute_that_stands_twice_is_refused_and_neither_is_taken() {
    let world = World::new().await;
    let price = |amount: &str| format!(r#""US":{{"amount":"{amount}","currency":"USD"}}"#);
    let twice = [
        (format!(r#""prices":{{{},{}}}"#, price("1.00"), price("2.00")), "US"),
        (r#""attributes":{"size":"9","size":"10"}"#.to_owned(), "size"),
    ];
    for (fields, name) in twice {
        let body = format!(r#"{{"title":"A","variants":[{{"sku":"A",{fields}}}]}}"#);
        let answer = world.admin.send("POST", "/api/products", &[], Body::from(body)).await;
        let detail = answer.body["detail"].as_str().expect("a detail").to_owned();
        assert_eq!(answer.problem(400), "body.invalid");
        assert!(detail.contains(&format!("duplicate field `{name}`")), "{detail}");
    }
    assert_eq!(world.admin.get("/api/products").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn what_our_own_statements_get_wrong_is_no_mistake_of_the_callers() {
    let world = World::new().await;
    sqlx::raw_sql(
        "create function overflow() returns trigger language plpgsql as
             $$ begin raise exception 'out of range' using errcode = '22003'; end $$;
         create trigger overflow before update on follow_ups for each statement execute function overflow()",
    )
    .execute(&mut world.database.owner().await)
    .await
    .expect("an owner may");
    let body = json!({ "follow_ups": true });
    assert_eq!(world.admin.post("/api/dead-letters/replay", body).await.problem(500), "database.failed");
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_told_with_its_place() {
    let world = World::new().await;
    let line = json!({ "sku": "A", "quantity": 1 });
    let cases = [
        (
            "/api/stock/restock",
            json!({ "sku": "A", "quantity": 1, "occurred_at": "2026-01-02" }),
            "occurred_at: ",
            "a time such as",
        ),
        ("/api/stock/adjust", json!({ "sku": "A", "delta": "1", "reason": "?" }), "delta: ", "string"),
        (
            "/api/reservations",
            json!({ "lines": [line, { "sku": "A", "quantity": "1" }] }),
            "lines[1].quantity: ",
            "string",
        ),
        (
            "/api/connections",
            json!({ "platform": "square", "name": "n", "brand": "b", "currency": "usd" }),
            "currency: ",
            "usd",
        ),
        (
            "/api/connections",
            json!({ "platform": "square", "name": "n", "brand": "b", "currency": "USD", "acess_token": "t" }),
            "acess_token",
            "unknown field",
        ),
    ];
    for (path, body, place, what) in cases {
        let answer = world.admin.post(path, body).await;
        let detail = answer.body["detail"].as_str().expect("a detail").to_owned();
        assert_eq!(answer.problem(400), "body.invalid");
        assert!(detail.contains(place) && detail.contains(what), "{detail}");
    }
}

#[tokio::test]
async fn a_body_that_is_wrapped_in_something_is_not_taken_for_what_it_holds() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let more = || Body::from(json!({ "sku": "A", "quantity": 1 }).to_string());
    let wrapped = [("content-encoding", "br")];
    let answer = world.admin.send("POST", "/api/stock/restock", &wrapped, more()).await;
    assert_eq!(answer.problem(415), "body.encoded");
    let plain = [("content-encoding", "identity")];
    world.admin.send("POST", "/api/stock/restock", &plain, more()).await.expect(200);
    assert_eq!(world.levels().await["A"], (6, 0, 6));
}

#[tokio::test]
async fn an_array_is_not_taken_for_an_object() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let connection = world.connect(None, json!({ "safetyBuffer": 2 })).await;
    let rules = format!("/api/connections/{connection}/rules");
    let cases = [
        ("POST", "/api/stock/restock", json!(["A", "main", 3, null, null])),
        ("POST", "/api/reservations", json!([[{ "sku": "A", "quantity": 1 }], null, null])),
        ("POST", "/api/reservations", json!({ "lines": [["A", null, 1]] })),
        ("POST", "/api/products", json!({ "title": "B", "variants": [[null, "B"]] })),
        ("PUT", "/api/variants/A/prices/US", json!(["1.00", "USD"])),
        ("PUT", rules.as_str(), json!([])),
        ("PUT", rules.as_str(), json!({ "conditions": [] })),
        ("POST", "/api/sync", json!({ "dryRun": true, "connections": [connection], "rules": [] })),
    ];
    for (method, path, body) in cases {
        let answer = world.admin.send(method, path, &[], Body::from(body.to_string())).await;
        assert_eq!(answer.problem(400), "body.invalid", "{path} {body}");
    }
    assert_eq!(world.levels().await["A"], (5, 0, 5));
    let kept = world.admin.get("/api/connections").await.expect(200);
    assert_eq!(kept["data"][0]["rules"]["safetyBuffer"], 2);
}

#[tokio::test]
async fn a_filter_with_a_value_that_cannot_be_is_refused_and_not_answered_with_nothing() {
    let world = World::new().await;
    for path in [
        "/api/reservations?status=x",
        "/api/outbox?status=x",
        "/api/rebuilds?status=x",
        "/api/rebuilds?projection=x",
        "/api/stock?location=NOWHERE",
        "/api/stock/why?sku=A&location=NOWHERE",
        "/api/moves?location=NOWHERE",
        "/api/moves?kind=x",
    ] {
        assert_eq!(world.admin.get(path).await.problem(400), "filter.invalid", "{path}");
    }
    for path in
        ["/api/reservations?status=ended", "/api/outbox?status=superseded", "/api/rebuilds?status=differs"]
    {
        assert_eq!(world.admin.get(path).await.expect(200)["data"], json!([]), "{path}");
    }
}

#[tokio::test]
async fn a_connection_has_no_empty_endless_or_unprintable_fields() {
    let world = World::new().await;
    let with = |name: &str, value: Value| {
        let mut body = json!({
            "platform": "shopify", "name": "One", "brand": "kite", "account": "one.example",
            "platform_location": "7", "currency": "USD", "webhook_secret": "s", "access_token": "t",
        });
        body[name] = value;
        body
    };
    let long = "x".repeat(5_000);
    for (name, value) in [
        ("account", ""),
        ("account", "http://one.example"),
        ("account", "one example"),
        ("account", long.as_str()),
        ("app", "\n"),
        ("webhook_secret", ""),
        ("access_token", "shpat\nx"),
        ("access_token", "shpat\0"),
        ("refresh_token", long.as_str()),
    ] {
        let answer = world.admin.post("/api/connections", with(name, json!(value))).await;
        assert_eq!(answer.problem(422), "connection.invalid", "{name} {value:?}");
    }
    let made = world.admin.post("/api/connections", with("app", json!("our app"))).await.expect(201);
    let secrets = format!("/api/connections/{}/secrets", made["id"].as_str().expect("an id"));
    let answer = world.admin.put(&secrets, json!({ "access_token": "" })).await;
    assert_eq!(answer.problem(422), "connection.invalid");
}

#[tokio::test]
async fn what_has_to_say_something_is_not_empty() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    for reason in ["", "  "] {
        let adjust = json!({ "sku": "A", "delta": -1, "reason": reason });
        assert_eq!(world.admin.post("/api/stock/adjust", adjust).await.problem(422), "text.empty");
    }
    for (what, name) in [("brand", ""), ("style_code", " ")] {
        let mut product = json!({ "title": "B", "variants": [{ "sku": "B" }] });
        product[what] = json!(name);
        assert_eq!(world.admin.post("/api/products", product).await.problem(422), "text.empty", "{what}");
    }
    let key = json!({ "name": "till", "role": "viewer", "brand": " " });
    assert_eq!(world.admin.post("/api/keys", key).await.problem(422), "key.brand");
    assert_eq!(world.levels().await["A"], (5, 0, 5));
}

#[tokio::test]
async fn whoever_has_no_key_is_told_that_before_anything_else_and_bearer_has_no_case() {
    let world = World::new().await;
    let nobody = world.admin.with_key(None);
    let path = "/api/reservations/abc/commit";
    assert_eq!(nobody.post(path, json!({})).await.problem(401), "auth.required");
    assert_eq!(world.admin.post(path, json!({})).await.problem(400), "path.invalid");
    // Where no key is asked for, the path is the first thing that is looked at.
    assert_eq!(nobody.post("/webhook/shopify/abc", json!({})).await.problem(400), "path.invalid");
    for scheme in ["bearer", "BEARER", "Bearer"] {
        let shown = format!("{scheme} {}", world.key);
        nobody
            .send("GET", "/api/stock", &[("authorization", shown.as_str())], Body::empty())
            .await
            .expect(200);
    }
    let basic = format!("Basic {}", world.key);
    let answer = nobody.send("GET", "/api/stock", &[("authorization", basic.as_str())], Body::empty()).await;
    assert_eq!(answer.problem(401), "auth.required");
}
