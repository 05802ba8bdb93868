//! How each account's platform fares, kept where all relays see it.

use chrono::{DateTime, Utc};
use onhand_domain::values::{ConnectionId, TenantId};
use sqlx::PgPool;

use crate::relay::breaker::{Breaker, RENEWING, Report, State, Turn};

type Row = (String, Vec<DateTime<Utc>>, Option<DateTime<Utc>>, Option<DateTime<Utc>>, bool, Option<String>);

/// Notes how an attempt went. Says what has turned.
pub async fn note(
    pool: &PgPool,
    (tenant, connection): (TenantId, ConnectionId),
    report: &Report,
    now: DateTime<Utc>,
) -> Result<Vec<Turn>, sqlx::Error> {
    let mut tx = pool.begin().await?;
    // First there has to be a row, or two relays that see the first failure would both begin from nothing.
    sqlx::query(
        "insert into breakers (tenant_id, connection_id, state, failures) values ($1, $2, 'closed', '{}')
         on conflict do nothing",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .execute(&mut *tx)
    .await?;
    let row: Row = sqlx::query_as(
        "select state, failures, retry_at, held_until, locked_out, reason from breakers
         where tenant_id = $1 and connection_id = $2 for update",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .fetch_one(&mut *tx)
    .await?;
    let (after, turns) = breaker(row).after(report, now);
    sqlx::query(
        "update breakers set state = $3, failures = $4, retry_at = $5, held_until = $6, locked_out = $7, reason = $8
         where tenant_id = $1 and connection_id = $2",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(after.state.name())
    .bind(after.failures)
    .bind(after.retry_at)
    .bind(after.held_until)
    .bind(after.locked_out)
    .bind(after.reason)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(turns)
}

/// Forgets what a platform had against an account: its credentials are new. What it has asked to wait still holds.
pub async fn forget(pool: &PgPool, tenant: TenantId, connection: ConnectionId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update breakers
         set state = 'closed', failures = '{}', retry_at = null, reason = null, locked_out = false,
             held_until = case when locked_out or reason = $3 then null else held_until end
         where tenant_id = $1 and connection_id = $2",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(RENEWING)
    .execute(pool)
    .await?;
    Ok(())
}

/// What is known of how an account fares.
pub async fn of(pool: &PgPool, tenant: TenantId, connection: ConnectionId) -> Result<Breaker, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select state, failures, retry_at, held_until, locked_out, reason from breakers
         where tenant_id = $1 and connection_id = $2",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(breaker).unwrap_or_default())
}

fn breaker((state, failures, retry_at, held_until, locked_out, reason): Row) -> Breaker {
    Breaker { state: State::of(&state), failures, retry_at, held_until, locked_out, reason }
}
