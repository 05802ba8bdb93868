//! The keys that ledgers are signed for with, one a tenant, sealed.

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::secrets::Sealed;

/// A tenant's signing key.
#[derive(FromRow)]
pub(crate) struct SealedSigningKey {
    tenant_id: Uuid,
    /// What others check with.
    pub(crate) public_key: Vec<u8>,
    key_id: String,
    nonce: Vec<u8>,
    sealed: Vec<u8>,
}

impl SealedSigningKey {
    /// Whose it is.
    pub(crate) fn tenant(&self) -> TenantId {
        TenantId(self.tenant_id)
    }

    /// The secret it follows from.
    pub(crate) fn sealed(&self) -> Sealed {
        Sealed { key_id: self.key_id.clone(), nonce: self.nonce.clone(), sealed: self.sealed.clone() }
    }

    /// Where the secret opens, and nowhere else.
    pub(crate) fn place(&self) -> String {
        place(self.tenant(), &self.public_key)
    }
}

/// Where the secret of a tenant's key opens.
pub(crate) fn place(tenant: TenantId, public_key: &[u8]) -> String {
    format!("{tenant}/signing_key/{}", hex::encode(public_key))
}

/// A tenant's key; none if nothing was ever signed for it.
pub(crate) async fn find(pool: &PgPool, tenant: TenantId) -> Result<Option<SealedSigningKey>, sqlx::Error> {
    sqlx::query_as(
        "select tenant_id, public_key, key_id, nonce, sealed from signing_keys where tenant_id = $1",
    )
    .bind(tenant.0)
    .fetch_optional(pool)
    .await
}

/// A tenant's public key, as this database tells it. The secret it follows from is left sealed.
pub async fn public_key(pool: &PgPool, tenant: TenantId) -> Result<Option<Vec<u8>>, sqlx::Error> {
    Ok(find(pool, tenant).await?.map(|key| key.public_key))
}

/// Gives a tenant its key. If it has got one meanwhile, that one counts.
pub(crate) async fn keep(
    pool: &PgPool,
    tenant: TenantId,
    public_key: &[u8],
    sealed: &Sealed,
    now: DateTime<Utc>,
) -> Result<SealedSigningKey, sqlx::Error> {
    sqlx::query_as(
        "insert into signing_keys (tenant_id, public_key, key_id, nonce, sealed, created_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (tenant_id) do update set tenant_id = excluded.tenant_id -- so that the row comes back either way
         returning tenant_id, public_key, key_id, nonce, sealed",
    )
    .bind(tenant.0)
    .bind(public_key)
    .bind(&sealed.key_id)
    .bind(&sealed.nonce)
    .bind(&sealed.sealed)
    .bind(now)
    .fetch_one(pool)
    .await
}

/// Keys that are sealed with another master key than this, of all tenants.
pub(crate) async fn sealed_otherwise(
    pool: &PgPool,
    master_key: &str,
    limit: i64,
) -> Result<Vec<SealedSigningKey>, sqlx::Error> {
    sqlx::query_as(
        "select tenant_id, public_key, key_id, nonce, sealed from signing_keys
         where key_id <> $1 order by tenant_id limit $2",
    )
    .bind(master_key)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Puts a key sealed anew in the place of itself. False, and nothing done, if another process has done so meanwhile.
pub(crate) async fn reseal(
    pool: &PgPool,
    before: &SealedSigningKey,
    after: &Sealed,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update signing_keys set key_id = $3, nonce = $4, sealed = $5 where tenant_id = $1 and nonce = $2",
    )
    .bind(before.tenant_id)
    .bind(&before.nonce)
    .bind(&after.key_id)
    .bind(&after.nonce)
    .bind(&after.sealed)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}
