//! Administration: what operators have done to the system itself. It moves nothing; it is kept so that auditors find it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Refusal,
    aggregate::aggregate,
    values::{ConnectionId, OrderId, PersonId},
};

/// What operators have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdministrationEvent {
    /// Somebody told a projection to stand still.
    #[serde(rename = "administration.projection_paused")]
    ProjectionPaused {
        /// Which.
        projection: String,
    },
    /// Somebody told a projection to go on.
    #[serde(rename = "administration.projection_resumed")]
    ProjectionResumed {
        /// Which.
        projection: String,
    },
    /// Somebody had a read model grown again from history; or asked, on the way, to have rows that differ replaced.
    #[serde(rename = "administration.rebuild_begun")]
    RebuildBegun {
        /// Which read model.
        projection: String,
        /// This run of it.
        rebuild: Uuid,
        /// Whether live rows that differ are to be replaced.
        replaces: bool,
    },
    /// A read model was grown again and compared with the live one.
    #[serde(rename = "administration.rebuild_ended")]
    RebuildEnded {
        /// Which read model.
        projection: String,
        /// This run of it.
        rebuild: Uuid,
        /// As of this entry.
        position: i64,
        /// Rows it has.
        rows: u64,
        /// Rows in which the live one differed.
        differences: u64,
        /// Whether the live one was replaced.
        replaced: bool,
    },
    /// A read model could not be grown again.
    #[serde(rename = "administration.rebuild_failed")]
    RebuildFailed {
        /// Which read model.
        projection: String,
        /// This run of it.
        rebuild: Uuid,
        /// What stood in the way.
        reason: String,
    },
    /// History up to an entry was signed for.
    #[serde(rename = "administration.checkpoint_signed")]
    CheckpointSigned {
        /// The last entry it speaks of.
        position: i64,
        /// The root of the tree over all entries up to there, in hex.
        root: String,
        /// The key it was signed with.
        key: String,
    },
    /// Somebody took a copy of the audit log.
    #[serde(rename = "administration.exported")]
    Exported {
        /// `ndjson` or `csv`.
        format: String,
        /// What it was narrowed to.
        filter: Value,
    },
    /// Somebody had removed what is only kept for a while.
    #[serde(rename = "administration.maintained")]
    Maintained {
        /// How many rows, by what they were.
        removed: BTreeMap<String, u64>,
    },
    /// Entries were copied into a file.
    #[serde(rename = "administration.archived")]
    Archived {
        /// The first of them.
        from: i64,
        /// The last of them.
        to: i64,
        /// The file's name.
        file: String,
        /// SHA-256 of the file, in hex.
        sha256: String,
    },
    /// Entries that had been lost were put back from a file.
    #[serde(rename = "administration.restored")]
    Restored {
        /// The first entry in the file.
        from: i64,
        /// The last one.
        to: i64,
        /// How many had been lost.
        entries: u64,
        /// The file's name.
        file: String,
    },
    /// What history says about a person can never be read again, and webhooks that tell of them are to be destroyed.
    #[serde(rename = "administration.person_forgotten")]
    PersonForgotten {
        /// Whom, by a name that tells nothing.
        person: PersonId,
    },
    /// Somebody was shown what is known about a person.
    #[serde(rename = "administration.person_shown")]
    PersonShown {
        /// Whom, by a name that tells nothing.
        person: PersonId,
    },
    /// The webhooks that told of an order, of whose buyer history knows nothing, are to be destroyed.
    #[serde(rename = "administration.order_forgotten")]
    OrderForgotten {
        /// Which.
        order: OrderId,
    },
    /// Nobody who has ordered on a connection by now can be read any more, and all of its webhooks are to be destroyed.
    #[serde(rename = "administration.connection_forgotten")]
    ConnectionForgotten {
        /// Which account.
        connection: ConnectionId,
    },
    /// Somebody had what a platform shows read back.
    #[serde(rename = "administration.reconciliation_begun")]
    ReconciliationBegun {
        /// On which account.
        connection: ConnectionId,
        /// This run.
        reconciliation: Uuid,
        /// Whether what has strayed is only told.
        preview: bool,
    },
    /// Somebody had a platform called, to see whether it answers.
    #[serde(rename = "administration.connection_tested")]
    ConnectionTested {
        /// Which account.
        connection: ConnectionId,
        /// `pass`, `fail` or `unknown`.
        status: String,
    },
    /// Somebody had a platform asked to send its webhooks here.
    #[serde(rename = "administration.webhooks_asked_for")]
    WebhooksAskedFor {
        /// Which account.
        connection: ConnectionId,
        /// What came of it.
        outcome: String,
    },
    /// Somebody had dead letters tried again.
    #[serde(rename = "administration.dead_letters_replayed")]
    DeadLettersReplayed {
        /// Those of one account; of all, if none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<ConnectionId>,
        /// Deliveries that were looked at again.
        deliveries: u64,
        /// Follow-ups that were taken up again.
        follow_ups: u64,
    },
    /// Credentials were sealed with a newer key.
    #[serde(rename = "administration.secrets_reencrypted")]
    SecretsReencrypted {
        /// How many.
        secrets: u64,
    },
}

/// What one may ask of administration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdministrationCommand {
    /// Keep this.
    Note(AdministrationEvent),
}

/// What operators have done, as far as a decision needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Administration {
    /// How often somebody was forgotten: a webhook that was read before that is not acted on after it.
    #[serde(default)]
    pub forgotten: u64,
}

impl Administration {
    #[expect(clippy::unnecessary_wraps, reason = "deciders share one signature")]
    fn decide(&self, command: AdministrationCommand) -> Result<Vec<AdministrationEvent>, Refusal> {
        let AdministrationCommand::Note(event) = command;
        Ok(vec![event])
    }

    /// Takes a fact.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "all states take facts by value")]
    pub fn evolve(self, event: AdministrationEvent) -> Self {
        let forgotten = match event {
            AdministrationEvent::PersonForgotten { .. }
            | AdministrationEvent::OrderForgotten { .. }
            | AdministrationEvent::ConnectionForgotten { .. } => 1,
            _ => 0,
        };
        Self { forgotten: self.forgotten + forgotten }
    }
}

aggregate!(Administration, (), AdministrationEvent, AdministrationCommand, Refusal);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_counted_how_often_somebody_was_forgotten_and_nothing_else() {
        let person = PersonId::new("00112233445566778899aabbccddeeff").expect("a name");
        let state = Administration::default()
            .evolve(AdministrationEvent::PersonForgotten { person: person.clone() })
            .evolve(AdministrationEvent::PersonShown { person: person.clone() })
            .evolve(AdministrationEvent::PersonForgotten { person })
            .evolve(AdministrationEvent::OrderForgotten { order: OrderId(Uuid::nil()) })
            .evolve(AdministrationEvent::ConnectionForgotten { connection: ConnectionId(Uuid::nil()) });
        assert_eq!(state.forgotten, 4);
    }
}
