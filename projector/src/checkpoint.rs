//! Checkpoints: how far a projection is, for one tenant, moved in the transaction of its rows.

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use sqlx::PgConnection;

/// A claimed checkpoint; the claim ends with the transaction.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Checkpoint {
    /// Whose it is.
    pub model: String,
    /// The last position applied.
    pub position: i64,
    /// Where the ledger ends, as was known before it was claimed.
    pub head: i64,
    /// When it last moved.
    pub advanced_at: Option<DateTime<Utc>>,
}

/// Where a projection stands, whoever has its checkpoint.
#[derive(Debug, Clone, Copy, Default, sqlx::FromRow)]
pub struct Standing {
    /// The last position applied.
    pub position: i64,
    /// Whether it has met something that it cannot apply.
    pub parked: bool,
    /// Whether somebody has told it to stand still.
    pub paused: bool,
}

impl Checkpoint {
    /// Claims those of these models until the transaction ends, the one furthest behind first: all that no other process
    /// has, and that are neither parked nor paused.
    ///
    /// The transaction does not wait for its own flush to disk. If it is lost in a crash, rows and checkpoint are lost
    /// together, and are made again.
    pub async fn claim(
        conn: &mut PgConnection,
        tenant: TenantId,
        models: &[&str],
    ) -> Result<Vec<Self>, sqlx::Error> {
        let claimed = Self::claim_begun(conn, tenant, models).await?;
        if claimed.len() == models.len() {
            return Ok(claimed);
        }
        // Some are held by others, stand still, or have not begun.
        Self::begin(conn, tenant, models).await?;
        Self::claim_begun(conn, tenant, models).await
    }

    async fn claim_begun(
        conn: &mut PgConnection,
        tenant: TenantId,
        models: &[&str],
    ) -> Result<Vec<Self>, sqlx::Error> {
        sqlx::query_as(
            "select c.model, c.position, c.advanced_at,
                    (select position from ledger_heads where tenant_id = $1) as head
             from (select set_config('synchronous_commit', 'off', true)) as unhurried, checkpoints c
             where c.tenant_id = $1 and c.model = any($2) and c.parked is null and c.paused_at is null
             order by c.position for update of c skip locked -- another process has it, or a rebuild",
        )
        .bind(tenant.0)
        .bind(models)
        .fetch_all(conn)
        .await
    }

    /// Locks one until the transaction ends, parked or not, waiting for whoever has it now. Says where it stands; at 0 if it
    /// has not begun.
    pub async fn hold(
        conn: &mut PgConnection,
        tenant: TenantId,
        model: &str,
    ) -> Result<Standing, sqlx::Error> {
        Self::begin(conn, tenant, &[model]).await?;
        sqlx::query_as(
            "select position, parked is not null as parked, paused_at is not null as paused
             from checkpoints where tenant_id = $1 and model = $2
             for update -- whoever claims passes it over, and waits for nothing",
        )
        .bind(tenant.0)
        .bind(model)
        .fetch_one(conn)
        .await
    }

    /// Where one stands; at 0 if it has not begun.
    pub async fn standing(
        conn: &mut PgConnection,
        tenant: TenantId,
        model: &str,
    ) -> Result<Standing, sqlx::Error> {
        let found = sqlx::query_as(
            "select position, parked is not null as parked, paused_at is not null as paused
             from checkpoints where tenant_id = $1 and model = $2",
        )
        .bind(tenant.0)
        .bind(model)
        .fetch_optional(conn)
        .await?;
        Ok(found.unwrap_or_default())
    }

