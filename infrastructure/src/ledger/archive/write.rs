//! Copying one stretch of a ledger into a file, checked on the way: what does not hold is not archived.

use std::path::Path;

use onhand_domain::values::TenantId;
use sqlx::{PgConnection, PgPool};

use super::{
    Archive, ArchiveError, Entry, FORMAT, Header, PAGE, PAGE_BYTES, aside, hash_before, reader,
    writer::{Writer, name_of},
};

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
///
/// One that is there already, as after a crash before it was noted, is never written over. It is as good as one that is
/// written now if it is whole, says the same of itself, and ends with the hash that the ledger has there.
pub async fn write(
    pool: &PgPool,
    stretch: Stretch,
    folder: &Path,
    mut progress: impl FnMut(i64),
) -> Result<Archive, ArchiveError> {
    let Stretch { tenant, tenant_name, from, to } = stretch;
    let mut conn = pool.acquire().await?;
    let before = hash_before(&mut conn, tenant, from).await?.ok_or_else(|| missing(from - 1))?;
    let previous_hash = hex::encode(&before);
    let header = Header { format: FORMAT.to_owned(), tenant, tenant_name, from, to, previous_hash };
    let path = folder.join(name_of(&header));
    if path.exists() {
        let archive = adopt(&mut conn, &header, &path).await?;
        progress(to);
        return Ok(archive);
    }
    let mut writer = Writer::create(folder, header, before)?;
    let mut position = from - 1;
    while position < to {
        // Entries never change: pages of different moments are of one history.
        let page = next_page(&mut conn, tenant, position, (to - position).min(PAGE as i64)).await?;
        position = page.last().map(|last| last.position).ok_or_else(|| missing(position + 1))?;
        writer = aside(move || writer.write(&page).map(|()| writer)).await?;
        progress(position);
    }
    aside(move || writer.finish()).await
}

/// Entries after a position, at most `limit`, in order; fewer, and at least one, where they are large.
async fn next_page(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    limit: i64,
) -> Result<Vec<Entry>, sqlx::Error> {
    sqlx::query_as(
        "select position, event_id, stream, version, name, name_version, recorded_at, payload, metadata, hash
         from (select *, sum(octet_length(payload) + octet_length(metadata)) over (order by position) as bytes
               from (select * from events where tenant_id = $1 and position > $2 order by position limit $3) as few) as page
         where bytes - octet_length(payload) - octet_length(metadata) < $4
         order by position",
    )
    .bind(tenant.0)
    .bind(position)
    .bind(limit)
    .bind(PAGE_BYTES as i64)
    .fetch_all(conn)
    .await
}

/// Takes a file for the one that would be written.
async fn adopt(conn: &mut PgConnection, header: &Header, path: &Path) -> Result<Archive, ArchiveError> {
    let last = hash_before(conn, header.tenant, header.to + 1).await?.ok_or_else(|| missing(header.to))?;
    let found = path.to_owned();
    let archive = aside(move || reader::verify(&found, |_, _| {})).await?;
    if archive.header != *header || archive.last_hash != hex::encode(last) {
        let path = path.display();
        return Err(ArchiveError::Unfit(format!(
            "{path} is there, and is not of these entries as they are here"
        )));
    }
    Ok(archive)
}

fn missing(position: i64) -> ArchiveError {
    ArchiveError::Broken { position, why: "the entry is missing" }
}
