//! A world: one database, the product's parts around it, one tenant and its admin.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use chrono::TimeDelta;
use onhand::{App, Onhand, compose::Parts, router};
use onhand_domain::{connection::Platform, key::Role, values::TenantId};
use onhand_infrastructure::{
    clock::Clock,
    config::Retention,
    database,
    ledger::{Context, Head, create_tenant, proof},
    oidc::OidcSettings,
    operations::Caller,
    outbox::follow_ups::next_due,
    platforms::shopify::sandbox::SandboxShop,
    queries::checkpoints,
    secrets::KeyRing,
};
use onhand_projector::{MODELS, OnDifference, Rebuilt, find_model, rebuild};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{Answer, Client, Database, issuer::Issuer, process::master_keys, sample::SIGNING_SECRET, shop};

/// How often another task is let go on until something has to have happened: minutes, where it happens in milliseconds.
const YIELDS_MAX: u64 = 50_000_000;

/// Everything a test needs.
pub struct World {
    /// Where it is kept.
    pub database: Database,
    /// The parts.
    pub onhand: Onhand,
    /// Whose ledger the tests look at.
    pub tenant: TenantId,
    /// The tenant's admin, at the router.
    pub admin: Client,
    /// The admin's key.
    pub key: String,
    /// The hands of the clock.
    pub clock: Clock,
}

/// What one process is set up with.
struct Process {
    tenant: &'static str,
    states_bytes: usize,
    webhook_rate: u32,
    clock: Clock,
    keys: String,
    oidc: Option<OidcSettings>,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            tenant: "acme",
            states_bytes: 512_000_000,
            webhook_rate: 1_000_000,
            clock: Clock::default(),
            keys: master_keys(),
            oidc: None,
        }
    }
}

impl World {
    /// A new one, empty.
    pub async fn new() -> Self {
        Self::on(Database::create().await).await
    }

    /// A new one in a database that has its schema.
    pub async fn on(database: Database) -> Self {
        Self::open(database, "acme").await
    }

    /// Another process on the same database, as far as anything but the operating system can tell. Their clocks are one.
    pub async fn twin(&self) -> Self {
        Self::open_with(self.database.clone(), Process { clock: self.clock.clone(), ..Process::default() })
            .await
    }

    /// The same, whose credentials are sealed by the first of these master keys.
    pub async fn with_keys(&self, keys: String) -> Self {
        let clock = self.clock.clone();
        Self::open_with(self.database.clone(), Process { keys, clock, ..Process::default() }).await
    }

    /// The same, which takes access tokens of this issuer.
    pub async fn with_issuer(&self, issuer: &Issuer) -> Self {
        let (clock, oidc) = (self.clock.clone(), Some(issuer.settings()));
        Self::open_with(self.database.clone(), Process { oidc, clock, ..Process::default() }).await
    }

    /// Another tenant in the same database.
    pub async fn other_tenant(&self) -> Self {
        Self::open(self.database.clone(), "other").await
    }

    /// The same world, seen by a process that keeps less of it in memory.
    pub async fn with_states_bytes(&self, states_bytes: usize) -> Self {
        Self::open_with(self.database.clone(), Process { states_bytes, ..Process::default() }).await
    }

    /// The same world, seen by a process that lets in so many webhooks a minute.
    pub async fn with_webhook_rate(&self, webhook_rate: u32) -> Self {
        Self::open_with(self.database.clone(), Process { webhook_rate, ..Process::default() }).await
    }

    async fn open(database: Database, tenant: &'static str) -> Self {
        Self::open_with(database, Process { tenant, ..Process::default() }).await
    }

