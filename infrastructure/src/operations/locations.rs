//! Locations: how they are sold from, and the order of those that sell, remembered for a moment.

use std::{sync::Arc, time::Duration};

use onhand_domain::{
    StreamId,
    aggregate::verdict,
    location::LocationCommand,
    values::{LocationCode, TenantId},
};
use serde_json::json;

use super::{Caller, Operations};
use crate::{
    believed::Believed,
    ledger::{Decision, LedgerError, Receipt},
    queries,
};

/// How long the order of locations is believed. It seldom changes; other processes change it, too.
const BELIEVED: Duration = Duration::from_secs(3);
const TENANTS_MAX: usize = 10_000;

/// Locations that sell, in their order.
pub(super) type Locations = Believed<TenantId, Arc<[LocationCode]>>;

/// Nothing is known of any.
pub(super) fn unknown() -> Locations {
    Believed::new(BELIEVED, TENANTS_MAX)
}

impl Operations {
    /// Says how a location is sold from.
    pub async fn set_location(
        &self,
        caller: Caller,
        code: LocationCode,
        priority: i32,
        sells: bool,
    ) -> Result<Receipt, LedgerError> {
        let tenant = caller.context.tenant;
        let stream = StreamId::Location(code.clone());
        let receipt = self
            .submit(caller, vec![stream.clone()], move |lookup, _| {
                let command = LocationCommand::Set { priority, sells };
                let events = verdict(&code, lookup.location(&code), command)?;
                Ok(Decision {
                    answer: json!({ "location": code, "priority": priority, "sells": sells }).into(),
                    changes: events.into_iter().map(|event| (stream.clone(), event.into())).collect(),
                    ..Decision::default()
                })
            })
            .await?;
        self.locations.forget(&tenant);
        Ok(receipt)
    }

    /// The locations that reservations take from when they name none, in their order.
    pub(super) async fn selling_locations(
        &self,
        tenant: TenantId,
    ) -> Result<Arc<[LocationCode]>, LedgerError> {
        let pool = self.ledger().pool();
        let order = self.locations.find_or_ask(pool, tenant, async |tenant| {
            Ok(Some(queries::locations::selling(pool, *tenant).await?.into()))
        });
        Ok(order.await?.unwrap_or_default())
    }
}
