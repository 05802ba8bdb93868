//! Proof: that a ledger is the one that was written, shown by recomputing it, by signatures, and by paths in a tree.
//!
//! [`Verification`] walks a ledger and recomputes every hash. That shows that history hangs together, and a chain that was
//! recomputed as a whole hangs together too: a [`SignedCheckpoint`] that was kept elsewhere shows that it is still the
//! same history. An [`InclusionProof`] shows with a few hashes that one entry is part of a signed history.

mod ends;
mod inclusion;
mod merkle;
mod merkle_nodes;
mod signed_checkpoint;
mod unproven;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use onhand_domain::values::TenantId;
use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};
use tokio::task::JoinSet;

use self::{
    ends::{End, first_before_all, first_beyond_head, last_position},
    merkle::{Hash, Tree},
    walk::{Fault, Walked, walk},
};
pub use self::{
    inclusion::{InclusionProof, ProvenEntry, prove},
    signed_checkpoint::{SignedCheckpoint, SigningKey, Standing, key_name, standing},
    unproven::{Document, Unproven},
};
use super::{LedgerError, entry::genesis_hash};

/// Entries that one worker walks at a time: two to the power of this, so that each stretch is a node of the tree.
const STRETCH_HEIGHT: u32 = 16;
/// How far the clocks of processes may be ahead of the database's before it is told.
const AHEAD_SECONDS_MAX: i64 = 300;

/// What a verification has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Every entry that was walked follows from the one before, the last one is the head, and every checkpoint agrees.
    Intact {
        /// How many entries there are.
        entries: i64,
        /// The hash that stands for all of them, in hex.
        hash: String,
        /// The root of the tree over all of them, in hex.
        root: String,
        /// The first entry that was walked. Those before it are as a trusted checkpoint has them, hash for hash.
        from: i64,
        /// The first entry below a kept node of the tree that does not agree. It is left as it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        tree_differed: Option<i64>,
        /// By how much the head is dated ahead of the database's clock, if by more than clocks differ.
        #[serde(skip_serializing_if = "Option::is_none")]
        seconds_ahead: Option<i64>,
    },
    /// History was altered, here first as far as can be seen.
    Broken {
        /// The first position that does not hold.
        position: i64,
        /// What is wrong there.
        why: String,
    },
}

impl Verdict {
    fn broken(position: i64, why: impl Into<String>) -> Self {
        Self::Broken { position, why: why.into() }
    }
}

/// How a ledger is verified. The checkpoints are of its tenant, and somebody has checked their signatures.
#[derive(Debug, Clone, Copy)]
pub struct Verification<'c> {
    /// A checkpoint that is trusted: the walk begins in the stretch it lies in, or an older one of `against`. Of what comes
    /// before that stretch only the hashes are looked at, and not what they were made of.
    pub from: Option<&'c SignedCheckpoint>,
    /// Checkpoints the ledger has to agree with.
    pub against: &'c [SignedCheckpoint],
    /// Workers take this many entries at a time: two to the power of it.
    pub stretch_height: u32,
}

impl Default for Verification<'_> {
    fn default() -> Self {
        Self { from: None, against: &[], stretch_height: STRETCH_HEIGHT }
    }
}

/// Walks a tenant's ledger from its first entry on. `progress` is told how many positions are done, and of how many.
pub async fn verify(
    pool: &PgPool,
    tenant: TenantId,
    progress: impl FnMut(i64, i64),
) -> Result<Verdict, LedgerError> {
    Verification::default().run(pool, tenant, progress).await
}

