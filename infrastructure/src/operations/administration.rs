//! What operators do to the system itself, on record.

use onhand_domain::{StreamId, administration::AdministrationEvent};

use super::{Caller, Operations};
use crate::ledger::{Decision, LedgerError, Receipt};

impl Operations {
    /// Notes something an operator has done.
    pub async fn note(&self, caller: Caller, event: AdministrationEvent) -> Result<Receipt, LedgerError> {
        self.submit(caller, vec![StreamId::Administration], move |_, _| {
            Ok(Decision {
                changes: vec![(StreamId::Administration, event.clone().into())],
                ..Decision::default()
            })
        })
        .await
    }
}
