//! What is measured: a server process with a tenant, a connection, and a thousand and one variants listed on it.

use std::{
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, ensure};
use onhand::{Onhand, compose::Parts};
use onhand_domain::{key::Role, values::TenantId};
use onhand_infrastructure::{
    clock::Clock,
    config::Retention,
    database::{self, local::LocalPostgres},
    ledger::{Context, create_tenant, proof},
    operations::Caller,
    secrets::KeyRing,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use uuid::Uuid;

use super::load::Target;
use crate::{Client, process::master_keys, shop};

const DATABASE: &str = "bench_onhand";
const PRODUCTS: usize = 10;
const VARIANTS: usize = 100;
const UNITS: i64 = 100_000_000;

/// A running server, and what can be bought there.
pub(super) struct Subject {
    child: Child,
    pool: sqlx::PgPool,
    tenant: TenantId,
    /// `127.0.0.1:port`
    pub(super) address: String,
    /// An editor's key.
    pub(super) key: String,
    /// Every variant.
    pub(super) cold: Vec<String>,
    /// One of them.
    pub(super) hot: Vec<String>,
    /// The connection its products are listed on.
    pub(super) connection: String,
    /// Webhooks that were acknowledged.
    pub(super) acknowledged: AtomicU64,
}

/// One of the products that are listed; by number, from 0.
pub(super) fn product(number: usize) -> Value {
    let sizes: Vec<String> = (0..VARIANTS).map(|n| n.to_string()).collect();
    let sizes: Vec<(&str, &str)> = sizes.iter().map(|size| (size.as_str(), "100.00")).collect();
    shop::product(&style(number), &sizes)
}

fn style(number: usize) -> String {
    char::from(b'A' + number as u8).to_string()
}

impl Subject {
    /// A fresh database, filled through the product's own doors, and a server process on it with these duties.
    pub(super) async fn start(server: &LocalPostgres, roles: &str) -> anyhow::Result<Self> {
        super::fresh_database(server, DATABASE).await?;
        let pool = database::open(&server.connect_options(DATABASE), 4).await?;
        let (tenant, key, cold, connection) = fill(&pool).await?;
        let (child, address) = serve(&server.url(DATABASE), roles, "on").await?;
        let hot = cold.iter().take(1).cloned().collect();
        let acknowledged = AtomicU64::default();
        Ok(Self { child, pool, tenant, address, key, cold, hot, connection, acknowledged })
    }

    /// Where to ask.
    pub(super) fn target(&self) -> Target<'_> {
        Target { addresses: [&self.address; 2], key: &self.key }
    }

    /// Another process on the same database; it ends when it is dropped.
    pub(super) async fn second(
        &self,
        server: &LocalPostgres,
        roles: &str,
    ) -> anyhow::Result<(Child, String)> {
        serve(&server.url(DATABASE), roles, "on").await
    }

    /// The same, but it does not note how webhooks fare.
    pub(super) async fn without_traces(
        &self,
        server: &LocalPostgres,
        roles: &str,
    ) -> anyhow::Result<(Child, String)> {
        serve(&server.url(DATABASE), roles, "off").await
    }

    /// Each webhook that was acknowledged must be there, once, and the chain must hold.
    pub(super) async fn check_webhooks(&self, sent: u64) -> anyhow::Result<()> {
        let (orders, deliveries): (i64, i64) = sqlx::query_as(
            "select count(*) filter (where name = 'order.placed'),
                    count(distinct stream) filter (where stream like 'delivery/%') from events",
        )
        .fetch_one(&self.pool)
        .await?;
        let acknowledged = self.acknowledged.load(Ordering::Relaxed) as i64;
        ensure!(orders == acknowledged, "{acknowledged} orders were acknowledged and {orders} are there");
        let verdict = proof::verify(&self.pool, self.tenant, |_, _| {}).await?;
        ensure!(matches!(verdict, proof::Verdict::Intact { .. }), "the chain does not hold: {verdict:?}");
        println!("{orders} orders of at most {sent} in the ledger, {deliveries} deliveries, chain verified");
        Ok(())
    }

    /// Where to ask when half of the load goes to a second process.
    pub(super) fn pair<'t>(&'t self, second: &'t (Child, String)) -> Target<'t> {
        Target { addresses: [&self.address, &second.1], key: &self.key }
    }

    /// What was acknowledged must be there, and the chain must hold.
    pub(super) async fn check(&self) -> anyhow::Result<()> {
        let (reserved, pending): (i64, i64) = sqlx::query_as(
            "select (select count(*) from events where name = 'stock.reserved'),
                    (select count(*) from outbox where status = 'pending')",
        )
        .fetch_one(&self.pool)
        .await?;
        let verdict = proof::verify(&self.pool, self.tenant, |_, _| {}).await?;
        ensure!(matches!(verdict, proof::Verdict::Intact { .. }), "the chain does not hold: {verdict:?}");
        let (behind,): (Option<i64>,) = sqlx::query_as(
            "select max(h.position - c.position) from ledger_heads h join checkpoints c using (tenant_id)",
        )
        .fetch_one(&self.pool)
        .await?;
        if let Some(behind) = behind {
            println!("\nat the end the slowest read model was {behind} entries behind");
        }
        println!(
            "\n{reserved} reservations in the ledger, chain verified; {pending} outbox rows pending (one a listing)"
        );
        Ok(())
    }

    /// Ends the server.
    pub(super) async fn stop(mut self) {
        let _ = self.child.kill().await;
    }
}

