//! History: what it costs to follow a million entries, to grow read models from them again, to prove that they were not
//! altered, and to look back at them; each beside a baseline.

mod looking_back;
mod making;
mod naive;
mod read_models;
mod verifying;

use std::time::{Duration, Instant};

use anyhow::ensure;
use chrono::TimeDelta;
use onhand::{Onhand, compose::Parts};
use onhand_domain::{
    StreamId,
    key::Role,
    values::{LocationCode, StockId, TenantId, VariantId},
};
use onhand_infrastructure::{
    clock::Clock,
    config::Retention,
    database::{self, local::LocalPostgres},
    ledger::{Context, Head, create_tenant, write_missing_snapshots},
    operations::Caller,
    secrets::KeyRing,
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use self::{naive::Tables, verifying::CoveredBytes};
use super::{Options, quiet, steal::watched};
use crate::{Client, process::master_keys};

const DATABASE: &str = "bench_history";
const PRODUCTS: usize = 200;
const VARIANTS: usize = 5;
/// Entries in memory at once.
const STRETCH: i64 = 10_000;

/// Numbers that look random and are the same each time.
struct Chance(u64);

impl Chance {
    /// From 0; `end` is less than 2^31.
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as i64 % end.max(1)
    }

    fn of<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.below(things.len() as i64) as usize]
    }
}

/// A tenant with a catalogue and a long history of its stock.
struct Stage<'s> {
    server: &'s LocalPostgres,
    onhand: Onhand,
    admin: Client,
    tenant: TenantId,
    /// Every variant, with its shelf. A fifth of all entries and more are about the first one.
    shelves: Vec<(String, StockId)>,
    /// The catalogue ends here, and stock begins to move.
    begin: i64,
}

/// What one round has shown: how many times as fast as the baseline, and for the floor how many times as long.
struct Round {
    following: f64,
    over_floor: f64,
    rebuilding: f64,
    verifying: f64,
}

/// Runs it.
pub(super) async fn run(options: &Options, server: &LocalPostgres) -> anyhow::Result<()> {
    let stage = Stage::open(server).await?;
    stage.make_history(options.entries).await?;
    let mut bytes = CoveredBytes::of(stage.tenant);
    let mut rounds = Vec::with_capacity(options.rounds);
    for number in 1..=options.rounds {
        println!("\nround {number}");
        rounds.push(stage.round(&mut bytes).await?);
        looking_back::measure(&stage, number as u64).await?;
    }
    let median = |pick: fn(&Round) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(pick).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    println!(
        "\nmedians: following {:.1} × event by event; rebuilding {:.2} × the floor's time (asked: within 6), {:.1} × event by \
         event (asked: at least 10); verifying {:.2} × sha256sum",
        median(|round| round.following),
        median(|round| round.over_floor),
        median(|round| round.rebuilding),
        median(|round| round.verifying),
    );
    Ok(())
}

impl<'s> Stage<'s> {
    async fn open(server: &'s LocalPostgres) -> anyhow::Result<Self> {
        super::fresh_database(server, DATABASE).await?;
        let pool = database::open(&server.connect_options(DATABASE), 12).await?;
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
        for product in 0..PRODUCTS {
            let variants: Vec<Value> =
                (0..VARIANTS).map(|size| json!({ "sku": format!("P{product}-{size}") })).collect();
            let body = json!({ "title": format!("Runner {product}"), "brand": "kite", "variants": variants });
            let made = admin.post("/api/products", body).await;
            ensure!(made.status.is_success(), "a product was not taken: {}", made.body);
        }
        // What this process remembers of the ledger ends here: it goes on by other means.
        onhand.ledger().drain().await;
        let variants: Vec<(String, Uuid)> =
            sqlx::query_as("select sku, id from variants where tenant_id = $1 order by id")
                .bind(tenant.0)
                .fetch_all(&pool)
                .await?;
        let shelf = |variant| StockId { variant: VariantId(variant), location: LocationCode::default() };
        let shelves = variants.into_iter().map(|(sku, variant)| (sku, shelf(variant))).collect();
        let mut stage = Self { server, onhand, admin, tenant, shelves, begin: 0 };
        stage.begin = stage.head().await?.position;
        Ok(stage)
    }

