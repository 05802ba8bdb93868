//! Deliveries: one webhook as its sender meant it, whatever came of it, however often it arrived.

use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    aggregate::aggregate,
    connection::Platform,
    values::{ConnectionId, DeliveryId},
};

/// What was delivered, by whom. The bytes themselves are kept beside the ledger, under their hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Through which connection.
    pub connection: ConnectionId,
    /// In whose wire format.
    pub platform: Platform,
    /// The platform's word for what happened: `orders/create`.
    pub topic: String,
    /// The platform's id of the delivery, or the key made from its content.
    pub external_id: String,
    /// SHA-256 of the raw body, in hex.
    pub body_sha256: String,
    /// Length of the raw body in bytes.
    pub body_bytes: i64,
    /// The sender's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_address: Option<String>,
    /// The sender's user agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// What came of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Something changed.
    Applied,
    /// It told us what we had told them.
    Echo,
    /// It was understood and changed nothing: old news, or nothing new.
    Unchanged,
    /// It speaks of variants or products we do not know.
    Unmapped,
    /// We have no use for this topic.
    Ignored,
}

impl Outcome {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Echo => "echo",
            Self::Unchanged => "unchanged",
            Self::Unmapped => "unmapped",
            Self::Ignored => "ignored",
        }
    }
}

/// What has happened to a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryEvent {
    /// The delivery was understood and acted on.
    #[serde(rename = "delivery.completed")]
    Completed {
        /// What was delivered.
        #[serde(flatten)]
        received: Received,
        /// What came of it.
        outcome: Outcome,
        /// For people: what was done, what was left.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// The same id came again with another body. That body was not acted on.
    #[serde(rename = "delivery.contradicted")]
    Contradicted {
        /// What came.
        #[serde(flatten)]
        received: Received,
    },
    /// The delivery was genuine, but could not be acted on.
    #[serde(rename = "delivery.failed")]
    Failed {
        /// What was delivered.
        #[serde(flatten)]
        received: Received,
        /// Why.
        reason: String,
    },
}

/// What one may ask of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryCommand {
    /// Close it as understood; if it is closed already, all that is noted is that its body was another one.
    Complete {
        /// What was delivered.
        received: Received,
        /// What came of it.
        outcome: Outcome,
        /// For people.
        notes: Vec<String>,
    },
    /// Close it as understood on second sight: one that failed, or that spoke of what nobody knew then.
    Replay {
        /// What was delivered.
        received: Received,
        /// What came of it.
        outcome: Outcome,
        /// For people.
        notes: Vec<String>,
    },
    /// Note that it could not be acted on; nothing happens if that is known, for this very reason.
    Fail {
        /// What was delivered.
        received: Received,
        /// Why.
        reason: String,
    },
}

/// A delivery as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// True once it was understood; a repeat is then a duplicate.
    pub done: bool,
    /// True if it spoke of variants or products we did not know.
    #[serde(default)]
    pub unmapped: bool,
    /// Why it failed last, if it did.
    pub failure: Option<String>,
    /// SHA-256 of the body that was acted on, in hex; none if that is not known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_sha256: Option<Box<str>>,
    /// True once another body has come under the same id.
    #[serde(default)]
    pub contradicted: bool,
}

impl Delivery {
    #[expect(clippy::unnecessary_wraps, reason = "deciders share one signature")]
    fn decide(&self, command: DeliveryCommand) -> Result<Vec<DeliveryEvent>, Refusal> {
        Ok(match command {
            DeliveryCommand::Complete { received, .. }
                if self.contradicts(&received) && !self.contradicted =>
            {
                vec![DeliveryEvent::Contradicted { received }]
            }
            // Still unknown: that is no news.
            DeliveryCommand::Replay { outcome: Outcome::Unmapped, .. } if self.unmapped => vec![],
            DeliveryCommand::Replay { received, outcome, notes } if self.unmapped => {
                vec![DeliveryEvent::Completed { received, outcome, notes }]
            }
            _ if self.done => vec![],
            DeliveryCommand::Complete { received, outcome, notes }
            | DeliveryCommand::Replay { received, outcome, notes } => {
                vec![DeliveryEvent::Completed { received, outcome, notes }]
            }
            DeliveryCommand::Fail { reason, .. } if self.failure.as_ref() == Some(&reason) => {
                vec![]
            }
            DeliveryCommand::Fail { received, reason } => {
                vec![DeliveryEvent::Failed { received, reason }]
            }
        })
    }

