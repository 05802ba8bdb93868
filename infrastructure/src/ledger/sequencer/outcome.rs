//! The outcome of a commit that broke off: found by looking, under the head's lock, never guessed.

use onhand_domain::values::TenantId;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::super::{Head, LedgerError};

/// Whether a commit that broke off has happened, by its first entry. If it has not, it never will.
///
/// One without entries may be done again in any case: what it wrote is known by its keys and tokens.
pub(super) async fn committed(
    pool: &PgPool,
    tenant: TenantId,
    position: i64,
    event: Option<Uuid>,
) -> Result<bool, LedgerError> {
    let mut tx = pool.begin().await?;
    Head::lock(&mut tx, tenant).await?;
    let found: Option<(Uuid,)> =
        sqlx::query_as("select event_id from events where tenant_id = $1 and position = $2")
            .bind(tenant.0)
            .bind(position)
            .fetch_optional(&mut *tx)
            .await?;
    if event.is_some() && found.map(|(found,)| found) == event {
        return Ok(true);
    }
    fence(&mut tx, tenant).await?;
    tx.commit().await?;
    Ok(false)
}

/// Moves the head's time, so that a statement still lingering on its way to the server finds another head
/// than the one it was made for, and writes nothing.
async fn fence(conn: &mut PgConnection, tenant: TenantId) -> Result<(), LedgerError> {
    sqlx::query(
        "update ledger_heads set recorded_at = recorded_at + interval '1 microsecond' where tenant_id = $1",
    )
    .bind(tenant.0)
    .execute(conn)
    .await?;
    Ok(())
}
