//! One run of a rebuild: grow the twin to where the live read model is, compare the two, and replace if that is wanted.

use std::{ops::ControlFlow, time::Instant};

use onhand_domain::{administration::AdministrationEvent, values::TenantId};
use onhand_infrastructure::{
    ledger::{Context, Head, Ledger},
    operations::{Caller, Operations},
    queries::rebuilds::{self, Ended, Running},
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::{
    DifferingRow, Pace, Rebuilt, fold, follow,
    pace::Pacer,
    twin::{self, Twin},
};
use crate::{
    ProjectorError,
    checkpoint::Checkpoint,
    registry::{Growth, ReadModel},
};

/// The version whose code makes the rows. What another one has begun is begun anew: its rows may be made otherwise.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");
/// Rows that differ and are shown; all are counted.
const SAMPLE_MAX: usize = 20;

/// Is told how far it is, after each stretch; says whether to go on.
pub(super) type Tell<'r> = dyn FnMut(Pace) -> ControlFlow<()> + Send + Sync + 'r;

/// A run in the hands of this process.
pub(super) struct Run<'r> {
    pub(super) operations: &'r Operations,
    pub(super) model: &'r ReadModel,
    pub(super) tenant: TenantId,
    /// Where it is; moves with the rows.
    pub(super) row: Running,
    /// Positions in one transaction.
    pub(super) stretch: i64,
    pub(super) pacer: Pacer,
    pub(super) progress: &'r mut Tell<'r>,
}

/// What the comparison has shown.
struct Found {
    position: i64,
    rows: i64,
    differences: i64,
    sample: Vec<DifferingRow>,
    replaced: bool,
}

/// What comes of a comparison.
enum Compared {
    /// The run has ended.
    Ended(Found),
    /// The live rows are to be replaced.
    ToReplace(Found),
    /// What was grown is of a later position than the live rows: the database was set back.
    Ahead,
}

/// Where the live read model is.
struct Live {
    position: i64,
    parked: bool,
}

