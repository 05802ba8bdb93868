//! What can stop a read model.

use onhand_infrastructure::ledger::LedgerError;

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
    /// There is no read model of this name.
    #[error("there is no read model {0:?}; there are: {known}", known = crate::registry::names().join(", "))]
    Unknown(String),
}

impl ProjectorError {
    /// True if trying again cannot help: an entry is unreadable, or its rows are refused.
    pub fn is_poison(&self) -> bool {
        match self {
            Self::Ledger(LedgerError::Unreadable { .. }) | Self::RowsLost(_) => true,
            Self::Database(sqlx::Error::Database(error)) => {
                // Data exceptions and integrity violations come back each time; the rest may pass.
                error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
            }
            _ => false,
        }
    }
}
