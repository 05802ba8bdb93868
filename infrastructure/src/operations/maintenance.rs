//! Maintenance: what is only kept for a while is removed once its time is over. History is never part of it.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use onhand_domain::{administration::AdministrationEvent, values::TenantId};
use tokio::sync::watch;

use super::{Caller, Operations};
use crate::{
    config::Retention,
    ledger::{Context, LedgerError, read, write_missing_snapshots},
    queries::{
        alone,
        maintenance::{
            self, DELIVERY_BODIES, DRIFTS, IDEMPOTENCY_KEYS, OUTBOX, Pass, Perishable, REBUILDS,
            RECONCILIATIONS, WEBHOOK_TRACES, sweep,
        },
        webhook_rates,
    },
};

/// One process at a time goes through tables by the clock.
const SWEEPING: &str = "maintenance";
/// How often a server looks what is due.
const EVERY: Duration = Duration::from_hours(1);
/// How often a table is gone through by the clock, at most: all of it is read for the little that goes.
const SWEEP_EVERY: TimeDelta = TimeDelta::days(1);
/// The same for what is kept for hours. It does not get large.
const SWEEP_KEYS_EVERY: TimeDelta = TimeDelta::minutes(55);
/// How long the disk is left to others after each stretch of a table; a stretch is a megabyte.
const PAUSE: Duration = Duration::from_millis(20);

/// What looks for missing snapshots are noted as.
const SNAPSHOTS: &str = "stream_snapshots";

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
    every: TimeDelta,
}

/// All rules, in the order in which they are followed: what a run has found goes before the run.
pub fn rules(retention: &Retention) -> [Rule; 7] {
    let rule = |name, meaning, keep, what| Rule { name, meaning, keep, what, every: SWEEP_EVERY };
    let Retention { outbox, bodies, metrics, keys, runs } = *retention;
    [
        rule("outbox", "commands to platforms that are over; given up ones stay", outbox, OUTBOX),
        rule(
            "delivery_bodies",
            "bytes of webhooks that were acted on; failed and unmapped ones stay",
            bodies,
            DELIVERY_BODIES,
        ),
        rule("webhook_traces", "how webhooks fared", metrics, WEBHOOK_TRACES),
        Rule {
            every: SWEEP_KEYS_EVERY,
            ..rule("idempotency_keys", "what requests with a key were answered", keys, IDEMPOTENCY_KEYS)
        },
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

/// What a run by hand has come to.
#[derive(Debug)]
pub struct Maintained {
    /// What went, by rule.
    pub swept: Vec<Swept>,
    /// Tenants that lost something and do not have it on record, and why.
    pub unnoted: Vec<(TenantId, LedgerError)>,
}

impl Operations {
    /// Removes what has been kept long enough, of one tenant or of all; a dry run only counts. One rule's trouble is not
    /// another's. Several may do so at once, and nobody waits for it: it goes a stretch at a time and passes over what is
    /// in use.
    pub async fn sweep(&self, retention: &Retention, tenant: Option<TenantId>, dry_run: bool) -> Vec<Swept> {
        let now = self.ledger().clock().now();
        let mut all = Vec::new();
        for rule in rules(retention) {
            let pass = Pass { before: now - rule.keep, tenant, dry_run, pause: Duration::ZERO };
            all.push(self.apply_rule(rule, pass).await);
        }
        all
    }

    /// Does so for all tenants where it is due by the clock, at leisure. Of several processes one does it; to the others
    /// it is as if nothing were due.
    pub async fn sweep_due(&self, retention: &Retention) -> Result<Vec<Swept>, sqlx::Error> {
        // A connection of its own: the lock goes with it, however this ends.
        let mut conn = self.ledger().pool().acquire().await?.detach();
        let mut all = Vec::new();
        if !alone::alone(&mut conn, SWEEPING).await? {
            return Ok(all);
        }
        let last = maintenance::swept_at(&mut conn).await?;
        for rule in rules(retention) {
            let now = self.ledger().clock().now();
            if last.get(rule.name).is_some_and(|last| now - *last < rule.every) {
                continue;
            }
            let pass = Pass { before: now - rule.keep, tenant: None, dry_run: false, pause: PAUSE };
            let swept = self.apply_rule(rule, pass).await;
            // What went wrong is tried again with the next look.
            if swept.trouble.is_none() {
                maintenance::keep_swept(&mut conn, rule.name, now).await?;
            }
            all.push(swept);
        }
        let now = self.ledger().clock().now();
        if last.get(SNAPSHOTS).is_none_or(|last| now - *last >= SWEEP_EVERY) {
            match self.write_missing_snapshots(None).await {
                Ok(written) => {
                    if written > 0 {
                        tracing::info!(written, "snapshots that were missing were written");
                    }
                    maintenance::keep_swept(&mut conn, SNAPSHOTS, now).await?;
                }
                Err(error) => tracing::warn!(%error, "snapshots are missing for the moment"),
            }
        }
        alone::done(conn, SWEEPING).await?;
        Ok(all)
    }

    /// Writes the snapshots that long streams lack, of one tenant or of all, and says how many. Looks into the past begin
    /// with them; what an earlier release has written may be without.
    pub async fn write_missing_snapshots(&self, tenant: Option<TenantId>) -> Result<u64, LedgerError> {
        let pool = self.ledger().pool();
        let tenants: Vec<TenantId> = match tenant {
            Some(tenant) => vec![tenant],
            None => {
                let mut conn = pool.acquire().await?;
                let heads = read::heads(&mut conn).await?;
                heads.into_iter().map(|(tenant, _)| tenant).collect()
            }
        };
        let mut written = 0;
        for tenant in tenants {
            written += write_missing_snapshots(pool, tenant).await?;
        }
        Ok(written)
    }

    async fn apply_rule(&self, rule: Rule, pass: Pass) -> Swept {
        let mut removed = BTreeMap::new();
        let done = sweep(self.ledger().pool(), &rule.what, pass, &mut removed).await;
        Swept { rule, removed, trouble: done.err() }
    }

    /// Removes it because `actor` has asked for it: each tenant that lost something has it on record.
    pub async fn maintain(&self, actor: &str, retention: &Retention, tenant: Option<TenantId>) -> Maintained {
        let swept = self.sweep(retention, tenant, false).await;
        let mut lost: BTreeMap<TenantId, BTreeMap<String, u64>> = BTreeMap::new();
        for Swept { rule, removed, .. } in &swept {
            for (tenant, count) in removed {
                lost.entry(*tenant).or_default().insert(rule.name.to_owned(), *count);
            }
        }
        let mut unnoted = Vec::new();
        for (tenant, removed) in lost {
            let caller = Caller::new(Context::internal(tenant, actor));
            // One tenant's trouble is not another's, and what went is gone.
            if let Err(error) = self.note(caller, AdministrationEvent::Maintained { removed }).await {
                unnoted.push((tenant, error));
            }
        }
        Maintained { swept, unnoted }
    }
}

/// Removes what has been kept long enough, as it is due, until told to stop. Any number of processes may.
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
    let swept = match operations.sweep_due(retention).await {
        Ok(swept) => swept,
        Err(error) => {
            tracing::warn!(%error, "it could not be looked what has been kept long enough");
            return;
        }
    };
    for swept in swept {
        let (what, removed) = (swept.rule.name, swept.total());
        if removed > 0 {
            tracing::info!(what, removed, "what had been kept long enough was removed");
        }
        if let Some(error) = swept.trouble {
            tracing::warn!(what, %error, "what has been kept long enough could not be removed for the moment");
        }
    }
}