    async fn open_with(database: Database, process: Process) -> Self {
        let Process { tenant, states_bytes, webhook_rate, clock, keys, oidc } = process;
        let pool = database::pool(&database.options, 12).await.expect("the database answers");
        let parts = Parts {
            pool: pool.clone(),
            clock: clock.clone(),
            keys: KeyRing::parse(&keys).expect("the tests' keys are keys"),
            reservation_ttl: Duration::from_secs(900),
            states_bytes,
            shopify_api_version: "2026-04".into(),
            webhook_rate,
            reconcile_every: Duration::from_hours(24),
            retention: Retention::default(),
            webhook_traces: true,
            skip_signatures: false,
        };
        let mut onhand = Onhand::new(parts).expect("an HTTP client can be made");
        if let Some(oidc) = oidc {
            onhand = onhand.with_issuer(oidc).expect("an HTTP client can be made");
        }
        let tenant = create_tenant(&pool, tenant, TenantId(Uuid::now_v7()), clock.now())
            .await
            .expect("a tenant is made");
        let caller = Caller::new(Context::internal(tenant, "test"));
        let (_, key, _) = onhand
            .operations
            .create_key(caller, "admin".into(), Role::Admin, None)
            .await
            .expect("a key is made");
        let key = key.reveal().to_owned();
        let app = App::new(onhand.clone(), None, None).in_development();
        let admin = Client::new(router(app), Some(key.clone()));
        Self { database, onhand, tenant, admin, key, clock }
    }

    /// A caller with a key of this role, bound to a brand if one is given.
    pub async fn client(&self, role: &str, brand: Option<&str>) -> Client {
        let body = json!({ "name": role, "role": role, "brand": brand });
        let made = self.admin.post("/api/keys", body).await.expect(201);
        self.admin.with_key(made["key"].as_str())
    }

    /// A product with one variant a SKU and this much of each on hand at `main`.
    pub async fn stocked(&self, stock: &[(&str, i64)]) {
        let variants: Vec<Value> = stock.iter().map(|(sku, _)| json!({ "sku": sku })).collect();
        let product = json!({ "title": "Runner", "brand": "kite", "variants": variants });
        self.admin.post("/api/products", product).await.expect(201);
        for (sku, quantity) in stock.iter().filter(|(_, quantity)| *quantity > 0) {
            let body = json!({ "sku": sku, "quantity": quantity });
            self.admin.post("/api/stock/restock", body).await.expect(200);
        }
    }

    /// Reserves at `main`.
    pub async fn reserve(&self, lines: &[(&str, i64)]) -> Answer {
        let lines: Vec<Value> = lines.iter().map(|(sku, n)| json!({ "sku": sku, "quantity": n })).collect();
        self.admin.post("/api/reservations", json!({ "lines": lines })).await
    }

    /// On hand, reserved and available of each SKU at `main`, once the read model has caught up.
    pub async fn levels(&self) -> BTreeMap<String, (i64, i64, i64)> {
        self.project().await;
        let body = self.admin.get("/api/stock?location=main&limit=200").await.expect(200);
        let rows = body["data"].as_array().expect("a page has rows").clone();
        let number = |row: &Value, name: &str| row[name].as_i64().expect("a number");
        rows.iter()
            .map(|row| {
                let sku = row["sku"].as_str().expect("a SKU").to_owned();
                (sku, (number(row, "on_hand"), number(row, "reserved"), number(row, "available")))
            })
            .collect()
    }

    /// Lets every projection come to its head.
    pub async fn project(&self) {
        while self.onhand.projector.step().await.expect("projections advance") > 0 {}
    }

    /// Lets projections follow by themselves until what this gives is dropped.
    #[must_use]
    pub fn projecting(&self) -> watch::Sender<bool> {
        let (going_on, stop) = watch::channel(false);
        tokio::spawn(self.onhand.projector.clone().run(stop));
        going_on
    }

    /// Kills a relay in the middle of a step: once something holds, nobody hears of it again, and its leases stay.
    ///
    /// # Panics
    /// When the step comes to its end before, or gets nowhere.
    pub async fn kill_relay(&self, begun: impl Fn() -> bool) {
        let relay = self.onhand.relay.clone();
        let step = tokio::spawn(async move { relay.step().await });
        let mut yields = 0_u64;
        while !begun() {
            yields += 1;
            assert!(yields < YIELDS_MAX && !step.is_finished(), "the step was not got hold of");
            tokio::task::yield_now().await;
        }
        step.abort();
        let killed = step.await.is_err_and(|error| error.is_cancelled());
        assert!(killed, "the step came to its end before it was killed");
    }

