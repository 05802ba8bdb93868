//! The relay: commands settled a second, against pgbench claiming and settling one row at a time.
//!
//! A platform that answers at once and does nothing else stands behind four accounts. Quantities change through the product's
//! own doors; what is measured is the time until everything owed is settled: claimed under leases, called over HTTP in order
//! per listing, on record in the ledger, all of it durable.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use axum::{Json, Router, extract::Path, routing::post};
use futures_util::StreamExt as _;
use onhand::{Onhand, compose::Parts};
use onhand_domain::{key::Role, values::TenantId};
use onhand_infrastructure::{
    clock::Clock,
    config::Retention,
    database::{self, local::LocalPostgres},
    ledger::{Context, create_tenant},
    operations::Caller,
    secrets::KeyRing,
};
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::{net::TcpListener, process::Command, sync::watch};
use uuid::Uuid;

use super::{Options, baseline::pgbench, quiet};
use crate::{Client, process::master_keys};

const DATABASE: &str = "bench_relay";
const BASELINE: &str = "bench_relay_baseline";
const ACCOUNTS: usize = 4;
/// So many that it takes some seconds: by how they begin and end, the first thousands say little.
const PRODUCTS: usize = 400;
const VARIANTS: usize = 100;
/// Rows the baseline finds: more than it can get through.
const BASELINE_ROWS: i64 = 400_000;
const CLIENTS: u32 = 8;
/// What one request may move.
const BULK_ROWS: usize = 4_000;

const SCHEMA: &str = "
    create table outbox (
        id bigserial primary key, destination text not null, key text not null, payload jsonb not null,
        status text not null default 'pending', token uuid, leased_until timestamptz, attempts int not null default 0,
        created_at timestamptz not null default now(), finished_at timestamptz);
    create index on outbox (id) where status = 'pending';";

/// Two transactions a command, as a worker that holds none across its call has to have.
const SCRIPT: &str =
    "update outbox set status = 'leased', token = gen_random_uuid(), attempts = attempts + 1,
    leased_until = now() + interval '60 seconds'
where id = (select id from outbox where status = 'pending' order by id limit 1 for update skip locked)
returning id \\gset
update outbox set status = 'done', finished_at = now(), token = null, leased_until = null where id = :id;
";

/// How a platform takes quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taking {
    /// A call for each.
    Single,
    /// Twenty-five at a time.
    Batched,
}

struct Subject {
    onhand: Onhand,
    admin: Client,
    skus: Vec<String>,
    /// Quantities are set to this and one more, in turn.
    quantity: i64,
}

/// Runs it.
pub(super) async fn run(options: &Options, server: &LocalPostgres) -> anyhow::Result<()> {
    let endpoint = platform().await?;
    for taking in [Taking::Single, Taking::Batched] {
        let mut subject = Subject::open(server, taking, &endpoint).await?;
        for round in 1..=options.rounds {
            quiet(server).await?;
            let base = baseline(server, options.seconds).await?;
            quiet(server).await?;
            let (commands, seconds) = subject.measure().await?;
            let rate = commands as f64 / seconds;
            println!(
                "{taking:?}, round {round}: pgbench {base:.0}/s, relay {rate:.0}/s, {:.2} times ({commands} commands in {seconds:.2} s)",
                rate / base
            );
        }
    }
    Ok(())
}

/// A shop that does as it is told, at once.
async fn platform() -> anyhow::Result<String> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let router = Router::new()
        .route("/wp-json/wc/v3/products/batch", post(|Json(asked): Json<Value>| async { done(asked) }))
        .route(
            "/wp-json/wc/v3/products/{product}/variations/batch",
            post(|Path(_): Path<String>, Json(asked): Json<Value>| async { done(asked) }),
        );
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(endpoint)
}

/// What was asked is what is shown.
fn done(mut asked: Value) -> Json<Value> {
    Json(json!({ "update": asked["update"].take() }))
}

impl Subject {
    async fn open(server: &LocalPostgres, taking: Taking, endpoint: &str) -> anyhow::Result<Self> {
        super::fresh_database(server, DATABASE).await?;
        let pool = database::open(&server.connect_options(DATABASE), 16).await?;
        let parts = Parts {
            pool: pool.clone(),
            clock: Clock::default(),
            keys: KeyRing::parse(&master_keys())?,
            reservation_ttl: Duration::from_secs(900),
            states_bytes: 512_000_000,
            shopify_api_version: "2026-04".into(),
            webhook_rate: 1_000_000,
            reconcile_every: Duration::from_hours(24),
            retention: Retention::default(),
            webhook_traces: false,
            skip_signatures: false,
        };
        let onhand = Onhand::new(parts)?;
        let now = onhand.ledger().clock().now();
        let tenant = create_tenant(&pool, "bench", TenantId(Uuid::now_v7()), now).await?;
        let caller = Caller::new(Context::internal(tenant, "bench"));
        let (_, key, _) = onhand.operations.create_key(caller, "bench".into(), Role::Admin, None).await?;
        let router = onhand::router(onhand::App::new(onhand.clone(), None, None));
        let admin = Client::new(router, Some(key.reveal().to_owned()));
        let mut subject = Self { onhand, admin, skus: vec![], quantity: 1 };
        subject.fill(taking, endpoint).await?;
        Ok(subject)
    }

