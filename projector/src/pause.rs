//! Letting a projection stand still, and go on, on an operator's word; each is an entry.

use onhand_domain::{Refusal, administration::AdministrationEvent};
use onhand_infrastructure::{
    ledger::{LedgerError, Receipt},
    operations::{Caller, Operations},
};

use crate::{ProjectorError, checkpoint::Checkpoint, error::is_held, registry::ReadModel};

/// Lets a projection stand still for the caller's tenant. When this is answered, no projector moves it any more.
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
    let (by, now) = (caller.context.actor.clone(), ledger.clock().now());
    let event = match to_stand_still {
        true => AdministrationEvent::ProjectionPaused { projection },
        false => AdministrationEvent::ProjectionResumed { projection },
    };
    let mut tx = ledger.pool().begin().await?;
    match Checkpoint::hold_impatiently(&mut tx, tenant, model.name).await {
        Err(error) if is_held(&error) => return Err(ProjectorError::Held(model.name)),
        held => held?,
    };
    let receipt = operations.note(caller, event).await?;
    // What was answered before need not have been done: whoever said it may have died in between. If it was done, or undone
    // since, the checkpoint has heeded this entry or a later one.
    if to_stand_still {
        Checkpoint::pause(&mut tx, tenant, model.name, (&by, now), receipt.position).await?;
    } else {
        Checkpoint::resume(&mut tx, tenant, model.name, receipt.position).await?;
    }
    tx.commit().await?;
    Ok(receipt)
}