    async fn make_history(&self, entries: i64) -> anyhow::Result<()> {
        ensure!(entries > self.begin, "the catalogue alone takes {} entries", self.begin);
        let begun = Instant::now();
        let made = making::make(self, entries).await?;
        let (seconds, written) = (begun.elapsed().as_secs_f64(), made.position - self.begin);
        ensure!(made.hot_entries * 5 >= written, "only {} entries are about the hot shelf", made.hot_entries);
        // No look into the past asks for a time that has not come.
        let clock = self.onhand.ledger().clock();
        clock.advance(made.recorded_at - clock.now() + TimeDelta::seconds(1));
        println!(
            "{written} entries about {} shelves made and written in {seconds:.1} s ({:.0}/s), after {} of the catalogue; \
             {:.0} % about one shelf; {:.1} days of trade",
            self.shelves.len(),
            written as f64 / seconds,
            self.begin,
            made.hot_entries as f64 * 100.0 / written as f64,
            made.lasts.num_minutes() as f64 / 1_440.0,
        );
        self.settle().await?;
        let begun = Instant::now();
        let snapshots = write_missing_snapshots(self.onhand.pool(), self.tenant).await?;
        println!(
            "{snapshots} snapshots of long streams written afterwards in {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        let again = write_missing_snapshots(self.onhand.pool(), self.tenant).await?;
        ensure!(again == 0, "{again} snapshots were still missing");
        self.settle().await
    }

    /// Everything but looking back.
    async fn round(&self, bytes: &mut CoveredBytes) -> anyhow::Result<Round> {
        let followed = watched(|| read_models::follow(self)).await?;
        let plain = watched(|| naive::event_by_event(self, Tables::Both)).await?;
        let following = followed.value / plain.value.rate;
        println!(
            "  following         {:>8.0} entries/s; event by event {:.0}/s over {} of them: {following:.1} ×{}",
            followed.value,
            plain.value.rate,
            plain.value.entries,
            stolen(&[followed.steal, plain.steal])
        );

        let floor = watched(|| read_models::floor(self)).await?;
        let rebuilt = watched(|| read_models::rebuild_one(self, "stock_levels")).await?;
        let plain = watched(|| naive::event_by_event(self, Tables::StockLevels)).await?;
        let head = self.head().await?.position;
        let over_floor = rebuilt.value / floor.value;
        let naive_seconds = head as f64 / plain.value.rate;
        let rebuilding = naive_seconds / rebuilt.value;
        println!(
            "  rebuild           {:>8.2} s for stock_levels ({:.0} entries/s), one SQL statement {:.2} s: {over_floor:.2} × \
             (asked: within 6){}",
            rebuilt.value,
            head as f64 / rebuilt.value,
            floor.value,
            stolen(&[rebuilt.steal, floor.steal])
        );
        println!(
            "                    event by event {naive_seconds:.0} s, as {} entries at {:.0}/s tell: {rebuilding:.1} × \
             (asked: at least 10){}",
            plain.value.entries,
            plain.value.rate,
            stolen(&[plain.steal])
        );
        let reservations = watched(|| read_models::rebuild_one(self, "reservations")).await?;
        println!(
            "                    {:>8.2} s for reservations ({:.0} entries/s){}",
            reservations.value,
            head as f64 / reservations.value,
            stolen(&[reservations.steal])
        );

        bytes.catch_up(self).await?;
        self.settle().await?;
        let verified = watched(|| verifying::verify(self)).await?;
        let summed = watched(|| bytes.sha256sum()).await?;
        let megabytes = bytes.count() as f64 / 1e6;
        let verifying = summed.value / verified.value;
        println!(
            "  verify            {:>8.0} entries/s, {:.0} MB/s; sha256sum of the same {megabytes:.0} MB {:.0} MB/s: \
             {verifying:.2} ×{}",
            bytes.entries() as f64 / verified.value,
            megabytes / verified.value,
            megabytes / summed.value,
            stolen(&[verified.steal, summed.steal])
        );
        Ok(Round { following, over_floor, rebuilding, verifying })
    }

    async fn head(&self) -> anyhow::Result<Head> {
        Ok(Head::read(&mut *self.onhand.pool().acquire().await?, self.tenant).await?)
    }

    /// The stream that a fifth of all entries are about.
    fn hot(&self) -> StreamId {
        StreamId::Stock(self.shelves[0].1.clone())
    }

    /// A connection without the limits of the program's.
    async fn owner(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect_with(&self.server.connect_options(DATABASE)).await?)
    }

    /// Leaves nothing to be done in the background because of what was before.
    async fn settle(&self) -> anyhow::Result<()> {
        quiet(self.server).await?;
        sqlx::raw_sql("checkpoint").execute(&mut self.owner().await?).await?;
        Ok(())
    }
}

/// The most that was stolen during one of some measurements.
fn stolen(shares: &[f64]) -> String {
    let most = shares.iter().copied().fold(0.0, f64::max);
    format!(", steal {:.1} %", most * 100.0)
}
