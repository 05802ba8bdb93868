//! Signed checkpoints that were given out.

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window};
use crate::ledger::proof::SignedCheckpoint;

/// Those of a tenant, newest first.
pub async fn list(pool: &PgPool, window: &Window) -> Result<Page<SignedCheckpoint>, QueryError> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "select document from signed_checkpoints
         where tenant_id = $1 and ($2::bigint is null or position < $2)
         order by position desc limit $3",
    )
    .bind(window.tenant.0)
    .bind(window.after::<i64>()?)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    let documents = rows.iter().map(|(text,)| read(text)).collect::<Result<_, _>>()?;
    Ok(window.page(documents, |checkpoint: &SignedCheckpoint| checkpoint.position))
}

/// The newest one that speaks of the entry at this position; of any, if there is none.
pub async fn newest(
    pool: &PgPool,
    tenant: TenantId,
    covering: Option<i64>,
) -> Result<Option<SignedCheckpoint>, sqlx::Error> {
    let row: Option<(String,)> = sqlx::query_as(
        "select document from signed_checkpoints
         where tenant_id = $1 and position >= coalesce($2, 0) order by position desc limit 1",
    )
    .bind(tenant.0)
    .bind(covering)
    .fetch_optional(pool)
    .await?;
    row.map(|(text,)| read(&text)).transpose()
}

/// The one of exactly this position.
pub async fn at(
    pool: &PgPool,
    tenant: TenantId,
    position: i64,
) -> Result<Option<SignedCheckpoint>, sqlx::Error> {
    let row: Option<(String,)> =
        sqlx::query_as("select document from signed_checkpoints where tenant_id = $1 and position = $2")
            .bind(tenant.0)
            .bind(position)
            .fetch_optional(pool)
            .await?;
    row.map(|(text,)| read(&text)).transpose()
}

/// Keeps one that is about to be given out.
pub(crate) async fn keep(
    pool: &PgPool,
    tenant: TenantId,
    checkpoint: &SignedCheckpoint,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let document = serde_json::to_string(checkpoint).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query(
        "insert into signed_checkpoints (tenant_id, position, signed_at, document) values ($1, $2, $3, $4)
         on conflict (tenant_id, position) do nothing -- signed twice in the same moment; both hold",
    )
    .bind(tenant.0)
    .bind(checkpoint.position)
    .bind(now)
    .bind(document)
    .execute(pool)
    .await?;
    Ok(())
}

/// Tenants whose ledger has moved since it was last signed for, or began, if that was before a time. That a checkpoint was
/// signed is an entry itself, right behind it, and is no reason for the next.
pub(crate) async fn due(
    conn: &mut PgConnection,
    signed_before: DateTime<Utc>,
) -> Result<Vec<TenantId>, sqlx::Error> {
    let rows: Vec<(Uuid,)> = sqlx::query_as(
        "select t.id from tenants t
         join ledger_heads h on h.tenant_id = t.id
         left join lateral (select position, signed_at from signed_checkpoints
                            where tenant_id = t.id order by position desc limit 1) c on true
         where h.position - 1 > coalesce(c.position, -1) and coalesce(c.signed_at, t.created_at) <= $1
         order by t.id",
    )
    .bind(signed_before)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(id,)| TenantId(id)).collect())
}

fn read(text: &str) -> Result<SignedCheckpoint, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