    /// Makes those that are not there yet.
    async fn begin(conn: &mut PgConnection, tenant: TenantId, models: &[&str]) -> Result<(), sqlx::Error> {
        sqlx::query(
            "insert into checkpoints (model, tenant_id) select m.model, $1 from unnest($2::text[]) as m (model)
             -- Looked for first: what somebody is just moving would have to be waited for.
             where not exists (select from checkpoints c where c.tenant_id = $1 and c.model = m.model)
             on conflict (tenant_id, model) do nothing -- somebody else has just begun it",
        )
        .bind(tenant.0)
        .bind(models)
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Moves them. Only within the transaction that claimed them.
    pub async fn advance(
        conn: &mut PgConnection,
        tenant: TenantId,
        models: &[&str],
        position: i64,
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update checkpoints set position = $3, advanced_at = $4, parked = null, parked_at = null
             where tenant_id = $1 and model = any($2)",
        )
        .bind(tenant.0)
        .bind(models)
        .bind(position)
        .bind(now)
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Stops a projection for one tenant and says why; the others go on. Only if it still is as it was when it was claimed:
    /// a rebuild may have put its rows right since. Says whether it was.
    pub async fn park(
        conn: &mut PgConnection,
        tenant: TenantId,
        claimed: &Self,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, sqlx::Error> {
        let parked = sqlx::query(
            // What made it stand still may be the first thing it met: then there is no row yet.
            "insert into checkpoints (tenant_id, model, position, parked, parked_at) values ($1, $2, $5, $3, $4)
             on conflict (tenant_id, model) do update set parked = excluded.parked, parked_at = excluded.parked_at
             where checkpoints.parked is null and checkpoints.position = $5
               and checkpoints.advanced_at is not distinct from $6",
        )
        .bind(tenant.0)
        .bind(&claimed.model)
        .bind(why)
        .bind(now)
        .bind(claimed.position)
        .bind(claimed.advanced_at)
        .execute(conn)
        .await?;
        Ok(parked.rows_affected() > 0)
    }

    /// Parks those that have applied more than there is, because somebody has set history back, at the ledger's end: rows of
    /// what is gone are not what they are to be, until they are rebuilt.
    pub async fn set_back(
        conn: &mut PgConnection,
        tenant: TenantId,
        models: &[&str],
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let found: Vec<(String, i64)> = sqlx::query_as(
            "update checkpoints c
             set position = h.position, parked_at = coalesce(c.parked_at, $3),
                 parked = coalesce(c.parked, format(
                     'it was at position %s, beyond the end of the ledger: history was set back; rebuild it', c.position))
             from ledger_heads h
             -- Seen at one moment: whoever moves one up to the head has read that before.
             where c.tenant_id = $1 and c.model = any($2) and h.tenant_id = $1 and c.position > h.position
             returning c.model, c.position",
        )
        .bind(tenant.0)
        .bind(models)
        .bind(now)
        .fetch_all(conn)
        .await?;
        for (model, head) in found {
            tracing::error!(model, %tenant, head, "history was set back: the projection is parked until it is rebuilt");
        }
        Ok(())
    }

    /// Locks one for a word to it. A stretch under way is waited for, a transaction that somebody has left open is not.
    pub async fn hold_impatiently(
        conn: &mut PgConnection,
        tenant: TenantId,
        model: &str,
    ) -> Result<Standing, sqlx::Error> {
        sqlx::raw_sql("set local lock_timeout = '2s'").execute(&mut *conn).await?;
        Self::hold(conn, tenant, model).await
    }

    /// Lets a projection stand still, by the word of this entry, unless a later one was heeded. If it stands still already,
    /// whoever said so first stays on record.
    pub async fn pause(
        conn: &mut PgConnection,
        tenant: TenantId,
        model: &str,
        (by, now): (&str, DateTime<Utc>),
        entry: i64,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update checkpoints
             set paused_by = coalesce(paused_by, $3), paused_at = coalesce(paused_at, $4), told_at = $5
             where tenant_id = $1 and model = $2 and told_at < $5",
        )
        .bind(tenant.0)
        .bind(model)
        .bind(by)
        .bind(now)
        .bind(entry)
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Lets a projection go on that was paused or parked, by the word of this entry, unless a later one was heeded.
    pub async fn resume(
        conn: &mut PgConnection,
        tenant: TenantId,
        model: &str,
        entry: i64,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update checkpoints
             set paused_by = null, paused_at = null, parked = null, parked_at = null, told_at = $3
             where tenant_id = $1 and model = $2 and told_at < $3",
        )
        .bind(tenant.0)
        .bind(model)
        .bind(entry)
        .execute(conn)
        .await?;
        Ok(())
    }
}
