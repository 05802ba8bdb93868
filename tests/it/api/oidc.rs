use std::time::Duration;

use axum::body::Body;
use chrono::TimeDelta;
use onhand_tests::{Answer, Client, World, issuer::Issuer, process::until};
use serde_json::{Value, json};

/// A world that takes tokens of an issuer, and the issuer.
async fn with_issuer() -> (World, Issuer) {
    let issuer = Issuer::showing().await;
    (World::new().await.with_issuer(&issuer).await, issuer)
}

/// Somebody with a token of these claims.
fn client(world: &World, issuer: &Issuer, claims: &Value) -> Client {
    world.admin.with_key(Some(&issuer.token(world, claims)))
}

/// What somebody with this token is answered who looks at stock.
async fn look(world: &World, token: &str) -> Answer {
    world.admin.with_key(Some(token)).get("/api/stock").await
}

#[tokio::test]
async fn a_viewer_with_a_token_reads_and_cannot_write() {
    let (world, issuer) = with_issuer().await;
    world.stocked(&[("A", 5)]).await;
    world.project().await;
    let viewer = client(&world, &issuer, &json!({}));
    assert_eq!(viewer.get("/api/stock").await.expect(200)["data"][0]["on_hand"], 5);
    let restock = json!({ "sku": "A", "quantity": 1 });
    assert_eq!(viewer.post("/api/stock/restock", restock.clone()).await.problem(403), "auth.forbidden");

    let editor = client(&world, &issuer, &json!({ "onhand_role": "editor" }));
    editor.post("/api/stock/restock", restock).await.expect(200);
    let key = json!({ "name": "till", "role": "viewer" });
    assert_eq!(editor.post("/api/keys", key.clone()).await.problem(403), "auth.forbidden");
    client(&world, &issuer, &json!({ "onhand_role": "admin" })).post("/api/keys", key).await.expect(201);
}

#[tokio::test]
async fn a_token_of_one_brand_never_sees_or_moves_what_is_anothers() {
    let (world, issuer) = with_issuer().await;
    world.stocked(&[("KITE-1", 5)]).await;
    let heron = json!({ "title": "Heron", "brand": "heron", "variants": [{ "sku": "HERON-1" }] });
    world.admin.post("/api/products", heron).await.expect(201);
    world.admin.post("/api/stock/restock", json!({ "sku": "HERON-1", "quantity": 5 })).await.expect(200);
    world.project().await;

    let heron = client(&world, &issuer, &json!({ "onhand_role": "editor", "onhand_brand": "heron" }));
    let products = heron.get("/api/products").await.expect(200);
    assert_eq!(products["data"].as_array().map(Vec::len), Some(1), "{products}");
    let stock = heron.get("/api/stock").await.expect(200);
    assert!(stock.to_string().contains("HERON-1") && !stock.to_string().contains("KITE"), "{stock}");
    let foreign = json!({ "sku": "KITE-1", "quantity": 1 });
    assert_eq!(heron.post("/api/stock/restock", foreign).await.problem(404), "sku.unknown");
    heron.post("/api/stock/restock", json!({ "sku": "HERON-1", "quantity": 1 })).await.expect(200);
}

