//! One run of a rebuild: grow the twin to where the live read model is, compare the two, and replace if that is wanted.

use std::{ops::ControlFlow, time::Instant};

use onhand_domain::values::TenantId;
use onhand_infrastructure::{
    ledger::{Head, Ledger},
    operations::Operations,
    queries::rebuilds::{self, Ended, Running},
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::{
    DifferingRow, Pace, Rebuilt,
    fold::{self, Known},
    follow,
    pace::Pacer,
    program::program,
    settle::{clear_twins, settle},
    twin::Twin,
};
use crate::{
    ProjectorError,
    checkpoint::Checkpoint,
    error::caught,
    registry::{Growth, ReadModel},
};

/// Rows that differ and are shown; all are counted.
const SAMPLE_MAX: usize = 20;
/// How often the twin catches up before writers wait.
const LAST_ROUNDS: u32 = 3;

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
    pub(super) known: Known,
    pub(super) progress: &'r mut Tell<'r>,
}

/// What the comparison has shown.
struct Found {
    /// What was grown is of this position …
    position: i64,
    /// … and the live rows of this one: an earlier one where a parked read model is.
    live: i64,
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
    /// What was grown is of a later position than the ledger's end: the database was set back.
    Ahead,
}

/// Where the live read model is.
struct Live {
    /// Its rows are of this position.
    rows: i64,
    /// What it is compared with is to be of this one: the ledger's end where it is parked.
    goal: i64,
    head: i64,
    /// Whether it has met something it cannot apply, and nobody has told it to stand still.
    parked: bool,
}

