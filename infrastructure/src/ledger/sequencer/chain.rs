//! The end of the ledger while a batch is put together: each entry gets its place and the time it was decided, and is tied to
//! the one before.

use chrono::{DateTime, Utc};
use onhand_domain::{StreamId, event::Stored, values::TenantId};
use serde_json::Value;
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

/// The path, in an event, of a text with U+0000 in it, or of the object whose field is called so.
pub(super) fn place_of_nul(json: &str) -> String {
    fn found(value: &Value, path: &str) -> Option<String> {
        match value {
            Value::String(text) => text.contains('\0').then(|| path.to_owned()),
            Value::Array(values) => {
                values.iter().enumerate().find_map(|(at, value)| found(value, &format!("{path}[{at}]")))
            }
            Value::Object(fields) => fields.iter().find_map(|(name, value)| match name.contains('\0') {
                true => Some(format!("a name within {path}")),
                false => found(value, &format!("{path}.{name}")),
            }),
            _ => None,
        }
    }
    let place = serde_json::from_str(json).ok().and_then(|value| found(&value, ""));
    place.map_or_else(|| "one of them".to_owned(), |path| path.replacen('.', "", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_nul_is_named() {
        assert_eq!(place_of_nul(r#"{"a":1,"b":[{"c":"x"},{"d":"\u0000"}]}"#), "b[1].d");
        assert_eq!(place_of_nul(r#"{"a":{"b":{"\u0000":1}}}"#), "a name within a.b");
    }

    #[test]
    fn a_nul_is_told_from_a_backslash_before_u0000() {
        assert!(holds_nul(r#"{"title":"a\u0000b"}"#));
        assert!(!holds_nul(r#"{"title":"a\\u0000b"}"#));
        assert!(holds_nul(r#"{"title":"a\\\u0000b"}"#));
    }
}