    async fn fill(&mut self, taking: Taking, endpoint: &str) -> anyhow::Result<()> {
        let mut accounts = vec![];
        for number in 0..ACCOUNTS {
            let connection = json!({
                "platform": "woocommerce", "name": format!("Shop {number}"), "brand": "kite", "endpoint": endpoint,
                "currency": "USD", "webhook_secret": "secret", "access_token": "ck_bench:cs_bench",
            });
            let made = self.admin.post("/api/connections", connection).await.body;
            let id = made["id"].as_str().context("a connection")?.to_owned();
            self.admin.post(&format!("/api/connections/{id}/enable"), json!({})).await;
            accounts.push(id);
        }
        for product in 0..PRODUCTS {
            let skus: Vec<String> = (0..VARIANTS).map(|n| format!("P{product}-{n}")).collect();
            let variants: Vec<Value> = skus.iter().map(|sku| json!({ "sku": sku })).collect();
            let body = json!({ "title": "Runner", "brand": "kite", "variants": variants });
            let made = self.admin.post("/api/products", body).await;
            ensure!(made.status.is_success(), "a product was not taken: {}", made.body);
            self.skus.extend(skus);
        }
        let listings = self.skus.iter().enumerate().map(|(number, sku)| {
            let product = 1_000_000 + number;
            let variant = if taking == Taking::Single { 5_000_000 + number } else { product };
            let body = json!({
                "connection": accounts[number % ACCOUNTS], "sku": sku, "external_product": product.to_string(),
                "external_variant": variant.to_string(), "external_inventory": variant.to_string(),
            });
            self.admin.post("/api/listings", body)
        });
        let mut answers = futures_util::stream::iter(listings).buffer_unordered(64);
        while let Some(answer) = answers.next().await {
            ensure!(answer.status.is_success(), "a listing was not taken: {}", answer.body);
        }
        drop(answers);
        // What mapping has made owed is settled before anything is measured.
        self.measure().await?;
        Ok(())
    }

    /// Changes every quantity, and takes the time until all of it is shown.
    async fn measure(&mut self) -> anyhow::Result<(usize, f64)> {
        self.quantity += 1;
        for skus in self.skus.chunks(BULK_ROWS) {
            let count = |sku| json!({ "count": { "sku": sku, "counted": self.quantity } });
            let rows: Vec<Value> = skus.iter().map(count).collect();
            let answer = self.admin.post("/api/stock/bulk", json!({ "rows": rows })).await;
            ensure!(answer.status.is_success(), "the counts were not taken: {}", answer.body);
        }
        while self.onhand.projector.step().await? > 0 {}
        let owed = self.left().await?;
        ensure!(owed as usize >= self.skus.len(), "{owed} commands are owed");
        let (stop, stopped) = watch::channel(false);
        let begun = Instant::now();
        let relay = tokio::spawn(self.onhand.relay.clone().run(stopped.clone()));
        let projector = tokio::spawn(self.onhand.projector.clone().run(stopped));
        while self.is_owed().await? {
            ensure!(begun.elapsed() < Duration::from_secs(120), "the relay does not come to an end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let _ = stop.send(true);
        relay.await?;
        projector.await?;
        let (dead,): (i64,) = sqlx::query_as("select count(*) from outbox where status = 'dead'")
            .fetch_one(self.onhand.pool())
            .await?;
        ensure!(dead == 0, "{dead} pushes were given up");
        Ok((owed as usize, seconds))
    }

    /// Looked up in the indexes of what is open, so that asking costs those who work nothing.
    async fn is_owed(&self) -> anyhow::Result<bool> {
        let (owed,): (bool,) = sqlx::query_as(
            "select exists (select from outbox where status = 'pending') or exists (select from outbox where status = 'leased')",
        )
        .fetch_one(self.onhand.pool())
        .await?;
        Ok(owed)
    }

    async fn left(&self) -> anyhow::Result<i64> {
        let (left,): (i64,) =
            sqlx::query_as("select count(*) from outbox where status in ('pending', 'leased')")
                .fetch_one(self.onhand.pool())
                .await?;
        Ok(left)
    }
}

async fn baseline(server: &LocalPostgres, seconds: u64) -> anyhow::Result<f64> {
    super::fresh_database(server, BASELINE).await?;
    let mut conn = sqlx::PgConnection::connect_with(&server.connect_options(BASELINE)).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut conn).await?;
    sqlx::query(
        "insert into outbox (destination, key, payload)
         select 'shop', 'sku-' || n, jsonb_build_object('quantity', n) from generate_series(1, $1) n",
    )
    .bind(BASELINE_ROWS)
    .execute(&mut conn)
    .await?;
    sqlx::raw_sql("vacuum (analyze) outbox").execute(&mut conn).await?;
    let script = std::env::temp_dir().join(format!("onhand-pgbench-relay-{}.sql", std::process::id()));
    std::fs::write(&script, SCRIPT)?;
    let output = Command::new(pgbench(&server.info().bin_dir))
        .args([
            "-n",
            "-M",
            "prepared",
            "-T",
            &seconds.to_string(),
            "-c",
            &CLIENTS.to_string(),
            "-j",
            "2",
            "-f",
        ])
        .arg(&script)
        .arg(server.url(BASELINE))
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    match rate {
        Some(rate) if output.status.success() => Ok(rate),
        _ => bail!("pgbench: {}{text}", String::from_utf8_lossy(&output.stderr)),
    }
}
