//! The pgbench rate: the textbook outbox, one event row and one outbox row in one transaction.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use onhand_infrastructure::database::local::LocalPostgres;
use sqlx::Connection;
use tokio::process::Command;

const DATABASE: &str = "bench_baseline";
const CLIENTS: [u32; 4] = [1, 8, 32, 64];

const SCHEMA: &str = "
    create table events (
        position bigserial primary key, tenant text, stream_id text, version bigint, type text,
        payload jsonb, metadata jsonb, occurred_at timestamptz default now(), unique (stream_id, version));
    create table outbox (
        id bigserial primary key, tenant text, destination text, key text, payload jsonb,
        created_at timestamptz default now(), available_at timestamptz default now(), attempts int default 0);";

/// No two transactions meet: each client counts its own versions.
const SCRIPT: &str = "\\set n :n + 1
\\set version :n * 100 + :client_id
\\set stream random(1, 1000)
begin;
insert into events (tenant, stream_id, version, type, payload, metadata, occurred_at)
    values ('t1', 'stock-' || :stream::int, :version::bigint, 'stock.reserved', :payload::jsonb, :metadata::jsonb, now());
insert into outbox (tenant, destination, key, payload) values ('t1', 'shopify', 'stock-' || :stream::int, :payload::jsonb);
commit;
";

/// What can be measured again and again.
pub(super) struct Baseline {
    pgbench: PathBuf,
    script: PathBuf,
    url: String,
    next: std::sync::atomic::AtomicU64,
}

/// `pgbench` beside the server's program, links followed; else the one on the `PATH`.
pub(super) fn pgbench(bin_dir: &Path) -> PathBuf {
    let server = std::fs::canonicalize(bin_dir.join("postgres")).unwrap_or_default();
    let beside = server.with_file_name("pgbench");
    if beside.exists() { beside } else { PathBuf::from("pgbench") }
}

impl Baseline {
    /// A fresh database with the two tables.
    pub(super) async fn prepare(server: &LocalPostgres) -> anyhow::Result<Self> {
        super::fresh_database(server, DATABASE).await?;
        let mut conn = sqlx::PgConnection::connect_with(&server.connect_options(DATABASE)).await?;
        sqlx::raw_sql(SCHEMA).execute(&mut conn).await?;
        let script = std::env::temp_dir().join(format!("onhand-pgbench-{}.sql", std::process::id()));
        std::fs::write(&script, SCRIPT)?;
        let pgbench = pgbench(&server.info().bin_dir);
        Ok(Self { pgbench, script, url: server.url(DATABASE), next: 1.into() })
    }

    /// The best of several numbers of clients, in transactions a second.
    pub(super) async fn best_rate(&self, seconds: u64) -> anyhow::Result<(u32, f64)> {
        let mut best = (0, 0.0);
        for clients in CLIENTS {
            let rate = self.rate(clients, seconds).await?;
            if rate > best.1 {
                best = (clients, rate);
            }
        }
        Ok(best)
    }

    async fn rate(&self, clients: u32, seconds: u64) -> anyhow::Result<f64> {
        // Versions begin where no earlier run has been.
        let first = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) * 100_000_000;
        let payload = format!(
            r#"{{"reservation":"018f4b1e-7a3c-7c44-9a0b-3c1d5e6f7a8b","quantity":1,"expires_at":"2026-11-22T12:00:00Z","note":"{}"}}"#,
            "x".repeat(80)
        );
        let metadata = r#"{"actor":"key:018f4b1e-7a3c-7c44-9a0b-3c1d5e6f7a8b","source":"rest","correlation_id":"018f4b1e-7a3c-7c44-9a0b-3c1d5e6f7a8c"}"#;
        let output = Command::new(&self.pgbench)
            .args(["-n", "-M", "prepared", "-T", &seconds.to_string(), "-c", &clients.to_string()])
            .args(["-j", &clients.min(2).to_string(), "-D", &format!("n={first}")])
            .args(["-D", &format!("payload={payload}"), "-D", &format!("metadata={metadata}")])
            .arg("-f")
            .arg(&self.script)
            .arg(&self.url)
            .output()
            .await
            .with_context(|| format!("{} comes with the server's programs", self.pgbench.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        match rate {
            Some(rate) if output.status.success() => Ok(rate),
            _ => bail!("pgbench: {}{text}", String::from_utf8_lossy(&output.stderr)),
        }
    }
}
