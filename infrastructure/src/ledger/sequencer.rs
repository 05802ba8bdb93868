//! The sequencer: one task a tenant and process that decides whatever waits and commits it together.
//!
//! Its states are current as of `head`. A batch moves the head only if nobody else has; then every
//! decision in it stands. If somebody has, the batch is decided again under the head's lock, on states
//! that have caught up. A version conflict cannot happen, and nothing is retried blindly.

mod ahead;
mod chain;
mod commit;
mod decide;
mod outcome;
mod publish;
mod recent;

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use onhand_domain::values::TenantId;
use sqlx::{Postgres, pool::PoolConnection};
use tokio::sync::mpsc;

use self::{ahead::Work, commit::Plan, publish::refuse_all, recent::Recent};
use super::{Head, LedgerError, Shared, Ticket, is_passing, states::States, tail::Tail};

/// Commands decided together at most; larger batches gain nothing more.
const BATCH_MAX: usize = 512;
/// Batches of fewer are not split.
const BATCH_MIN: usize = 16;
/// Times a batch is begun anew before its callers are told to come back.
const ROUNDS_MAX: usize = 6;
/// How long an idle sequencer keeps its connection from the pool.
const KEEP_CONNECTION: Duration = Duration::from_millis(20);
/// How long others are expected to write again once they have.
const CONTENDED: Duration = Duration::from_secs(1);
/// How long an idle sequencer keeps its states: the memory is for those that are at work.
const KEEP_STATES: Duration = Duration::from_secs(60);

/// Runs until every sender is gone and everything accepted is answered.
pub(super) async fn run(
    shared: Arc<Shared>,
    tenant: TenantId,
    tail: Arc<Tail>,
    queue: mpsc::Receiver<Ticket>,
) {
    let mut sequencer = Sequencer {
        shared,
        tenant,
        tail,
        head: None,
        others_wrote: None,
        slowest_read: Duration::ZERO,
        doubtful: false,
        queue,
        waiting: Vec::with_capacity(BATCH_MAX),
        states: States::default(),
        recent: Recent::default(),
        conn: None,
        landed: None,
    };
    let mut ahead = None;
    let mut last = 0;
    loop {
        let work = match ahead.take() {
            Some(plan) => Work::Planned(Box::new(plan)),
            None if sequencer.waiting.is_empty() && !sequencer.receive().await => return,
            None => {
                sequencer.top_up();
                Work::Open(share(&mut sequencer.waiting, last))
            }
        };
        last = work.commands();
        metrics::histogram!("onhand_ledger_batch_commands").record(last as f64);
        ahead = sequencer.work(work).await;
    }
}

/// The part of those waiting that is decided next, given how many the batch before had.
///
/// Not everybody at once: while one half is committed, the other half is answered and asks again, and neither the
/// database nor the callers stand idle.
fn share(waiting: &mut Vec<Ticket>, last: usize) -> Vec<Ticket> {
    let share = (waiting.len() + last).div_ceil(2).clamp(BATCH_MIN, BATCH_MAX).min(waiting.len());
    let rest = waiting.split_off(share);
    mem::replace(waiting, rest)
}

struct Sequencer {
    shared: Arc<Shared>,
    tenant: TenantId,
    /// Where what was committed is left for those who follow it in this process.
    tail: Arc<Tail>,
    /// The head all states are current as of; none before the first batch and after a failure.
    head: Option<Head>,
    /// When another process was last seen to have written.
    others_wrote: Option<Instant>,
    /// How long it took to read what a batch looks at, at most.
    slowest_read: Duration,
    /// True while streams that are new as a rule are looked up all the same, because one of them was not.
    doubtful: bool,
    states: States,
    recent: Recent,
    queue: mpsc::Receiver<Ticket>,
    /// Taken from the queue already; at most [`BATCH_MAX`], and what has to be decided again.
    waiting: Vec<Ticket>,
    /// The connection of the last batch, for a moment: its server process has everything at hand.
    conn: Option<PoolConnection<Postgres>>,
    /// A batch that is durable and was not made known yet. The next one, decided ahead, is sent first, for until then the
    /// database has nothing to do.
    landed: Option<Plan>,
}

