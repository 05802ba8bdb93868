//! The commit of one batch: what was decided becomes true, or is taken back.

use std::{
    mem,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use onhand_domain::StreamId;
use sqlx::{Connection, PgConnection, Postgres, pool::PoolConnection};

use super::{
    super::{
        Entry, Head, LedgerError, Ticket,
        append::{self, Base, Batch},
        is_passing, read,
        states::Snapshot,
    },
    BATCH_MAX, Company, ROUNDS_MAX, Sequencer, Setback,
    decide::Verdict,
    outcome::committed,
    recent::Recent,
};

/// Entries of other processes that are folded into the states; beyond it they are forgotten and reloaded.
const CATCH_UP_MAX: i64 = 20_000;
/// Reading states for so long is slow: others have written meanwhile, if there are any.
const SLOW: Duration = Duration::from_millis(50);
/// Others are not expected to take longer than that.
const SLOWEST: Duration = Duration::from_secs(5);
/// So few entries of others may be left to be folded with the lock.
const FEW: usize = 500;
/// How long the outcome of a broken commit is looked for.
const LOOK_FOR_OUTCOME: Duration = Duration::from_secs(10);

/// A batch that has been decided.
pub(super) struct Plan {
    pub(super) open: Vec<Ticket>,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) batch: Batch,
    pub(super) base: Base,
    /// Of states as they are after this batch and before the next, to be written once it is durable. Made when it is sent.
    pub(super) snapshots: Vec<Snapshot>,
}

impl Plan {
    fn new(open: Vec<Ticket>, verdicts: Vec<Verdict>, batch: Batch, base: Base) -> Self {
        Self { open, verdicts, batch, base, snapshots: vec![] }
    }

    /// Where the ledger ends once this is committed.
    pub(super) fn head_after(&self) -> Head {
        self.base.head_after(&self.batch)
    }
}

impl Sequencer {
    /// Decides and commits everything, and answers; or leaves every ticket open and says why.
    pub(super) async fn round(&mut self, open: &mut Vec<Ticket>, company: Company) -> Result<(), Setback> {
        let tickets = mem::take(open);
        let done = match self.head.clone() {
            Some(head) if !self.contended() => match self.plan(tickets, head).await {
                Ok((conn, plan)) => self.commit(conn, plan).await,
                Err(failed) => Err(failed),
            },
            _ => self.locked(tickets, company).await,
        };
        done.map_err(|(tickets, setback)| {
            *open = tickets;
            setback
        })
    }

    /// Decides a batch, over a connection that is there to commit it.
    pub(super) async fn plan(
        &mut self,
        open: Vec<Ticket>,
        head: Head,
    ) -> Result<(PoolConnection<Postgres>, Plan), (Vec<Ticket>, Setback)> {
        let mut conn = match self.connection().await {
            Ok(conn) => conn,
            Err(error) => return Err((open, error.into())),
        };
        let plan = self.decided(&mut conn, open, head).await?;
        Ok((conn, plan))
    }

    /// Decides a batch. Its effects are then in memory.
    async fn decided(
        &mut self,
        conn: &mut PgConnection,
        open: Vec<Ticket>,
        head: Head,
    ) -> Result<Plan, (Vec<Ticket>, Setback)> {
        let base = Base::at(self.tenant, head, self.shared.clock.now());
        let mut batch = Batch::default();
        match self.decide(Some(conn), &open, &base, &mut batch).await {
            Ok(verdicts) => Ok(Plan::new(open, verdicts, batch, base)),
            Err(error) => {
                let setback = error.into();
                self.undo(&batch, &base.head, &setback);
                Err((open, setback))
            }
        }
    }

    /// Decides a batch on what is in memory alone; gives the tickets back if that does not do.
    pub(super) fn decided_in_memory(&mut self, open: Vec<Ticket>, head: Head) -> Result<Plan, Vec<Ticket>> {
        let base = Base::at(self.tenant, head, self.shared.clock.now());
        let mut batch = Batch::default();
        match self.decide(None, &open, &base, &mut batch).now_or_never() {
            Some(Ok(verdicts)) => Ok(Plan::new(open, verdicts, batch, base)),
            _ => {
                self.states.forget(batch.streams.keys());
                Err(open)
            }
        }
    }

    /// A batch is sent as it is, and grows no more: the head is where it will leave it. Gives the snapshots that are due after it.
    pub(super) fn seal(&mut self, base: &Base, batch: &Batch) -> Vec<Snapshot> {
        self.head = Some(base.head_after(batch));
        self.states.due_snapshots(batch.streams.keys())
    }

