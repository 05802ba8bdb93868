//! `locations`: how each is sold from.

use futures_util::future::BoxFuture;
use onhand_domain::{State, StreamId, values::TenantId};
use onhand_infrastructure::ledger::StateTable;
use sqlx::PgConnection;

/// Rows that follow from location streams.
pub const TABLE: StateTable = StateTable { write, covers: |stream| matches!(stream, StreamId::Location(_)) };

fn write<'c>(
    conn: &'c mut PgConnection,
    tenant: TenantId,
    states: &'c [(StreamId, &'c State)],
) -> BoxFuture<'c, Result<(), sqlx::Error>> {
    Box::pin(async move {
        let rows: Vec<(&str, i32, bool)> = states
            .iter()
            .filter_map(|(stream, state)| match (stream, state) {
                (StreamId::Location(code), State::Location(location)) => {
                    Some((code.as_str(), location.priority?, location.sells))
                }
                _ => None,
            })
            .collect();
        sqlx::query(
            "insert into locations (tenant_id, code, priority, sells)
             select $1, r.* from unnest($2::text[], $3::integer[], $4::boolean[]) as r
             on conflict (tenant_id, code) do update -- the newest state counts
                 set priority = excluded.priority, sells = excluded.sells",
        )
        .bind(tenant.0)
        .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
        .execute(conn)
        .await?;
        Ok(())
    })
}
