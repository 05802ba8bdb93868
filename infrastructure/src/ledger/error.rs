//! What can go wrong between a command and its entries.

use onhand_domain::{Refusal, event::UnreadableEvent, stream::Misplaced};

/// Why a submission was not appended.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The rules say no. The caller's matter; nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The rules said no to the same request, with the same key, before.
    #[error(transparent)]
    RefusedBefore(Refusal),
    /// More is waiting than can be decided soon. Nothing was written; try again in a moment.
    #[error("too many commands are waiting; try again in a moment")]
    Busy,
    /// The same key was used for another request before.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// The process is going down; the command was not decided.
    #[error("the server is stopping")]
    Stopped,
    /// There is no ledger for this tenant.
    #[error("there is no such tenant")]
    NoTenant,
    /// The database could not be reached; whether the commit happened could not be found out.
    #[error("the outcome of the commit is unknown; repeat the request with the same Idempotency-Key")]
    Unknown,
    /// The database is not there for the moment. Nothing was written.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The database failed. Nothing was written.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// History holds something this program cannot read.
    #[error("position {position} cannot be read: {why}")]
    Unreadable {
        /// Where.
        position: i64,
        /// What is wrong.
        why: String,
    },
}

impl LedgerError {
    pub(crate) fn unreadable(position: i64, why: &UnreadableEvent) -> Self {
        Self::Unreadable { position, why: why.to_string() }
    }

    pub(crate) fn misplaced(position: i64, why: &Misplaced) -> Self {
        Self::Unreadable { position, why: why.to_string() }
    }

    /// The same error for another caller of the same batch.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.clone()),
            Self::RefusedBefore(refusal) => Self::RefusedBefore(refusal.clone()),
            Self::Busy => Self::Busy,
            Self::KeyReused => Self::KeyReused,
            Self::Stopped => Self::Stopped,
            Self::NoTenant => Self::NoTenant,
            Self::Unknown => Self::Unknown,
            Self::Unavailable(why) => Self::Unavailable(why.clone()),
            Self::Database(error) if is_passing(error) => Self::Unavailable(error.to_string()),
            Self::Database(error) => Self::Database(sqlx::Error::Protocol(error.to_string())),
            Self::Unreadable { position, why } => Self::Unreadable { position: *position, why: why.clone() },
        }
    }
}

/// Whether an error of the database says that it is not there for the moment, rather than that it will not take
/// something.
pub fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_) => true,
        // 57: shut down or cancelled; 53: no more connections or memory; 08: connection lost; 25006: a standby;
        // 55000: it takes no connections.
        sqlx::Error::Database(db) => db.code().is_some_and(|code| {
            ["57", "53", "08", "25006", "55000"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}