    /// Whether this body is another one than the one that was acted on under the same id.
    pub fn contradicts(&self, received: &Received) -> bool {
        self.done && self.body_sha256.as_deref().is_some_and(|known| *known != *received.body_sha256)
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(mut self, event: DeliveryEvent) -> Self {
        match event {
            DeliveryEvent::Completed { received, outcome, .. } => {
                self.done = true;
                self.unmapped = outcome == Outcome::Unmapped;
                self.failure = None;
                self.body_sha256 = Some(received.body_sha256.into());
            }
            DeliveryEvent::Contradicted { .. } => self.contradicted = true,
            DeliveryEvent::Failed { reason, .. } => self.failure = Some(reason),
        }
        self
    }
}

aggregate!(Delivery, DeliveryId, DeliveryEvent, DeliveryCommand, Refusal);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::scenario::given;

    #[test]
    fn an_outcome_has_one_name() {
        use Outcome::{Applied, Echo, Ignored, Unchanged, Unmapped};
        for outcome in [Applied, Echo, Unchanged, Unmapped, Ignored] {
            assert_eq!(serde_json::to_value(outcome).expect("JSON"), outcome.name());
        }
    }

    const D: DeliveryId = DeliveryId(Uuid::from_u128(1));

    fn received() -> Received {
        Received {
            connection: ConnectionId(Uuid::from_u128(2)),
            platform: Platform::Shopify,
            topic: "orders/create".into(),
            external_id: "one".into(),
            body_sha256: "00".into(),
            body_bytes: 2,
            source_address: None,
            user_agent: None,
        }
    }

    fn complete() -> DeliveryCommand {
        DeliveryCommand::Complete { received: received(), outcome: Outcome::Applied, notes: vec![] }
    }

    fn completed() -> DeliveryEvent {
        DeliveryEvent::Completed { received: received(), outcome: Outcome::Applied, notes: vec![] }
    }

    fn failed(reason: &str) -> DeliveryEvent {
        DeliveryEvent::Failed { received: received(), reason: reason.into() }
    }

    fn fail(reason: &str) -> DeliveryCommand {
        DeliveryCommand::Fail { received: received(), reason: reason.into() }
    }

    #[test]
    fn a_delivery_is_done_once() {
        given::<Delivery>(D, []).when(complete()).then([completed()]);
        given::<Delivery>(D, [completed()]).when(complete()).then([]);
        given::<Delivery>(D, [completed()]).when(fail("too late")).then([]);
    }

    #[test]
    fn another_body_under_the_same_id_is_noted_once_and_not_acted_on() {
        let other = Received { body_sha256: "11".into(), ..received() };
        let again = || DeliveryCommand::Complete {
            received: other.clone(),
            outcome: Outcome::Applied,
            notes: vec![],
        };
        let noted = DeliveryEvent::Contradicted { received: other.clone() };
        given::<Delivery>(D, [completed()]).when(again()).then([noted.clone()]);
        given::<Delivery>(D, [completed(), noted]).when(again()).then([]);
    }

    #[test]
    fn a_replay_is_for_what_failed_or_was_not_understood_yet() {
        let replay =
            || DeliveryCommand::Replay { received: received(), outcome: Outcome::Applied, notes: vec![] };
        let unmapped =
            DeliveryEvent::Completed { received: received(), outcome: Outcome::Unmapped, notes: vec![] };
        given::<Delivery>(D, [completed()]).when(replay()).then([]);
        given::<Delivery>(D, [failed("no id")]).when(replay()).then([completed()]);
        let still = DeliveryCommand::Replay {
            received: received(),
            outcome: Outcome::Unmapped,
            notes: vec!["x".into()],
        };
        given::<Delivery>(D, [unmapped.clone()]).when(still).then([]);
        given::<Delivery>(D, [unmapped]).when(replay()).then([completed()]);
    }

    #[test]
    fn a_failed_delivery_may_still_be_done() {
        given::<Delivery>(D, [failed("no id")]).when(complete()).then([completed()]);
    }

    #[test]
    fn the_same_failure_is_noted_once_and_another_one_again() {
        given::<Delivery>(D, [failed("no id")]).when(fail("no id")).then([]);
        given::<Delivery>(D, [failed("no id")]).when(fail("no lines")).then([failed("no lines")]);
    }
}
