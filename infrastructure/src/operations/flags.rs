//! Turn a flag.

use onhand_domain::{StreamId, flag::FlagName};
use serde_json::json;

use super::{Caller, Operations};
use crate::ledger::{Decision, LedgerError, Receipt};

impl Operations {
    /// Turns a flag. An attempt to turn a locked one is refused, and on record.
    pub async fn set_flag(
        &self,
        caller: Caller,
        name: FlagName,
        value: bool,
    ) -> Result<Receipt, LedgerError> {
        let stream = StreamId::Flag(name);
        self.submit(caller, vec![stream.clone()], move |lookup, _| {
            let (events, refusal) = lookup.flag(&name).turn(name, value);
            Ok(Decision {
                changes: events.into_iter().map(|event| (stream.clone(), event.into())).collect(),
                answer: json!({ "name": name, "value": value }).into(),
                refusal,
                ..Decision::default()
            })
        })
        .await
    }
}
