//! Copying one stretch of a ledger into a file, checked on the way: what does not hold is not archived.

use std::path::Path;

use onhand_domain::values::TenantId;
use sqlx::PgPool;

use super::{Archive, ArchiveError, FORMAT, Header, PAGE, aside, hash_before, writer::Writer};
use crate::ledger::read;

/// Which entries, and whose.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// Whose.
    pub tenant: TenantId,
    /// What the tenant is called.
    pub tenant_name: String,
    /// The first position.
    pub from: i64,
    /// The last one.
    pub to: i64,
}

/// Writes a file with these entries into a folder. `progress` is told the position reached.
pub async fn write(
    pool: &PgPool,
    stretch: Stretch,
    folder: &Path,
    mut progress: impl FnMut(i64),
) -> Result<Archive, ArchiveError> {
    let Stretch { tenant, tenant_name, from, to } = stretch;
    let mut conn = pool.acquire().await?;
    let missing = |position| ArchiveError::Broken { position, why: "the entry is missing" };
    let before = hash_before(&mut conn, tenant, from).await?.ok_or_else(|| missing(from - 1))?;
    let previous_hash = hex::encode(&before);
    let header = Header { format: FORMAT.to_owned(), tenant, tenant_name, from, to, previous_hash };
    let mut writer = Writer::create(folder, header, before)?;
    let mut position = from - 1;
    while position < to {
        // Entries never change: pages of different moments are of one history.
        let page = read::after(&mut conn, tenant, position, (to - position).min(PAGE as i64)).await?;
        position = page.last().map(|last| last.position).ok_or_else(|| missing(position + 1))?;
        writer = aside(move || writer.write(&page).map(|()| writer)).await?;
        progress(position);
    }
    aside(move || writer.finish()).await
}
