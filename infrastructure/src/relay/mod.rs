//! The relay: tells platforms what is to be true, and the ledger what came of it.
//!
//! Claim under a lease, read the newest truth, call, then record and settle in one commit. No transaction
//! is held while a platform is called; whoever dies in between leaves a lease that runs out.

pub mod breaker;
pub mod policy;
mod push;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use futures_util::future::join_all;
use onhand_domain::values::{ConnectionId, TenantId};
use tokio::{sync::watch, task::JoinSet};
use uuid::Uuid;

use crate::{
    ledger::LedgerError,
    operations::Operations,
    outbox::{self, Command},
};

/// Commands of one kind leased for one account at a time.
const CLAIM_MAX: i64 = 200;
/// Longer than a call may take, retries within it included.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// Accounts that are called at the same time.
const ACCOUNTS_MAX: usize = 32;
/// How long an idle relay waits before it looks again.
const IDLE: Duration = Duration::from_millis(50);

/// Commands for one account, quantities before prices.
type Group = Vec<Command>;

/// Takes commands to platforms. Several may run, in one process or many.
#[derive(Clone)]
pub struct Relay {
    operations: Operations,
}

impl Relay {
    /// A relay for everything these operations may touch.
    pub fn new(operations: Operations) -> Self {
        Self { operations }
    }

    /// Takes one claim of commands through to the end. Says how many were claimed; 0 when nothing is due.
    pub async fn step(&self) -> Result<usize, LedgerError> {
        let begun = Instant::now();
        let groups = self.claim(&[]).await?;
        let claimed = groups.iter().map(Vec::len).sum();
        for settled in join_all(groups.into_iter().map(|group| self.deliver(group, begun))).await {
            settled?;
        }
        Ok(claimed)
    }

    /// Works until told to stop, then waits for the calls under way.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut calls = JoinSet::new();
        let busy: Arc<Mutex<HashSet<ConnectionId>>> = Arc::default();
        while !*stop.borrow() {
            while calls.try_join_next().is_some() {}
            let begun = Instant::now();
            let room = calls.len() < ACCOUNTS_MAX;
            let claimed = if room { self.claim(&busy_connections(&busy)).await } else { Ok(vec![]) };
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
                }
            }
            for group in groups {
                let Some(key) = group.first().map(|command| command.connection) else { continue };
                busy.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
                let (relay, busy) = (self.clone(), Arc::clone(&busy));
                calls.spawn(async move {
                    if let Err(error) = relay.deliver(group, begun).await {
                        tracing::warn!(%error, "pushes could not be recorded; their lease will run out");
                    }
                    busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                });
            }
        }
        calls.join_all().await;
    }

    /// Leases what is due, but for connections that are being called already: a slow shop keeps nobody else waiting.
    async fn claim(&self, busy: &[Uuid]) -> Result<Vec<Group>, LedgerError> {
        let pool = self.operations.ledger().pool();
        let now = self.operations.ledger().clock().now();
        if let Err(error) = outbox::give_back_expired(pool, now).await {
            tracing::warn!(%error, "expired leases stay for now; they are given back next time");
        }
        let mut groups: BTreeMap<(TenantId, ConnectionId), Group> = BTreeMap::new();
        for command in outbox::claim(pool, now, LEASE, CLAIM_MAX, busy).await? {
            groups.entry((command.tenant, command.connection)).or_default().push(command);
        }
        Ok(groups.into_values().collect())
    }
}

fn busy_connections(busy: &Mutex<HashSet<ConnectionId>>) -> Vec<Uuid> {
    busy.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|connection| connection.0).collect()
}
