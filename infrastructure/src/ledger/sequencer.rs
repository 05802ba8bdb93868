//! The sequencer: one task a tenant and process that decides whatever waits and commits it together.
//!
//! Its states are current as of `head`. A batch moves the head only if nobody else has; then every
//! decision in it stands. If somebody has, the batch is decided again under the head's lock, on states
//! that have caught up. A version conflict cannot happen, and nothing is retried blindly.

mod chain;
mod outcome;
mod recent;

use std::{cell::RefCell, collections::HashMap, mem, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use onhand_domain::{Refusal, StreamId, stream::Lookup, values::TenantId};
use sqlx::{Connection, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::sync::mpsc;
use uuid::Uuid;

use self::{
    chain::{Chain, holds_nul},
    outcome::committed,
    recent::{Recent, find_used_keys},
};
use super::{
    Head, LedgerError, Receipt, Shared, Submission, Ticket,
    append::{self, Base, Batch, KeptAnswer},
    read,
    states::{self, States},
    submission::{Answer, Decision},
};

/// Commands decided together at most; larger batches gain nothing more.
const BATCH_MAX: usize = 512;
/// Batches of fewer are not split.
const BATCH_MIN: usize = 16;
/// Times a decision may ask for streams it had not been expected to look at.
const LOOKS_MAX: usize = 8;
/// Entries of other processes that are folded into the states; beyond it they are forgotten and reloaded.
const CATCH_UP_MAX: i64 = 20_000;
/// Times a batch is begun anew before its callers are told to come back.
const ROUNDS_MAX: usize = 6;
/// How long an idle sequencer keeps its connection from the pool.
const KEEP_CONNECTION: Duration = Duration::from_millis(20);
/// How long the outcome of a broken commit is looked for.
const LOOK_FOR_OUTCOME: Duration = Duration::from_secs(10);

/// Runs until every sender is gone and everything accepted is answered.
pub(super) async fn run(shared: Arc<Shared>, tenant: TenantId, mut queue: mpsc::Receiver<Ticket>) {
    let mut sequencer = Sequencer {
        shared,
        tenant,
        head: None,
        contended: true,
        states: States::default(),
        recent: Recent::default(),
        conn: None,
    };
    let mut waiting = Vec::with_capacity(BATCH_MAX);
    let mut last = 0;
    loop {
        if waiting.is_empty() && !sequencer.receive(&mut queue, &mut waiting).await {
            return;
        }
        while waiting.len() < BATCH_MAX
            && let Ok(ticket) = queue.try_recv()
        {
            waiting.push(ticket);
        }
        // Not everybody at once: while one half is committed, the other half is answered and asks again, and
        // neither the database nor the callers stand idle.
        let share = (waiting.len() + last).div_ceil(2).max(BATCH_MIN).min(waiting.len());
        last = share;
        let rest = waiting.split_off(share);
        metrics::histogram!("onhand_ledger_batch_commands").record(share as f64);
        sequencer.settle(mem::replace(&mut waiting, rest)).await;
    }
}

struct Sequencer {
    shared: Arc<Shared>,
    tenant: TenantId,
    /// The head all states are current as of; none before the first batch and after a failure.
    head: Option<Head>,
    /// True while other processes write too: then the head is locked before deciding.
    contended: bool,
    states: States,
    recent: Recent,
    /// The connection of the last batch, for a moment.
    conn: Option<PoolConnection<Postgres>>,
}

/// What was decided about one ticket.
enum Verdict {
    Accepted {
        position: i64,
        answer: Answer,
    },
    /// The same key, earlier in this batch.
    SameAs(usize),
    Refused(LedgerError),
    /// Answered in an earlier life.
    Replayed(Receipt),
}

/// Why a round came to nothing.
enum Setback {
    /// Another process wrote.
    Moved,
    /// A key in the batch was used before.
    KeyUsed,
    Failed(LedgerError),
}

impl<E: Into<LedgerError>> From<E> for Setback {
    fn from(error: E) -> Self {
        let error = error.into();
        if let LedgerError::Database(sqlx::Error::Database(db)) = &error {
            if db.constraint() == Some("idempotency_keys_pkey") {
                return Self::KeyUsed;
            }
            // 40: the database chose us to give way; nothing was written.
            if db.code().is_some_and(|code| code.starts_with("40")) {
                return Self::Moved;
            }
        }
        Self::Failed(error)
    }
}

impl Sequencer {
    /// Waits for something to do; false when nothing will ever come again.
    async fn receive(&mut self, queue: &mut mpsc::Receiver<Ticket>, waiting: &mut Vec<Ticket>) -> bool {
        if self.conn.is_some() {
            // Between two batches the connection is kept: its server process has everything at hand.
            match tokio::time::timeout(KEEP_CONNECTION, queue.recv_many(waiting, BATCH_MAX)).await {
                Ok(received) => return received > 0,
                Err(_) => self.conn = None, // Others may need it.
            }
        }
        queue.recv_many(waiting, BATCH_MAX).await > 0
    }

    /// Answers every ticket.
    async fn settle(&mut self, mut open: Vec<Ticket>) {
        self.states.make_room();
        self.answer_recent(&mut open);
        for _ in 0..ROUNDS_MAX {
            if open.is_empty() {
                return;
            }
            match self.round(&mut open).await {
                Ok(()) => return,
                Err(Setback::Moved) => self.contended = true,
                Err(Setback::KeyUsed) => {
                    if let Err(error) = self.answer_used_keys(&mut open).await {
                        return refuse_all(open, &error);
                    }
                }
                Err(Setback::Failed(error)) => return self.fail(open, error).await,
            }
        }
        refuse_all(open, &LedgerError::Busy);
    }

    /// One command cannot take its batch down with it: whatever the database refuses is tried alone.
    async fn fail(&mut self, open: Vec<Ticket>, error: LedgerError) {
        let ours =
            matches!(error, LedgerError::Database(sqlx::Error::Database(_)) | LedgerError::Unreadable { .. });
        if !ours || open.len() == 1 {
            if matches!(error, LedgerError::Database(_) | LedgerError::Unknown) {
                tracing::error!(tenant = %self.tenant, %error, "a batch could not be committed");
            }
            return refuse_all(open, &error);
        }
        let mut outage: Option<LedgerError> = None;
        for ticket in open {
            if let Some(error) = &outage {
                let _ = ticket.reply.send(Err(error.again()));
                continue;
            }
            let mut alone = vec![ticket];
            for _ in 0..ROUNDS_MAX {
                match self.round(&mut alone).await {
                    Ok(()) => break,
                    Err(Setback::Moved) => self.contended = true,
                    Err(Setback::KeyUsed) => {
                        if self.answer_used_keys(&mut alone).await.is_err() {
                            break;
                        }
                    }
                    Err(Setback::Failed(error)) => {
                        refuse_all(mem::take(&mut alone), &error);
                        // The database itself has gone: nobody else fares better now.
                        outage = is_outage(&error).then_some(error);
                        break;
                    }
                }
            }
            refuse_all(alone, &LedgerError::Busy);
        }
    }

    /// Decides and commits everything, and answers; or leaves every ticket open and says why.
    async fn round(&mut self, open: &mut Vec<Ticket>) -> Result<(), Setback> {
        let mut batch = Batch::default();
        let outcome = match self.head.clone() {
            Some(head) if !self.contended => self.optimistic(open, head, &mut batch).await,
            _ => self.locked(open, &mut batch).await,
        };
        match outcome {
            Ok((verdicts, head)) => {
                self.head = Some(head);
                self.publish(mem::take(open), verdicts, &batch);
                Ok(())
            }
            Err(setback) => {
                // The states are ahead of the ledger where this batch has touched them.
                self.states.forget(batch.streams.keys());
                if matches!(setback, Setback::Failed(_)) {
                    self.head = None;
                    self.states.clear();
                }
                Err(setback)
            }
        }
    }

    /// Decides first and lets the commit find out whether anybody else has written.
    async fn optimistic(
        &mut self,
        open: &[Ticket],
        head: Head,
        batch: &mut Batch,
    ) -> Result<(Vec<Verdict>, Head), Setback> {
        let mut conn = self.connection().await?;
        let now = self.shared.clock.now().max(head.recorded_at);
        let verdicts = self.decide(&mut conn, open, &head, now, batch).await?;
        let base = Base { tenant: self.tenant, head: &head, now };
        let unmoved = if batch.is_empty() {
            // Nothing to write, but a refusal must not be based on old news.
            let unmoved = Head::read(&mut conn, self.tenant).await? == head;
            self.conn = Some(conn);
            unmoved
        } else {
            let states = &self.states;
            let tables = &self.shared.state_tables;
            match append::commit(&mut conn, &base, batch, tables, |id| states.get(id)).await {
                Ok(unmoved) => {
                    self.conn = Some(conn);
                    unmoved
                }
                Err(error) => {
                    drop(conn);
                    self.resolve(error, &head, batch).await?;
                    true
                }
            }
        };
        if unmoved { Ok((verdicts, head_after(head, now, batch))) } else { Err(Setback::Moved) }
    }

    /// Locks the head, catches up, decides and commits: nobody can come between.
    async fn locked(&mut self, open: &[Ticket], batch: &mut Batch) -> Result<(Vec<Verdict>, Head), Setback> {
        let mut conn = self.connection().await?;
        let mut tx = conn.begin().await?;
        let head = Head::lock(&mut tx, self.tenant).await?;
        self.contended = self.catch_up(&mut tx, &head).await?;
        let now = self.shared.clock.now().max(head.recorded_at);
        let verdicts = self.decide(&mut tx, open, &head, now, batch).await?;
        if !batch.is_empty() {
            let base = Base { tenant: self.tenant, head: &head, now };
            let states = &self.states;
            if !append::write(&mut tx, &base, batch, &self.shared.state_tables, |id| states.get(id)).await? {
                return Err(Setback::Moved); // Not while its lock is held; but no answer may rest on that.
            }
            if let Err(error) = tx.commit().await {
                drop(conn);
                self.resolve(error, &head, batch).await?;
                return Ok((verdicts, head_after(head, now, batch)));
            }
        } else {
            tx.rollback().await?;
        }
        self.conn = Some(conn);
        Ok((verdicts, head_after(head, now, batch)))
    }

    async fn connection(&mut self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        match self.conn.take() {
            Some(conn) => Ok(conn),
            None => self.shared.pool.acquire().await,
        }
    }

    /// Folds what others have written since into the states. True if there was anything.
    async fn catch_up(&mut self, conn: &mut PgConnection, head: &Head) -> Result<bool, LedgerError> {
        let Some(seen) = self.head.as_ref().map(|head| head.position) else {
            self.states.clear();
            return Ok(false);
        };
        if head.position == seen {
            return Ok(false);
        }
        let tail = if head.position - seen > CATCH_UP_MAX {
            self.states.clear();
            vec![]
        } else {
            read::after(conn, self.tenant, seen, CATCH_UP_MAX).await?
        };
        for entry in tail {
            let stream = entry.stream_id()?;
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
        self.head = Some(head.clone());
        Ok(true)
    }

    /// Decides every ticket in order; each sees the effects of the ones before.
    async fn decide(
        &mut self,
        conn: &mut PgConnection,
        open: &[Ticket],
        head: &Head,
        now: DateTime<Utc>,
        batch: &mut Batch,
    ) -> Result<Vec<Verdict>, LedgerError> {
        let missing = self.states.missing(open.iter().flat_map(|ticket| &ticket.submission.reads));
        if !missing.is_empty() {
            self.states.load(conn, self.tenant, head.position, missing).await?;
        }
        let mut chain = Chain { tenant: self.tenant, position: head.position, hash: head.hash.clone(), now };
        let mut keys: HashMap<Uuid, usize> = HashMap::new();
        let mut verdicts = Vec::with_capacity(open.len());
        for (number, ticket) in open.iter().enumerate() {
            let submission = &ticket.submission;
            let key = submission.idempotency.map(|idempotency| idempotency.key_digest);
            if let Some(first) = key.and_then(|key| keys.get(&key)).copied() {
                let same = open[first].submission.idempotency == submission.idempotency;
                verdicts.push(if same {
                    Verdict::SameAs(first)
                } else {
                    Verdict::Refused(LedgerError::KeyReused)
                });
                continue;
            }
            let verdict = match self.ask(conn, submission, head.position, now).await? {
                Ok(decision) => {
                    self.accept(conn, submission, decision, head.position, &mut chain, batch).await?
                }
                Err(refusal) => Verdict::Refused(refusal.into()),
            };
            if let (Some(key), Verdict::Accepted { .. }) = (key, &verdict) {
                keys.insert(key, number);
            }
            verdicts.push(verdict);
        }
        self.replay_refused(conn, open, &mut verdicts).await?;
        Ok(verdicts)
    }

    /// Asks for a decision, loading whatever it looks at.
    async fn ask(
        &mut self,
        conn: &mut PgConnection,
        submission: &Submission,
        position: i64,
        now: DateTime<Utc>,
    ) -> Result<Result<Decision, Refusal>, LedgerError> {
        for _ in 0..LOOKS_MAX {
            let (decided, missing) = self.look(submission, now);
            if missing.is_empty() {
                return Ok(decided);
            }
            let missing = self.states.missing(&missing);
            self.states.load(conn, self.tenant, position, missing).await?;
        }
        Ok(Err(Refusal::invalid(
            "command.too_wide",
            "the command touches too many things that depend on each other",
        )))
    }

    /// One attempt at a decision, with the streams it looked at in vain.
    fn look(
        &self,
        submission: &Submission,
        now: DateTime<Utc>,
    ) -> (Result<Decision, Refusal>, Vec<StreamId>) {
        let missing = RefCell::new(vec![]);
        let find = |id: &StreamId| {
            self.states.get(id).unwrap_or_else(|| {
                missing.borrow_mut().push(id.clone());
                states::stand_in(id)
            })
        };
        // A decision that panics is a defect of ours, but of one command only: the tenant's others go on.
        let decide = AssertUnwindSafe(|| (submission.decide)(&Lookup::new(&find), now));
        let decided = std::panic::catch_unwind(decide).unwrap_or_else(|_| {
            Err(Refusal::conflict(
                "command.panicked",
                "the command cannot be decided; this is a defect of the program",
            ))
        });
        (decided, missing.into_inner())
    }

    /// Adds a decision to the batch and its effects to the states.
    async fn accept(
        &mut self,
        conn: &mut PgConnection,
        submission: &Submission,
        decision: Decision,
        position: i64,
        chain: &mut Chain,
        batch: &mut Batch,
    ) -> Result<Verdict, LedgerError> {
        let mut stored = Vec::with_capacity(decision.changes.len());
        for (_, event) in &decision.changes {
            let event = event.stored();
            // Postgres has no place for U+0000 in a text; refused here, it harms nobody else in the batch.
            if holds_nul(&event.payload) {
                return Ok(Verdict::Refused(
                    Refusal::invalid("text.nul", "texts must not contain U+0000").into(),
                ));
            }
            stored.push(event);
        }
        let metadata = serde_json::to_string(&submission.context).unwrap_or_else(|_| "{}".to_owned());
        for ((stream, event), stored) in decision.changes.into_iter().zip(stored) {
            if self.states.get(&stream).is_none() {
                self.states.load(conn, self.tenant, position, vec![stream.clone()]).await?;
            }
            batch.touched.note(&stream, &event);
            batch.streams.insert(stream.clone(), ());
            let version = self.states.evolve(&stream, event).unwrap_or(Err(LedgerError::Stopped))?;
            batch.entries.push(chain.link(&stream, version, stored, metadata.clone()));
        }
        batch.attachments.bodies.extend(decision.attachments.bodies);
        batch.attachments.secrets.extend(decision.attachments.secrets);
        batch.attachments.settlements.extend(decision.attachments.settlements);
        if let Some(idempotency) = &submission.idempotency {
            batch.answers.push(KeptAnswer {
                key_digest: idempotency.key_digest,
                fingerprint: idempotency.fingerprint,
                position: chain.position,
                answer: decision.answer.clone(),
            });
        }
        Ok(Verdict::Accepted { position: chain.position, answer: decision.answer })
    }

    /// A refusal may be the repeat of a request that once succeeded; its first answer counts.
    async fn replay_refused(
        &self,
        conn: &mut PgConnection,
        open: &[Ticket],
        verdicts: &mut [Verdict],
    ) -> Result<(), LedgerError> {
        let refused = |(number, verdict): (usize, &Verdict)| {
            let key = open[number].submission.idempotency.is_some();
            (key && matches!(verdict, Verdict::Refused(_))).then_some(number)
        };
        let numbers: Vec<_> = verdicts.iter().enumerate().filter_map(refused).collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let submissions: Vec<_> = numbers.iter().map(|number| &open[*number].submission).collect();
        let used = find_used_keys(conn, self.tenant, &submissions).await?;
        for (number, found) in numbers.into_iter().zip(used) {
            match found {
                Some(Ok(receipt)) => verdicts[number] = Verdict::Replayed(receipt),
                Some(Err(error)) => verdicts[number] = Verdict::Refused(error),
                None => {}
            }
        }
        Ok(())
    }

    /// Makes the batch known: answers, remembered keys, snapshots, and the bell for projectors and relays.
    fn publish(&mut self, open: Vec<Ticket>, verdicts: Vec<Verdict>, batch: &Batch) {
        let receipts: Vec<Option<Receipt>> = verdicts
            .iter()
            .map(|verdict| match verdict {
                Verdict::Accepted { position, answer } => {
                    Some(Receipt { position: *position, answer: answer.clone(), replayed: false })
                }
                _ => None,
            })
            .collect();
        let mut answers = Vec::with_capacity(open.len());
        for (number, (ticket, verdict)) in open.into_iter().zip(verdicts).enumerate() {
            let answer = match verdict {
                Verdict::Accepted { .. } => receipts[number].clone().ok_or(LedgerError::Stopped),
                Verdict::SameAs(first) => {
                    let receipt = receipts[first].clone().ok_or(LedgerError::Stopped);
                    receipt.map(|receipt| Receipt { replayed: true, ..receipt })
                }
                Verdict::Replayed(receipt) => Ok(receipt),
                Verdict::Refused(error) => Err(error),
            };
            if let Ok(receipt) = &answer {
                self.recent.remember(&ticket.submission, receipt);
            }
            answers.push((ticket.reply, answer));
        }
        // The next batch does not wait for the callers of this one to be woken.
        tokio::spawn(async move {
            for (reply, answer) in answers {
                // Whoever asked may have gone; what was decided stays decided.
                let _ = reply.send(answer);
            }
        });
        if !batch.is_empty() {
            metrics::counter!("onhand_events_appended_total").increment(batch.entries.len() as u64);
            self.shared.committed.notify_waiters();
        }
        let due = self.states.due_snapshots(batch.streams.keys());
        if let (false, Some(head)) = (due.is_empty(), &self.head) {
            let (pool, tenant, position) = (self.shared.pool.clone(), self.tenant, head.position);
            tokio::spawn(async move { keep_snapshots(&pool, tenant, position, due).await });
        }
    }

    /// Answers tickets whose key is still remembered.
    fn answer_recent(&mut self, open: &mut Vec<Ticket>) {
        let recent = &mut self.recent;
        let (known, unknown) = mem::take(open)
            .into_iter()
            .map(|ticket| (recent.find(&ticket.submission), ticket))
            .partition::<Vec<_>, _>(|(found, _)| found.is_some());
        for (found, ticket) in known {
            let _ = ticket.reply.send(found.unwrap_or(Err(LedgerError::Stopped)));
        }
        *open = unknown.into_iter().map(|(_, ticket)| ticket).collect();
    }

    /// Answers tickets whose key is in the database.
    async fn answer_used_keys(&mut self, open: &mut Vec<Ticket>) -> Result<(), LedgerError> {
        let mut conn = self.shared.pool.acquire().await?;
        let submissions: Vec<_> = open.iter().map(|ticket| &ticket.submission).collect();
        let used = find_used_keys(&mut conn, self.tenant, &submissions).await?;
        let mut unknown = Vec::new();
        for (ticket, found) in mem::take(open).into_iter().zip(used) {
            match found {
                Some(answer) => {
                    let _ = ticket.reply.send(answer);
                }
                None => unknown.push(ticket),
            }
        }
        *open = unknown;
        Ok(())
    }

    /// Finds out whether a commit that broke off has happened. Ok if it has.
    ///
    /// The head's lock is taken first, so a commit still under way on the server has ended by then.
    async fn resolve(&self, error: sqlx::Error, head: &Head, batch: &Batch) -> Result<(), Setback> {
        if matches!(error, sqlx::Error::Database(_)) {
            return Err(error.into()); // The database itself says that it did not.
        }
        tracing::warn!(tenant = %self.tenant, %error, "a commit broke off; looking for its outcome");
        let Some(first) = batch.entries.first() else { return Err(Setback::Failed(LedgerError::Unknown)) };
        let deadline = tokio::time::Instant::now() + LOOK_FOR_OUTCOME;
        loop {
            match committed(&self.shared.pool, self.tenant, head.position + 1, first.event_id).await {
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

async fn keep_snapshots(pool: &PgPool, tenant: TenantId, position: i64, due: Vec<states::Snapshot>) {
    let written = async {
        let mut conn = pool.acquire().await?;
        states::write_snapshots(&mut conn, tenant, position, &due).await
    };
    if let Err(error) = written.await {
        tracing::warn!(%tenant, %error, "snapshots were not written; streams load from further back");
    }
}

fn head_after(head: Head, now: DateTime<Utc>, batch: &Batch) -> Head {
    match batch.entries.last() {
        Some(last) => Head { position: last.position, hash: last.hash.clone(), recorded_at: now },
        None if batch.is_empty() => head,
        None => Head { recorded_at: now, ..head },
    }
}

/// Whether an error says that the database is not there, rather than that it will not take something.
fn is_outage(error: &LedgerError) -> bool {
    match error {
        LedgerError::Unreadable { .. } => false,
        LedgerError::Database(sqlx::Error::Database(db)) => {
            // 57: shut down or cancelled; 53: no room left; 08: connection lost; 25006: a standby.
            db.code().is_some_and(|code| ["57", "53", "08", "25"].iter().any(|class| code.starts_with(class)))
        }
        _ => true,
    }
}

fn refuse_all(open: Vec<Ticket>, error: &LedgerError) {
    for ticket in open {
        let _ = ticket.reply.send(Err(error.again()));
    }
}