impl Verification<'_> {
    /// Walks a tenant's ledger. `progress` is told how many positions are done, and of how many. Nothing is written.
    pub async fn run(
        &self,
        pool: &PgPool,
        tenant: TenantId,
        progress: impl FnMut(i64, i64),
    ) -> Result<Verdict, LedgerError> {
        // What is appended while we walk is not looked at: the head of this moment is the end.
        let mut conn = pool.acquire().await?;
        let Some(end) = End::of(&mut conn, tenant).await? else {
            let last = last_position(&mut conn, tenant).await?;
            return Ok(Verdict::broken(last, "the row that says where the ledger ends is missing"));
        };
        drop(conn);
        let begin = self.begin(&end);
        let walked = self.walk(pool, tenant, (begin, end.position), progress).await?;

        let mut conn = pool.acquire().await?;
        // First, for nothing that is read by position ever comes upon it; what is read by stream does.
        if let Some(extra) = first_before_all(&mut conn, tenant).await? {
            return Ok(Verdict::broken(extra, "the entry lies before the first one"));
        }
        // What comes before the walk is told by the hashes that are stored there, which no walk has seen.
        let before = match merkle_nodes::of_entries(&mut conn, tenant, begin).await {
            Err(LedgerError::Unreadable { position, why }) => return Ok(Verdict::broken(position, why)),
            before => before?,
        };
        let mut history = History::of(before, &walked);
        if let Some(broken) = self.contradiction(&end, begin, &history) {
            return Ok(broken);
        }
        if let Some(Fault { position, why }) = history.fault {
            return Ok(Verdict::broken(position, why));
        }
        if history.hash.unwrap_or_else(|| genesis_hash(tenant)) != end.hash.as_slice() {
            let why = "the head's hash is not the hash of the last entry";
            return Ok(Verdict::broken(end.position, why));
        }
        if let Some(why) = end.misdated {
            return Ok(Verdict::broken(end.position, why));
        }
        if let Some(extra) = first_beyond_head(&mut conn, tenant).await? {
            return Ok(Verdict::broken(extra, "the entry lies beyond the head"));
        }
        Ok(Verdict::Intact {
            entries: end.position,
            hash: hex::encode(&end.hash),
            root: hex::encode(history.tree.root()),
            from: begin + 1,
            tree_differed: tree_differed(&mut conn, tenant, &mut history).await?,
            seconds_ahead: end.seconds_ahead.filter(|seconds| *seconds > AHEAD_SECONDS_MAX),
        })
    }

    /// After which position the walk begins: at the border before the oldest checkpoint, for each of them is looked at.
    fn begin(&self, end: &End) -> i64 {
        let Some(trusted) = self.from else { return 0 };
        let oldest = self.against.iter().map(|it| it.position).fold(trusted.position, i64::min);
        let width = 1 << self.stretch_height;
        (oldest.min(end.position).max(1) - 1) / width * width
    }

    /// Walks from one position to another, stretch by stretch, as many side by side as there are processors. Stretches
    /// are begun in their order, and no more of them once one has a fault: those before the first fault are all there.
    async fn walk(
        &self,
        pool: &PgPool,
        tenant: TenantId,
        (begin, end): (i64, i64),
        mut progress: impl FnMut(i64, i64),
    ) -> Result<BTreeMap<i64, Walked>, LedgerError> {
        let marks: BTreeSet<i64> = self.checkpoints().into_iter().map(|it| it.position).collect();
        let mut walked = BTreeMap::new();
        let mut walking = JoinSet::new();
        let (mut next, mut done, mut at_fault) = (begin, begin, false);
        loop {
            while next < end && !at_fault && walking.len() < workers(pool) {
                let (after, to) = (next, end.min(next + (1 << self.stretch_height)));
                let marks = marks.range(after + 1..=to).copied().collect();
                let stretch = walk(pool.clone(), tenant, (after, to), marks);
                walking.spawn(async move { (after, to, stretch.await) });
                next = to;
            }
            // A worker that panicked has said so already.
            let Some(ended) = walking.join_next().await else { return Ok(walked) };
            let (after, to, found) = ended.map_err(|_| LedgerError::Stopped)?;
            let found = found?;
            at_fault |= found.fault.is_some();
            walked.insert(after, found);
            done += to - after;
            progress(done, end);
        }
    }

    /// The checkpoints, by position.
    fn checkpoints(&self) -> Vec<&SignedCheckpoint> {
        let mut all: Vec<_> = self.from.into_iter().chain(self.against).collect();
        all.sort_by_key(|checkpoint| checkpoint.position);
        all
    }

    /// The first checkpoint that the ledger does not agree with. Those behind a fault cannot be judged.
    fn contradiction(&self, end: &End, begin: i64, history: &History) -> Option<Verdict> {
        let mut agreed = 0;
        for checkpoint in self.checkpoints() {
            if history.fault.is_some_and(|fault| fault.position <= checkpoint.position) {
                return None;
            }
            if checkpoint.position > end.position {
                return Some(shorter(end, checkpoint));
            }
            let since = match agreed {
                0 => String::new(),
                agreed => format!("; up to position {agreed} it is what was signed"),
            };
            let why = match history.agreement(checkpoint) {
                Agreement::Whole => {
                    agreed = checkpoint.position;
                    continue;
                }
                Agreement::None => rewritten(checkpoint, &since),
                Agreement::HashOnly => other_root(checkpoint, begin),
            };
            return Some(Verdict::broken(checkpoint.position, why));
        }
        None
    }
}

