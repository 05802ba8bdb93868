//! Archives: entries copied into compressed files, each of which can be checked by itself and put back.
//!
//! A file holds one stretch of a ledger, as gzipped lines of JSON: a header that says whose, from where to where, and
//! which hash stands before; each entry with every field its hash covers; a trailer with their number and the last hash.
//! History stays where it is: `docs/adr/0007` says why nothing is removed for having been copied.

mod reader;
mod restore;
mod write;
mod writer;

use std::{
    borrow::Cow,
    io::{self, Read, Write},
    path::PathBuf,
};

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

pub use self::{
    reader::{Noted, header, verify, verify_noting},
    restore::{Restored, restore},
    write::{Stretch, write},
};
use super::{Entry, LedgerError, entry::genesis_hash};

/// Entries in one file at most: a file is checked, and put back, as a whole.
pub const ENTRIES_MAX: i64 = 1_000_000;
/// Stands in every header; another form of the file gets another one.
const FORMAT: &str = "onhand.archive.v1";
/// Entries in hand at a time.
const PAGE: usize = 5_000;
/// What is in hand at a time, in bytes, but for one entry.
const PAGE_BYTES: usize = 32_000_000;

/// Why entries could not be copied, checked or put back.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file or its folder cannot be used.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is no archive, or not all of one.
    #[error("{}, line {line}: {why}", .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// From 1: the header.
        line: i64,
        /// What is wrong there.
        why: String,
    },
    /// An entry does not follow from the one before.
    #[error("position {position}: {why}")]
    Broken {
        /// The first position that does not hold.
        position: i64,
        /// What is wrong there.
        why: &'static str,
    },
    /// The file and the ledger are not of one history, or nothing shows that they are.
    #[error("{0}")]
    Unfit(String),
    /// The act was done, and its entry could not be written.
    #[error("it is done, and could not be noted in the ledger of {tenant}: {error}")]
    Unnoted {
        /// Whose.
        tenant: TenantId,
        /// What stood in the way.
        error: LedgerError,
    },
    /// The program is going down.
    #[error("broken off: {0}")]
    Stopped(String),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<sqlx::Error> for ArchiveError {
    fn from(error: sqlx::Error) -> Self {
        LedgerError::from(error).into()
    }
}

/// The first line: whose entries these are, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    format: String,
    /// Whose ledger.
    pub tenant: TenantId,
    /// What the tenant was called.
    pub tenant_name: String,
    /// The first position.
    pub from: i64,
    /// The last one.
    pub to: i64,
    /// The hash before the first, in hex.
    pub previous_hash: String,
}

impl Header {
    /// Entries in the file.
    pub fn entries(&self) -> i64 {
        self.to - self.from + 1
    }
}

/// An entry as a line. Payload and metadata are texts within it, so that not a byte of them changes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'e> {
    position: i64,
    event_id: Uuid,
    stream: Cow<'e, str>,
    version: i64,
    name: Cow<'e, str>,
    name_version: i16,
    recorded_at: DateTime<Utc>,
    payload: Cow<'e, str>,
    metadata: Cow<'e, str>,
    hash: Cow<'e, str>,
}

/// The last line: without it the file is not whole.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    entries: i64,
    last_hash: String,
}

/// A file that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its name, without the folder.
    pub file: String,
    /// What it says of itself.
    pub header: Header,
    /// The hash of its last entry, in hex.
    pub last_hash: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// How far a walk along the entries has got.
#[derive(Debug)]
struct Chain {
    tenant: TenantId,
    position: i64,
    hash: Vec<u8>,
    recorded_at: DateTime<Utc>,
}

impl Chain {
    /// Before the first entry of a file.
    fn before(header: &Header, previous_hash: Vec<u8>) -> Self {
        let recorded_at = DateTime::<Utc>::MIN_UTC;
        Self { tenant: header.tenant, position: header.from - 1, hash: previous_hash, recorded_at }
    }

    /// Goes on to the next entry, if it is the next.
    fn step(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        let position = self.position + 1;
        let broken = |why| Err(ArchiveError::Broken { position, why });
        if entry.position != position {
            return broken("the entry is missing");
        }
        if entry.hash != entry.chained(self.tenant, &self.hash) {
            return broken("the hash does not follow from the entry and the one before");
        }
        if entry.recorded_at < self.recorded_at {
            return broken("the entry is dated before the one before it");
        }
        self.position = position;
        self.hash.clone_from(&entry.hash);
        self.recorded_at = entry.recorded_at;
        Ok(())
    }
}

/// What goes through a file, hashed and counted on the way.
struct Hashing<F> {
    file: F,
    hash: Sha256,
    bytes: u64,
}

impl<F> Hashing<F> {
    fn new(file: F) -> Self {
        Self { file, hash: Sha256::new(), bytes: 0 }
    }

    fn saw(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn sha256(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }
}

impl<F: Write> Write for Hashing<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.saw(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<F: Read> Read for Hashing<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.saw(&into[..read]);
        Ok(read)
    }
}

/// The hash before a position, as the ledger has it; none if the entry there is missing.
async fn hash_before(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    if position == 1 {
        return Ok(Some(genesis_hash(tenant).to_vec()));
    }
    let found: Option<(Vec<u8>,)> =
        sqlx::query_as("select hash from events where tenant_id = $1 and position = $2")
            .bind(tenant.0)
            .bind(position - 1)
            .fetch_optional(conn)
            .await?;
    Ok(found.map(|(hash,)| hash))
}

/// Runs what keeps a processor or a disk busy where nobody else waits for it.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ArchiveError::Stopped(error.to_string()))?
}
