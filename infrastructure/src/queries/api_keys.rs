//! Keys: who a caller is.

use onhand_domain::{
    key::Role,
    values::{KeyId, TenantId},
};
use sqlx::PgPool;
use uuid::Uuid;

/// Who a key belongs to, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHolder {
    /// Whose data.
    pub tenant: TenantId,
    /// Which key.
    pub key: KeyId,
    /// What it may do.
    pub role: Role,
    /// The only brand it sees, if it is bound to one.
    pub brand: Option<String>,
}

/// The holder of a key that has not been revoked.
pub async fn holder(pool: &PgPool, sha256: &str) -> Result<Option<KeyHolder>, sqlx::Error> {
    let row: Option<(Uuid, Uuid, String, Option<String>)> = sqlx::query_as(
        "select tenant_id, id, role, brand from api_keys where sha256 = $1 and not revoked -- api_keys_sha256_idx",
    )
    .bind(sha256)
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(|(tenant, key, role, brand)| {
        Some(KeyHolder { tenant: TenantId(tenant), key: KeyId(key), role: role.parse().ok()?, brand })
    }))
}
