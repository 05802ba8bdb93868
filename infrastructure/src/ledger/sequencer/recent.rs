//! Idempotency keys: the ones answered lately in memory, all of them in the database.

use std::collections::HashMap;

use onhand_domain::values::TenantId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::{Answer, LedgerError, Receipt, Submission};

/// Keys in one generation of the memory.
const GENERATION_MAX: usize = 10_000;

/// Keys answered lately. What is not here may still be in the database.
#[derive(Default)]
pub(super) struct Recent {
    young: HashMap<Uuid, ([u8; 32], Receipt)>,
    old: HashMap<Uuid, ([u8; 32], Receipt)>,
}

impl Recent {
    /// The answer to a repeated request, if it is remembered.
    pub(super) fn find(&mut self, submission: &Submission) -> Option<Result<Receipt, LedgerError>> {
        let idempotency = submission.idempotency.as_ref()?;
        let key = &idempotency.key_digest;
        let (fingerprint, receipt) = self.young.get(key).or_else(|| self.old.get(key))?;
        Some(replay(*fingerprint == idempotency.fingerprint, receipt.clone()))
    }

    /// Remembers an answer that is durable.
    pub(super) fn remember(&mut self, submission: &Submission, receipt: &Receipt) {
        let Some(idempotency) = &submission.idempotency else { return };
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(idempotency.key_digest, (idempotency.fingerprint, receipt.clone()));
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
        "select asked.number::integer, k.fingerprint, k.position, k.answer::text
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
        let answer = Answer::stored(&answer);
        found[place] = Some(replay(same, Receipt { position, answer, replayed: true }));
    }
    Ok(found)
}

fn replay(same_request: bool, receipt: Receipt) -> Result<Receipt, LedgerError> {
    if same_request { Ok(Receipt { replayed: true, ..receipt }) } else { Err(LedgerError::KeyReused) }
}
