//! What operators and auditors do, and do by mistake: with other rights, other keys, in another place.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
};

use onhand_domain::connection::Platform;
use onhand_infrastructure::{database::Reach, platforms::outbound::http_client};
use onhand_tests::{
    World,
    channels::{self, Channel},
    process::{Process, binary, master_keys, onhand, until},
    shop::Webhook,
};
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, postgres::PgPoolOptions};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

/// A folder of a test's own that is not there yet.
fn nowhere(world: &World, name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{}-{name}", world.database.name))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs the program on a database, with these variables and no master keys.
async fn run(url: &str, args: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(binary())
        .args(args)
        .env("DATABASE_URL", url)
        .env_remove("ONHAND_MASTER_KEYS")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the program runs")
}

async fn execute(world: &World, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut world.database.owner().await)
        .await
        .expect("a superuser may");
}

/// Starts a server, and waits until it answers.
async fn serving(world: &World) -> Child {
    let mut server = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--roles", "api"])
        .env("DATABASE_URL", world.database.url())
        .env("ONHAND_MASTER_KEYS", master_keys())
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the server starts");
    let stdout = server.stdout.as_mut().expect("stdout is piped");
    let line = BufReader::new(stdout).lines().next_line().await.expect("stdout can be read");
    assert!(line.is_some_and(|line| line.starts_with("listening on ")), "the server says where it listens");
    server
}

async fn tell_to_stop(server: &Child) {
    let kill = format!("kill -TERM {}", server.id().expect("who was not waited for has an id"));
    let status = Command::new("sh").args(["-c", &kill]).status().await.expect("there is a shell");
    assert!(status.success(), "{kill}: {status}");
}

async fn tenants(world: &World) -> i64 {
    let (count,): (i64,) =
        sqlx::query_as("select count(*) from tenants").fetch_one(world.onhand.pool()).await.expect("counted");
    count
}

#[tokio::test]
async fn who_may_only_read_can_verify_look_and_replay() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let (code, _, wrong) = onhand(&world, &["audit", "checkpoint"]).await;
    assert_eq!(code, 0, "{wrong}");
    let name = &world.database.name;
    let reader = format!("reader_{name}");
    execute(&world, format!("create role {reader} login password 'r' in role pg_read_all_data")).await;
    execute(&world, format!("alter database {name} set default_transaction_read_only = on")).await;
    let readers = world.database.options.clone().username(&reader).password("r").to_url_lossy().to_string();
    let folder = nowhere(&world, "reader");
    let place = [("ONHAND_DATA_DIR", folder.to_str().expect("a plain name"))];
    for url in [world.database.url(), readers] {
        for args in [
            &["audit", "verify"][..],
            &["audit", "key"],
            &["key", "list", "--tenant", "acme"],
            &["projections"],
            &["status", "--stats"],
            &["archive", "list"],
            &["replay", "--sku", "A"],
        ] {
            let output = run(&url, args, &place).await;
            assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        }
    }
    assert!(!folder.exists(), "no key is made where nothing is sealed");
    execute(&world, format!("begin read write; drop role {reader}; commit")).await;
}

#[tokio::test]
async fn a_command_that_reads_leaves_an_older_schema_as_it_is() {
    let world = World::new().await;
    let version = async || -> i64 {
        let newest = sqlx::query_as("select max(version) from _sqlx_migrations");
        let found: (i64,) =
            newest.fetch_one(&mut world.database.owner().await).await.expect("it can be read");
        found.0
    };
    let newest = version().await;
    execute(&world, format!("delete from _sqlx_migrations where version = {newest}")).await;
    let before = version().await;
    let (code, _, wrong) = onhand(&world, &["audit", "verify"]).await;
    assert_eq!(code, 1, "{wrong}");
    assert!(wrong.contains(&format!("lacks migration {newest}")), "{wrong}");
    assert_eq!(version().await, before);
}

