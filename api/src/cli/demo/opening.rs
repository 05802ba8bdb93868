//! Chapters 1 to 3: Postgres, the server, two shops and a tenant that is connected to them.

use std::{io::ErrorKind, net::SocketAddr, time::Instant};

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use onhand_domain::{key::Role, values::TenantId};
use onhand_infrastructure::{
    clock::Clock,
    config::Config,
    database::{self, Server, local::LocalSettings, make_anew, server_facts},
    ledger::{self, Context as Cause},
    operations::Caller,
    platforms::shopify::sandbox::{CostBucket, SandboxShop, ShopSettings},
    secrets::{KeyRing, random_bytes},
};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::{
    Args,
    print::{Ink, Screen, Table},
    rest::Rest,
    stage::{Props, Shop, Stage},
};
use crate::{
    App, Onhand,
    cli::metrics::record_metrics,
    compose::Parts,
    serve::{Running, all_duties},
};

/// The database of the demo, made anew each time.
pub(super) const DATABASE: &str = "onhand_demo";

const PORT: u16 = 7070;
const LOCATION: u64 = 7_001;
const SHOPS: [&str; 2] = ["sneaks-one", "sneaks-two"];

/// Chapter 1. Says how to connect to the empty database.
pub(super) async fn postgres(
    screen: &Screen,
    config: &Config,
    props: &mut Props,
) -> anyhow::Result<PgConnectOptions> {
    let sentence = "Everything is kept in one database; nobody has to set it up.";
    screen.chapter(1, "Postgres starts", sentence);
    let begun = Instant::now();
    let url = config.database_url.clone();
    let start = async move { Server::start(url.as_deref(), LocalSettings::from_env(), "postgres").await };
    // A task of its own: it comes to an end, and can be undone, even if we are told to stop meanwhile.
    let starting = props.starting.insert(tokio::spawn(start));
    let started = (&mut *starting).await?;
    props.starting = None;
    let server = props.server.insert(started?);
    let facts = server_facts(server.options()).await.context("the server does not answer")?;
    match server.local().map(|local| (local.info(), local.started_here())) {
        Some((info, here)) => {
            let how = if here { "started" } else { "was running, and is shared" };
            screen.step(format_args!("PostgreSQL {} {how}", facts.version), begun.elapsed());
            screen.say(format_args!("data in {}", info.data_dir.display()));
            screen.say(format_args!("server programs from {} ({})", info.bin_dir.display(), info.found));
        }
        None => {
            screen.step(format_args!("PostgreSQL {} at DATABASE_URL", facts.version), begun.elapsed());
        }
    }
    screen.say(match facts.durable {
        true => "fsync is on: what is acknowledged below is on disk",
        false => {
            "fsync or synchronous_commit is OFF on this server: fast, and not safe against a power failure"
        }
    });
    let begun = Instant::now();
    let made = make_anew(server.options(), DATABASE).await.with_context(|| {
        format!(
            "the account {} may not make the database {DATABASE} anew there; let it (alter role … createdb), \
             or unset DATABASE_URL to have a Postgres of our own",
            facts.account
        )
    })?;
    let Some(options) = made else {
        bail!("another demo uses the database {DATABASE}; end that one first");
    };
    screen.step(format_args!("database {DATABASE} made anew"), begun.elapsed());
    Ok(options)
}

/// Chapter 2. Opens the database and begins to serve.
pub(super) async fn server(
    screen: &Screen,
    config: &Config,
    args: &Args,
    options: &PgConnectOptions,
    props: &mut Props,
) -> anyhow::Result<()> {
    screen.chapter(2, "The server starts", "One process with all its duties: api, projector, relay.");
    let begun = Instant::now();
    let pool = database::open(options, config.database_connections).await?;
    let clock = Clock::default();
    clock.set_by(&pool).await?;
    // Nothing of the demo outlives it, so its credentials need no key that does.
    let keys = KeyRing::parse(&format!("demo:{}", STANDARD.encode(random_bytes())))?;
    let onhand = Onhand::new(Parts {
        pool,
        clock,
        keys,
        reservation_ttl: config.reservation_ttl,
        states_bytes: config.states_bytes,
        shopify_api_version: config.shopify_api_version.clone(),
        webhook_rate: config.webhook_rate,
        reconcile_every: config.reconcile_every,
        retention: config.retention,
        webhook_traces: config.webhook_traces,
        skip_signatures: config.skip_signatures,
    })?;
    let onhand = props.onhand.insert(onhand);
    screen.step("schema brought up to date", begun.elapsed());
    let begun = Instant::now();
    let listener = listen(screen, args.port).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = App::new(onhand.clone(), Some(url.clone()), Some(record_metrics()?));
    props.running = Some(Running::start(app, listener, &all_duties())?);
    screen.step(format_args!("listening on {}", screen.ink(Ink::Bold, &url)), begun.elapsed());
    Ok(())
}

