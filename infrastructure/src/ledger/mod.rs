//! The ledger: one numbered, hash-chained history per tenant, written by group commit.
//!
//! [`Ledger::submit`] hands a [`Submission`] to the tenant's sequencer, which decides it together with
//! everything else that waits and appends the outcome in one transaction. See `docs/adr/0001`.

mod append;
pub mod archive;
mod entry;
mod error;
mod genesis;
mod head;
mod moment;
mod past;
pub mod proof;
pub mod read;
mod sequencer;
mod snapshots;
mod states;
mod submission;
mod tail;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::BoxFuture;
use onhand_domain::{State, StreamId, values::TenantId};
use sqlx::{PgConnection, PgPool};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};

use self::tail::Tail;
pub use self::{
    entry::{Context, Entry},
    error::{LedgerError, is_passing},
    genesis::create_tenant,
    head::Head,
    moment::{Moment, MomentError},
    past::{StateAt, position_at, positions_at, state_at, states_at, versions_at},
    snapshots::write_missing_snapshots,
    submission::{
        Answer, Attachments, Decide, Decision, DeliveryBody, FollowUp, Followed, Forgotten, Idempotency,
        PersonKey, Receipt, SealedSecret, Submission,
    },
};
use crate::clock::Clock;

/// Commands that may wait for a tenant's sequencer; beyond it callers are told to come back.
const QUEUE_MAX: usize = 8_192;

/// Writes what some states say, in the caller's transaction, whatever the rows were before.
pub type WriteStates = for<'c> fn(
    &'c mut PgConnection,
    TenantId,
    &'c [(StreamId, &'c State)],
) -> BoxFuture<'c, Result<(), sqlx::Error>>;

/// A table whose rows say what the entries of single streams add up to, written in the commit itself.
#[derive(Clone, Copy)]
pub struct StateTable {
    /// Writes the rows of the given streams, whatever they were before.
    pub write: WriteStates,
    /// Whether rows of this table follow from streams of this kind.
    pub covers: fn(&StreamId) -> bool,
}

/// The ledgers of all tenants, as seen by this process. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) state_tables: Vec<StateTable>,
    /// What the states of all tenants together may take, in bytes.
    states_bytes: usize,
    /// Rung after each commit of this process; others are found by polling.
    pub(crate) committed: Arc<Notify>,
    sequencers: Mutex<HashMap<TenantId, Sequencing>>,
}

/// A running sequencer.
struct Sequencing {
    queue: mpsc::Sender<Ticket>,
    task: JoinHandle<()>,
    tail: Arc<Tail>,
}

/// A submission on its way, with the place its answer goes to.
pub(crate) struct Ticket {
    pub(crate) submission: Submission,
    pub(crate) reply: oneshot::Sender<Result<Receipt, LedgerError>>,
}

impl Shared {
    /// What one tenant may have in memory.
    fn share_bytes(&self) -> usize {
        let sequencers = self.sequencers.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.states_bytes / sequencers.max(1)
    }
}

impl Ledger {
    /// A view on the ledgers in this database. `state_tables` are written inside every commit; `states_bytes`
    /// bounds what is kept in memory of all streams together.
    pub fn new(pool: PgPool, clock: Clock, state_tables: Vec<StateTable>, states_bytes: usize) -> Self {
        let shared = Shared {
            pool,
            clock,
            state_tables,
            states_bytes,
            committed: Arc::default(),
            sequencers: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Decides and appends, together with whatever else is waiting. Returns once it is durable.
    ///
    /// A refusal is returned only when the state it was based on is known to be the newest.
    pub async fn submit(&self, submission: Submission) -> Result<Receipt, LedgerError> {
        let sender = self.sequencer(submission.context.tenant);
        let (reply, answer) = oneshot::channel();
        sender.try_send(Ticket { submission, reply }).map_err(|_| LedgerError::Busy)?;
        answer.await.map_err(|_| LedgerError::Stopped)?
    }

    /// Rung after each commit of this process.
    pub fn committed(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.committed)
    }

    /// Entries right after a position that this process has just appended: whole batches in order, without gaps, about
    /// `limit` entries. None if they have to be read from the database.
    pub fn just_appended(&self, tenant: TenantId, position: i64, limit: usize) -> Option<Vec<Arc<[Entry]>>> {
        let tail = {
            let sequencers = self.shared.sequencers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&sequencers.get(&tenant)?.tail)
        };
        tail.after(position, limit)
    }

    /// The connections everything else may use as well.
    pub fn pool(&self) -> &PgPool {
        &self.shared.pool
    }

    /// The clock entries are stamped by.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The tables written inside every commit.
    pub fn state_tables(&self) -> &[StateTable] {
        &self.shared.state_tables
    }

    fn sequencer(&self, tenant: TenantId) -> mpsc::Sender<Ticket> {
        let mut sequencers = self.shared.sequencers.lock().unwrap_or_else(PoisonError::into_inner);
        match sequencers.get(&tenant) {
            Some(running) if !running.queue.is_closed() => running.queue.clone(),
            _ => {
                let (queue, tickets) = mpsc::channel(QUEUE_MAX);
                let tail = Arc::<Tail>::default();
                let run = sequencer::run(Arc::clone(&self.shared), tenant, Arc::clone(&tail), tickets);
                let task = tokio::spawn(run);
                sequencers.insert(tenant, Sequencing { queue: queue.clone(), task, tail });
                queue
            }
        }
    }

    /// Lets every sequencer finish what it has accepted, and waits for it.
    pub async fn drain(&self) {
        let running: Vec<_> = {
            let mut sequencers = self.shared.sequencers.lock().unwrap_or_else(PoisonError::into_inner);
            sequencers.drain().map(|(_, running)| running).collect()
        };
        for Sequencing { queue, task, .. } in running {
            // A sequencer ends when nobody can send to it any more and its queue is empty.
            drop(queue);
            if let Err(error) = task.await {
                tracing::error!(%error, "a sequencer ended badly");
            }
        }
    }
}
