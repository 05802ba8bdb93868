use std::process::Stdio;

use onhand_domain::connection::Platform;
use onhand_infrastructure::platforms::outbound::http_client;
use onhand_tests::{
    World,
    channels::{self, Channel},
    process::{self, Process, onhand, until},
};
use serde_json::json;
use tokio::process::Command;
use uuid::Uuid;

#[tokio::test]
async fn audit_verify_passes_over_an_honest_ledger_and_names_the_position_in_another() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let (code, said, wrong) = onhand(&world, &["audit", "verify"]).await;
    assert_eq!(code, 0, "{said}{wrong}");

    let mut owner = world.database.owner().await;
    for sql in [
        "set session_replication_role = replica",
        "update events set payload = replace(payload, '5', '4') where position = 5",
    ] {
        sqlx::query(sql).execute(&mut owner).await.expect("a superuser may do anything");
    }
    let (code, said, wrong) = onhand(&world, &["audit", "verify"]).await;
    assert_eq!(code, 1, "{said}{wrong}");
    assert!(format!("{said}{wrong}").contains("position 5"), "{said}{wrong}");
}

#[tokio::test]
async fn rebuild_says_of_each_read_model_whether_it_was_right() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let before = world.levels().await;
    sqlx::query("update stock_levels set on_hand = 99").execute(world.onhand.pool()).await.expect("spoilt");
    let (code, said, wrong) = onhand(&world, &["rebuild", "--all"]).await;
    assert_eq!(code, 1, "what differs and was kept is a failure: {said}{wrong}");
    for model in onhand_projector::MODELS {
        assert!(format!("{said}{wrong}").contains(model.name), "{}: {said}{wrong}", model.name);
    }
    assert!(said.contains("1 DIFFERENCE"), "{said}");
    assert!(
        said.contains(r#""on_hand":99"#) && said.contains(r#""on_hand":5"#),
        "both rows are shown: {said}"
    );
    assert_ne!(world.levels().await, before);

    let (code, said, wrong) = onhand(&world, &["rebuild", "--all", "--replace"]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    assert!(said.contains("which were replaced"), "{said}");
    assert_eq!(world.levels().await, before);
    let (code, _, wrong) = onhand(&world, &["rebuild", "nonsense"]).await;
    assert_ne!(code, 0);
    assert!(wrong.contains("stock_levels"), "the error names what there is: {wrong}");
}

#[tokio::test]
async fn a_key_made_on_the_command_line_opens_its_tenants_door() {
    let world = World::new().await;
    let (code, key, wrong) = onhand(&world, &["key", "create", "--tenant", "acme", "--role", "viewer"]).await;
    assert_eq!(code, 0, "{wrong}");
    world.admin.with_key(Some(key.trim())).get("/api/stock").await.expect(200);
    world
        .admin
        .with_key(Some(key.trim()))
        .post("/api/stock/restock", serde_json::json!({}))
        .await
        .problem(403);
    let (code, listed, wrong) = onhand(&world, &["key", "list", "--tenant", "acme"]).await;
    assert_eq!(code, 0, "{wrong}");
    assert!(
        // The first key of the tenant is an admin's.
        listed.lines().count() == 2 && listed.contains("viewer") && listed.contains("all brands"),
        "{listed}"
    );
    assert!(!listed.contains(key.trim()), "{listed}");
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named_and_the_program_does_not_start() {
    let world = World::new().await;
    let output = Command::new(process::binary())
        .args(["serve"])
        .env("DATABASE_URL", world.database.url())
        .env("FEATURE_MONITOR_UPDATES_STOCK", "true")
        .env("STOCK_RESERVATION_TTL_MINUTES", "soon")
        .output()
        .await
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        said.contains("FEATURE_MONITOR_UPDATES_STOCK") && said.contains("STOCK_RESERVATION_TTL_MINUTES"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_tells_platforms_and_answers_no_http_where_it_was_given_no_address() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, None).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    world.project().await;
    assert_eq!(channel.quantity("RUN-42"), 0);
    let relay = Process::relay(&world.database, &[]).await;
    assert_eq!(relay.url, "");
    until("it is told", || async { channel.quantity("RUN-42") == 7 }).await;
    relay.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_not_told_to_be_shown_where_the_platform_would_not_have_it() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42", "RUN-43"], 7, None).await;
    let channel = Channel::open(&world, Platform::Woocommerce, &["RUN-42", "RUN-43"]).await;
    world.project().await;
    let server = Process::serve(&world.database, "projector,relay").await;
    let push = ["sync", "push", "--tenant", "acme", "--connection", &channel.connection];
    let (code, said, wrong) = onhand(&world, &push).await;
    assert!(code == 0 && said.contains("were told"), "{code}: {said}{wrong}");
    assert_eq!(channel.quantity("RUN-42"), 7);

    // Their ids are nobody's over there.
    sqlx::query("update listings set external_variant = external_variant || '0'")
        .execute(world.onhand.pool())
        .await
        .expect("ids are spoilt");
    let (code, said, wrong) = onhand(&world, &push).await;
    assert!(code == 1 && wrong.contains("given up"), "{code}: {said}{wrong}");
    assert!(!said.contains("were told"), "{said}");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_account_that_is_paused_is_told_of_and_not_waited_for() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, None).await;
    let paused = Channel::open(&world, Platform::Woocommerce, &["RUN-42"]).await;
    let other = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    world.project().await;
    let pause = format!("/api/connections/{}/pause", paused.connection);
    world.admin.post(&pause, json!({})).await.expect(200);
    let server = Process::serve(&world.database, "projector,relay").await;
    let (code, said, wrong) = onhand(&world, &["sync", "push", "--tenant", "acme"]).await;
    assert_eq!(code, 1, "{said}{wrong}");
    assert!(said.contains(&format!("connection {} is paused", paused.connection)), "{said}");
    assert!(!said.contains(&other.connection) && wrong.contains("paused"), "{said}{wrong}");
    assert_eq!((paused.quantity("RUN-42"), other.quantity("RUN-42")), (0, 7));
    server.kill().await;
}

#[tokio::test]
async fn what_is_read_back_is_a_whole_account_and_naming_a_sku_is_refused() {
    let world = World::new().await;
    let id = Uuid::nil().to_string();
    let (code, said, wrong) =
        onhand(&world, &["sync", "reconcile", "--tenant", "acme", "--connection", &id, "--sku", "A"]).await;
    assert!(code == 2 && wrong.contains("--sku"), "{code}: {said}{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_named_twice_is_read_back_once() {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42"], 7, None).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    world.project().await;
    let id = channel.connection.as_str();
    let args = ["sync", "reconcile", "--tenant", "acme", "--preview", "--connection", id, "--connection", id];
    let (code, said, wrong) = onhand(&world, &args).await;
    assert_eq!(code, 0, "{said}{wrong}");
    assert_eq!(said.matches("done; 1 listings").count(), 1, "{said}{wrong}");
}