    /// Lets other tasks go on until something holds.
    ///
    /// # Panics
    /// When it does not come to hold.
    pub async fn until(&self, holds: impl Fn() -> bool) {
        let mut yields = 0_u64;
        while !holds() {
            yields += 1;
            assert!(yields < YIELDS_MAX, "it does not come to hold");
            tokio::task::yield_now().await;
        }
    }

    /// The minute for which commands are in the hands of processes that are dead or stand still has passed. Says how many
    /// there are.
    pub async fn end_leases(&self) -> u64 {
        let mut owner = self.database.owner().await;
        let ended = sqlx::query(
            "update outbox set leased_until = now() - interval '1 second' where status = 'leased'",
        )
        .execute(&mut owner)
        .await
        .expect("the owner may");
        ended.rows_affected()
    }

    /// Lets everything that is owed to platforms arrive there, turning the clock to whatever is due next.
    pub async fn converge(&self) {
        for _ in 0..2_000 {
            self.project().await;
            if self.onhand.relay.step().await.expect("the relay works") > 0 {
                continue;
            }
            if self.onhand.operations.follow_up().await.expect("follow-ups are taken") > 0 {
                continue;
            }
            match self.next_due().await {
                None => return,
                Some(wait) => self.clock.advance(wait),
            }
        }
        panic!("what is owed to platforms does not come to an end");
    }

    /// How long until the next pending command is due; none if none is pending.
    async fn next_due(&self) -> Option<TimeDelta> {
        let (next,): (Option<chrono::DateTime<chrono::Utc>>,) = sqlx::query_as(
            "select min(greatest(coalesce(o.leased_until, o.next_attempt_at), b.held_until, b.retry_at)) from outbox o
             left join breakers b on b.tenant_id = o.tenant_id and b.connection_id = o.connection_id
             where o.status = 'leased' or (o.status = 'pending' and not exists (
                 select from outbox l where l.listing_id = o.listing_id and l.kind = o.kind and l.status = 'leased'))",
        )
        .fetch_one(self.onhand.pool())
        .await
        .expect("the outbox can be read");
        let followed = next_due(self.onhand.pool()).await.expect("follow-ups can be read");
        let next = [next, followed].into_iter().flatten().min();
        next.map(|next| (next - self.clock.now()).max(TimeDelta::zero()) + TimeDelta::milliseconds(5))
    }

    /// Connects a Shopify shop, switched on, without rules of its own. Gives the connection's id.
    pub async fn connect(&self, endpoint: Option<&str>, rules: Value) -> String {
        let body = json!({
            "platform": "shopify", "name": "Sneaks One", "brand": "kite", "account": "sneaks-one.example",
            "endpoint": endpoint.unwrap_or("http://127.0.0.1:9"), "platform_location": "7", "currency": "USD",
            "webhook_secret": shop::SECRET, "access_token": "shpat_test", "rules": rules,
        });
        let made = self.admin.post("/api/connections", body).await.expect(201);
        let id = made["id"].as_str().expect("an id").to_owned();
        self.admin.post(&format!("/api/connections/{id}/enable"), json!({})).await.expect(200);
        id
    }

