//! Watch models of the market feed.

use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    connection::Platform,
    monitor::{MonitorCommand, MonitorDetails},
    values::{ConnectionId, MonitorId},
};
use serde_json::json;

use super::{Caller, Operations};
use crate::ledger::{Decision, LedgerError, Receipt};

impl Operations {
    /// Watches a model like this from now on. There is one monitor for each connection and model.
    pub async fn set_monitor(&self, caller: Caller, details: MonitorDetails) -> Result<Receipt, LedgerError> {
        let id = MonitorId::of(details.connection, &details.style_code);
        self.command_monitor(caller, details.connection, id, MonitorCommand::Set(details)).await
    }

    /// Lets a monitor's news count, or not.
    pub async fn switch_monitor(
        &self,
        caller: Caller,
        connection: ConnectionId,
        style_code: &str,
        on: bool,
    ) -> Result<Receipt, LedgerError> {
        let id = MonitorId::of(connection, style_code);
        let command = if on { MonitorCommand::Enable } else { MonitorCommand::Disable };
        self.command_monitor(caller, connection, id, command).await
    }

    async fn command_monitor(
        &self,
        caller: Caller,
        connection: ConnectionId,
        id: MonitorId,
        command: MonitorCommand,
    ) -> Result<Receipt, LedgerError> {
        let brand = caller.brand.clone();
        let reads = vec![StreamId::Monitor(id), StreamId::Connection(connection)];
        self.submit(caller, reads, move |lookup, _| {
            let details = lookup.connection(&connection).details.as_ref();
            let own = details.filter(|it| brand.as_ref().is_none_or(|brand| *brand == it.brand));
            if own.is_none_or(|details| details.platform != Platform::Kicksdb) {
                return Err(Refusal::missing(
                    "connection.unknown",
                    format!("there is no KicksDB connection {connection}"),
                ));
            }
            let monitor = lookup.monitor(&id);
            let events = verdict(&id, monitor, command.clone())?;
            let after = events.iter().cloned().fold(monitor.clone(), |state, event| state.evolve(event));
            let style_code = after.details.as_ref().map(|details| details.style_code.clone());
            Ok(Decision {
                changes: events.into_iter().map(|event| (StreamId::Monitor(id), event.into())).collect(),
                answer: json!({ "id": id, "style_code": style_code, "enabled": after.enabled }).into(),
                ..Decision::default()
            })
        })
        .await
    }
}
