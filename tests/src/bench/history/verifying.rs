//! Verification, and `sha256sum` over the very bytes that the hashes of a ledger cover.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    path::PathBuf,
    time::Instant,
};

use anyhow::{Context as _, bail, ensure};
use onhand_domain::values::TenantId;
use onhand_infrastructure::ledger::{
    Entry,
    proof::{self, Verdict},
    read,
};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::{STRETCH, Stage};

/// A file with all that is hashed in a ledger, entry after entry.
pub(super) struct CoveredBytes {
    path: PathBuf,
    tenant: TenantId,
    /// Of the last entry that is in it.
    position: i64,
    hash: Vec<u8>,
    bytes: u64,
}

impl CoveredBytes {
    /// Nothing yet.
    pub(super) fn of(tenant: TenantId) -> Self {
        let path = std::env::temp_dir().join(format!("onhand-bench-history-{}", std::process::id()));
        // It is only ever added to.
        let _ = std::fs::remove_file(&path);
        let genesis = [b"onhand.ledger.v1".as_slice(), tenant.0.as_bytes().as_slice()].concat();
        let hash: [u8; 32] = Sha256::digest(genesis).into();
        Self { path, tenant, position: 0, hash: hash.to_vec(), bytes: 0 }
    }

    /// How many bytes there are.
    pub(super) fn count(&self) -> u64 {
        self.bytes
    }

    /// Of how many entries.
    pub(super) fn entries(&self) -> i64 {
        self.position
    }

    /// Adds what is not in it yet.
    pub(super) async fn catch_up(&mut self, stage: &Stage<'_>) -> anyhow::Result<()> {
        let file: File = OpenOptions::new().create(true).append(true).open(&self.path)?;
        let mut file = BufWriter::new(file);
        let mut conn = stage.onhand.pool().acquire().await?;
        let mut covered = Vec::new();
        loop {
            let entries = read::after(&mut conn, self.tenant, self.position, STRETCH).await?;
            let Some(first) = entries.first().map(|entry| entry.position) else { break };
            for entry in &entries {
                self.cover(entry, &mut covered);
                if entry.position == first {
                    let hash: [u8; 32] = Sha256::digest(&covered).into();
                    ensure!(entry.hash == hash, "position {first} is hashed over other bytes");
                }
                file.write_all(&covered)?;
                self.bytes += covered.len() as u64;
                self.position = entry.position;
                self.hash.clone_from(&entry.hash);
            }
        }
        file.flush()?;
        Ok(())
    }

    /// The bytes of [`Entry::chained`].
    fn cover(&self, entry: &Entry, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(b"onhand.entry.v1");
        into.extend_from_slice(&self.hash);
        into.extend_from_slice(self.tenant.0.as_bytes());
        into.extend_from_slice(&entry.position.to_be_bytes());
        into.extend_from_slice(entry.event_id.as_bytes());
        into.extend_from_slice(&entry.version.to_be_bytes());
        into.extend_from_slice(&entry.name_version.to_be_bytes());
        into.extend_from_slice(&entry.recorded_at.timestamp_micros().to_be_bytes());
        for text in [&entry.stream, &entry.name, &entry.payload, &entry.metadata] {
            into.extend_from_slice(&(text.len() as u64).to_be_bytes());
            into.extend_from_slice(text.as_bytes());
        }
    }

    /// Lets `sha256sum` read it, twice; gives the seconds of the better try.
    pub(super) async fn sha256sum(&self) -> anyhow::Result<f64> {
        let mut best = f64::INFINITY;
        for _ in 0..2 {
            let begun = Instant::now();
            let output = Command::new("sha256sum").arg(&self.path).output().await;
            best = best.min(begun.elapsed().as_secs_f64());
            let output = output.context("sha256sum is one of the coreutils")?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(best)
    }
}

impl Drop for CoveredBytes {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Walks the ledger from its first entry on. Gives seconds.
pub(super) async fn verify(stage: &Stage<'_>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let verdict = proof::verify(stage.onhand.pool(), stage.tenant, |_, _| {}).await?;
    let seconds = begun.elapsed().as_secs_f64();
    if !matches!(verdict, Verdict::Intact { from: 1, .. }) {
        bail!("the chain does not hold: {verdict:?}");
    }
    Ok(seconds)
}
