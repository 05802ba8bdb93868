//! Idempotency keys: the ones answered lately in memory, all of them in the database.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::values::TenantId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::{
    Idempotency, LedgerError, Receipt, Submission,
    submission::{self, Outcome},
};

/// How long an outcome is remembered here. The database keeps it no less long: see `ONHAND_KEEP_KEYS_HOURS`.
const REMEMBERED: TimeDelta = TimeDelta::hours(24);
/// Keys in one generation of the memory.
const GENERATION_MAX: usize = 10_000;
/// Outcomes that are longer, in bytes, are left to the database.
const OUTCOME_MAX: usize = 2_000;

/// Keys answered lately. What is not here may still be in the database.
#[derive(Default)]
pub(super) struct Recent {
    young: HashMap<Uuid, Kept>,
    old: HashMap<Uuid, Kept>,
}

/// What is remembered of a request.
struct Kept {
    fingerprint: [u8; 32],
    position: i64,
    outcome: Outcome,
    at: DateTime<Utc>,
}

impl Recent {
    /// The answer to a repeated request, if it is remembered and not too old.
    pub(super) fn find(
        &self,
        submission: &Submission,
        now: DateTime<Utc>,
    ) -> Option<Result<Receipt, LedgerError>> {
        let idempotency = submission.idempotency.as_ref()?;
        let key = &idempotency.key_digest;
        let kept = self.young.get(key).or_else(|| self.old.get(key))?;
        let same = kept.fingerprint == idempotency.fingerprint;
        (kept.at > now - REMEMBERED).then(|| replay(same, kept.position, kept.outcome.clone()))
    }

    /// Remembers an outcome that is durable.
    pub(super) fn remember(
        &mut self,
        submission: &Submission,
        position: i64,
        outcome: &Outcome,
        at: DateTime<Utc>,
    ) {
        let Some(Idempotency { key_digest, fingerprint }) = submission.idempotency else { return };
        if submission::written(outcome).len() > OUTCOME_MAX {
            return;
        }
        if self.young.len() >= GENERATION_MAX {
            // Both keep their room: growing a map anew costs more than everything it is used for.
            std::mem::swap(&mut self.old, &mut self.young);
            self.young.clear();
        }
        self.young.insert(key_digest, Kept { fingerprint, position, outcome: outcome.clone(), at });
    }
}

/// Looks keys up, one query for all. An answer a submission, none where its key is new.
pub(super) async fn find_used_keys(
    conn: &mut PgConnection,
    tenant: TenantId,
    submissions: &[&Submission],
) -> Result<Vec<Option<Result<Receipt, LedgerError>>>, LedgerError> {
    let keys: Vec<_> = submissions.iter().map(|s| s.idempotency.map(|i| i.key_digest)).collect();
    let rows: Vec<(i32, Vec<u8>, i64, String)> = sqlx::query_as(
        "select asked.number::integer, k.fingerprint, k.position, k.answer
         from unnest($2::uuid[]) with ordinality as asked (key_digest, number)
         join idempotency_keys k on k.tenant_id = $1 and k.key_digest = asked.key_digest",
    )
    .bind(tenant.0)
    .bind(keys)
    .fetch_all(conn)
    .await?;
    let mut found: Vec<_> = submissions.iter().map(|_| None).collect();
    for (number, fingerprint, position, answer) in rows {
        let Some(place) = usize::try_from(number - 1).ok().filter(|place| *place < found.len()) else {
            continue;
        };
        let same = submissions[place].idempotency.as_ref().is_some_and(|i| i.fingerprint == *fingerprint);
        found[place] = Some(replay(same, position, submission::read(&answer)));
    }
    Ok(found)
}

fn replay(same_request: bool, position: i64, outcome: Outcome) -> Result<Receipt, LedgerError> {
    if !same_request {
        return Err(LedgerError::KeyReused);
    }
    match outcome {
        Ok(answer) => Ok(Receipt { position, answer, replayed: true }),
        Err(refusal) => Err(LedgerError::RefusedBefore(refusal)),
    }
}
