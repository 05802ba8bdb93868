//! What can stop a read model.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use onhand_infrastructure::ledger::{LedgerError, is_passing};

/// Why a read model did not advance or could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// History could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// What an entry changes is not in the table, though it must have been put there.
    #[error("rows of {0} have been lost; rebuild it")]
    RowsLost(&'static str),
    /// Somebody else is rebuilding this model for this tenant.
    #[error("{0} is being rebuilt for this tenant already")]
    Busy(&'static str),
    /// What is under way would replace what differs, and that was not asked for.
    #[error("a rebuild of {0} that replaces what differs is under way; wait for its end, or cancel it")]
    Replacing(&'static str),
    /// What was grown is ahead of the live one, which is no longer parked.
    #[error("{0} is behind what was grown of it; its rebuild goes on once it has caught up")]
    Behind(&'static str),
    /// Somebody has cancelled the rebuild.
    #[error("the rebuild of {0} was cancelled")]
    Cancelled(&'static str),
    /// The rebuild was told to stop on its way.
    #[error("the rebuild of {0} was interrupted; begun again, it goes on where it was")]
    Interrupted(&'static str),
    /// Another transaction does not let go of the checkpoint.
    #[error("another transaction holds the checkpoint of {0}; `onhand projections` says which")]
    Held(&'static str),
    /// The program panicked over it, which is a defect of it, or was brought about by rows that no program of ours has written.
    #[error("it made the program panic, and the log says where")]
    Panicked,
    /// There is no read model of this name.
    #[error("there is no read model {0:?}; there are: {known}", known = crate::registry::names().join(", "))]
    Unknown(String),
}

impl ProjectorError {
    /// True if trying again cannot help: an entry is unreadable or makes the program panic, or its rows are refused.
    pub fn is_poison(&self) -> bool {
        match self {
            Self::Ledger(LedgerError::Unreadable { .. }) | Self::RowsLost(_) | Self::Panicked => true,
            Self::Database(sqlx::Error::Database(error)) => {
                // Data exceptions and integrity violations come back each time; the rest may pass.
                error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
            }
            _ => false,
        }
    }

    /// True if the database is away, or this process about to be: whatever else is tried fares no better.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Ledger(LedgerError::Database(error)) | Self::Database(error) => is_passing(error),
            Self::Ledger(error) => {
                matches!(error, LedgerError::Stopped | LedgerError::Unknown | LedgerError::Unavailable(_))
            }
            _ => false,
        }
    }

    /// True if it can pass by itself: the database is away or busy, or somebody has stepped in between.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy(_)
            | Self::Replacing(_)
            | Self::Behind(_)
            | Self::Cancelled(_)
            | Self::Interrupted(_)
            | Self::Held(_) => true,
            Self::Ledger(LedgerError::Database(error)) | Self::Database(error) => {
                is_passing(error) || is_lost_race(error)
            }
            Self::Ledger(error) => matches!(
                error,
                LedgerError::Busy | LedgerError::Stopped | LedgerError::Unknown | LedgerError::Unavailable(_)
            ),
            Self::RowsLost(_) | Self::Panicked | Self::Unknown(_) => false,
        }
    }
}

/// Whether a transaction was only given up in favour of another: a deadlock, a snapshot that has become too old for what
/// it would write, or a lock that was not to be had in time.
fn is_lost_race(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    is_held(error) || code.is_some_and(|code| code.starts_with("40"))
}

/// Whether a lock was not to be had in the time that was allowed.
pub(crate) fn is_held(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03")
}

/// What comes of some work. What makes the program panic ends that work alone, and not whatever goes on around it.
pub(crate) async fn caught<T>(
    work: impl Future<Output = Result<T, ProjectorError>>,
) -> Result<T, ProjectorError> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or(Err(ProjectorError::Panicked))
}