#[tokio::test]
async fn a_key_that_is_refused_leaves_no_tenant_behind_and_a_new_ledger_is_told() {
    let world = World::new().await;
    let before = tenants(&world).await;
    let create = ["key", "create", "--role", "viewer", "--tenant"];
    for wrong in [&[" x"][..], &[""], &["../../evil"], &["new", "--name", ""], &["new", "--brand", " "]] {
        let (code, said, _) = onhand(&world, &[&create[..], wrong].concat()).await;
        assert!(code != 0 && said.is_empty(), "{wrong:?}");
        assert_eq!(tenants(&world).await, before, "{wrong:?}");
    }
    for (times, is_told) in [(1, true), (2, false)] {
        let (code, _, told) = onhand(&world, &[&create[..], &["new"]].concat()).await;
        assert_eq!((code, told.contains("ledger was begun")), (0, is_told), "{times}: {told}");
        assert_eq!(tenants(&world).await, before + 1);
    }
}

#[tokio::test]
async fn all_that_is_wrong_with_the_settings_is_told_before_anything_is_opened() {
    let twice = [master_keys(), master_keys()].join(",");
    let wrong = [
        ("ONHAND_PUBLIC_URL", "ftp://shop.example"),
        ("ONHAND_SHOPIFY_API_VERSION", "zzz"),
        ("ONHAND_MASTER_KEYS", twice.as_str()),
        ("STOCK_RESERVATION_TTL_MINUTES", "soon"),
    ];
    let output = run("mysql://nobody:hush@127.0.0.1:9/none", &["serve"], &wrong).await;
    let told = text(&output.stderr);
    assert!(!output.status.success() && !told.contains("hush"), "{told}");
    for (name, _) in wrong.iter().chain(&[("DATABASE_URL", "")]) {
        assert!(told.contains(name), "{name}: {told}");
    }
}

#[tokio::test]
async fn an_export_is_its_readers_alone_and_a_dash_is_stdout() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let export = ["audit", "export", "--tenant", "acme", "--out"];
    let (code, said, wrong) = onhand(&world, &[&export[..], &["-"]].concat()).await;
    assert!(code == 0 && said.contains("stock.restocked"), "{wrong}");
    let file = nowhere(&world, "export");
    let (code, said, wrong) = onhand(&world, &[&export[..], &[file.to_str().expect("plain")]].concat()).await;
    assert!(code == 0 && said.is_empty(), "{wrong}");
    assert_eq!(std::fs::metadata(&file).expect("it is there").mode() & 0o777, 0o600);
    std::fs::remove_file(file).expect("a file of ours can be removed");
}

#[tokio::test]
async fn a_checkpoint_of_a_ledger_that_is_gone_says_so_and_a_key_that_is_none_too() {
    let (world, other) = (World::new().await, World::new().await);
    world.stocked(&[("A", 5)]).await;
    let file = nowhere(&world, "checkpoint");
    let path = file.to_str().expect("plain");
    let (code, _, wrong) = onhand(&world, &["audit", "checkpoint", "--out", path]).await;
    assert_eq!(code, 0, "{wrong}");
    let (code, _, wrong) = onhand(&other, &["audit", "verify", "--against", path]).await;
    assert!(code == 1 && wrong.contains("GONE"), "{wrong}");
    let (code, _, wrong) = onhand(&world, &["audit", "verify", "--against", path, "--key", "zz"]).await;
    assert!(code != 0 && wrong.contains("32 bytes in hex"), "{wrong}");
    std::fs::remove_file(file).expect("a file of ours can be removed");
}

#[tokio::test]
async fn a_webhook_secret_that_does_not_open_is_told_from_one_that_is_not_there() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let args = ["webhook", "send", "shopify", "orders/create", "--connection", &connection, "--dry-run"];
    let folder = nowhere(&world, "no-keys");
    let place = [("ONHAND_DATA_DIR", folder.to_str().expect("a plain name"))];
    let output = run(&world.database.url(), &args, &place).await;
    assert!(!output.status.success() && text(&output.stderr).contains("cannot be opened"), "{output:?}");
    let (code, _, wrong) = onhand(&world, &args).await;
    assert_eq!(code, 0, "{wrong}");
}

