//! Watch models of the market feed.

use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    connection::Platform,
    monitor::{MonitorCommand, MonitorDetails},
    values::MonitorId,
};
use serde_json::json;

use super::{Caller, Operations};
use crate::{
    ledger::{Decision, LedgerError, Receipt},
    outbox::follow_ups,
};

impl Operations {
    /// Watches a model like this from now on. There is one monitor for each connection and model.
    pub async fn set_monitor(&self, caller: Caller, details: MonitorDetails) -> Result<Receipt, LedgerError> {
        let id = MonitorId::of(details.connection, &details.style_code);
        self.command_monitor(caller, id, MonitorCommand::Set(details)).await
    }

    /// Lets a monitor's news count, or not.
    pub async fn switch_monitor(
        &self,
        caller: Caller,
        id: MonitorId,
        on: bool,
    ) -> Result<Receipt, LedgerError> {
        let command = if on { MonitorCommand::Enable } else { MonitorCommand::Disable };
        self.command_monitor(caller, id, command).await
    }

    async fn command_monitor(
        &self,
        caller: Caller,
        id: MonitorId,
        command: MonitorCommand,
    ) -> Result<Receipt, LedgerError> {
        let (brand, tenant) = (caller.brand.clone(), caller.context.tenant);
        let submitted = self.submit(caller, vec![StreamId::Monitor(id)], move |lookup, _| {
            let monitor = lookup.monitor(&id);
            let details = match &command {
                MonitorCommand::Set(details) => Some(details),
                MonitorCommand::Enable | MonitorCommand::Disable => monitor.details.as_ref(),
            };
            let details =
                details.ok_or_else(|| Refusal::missing("monitor.unknown", "there is no such monitor"))?;
            let connection = lookup.connection(&details.connection).details.as_ref();
            let own = connection.filter(|it| brand.as_ref().is_none_or(|brand| *brand == it.brand));
            if own.is_none_or(|connection| connection.platform != Platform::Kicksdb) {
                return Err(match &command {
                    MonitorCommand::Set(_) => {
                        let detail = format!("there is no KicksDB connection {}", details.connection);
                        Refusal::missing("connection.unknown", detail)
                    }
                    _ => Refusal::missing("monitor.unknown", "there is no such monitor"),
                });
            }
            let style_code = details.style_code.clone();
            let events = verdict(&id, monitor, command.clone())?;
            let after = events.iter().cloned().fold(monitor.clone(), |state, event| state.evolve(event));
            Ok(Decision {
                changes: events.into_iter().map(|event| (StreamId::Monitor(id), event.into())).collect(),
                answer: json!({ "id": id, "style_code": style_code, "enabled": after.enabled }).into(),
                ..Decision::default()
            })
        });
        let receipt = submitted.await?;
        let (pool, now) = (self.ledger().pool(), self.ledger().clock().now());
        follow_ups::hurry_prices(pool, tenant, id, now).await?;
        Ok(receipt)
    }
}