#[tokio::test]
async fn a_token_that_does_not_say_what_its_bearer_may_opens_nothing_and_says_so() {
    let (world, issuer) = with_issuer().await;
    let nowhere = "00000000-0000-0000-0000-000000000001";
    for (name, value) in [
        ("onhand_tenant", json!(nowhere)),
        ("onhand_tenant", json!(null)),
        ("onhand_role", json!("owner")),
        ("onhand_brand", json!(null)),
    ] {
        let answer = look(&world, &issuer.token(&world, &json!({ name: value }))).await;
        let detail = answer.body["detail"].as_str().expect("a detail").to_owned();
        assert_eq!(answer.problem(403), "auth.claim", "{name}");
        assert!(detail.contains(name), "{detail}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_believed_is_told_why_and_not_repeated() {
    let (world, issuer) = with_issuer().await;
    let stranger = Issuer::showing().await;
    let now = world.clock.now();
    let cases = [
        (issuer.token_at(&world, now - TimeDelta::minutes(10), &json!({})), "expired"),
        (issuer.token_at(&world, now + TimeDelta::minutes(10), &json!({})), "future"),
        (issuer.token(&world, &json!({ "aud": "shop" })), "`aud`"),
        (issuer.token(&world, &json!({ "iss": "https://id.example" })), "`iss`"),
        (stranger.token(&world, &json!({})), "signature"),
        ("a.b.c".to_owned(), "base64url"),
    ];
    for (token, why) in cases {
        let answer = look(&world, &token).await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        assert!(answer.text.contains(why) && !answer.text.contains(&token), "{why}: {}", answer.text);
        assert_eq!(answer.problem(401), "auth.token", "{why}");
    }
}

#[tokio::test]
async fn a_token_that_was_believed_ends_when_it_says() {
    let (world, issuer) = with_issuer().await;
    let token = issuer.token(&world, &json!({}));
    look(&world, &token).await.expect(200);
    world.clock.advance(TimeDelta::seconds(330));
    look(&world, &token).await.expect(200);
    world.clock.advance(TimeDelta::seconds(40));
    assert_eq!(look(&world, &token).await.problem(401), "auth.token");
}

#[tokio::test]
async fn without_an_issuer_only_keys_are_taken() {
    let issuer = Issuer::showing().await;
    let world = World::new().await;
    let answer = look(&world, &issuer.token(&world, &json!({}))).await;
    assert_eq!((answer.problem(401).as_str(), issuer.asked()), ("auth.required", 0));
}

#[tokio::test]
async fn keys_that_the_issuer_changes_are_followed() {
    let (world, mut issuer) = with_issuer().await;
    let old = issuer.token(&world, &json!({}));
    look(&world, &old).await.expect(200);
    issuer.change_key("k2");
    issuer.show();
    world.clock.advance(TimeDelta::seconds(30));
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_key_that_the_issuer_withdraws_is_believed_for_an_hour_at_most() {
    let (world, mut issuer) = with_issuer().await;
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
    let later = world.clock.now() + TimeDelta::minutes(61);
    let old = issuer.token_at(&world, later, &json!({ "sub": "u-2" }));
    issuer.change_key("k2");
    issuer.show();
    world.clock.advance(TimeDelta::minutes(61));
    assert_eq!(look(&world, &old).await.problem(401), "auth.token");
}

#[tokio::test]
async fn a_withdrawn_key_is_not_believed_because_the_issuer_was_away_long_ago_or_is_being_asked() {
    let (world, mut issuer) = with_issuer().await;
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
    issuer.fall_silent();
    world.clock.advance(TimeDelta::minutes(61));
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
    // Nobody comes until the morning.
    let morning = world.clock.now() + TimeDelta::hours(8);
    let [first, second] = ["u-2", "u-3"].map(|sub| issuer.token_at(&world, morning, &json!({ "sub": sub })));
    issuer.change_key("k2");
    issuer.show();
    issuer.hang();
    world.clock.advance(TimeDelta::hours(8));
    let asked = issuer.asked() + 1;
    let go_on = async {
        until("it is asked", async || issuer.asked() == asked).await;
        issuer.go_on();
    };
    let (first, second, ()) = tokio::join!(look(&world, &first), look(&world, &second), go_on);
    assert_eq!([first.problem(401), second.problem(401)], ["auth.token"; 2]);
}

#[tokio::test]
async fn made_up_keys_do_not_make_the_issuer_be_asked_again_and_again() {
    let (world, issuer) = with_issuer().await;
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
    let mut forger = Issuer::open().await;
    let mut forge = |n: usize| {
        forger.change_key(&format!("forged-{n}"));
        forger.token(&world, &json!({}))
    };
    let forged: Vec<String> = (0..20).map(&mut forge).collect();
    for token in &forged {
        assert_eq!(look(&world, token).await.problem(401), "auth.token");
    }
    assert_eq!(issuer.asked(), 1);
    world.clock.advance(TimeDelta::seconds(30));
    let answers = futures_util::future::join_all(forged.iter().map(|token| look(&world, token))).await;
    assert!(answers.iter().all(|answer| answer.status == 401), "{answers:?}");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_no_fault_of_the_bearers() {
    let issuer = Issuer::open().await;
    let world = World::new().await.with_issuer(&issuer).await;
    let answer = look(&world, &issuer.token(&world, &json!({}))).await;
    assert_eq!(answer.headers["retry-after"], "30");
    assert_eq!(answer.problem(503), "auth.issuer");
    world.admin.get("/api/stock").await.expect(200);

    issuer.pretend("https://id.example");
    world.clock.advance(TimeDelta::seconds(30));
    assert_eq!(look(&world, &issuer.token(&world, &json!({}))).await.problem(503), "auth.issuer");

    issuer.show();
    world.clock.advance(TimeDelta::seconds(30));
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
}

#[tokio::test]
async fn known_keys_are_believed_for_a_day_while_the_issuer_cannot_be_asked() {
    let (world, issuer) = with_issuer().await;
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
    issuer.fall_silent();
    world.clock.advance(TimeDelta::hours(23));
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
    world.clock.advance(TimeDelta::hours(1));
    assert_eq!(look(&world, &issuer.token(&world, &json!({}))).await.problem(503), "auth.issuer");
}

#[tokio::test]
async fn an_issuer_that_hangs_keeps_nobody_waiting_whose_key_is_known_once_that_is_seen() {
    let (world, issuer) = with_issuer().await;
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
    issuer.hang();
    world.clock.advance(TimeDelta::minutes(61));
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
    assert_eq!(issuer.asked(), 2);
    world.clock.advance(TimeDelta::seconds(30));
    for _ in 0..3 {
        let token = issuer.token(&world, &json!({}));
        // It is given five seconds for an answer.
        let answer = tokio::time::timeout(Duration::from_secs(4), look(&world, &token)).await;
        answer.expect("nobody waits for the issuer").expect(200);
    }
    until("it is asked once more", async || issuer.asked() == 3).await;
}

#[tokio::test]
async fn whoever_hangs_up_does_not_take_along_what_the_issuer_was_asked_for() {
    let (world, issuer) = with_issuer().await;
    issuer.hang();
    let token = issuer.token(&world, &json!({}));
    let impatient = world.admin.with_key(Some(&token));
    let asking = tokio::spawn(async move { impatient.get("/api/stock").await });
    until("the issuer is asked", async || issuer.asked() == 1).await;
    asking.abort();
    assert!(asking.await.is_err(), "it was answered nothing");
    issuer.go_on();
    look(&world, &token).await.expect(200);
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_token_that_was_believed_is_believed_again_without_another_look_at_its_key() {
    let (world, issuer) = with_issuer().await;
    let late = world.clock.now() + TimeDelta::hours(2);
    let token = issuer.token(&world, &json!({ "exp": late.timestamp() }));
    look(&world, &token).await.expect(200);
    world.clock.advance(TimeDelta::minutes(61));
    look(&world, &token).await.expect(200);
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn an_issuer_that_leads_elsewhere_or_shows_too_much_is_not_believed() {
    let (world, issuer) = with_issuer().await;
    let faults: [fn(&Issuer); 4] = [
        Issuer::move_away,
        // Its own address, but with a name and a password before it.
        |issuer| issuer.place_keys(&format!("{}/keys", issuer.endpoint.replace("//", "//me:hush@"))),
        |issuer| issuer.show_set(&vec![issuer.jwk(); 101]),
        |issuer| {
            let mut jwk = issuer.jwk();
            jwk["x5c"] = json!(["c".repeat(262_144)]);
            issuer.show_set(&[jwk]);
        },
    ];
    for (n, fault) in faults.iter().enumerate() {
        issuer.show();
        fault(&issuer);
        assert_eq!(look(&world, &issuer.token(&world, &json!({}))).await.problem(503), "auth.issuer", "{n}");
        world.clock.advance(TimeDelta::seconds(30));
    }
    issuer.show_set(&vec![issuer.jwk(); 100]);
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
}

#[tokio::test]
async fn a_key_is_found_by_its_id_and_by_its_kind() {
    let (world, mut issuer) = with_issuer().await;
    let namesake = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "A".repeat(43) });
    issuer.show_set(&[namesake.clone(), issuer.jwk()]);
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);

    // Where neither token nor keys have an id, those of its kind are tried.
    issuer.change_key("");
    let mut next = Issuer::open().await;
    next.change_key("");
    issuer.show_set(&[namesake, next.jwk(), issuer.jwk()]);
    world.clock.advance(TimeDelta::minutes(61));
    look(&world, &issuer.token(&world, &json!({}))).await.expect(200);
    let mut stranger = Issuer::open().await;
    stranger.change_key("");
    let claims = json!({ "iss": issuer.endpoint });
    assert_eq!(look(&world, &stranger.token(&world, &claims)).await.problem(401), "auth.token");
    look(&world, &next.token(&world, &claims)).await.expect(200);
}

#[tokio::test]
async fn whoever_acts_with_a_token_is_on_record_and_repeats_only_himself() {
    let (world, issuer) = with_issuer().await;
    world.stocked(&[("X", 0)]).await;
    let body = json!({ "sku": "X", "quantity": 1 });
    for subject in ["u-1", "u-2", "u-1"] {
        // Another token of the same person, who is the same all the same.
        world.clock.advance(TimeDelta::seconds(1));
        let claims = json!({ "sub": subject, "onhand_role": "editor" });
        let editor = client(&world, &issuer, &claims);
        editor.post_once("/api/stock/restock", "the-same", body.clone()).await.expect(200);
    }
    assert_eq!(world.levels().await["X"], (2, 0, 2));
    for subject in ["u-1", "u-2"] {
        let path = format!("/api/audit?actor=oidc:{subject}");
        let audit = world.admin.get(&path).await.expect(200);
        let rows = audit["data"].as_array().expect("rows");
        assert!(rows.len() == 1 && rows[0]["actor"] == format!("oidc:{subject}"), "{audit}");
        assert_eq!(rows[0]["action"], "stock.restocked");
    }
    world.expect_intact().await;
}

#[tokio::test]
async fn a_webhook_is_let_in_by_its_signature_and_by_no_token() {
    let (world, issuer) = with_issuer().await;
    let connection = world.connect(None, json!({})).await;
    let admin = client(&world, &issuer, &json!({ "onhand_role": "admin" }));
    let answer = admin.send("POST", &format!("/webhook/shopify/{connection}"), &[], Body::from("{}")).await;
    assert_eq!(answer.problem(401), "webhook.rejected");
}
