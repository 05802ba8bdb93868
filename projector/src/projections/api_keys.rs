//! `api_keys`: who may speak to a tenant, by the hash of what they show.

use futures_util::future::BoxFuture;
use onhand_domain::{State, StreamId, values::TenantId};
use onhand_infrastructure::ledger::StateTable;
use serde_json::{Value, json};
use sqlx::PgConnection;

/// Rows that follow from key streams.
pub const TABLE: StateTable = StateTable { write, covers: |stream| matches!(stream, StreamId::Key(_)) };

fn write<'c>(
    conn: &'c mut PgConnection,
    tenant: TenantId,
    states: &'c [(StreamId, &'c State)],
) -> BoxFuture<'c, Result<(), sqlx::Error>> {
    Box::pin(async move {
        let rows = states
            .iter()
            .filter_map(|(stream, state)| match (stream, state) {
                (StreamId::Key(id), State::Key(key)) => {
                    let holder = key.holder.as_ref()?;
                    Some(json!({
                        "id": id, "name": holder.name, "role": holder.role, "brand": holder.brand,
                        "sha256": holder.sha256, "revoked": key.revoked,
                    }))
                }
                _ => None,
            })
            .collect();
        sqlx::query(
            "insert into api_keys (tenant_id, id, name, role, brand, sha256, revoked)
             select $1, r.id, r.name, r.role, r.brand, r.sha256, r.revoked
             from jsonb_to_recordset($2)
                 as r (id uuid, name text, role text, brand text, sha256 text, revoked boolean)
             on conflict (tenant_id, id) do update set revoked = excluded.revoked",
        )
        .bind(tenant.0)
        .bind(Value::Array(rows))
        .execute(conn)
        .await?;
        Ok(())
    })
}