impl<'r> Run<'r> {
    pub(super) fn ledger(&self) -> &'r Ledger {
        self.operations.ledger()
    }

    /// Works over a connection that holds the lock on this model, until the run has ended.
    pub(super) async fn finish(mut self, mut conn: PgConnection) -> Result<Rebuilt, ProjectorError> {
        let begun = Instant::now();
        let found = self.work(&mut conn).await;
        if let Err(error) = &found
            && !error.is_passing()
            && let Err(also) = self.fail(&mut conn, error).await
        {
            let (model, tenant) = (self.model.name, self.tenant);
            tracing::error!(model, %tenant, error = %also, "a rebuild failed, and that could not be noted");
        }
        // The lock goes with the connection, however that ends.
        let _ = conn.close().await;
        let found = found?;
        self.note(AdministrationEvent::RebuildEnded {
            projection: self.model.name.to_owned(),
            rebuild: self.row.id,
            position: found.position,
            rows: found.rows.unsigned_abs(),
            differences: found.differences.unsigned_abs(),
            replaced: found.replaced,
        })
        .await?;
        Ok(Rebuilt {
            id: self.row.id,
            model: self.model.name,
            tenant: self.tenant,
            position: found.position,
            rows: found.rows.unsigned_abs(),
            differences: found.differences.unsigned_abs(),
            sample: found.sample,
            replaced: found.replaced,
            took: begun.elapsed(),
        })
    }

    async fn work(&mut self, conn: &mut PgConnection) -> Result<Found, ProjectorError> {
        if self.row.program.is_none()
            && self.row.replaces
            && let Some(row) = rebuilds::take_over(conn, self.tenant, &self.row, PROGRAM).await?
        {
            // What an earlier run has grown and found to differ need not be grown again.
            self.row = row;
        }
        if self.row.program.as_deref() != Some(PROGRAM) {
            self.begin_anew(conn).await?;
        }
        self.pacer = Pacer::starting_at(self.row.reached);
        loop {
            self.grow(conn).await?;
            match self.compare(conn).await? {
                Compared::Ended(found) => return Ok(found),
                Compared::ToReplace(found) => return self.replace(conn, found).await,
                Compared::Ahead => self.begin_anew(conn).await?,
            }
        }
    }

    /// Empties the twins and goes back to the beginning.
    async fn begin_anew(&mut self, conn: &mut PgConnection) -> Result<(), ProjectorError> {
        let (position, target) = match self.model.growth {
            Growth::Follows { .. } => (0, self.live(conn).await?.position),
            Growth::InCommit { kind, .. } => {
                let head = Head::read(conn, self.tenant).await?.position;
                (head, fold::streams(conn, self.tenant, kind).await?)
            }
        };
        let mut tx = conn.begin().await?;
        self.clear_twins(&mut tx).await?;
        rebuilds::let_go(&mut tx, self.tenant, self.model.name).await?;
        self.row = Running {
            program: Some(PROGRAM.to_owned()),
            position,
            cursor: None,
            reached: 0,
            target,
            ..self.row.clone()
        };
        self.keep(&mut tx).await?;
        tx.commit().await?;
        self.pacer = Pacer::starting_at(0);
        Ok(())
    }

    /// Grows the twin to within a stretch of the live read model, which goes on meanwhile.
    async fn grow(&mut self, conn: &mut PgConnection) -> Result<(), ProjectorError> {
        if let Growth::InCommit { kind, table } = self.model.growth {
            fold::all(self, conn, (kind, table)).await?;
        }
        loop {
            let to = self.live(conn).await?.position;
            if to - self.row.position <= self.stretch {
                return Ok(());
            }
            match self.model.growth {
                Growth::Follows { kinds, .. } => follow::catch_up(self, conn, kinds, to).await?,
                Growth::InCommit { kind, table } => fold::catch_up(self, conn, (kind, table), to).await?,
            }
        }
    }

    /// Grows the twin to a position, in the caller's transaction.
    async fn grow_within(&mut self, conn: &mut PgConnection, to: i64) -> Result<(), ProjectorError> {
        match self.model.growth {
            Growth::Follows { kinds, .. } => follow::within(self, conn, kinds, to).await?,
            Growth::InCommit { kind, table } => fold::within(self, conn, (kind, table), to).await?,
        }
        self.keep(conn).await
    }

    /// Compares the twin with the live rows, and ends the run unless these are to be replaced.
    async fn compare(&mut self, conn: &mut PgConnection) -> Result<Compared, ProjectorError> {
        // In one snapshot the live rows are of exactly the position that stands beside them, whatever is committed
        // meanwhile: nobody has to hold still.
        let mut tx = conn.begin_with("begin isolation level repeatable read").await?;
        let live = self.live(&mut tx).await?;
        if live.position < self.row.position {
            tx.rollback().await?;
            return Ok(Compared::Ahead);
        }
        beside(&mut tx).await?;
        self.grow_within(&mut tx, live.position).await?;
        let found = self.differences(&mut tx).await?;
        // Whatever a parked one shows is not what it is to show; and so that it can go on, it is put right without being asked.
        if live.parked || (self.row.replaces && found.differences > 0) {
            tx.commit().await?;
            return Ok(Compared::ToReplace(found));
        }
        if found.differences == 0 {
            self.clear_twins(&mut tx).await?;
        }
        let status = if found.differences == 0 { "done" } else { "differs" };
        self.end(&mut tx, status, &found).await?;
        tx.commit().await?;
        Ok(Compared::Ended(found))
    }

    /// Puts the rows that differ in the place of the live ones. Readers see all of it at once.
    async fn replace(&mut self, conn: &mut PgConnection, found: Found) -> Result<Found, ProjectorError> {
        let mut tx = conn.begin().await?;
        // Nobody writes live rows until this has ended: no projector, and for a state table no commit of this tenant.
        let live = match self.model.growth {
            Growth::Follows { .. } => Checkpoint::hold(&mut tx, self.tenant, self.model.name).await?,
            Growth::InCommit { .. } => Head::lock(&mut tx, self.tenant).await?.position,
        };
        beside(&mut tx).await?;
        // Of a parked one the twin is ahead; the live one goes on from there.
        self.grow_within(&mut tx, live.max(self.row.position)).await?;
        for table in self.model.tables {
            Twin::of(&mut tx, table).await?.replace(&mut tx, self.tenant).await?;
        }
        if self.model.follows() {
            let now = self.ledger().clock().now();
            let model = [self.model.name];
            Checkpoint::advance(&mut tx, self.tenant, &model, self.row.position, now).await?;
        }
        let rows = self.clear_twins(&mut tx).await? as i64;
        let found = Found { position: self.row.position, rows, replaced: true, ..found };
        self.end(&mut tx, "done", &found).await?;
        tx.commit().await?;
        let (model, tenant, differences) = (self.model.name, self.tenant, found.differences);
        tracing::warn!(model, %tenant, differences, "live rows were replaced by the rebuilt ones");
        Ok(found)
    }

    async fn differences(&self, conn: &mut PgConnection) -> Result<Found, ProjectorError> {
        let mut found =
            Found { position: self.row.position, rows: 0, differences: 0, sample: vec![], replaced: false };
        for table in self.model.tables {
            let twin = Twin::of(conn, table).await?;
            let (rows, differences) = twin.compare(conn, self.tenant).await?;
            found.rows += rows;
            found.differences += differences;
            let room = SAMPLE_MAX - found.sample.len();
            if differences > 0 && room > 0 {
                found.sample.extend(twin.sample(conn, self.tenant, room as i64).await?);
            }
        }
        Ok(found)
    }

    /// Where the live read model is; for one that is parked, where it is to be.
    async fn live(&self, conn: &mut PgConnection) -> Result<Live, ProjectorError> {
        let head = Head::read(conn, self.tenant).await?.position;
        if !self.model.follows() {
            return Ok(Live { position: head, parked: false });
        }
        let standing = Checkpoint::standing(conn, self.tenant, self.model.name).await?;
        let position = if standing.parked { head } else { standing.position };
        Ok(Live { position, parked: standing.parked })
    }

    async fn clear_twins(&self, conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let mut rows = 0;
        for table in self.model.tables {
            rows += twin::clear(conn, self.tenant, table).await?;
        }
        Ok(rows)
    }

    /// Notes where the run is, in the transaction of its rows.
    pub(super) async fn keep(&self, conn: &mut PgConnection) -> Result<(), ProjectorError> {
        let now = self.ledger().clock().now();
        Ok(rebuilds::advance(conn, self.tenant, &self.row, now).await?)
    }

    /// The twin is of this position now, and so many more entries are through.
    pub(super) fn moved(&mut self, position: i64, entries: i64) {
        self.row.position = position;
        if self.model.follows() {
            (self.row.reached, self.row.target) = (position, self.row.target.max(position));
        }
        self.count(entries);
    }

    /// So many more entries are through.
    pub(super) fn count(&mut self, entries: i64) {
        self.pacer.count(entries);
        let pace = self.pacer.pace(self.row.reached, self.row.target);
        self.row.rate = pace.entries_per_second;
        self.row.seconds_left = pace.seconds_left;
    }

    /// Tells how far it is. An error if it is not to go on.
    pub(super) fn tell(&mut self) -> Result<(), ProjectorError> {
        match (self.progress)(self.pacer.pace(self.row.reached, self.row.target)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ProjectorError::Interrupted(self.model.name)),
        }
    }

    async fn end(&self, conn: &mut PgConnection, status: &str, found: &Found) -> Result<(), sqlx::Error> {
        let ended = Ended {
            status,
            position: found.position,
            rows: found.rows,
            differences: found.differences,
            sample: json!(found.sample),
            replaced: found.replaced,
            failure: None,
        };
        rebuilds::end(conn, self.tenant, self.row.id, &ended, self.ledger().clock().now()).await
    }

    /// Notes that it cannot go on, whoever tries. The live one is left alone.
    async fn fail(&self, conn: &mut PgConnection, error: &ProjectorError) -> Result<(), ProjectorError> {
        let (projection, reason) = (self.model.name.to_owned(), error.to_string());
        let ended = Ended {
            status: "failed",
            position: self.row.position,
            sample: Value::Array(vec![]),
            failure: Some(&reason),
            ..Ended::default()
        };
        let now = self.ledger().clock().now();
        rebuilds::end(conn, self.tenant, self.row.id, &ended, now).await?;
        self.note(AdministrationEvent::RebuildFailed { projection, rebuild: self.row.id, reason }).await
    }

    async fn note(&self, event: AdministrationEvent) -> Result<(), ProjectorError> {
        let context = Context::internal(self.tenant, "rebuild");
        let context = Context { correlation_id: self.row.correlation_id.clone(), ..context };
        self.operations.note(Caller::new(context), event).await?;
        Ok(())
    }
}

/// From here to the end of the transaction, tables are looked for in `rebuild` first.
pub(super) async fn beside(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("set local search_path = rebuild, public").execute(conn).await?;
    Ok(())
}

/// The same for a transaction that does not wait for its flush: what a crash takes, it takes from rows and progress alike.
pub(super) async fn beside_unhurried(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("set local search_path = rebuild, public; set local synchronous_commit = off")
        .execute(conn)
        .await?;
    Ok(())
}
