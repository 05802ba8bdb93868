//! Keys: who a caller is.

use chrono::{DateTime, Utc};
use onhand_domain::values::{KeyId, TenantId};
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window};
use crate::bearer::Bearer;

/// Who shows a key that has not been revoked.
pub async fn bearer(pool: &PgPool, sha256: &str) -> Result<Option<Bearer>, sqlx::Error> {
    let row: Option<(Uuid, Uuid, String, Option<String>)> = sqlx::query_as(
        "select tenant_id, id, role, brand from api_keys where sha256 = $1 and not revoked -- api_keys_sha256_idx",
    )
    .bind(sha256)
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(|(tenant, key, role, brand)| {
        let actor = format!("key:{}", KeyId(key));
        Some(Bearer { tenant: TenantId(tenant), actor, role: role.parse().ok()?, brand })
    }))
}

/// A key as a reader sees it; what opens with it, nobody sees again.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct KeyView {
    pub id: Uuid,
    pub name: String,
    pub role: String,
    pub brand: Option<String>,
    /// When it was made, by its first entry.
    pub created_at: Option<DateTime<Utc>>,
    pub revoked: bool,
}

/// A tenant's keys, the oldest first, the revoked ones as well. A caller bound to a brand sees those of that brand.
pub async fn list(pool: &PgPool, window: &Window) -> Result<Page<KeyView>, QueryError> {
    let rows = sqlx::query_as(
        "select k.id, k.name, k.role, k.brand, e.recorded_at as created_at, k.revoked
         from api_keys k
         left join events e -- events_tenant_id_stream_version_key
             on e.tenant_id = $1 and e.stream = 'key/' || k.id::text and e.version = 1
         where k.tenant_id = $1 and ($2::text is null or k.brand = $2) and ($3::uuid is null or k.id > $3)
         order by k.id limit $4 -- ids rise with time",
    )
    .bind(window.tenant.0)
    .bind(&window.brand)
    .bind(window.after::<Uuid>()?)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &KeyView| row.id))
}
