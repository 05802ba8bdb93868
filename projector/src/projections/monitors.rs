//! `monitors`: which models are watched, and how.

use futures_util::future::BoxFuture;
use onhand_domain::{State, StreamId, values::TenantId};
use onhand_infrastructure::ledger::StateTable;
use serde_json::{Value, json};
use sqlx::PgConnection;

/// Rows that follow from monitor streams.
pub const TABLE: StateTable = StateTable { write, covers: |stream| matches!(stream, StreamId::Monitor(_)) };

fn write<'c>(
    conn: &'c mut PgConnection,
    tenant: TenantId,
    states: &'c [(StreamId, &'c State)],
) -> BoxFuture<'c, Result<(), sqlx::Error>> {
    Box::pin(async move {
        sqlx::query(
            "insert into monitors (tenant_id, id, connection_id, style_code, kind, frequency_minutes, markets,
                                   threshold_basis_points, enabled)
             select $1, r.id, r.connection, r.style_code, r.kind, r.frequency_minutes, r.markets,
                    r.threshold_basis_points, r.enabled
             from jsonb_to_recordset($2) as r (id uuid, connection uuid, style_code text, kind text,
                 frequency_minutes integer, markets text[], threshold_basis_points integer, enabled boolean)
             on conflict (tenant_id, id) do update
                 set kind = excluded.kind, frequency_minutes = excluded.frequency_minutes,
                     markets = excluded.markets, threshold_basis_points = excluded.threshold_basis_points,
                     enabled = excluded.enabled",
        )
        .bind(tenant.0)
        .bind(Value::Array(states.iter().filter_map(|(stream, state)| row(stream, state)).collect()))
        .execute(conn)
        .await?;
        Ok(())
    })
}

fn row(stream: &StreamId, state: &State) -> Option<Value> {
    let (StreamId::Monitor(id), State::Monitor(monitor)) = (stream, state) else { return None };
    let details = monitor.details.as_ref()?;
    Some(json!({
        "id": id, "connection": details.connection, "style_code": details.style_code, "kind": details.kind,
        "frequency_minutes": details.frequency_minutes, "markets": details.markets,
        "threshold_basis_points": details.threshold_basis_points, "enabled": monitor.enabled,
    }))
}
