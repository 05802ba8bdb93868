//! What is left to do once a run has ended: an entry that says so, and emptying twins that nobody needs.
//!
//! Whoever has the lock on the read model does it, also for a process that died before it could. Nobody waits for it.

use onhand_domain::{administration::AdministrationEvent, values::TenantId};
use onhand_infrastructure::{
    ledger::{Context, Idempotency},
    operations::{Caller, Operations},
    queries::rebuilds::{self, Unsettled},
};
use sqlx::{Connection, PgConnection};

use super::twin;
use crate::{ProjectorError, registry::ReadModel};

/// Settles the runs of a read model that have ended. Only with the lock on it.
pub(super) async fn settle(
    operations: &Operations,
    model: &ReadModel,
    tenant: TenantId,
    conn: &mut PgConnection,
) -> Result<(), ProjectorError> {
    for run in rebuilds::ended(conn, tenant, model.name).await? {
        let id = run.id;
        note(operations, model, tenant, run).await?;
        let mut tx = conn.begin().await?;
        // What was left because it differs is there for whoever asks to replace.
        if !rebuilds::are_grown(&mut tx, tenant, model.name).await? {
            clear_twins(&mut tx, tenant, model).await?;
        }
        rebuilds::settle(&mut tx, tenant, id).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Empties the twins of a read model.
pub(super) async fn clear_twins(
    conn: &mut PgConnection,
    tenant: TenantId,
    model: &ReadModel,
) -> Result<(), sqlx::Error> {
    for table in model.tables {
        twin::clear(conn, tenant, table).await?;
    }
    Ok(())
}

async fn note(
    operations: &Operations,
    model: &ReadModel,
    tenant: TenantId,
    run: Unsettled,
) -> Result<(), ProjectorError> {
    let (projection, rebuild) = (model.name.to_owned(), run.id);
    // Done before, and not marked as done: it is still noted once.
    let once = Idempotency::new("rebuild", &rebuild.to_string(), [0; 32]);
    let context = Context { correlation_id: run.correlation_id, ..Context::internal(tenant, "rebuild") };
    let event = match run.status.as_str() {
        "failed" => {
            let reason = run.failure.unwrap_or_default();
            AdministrationEvent::RebuildFailed { projection, rebuild, reason }
        }
        _ => AdministrationEvent::RebuildEnded {
            projection,
            rebuild,
            position: run.position,
            rows: run.rows.unsigned_abs(),
            differences: run.differences.unsigned_abs(),
            replaced: run.replaced,
        },
    };
    operations.note(Caller { idempotency: Some(once), ..Caller::new(context) }, event).await?;
    Ok(())
}
