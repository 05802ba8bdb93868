//! Answers: to everybody in a batch once it is durable, and to those whose key was answered before.

use std::mem;

use onhand_domain::values::TenantId;
use sqlx::PgPool;

use super::{
    super::{LedgerError, Receipt, Ticket, states, tail},
    Sequencer,
    commit::Plan,
    decide::{Verdict, is_kept},
    recent::find_used_keys,
};

impl Sequencer {
    /// Makes the batch before known, if that was put off.
    pub(super) fn publish_landed(&mut self) {
        if let Some(landed) = self.landed.take() {
            self.publish(landed);
        }
    }

    /// Makes a committed batch known: answers, remembered keys, snapshots, and the bell for projectors and relays.
    pub(super) fn publish(&mut self, plan: Plan) {
        let position = plan.head_after().position;
        let Plan { open, verdicts, batch, base, snapshots } = plan;
        let mut answers = Vec::with_capacity(open.len());
        for (ticket, verdict) in open.iter().zip(&verdicts) {
            let (first, replayed) = match verdict {
                Verdict::SameAs(first) => (verdicts.get(*first), true),
                own => (Some(own), false),
            };
            answers.push(match first {
                Some(Verdict::Decided { position, outcome }) => {
                    if is_kept(outcome) {
                        self.recent.remember(&ticket.submission, *position, outcome, base.now);
                    }
                    match outcome.clone() {
                        Ok(answer) => Ok(Receipt { position: *position, answer, replayed }),
                        Err(refusal) if replayed => Err(LedgerError::RefusedBefore(refusal)),
                        Err(refusal) => Err(refusal.into()),
                    }
                }
                Some(Verdict::KeyReused) => Err(LedgerError::KeyReused),
                Some(Verdict::SameAs(_)) | None => Err(LedgerError::Stopped),
            });
        }
        // The next batch does not wait for the callers of this one to be woken.
        tokio::spawn(async move {
            for (ticket, answer) in open.into_iter().zip(answers) {
                // Whoever asked may have gone; what was decided stays decided.
                let _ = ticket.reply.send(answer);
            }
        });
        if !batch.entries.is_empty() {
            metrics::counter!("onhand_events_appended_total").increment(batch.entries.len() as u64);
            self.tail.add(batch.entries, tail::bytes_of(self.shared.share_bytes()));
            self.shared.committed.notify_waiters();
        }
        if !snapshots.is_empty() {
            let (pool, tenant) = (self.shared.pool.clone(), self.tenant);
            tokio::spawn(async move { keep_snapshots(&pool, tenant, position, snapshots).await });
        }
    }

    /// Answers tickets whose key is still remembered.
    pub(super) fn answer_recent(&mut self, open: &mut Vec<Ticket>) {
        let mut unknown = Vec::with_capacity(open.len());
        let now = self.shared.clock.now();
        for ticket in mem::take(open) {
            match self.recent.find(&ticket.submission, now) {
                Some(answer) => {
                    let _ = ticket.reply.send(answer);
                }
                None => unknown.push(ticket),
            }
        }
        *open = unknown;
    }

    /// Answers tickets whose key is in the database.
    pub(super) async fn answer_used_keys(&mut self, open: &mut Vec<Ticket>) -> Result<(), LedgerError> {
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

/// Tells everybody the same.
pub(super) fn refuse_all(open: Vec<Ticket>, error: &LedgerError) {
    for ticket in open {
        let _ = ticket.reply.send(Err(error.again()));
    }
}
