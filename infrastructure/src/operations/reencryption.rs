//! Re-encryption: every credential sealed with the newest key, so that older keys can be thrown away.

use std::collections::BTreeMap;

use onhand_domain::{Refusal, administration::AdministrationEvent, values::TenantId};
use serde_json::json;

use super::{Caller, Operations, privacy::unopened};
use crate::{
    ledger::{Context, LedgerError},
    outbox::follow_ups,
    persons::Waiting,
    queries::connections::{Resealed, one_of_each_key, reseal, sealed_otherwise},
    secrets::SecretError,
};

/// Credentials that are sealed anew at a time.
const PAGE: i64 = 100;

impl Operations {
    /// Seals anew what is sealed with another key than the one that seals now; says how many that were. May be broken off and
    /// begun again. A credential that is changed meanwhile stays as it was changed, and does not count. One that does not open
    /// stops it.
    pub async fn reencrypt_secrets(&self, progress: impl Fn(i64, i64)) -> Result<i64, LedgerError> {
        let mut sealed = BTreeMap::new();
        let done = self.reencrypt(&mut sealed, progress).await;
        // What was done before something stood in the way is on record, too, and that of each tenant whatever stands in
        // the way at another's.
        let mut on_record = Ok(());
        for (tenant, secrets) in sealed {
            let event = AdministrationEvent::SecretsReencrypted { secrets };
            let noted = self.note(Caller::new(Context::internal(tenant, "cli")), event).await;
            if let Err(error) = noted {
                tracing::error!(%tenant, secrets, %error, "credentials were sealed anew, and it is not on record");
                on_record = Err(error);
            }
        }
        let done = done?;
        on_record?;
        Ok(done)
    }

    /// Keys that credentials are sealed with and that open none of them, each with the reason; one credential a key is tried.
    pub async fn unusable_keys(&self) -> Result<Vec<(String, SecretError)>, LedgerError> {
        let tried = one_of_each_key(self.ledger().pool()).await?;
        let failed = tried.into_iter().filter_map(|(tenant, sealed)| {
            let error = self.keys.open(TenantId(tenant), &sealed).err()?;
            Some((sealed.key_id, error))
        });
        Ok(failed.collect())
    }

    /// The same, counted for each tenant.
    async fn reencrypt(
        &self,
        sealed: &mut BTreeMap<TenantId, u64>,
        progress: impl Fn(i64, i64),
    ) -> Result<i64, LedgerError> {
        let (pool, key) = (self.ledger().pool(), self.keys.sealing());
        let mut done = 0;
        loop {
            let (page, left) = sealed_otherwise(pool, key, PAGE).await?;
            if page.is_empty() {
                done += self.reencrypt_signing_keys(sealed).await?;
                done += self.reencrypt_person_keys(sealed, &progress).await?;
                done += self.reencrypt_follow_ups(sealed).await?;
                return Ok(done);
            }
            for (tenant, before) in page {
                let tenant = TenantId(tenant);
                let wrong = |error: SecretError| {
                    let detail = format!("{} of connection {}: {error}", before.name, before.connection);
                    Refusal::conflict("connection.secret", detail)
                };
                let secret = self.keys.open(tenant, &before).map_err(wrong)?;
                let after = self.keys.seal(tenant, before.connection, before.name, &secret).map_err(wrong)?;
                if reseal(pool, tenant, &Resealed { before: &before, after: &after }).await? {
                    *sealed.entry(tenant).or_default() += 1;
                    done += 1;
                    progress(done, done + left - 1);
                }
            }
        }
    }

    /// The same for those who wait to be forgotten, and for those whose bodies are still looked for.
    async fn reencrypt_follow_ups(&self, sealed: &mut BTreeMap<TenantId, u64>) -> Result<i64, LedgerError> {
        let pool = self.ledger().pool();
        let mut done = 0;
        loop {
            let page = follow_ups::sealed_otherwise(pool, self.keys.sealing(), PAGE).await?;
            if page.is_empty() {
                return Ok(done);
            }
            for before in &page {
                let tenant = TenantId(before.tenant_id);
                let waiting = serde_json::from_value::<Waiting>(before.payload.clone());
                let after = waiting
                    .map_err(|_| SecretError::Altered)
                    .and_then(|waiting| waiting.anew(&self.keys, tenant, &before.external))
                    .map_err(|error| unopened(&error))?;
                if follow_ups::reseal(pool, before, &json!(after)).await? {
                    *sealed.entry(tenant).or_default() += 1;
                    done += 1;
                }
            }
        }
    }
}
