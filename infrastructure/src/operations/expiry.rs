//! Expiry: holds whose time has come are ended, whether or not anybody looks.
//!
//! Every process may run it. What is due is read from the reservations read model, which may lag; the
//! decision is the shelf's, so a hold that was committed or extended meanwhile is left alone and none ends twice. While the
//! read model stands still, paused or parked, holds end only when somebody needs their units.

use std::collections::{BTreeMap, BTreeSet};

use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    stock::StockCommand,
    values::{LocationCode, StockId, TenantId},
};
use serde_json::json;

use super::{Caller, Operations};
use crate::{
    ledger::{Context, Decision, LedgerError},
    queries,
};

/// Holds looked up, and ended, in one step of each tenant.
const STEP_MAX: usize = 500;

impl Operations {
    /// Ends holds that are due. Says how many were found due; 0 means that there is nothing to do for now.
    pub async fn expire_due(&self) -> Result<usize, LedgerError> {
        let mut due: BTreeMap<TenantId, BTreeSet<StockId>> = BTreeMap::new();
        let now = self.ledger().clock().now();
        let holds = queries::reservations::due(self.ledger().pool(), now, STEP_MAX as i64).await?;
        for hold in &holds {
            let location = LocationCode::new(&hold.location).map_err(Refusal::from)?;
            due.entry(hold.tenant).or_default().insert(StockId { variant: hold.variant, location });
        }
        for (tenant, shelves) in due {
            let reads = shelves.iter().cloned().map(StreamId::Stock).collect();
            let caller = Caller::new(Context::internal(tenant, "expiry"));
            let ended = self
                .submit(caller, reads, move |lookup, now| {
                    let mut decision = Decision { answer: json!({}).into(), ..Decision::default() };
                    for id in &shelves {
                        let limit = STEP_MAX.saturating_sub(decision.changes.len());
                        let command = StockCommand::Expire { now, limit };
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
        Ok(holds.len())
    }
}