#[tokio::test]
async fn a_server_outlives_a_look_at_its_start_that_fails_and_hears_a_signal_during_one_that_waits() {
    let world = World::new().await;
    let mut owner = world.database.owner().await;
    sqlx::raw_sql("begin; lock table connection_secrets").execute(&mut owner).await.expect("an owner may");
    let mut server = serving(&world).await;
    until("it waits for the table", async || {
        let waits = "select exists (select from pg_locks
                                    where not granted and relation = 'connection_secrets'::regclass)";
        let (waits,): (bool,) =
            sqlx::query_as(waits).fetch_one(world.onhand.pool()).await.expect("locks can be seen");
        waits
    })
    .await;
    tell_to_stop(&server).await;
    let rename = "alter table connection_secrets rename to out_of_reach; commit";
    sqlx::raw_sql(rename).execute(&mut owner).await.expect("an owner may");
    assert_eq!(server.wait().await.expect("it ends").code(), Some(0), "it has heard the signal");

    let mut server = serving(&world).await;
    let stderr = server.stderr.take().expect("stderr is piped");
    let mut told = BufReader::new(stderr).lines();
    while let Some(line) = told.next_line().await.expect("stderr can be read") {
        if line.contains("could not be looked at") {
            break;
        }
    }
    tell_to_stop(&server).await;
    assert_eq!(server.wait().await.expect("it ends").code(), Some(0), "it was at work until it was told");
}

#[tokio::test]
async fn a_database_without_room_is_there_for_whom_it_has_let_in() {
    let world = World::new().await;
    let clerk = format!("clerk_{}", world.database.name);
    execute(&world, format!("create role {clerk} login password 'c' connection limit 1")).await;
    let options = world.database.options.clone().username(&clerk).password("c");
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await;
    let pool = pool.expect("there is room for one");
    assert!(Reach::default().answers(&pool).await);
    let late = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    let asking = late.clone();
    let asking = tokio::spawn(async move { asking.acquire().await });
    until("it asks for one", async || late.size() > 0).await;
    let reach = Reach::default();
    assert!(!reach.answers(&late).await && !reach.is_gone(&late).await);
    asking.abort();
    assert!(asking.await.is_err(), "it was given none");
    pool.close().await;
    until("there is room again", async || Reach::default().answers(&late).await).await;
    execute(&world, format!("drop role {clerk}")).await;
}