    /// Connects a platform, switched on, in the brand `kite`. Gives the connection's id.
    pub async fn connect_to(&self, platform: Platform, more: Value) -> String {
        let mut body = json!({
            "platform": platform, "name": format!("{platform} one"), "brand": "kite", "account": "shop-1",
            "app": "app-1", "platform_location": "7", "currency": "USD", "webhook_secret": SIGNING_SECRET,
            "access_token": "token-1", "app_secret": "app-secret-1",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let made = self.admin.post("/api/connections", body).await.expect(201);
        let id = made["id"].as_str().expect("an id").to_owned();
        self.admin.post(&format!("/api/connections/{id}/enable"), json!({})).await.expect(200);
        id
    }

    /// Does what deliveries have left to do, as far as it is due.
    pub async fn follow_up(&self) {
        self.project().await;
        while self.onhand.operations.follow_up().await.expect("follow-ups are taken") > 0 {
            self.project().await;
        }
    }

    /// Connects KicksDB, switched on. Gives the connection's id.
    pub async fn connect_kicksdb(&self) -> String {
        let body = json!({
            "platform": "kicksdb", "name": "Market", "brand": "kite", "currency": "USD", "webhook_secret": shop::SECRET,
        });
        let made = self.admin.post("/api/connections", body).await.expect(201);
        let id = made["id"].as_str().expect("an id").to_owned();
        self.admin.post(&format!("/api/connections/{id}/enable"), json!({})).await.expect(200);
        id
    }

    /// What a shop shows: SKU to available and price.
    pub fn shows(shop: &SandboxShop) -> BTreeMap<String, (i64, String)> {
        shop.shows().into_iter().map(|v| (v.sku.clone(), (v.available, v.price.clone()))).collect()
    }

    /// The names of all entries, in order.
    pub async fn history(&self) -> Vec<String> {
        let rows: Vec<(String,)> =
            sqlx::query_as("select name from events where tenant_id = $1 order by position")
                .bind(self.tenant.0)
                .fetch_all(self.onhand.pool())
                .await
                .expect("history can be read");
        rows.into_iter().map(|(name,)| name).collect()
    }

    /// Walks the chain.
    pub async fn verify(&self) -> proof::Verdict {
        proof::verify(self.onhand.pool(), self.tenant, |_, _| {}).await.expect("the ledger can be walked")
    }

    /// Expects the chain to hold, and versions without gaps.
    pub async fn expect_intact(&self) {
        let verdict = self.verify().await;
        assert!(matches!(verdict, proof::Verdict::Intact { .. }), "{verdict:?}");
        let gaps: Vec<(String,)> = sqlx::query_as(
            "select stream from events where tenant_id = $1
             group by stream having min(version) <> 1 or max(version) <> count(*)",
        )
        .bind(self.tenant.0)
        .fetch_all(self.onhand.pool())
        .await
        .expect("history can be read");
        assert_eq!(gaps, [], "streams with gaps");
    }

    /// Rebuilds one read model.
    pub async fn rebuild(&self, name: &str, on_difference: OnDifference) -> Rebuilt {
        let model = find_model(name).expect("a read model");
        let caller = Caller::new(Context::internal(self.tenant, "test"));
        rebuild(&self.onhand.operations, caller, model, on_difference, |_| ControlFlow::Continue(()))
            .await
            .expect("a rebuild")
    }

    /// Rebuilds every read model and expects each to be what grew live, row for row.
    pub async fn expect_rebuilt_equals_live(&self) -> Vec<Rebuilt> {
        self.project().await;
        let head = {
            let mut conn = self.onhand.pool().acquire().await.expect("a connection");
            Head::read(&mut conn, self.tenant).await.expect("the tenant has a ledger").position
        };
        let mut all = Vec::new();
        for model in MODELS {
            if model.follows() {
                let patience = Duration::from_secs(60);
                let reached =
                    checkpoints::reached(self.onhand.pool(), self.tenant, model.name, head, patience)
                        .await
                        .expect("checkpoints can be read");
                assert!(reached, "{} does not come to the head", model.name);
            }
            let rebuilt = self.rebuild(model.name, OnDifference::Keep).await;
            let Rebuilt { differences, sample, .. } = &rebuilt;
            assert_eq!(*differences, 0, "{} differs from what grew live: {sample:?}", model.name);
            assert!(rebuilt.position >= head, "{} was compared as of {}", model.name, rebuilt.position);
            all.push(rebuilt);
        }
        all
    }
}