fn rewritten(checkpoint: &SignedCheckpoint, since: &str) -> String {
    format!(
        "history up to here was rewritten after the checkpoint of {} was signed: its entries follow from one another, but \
         they are not those that were signed{since}",
        checkpoint.signed_at,
    )
}

/// The hash of an entry stands for all before it if they were walked. Of those that were not, only the root speaks.
fn other_root(checkpoint: &SignedCheckpoint, begin: i64) -> String {
    let signed_at = &checkpoint.signed_at;
    if begin == 0 {
        return format!(
            "the root in the checkpoint of {signed_at} is not that of its entries, and their hash is the one that was \
             signed: history up to here is as it was, and the root was wrong when it was signed",
        );
    }
    format!(
        "the root in the checkpoint of {signed_at} is not that of its entries, and the hash of the last one is the one that \
         was signed: a hash up to position {begin} was altered, or the root was wrong when it was signed; a walk from the \
         first entry on tells which",
    )
}

fn shorter(end: &End, checkpoint: &SignedCheckpoint) -> Verdict {
    let why = format!(
        "the ledger ends before it, and there were {} entries when the checkpoint of {} was signed: history was \
         rewritten after that, or its end was removed",
        checkpoint.position, checkpoint.signed_at,
    );
    Verdict::broken(end.position + 1, why)
}

/// At least two: while one waits for the database, the other one hashes. Half of the pool at most, for the sake of others.
fn workers(pool: &PgPool) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    processors.min(pool.options().get_max_connections() as usize / 2).max(2)
}

/// How a ledger and a checkpoint agree.
enum Agreement {
    Whole,
    /// In the hash of the last entry, and not in the root over all of them.
    HashOnly,
    None,
}

/// What was walked, put together.
struct History {
    /// Over all entries up to the fault, if there is one.
    tree: Tree,
    /// The hash of the last entry; none if there was nothing to walk.
    hash: Option<Hash>,
    /// The hash of an entry and the root of the tree up to there, where somebody wants to know.
    marks: BTreeMap<i64, (Hash, Hash)>,
    fault: Option<Fault>,
    differing: Option<i64>,
}

impl History {
    fn of(before: Tree, walked: &BTreeMap<i64, Walked>) -> Self {
        let mut history =
            Self { tree: before, hash: None, marks: BTreeMap::new(), fault: None, differing: None };
        for stretch in walked.values() {
            for mark in &stretch.marks {
                let mut tree = history.tree.clone();
                tree.append(&mark.tree);
                history.marks.insert(mark.position, (mark.hash, tree.root()));
            }
            history.tree.append(&stretch.tree);
            history.hash = Some(stretch.hash);
            history.differing = history.differing.or(stretch.differing);
            history.fault = stretch.fault;
            if history.fault.is_some() {
                break;
            }
        }
        history
    }

    fn agreement(&self, checkpoint: &SignedCheckpoint) -> Agreement {
        match self.marks.get(&checkpoint.position) {
            Some((hash, root)) if hex::encode(hash) == checkpoint.hash => {
                if hex::encode(root) == checkpoint.root { Agreement::Whole } else { Agreement::HashOnly }
            }
            _ => Agreement::None,
        }
    }
}

/// Says from which position on what is kept of the tree is not what the entries make it.
async fn tree_differed(
    conn: &mut PgConnection,
    tenant: TenantId,
    history: &mut History,
) -> Result<Option<i64>, LedgerError> {
    let above = merkle_nodes::first_differing(conn, tenant, &history.tree.take_completed()).await?;
    let beyond = merkle_nodes::first_beyond(conn, tenant).await?;
    Ok([history.differing, above, beyond].into_iter().flatten().min())
}

/// A transaction in which long stretches are read along the primary key, however long it takes. Left to itself, Postgres may
/// read the whole table for each of them and sort what it finds.
async fn along_keys(conn: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    let mut tx = conn.begin().await?;
    sqlx::query(
        "select set_config('enable_sort', 'off', true), set_config('jit', 'off', true),
                set_config('max_parallel_workers_per_gather', '0', true), set_config('statement_timeout', '0', true)",
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx)
}
