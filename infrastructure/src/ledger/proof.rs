//! Proof: walking a ledger from its first entry and recomputing every hash.

use onhand_domain::values::TenantId;
use serde::Serialize;
use sqlx::PgPool;

use super::{Entry, Head, LedgerError, entry::genesis_hash, read};

const PAGE: i64 = 5_000;

/// The result of a walk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Every entry follows from the one before, and the last one is the head.
    Intact {
        /// How many entries there are.
        entries: i64,
        /// The hash that stands for all of them, in hex.
        hash: String,
    },
    /// History was altered, here first.
    Broken {
        /// The first position that does not hold.
        position: i64,
        /// What is wrong there.
        why: String,
    },
}

/// Walks a tenant's ledger. `progress` is told each position reached.
pub async fn verify(
    pool: &PgPool,
    tenant: TenantId,
    mut progress: impl FnMut(i64, i64),
) -> Result<Verdict, LedgerError> {
    let mut conn = pool.acquire().await?;
    // What is appended while we walk is not looked at: the head of this moment is the end.
    let head = Head::read(&mut conn, tenant).await?;
    let mut hash = genesis_hash(tenant);
    let mut walker = Walker::default();
    while walker.position < head.position {
        let page = read::after(&mut conn, tenant, walker.position, PAGE).await?;
        if page.is_empty() {
            return Ok(broken(walker.position + 1, "the entry is missing, and everything after it"));
        }
        for entry in page.iter().filter(|entry| entry.position <= head.position) {
            match walker.step(tenant, &hash, entry) {
                Ok(next) => hash = next,
                Err((position, why)) => return Ok(broken(position, why)),
            }
        }
        if page.iter().all(|entry| entry.position > head.position) {
            return Ok(broken(walker.position + 1, "the entry is missing"));
        }
        progress(walker.position, head.position);
    }
    if head.position == 0 && head.hash != hash || head.position > 0 && head.hash != hash.as_slice() {
        return Ok(broken(head.position, "the head's hash is not the hash of the last entry"));
    }
    if let Some(extra) = read::after(&mut conn, tenant, head.position, 1).await?.first() {
        // A writer may have moved on meanwhile; an entry beyond the *present* head was put there by hand.
        if extra.position > Head::read(&mut conn, tenant).await?.position {
            return Ok(broken(extra.position, "the entry lies beyond the head"));
        }
    }
    Ok(Verdict::Intact { entries: head.position, hash: hex::encode(hash) })
}

#[derive(Default)]
struct Walker {
    position: i64,
    micros: i64,
}

impl Walker {
    fn step(
        &mut self,
        tenant: TenantId,
        before: &[u8],
        entry: &Entry,
    ) -> Result<[u8; 32], (i64, &'static str)> {
        let expected = self.position + 1;
        if entry.position != expected {
            return Err((expected, "the entry is missing"));
        }
        let hash = entry.chained(tenant, before);
        if entry.hash != hash {
            return Err((
                expected,
                "the hash does not follow from the entry and the one before: it was altered, inserted or moved",
            ));
        }
        let micros = entry.recorded_at.timestamp_micros();
        if micros < self.micros {
            return Err((expected, "the entry is dated before the one before it"));
        }
        self.position = expected;
        self.micros = micros;
        Ok(hash)
    }
}

fn broken(position: i64, why: impl Into<String>) -> Verdict {
    Verdict::Broken { position, why: why.into() }
}