#[tokio::test]
async fn a_relay_that_was_given_an_address_says_there_how_it_is_and_nothing_else() {
    let world = World::new().await;
    let relay = Process::relay(&world.database, &["--listen", "127.0.0.1:0"]).await;
    let http = http_client().expect("a client is made");
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/metrics", 200), ("/api/stock", 503)] {
        let answer = http.get(format!("{}{path}", relay.url)).send().await.expect("it answers");
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let told = answer.text().await.expect("a text");
        assert!(path != "/metrics" || told.contains("onhand_pushes_total{outcome=\"done\"} 0"), "{told}");
    }
    let (code, _, wrong) = onhand(&world, &["health", "--url", &relay.url]).await;
    assert_eq!(code, 0, "{wrong}");
    relay.kill().await;
}

#[tokio::test]
async fn a_command_whose_reader_has_gone_ends_without_a_word_and_without_a_verdict() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    for args in [
        &["audit", "verify"][..],
        &["audit", "checkpoint", "--tenant", "acme"],
        &["audit", "export", "--tenant", "acme"],
        &["replay", "--sku", "A"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe is made");
        drop(reader);
        let child = Command::new(process::binary())
            .args(args)
            .env("DATABASE_URL", world.database.url())
            .env("ONHAND_MASTER_KEYS", process::master_keys())
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let output = child.wait_with_output().await.expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(141), ""), "{args:?}");
    }
}
