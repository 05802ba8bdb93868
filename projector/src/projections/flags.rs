//! `flags`: switches that somebody has turned.

use futures_util::future::BoxFuture;
use onhand_domain::{State, StreamId, values::TenantId};
use onhand_infrastructure::ledger::StateTable;
use sqlx::PgConnection;

/// Rows that follow from flag streams.
pub const TABLE: StateTable = StateTable { write, covers: |stream| matches!(stream, StreamId::Flag(_)) };

fn write<'c>(
    conn: &'c mut PgConnection,
    tenant: TenantId,
    states: &'c [(StreamId, &'c State)],
) -> BoxFuture<'c, Result<(), sqlx::Error>> {
    Box::pin(async move {
        let rows = states.iter().filter_map(|(stream, state)| match (stream, state) {
            (StreamId::Flag(name), State::Flag(flag)) => Some((name.name(), flag.value?)),
            _ => None,
        });
        let (names, values): (Vec<&str>, Vec<bool>) = rows.unzip();
        sqlx::query(
            "insert into flags (tenant_id, name, value) select $1, f.* from unnest($2::text[], $3::boolean[]) as f
             on conflict (tenant_id, name) do update set value = excluded.value",
        )
        .bind(tenant.0)
        .bind(names)
        .bind(values)
        .execute(conn)
        .await?;
        Ok(())
    })
}
