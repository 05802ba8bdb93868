//! Documents that prove something, as they are read from a file, and why one of them proves nothing.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{InclusionProof, SignedCheckpoint, inclusion, signed_checkpoint};

/// Why a document proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Neither a checkpoint nor a proof.
    #[error("it is neither a signed checkpoint nor a proof: {0}")]
    Unreadable(String),
    /// A field that is not there, or not in the one way it is written.
    #[error("its {0} is not as it is written in such a document")]
    Malformed(&'static str),
    /// The signature may hold, but it is of somebody else.
    #[error("it is signed with the key {0}, which is not the one that was named")]
    OtherKey(String),
    /// The signature does not hold.
    #[error("its signature does not hold: something in it was altered")]
    Signature,
    /// Proof and checkpoint are of different ledgers.
    #[error("the proof is of another ledger than the checkpoint in it")]
    OtherLedger,
    /// The entry does not lead to what was signed.
    #[error(
        "its entry is not part of the history that was signed: the entry, or the way to the root, was altered"
    )]
    Path,
}

/// A document that can be checked without a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// That a ledger was so.
    Checkpoint(Box<SignedCheckpoint>),
    /// That an entry is part of it.
    Proof(Box<InclusionProof>),
}

impl Document {
    /// Reads one, whichever it is. Says nothing yet about whether it holds.
    pub fn read(text: &str) -> Result<Self, Unproven> {
        #[derive(Deserialize)]
        struct Kind {
            format: String,
        }
        let Kind { format } = parsed(text)?;
        match format.as_str() {
            signed_checkpoint::FORMAT => parsed(text).map(Self::Checkpoint),
            inclusion::FORMAT => parsed(text).map(Self::Proof),
            other => Err(Unproven::Unreadable(format!("its format is {other:?}"))),
        }
    }
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, Unproven> {
    serde_json::from_str(text).map_err(|error| Unproven::Unreadable(error.to_string()))
}

/// A time as it stands in documents.
pub(super) fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Microseconds since 1970 of a time, if it is written as above.
pub(super) fn micros_of(field: &'static str, text: &str) -> Result<i64, Unproven> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let time = time.ok().filter(|time| written(*time) == text).ok_or(Unproven::Malformed(field))?;
    Ok(time.timestamp_micros())
}

/// An id, if it is written in small letters with dashes.
pub(super) fn uuid_of(field: &'static str, text: &str) -> Result<Uuid, Unproven> {
    let id = Uuid::parse_str(text);
    id.ok().filter(|id| id.to_string() == text).ok_or(Unproven::Malformed(field))
}

/// So many bytes, if they are written in small hex.
pub(super) fn bytes_of<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], Unproven> {
    let mut bytes = [0; N];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) if hex::encode(bytes) == text => Ok(bytes),
        _ => Err(Unproven::Malformed(field)),
    }
}
