//! Signals: what an outside observer wants said, kept in order for whoever reads them. They move nothing here.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Refusal, aggregate::aggregate, values::ConnectionId};

/// What has happened to a connection's signals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalEvent {
    /// An observer raised a signal.
    #[serde(rename = "signal.raised")]
    Raised {
        /// What it is about: a ticker, a name.
        subject: String,
        /// All of it, as it came, without secrets.
        payload: Value,
    },
}

/// What one may ask of a connection's signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignalCommand {
    /// Keep one more.
    Raise {
        /// What it is about.
        subject: String,
        /// All of it.
        payload: Value,
    },
}

/// The signals of a connection: nothing that a decision needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signals {}

impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "deciders share one signature")]
    fn decide(&self, command: SignalCommand) -> Result<Vec<SignalEvent>, Refusal> {
        let SignalCommand::Raise { subject, payload } = command;
        Ok(vec![SignalEvent::Raised { subject, payload }])
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(self, _: SignalEvent) -> Self {
        self
    }
}

aggregate!(Signals, ConnectionId, SignalEvent, SignalCommand, Refusal);
