//! States: how long a stream of a million entries takes to load, and what a million shelves take in memory.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures_util::{StreamExt, TryStreamExt, stream};
use onhand_domain::{
    StreamId,
    aggregate::verdict,
    stock::StockCommand,
    stream::Lookup,
    values::{LocationCode, Quantity, ReservationId, StockId, TenantId, VariantId},
};
use onhand_infrastructure::{
    clock::Clock,
    database::{self, local::LocalPostgres},
    ledger::{Context, Decision, Ledger, Submission, create_tenant},
};
use sqlx::PgPool;
use tokio::process::Command;
use uuid::Uuid;

const DATABASE: &str = "bench_states";
const ENTRIES: u64 = 1_000_000;
const SHELVES: u64 = 1_000_000;
const TOUCHED: u64 = 100_000;
/// Entries in one submission while history is made.
const CHUNK: u64 = 500;
const STATES_BYTES: usize = 64_000_000;

/// Makes the history, and lets a process of its own, which has seen nothing of it, measure.
pub(super) async fn run(server: &LocalPostgres) -> anyhow::Result<()> {
    super::fresh_database(server, DATABASE).await?;
    let pool = database::open(&server.connect_options(DATABASE), 8).await?;
    let tenant = TenantId(Uuid::now_v7());
    create_tenant(&pool, "bench", tenant, Clock::default().now()).await?;
    let ledger = ledger(&pool);
    let begun = Instant::now();
    let long = (0..ENTRIES / CHUNK).map(|_| vec![shelf(0); CHUNK as usize]);
    let many = (0..SHELVES / CHUNK)
        .map(|chunk| (0..CHUNK).map(|n| shelf(1 + chunk * CHUNK + n)).collect::<Vec<_>>());
    stream::iter(long.chain(many))
        .map(|shelves| ledger.submit(restock(tenant, shelves)))
        .buffer_unordered(8)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    println!("{} entries appended in {:.1} s", ENTRIES + SHELVES, begun.elapsed().as_secs_f64());
    ledger.drain().await;
    let output = Command::new(std::env::current_exe()?)
        .args(["states", &server.url(DATABASE)])
        .output()
        .await
        .context("the measuring process")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

/// The measuring process: `bench states <url of the database>`.
pub(super) async fn measure(url: &str) -> anyhow::Result<()> {
    let pool = database::pool(&url.parse()?, 8).await?;
    let (tenant,): (Uuid,) = sqlx::query_as("select id from tenants").fetch_one(&pool).await?;
    let tenant = TenantId(tenant);
    let mut times = vec![];
    for _ in 0..9 {
        // Nothing in memory: head, snapshot and the rest are read before the first decision.
        let ledger = ledger(&pool);
        let begun = Instant::now();
        ledger.submit(reserve(tenant, shelf(0))).await?;
        times.push(begun.elapsed());
        ledger.drain().await;
    }
    times.sort();
    println!(
        "first reservation on a stream of {ENTRIES} entries with nothing in memory: median {:.1} ms, slowest {:.1} ms",
        milliseconds(times[times.len() / 2]),
        milliseconds(times[times.len() - 1])
    );
    let ledger = ledger(&pool);
    let before = resident_bytes()?;
    let begun = Instant::now();
    let mut failed = 0;
    let mut asks = stream::iter(1..=TOUCHED)
        // Far apart, so that nothing is read along with its neighbour.
        .map(|n| ledger.submit(reserve(tenant, shelf(1 + (n * 7_919) % SHELVES))))
        .buffer_unordered(64);
    while let Some(done) = asks.next().await {
        failed += u64::from(done.is_err());
    }
    let elapsed = begun.elapsed().as_secs_f64();
    println!(
        "{TOUCHED} of {SHELVES} shelves reserved from, each for the first time: {:.0}/s, {failed} failed; resident memory \
         grew by {:.1} MB, bound {:.1} MB",
        TOUCHED as f64 / elapsed,
        (resident_bytes()?.saturating_sub(before)) as f64 / 1e6,
        STATES_BYTES as f64 / 1e6
    );
    Ok(())
}

fn ledger(pool: &PgPool) -> Ledger {
    Ledger::new(pool.clone(), Clock::default(), onhand_projector::state_tables(), STATES_BYTES)
}

fn shelf(number: u64) -> StockId {
    let variant = VariantId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + u128::from(number)));
    StockId { variant, location: LocationCode::default() }
}

fn restock(tenant: TenantId, shelves: Vec<StockId>) -> Submission {
    let mut reads: Vec<_> = shelves.iter().cloned().map(StreamId::Stock).collect();
    reads.dedup();
    Submission {
        context: Context::internal(tenant, "bench"),
        idempotency: None,
        reads,
        fresh: vec![],
        decide: Arc::new(move |lookup: &Lookup<'_>, now| {
            let mut decision = Decision::default();
            for id in &shelves {
                let quantity = Quantity::new(1).unwrap_or(Quantity::ZERO);
                let command = StockCommand::Restock { quantity, reference: None, occurred_at: now };
                for event in verdict(id, lookup.stock(id), command)? {
                    decision.changes.push((StreamId::Stock(id.clone()), event.into()));
                }
            }
            Ok(decision)
        }),
    }
}

fn reserve(tenant: TenantId, id: StockId) -> Submission {
    let reservation = ReservationId(Uuid::now_v7());
    Submission {
        context: Context::internal(tenant, "bench"),
        idempotency: None,
        reads: vec![StreamId::Stock(id.clone())],
        fresh: vec![],
        decide: Arc::new(move |lookup: &Lookup<'_>, now| {
            let quantity = Quantity::new(1).unwrap_or(Quantity::ZERO);
            let command = StockCommand::Reserve { reservation, quantity, expires_at: None, now };
            let events = verdict(&id, lookup.stock(&id), command)?;
            let changes = events.into_iter().map(|e| (StreamId::Stock(id.clone()), e.into())).collect();
            Ok(Decision { changes, ..Decision::default() })
        }),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// What this process has in memory.
fn resident_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a line VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
