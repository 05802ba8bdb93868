//! The runner: lets every projection follow every ledger, a stretch at a time.
//!
//! Truth is polled: a projection is behind when its checkpoint is below the head. The bell after a commit
//! of this process only shortens the wait. Several processes share the work by the locks on checkpoints.

use std::time::Duration;

use onhand_domain::values::TenantId;
use onhand_infrastructure::ledger::{Entry, Ledger};
use sqlx::{Connection, PgConnection, Postgres, pool::PoolConnection};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use crate::{
    ProjectorError,
    checkpoint::Checkpoint,
    error::caught,
    rebuild::stretch,
    registry::{self, Fact, Growth, ReadModel, Stretch},
};

/// Positions applied in one transaction, roughly.
const STRETCH_MAX: i64 = 2_000;
/// How long an idle projector waits before it looks again.
const IDLE: Duration = Duration::from_millis(100);
/// How long entries gather under load: many at a time cost a fraction of a few at a time.
const GATHER: Duration = Duration::from_millis(80);
/// A stretch of so many entries is load.
const MANY: i64 = 100;
/// After so many entries parsed, others have their turn, such as whoever reads the next ones meanwhile.
const PARSED_AT_ONCE: usize = 256;

/// Lets projections follow. Several may run, in one process or many.
#[derive(Clone)]
pub struct Projector {
    ledger: Ledger,
}

/// What came of one attempt to advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Something is now at this position.
    To {
        /// The last position applied.
        position: i64,
        /// How many positions that were.
        entries: i64,
        /// Whether more was waiting than one stretch may have.
        more: bool,
    },
    /// All are at the head or stand still, or another process is at them.
    Idle,
}

impl Projector {
    /// A projector for these ledgers.
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// Advances whatever is behind by one stretch. Says how many ledgers that was; 0 when all projections are at their
    /// heads.
    pub async fn step(&self) -> Result<usize, ProjectorError> {
        Ok(self.advance_all(&mut *self.ledger.pool().acquire().await?).await?.len())
    }

    /// Works until told to stop. It takes a processor for milliseconds on end, and wants a thread of its own.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        // One connection for all of it: its server process has everything at hand.
        let mut conn = None;
        while !*stop.borrow() {
            let begun = Instant::now();
            let advanced = self.advance_over(&mut conn).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the projections cannot advance for the moment");
                conn = None;
                vec![]
            });
            let more = advanced.iter().any(|progress| matches!(progress, Progress::To { more: true, .. }));
            if more {
                continue;
            }
            let many = advanced
                .iter()
                .any(|progress| matches!(progress, Progress::To { entries, .. } if *entries >= MANY));
            let pause = async {
                if advanced.is_empty() {
                    let committed = self.ledger.committed();
                    let _ = tokio::time::timeout(IDLE, committed.notified()).await;
                } else if many {
                    tokio::time::sleep_until(begun + GATHER).await;
                }
            };
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                () = pause => {}
            }
        }
    }

    async fn advance_over(
        &self,
        conn: &mut Option<PoolConnection<Postgres>>,
    ) -> Result<Vec<Progress>, ProjectorError> {
        let conn = match conn {
            Some(conn) => conn,
            None => conn.insert(self.ledger.pool().acquire().await?),
        };
        self.advance_all(conn).await
    }

    /// What came of each ledger in which something advanced.
    async fn advance_all(&self, conn: &mut PgConnection) -> Result<Vec<Progress>, ProjectorError> {
        let mut advanced = vec![];
        for (tenant, names) in behind(conn).await? {
            let models =
                names.iter().map(|name| registry::find(name)).collect::<Result<Vec<_>, ProjectorError>>()?;
            match self.advance(conn, &models, tenant).await {
                Ok(Progress::Idle) => {}
                Ok(progress) => advanced.push(progress),
                // Its trouble is its own: the others go on, and it is tried again.
                Err(error) => tracing::warn!(%tenant, %error, "projections did not advance"),
            }
        }
        Ok(advanced)
    }

    /// Advances projections of one tenant by one stretch: rows and checkpoints in one transaction.
    ///
    /// Those furthest behind come first, so that all get to read the same stretch. What cannot be applied parks
    /// its own projection only.
    pub async fn advance(
        &self,
        conn: &mut PgConnection,
        models: &[&ReadModel],
        tenant: TenantId,
    ) -> Result<Progress, ProjectorError> {
        let mut claimed = None;
        let advanced = caught(self.advance_together(conn, models, tenant, &mut claimed)).await;
        let error = match advanced {
            Ok(progress) => return Ok(progress),
            Err(error) => error,
        };
        if let [model] = models {
            let Some(claimed) = claimed.filter(|_| error.is_poison()) else { return Err(error) };
            let now = self.ledger.clock().now();
            if Checkpoint::park(conn, tenant, &claimed, &error.to_string(), now).await? {
                let model = model.name;
                tracing::error!(model, %tenant, %error, "the projection is parked; the others go on");
            }
            return Ok(Progress::Idle);
        }
        // The trouble of one is not that of the others.
        let mut progress = Progress::Idle;
        for model in models {
            match Box::pin(self.advance(conn, &[*model], tenant)).await {
                Ok(Progress::Idle) => {}
                Ok(advanced) => progress = advanced,
                Err(error) => {
                    tracing::warn!(model = model.name, %tenant, %error, "a projection did not advance");
                }
            }
        }
        Ok(progress)
    }

    async fn advance_together(
        &self,
        conn: &mut PgConnection,
        models: &[&ReadModel],
        tenant: TenantId,
        furthest_behind: &mut Option<Checkpoint>,
    ) -> Result<Progress, ProjectorError> {
        let names: Vec<&str> = models.iter().map(|model| model.name).collect();
        let mut tx = conn.begin().await?;
        let claimed = Checkpoint::claim(&mut tx, tenant, &names).await?;
        let Some(first) = claimed.first() else {
            tx.rollback().await?;
            return Ok(Progress::Idle);
        };
        *furthest_behind = Some(first.clone());
        // What was claimed may also have moved since the head was seen.
        if claimed.iter().any(|claimed| claimed.position > claimed.head) {
            tx.rollback().await?;
            Checkpoint::set_back(conn, tenant, &names, self.ledger.clock().now()).await?;
            return Ok(Progress::Idle);
        }
        let after = first.position;
        let taking_part: Vec<_> = models
            .iter()
            .copied()
            .filter(|model| claimed.iter().any(|c| c.model == model.name && c.position == after))
            .collect();
        // Not past the next ones: from there on they read along.
        let next = claimed.iter().map(|c| c.position).find(|position| *position > after);
        let limit = next.map_or(STRETCH_MAX, |next| STRETCH_MAX.min(next - after));
        let source = match next {
            None => self.ledger.just_appended(tenant, after, STRETCH_MAX as usize),
            Some(_) => None,
        };
        let (to, cut_short);
        let batches = match source {
            Some(mut batches) => {
                // Nothing that is not in the database, whatever happened to it since.
                batches.retain(|batch| batch.last().is_some_and(|entry| entry.position <= first.head));
                to = batches.last().and_then(|batch| batch.last()).map_or(after, |entry| entry.position);
                cut_short = false;
                batches
            }
            None => {
                // The head was read before the entries: all of them up to it are committed, hence visible.
                let end = first.head.min(after + limit);
                let read = stretch(&mut tx, tenant, (after, end), &kinds(&taking_part)).await?;
                (to, cut_short) = (read.to, read.to < end);
                vec![read.entries.into()]
            }
        };
        if to <= after {
            tx.rollback().await?;
            return Ok(Progress::Idle);
        }
        let entries = batches.iter().flat_map(|batch| batch.iter());
        apply(&mut tx, (tenant, true), entries, &taking_part).await?;
        let names: Vec<&str> = taking_part.iter().map(|model| model.name).collect();
        Checkpoint::advance(&mut tx, tenant, &names, to, self.ledger.clock().now()).await?;
        tx.commit().await?;
        let entries = to - after;
        let more = cut_short || entries >= STRETCH_MAX || next.is_some();
        Ok(Progress::To { position: to, entries, more })
    }

    /// The ledgers it follows.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

