//! The end of the ledger while a batch is put together: each entry gets its place. It is tied to the one before, and gets
//! the time of its batch, when that is sent.

use chrono::DateTime;
use onhand_domain::{StreamId, event::Stored};
use uuid::Uuid;

use super::super::{
    Entry,
    append::{Base, Batch},
};

/// The end of the ledger while a batch is put together.
pub(super) struct Chain {
    pub(super) position: i64,
}

impl Chain {
    /// As it is with what a batch holds so far.
    pub(super) fn behind(base: &Base, batch: &Batch) -> Self {
        Self { position: base.head.position + batch.entries.len() as i64 }
    }

    pub(super) fn link(
        &mut self,
        stream: &StreamId,
        version: i64,
        stored: Stored,
        metadata: String,
    ) -> Entry {
        self.position += 1;
        Entry {
            position: self.position,
            event_id: Uuid::now_v7(),
            stream: stream.to_string(),
            version,
            name: stored.name,
            name_version: stored.version,
            recorded_at: DateTime::UNIX_EPOCH,
            payload: stored.payload,
            metadata,
            hash: vec![],
        }
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
