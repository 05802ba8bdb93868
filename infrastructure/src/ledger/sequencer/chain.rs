//! The end of the chain while a batch is put together: each entry gets its place and the hash that ties it.

use chrono::{DateTime, Utc};
use onhand_domain::{StreamId, event::Stored, values::TenantId};
use uuid::Uuid;

use super::super::{
    Entry, Head,
    append::{Base, Batch},
};

/// The end of the chain while a batch is put together.
pub(super) struct Chain {
    pub(super) tenant: TenantId,
    pub(super) position: i64,
    pub(super) hash: Vec<u8>,
    pub(super) now: DateTime<Utc>,
}

impl Chain {
    /// As it is with what a batch holds so far.
    pub(super) fn behind(base: &Base, batch: &Batch) -> Self {
        let Head { position, hash, .. } = base.head_after(batch);
        Self { tenant: base.tenant, position, hash, now: base.now }
    }

    pub(super) fn link(
        &mut self,
        stream: &StreamId,
        version: i64,
        stored: Stored,
        metadata: String,
    ) -> Entry {
        let mut entry = Entry {
            position: self.position + 1,
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
        self.position = entry.position;
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
