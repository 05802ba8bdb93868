//! Archives: which stretches of which ledgers were copied into files, and how those can be told.

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use sqlx::{FromRow, PgPool};

use crate::ledger::archive::Archive;

/// A file as an operator sees it.
#[derive(Debug, Clone, FromRow)]
pub struct ArchiveView {
    /// Whose entries.
    pub tenant: String,
    /// The first.
    pub from_position: i64,
    /// The last.
    pub to_position: i64,
    /// Its name, without the folder.
    pub file: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Its size.
    pub bytes: i64,
    /// When it was written.
    pub archived_at: DateTime<Utc>,
}

/// Notes a file; one of the same stretch takes its place.
pub async fn keep(pool: &PgPool, archive: &Archive, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into archives (tenant_id, from_position, to_position, file, sha256, bytes, previous_hash, last_hash,
                               archived_at)
         values ($1, $2, $3, $4, decode($5, 'hex'), $6, decode($7, 'hex'), decode($8, 'hex'), $9)
         on conflict (tenant_id, from_position, to_position) do update -- written anew
             set file = excluded.file, sha256 = excluded.sha256, bytes = excluded.bytes,
                 previous_hash = excluded.previous_hash, last_hash = excluded.last_hash,
                 archived_at = excluded.archived_at",
    )
    .bind(archive.header.tenant.0)
    .bind(archive.header.from)
    .bind(archive.header.to)
    .bind(&archive.file)
    .bind(&archive.sha256)
    .bind(archive.bytes.cast_signed())
    .bind(&archive.header.previous_hash)
    .bind(&archive.last_hash)
    .bind(now)
    .execute(pool)
    .await?;
    Ok(())
}

/// The last position up to which, from the first one on, each is in some file; 0 if the first one is in none.
pub async fn archived_to(pool: &PgPool, tenant: TenantId) -> Result<i64, sqlx::Error> {
    // Ends that no file goes on from are where holes begin; the first of them counts.
    let (to,): (i64,) = sqlx::query_as(
        "select coalesce(min(a.to_position), 0) from archives a
         where a.tenant_id = $1
           and exists (select from archives b where b.tenant_id = $1 and b.from_position = 1)
           and not exists (select from archives b
                           where b.tenant_id = $1 and b.from_position <= a.to_position + 1
                             and b.to_position > a.to_position)",
    )
    .bind(tenant.0)
    .fetch_one(pool)
    .await?;
    Ok(to)
}

/// All files of one tenant or of all, by tenant and position.
pub async fn list(pool: &PgPool, tenant: Option<TenantId>) -> Result<Vec<ArchiveView>, sqlx::Error> {
    sqlx::query_as(
        "select t.name as tenant, a.from_position, a.to_position, a.file, encode(a.sha256, 'hex') as sha256, a.bytes,
                a.archived_at
         from archives a
         join tenants t on t.id = a.tenant_id
         where $1::uuid is null or a.tenant_id = $1
         order by t.name, a.from_position, a.to_position",
    )
    .bind(tenant.map(|tenant| tenant.0))
    .fetch_all(pool)
    .await
}
