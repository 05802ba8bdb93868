//! Signing for a ledger, on request and once a day. The key is a tenant's own, made when it is first signed with.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, time::Duration};

use chrono::TimeDelta;
use futures_util::FutureExt;
use onhand_domain::{Refusal, administration::AdministrationEvent, values::TenantId};
use tokio::sync::watch;

use super::{Caller, Operations};
use crate::{
    ledger::{
        Context, LedgerError,
        proof::{SignedCheckpoint, SigningKey, standing},
    },
    queries::{
        alone, signed_checkpoints,
        signing_keys::{self, SealedSigningKey},
    },
    secrets::{SecretError, random_bytes},
};

/// One process at a time signs what is due.
const SIGNING: &str = "signed_checkpoints";
/// How often it is looked which ledgers are due.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// How long after the last checkpoint a ledger that has moved is signed for again.
const SIGN_EVERY: TimeDelta = TimeDelta::days(1);

impl Operations {
    /// Signs for the ledger as it stands at its head. That this was done is the entry behind it.
    ///
    /// Somebody who alters rows can give them values that no type of ours has. Reading one is an error of this ledger, and
    /// not the end of whoever signs for the next one.
    pub async fn sign_checkpoint(&self, caller: Caller) -> Result<SignedCheckpoint, LedgerError> {
        let signed = AssertUnwindSafe(self.sign(caller)).catch_unwind().await;
        let why = "a row of the ledger made the program panic";
        signed.unwrap_or_else(|_| Err(sqlx::Error::Decode(why.into()).into()))
    }

    async fn sign(&self, caller: Caller) -> Result<SignedCheckpoint, LedgerError> {
        let tenant = caller.context.tenant;
        let pool = self.ledger().pool();
        let nothing = "nothing has happened in this ledger yet; there is nothing to sign for";
        let standing =
            standing(pool, tenant).await?.ok_or_else(|| Refusal::conflict("checkpoint.empty", nothing))?;
        let key = match self.signing_key(tenant).await? {
            Some(key) => key,
            None => self.make_signing_key(tenant).await?,
        };
        let now = self.ledger().clock().now();
        let signed = key.sign(standing, now);
        let noted = AdministrationEvent::CheckpointSigned {
            position: signed.position,
            root: signed.root.clone(),
            key: signed.key.clone(),
        };
        // On record before it is given out: no signature is in the world that history does not know of. The note's answer
        // is not the one its caller waits for, so it is not kept under the caller's key.
        self.note(Caller { idempotency: None, ..caller }, noted).await?;
        signed_checkpoints::keep(pool, tenant, &signed, now).await?;
        Ok(signed)
    }

    /// The key that a tenant's ledger is signed for with; none if nothing was ever signed with it.
    pub async fn signing_key(&self, tenant: TenantId) -> Result<Option<SigningKey>, LedgerError> {
        let kept = signing_keys::find(self.ledger().pool(), tenant).await?;
        kept.map(|kept| self.opened(&kept)).transpose()
    }

    /// Gives a tenant a key, to be signed with now: the entry that tells of the signature tells of the key.
    async fn make_signing_key(&self, tenant: TenantId) -> Result<SigningKey, LedgerError> {
        let pool = self.ledger().pool();
        let seed = random_bytes();
        let key = key_of(&seed)?;
        let place = signing_keys::place(tenant, key.public_key());
        let sealed = self.keys.seal_bytes(&place, &seed).map_err(|error| unusable(&error))?;
        let now = self.ledger().clock().now();
        let key = self.opened(&signing_keys::keep(pool, tenant, key.public_key(), &sealed, now).await?)?;
        let before = signed_checkpoints::newest(pool, tenant, None).await?.map(|signed| signed.public_key);
        if let Some(before) = before.filter(|before| *before != hex::encode(key.public_key())) {
            let key = hex::encode(key.public_key());
            tracing::warn!(%tenant, before, key, "a new signing key was made, for the one before is gone");
        }
        Ok(key)
    }

    fn opened(&self, kept: &SealedSigningKey) -> Result<SigningKey, LedgerError> {
        let seed = self.keys.open_bytes(&kept.place(), &kept.sealed()).map_err(|error| unusable(&error))?;
        key_of(&seed)
    }

    /// Seals signing keys anew that are sealed with another master key than the one that seals now; says how many, in all
    /// and for each tenant.
    pub(super) async fn reencrypt_signing_keys(
        &self,
        sealed: &mut BTreeMap<TenantId, u64>,
    ) -> Result<i64, LedgerError> {
        const PAGE: i64 = 100;
        let pool = self.ledger().pool();
        let mut done = 0;
        loop {
            let page = signing_keys::sealed_otherwise(pool, self.keys.sealing(), PAGE).await?;
            if page.is_empty() {
                return Ok(done);
            }
            for before in &page {
                let seed = self
                    .keys
                    .open_bytes(&before.place(), &before.sealed())
                    .map_err(|error| unusable(&error))?;
                let after = self.keys.seal_bytes(&before.place(), &seed).map_err(|error| unusable(&error))?;
                if signing_keys::reseal(pool, before, &after).await? {
                    *sealed.entry(before.tenant()).or_default() += 1;
                    done += 1;
                }
            }
        }
    }

    /// Signs for every ledger that is due; says how many that were. Of several processes one does it; to the others it is
    /// as if nothing were due.
    pub async fn sign_due_checkpoints(&self) -> Result<usize, LedgerError> {
        // A connection of its own: the lock goes with it, however this ends.
        let mut conn = self.ledger().pool().acquire().await?.detach();
        if !alone::alone(&mut conn, SIGNING).await? {
            return Ok(0);
        }
        let mut signed = 0;
        let signed_before = self.ledger().clock().now() - SIGN_EVERY;
        for tenant in signed_checkpoints::due(&mut conn, signed_before).await? {
            match self.sign_checkpoint(Caller::new(Context::internal(tenant, "signing"))).await {
                Ok(_) => signed += 1,
                // One tenant's trouble is not another's.
                Err(error) => tracing::warn!(%tenant, %error, "a ledger could not be signed for"),
            }
        }
        alone::done(conn, SIGNING).await?;
        Ok(signed)
    }
}

/// Signs for every ledger once a day, if it has moved, until told to stop.
pub async fn run(operations: Operations, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let hour = async {
            if let Err(error) = operations.sign_due_checkpoints().await {
                tracing::warn!(%error, "ledgers that are due could not be signed for at the moment");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        tokio::select! {
            // Wherever it is broken off, fewer are signed for, and the next look finds the others.
            _ = stop.changed() => break,
            () = hour => {}
        }
    }
}

fn key_of(seed: &[u8]) -> Result<SigningKey, LedgerError> {
    SigningKey::from_seed(seed).ok_or_else(|| unusable(&SecretError::Altered))
}

fn unusable(error: &SecretError) -> LedgerError {
    Refusal::conflict("signing_key.sealed", format!("the signing key cannot be used: {error}")).into()
}
