//! Maintenance: what is only kept for a while is removed once its time is over. History is never part of it.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use onhand_domain::{administration::AdministrationEvent, values::TenantId};
use tokio::sync::watch;

use super::{Caller, Operations};
use crate::{
    config::Retention,
    ledger::{Context, LedgerError},
    queries::{
        maintenance::{
            DELIVERY_BODIES, DRIFTS, IDEMPOTENCY_KEYS, OUTBOX, Perishable, REBUILDS, RECONCILIATIONS,
            WEBHOOK_TRACES, sweep,
        },
        webhook_rates,
    },
};

/// How often a server looks.
const EVERY: Duration = Duration::from_hours(1);

/// What is kept for how long.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The table.
    pub name: &'static str,
    /// What goes, in words.
    pub meaning: &'static str,
    /// For how long it is kept.
    pub keep: TimeDelta,
    what: Perishable,
}

/// All rules, in the order in which they are followed: what a run has found goes before the run.
pub fn rules(retention: &Retention) -> [Rule; 7] {
    let rule = |name, meaning, keep, what| Rule { name, meaning, keep, what };
    let Retention { outbox, bodies, metrics, keys, runs } = *retention;
    [
        rule("outbox", "commands to platforms that are over; given up ones stay", outbox, OUTBOX),
        rule(
            "delivery_bodies",
            "bytes of webhooks that were acted on; failed ones stay",
            bodies,
            DELIVERY_BODIES,
        ),
        rule("webhook_traces", "how webhooks fared", metrics, WEBHOOK_TRACES),
        rule("idempotency_keys", "what requests with a key were answered", keys, IDEMPOTENCY_KEYS),
        rule("drifts", "what reconciliations found amiss", runs, DRIFTS),
        rule("reconciliations", "ended ones; the last of each account stays", runs, RECONCILIATIONS),
        rule("rebuilds", "ended ones; the last of each read model stays", runs, REBUILDS),
    ]
}

/// What following a rule has come to.
#[derive(Debug)]
pub struct Swept {
    /// Which one.
    pub rule: Rule,
    /// Rows that were removed, or would be, by tenant.
    pub removed: BTreeMap<TenantId, u64>,
    /// What stood in the way before all was seen.
    pub trouble: Option<sqlx::Error>,
}

impl Swept {
    /// Rows of all tenants.
    pub fn total(&self) -> u64 {
        self.removed.values().sum()
    }
}

impl Operations {
    /// Removes what has been kept long enough, of one tenant or of all; a dry run only counts. One rule's trouble is not
    /// another's. Several may do so at once, and nobody waits for it: it goes a stretch at a time and passes over what is
    /// in use.
    pub async fn sweep(&self, retention: &Retention, tenant: Option<TenantId>, dry_run: bool) -> Vec<Swept> {
        let now = self.ledger().clock().now();
        let mut all = Vec::new();
        for rule in rules(retention) {
            let mut removed = BTreeMap::new();
            let of = (now - rule.keep, tenant);
            let done = sweep(self.ledger().pool(), &rule.what, of, dry_run, &mut removed).await;
            all.push(Swept { rule, removed, trouble: done.err() });
        }
        all
    }

    /// The same because `actor` has asked for it: each tenant that lost something has it on record.
    pub async fn maintain(
        &self,
        actor: &str,
        retention: &Retention,
        tenant: Option<TenantId>,
    ) -> Result<Vec<Swept>, LedgerError> {
        let swept = self.sweep(retention, tenant, false).await;
        let mut lost: BTreeMap<TenantId, BTreeMap<String, u64>> = BTreeMap::new();
        for Swept { rule, removed, .. } in &swept {
            for (tenant, count) in removed {
                lost.entry(*tenant).or_default().insert(rule.name.to_owned(), *count);
            }
        }
        for (tenant, removed) in lost {
            let caller = Caller::new(Context::internal(tenant, actor));
            self.note(caller, AdministrationEvent::Maintained { removed }).await?;
        }
        Ok(swept)
    }
}

/// Removes what has been kept long enough, every hour, until told to stop. Any number of processes may.
pub async fn run(operations: Operations, retention: Retention, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let hour = async {
            tidy(&operations, &retention).await;
            tokio::time::sleep(EVERY).await;
        };
        tokio::select! {
            // Wherever it is broken off, less was removed, and nothing else.
            _ = stop.changed() => break,
            () = hour => {}
        }
    }
}

async fn tidy(operations: &Operations, retention: &Retention) {
    let now = operations.ledger().clock().now();
    if let Err(error) = webhook_rates::prune(operations.ledger().pool(), now.timestamp() / 60 - 1).await {
        tracing::warn!(%error, "rates of minutes gone by could not be removed for the moment");
    }
    for swept in operations.sweep(retention, None, false).await {
        let (what, removed) = (swept.rule.name, swept.total());
        if removed > 0 {
            tracing::info!(what, removed, "what had been kept long enough was removed");
        }
        if let Some(error) = swept.trouble {
            tracing::warn!(what, %error, "what has been kept long enough could not be removed for the moment");
        }
    }
}
