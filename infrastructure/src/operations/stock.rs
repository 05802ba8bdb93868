//! Restock, adjust, count.

use onhand_domain::{
    StreamId,
    aggregate::verdict,
    stock::{Stock, StockCommand, StockEvent},
    values::{LocationCode, Quantity, Sku, StockId},
};
use serde_json::json;

use super::{Caller, Operations};
use crate::ledger::{Decision, LedgerError, Receipt};

/// A change of one shelf.
#[derive(Debug, Clone)]
pub enum StockChange {
    /// Units arrived.
    Restock {
        /// How many.
        quantity: Quantity,
        /// Where they came from.
        reference: Option<String>,
    },
    /// A correction.
    Adjust {
        /// By how many.
        delta: i64,
        /// Why.
        reason: String,
    },
    /// A count.
    Count {
        /// How many were found.
        counted: Quantity,
        /// By whom or what.
        reference: Option<String>,
    },
}

impl From<StockChange> for StockCommand {
    fn from(change: StockChange) -> Self {
        match change {
            StockChange::Restock { quantity, reference } => Self::Restock { quantity, reference },
            StockChange::Adjust { delta, reason } => Self::Adjust { delta, reason },
            StockChange::Count { counted, reference } => Self::Count { counted, reference },
        }
    }
}

impl Operations {
    /// Changes what is on a shelf. Answers with the shelf as it then stands.
    pub async fn change_stock(
        &self,
        caller: Caller,
        sku: Sku,
        location: LocationCode,
        change: StockChange,
    ) -> Result<Receipt, LedgerError> {
        let named = self.named(&caller, std::slice::from_ref(&sku)).await?;
        let Some(variant) = named.first().map(|named| named.variant) else {
            return Err(super::directory::unknown_sku(&sku).into());
        };
        let id = StockId { variant, location };
        let stream = StreamId::Stock(id.clone());
        self.submit(caller, vec![stream.clone()], move |lookup, _| {
            let shelf = lookup.stock(&id);
            let events = verdict(&id, shelf, change.clone().into())?;
            let (on_hand, reserved) = totals_after(shelf, &events);
            Ok(Decision {
                answer: json!({
                    "sku": sku, "location": id.location, "on_hand": on_hand, "reserved": reserved,
                    "available": on_hand - reserved,
                })
                .into(),
                changes: events.into_iter().map(|event| (stream.clone(), event.into())).collect(),
                ..Decision::default()
            })
        })
        .await
    }
}

/// On hand and reserved after some events, without copying a shelf that may carry many holds.
fn totals_after(shelf: &Stock, events: &[StockEvent]) -> (i64, i64) {
    events.iter().fold((shelf.on_hand().units(), shelf.reserved().units()), |(on_hand, reserved), event| {
        let (delta, held) = deltas(event);
        match event {
            StockEvent::Counted { counted, .. } => (counted.units(), reserved),
            _ => (on_hand + delta, reserved + held),
        }
    })
}

/// By how much an event moves on hand and reserved. A count sets on hand instead: it is 0 here.
pub fn deltas(event: &StockEvent) -> (i64, i64) {
    match event {
        StockEvent::Restocked { quantity, .. } => (quantity.units(), 0),
        StockEvent::Adjusted { delta, .. } => (*delta, 0),
        StockEvent::Counted { .. } => (0, 0),
        StockEvent::Reserved { quantity, .. } => (0, quantity.units()),
        StockEvent::Committed { quantity, .. } => (-quantity.units(), -quantity.units()),
        StockEvent::Released { quantity, .. } | StockEvent::Expired { quantity, .. } => {
            (0, -quantity.units())
        }
    }
}
