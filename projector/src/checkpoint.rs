//! Checkpoints: how far a projection is, for one tenant, moved in the transaction of its rows.

use onhand_domain::values::TenantId;
use sqlx::PgConnection;

/// A claimed checkpoint; the claim ends with the transaction.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The last position applied.
    pub position: i64,
    /// Why the projection was stopped, if it was.
    pub parked: Option<String>,
}

impl Checkpoint {
    /// Claims it until the transaction ends. None if another process has it.
    pub async fn claim(
        conn: &mut PgConnection,
        tenant: TenantId,
        model: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        Self::read(conn, tenant, model, "for update skip locked").await
    }

    /// Claims it, waiting for whoever has it now.
    pub async fn claim_waiting(
        conn: &mut PgConnection,
        tenant: TenantId,
        model: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        Self::read(conn, tenant, model, "for update").await
    }

    async fn read(
        conn: &mut PgConnection,
        tenant: TenantId,
        model: &str,
        lock: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query(
            "insert into checkpoints (model, tenant_id) values ($2, $1)
             on conflict (tenant_id, model) do nothing -- it has begun already",
        )
        .bind(tenant.0)
        .bind(model)
        .execute(&mut *conn)
        .await?;
        let sql =
            format!("select position, parked from checkpoints where tenant_id = $1 and model = $2 {lock}");
        let row: Option<(i64, Option<String>)> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(tenant.0).bind(model).fetch_optional(conn).await?;
        Ok(row.map(|(position, parked)| Self { position, parked }))
    }

    /// Moves it. Only within the transaction that claimed it.
    pub async fn advance(
        conn: &mut PgConnection,
        tenant: TenantId,
        model: &str,
        position: i64,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update checkpoints set position = $3, parked = null where tenant_id = $1 and model = $2",
        )
        .bind(tenant.0)
        .bind(model)
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
