//! A copy of the audit log, to be kept elsewhere: the oldest first, a page at a time, each line checkable by itself.

use onhand_domain::values::TenantId;
use serde::Serialize;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    AuditFilter, AuditView,
    changes::Folded,
    changes_of,
    search::{Order, Row, Search, Stretch},
};
use crate::queries::{PAGE_MAX, QueryError, difference::Difference};

/// Entries of one page, at most.
const PAGE: i64 = 1_000;

/// Turns at reading a page, for all copies that this process makes: however many are asked for, connections stay free.
/// A copy that nobody takes further holds none.
static TURNS: Semaphore = Semaphore::const_new(2);

/// An entry as an auditor sees it, with the very texts its hash covers.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the columns of the ledger, described there")]
pub struct AuditLine {
    #[serde(flatten)]
    pub view: AuditView,
    pub event_id: Uuid,
    pub name_version: i16,
    pub payload: String,
    pub metadata: String,
    /// In hex; none before the first entry.
    pub previous_hash: Option<String>,
    /// In hex.
    pub hash: String,
}

/// What is left of a copy that is being made. It ends where history ended when it was begun.
pub struct Export {
    pool: PgPool,
    search: Search,
    /// What is being looked through.
    stretch: Stretch,
    folded: Folded,
}

impl Export {
    /// Of a tenant's history up to `head`, as far as somebody bound to a brand may see it.
    pub async fn new(
        pool: &PgPool,
        who: (TenantId, Option<&str>),
        filter: &AuditFilter,
        head: i64,
    ) -> Result<Self, QueryError> {
        let mut conn = pool.acquire().await?;
        let search = Search::new(&mut conn, who, filter, head).await?;
        Ok(Self { pool: pool.clone(), search, stretch: Stretch::default(), folded: Folded::default() })
    }

    /// The next lines, at least one; none at the end. No connection is held in between.
    pub async fn next(&mut self) -> Result<Option<Vec<AuditLine>>, QueryError> {
        let limit = if self.search.filter.changes { PAGE_MAX } else { PAGE };
        while self.search.after < self.search.to {
            let _turn = TURNS.acquire().await;
            let mut conn = self.pool.acquire().await?;
            if self.stretch.after >= self.stretch.to {
                let rest = (self.search.after, self.search.to);
                self.stretch = self.search.stretch(&mut conn, rest, Order::OldestFirst).await?;
            }
            let found = self.search.rows(&mut conn, &self.stretch, (Order::OldestFirst, limit)).await?;
            let told = changes_of(&mut conn, &self.search, &found.rows, &mut self.folded).await?;
            self.stretch.pass(&found);
            self.search.after = self.stretch.after;
            if !found.rows.is_empty() {
                let lines = found.rows.into_iter().zip(told).map(|(row, changes)| line(row, changes));
                return Ok(Some(lines.collect()));
            }
        }
        Ok(None)
    }

    /// The position it has got to, and the one at which it ends.
    pub fn progress(&self) -> (i64, i64) {
        (self.search.after, self.search.to)
    }
}

fn line(row: Row, changes: Option<Vec<Difference>>) -> AuditLine {
    let Row { entry, previous_hash, .. } = row;
    AuditLine {
        view: AuditView::new(&entry, changes),
        event_id: entry.event_id,
        name_version: entry.name_version,
        payload: entry.payload,
        metadata: entry.metadata,
        previous_hash: previous_hash.map(hex::encode),
        hash: hex::encode(entry.hash),
    }
}
