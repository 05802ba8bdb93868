//! Expiry: holds whose time has come are ended, whether or not anybody looks.
//!
//! Every process may run it. What is due is read from the reservations read model, which may lag; the
//! decision is the shelf's, so a hold that was committed meanwhile is left alone and none ends twice.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    StreamId,
    aggregate::verdict,
    stock::StockCommand,
    values::{LocationCode, ReservationId, StockId, TenantId, VariantId},
};
use serde_json::json;
use uuid::Uuid;

use super::{Caller, Operations};
use crate::ledger::{Context, Decision, LedgerError};

/// Holds ended in one step, over all tenants.
const STEP_MAX: i64 = 500;

impl Operations {
    /// Ends holds that are due. Says how many were found due; 0 means that there is nothing to do for now.
    pub async fn expire_due(&self) -> Result<usize, LedgerError> {
        let due = due(self.ledger().pool(), self.ledger().clock().now()).await?;
        let found = due.values().map(Vec::len).sum();
        for (tenant, holds) in due {
            let reads = holds.iter().map(|(_, id)| StreamId::Stock(id.clone())).collect();
            let caller = Caller::new(Context::internal(tenant, "expiry"));
            self.submit(caller, reads, move |lookup, now| {
                let mut decision = Decision { answer: json!({}), ..Decision::default() };
                for (reservation, id) in &holds {
                    let command = StockCommand::Expire { reservation: *reservation, now };
                    for event in verdict(id, lookup.stock(id), command)? {
                        decision.changes.push((StreamId::Stock(id.clone()), event.into()));
                    }
                }
                Ok(decision)
            })
            .await?;
        }
        Ok(found)
    }
}

type Due = BTreeMap<TenantId, Vec<(ReservationId, StockId)>>;

async fn due(pool: &sqlx::PgPool, now: DateTime<Utc>) -> Result<Due, LedgerError> {
    let rows: Vec<(Uuid, Uuid, Uuid, String)> = sqlx::query_as(
        "select tenant_id, reservation_id, variant_id, location from reservations
         where expires_at <= $1 and reserved > committed + released + expired -- reservations_due_idx
         order by expires_at limit $2",
    )
    .bind(now)
    .bind(STEP_MAX)
    .fetch_all(pool)
    .await?;
    let mut due = Due::new();
    for (tenant, reservation, variant, location) in rows {
        let location = LocationCode::new(&location).map_err(onhand_domain::Refusal::from)?;
        due.entry(TenantId(tenant))
            .or_default()
            .push((ReservationId(reservation), StockId { variant: VariantId(variant), location }));
    }
    Ok(due)
}