/// Which projections are behind, by tenant; also what is ahead, which is told when it is claimed.
async fn behind(conn: &mut PgConnection) -> Result<Vec<(TenantId, Vec<String>)>, ProjectorError> {
    let rows: Vec<(Uuid, Vec<String>)> = sqlx::query_as(
        "select h.tenant_id, array_agg(m.model order by m.model)
         from ledger_heads h
         cross join unnest($1::text[]) as m (model)
         left join checkpoints c on c.tenant_id = h.tenant_id and c.model = m.model
         where coalesce(c.position, 0) <> h.position and c.parked is null and c.paused_at is null
         group by h.tenant_id
         order by h.tenant_id",
    )
    .bind(registry::following())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(tenant, models)| (TenantId(tenant), models)).collect())
}

/// The kinds of events some models ask for.
fn kinds(models: &[&ReadModel]) -> Vec<&'static str> {
    let mut kinds: Vec<&str> = models
        .iter()
        .flat_map(|model| match model.growth {
            Growth::Follows { kinds, .. } => kinds,
            Growth::InCommit { .. } => &[],
        })
        .copied()
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Applies entries to models, in the caller's transaction. Each entry is parsed once, and only if a model asks for its kind.
/// Others have their turn meanwhile.
pub(crate) async fn apply<'e>(
    conn: &mut PgConnection,
    (tenant, gently): (TenantId, bool),
    entries: impl Iterator<Item = &'e Entry> + Send,
    models: &[&ReadModel],
) -> Result<(), ProjectorError> {
    let kinds = kinds(models);
    let wanted = |entry: &&Entry| entry.name.split_once('.').is_some_and(|(kind, _)| kinds.contains(&kind));
    let mut facts = vec![];
    for entry in entries.filter(wanted) {
        facts.push(Fact { entry, stream: entry.stream_id()?, event: entry.event()? });
        if facts.len().is_multiple_of(PARSED_AT_ONCE) {
            tokio::task::yield_now().await;
        }
    }
    for model in models {
        if let Growth::Follows { apply, .. } = model.growth {
            apply(conn, Stretch { tenant, facts: &facts, gently }).await?;
        }
    }
    Ok(())
}
