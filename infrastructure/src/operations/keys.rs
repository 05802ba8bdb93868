//! Give and withdraw access.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use onhand_domain::{
    StreamId,
    aggregate::verdict,
    key::{Holder, KeyCommand, Role},
    values::KeyId,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Caller, Operations};
use crate::{
    ledger::{Decision, LedgerError, Receipt},
    secrets::{Secret, random_bytes},
};

impl Operations {
    /// Gives access. The key is shown this once; the ledger keeps its hash only.
    pub async fn create_key(
        &self,
        caller: Caller,
        name: String,
        role: Role,
        brand: Option<String>,
    ) -> Result<(KeyId, Secret, Receipt), LedgerError> {
        let id = KeyId(Uuid::now_v7());
        let key = format!("onhand_{}", URL_SAFE_NO_PAD.encode(random_bytes()));
        let holder = Holder { name, role, brand, sha256: key_hash(&key) };
        // The answer to a repeated request could not hold the key: it is stored nowhere.
        let caller = Caller { idempotency: None, ..caller };
        let receipt = self
            .submit(caller, vec![StreamId::Key(id)], move |lookup, _| {
                let command = KeyCommand::Create(holder.clone());
                let events = verdict(&id, lookup.key(&id), command)?;
                Ok(Decision {
                    changes: events.into_iter().map(|event| (StreamId::Key(id), event.into())).collect(),
                    answer:
                        json!({ "id": id, "name": holder.name, "role": holder.role, "brand": holder.brand })
                            .into(),
                    ..Decision::default()
                })
            })
            .await?;
        Ok((id, Secret::new(key), receipt))
    }

    /// Withdraws access; within seconds in every process.
    pub async fn revoke_key(&self, caller: Caller, id: KeyId) -> Result<Receipt, LedgerError> {
        self.submit(caller, vec![StreamId::Key(id)], move |lookup, _| {
            let events = verdict(&id, lookup.key(&id), KeyCommand::Revoke)?;
            Ok(Decision {
                changes: events.into_iter().map(|event| (StreamId::Key(id), event.into())).collect(),
                answer: json!({ "id": id, "revoked": true }).into(),
                ..Decision::default()
            })
        })
        .await
    }
}

/// What is kept of a key: its SHA-256, in hex.
pub fn key_hash(key: &str) -> String {
    hex::encode(Sha256::digest(key.as_bytes()))
}