async fn listen(screen: &Screen, port: Option<u16>) -> anyhow::Result<TcpListener> {
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    match TcpListener::bind(at(port.unwrap_or(PORT))).await {
        Err(error) if error.kind() == ErrorKind::AddrInUse && port.is_none() => {
            screen.say(format_args!("port {PORT} is taken; any free one will do"));
            Ok(TcpListener::bind(at(0)).await?)
        }
        bound => bound.with_context(|| format!("cannot listen on port {}", port.unwrap_or(PORT))),
    }
}

/// Chapter 3. Opens the shops, makes the tenant and connects it.
pub(super) async fn connections<'s>(
    screen: &'s Screen,
    config: &Config,
    props: &mut Props,
) -> anyhow::Result<Stage<'s>> {
    screen.chapter(
        3,
        "A seller connects two shops and a price feed",
        "Stand-ins speak Shopify's wire format over real HTTP; tokens are sealed with AES-256-GCM.",
    );
    let begun = Instant::now();
    let (Some(onhand), Some(running)) = (props.onhand.clone(), &props.running) else {
        bail!("the server does not run");
    };
    let url = running.url();
    let now = onhand.ledger().clock().now();
    let tenant = ledger::create_tenant(onhand.pool(), "demo", TenantId(Uuid::now_v7()), now).await?;
    let caller = Caller::new(Cause::internal(tenant, "cli"));
    let made = onhand.operations.create_key(caller, "demo".into(), Role::Admin, None).await?;
    let admin_key = made.1.reveal().to_owned();
    let rest = Rest::new(url.clone(), admin_key.clone())?;
    screen.step("tenant demo and its admin key", begun.elapsed());

    let begun = Instant::now();
    let one = open_shop(SHOPS[0], config, &rest, props).await?;
    let two = open_shop(SHOPS[1], config, &rest, props).await?;
    let feed_secret = hex::encode(random_bytes());
    let feed = json!({
        "platform": "kicksdb", "name": "market prices", "brand": "Sneaks", "currency": "USD",
        "webhook_secret": feed_secret,
    });
    connect(&rest, &feed).await?;
    screen.step("three connections made and enabled", begun.elapsed());

    let mut table = Table::new(&["connection", "platform", "where", ">webhooks subscribed"]);
    for shop in [&one, &two] {
        let calls = shop.sandbox.calls().graphql;
        let subscribed = calls.get("webhookSubscriptionCreate").copied().unwrap_or_default();
        let cells = [shop.name.into(), "shopify".into(), shop.sandbox.base_url().into(), subscribed.into()];
        table.row(cells);
    }
    table.row(["market prices".into(), "kicksdb".into(), "sends to /api/kicks/monitor".into(), "".into()]);
    screen.table(&table);
    Ok(Stage { screen, onhand, url, tenant, admin_key, rest, shops: [one, two], feed_secret })
}

async fn open_shop(
    name: &'static str,
    config: &Config,
    rest: &Rest,
    props: &mut Props,
) -> anyhow::Result<Shop> {
    let settings = ShopSettings {
        domain: format!("{name}.myshopify.com"),
        access_token: hex::encode(random_bytes()),
        webhook_secret: hex::encode(random_bytes()),
        api_version: config.shopify_api_version.clone(),
        location_id: LOCATION,
        bucket: CostBucket::default(),
    };
    let mut connection = json!({
        "platform": "shopify", "name": name, "brand": "Sneaks", "currency": "USD",
        "account": settings.domain, "platform_location": LOCATION.to_string(),
        "access_token": settings.access_token, "webhook_secret": settings.webhook_secret,
    });
    let sandbox = SandboxShop::start(settings, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    props.shops.push(sandbox.clone());
    connection["endpoint"] = sandbox.base_url().into();
    connect(rest, &connection).await?;
    Ok(Shop { name, sandbox })
}

/// Makes a connection and switches it on, which subscribes to its webhooks.
async fn connect(rest: &Rest, connection: &Value) -> anyhow::Result<()> {
    let made = rest.post("/api/connections", connection).await?;
    let id = made["id"].as_str().context("a connection has an id")?;
    rest.post(&format!("/api/connections/{id}/enable"), &json!({})).await?;
    Ok(())
}