/// Whether a batch that had to wait for the head's lock may take in what has come meanwhile.
#[derive(Clone, Copy)]
enum Company {
    Welcome,
    /// It is tried alone.
    Unwelcome,
}

/// Why a batch came to nothing.
enum Setback {
    /// Another process wrote.
    Moved,
    /// A key in the batch was used before.
    KeyUsed,
    /// A stream that was taken for new is not.
    NotNew,
    Failed(LedgerError),
}

impl<E: Into<LedgerError>> From<E> for Setback {
    fn from(error: E) -> Self {
        let error = error.into();
        if let LedgerError::Database(sqlx::Error::Database(db)) = &error {
            if db.constraint() == Some("idempotency_keys_pkey") {
                return Self::KeyUsed;
            }
            // An order that is not new has its key as well, a delivery its body, and which of them the database meets first is its
            // own affair.
            if let Some("events_tenant_id_stream_version_key" | "person_keys_pkey" | "delivery_bodies_pkey") =
                db.constraint()
            {
                return Self::NotNew;
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
    /// Whether other processes write, too: then the head is locked before deciding, for a decision that comes to nothing
    /// costs the states it has touched. Another process may be reading large states just as this one has, before it goes on.
    fn contended(&self) -> bool {
        self.others_wrote.is_some_and(|at| at.elapsed() < CONTENDED.max(self.slowest_read * 2))
    }

    /// Waits for something to do; false when nothing will ever come again.
    async fn receive(&mut self) -> bool {
        if self.conn.is_some() {
            match tokio::time::timeout(KEEP_CONNECTION, self.queue.recv_many(&mut self.waiting, BATCH_MAX))
                .await
            {
                Ok(received) => return received > 0,
                Err(_) => self.conn = None, // Others may need it.
            }
        }
        if self.head.is_some() {
            match tokio::time::timeout(KEEP_STATES, self.queue.recv_many(&mut self.waiting, BATCH_MAX)).await
            {
                Ok(received) => return received > 0,
                Err(_) => self.forget(),
            }
        }
        self.queue.recv_many(&mut self.waiting, BATCH_MAX).await > 0
    }

    /// Takes whatever waits already.
    fn top_up(&mut self) {
        while self.waiting.len() < BATCH_MAX
            && let Ok(ticket) = self.queue.try_recv()
        {
            self.waiting.push(ticket);
        }
    }

    /// Answers every ticket, with nothing decided ahead.
    async fn settle(&mut self, mut open: Vec<Ticket>) {
        for _ in 0..ROUNDS_MAX {
            if open.is_empty() {
                break;
            }
            if let Err(setback) = self.round(&mut open, Company::Welcome).await {
                self.cope(&mut open, setback).await;
            }
        }
        self.doubtful = false;
        refuse_all(open, &LedgerError::Busy);
    }

    /// Does what a setback asks for, so that what is still open can be tried again.
    async fn cope(&mut self, open: &mut Vec<Ticket>, setback: Setback) {
        match setback {
            Setback::Moved => self.others_wrote = Some(Instant::now()),
            Setback::NotNew => self.doubtful = true,
            Setback::KeyUsed => {
                if let Err(error) = self.answer_used_keys(open).await {
                    refuse_all(mem::take(open), &error);
                }
            }
            Setback::Failed(error) => self.fail(mem::take(open), error).await,
        }
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
                match self.round(&mut alone, Company::Unwelcome).await {
                    Ok(()) => break,
                    Err(Setback::Moved) => self.others_wrote = Some(Instant::now()),
                    Err(Setback::NotNew) => self.doubtful = true,
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
        self.doubtful = false;
    }

    async fn connection(&mut self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        match self.conn.take() {
            Some(conn) => Ok(conn),
            None => self.shared.pool.acquire().await,
        }
    }
}

/// Whether an error says that the database is not there, rather than that it will not take something.
fn is_outage(error: &LedgerError) -> bool {
    match error {
        LedgerError::Unreadable { .. } => false,
        LedgerError::Database(error @ sqlx::Error::Database(_)) => is_passing(error),
        _ => true,
    }
}
