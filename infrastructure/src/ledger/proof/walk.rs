//! One stretch of a ledger, walked: each entry against the hash that is stored for the one before.
//!
//! Stored hashes are enough to cut a ledger into stretches that are walked side by side: if each entry follows from the
//! hash that stands before it, all of them follow from the first. Nothing that was tampered with is taken for granted: a
//! time may be none that a calendar has, and a text no text. So fields are hashed as the bytes they come in.

use futures_util::TryStreamExt;
use onhand_domain::values::TenantId;
use sqlx::{PgPool, Row, postgres::PgRow};

use super::{
    super::{
        LedgerError,
        entry::{Covered, genesis_hash},
    },
    along_keys,
    merkle::{Hash, Tree, leaf},
    merkle_nodes,
};

/// From what Postgres counts times to what we do: from 2000 to 1970, in microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Where an entry does not hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) position: i64,
    pub(super) why: &'static str,
}

/// A position at which the tree is to be looked at, and how it was there.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) position: i64,
    pub(super) hash: Hash,
    /// Over the stretch up to here.
    pub(super) tree: Tree,
}

/// What a walk has found.
#[derive(Debug)]
pub(super) struct Walked {
    /// Over the stretch, up to the fault if there is one.
    pub(super) tree: Tree,
    /// The hash of the last entry that holds.
    pub(super) hash: Hash,
    pub(super) marks: Vec<Mark>,
    pub(super) fault: Option<Fault>,
    /// The first position below a kept node of the tree that is not what the entries make it.
    pub(super) differing: Option<i64>,
}

/// Walks the entries after one position up to another. `marks` are positions among them, in order.
pub(super) async fn walk(
    pool: PgPool,
    tenant: TenantId,
    (after, to): (i64, i64),
    marks: Vec<i64>,
) -> Result<Walked, LedgerError> {
    let mut conn = pool.acquire().await?;
    let mut tx = along_keys(&mut conn).await?;
    let mut link = Link::before(tenant, after);
    let mut walked = Walked {
        tree: Tree::beginning_at(after),
        hash: link.hash,
        marks: Vec::with_capacity(marks.len()),
        fault: None,
        differing: None,
    };
    let mut marks = marks.into_iter().peekable();
    // One statement for the whole stretch, read as it comes; the entry before it comes first.
    let mut rows = sqlx::query(
        "select position, event_id, stream, version, name, name_version, recorded_at, payload, metadata, hash
         from events where tenant_id = $1 and position >= $2 and position <= $3 order by position",
    )
    .bind(tenant.0)
    .bind(after)
    .bind(to)
    .fetch(&mut *tx);
    while let Some(row) = rows.try_next().await? {
        let seen = Seen::in_row(&row)?;
        if let Err(fault) = link.follow(tenant, &seen) {
            walked.fault = Some(fault);
            break;
        }
        let position = seen.covered.position;
        if position > after {
            walked.tree.push(0, leaf(&link.hash));
            if marks.next_if_eq(&position).is_some() {
                walked.marks.push(Mark { position, hash: link.hash, tree: walked.tree.clone() });
            }
        }
    }
    drop(rows);
    walked.hash = link.hash;
    if walked.fault.is_none() && link.expected <= to {
        walked.fault = Some(link.missing());
    }
    if walked.fault.is_none() {
        let completed = walked.tree.take_completed();
        walked.differing = merkle_nodes::first_differing(&mut tx, tenant, &completed).await?;
    }
    Ok(walked)
}

/// How far a walk is: what the next entry has to follow from.
struct Link {
    expected: i64,
    /// True until the entry before the stretch has been seen, whose own hash is another stretch's matter.
    at_border: bool,
    hash: Hash,
    micros: i64,
}

impl Link {
    fn before(tenant: TenantId, after: i64) -> Self {
        Self { expected: after.max(1), at_border: after > 0, hash: genesis_hash(tenant), micros: i64::MIN }
    }

    fn follow(&mut self, tenant: TenantId, seen: &Seen<'_>) -> Result<(), Fault> {
        let Seen { covered, hash } = seen;
        if covered.position != self.expected {
            return Err(self.missing());
        }
        if self.at_border {
            self.at_border = false;
            // Of another length it is no hash, which is found by the stretch it belongs to.
            self.hash = (*hash).try_into().unwrap_or_default();
        } else {
            let computed = covered.chained(tenant, &self.hash);
            if *hash != computed {
                return Err(self.fault(
                    "the hash does not follow from the entry and the one before: it was altered, inserted or moved",
                ));
            }
            if covered.micros < self.micros {
                return Err(self.fault("the entry is dated before the one before it"));
            }
            self.hash = computed;
        }
        self.micros = covered.micros;
        self.expected += 1;
        Ok(())
    }

    fn missing(&self) -> Fault {
        self.fault("the entry is missing")
    }

    fn fault(&self, why: &'static str) -> Fault {
        Fault { position: self.expected, why }
    }
}

/// An entry as it comes over the wire.
struct Seen<'r> {
    covered: Covered<'r>,
    hash: &'r [u8],
}

impl<'r> Seen<'r> {
    fn in_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        // What is not there, or is of another type than it was made with, is no entry that was hashed.
        let bytes = |column: usize| row.try_get_raw(column).map(|raw| raw.as_bytes().unwrap_or_default());
        let number = |column| bytes(column).map(|it| i64::from_be_bytes(it.try_into().unwrap_or_default()));
        Ok(Self {
            covered: Covered {
                position: number(0)?,
                event_id: bytes(1)?.try_into().unwrap_or_default(),
                stream: bytes(2)?,
                version: number(3)?,
                name: bytes(4)?,
                name_version: i16::from_be_bytes(bytes(5)?.try_into().unwrap_or_default()),
                micros: number(6)?.wrapping_add(EPOCH_MICROS),
                payload: bytes(7)?,
                metadata: bytes(8)?,
            },
            hash: bytes(9)?,
        })
    }
}