    /// Commits what was decided without a lock, and finds out whether anybody else has written.
    pub(super) async fn commit(
        &mut self,
        mut conn: PoolConnection<Postgres>,
        mut plan: Plan,
    ) -> Result<(), (Vec<Ticket>, Setback)> {
        plan.snapshots = self.seal(&plan.base, &plan.batch);
        let Plan { base, batch, .. } = &plan;
        let committed = if batch.is_empty() {
            // Nothing to write, but a refusal must not be based on old news.
            match Head::read(&mut conn, self.tenant).await {
                Ok(head) => head == base.head,
                Err(error) => return Err(self.give_up(plan, error.into())),
            }
        } else {
            let states = &self.states;
            let tables = &self.shared.state_tables;
            match append::commit(&mut conn, base, batch, tables, |id| states.get(id)).await {
                Ok(unmoved) => unmoved,
                Err(error) => {
                    drop(conn);
                    return match self.resolve(error, &base.head, batch).await {
                        Ok(()) => {
                            self.publish(plan);
                            Ok(())
                        }
                        Err(setback) => Err(self.give_up(plan, setback)),
                    };
                }
            }
        };
        self.conn = Some(conn);
        if !committed {
            return Err(self.give_up(plan, Setback::Moved));
        }
        self.publish(plan);
        Ok(())
    }

    /// Locks the head, catches up, decides and commits: nobody can come between.
    async fn locked(
        &mut self,
        mut open: Vec<Ticket>,
        company: Company,
    ) -> Result<(), (Vec<Ticket>, Setback)> {
        let mut conn = match self.connection_that_answers().await {
            Ok(conn) => conn,
            Err(error) => return Err((open, error.into())),
        };
        if let Err(error) = self.read_before_lock(&mut conn, &open).await {
            return Err((open, error.into()));
        }
        let mut tx = match conn.begin().await {
            Ok(tx) => tx,
            Err(error) => return Err((open, error.into())),
        };
        let (head, others_wrote) = match self.lock(&mut tx).await {
            Ok(locked) => locked,
            Err(error) => {
                let setback = error.into();
                if matches!(setback, Setback::Failed(_)) {
                    self.forget();
                }
                return Err((open, setback));
            }
        };
        if let Company::Welcome = company {
            // While this process waited for its turn, others have asked: each turn is worth as much as it can be. Who looks at what
            // is not in memory waits for the next one, before which that is read.
            self.top_up();
            let room = BATCH_MAX.saturating_sub(open.len());
            let at_hand = |ticket: &&Ticket| self.states.has(&ticket.submission.reads);
            let joining = self.waiting.iter().take(room).take_while(at_hand).count();
            open.extend(self.waiting.drain(..joining));
            self.answer_recent(&mut open);
        }
        let mut plan = self.decided(&mut tx, open, head).await?;
        plan.snapshots = self.seal(&plan.base, &plan.batch);
        let (base, batch, states) = (&plan.base, &plan.batch, &self.states);
        let written = match batch.is_empty() {
            true => Ok(true),
            false => {
                append::write(&mut tx, base, batch, &self.shared.state_tables, |id| states.get(id)).await
            }
        };
        match written {
            Ok(true) => {}
            // Not while its lock is held; but no answer may rest on that.
            Ok(false) => return Err(self.give_up(plan, Setback::Moved)),
            Err(error) => return Err(self.give_up(plan, error.into())),
        }
        if let Err(error) = tx.commit().await {
            // Its session may still hold the lock that has to be taken to find out.
            drop(conn);
            if let Err(setback) = self.resolve(error, &plan.base.head, &plan.batch).await {
                return Err(self.give_up(plan, setback));
            }
        } else {
            self.conn = Some(conn);
        }
        self.publish(plan);
        if others_wrote {
            // Reading a large state may have taken longer than others are expected to be quiet. Without the lock it would be
            // forgotten at the next turn, and read again, and so on.
            self.others_wrote = Some(Instant::now());
        }
        Ok(())
    }

    /// A connection that is alive: after a restart of the database the pool may hold many that are not.
    async fn connection_that_answers(&mut self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        if let Some(conn) = self.conn.take() {
            return Ok(conn);
        }
        loop {
            let mut conn = self.shared.pool.acquire().await?;
            match conn.ping().await {
                Ok(()) => return Ok(conn),
                Err(error) if !is_passing(&error) => return Err(error),
                // Not for anybody else either.
                Err(_) => drop(conn.detach()),
            }
        }
    }

