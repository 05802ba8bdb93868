//! Credentials that end: when each account's are to be renewed, and who is at it.

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::values::{ConnectionId, TenantId};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// A renewal under a lease.
#[derive(Debug, Clone, FromRow)]
pub struct Leased {
    /// Whose.
    pub tenant_id: Uuid,
    /// Of which account.
    pub connection_id: Uuid,
    /// The lease.
    pub token: Uuid,
    /// This one included, from 1.
    pub attempts: i32,
}

/// Notes when an account's credentials are to be renewed.
pub async fn schedule(
    pool: &PgPool,
    tenant: TenantId,
    connection: ConnectionId,
    due: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into renewals (tenant_id, connection_id, due_at) values ($1, $2, $3)
         -- Whoever is at it finds its lease gone, and changes nothing: these are newer.
         on conflict (tenant_id, connection_id) do update
             set due_at = excluded.due_at, attempts = 0, token = null, leased_until = null, last_error = null",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(due)
    .execute(pool)
    .await?;
    Ok(())
}

/// Leases the renewal that is due longest, until `now + lease`. A renewal whose worker has vanished is due again.
pub async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    lease: TimeDelta,
) -> Result<Option<Leased>, sqlx::Error> {
    sqlx::query_as(
        "with due as (
             select tenant_id, connection_id from renewals
             where due_at <= $1 and (token is null or leased_until < $1)
             order by due_at limit 1 -- renewals_due_idx
             for update skip locked
         )
         update renewals r set token = $2, leased_until = $3, attempts = r.attempts + 1
         from due
         where r.tenant_id = due.tenant_id and r.connection_id = due.connection_id
         returning r.tenant_id, r.connection_id, r.token, r.attempts",
    )
    .bind(now)
    .bind(Uuid::now_v7())
    .bind(now + lease)
    .fetch_optional(pool)
    .await
}

/// Has an account's credentials renewed now, before their time. False if none are to be renewed, or if the last renewal has
/// failed: it is tried again at a time of its own.
pub async fn hasten(
    pool: &PgPool,
    tenant: TenantId,
    connection: ConnectionId,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update renewals set due_at = least(due_at, $3)
         where tenant_id = $1 and connection_id = $2 and token is null and last_error is null",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(now)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Whether somebody is at a renewal, or it is due just now. One that has been due for long is one that nobody does.
pub async fn is_under_way(
    pool: &PgPool,
    tenant: TenantId,
    connection: ConnectionId,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let (is_under_way,): (bool,) = sqlx::query_as(
        "select exists (
             select from renewals
             where tenant_id = $1 and connection_id = $2
               and (leased_until > $3
                    or due_at between $3 - interval '2 minutes' and $3 + interval '30 seconds'))",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(now)
    .fetch_one(pool)
    .await?;
    Ok(is_under_way)
}

/// Whether a lease still is the one that counts.
pub async fn holds(pool: &PgPool, leased: &Leased) -> Result<bool, sqlx::Error> {
    let (holds,): (bool,) = sqlx::query_as(
        "select exists (select from renewals where tenant_id = $1 and connection_id = $2 and token = $3)",
    )
    .bind(leased.tenant_id)
    .bind(leased.connection_id)
    .bind(leased.token)
    .fetch_one(pool)
    .await?;
    Ok(holds)
}

/// Notes a renewal for each account that has a refresh token and no renewal: whoever was to note it has died. Says how many.
pub async fn adopt(pool: &PgPool, due: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "insert into renewals (tenant_id, connection_id, due_at)
         select tenant_id, connection_id, $1 from connection_secrets s
         where name = 'refresh_token' and not exists (
             select from renewals r where r.tenant_id = s.tenant_id and r.connection_id = s.connection_id)
         on conflict do nothing",
    )
    .bind(due)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Ends a lease: the next renewal is due then, or, where a platform has no such thing, in a long time. What was scheduled anew meanwhile stays.
pub async fn settle(
    pool: &PgPool,
    leased: &Leased,
    due: Option<DateTime<Utc>>,
    error: Option<&str>,
) -> Result<(), sqlx::Error> {
    let Some(due) = due else {
        sqlx::query("delete from renewals where tenant_id = $1 and connection_id = $2 and token = $3")
            .bind(leased.tenant_id)
            .bind(leased.connection_id)
            .bind(leased.token)
            .execute(pool)
            .await?;
        return Ok(());
    };
    sqlx::query(
        "update renewals
         set due_at = $4, token = null, leased_until = null, last_error = $5,
             attempts = case when $5::text is null then 0 else attempts end
         where tenant_id = $1 and connection_id = $2 and token = $3",
    )
    .bind(leased.tenant_id)
    .bind(leased.connection_id)
    .bind(leased.token)
    .bind(due)
    .bind(error)
    .execute(pool)
    .await?;
    Ok(())
}
