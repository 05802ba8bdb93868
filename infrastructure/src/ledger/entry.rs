//! Entries: an event with its place in history, who caused it, and the hash that ties it to the one before.

use chrono::{DateTime, Utc};
use onhand_domain::{
    Event, StreamId,
    values::{EventId, TenantId},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::LedgerError;

/// Who caused an entry, and in the course of what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Context {
    /// Whose ledger.
    #[serde(skip, default = "nobody")]
    pub tenant: TenantId,
    /// `key:<id>`, `connection:<id>`, `relay`, `expiry`, `cli`.
    pub actor: String,
    /// Which door it came through: `rest`, `webhook`, `relay`.
    pub source: String,
    /// The address a request came from, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The same for everything that follows from one request.
    pub correlation_id: String,
    /// What led to it: a delivery, an outbox row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// W3C trace context of the request, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

fn nobody() -> TenantId {
    TenantId(Uuid::nil())
}

impl Context {
    /// Something the program does by itself.
    pub fn internal(tenant: TenantId, actor: &str) -> Self {
        Self {
            tenant,
            actor: actor.to_owned(),
            source: actor.to_owned(),
            address: None,
            correlation_id: Uuid::now_v7().to_string(),
            causation_id: None,
            traceparent: None,
        }
    }
}

/// One entry as it is stored. `payload` and `metadata` are the very texts the hash covers.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Entry {
    /// From 1, without gaps, in commit order.
    pub position: i64,
    /// Unique among all entries of all tenants.
    pub event_id: Uuid,
    /// `kind/id`.
    pub stream: String,
    /// From 1, without gaps, within the stream.
    pub version: i64,
    /// `stock.reserved`.
    pub name: String,
    /// Shape of the payload.
    pub name_version: i16,
    /// Never earlier than the entry before.
    pub recorded_at: DateTime<Utc>,
    /// JSON text.
    pub payload: String,
    /// JSON text.
    pub metadata: String,
    /// SHA-256 over the hash of the entry before and everything above.
    pub hash: Vec<u8>,
}

impl Entry {
    /// The stream, parsed.
    pub fn stream_id(&self) -> Result<StreamId, LedgerError> {
        self.stream.parse().map_err(|error: onhand_domain::values::InvalidValue| LedgerError::Unreadable {
            position: self.position,
            why: error.to_string(),
        })
    }

    /// The event, parsed; older shapes come out in the newest one.
    pub fn event(&self) -> Result<Event, LedgerError> {
        Event::read(&self.name, self.name_version, &self.payload)
            .map_err(|why| LedgerError::unreadable(self.position, &why))
    }

    /// Who caused it.
    pub fn context(&self, tenant: TenantId) -> Result<Context, LedgerError> {
        let context: Context = serde_json::from_str(&self.metadata)
            .map_err(|why| LedgerError::Unreadable { position: self.position, why: why.to_string() })?;
        Ok(Context { tenant, ..context })
    }

    /// The entry's event id, typed.
    pub fn id(&self) -> EventId {
        EventId(self.event_id)
    }

    /// What the entry's hash must be, given the hash of the one before.
    ///
    /// Every field is covered, each with its length or in a fixed width, the tenant included: an entry
    /// cannot be changed, moved within its ledger or carried into another one unnoticed.
    pub fn chained(&self, tenant: TenantId, before: &[u8]) -> [u8; 32] {
        let covered = Covered {
            position: self.position,
            event_id: *self.event_id.as_bytes(),
            version: self.version,
            name_version: self.name_version,
            micros: self.recorded_at.timestamp_micros(),
            stream: self.stream.as_bytes(),
            name: self.name.as_bytes(),
            payload: self.payload.as_bytes(),
            metadata: self.metadata.as_bytes(),
        };
        covered.chained(tenant, before)
    }
}

/// What the hash of an entry covers, as bytes: so they are hashed as they come from the database or out of a file.
pub(super) struct Covered<'e> {
    pub(super) position: i64,
    pub(super) event_id: [u8; 16],
    pub(super) version: i64,
    pub(super) name_version: i16,
    /// When it was recorded, in microseconds since 1970.
    pub(super) micros: i64,
    pub(super) stream: &'e [u8],
    pub(super) name: &'e [u8],
    pub(super) payload: &'e [u8],
    pub(super) metadata: &'e [u8],
}

impl Covered<'_> {
    pub(super) fn chained(&self, tenant: TenantId, before: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"onhand.entry.v1");
        hash.update(before);
        hash.update(tenant.0.as_bytes());
        hash.update(self.position.to_be_bytes());
        hash.update(self.event_id);
        hash.update(self.version.to_be_bytes());
        hash.update(self.name_version.to_be_bytes());
        hash.update(self.micros.to_be_bytes());
        for text in [self.stream, self.name, self.payload, self.metadata] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }
}

/// The hash before the first entry of a tenant.
pub(super) fn genesis_hash(tenant: TenantId) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"onhand.ledger.v1");
    hash.update(tenant.0.as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            position: 1,
            event_id: Uuid::from_u128(1),
            stream: "stock/x/main".into(),
            version: 1,
            name: "stock.restocked".into(),
            name_version: 1,
            recorded_at: DateTime::UNIX_EPOCH,
            payload: r#"{"quantity":1}"#.into(),
            metadata: "{}".into(),
            hash: vec![],
        }
    }

    #[test]
    fn every_field_of_an_entry_changes_its_hash() {
        let tenant = TenantId(Uuid::from_u128(9));
        let before = genesis_hash(tenant);
        let original = entry().chained(tenant, &before);
        let changes: [fn(&mut Entry); 9] = [
            |e| e.position = 2,
            |e| e.event_id = Uuid::from_u128(2),
            |e| e.stream.push('x'),
            |e| e.version = 2,
            |e| e.name.push('x'),
            |e| e.name_version = 2,
            |e| e.recorded_at += chrono::TimeDelta::microseconds(1),
            |e| e.payload.push(' '),
            |e| e.metadata.push(' '),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = entry();
            change(&mut changed);
            assert_ne!(changed.chained(tenant, &before), original, "field {number}");
        }
        assert_ne!(entry().chained(TenantId(Uuid::from_u128(8)), &before), original);
        assert_ne!(entry().chained(tenant, &genesis_hash(TenantId(Uuid::nil()))), original);
    }

    #[test]
    fn text_moved_from_one_field_to_the_next_changes_the_hash() {
        let tenant = TenantId(Uuid::nil());
        let (mut a, mut b) = (entry(), entry());
        a.payload = "ab".into();
        a.metadata = "c".into();
        b.payload = "a".into();
        b.metadata = "bc".into();
        assert_ne!(a.chained(tenant, &[0; 32]), b.chained(tenant, &[0; 32]));
    }
}
