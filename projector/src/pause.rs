//! Letting a projection stand still, and go on, on an operator's word; each is an entry.

use onhand_domain::{Refusal, administration::AdministrationEvent};
use onhand_infrastructure::{
    ledger::{LedgerError, Receipt},
    operations::{Caller, Operations},
};

use crate::{ProjectorError, checkpoint::Checkpoint, error::is_held, registry::ReadModel};

/// Lets a projection stand still for the caller's tenant. When this is answered, nothing moves it any more.
pub async fn pause(
    operations: &Operations,
    caller: Caller,
    model: &ReadModel,
) -> Result<Receipt, ProjectorError> {
    tell(operations, caller, model, true).await
}

/// Lets a projection go on that was paused, or that is parked and may try again.
pub async fn resume(
    operations: &Operations,
    caller: Caller,
    model: &ReadModel,
) -> Result<Receipt, ProjectorError> {
    tell(operations, caller, model, false).await
}

async fn tell(
    operations: &Operations,
    caller: Caller,
    model: &ReadModel,
    to_stand_still: bool,
) -> Result<Receipt, ProjectorError> {
    if !model.follows() {
        let detail = format!("{} is written by each commit itself and cannot stand still", model.name);
        return Err(LedgerError::from(Refusal::invalid("projection.in_commit", detail)).into());
    }
    let (ledger, tenant, projection) = (operations.ledger(), caller.context.tenant, model.name.to_owned());
    let mut tx = ledger.pool().begin().await?;
    let (told, event) = if to_stand_still {
        let (by, now) = (&caller.context.actor, ledger.clock().now());
        let told = Checkpoint::pause(&mut tx, tenant, model.name, by, now).await;
        (told, AdministrationEvent::ProjectionPaused { projection })
    } else {
        let told = Checkpoint::resume(&mut tx, tenant, model.name).await;
        (told, AdministrationEvent::ProjectionResumed { projection })
    };
    if told.as_ref().is_err_and(is_held) {
        return Err(ProjectorError::Held(model.name));
    }
    told?;
    let receipt = operations.note(caller, event).await?;
    if receipt.replayed {
        // What was answered before was done before, and may have been undone since.
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    Ok(receipt)
}
