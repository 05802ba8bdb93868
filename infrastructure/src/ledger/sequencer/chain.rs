//! The end of the ledger while a batch is put together: each entry gets its place and the time it was decided, and is tied to
//! the one before.

use chrono::{DateTime, Utc};
use onhand_domain::{StreamId, event::Stored, values::TenantId};
use uuid::Uuid;

use super::super::{
    Entry,
    append::{Base, Batch},
};

/// The end of the ledger while a batch is put together.
pub(super) struct Chain {
    tenant: TenantId,
    now: DateTime<Utc>,
    pub(super) position: i64,
    hash: Vec<u8>,
}

impl Chain {
    /// As it is with what a batch holds so far.
    pub(super) fn behind(base: &Base, batch: &Batch) -> Self {
        let end = base.head_after(batch);
        Self { tenant: base.tenant, now: base.now, position: end.position, hash: end.hash }
    }

    pub(super) fn link(
        &mut self,
        stream: &StreamId,
        version: i64,
        stored: Stored,
        metadata: String,
    ) -> Entry {
        self.position += 1;
        let mut entry = Entry {
            position: self.position,
            event_id: Uuid::now_v7(),
            stream: stream.to_string(),
            version,
            name: stored.name,
            name_version: stored.version,
            recorded_at: self.now,
            payload: stored.payload,
            metadata,
            hash: vec![],
        };
        entry.hash = entry.chained(self.tenant, &self.hash).to_vec();
        self.hash.clone_from(&entry.hash);
        entry
    }
}

/// Whether a JSON text holds U+0000, which is written `\u0000`; a backslash before that is a backslash.
pub(super) fn holds_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(place, _)| {
        let slashes = json[..place].bytes().rev().take_while(|byte| *byte == b'\\').count();
        slashes % 2 == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_told_from_a_backslash_before_u0000() {
        assert!(holds_nul(r#"{"title":"a\u0000b"}"#));
        assert!(!holds_nul(r#"{"title":"a\\u0000b"}"#));
        assert!(holds_nul(r#"{"title":"a\\\u0000b"}"#));
    }
}
