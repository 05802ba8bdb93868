//! `deliveries`: what came in, through which connection, and what came of it.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use onhand_domain::{
    Event, StreamId,
    delivery::{DeliveryEvent, Received},
};
use onhand_infrastructure::ledger::Entry;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{
    ProjectorError,
    registry::{Fact, Stretch},
};

/// Applies a stretch: the last word on each delivery, how often it was tried, and whether it was contradicted.
pub fn apply<'c>(
    conn: &'c mut PgConnection,
    stretch: Stretch<'c>,
) -> BoxFuture<'c, Result<(), ProjectorError>> {
    Box::pin(async move {
        let (rows, contradicted) = fold(stretch)?;
        if !rows.is_empty() {
            sqlx::query(include_str!("deliveries.sql"))
                .bind(stretch.tenant.0)
                .bind(Value::Array(rows.into_values().collect()))
                .execute(&mut *conn)
                .await?;
        }
        if !contradicted.is_empty() {
            sqlx::query("update deliveries set contradicted = true where tenant_id = $1 and id = any($2)")
                .bind(stretch.tenant.0)
                .bind(contradicted)
                .execute(conn)
                .await?;
        }
        Ok(())
    })
}

type Rows<'e> = BTreeMap<&'e StreamId, Value>;

/// Rows of deliveries, and which deliveries were contradicted.
fn fold(stretch: Stretch<'_>) -> Result<(Rows<'_>, Vec<uuid::Uuid>), ProjectorError> {
    let mut rows = Rows::new();
    let mut contradicted = Vec::new();
    for Fact { entry, stream, event } in stretch.facts {
        let (StreamId::Delivery(id), Event::Delivery(event)) = (stream, event) else { continue };
        let attempts = rows.get(stream).map_or(0, |row| row["attempts"].as_i64().unwrap_or(0));
        let (received, result) = match event {
            DeliveryEvent::Completed { received, outcome, notes } => {
                (received, json!({ "status": "completed", "outcome": outcome, "notes": notes }))
            }
            DeliveryEvent::Failed { received, reason } => {
                (received, json!({ "status": "failed", "notes": [], "reason": reason }))
            }
            DeliveryEvent::Contradicted { .. } => {
                contradicted.push(id.0);
                continue;
            }
        };
        rows.insert(stream, row(id.0, attempts + 1, entry, stretch, received, &result)?);
    }
    Ok((rows, contradicted))
}

fn row(
    id: uuid::Uuid,
    attempts: i64,
    entry: &Entry,
    stretch: Stretch<'_>,
    received: &Received,
    result: &Value,
) -> Result<Value, ProjectorError> {
    Ok(json!({
        "id": id,
        "connection_id": received.connection,
        "platform": received.platform,
        "topic": received.topic,
        "external_id": received.external_id,
        "status": result["status"],
        "outcome": result["outcome"],
        "notes": result["notes"],
        "reason": result["reason"],
        "attempts": attempts,
        "body_sha256": received.body_sha256,
        "body_bytes": received.body_bytes,
        "source_address": received.source_address,
        "user_agent": received.user_agent,
        "correlation_id": entry.context(stretch.tenant)?.correlation_id,
        "recorded_at": entry.recorded_at,
        "position": entry.position,
    }))
}
