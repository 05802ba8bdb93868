//! The runner: lets every projection follow every ledger, a stretch at a time.
//!
//! Truth is polled: a projection is behind when its checkpoint is below the head. The bell after a commit
//! of this process only shortens the wait. Several processes share the work by the locks on checkpoints.

use std::time::Duration;

use onhand_domain::values::TenantId;
use onhand_infrastructure::ledger::{Head, Ledger, read};
use sqlx::PgConnection;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    ProjectorError,
    checkpoint::Checkpoint,
    registry::{self, Apply, Growth, MODELS, ReadModel, Stretch},
};

/// Positions applied in one transaction.
pub(crate) const STRETCH_MAX: i64 = 2_000;
/// How long an idle projector waits before it looks again.
const IDLE: Duration = Duration::from_millis(100);

/// Lets projections follow. Several may run, in one process or many.
#[derive(Clone)]
pub struct Projector {
    ledger: Ledger,
}

/// What came of one attempt to advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is now at this position.
    To(i64),
    /// It is at the head.
    Idle,
    /// Another process is at it, or it is parked.
    Elsewhere,
}

impl Projector {
    /// A projector for these ledgers.
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// Advances whatever is behind, each by one stretch. Says how many did advance; 0 when all are at their heads.
    pub async fn step(&self) -> Result<usize, ProjectorError> {
        let mut advanced = 0;
        for (tenant, name) in self.behind().await? {
            let model = registry::find(&name)?;
            match self.advance(model, tenant).await {
                Ok(Progress::To(_)) => advanced += 1,
                Ok(Progress::Idle | Progress::Elsewhere) => {}
                // Its trouble is its own: the others go on, and it is tried again.
                Err(error) => {
                    tracing::warn!(model = model.name, %tenant, %error, "a projection did not advance")
                }
            }
        }
        Ok(advanced)
    }

    /// Works until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let advanced = self.step().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the projections cannot advance for the moment");
                0
            });
            if advanced > 0 {
                continue;
            }
            let committed = self.ledger.committed();
            tokio::select! {
                _ = stop.changed() => break,
                () = tokio::time::sleep(IDLE) => {}
                () = committed.notified() => {}
            }
        }
    }

    /// Advances one projection for one tenant by one stretch: rows and checkpoint in one transaction.
    pub async fn advance(&self, model: &ReadModel, tenant: TenantId) -> Result<Progress, ProjectorError> {
        let Growth::Follows { kinds, apply } = model.growth else { return Ok(Progress::Idle) };
        let mut tx = self.ledger.pool().begin().await?;
        let Some(checkpoint) = Checkpoint::claim(&mut tx, tenant, model.name).await? else {
            return Ok(Progress::Elsewhere);
        };
        if checkpoint.parked.is_some() {
            return Ok(Progress::Elsewhere);
        }
        // The head is read before the entries: all of them up to it are committed, hence visible.
        let head = Head::read(&mut tx, tenant).await?.position;
        let to = head.min(checkpoint.position + STRETCH_MAX);
        if to <= checkpoint.position {
            return Ok(Progress::Idle);
        }
        match apply_stretch(&mut tx, tenant, checkpoint.position, to, kinds, apply).await {
            Ok(()) => {
                Checkpoint::advance(&mut tx, tenant, model.name, to).await?;
                tx.commit().await?;
                metrics::gauge!("onhand_projection_lag_entries", "model" => model.name)
                    .set((head - to) as f64);
                Ok(Progress::To(to))
            }
            Err(error) if error.is_poison() => {
                tx.rollback().await?;
                self.park(model, tenant, &error).await?;
                Ok(Progress::Elsewhere)
            }
            Err(error) => Err(error),
        }
    }

    async fn park(
        &self,
        model: &ReadModel,
        tenant: TenantId,
        error: &ProjectorError,
    ) -> Result<(), ProjectorError> {
        tracing::error!(model = model.name, %tenant, %error, "the projection is parked; the others go on");
        let mut conn = self.ledger.pool().acquire().await?;
        Ok(Checkpoint::park(&mut conn, tenant, model.name, &error.to_string()).await?)
    }

    async fn behind(&self) -> Result<Vec<(TenantId, String)>, ProjectorError> {
        let following: Vec<&str> = MODELS
            .iter()
            .filter(|model| matches!(model.growth, Growth::Follows { .. }))
            .map(|model| model.name)
            .collect();
        let rows: Vec<(Uuid, String)> = sqlx::query_as(
            "select h.tenant_id, m.model
             from ledger_heads h
             cross join unnest($1::text[]) as m (model)
             left join checkpoints c on c.tenant_id = h.tenant_id and c.model = m.model
             where coalesce(c.position, 0) < h.position and c.parked is null
             order by h.tenant_id, m.model",
        )
        .bind(following)
        .fetch_all(self.ledger.pool())
        .await?;
        Ok(rows.into_iter().map(|(tenant, model)| (TenantId(tenant), model)).collect())
    }

    /// The ledgers it follows.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

/// Reads and applies everything after `after` up to and with `to`.
pub(crate) async fn apply_stretch(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: i64,
    to: i64,
    kinds: &[&str],
    apply: Apply,
) -> Result<(), ProjectorError> {
    let entries =
        if kinds.is_empty() { vec![] } else { read::between(conn, tenant, after, to, kinds).await? };
    apply(conn, Stretch { tenant, after, to, entries: &entries }).await
}