async fn fill(pool: &sqlx::PgPool) -> anyhow::Result<(TenantId, String, Vec<String>, String)> {
    let parts = Parts {
        pool: pool.clone(),
        clock: Clock::default(),
        keys: KeyRing::parse(&master_keys())?,
        reservation_ttl: std::time::Duration::from_secs(900),
        states_bytes: 512_000_000,
        shopify_api_version: "2026-04".into(),
        webhook_rate: 1_000_000,
        reconcile_every: std::time::Duration::from_hours(24),
        retention: Retention::default(),
        webhook_traces: true,
        skip_signatures: false,
    };
    let onhand = Onhand::new(parts)?;
    let tenant =
        create_tenant(pool, "bench", TenantId(Uuid::now_v7()), onhand.ledger().clock().now()).await?;
    let caller = Caller::new(Context::internal(tenant, "bench"));
    let (_, key, _) = onhand.operations.create_key(caller, "bench".into(), Role::Admin, None).await?;
    let key = key.reveal().to_owned();
    let admin = Client::new(onhand::router(onhand::App::new(onhand, None, None)), Some(key.clone()));

    let connection = json!({
        "platform": "shopify", "name": "Shop", "brand": "b", "account": "shop.example", "platform_location": "7",
        "endpoint": "http://127.0.0.1:9", "currency": "USD", "webhook_secret": shop::SECRET, "access_token": "t",
    });
    let made = admin.post("/api/connections", connection).await.body;
    let id = made["id"].as_str().context("a connection")?.to_owned();
    admin.post(&format!("/api/connections/{id}/enable"), json!({})).await;
    let mut skus = Vec::new();
    for number in 0..PRODUCTS {
        let (style, product) = (style(number), product(number));
        let sent = shop::Webhook::new("products/create", &style, &product).send(&admin, &id).await;
        ensure!(sent.status.is_success(), "a product was not taken: {}", sent.body);
        skus.extend((0..VARIANTS).map(|size| format!("{style}-{size}")));
    }
    for sku in &skus {
        let restocked: Value =
            admin.post("/api/stock/restock", json!({ "sku": sku, "quantity": UNITS })).await.body;
        ensure!(restocked["position"].is_i64(), "a restock was not taken: {restocked}");
    }
    Ok((tenant, key, skus, id))
}

async fn serve(url: &str, roles: &str, traces: &str) -> anyhow::Result<(Child, String)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve", "--listen", "127.0.0.1:0", "--roles", roles])
        .env("DATABASE_URL", url)
        .env("ONHAND_MASTER_KEYS", master_keys())
        .env("ONHAND_WEBHOOK_RATE_PER_MINUTE", "10000000")
        .env("ONHAND_WEBHOOK_TRACES", traces)
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(address) = line.strip_prefix("listening on http://") {
            return Ok((child, address.to_owned()));
        }
    }
    anyhow::bail!("the server did not come up")
}