impl<'r> Run<'r> {
    pub(super) fn ledger(&self) -> &'r Ledger {
        self.operations.ledger()
    }

    /// Works over a connection that holds the lock on this model, until the run has ended.
    pub(super) async fn finish(mut self, conn: &mut PgConnection) -> Result<Rebuilt, ProjectorError> {
        let begun = Instant::now();
        let found = caught(self.work(conn)).await;
        if let Err(error) = &found
            && !error.is_passing()
            && let Err(also) = self.fail(conn, error).await
        {
            let (model, tenant) = (self.model.name, self.tenant);
            tracing::error!(model, %tenant, error = %also, "a rebuild failed, and that could not be noted");
        }
        if let Err(error) = settle(self.operations, self.model, self.tenant, conn).await {
            let (model, tenant) = (self.model.name, self.tenant);
            tracing::warn!(model, %tenant, %error, "a rebuild has ended, and whoever looks next has to see to the rest");
        }
        let found = found?;
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
        let now = self.ledger().clock().now();
        Checkpoint::set_back(conn, self.tenant, &[self.model.name], now).await?;
        let program = program(conn).await?;
        if self.row.program.is_none()
            && self.row.replaces
            && let Some(row) = rebuilds::take_over(conn, self.tenant, &self.row, &program).await?
        {
            // What an earlier run has grown and found to differ need not be grown again.
            self.row = row;
        }
        if self.row.program.as_deref() != Some(program.as_str()) {
            self.begin_anew(conn, &program).await?;
        }
        self.pacer = Pacer::starting_at(self.row.reached);
        loop {
            let passed = self.pass(conn, &program).await;
            if matches!(passed, Err(ProjectorError::Cancelled(_))) && self.is_under_way(conn).await? {
                // Nobody has ended it, but what it has grown was made worthless.
                self.begin_anew(conn, &program).await?;
            } else if let Some(found) = passed? {
                return Ok(found);
            }
        }
    }

    /// From where it is to the end. None if it has to be gone through once more.
    async fn pass(
        &mut self,
        conn: &mut PgConnection,
        program: &str,
    ) -> Result<Option<Found>, ProjectorError> {
        if let Growth::InCommit { kind, table } = self.model.growth {
            fold::all(self, conn, (kind, table)).await?;
        }
        self.draw_near(conn, self.stretch, |live| live.goal).await?;
        match self.compare(conn).await? {
            Compared::Ended(found) => Ok(Some(found)),
            Compared::ToReplace(found) => self.replace(conn, found).await,
            Compared::Ahead => {
                self.begin_anew(conn, program).await?;
                Ok(None)
            }
        }
    }

    async fn is_under_way(&self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let running = rebuilds::running(conn, self.tenant, self.model.name).await?;
        Ok(running.is_some_and(|row| row.id == self.row.id))
    }

    /// Empties the twins and goes back to the beginning.
    async fn begin_anew(&mut self, conn: &mut PgConnection, program: &str) -> Result<(), ProjectorError> {
        let (position, target) = match self.model.growth {
            Growth::Follows { .. } => (0, self.live(conn).await?.goal),
            Growth::InCommit { kind, .. } => {
                let head = Head::read(conn, self.tenant).await?.position;
                (head, fold::streams(conn, self.tenant, kind).await?)
            }
        };
        let mut tx = conn.begin().await?;
        clear_twins(&mut tx, self.tenant, self.model).await?;
        rebuilds::begin_anew(&mut tx, self.tenant, &self.row, program).await?;
        self.row = Running {
            program: Some(program.to_owned()),
            position,
            cursor: None,
            reached: 0,
            target,
            ..self.row.clone()
        };
        self.keep(&mut tx).await?;
        tx.commit().await?;
        (self.pacer, self.known) = (Pacer::starting_at(0), Known::default());
        Ok(())
    }

    /// Grows the twin until so many positions or fewer are left up to where it is to be, which moves meanwhile; or until it
    /// does not come nearer any more.
    async fn draw_near(
        &mut self,
        conn: &mut PgConnection,
        near: i64,
        goal: fn(&Live) -> i64,
    ) -> Result<(), ProjectorError> {
        let mut before = i64::MAX;
        loop {
            let to = goal(&self.live(conn).await?);
            let left = to - self.row.position;
            if left <= near || left >= before {
                return Ok(());
            }
            before = left;
            match self.model.growth {
                Growth::Follows { kinds, .. } => follow::catch_up(self, conn, kinds, to).await?,
                Growth::InCommit { kind, table } => fold::catch_up(self, conn, (kind, table), to).await?,
            }
        }
    }

    /// Grows the twin to a position, in the caller's transaction, which has to [keep](Self::keep) it.
    async fn grow_within(&mut self, conn: &mut PgConnection, to: i64) -> Result<(), ProjectorError> {
        match self.model.growth {
            Growth::Follows { kinds, .. } => follow::within(self, conn, kinds, to).await,
            Growth::InCommit { kind, table } => fold::within(self, conn, (kind, table), to).await,
        }
    }

    /// Compares the twin with the live rows, and ends the run unless these are to be replaced.
    async fn compare(&mut self, conn: &mut PgConnection) -> Result<Compared, ProjectorError> {
        // In one snapshot the live rows are of exactly the position that stands beside them, whatever is committed
        // meanwhile: nobody has to hold still.
        let mut tx = conn.begin_with("begin isolation level repeatable read").await?;
        let live = self.live(&mut tx).await?;
        if live.head < self.row.position {
            tx.rollback().await?;
            return Ok(Compared::Ahead);
        }
        // It was parked, so that the twin was grown towards the head, and is not any more.
        if live.goal < self.row.position {
            return Err(ProjectorError::Behind(self.model.name));
        }
        beside(&mut tx).await?;
        self.grow_within(&mut tx, live.goal).await?;
        let found = self.differences(&mut tx, live.rows).await?;
        // The run's own row comes last: whoever would cancel it, or begin another, does not wait for all of this.
        self.keep(&mut tx).await?;
        // Whatever a parked one shows is not what it is to show; and so that it can go on, it is put right without being asked.
        if live.parked || (self.row.replaces && found.differences > 0) {
            tx.commit().await?;
            return Ok(Compared::ToReplace(found));
        }
        let status = if found.differences == 0 { "done" } else { "differs" };
        self.end(&mut tx, status, &found).await?;
        tx.commit().await?;
        Ok(Compared::Ended(found))
    }

    /// Puts the rows that differ in the place of the live ones. Readers see all of it at once. None if the live rows are not
    /// what they were compared as, and have to be compared again.
    async fn replace(
        &mut self,
        conn: &mut PgConnection,
        found: Found,
    ) -> Result<Option<Found>, ProjectorError> {
        // To where the live rows are and no further: what has happened since to rows that were equal is written by those who
        // write. More than once, so that what moves often is known and only folded on while they wait.
        for _ in 0..LAST_ROUNDS {
            self.draw_near(conn, 0, |live| live.rows).await?;
        }
        let mut tx = conn.begin().await?;
        // Nobody writes live rows until this has ended: no projector, and for a state table no commit of this tenant. So
        // it takes no more than it must: what happened since, and the rows that were found to differ.
        let (live, paused) = match self.model.growth {
            Growth::Follows { .. } => {
                let standing = Checkpoint::hold(&mut tx, self.tenant, self.model.name).await?;
                (standing.position, standing.paused)
            }
            Growth::InCommit { .. } => (Head::lock(&mut tx, self.tenant).await?.position, false),
        };
        // Rows that were equal are equal still if both have grown by the same since. Where the twin was ahead, the live ones
        // must not have grown at all, and nobody have told them to stay where they are.
        let is_as_compared = match found.live < found.position {
            true => live == found.live && !paused,
            false => live >= self.row.position,
        };
        if !is_as_compared {
            tx.rollback().await?;
            return Ok(None);
        }
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
        let found = Found { position: self.row.position, replaced: true, ..found };
        self.keep(&mut tx).await?;
        self.end(&mut tx, "done", &found).await?;
        tx.commit().await?;
        let (model, tenant, differences) = (self.model.name, self.tenant, found.differences);
        tracing::warn!(model, %tenant, differences, "live rows were replaced by the rebuilt ones");
        Ok(Some(found))
    }

    async fn differences(&self, conn: &mut PgConnection, live: i64) -> Result<Found, ProjectorError> {
        // Keys that an earlier comparison has kept.
        sqlx::raw_sql("discard temp").execute(&mut *conn).await?;
        let position = self.row.position;
        let mut found = Found { position, live, rows: 0, differences: 0, sample: vec![], replaced: false };
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

    /// Where the live read model is.
    async fn live(&self, conn: &mut PgConnection) -> Result<Live, ProjectorError> {
        let head = Head::read(conn, self.tenant).await?.position;
        if !self.model.follows() {
            return Ok(Live { rows: head, goal: head, head, parked: false });
        }
        let standing = Checkpoint::standing(conn, self.tenant, self.model.name).await?;
        // One that was told to stand still is left where it is.
        let parked = standing.parked && !standing.paused;
        let goal = if parked { head } else { standing.position };
        Ok(Live { rows: standing.position, goal, head, parked })
    }

    async fn end(&self, conn: &mut PgConnection, status: &str, found: &Found) -> Result<(), ProjectorError> {
        let ended = Ended {
            status,
            position: found.position,
            rows: found.rows,
            differences: found.differences,
            sample: json!(found.sample),
            replaced: found.replaced,
            failure: None,
        };
        match rebuilds::end(conn, self.tenant, self.row.id, &ended, self.ledger().clock().now()).await? {
            true => Ok(()),
            false => Err(ProjectorError::Cancelled(self.model.name)),
        }
    }

    /// Notes that it cannot go on, whoever tries. The live one is left alone.
    async fn fail(&self, conn: &mut PgConnection, error: &ProjectorError) -> Result<(), sqlx::Error> {
        let reason = error.to_string();
        let ended = Ended {
            status: "failed",
            position: self.row.position,
            sample: Value::Array(vec![]),
            failure: Some(&reason),
            ..Ended::default()
        };
        rebuilds::end(conn, self.tenant, self.row.id, &ended, self.ledger().clock().now()).await?;
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
