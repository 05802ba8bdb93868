//! The head of a ledger: where it ends, and the hash that stands for all of it.

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use sqlx::PgConnection;

use super::LedgerError;

/// Where a ledger ends.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Head {
    /// The newest position; 0 for an empty ledger.
    pub position: i64,
    /// The hash of the newest entry.
    pub hash: Vec<u8>,
    /// When the last command was decided, whether it got an entry or not; the next entry is not earlier.
    pub recorded_at: DateTime<Utc>,
}

impl Head {
    /// Where the ledger ends now.
    pub async fn read(conn: &mut PgConnection, tenant: TenantId) -> Result<Self, LedgerError> {
        sqlx::query_as("select position, hash, recorded_at from ledger_heads where tenant_id = $1")
            .bind(tenant.0)
            .fetch_optional(conn)
            .await?
            .ok_or(LedgerError::NoTenant)
    }

    /// Where the ledger ends, and will end until this transaction does.
    pub async fn lock(conn: &mut PgConnection, tenant: TenantId) -> Result<Self, LedgerError> {
        // The row lock is what makes positions gapless: the next writer waits here, and nowhere else.
        sqlx::query_as(
            "select position, hash, recorded_at from ledger_heads where tenant_id = $1 for no key update",
        )
        .bind(tenant.0)
        .fetch_optional(conn)
        .await?
        .ok_or(LedgerError::NoTenant)
    }

    /// Where the ledger ends once every commit that is under way at this moment has ended.
    ///
    /// A commit holds the head's lock while it looks whether a command is still pending. So whoever has just
    /// leased that command and then asks here learns of a position that includes the commit.
    pub async fn settled(conn: &mut PgConnection, tenant: TenantId) -> Result<i64, LedgerError> {
        let found: Option<(i64,)> =
            sqlx::query_as("select position from ledger_heads where tenant_id = $1 for share")
                .bind(tenant.0)
                .fetch_optional(conn)
                .await?;
        found.map(|(position,)| position).ok_or(LedgerError::NoTenant)
    }
}