    /// Reads what is going to be looked at and is not in memory. Without the head's lock: a shelf with a hundred thousand holds
    /// takes a second, and no process could write meanwhile.
    async fn read_before_lock(
        &mut self,
        conn: &mut PgConnection,
        open: &[Ticket],
    ) -> Result<(), LedgerError> {
        let head = match self.head.clone() {
            Some(head) => head,
            None => {
                self.states.clear();
                Head::read(conn, self.tenant).await?
            }
        };
        let missing = self.states.missing(open.iter().flat_map(|ticket| &ticket.submission.reads));
        if missing.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        self.states.load(conn, self.tenant, head.position, missing).await?;
        self.head = Some(head);
        let took = begun.elapsed();
        if took >= SLOW {
            self.slowest_read = self.slowest_read.max(took).min(SLOWEST);
            // What is left is less each time, and few are left for the lock.
            for _ in 0..ROUNDS_MAX {
                if self.follow(conn).await? < FEW {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Folds what others have written since into the states, as far as it is read at once. Says how many entries that were.
    async fn follow(&mut self, conn: &mut PgConnection) -> Result<usize, LedgerError> {
        let Some(seen) = self.head.clone() else { return Ok(0) };
        let tail = read::after(conn, self.tenant, seen.position, CATCH_UP_MAX).await?;
        let (Some(first), Some(last)) = (tail.first(), tail.last()) else { return Ok(0) };
        if first.chained(self.tenant, &seen.hash) != *first.hash {
            return Ok(0); // Found out with the lock.
        }
        let head = Head { position: last.position, hash: last.hash.clone(), recorded_at: last.recorded_at };
        let entries = tail.len();
        if let Err(error) = self.fold(tail) {
            self.forget(); // It is half way.
            return Err(error);
        }
        self.head = Some(head);
        self.others_wrote = Some(Instant::now());
        Ok(entries)
    }

    /// Takes the head's lock and catches up. Says whether others have written.
    async fn lock(&mut self, conn: &mut PgConnection) -> Result<(Head, bool), LedgerError> {
        let head = Head::lock(conn, self.tenant).await?;
        let others_wrote = self.catch_up(conn, &head).await?;
        self.head = Some(head.clone());
        Ok((head, others_wrote))
    }

    /// Folds what others have written since into the states. True if there was anything.
    async fn catch_up(&mut self, conn: &mut PgConnection, head: &Head) -> Result<bool, LedgerError> {
        let Some((seen, before)) = self.head.as_ref().map(|head| (head.position, head.hash.clone())) else {
            self.states.clear();
            return Ok(false);
        };
        if head.position == seen && head.hash == before {
            return Ok(false);
        }
        let others = head.position - seen;
        let tail = if others < 1 {
            // The server came back knowing less than it had said, and what is remembered here never was.
            tracing::error!(tenant = %self.tenant, seen, found = head.position, "the ledger has lost entries");
            self.forget();
            vec![]
        } else {
            // All of them, or only the first where they are too many to be followed.
            let most = if others > CATCH_UP_MAX { 1 } else { CATCH_UP_MAX };
            read::after(conn, self.tenant, seen, most).await?
        };
        if let Some(first) = tail.first()
            && first.chained(self.tenant, &before) != *first.hash
        {
            tracing::error!(tenant = %self.tenant, seen, "the ledger has lost entries, and others have taken their place");
            self.forget();
            return Ok(true);
        }
        if others > CATCH_UP_MAX {
            self.states.clear();
        } else {
            self.fold(tail)?;
        }
        Ok(true)
    }

    /// Folds entries of others into the states that are in memory.
    fn fold(&mut self, tail: Vec<Entry>) -> Result<(), LedgerError> {
        for entry in tail {
            let stream: StreamId = entry.stream_id()?;
            if self.states.get(&stream).is_some() {
                match entry.event() {
                    Ok(event) => self.states.evolve(&stream, event).transpose()?,
                    // An event of a newer program: only its own stream is out of reach.
                    Err(_) => {
                        self.states.forget([&stream]);
                        None
                    }
                };
            }
        }
        Ok(())
    }

    /// A batch that was decided and has come to nothing, with its tickets open again.
    pub(super) fn give_up(&mut self, plan: Plan, setback: Setback) -> (Vec<Ticket>, Setback) {
        self.undo(&plan.batch, &plan.base.head, &setback);
        (plan.open, setback)
    }

    /// Takes back in memory what has not come true: the states are ahead of the ledger where the batch has
    /// touched them.
    fn undo(&mut self, batch: &Batch, head: &Head, setback: &Setback) {
        self.publish_landed(); // What it has to say of keys and states stands, whatever is forgotten now.
        if matches!(setback, Setback::Failed(_)) {
            return self.forget();
        }
        self.states.forget(batch.streams.keys());
        self.head = Some(head.clone());
    }

    /// Forgets everything; it is read again when it is needed.
    pub(super) fn forget(&mut self) {
        self.head = None;
        // Without a head to compare with, it would not be found out if the server has lost what was answered.
        self.recent = Recent::default();
        self.states.clear();
        self.tail.clear();
    }

    /// Finds out whether a commit that broke off has happened. Ok if it has.
    ///
    /// The head's lock is taken first, so a commit still under way on the server has ended by then.
    pub(super) async fn resolve(
        &self,
        error: sqlx::Error,
        head: &Head,
        batch: &Batch,
    ) -> Result<(), Setback> {
        if matches!(error, sqlx::Error::Database(_)) {
            return Err(error.into()); // The database itself says that it did not.
        }
        tracing::warn!(tenant = %self.tenant, %error, "a commit broke off; looking for its outcome");
        let first = batch.entries.first().map(|entry| entry.event_id);
        let deadline = tokio::time::Instant::now() + LOOK_FOR_OUTCOME;
        loop {
            match committed(&self.shared.pool, self.tenant, head.position + 1, first).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Setback::Moved), // Decided again, under the lock.
                Err(error) if tokio::time::Instant::now() >= deadline => {
                    tracing::error!(tenant = %self.tenant, %error, "the outcome of a commit stays unknown");
                    return Err(Setback::Failed(LedgerError::Unknown));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}
