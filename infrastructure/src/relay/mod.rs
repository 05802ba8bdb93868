//! The relay: tells platforms what is to be true, and the ledger what came of it.
//!
//! Claim under a lease, read the newest truth, call, then record and settle in one commit. No transaction
//! is held while a platform is called; whoever dies in between leaves a lease that runs out.

pub mod breaker;
mod content;
pub mod policy;
mod push;
mod sighted;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use futures_util::{FutureExt, future::join_all};
use onhand_domain::values::ConnectionId;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use uuid::Uuid;

use crate::{
    ledger::LedgerError,
    operations::Operations,
    outbox::{self, ACCOUNTS_MAX, Account, Command},
};

/// Commands of one kind leased for one account at a time.
const CLAIM_MAX: i64 = 200;
/// Longer than a call may take, retries within it included.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// Groups in hand at the same time.
const CALLED_MAX: usize = 32;
/// Groups of one account that are not on record yet: the one it is told, and the one that is being recorded meanwhile.
const UNRECORDED_MAX: usize = 2;
/// How often a relay looks for leases that ran out: that goes through all there are, and those that have been since the last vacuum.
const LOOK_FOR_EXPIRED: Duration = Duration::from_secs(1);
/// How long an idle relay waits before it looks again.
const IDLE: Duration = Duration::from_millis(50);

/// Commands for one account: quantities, then prices, then content.
type Group = Vec<Command>;

/// Takes commands to platforms. Several may run, in one process or many.
#[derive(Clone)]
pub struct Relay {
    operations: Operations,
    /// The last account that had its turn; none to begin with the first.
    turn: Arc<Mutex<Option<Account>>>,
}

impl Relay {
    /// A relay for everything these operations may touch.
    pub fn new(operations: Operations) -> Self {
        Self { operations, turn: Arc::default() }
    }

    /// Takes one claim of commands through to the end. Says how many were claimed; 0 when nothing is due.
    pub async fn step(&self) -> Result<usize, LedgerError> {
        self.give_back_expired().await;
        loop {
            let begun = Instant::now();
            let groups = self.claim(&[], ACCOUNTS_MAX).await?;
            let claimed = groups.iter().map(Vec::len).sum();
            for settled in join_all(groups.into_iter().map(|group| self.deliver(group, begun, None))).await {
                settled?;
            }
            if claimed > 0 || self.turn().is_none() {
                return Ok(claimed);
            }
        }
    }

    /// Works until told to stop, then waits for the calls under way.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut calls = JoinSet::new();
        let accounts = Arc::<Accounts>::default();
        let mut looked: Option<Instant> = None;
        while !*stop.borrow() {
            while calls.try_join_next().is_some() {}
            if looked.is_none_or(|at| at.elapsed() >= LOOK_FOR_EXPIRED) {
                self.give_back_expired().await;
                looked = Some(Instant::now());
            }
            let room = CALLED_MAX.saturating_sub(calls.len()) as i64;
            // Not when the answer came, for that may have been long under way.
            let begun = Instant::now();
            let claimed = if room > 0 { self.claim(&accounts.busy(), room).await } else { Ok(vec![]) };
            let groups = match claimed {
                Ok(groups) => groups,
                Err(error) => {
                    tracing::warn!(%error, "the relay cannot claim commands for the moment");
                    vec![]
                }
            };
            if groups.is_empty() {
                let committed = self.operations.ledger().committed();
                tokio::select! {
                    _ = stop.changed() => break,
                    () = tokio::time::sleep(IDLE) => {}
                    () = committed.notified() => tokio::time::sleep(Duration::from_millis(2)).await,
                    () = accounts.freed.notified() => {}
                }
            }
            for group in groups {
                let Some(in_hand) = InHand::of(&group, &accounts) else { continue };
                calls.spawn(self.clone().deliver_safely(group, begun, in_hand));
            }
        }
        while calls.join_next().await.is_some() {}
    }

    /// An answer that makes an adapter panic leaves a lease that runs out, and no account shut.
    async fn deliver_safely(self, group: Group, begun: Instant, in_hand: InHand) {
        match AssertUnwindSafe(self.deliver(group, begun, Some(in_hand))).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "pushes could not be recorded; their lease will run out");
            }
            Err(_) => tracing::error!("a push made the program panic; a defect"),
        }
    }

    async fn give_back_expired(&self) {
        let ledger = self.operations.ledger();
        if let Err(error) = outbox::give_back_expired(ledger.pool(), ledger.clock().now()).await {
            tracing::warn!(%error, "expired leases stay for now; they are given back next time");
        }
    }

    fn turn(&self) -> Option<Account> {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leases what is due of up to `room` accounts, but for connections that are being called already: a slow shop keeps nobody
    /// else waiting. Accounts have their turn one after the other, however many there are.
    async fn claim(&self, busy: &[Uuid], room: i64) -> Result<Vec<Group>, LedgerError> {
        let pool = self.operations.ledger().pool();
        let now = self.operations.ledger().clock().now();
        let accounts = outbox::waiting_accounts(pool, self.turn()).await?;
        let more = accounts.len() as i64 == ACCOUNTS_MAX;
        let claimed = outbox::claim_of(pool, &accounts, (now, LEASE), (CLAIM_MAX, room), busy).await?;
        // If there was no room for all, the next turn begins behind the last one that had its. Whether anything was to be had of
        // it is no matter: others may be at what is due of it, and it would keep those behind it waiting.
        let turn = claimed.last.or_else(|| accounts.last().copied().filter(|_| more));
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
        // They come account by account, those with more priority first.
        let groups = claimed.commands.chunk_by(|one, next| one.connection == next.connection);
        Ok(groups.map(<[Command]>::to_vec).collect())
    }
}

/// Accounts for which commands are in hand.
#[derive(Default)]
struct Accounts {
    open: Mutex<HashMap<ConnectionId, Open>>,
    /// Rung whenever more may be claimed for one.
    freed: Notify,
}

/// What one account's groups are at.
#[derive(Default)]
struct Open {
    /// How many there are that are not on record yet.
    groups: usize,
    /// Whether it is being called, or in trouble that is not noted yet.
    calling: bool,
}

impl Accounts {
    /// Those for which nothing more is claimed at the moment.
    fn busy(&self) -> Vec<Uuid> {
        let open = self.lock();
        let busy = open.iter().filter(|(_, open)| open.calling || open.groups >= UNRECORDED_MAX);
        busy.map(|(connection, _)| connection.0).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A group in hand, until this is dropped.
struct InHand {
    connection: ConnectionId,
    calling: bool,
    all: Arc<Accounts>,
}

impl InHand {
    fn of(group: &Group, all: &Arc<Accounts>) -> Option<Self> {
        let connection = group.first()?.connection;
        let mut open = all.lock();
        let account = open.entry(connection).or_default();
        account.groups += 1;
        account.calling = true;
        drop(open);
        Some(Self { connection, calling: true, all: Arc::clone(all) })
    }

    /// The account has answered, and can be told the next things while these are recorded.
    fn answered(&mut self) {
        if std::mem::take(&mut self.calling) {
            self.all.lock().entry(self.connection).or_default().calling = false;
            self.all.freed.notify_one();
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.answered();
        let mut open = self.all.lock();
        if let Some(account) = open.get_mut(&self.connection) {
            account.groups -= 1;
            if account.groups == 0 {
                open.remove(&self.connection);
            }
        }
        drop(open);
        self.all.freed.notify_one();
    }
}