#[tokio::test]
async fn who_is_refused_before_a_body_is_looked_at_keeps_the_line_for_the_next_request() {
    let world = World::new().await;
    let server = Process::serve(&world.database, "api").await;
    let mut line = TcpStream::connect(server.url.trim_start_matches("http://")).await.expect("it listens");
    for _ in 0..3 {
        let head = "POST /api/stock/restock HTTP/1.1\r\nhost: o\r\ncontent-length: 4\r\n\r\n";
        line.write_all(head.as_bytes()).await.expect("it is read");
        // Time enough to refuse it.
        assert_eq!(onhand(&world, &["health", "--url", &server.url]).await.0, 0);
        line.write_all(b"body").await.expect("it is read");
        let mut answer = String::new();
        while !answer.ends_with("}") {
            answer.push(char::from(line.read_u8().await.expect("it is answered")));
        }
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
}

#[tokio::test]
async fn an_outage_is_told_by_readiness_by_health_and_by_the_metrics() {
    let world = World::new().await;
    let server = Process::serve(&world.database, "api").await;
    let http = http_client().expect("a client is made");
    let get = async |path: &str| {
        let answer = http.get(format!("{}{path}", server.url)).send().await.expect("it answers");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let (status, told) = get("/metrics").await;
    assert_eq!(status, 200);
    for line in ["# HELP onhand_pushes_total ", "onhand_webhooks_failed_total 0", "onhand_database_up 1"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let health = ["health", "--url", &server.url];
    assert_eq!(onhand(&world, &health).await.0, 0);
    let listen = server.url.trim_start_matches("http://");
    let behind_a_proxy = [("ONHAND_LISTEN", listen), ("HTTP_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "")];
    let beside = run(&world.database.url(), &["health"], &behind_a_proxy).await;
    assert!(beside.status.success(), "no proxy leads to this machine: {beside:?}");

    world.database.close().await;
    until("it is noticed", async || get("/readyz").await.0 == 503).await;
    assert!(get("/metrics").await.1.contains("onhand_database_up 0"));
    let (code, _, wrong) = onhand(&world, &health).await;
    assert!(code == 1 && wrong.contains("the database cannot be reached"), "{wrong}");
    world.database.open().await;
    until("it is noticed", async || get("/readyz").await.0 == 200).await;
    server.kill().await;
}

/// What the metrics of a server tell.
async fn metrics(http: &reqwest::Client, server: &Process) -> String {
    let answer = http.get(format!("{}/metrics", server.url)).send().await.expect("it answers");
    answer.text().await.expect("a text")
}

/// Waits until they tell of so many commands that are pending, of so many pushes, follow-ups and deliveries that are dead
/// letters, and of so many conflicts. Gives all that they tell.
async fn told_of(
    http: &reqwest::Client,
    server: &Process,
    [pending, pushes, follow_ups, deliveries, conflicts]: [usize; 5],
) -> String {
    let lines = [
        format!("onhand_outbox_pending {pending}"),
        format!("onhand_dead_letters{{of=\"pushes\"}} {pushes}"),
        format!("onhand_dead_letters{{of=\"follow_ups\"}} {follow_ups}"),
        format!("onhand_dead_letters{{of=\"deliveries\"}} {deliveries}"),
        format!("onhand_conflicts_open {conflicts}"),
    ];
    // They are looked up every few seconds, and on a machine that is busy elsewhere not even then.
    until(&lines.join(", "), || async {
        let told = metrics(http, server).await;
        lines.iter().all(|wanted| told.lines().any(|line| line == wanted))
    })
    .await;
    metrics(http, server).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_relay_or_a_person_is_told_by_the_metrics_for_all_tenants_until_it_is_done() {
    const NONE_IS_DUE: &str = "\nonhand_outbox_oldest_seconds 0\n";
    let world = World::new().await;
    let server = Process::serve(&world.database, "api").await;
    let http = http_client().expect("a client is made");
    assert!(told_of(&http, &server, [0; 5]).await.contains(NONE_IS_DUE));

    // A listing is not there.
    channels::stock(&world, &["RUN-42"], 7, None).await;
    channels::stock(&world, &["LOST-1"], 3, None).await;
    let channel = Channel::open(&world, Platform::Square, &["RUN-42"]).await;
    let nobodys = json!({
        "connection": channel.connection, "external_product": "NOBODYS", "external_variant": "NOBODYS1",
        "sku": "LOST-1",
    });
    world.admin.post("/api/listings", nobodys).await.expect(200);
    world.project().await;
    let pending = world.admin.get("/api/outbox?status=pending&limit=200").await.expect(200);
    let pending = pending["data"].as_array().map(Vec::len).expect("a page has rows");
    assert!(pending > 1, "each listing is owed something");
    let told = told_of(&http, &server, [pending, 0, 0, 0, 0]).await;
    assert!(told.contains("\nonhand_outbox_oldest_seconds ") && !told.contains(NONE_IS_DUE), "{told}");
    for vanished in [
        "status = 'leased', token = gen_random_uuid(), leased_until = now() - interval '1 minute'
         where status = 'pending'",
        "status = 'pending', token = null, leased_until = null where status = 'leased'",
    ] {
        execute(&world, format!("update connections set paused = true; update outbox set {vanished}")).await;
        until("what waits because somebody wants it to is not late", async || {
            metrics(&http, &server).await.contains(NONE_IS_DUE)
        })
        .await;
        execute(&world, "update connections set paused = false".to_owned()).await;
        until("it is late again", async || !metrics(&http, &server).await.contains(NONE_IS_DUE)).await;
        told_of(&http, &server, [pending, 0, 0, 0, 0]).await;
    }

    world.converge().await;
    let other = world.other_tenant().await;
    let connection = other.connect(None, json!({})).await;
    let failing = Webhook::of_bytes("orders/create", "late", b"{\"id\":10}".to_vec());
    failing.send(&other.admin, &connection).await.expect(500);
    other.project().await;
    let dispute = "update listings set quantity_conflict = '{}' where external_product = 'NOBODYS'";
    execute(&world, dispute.to_owned()).await;
    let given_up = "insert into follow_ups (tenant_id, connection_id, kind, external, status, position, delivery_id,
                                            correlation_id, next_attempt_at)
                    select id, gen_random_uuid(), 'product', 'LOST', 'dead', 1, gen_random_uuid(), 'test', now()
                    from tenants where name = 'other'";
    execute(&world, given_up.to_owned()).await;
    assert!(told_of(&http, &server, [0, 1, 1, 1, 1]).await.contains(NONE_IS_DUE));

    execute(&world, "update listings set quantity_conflict = null; delete from follow_ups".to_owned()).await;
    assert_eq!(world.admin.post("/api/sync/replay", json!({})).await.expect(200)["count"], 1);
    told_of(&http, &server, [1, 0, 0, 1, 0]).await;
    server.kill().await;
}
