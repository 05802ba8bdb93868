//! Expiry: holds whose time has come are ended, whether or not anybody looks.
//!
//! Every process may run it. What is due is read from the reservations read model, which may lag; the
//! decision is the shelf's, so a hold that was committed meanwhile is left alone and none ends twice.

use std::collections::BTreeMap;

use onhand_domain::{
    StreamId,
    aggregate::verdict,
    stock::StockCommand,
    values::{LocationCode, ReservationId, StockId, TenantId},
};
use serde_json::json;

use super::{Caller, Operations};
use crate::{
    ledger::{Context, Decision, LedgerError},
    queries,
};

/// Holds ended in one step, of each tenant.
const STEP_MAX: i64 = 500;

impl Operations {
    /// Ends holds that are due. Says how many were found due; 0 means that there is nothing to do for now.
    pub async fn expire_due(&self) -> Result<usize, LedgerError> {
        let mut due: BTreeMap<TenantId, Vec<(ReservationId, StockId)>> = BTreeMap::new();
        let now = self.ledger().clock().now();
        for hold in queries::reservations::due(self.ledger().pool(), now, STEP_MAX).await? {
            let location = LocationCode::new(&hold.location).map_err(onhand_domain::Refusal::from)?;
            let shelf = StockId { variant: hold.variant, location };
            due.entry(hold.tenant).or_default().push((hold.reservation, shelf));
        }
        let found = due.values().map(Vec::len).sum();
        for (tenant, holds) in due {
            let reads = holds.iter().map(|(_, id)| StreamId::Stock(id.clone())).collect();
            let caller = Caller::new(Context::internal(tenant, "expiry"));
            let ended = self
                .submit(caller, reads, move |lookup, now| {
                    let mut decision = Decision { answer: json!({}).into(), ..Decision::default() };
                    for (reservation, id) in &holds {
                        let command = StockCommand::Expire { reservation: *reservation, now };
                        for event in verdict(id, lookup.stock(id), command)? {
                            decision.changes.push((StreamId::Stock(id.clone()), event.into()));
                        }
                    }
                    Ok(decision)
                })
                .await;
            if let Err(error) = ended {
                // One tenant's trouble does not keep the holds of others from ending.
                tracing::warn!(%tenant, %error, "holds that are due could not be ended");
            }
        }
        Ok(found)
    }
}
