//! Checkpoints: how far a projection is, for one tenant, moved in the transaction of its rows.

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
}

impl Checkpoint {
    /// Claims those of these models until the transaction ends, the one furthest behind first: all that no other process
    /// has, and that are not parked.
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
        // Some are held by others, or parked, or have not begun.
        Self::begin(conn, tenant, models).await?;
        Self::claim_begun(conn, tenant, models).await
    }

    async fn claim_begun(
        conn: &mut PgConnection,
        tenant: TenantId,
        models: &[&str],
    ) -> Result<Vec<Self>, sqlx::Error> {
        sqlx::query_as(
            "select c.model, c.position, (select position from ledger_heads where tenant_id = $1) as head
             from (select set_config('synchronous_commit', 'off', true)) as unhurried, checkpoints c
             where c.tenant_id = $1 and c.model = any($2) and c.parked is null
             order by c.position for update of c skip locked -- another process has it, or a rebuild",
        )
        .bind(tenant.0)
        .bind(models)
        .fetch_all(conn)
        .await
    }

    /// Locks one until the transaction ends, parked or not, waiting for whoever has it now. Says where it is; 0 if it has
    /// not begun.
    pub async fn hold(conn: &mut PgConnection, tenant: TenantId, model: &str) -> Result<i64, sqlx::Error> {
        Self::begin(conn, tenant, &[model]).await?;
        let (position,): (i64,) = sqlx::query_as(
            "select position from checkpoints where tenant_id = $1 and model = $2
             for update -- whoever claims passes it over, and waits for nothing",
        )
        .bind(tenant.0)
        .bind(model)
        .fetch_one(conn)
        .await?;
        Ok(position)
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
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update checkpoints set position = $3, parked = null where tenant_id = $1 and model = any($2)",
        )
        .bind(tenant.0)
        .bind(models)
        .bind(position)
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Stops a projection for one tenant and says why; the others go on.
    pub async fn park(
        conn: &mut PgConnection,
        tenant: TenantId,
        model: &str,
        why: &str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("update checkpoints set parked = $3 where tenant_id = $1 and model = $2")
            .bind(tenant.0)
            .bind(model)
            .bind(why)
            .execute(conn)
            .await?;
        Ok(())
    }
}
