//! Acting on what was found genuine: the delivery and its effects become true together, or it is kept as failed.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    delivery::{Delivery, DeliveryCommand, Outcome, Received},
    stream::Lookup,
    values::{DeliveryId, OrderId},
};
use serde_json::{Value, json};

use super::{
    super::{Caller, Operations, erasures},
    Answer, ReceiveError, Stages,
    effects::Effects,
};
use crate::{
    ledger::{Attachments, Decision, LedgerError},
    platforms::{Decoded, Fact, Genuine, Identity, Undecodable, adapter_of},
    queries::connections::Connected,
};

/// Which way a delivery came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Door {
    /// Its sender has just sent it.
    Front,
    /// It is looked at again.
    Replay,
    /// It is looked at again to see what would come of it; nothing is written.
    DryRun,
}

/// A genuine delivery.
#[derive(Clone)]
pub(in super::super) struct Arrived {
    pub(in super::super) connection: Arc<Connected>,
    pub(in super::super) delivery: DeliveryId,
    pub(in super::super) received: Received,
    /// When it was sent, or else came.
    pub(in super::super) at: DateTime<Utc>,
    pub(in super::super) caller: Caller,
    pub(in super::super) attachments: Attachments,
    pub(in super::super) door: Door,
    /// How often somebody had been forgotten before the bytes of a replay were read.
    pub(in super::super) forgotten: Option<u64>,
}

/// Which delivery this is, now that its body is understood.
///
/// An id that nobody signs can be put on a body that was seen before. Where such a body says how much stock there is and
/// not when that was so, its content is the delivery: the same words move stock once, whatever id they come under.
pub(super) fn identity(identity: &Identity, decoded: &Result<Decoded, Undecodable>, body: &[u8]) -> Identity {
    let timeless =
        |fact: &Fact| matches!(fact, Fact::StockObserved { at: None, .. } | Fact::StockAdjusted { .. });
    match decoded {
        Ok(Decoded::Facts(facts)) if !identity.signed && facts.iter().any(timeless) => {
            let external_id = crate::platforms::content_id(&[identity.topic.as_bytes(), body]);
            Identity { external_id, ..identity.clone() }
        }
        _ => identity.clone(),
    }
}

impl Operations {
    /// Takes a delivery in, with all that follows from it, in one transaction.
    pub(in super::super) async fn act(
        &self,
        mut arrived: Arrived,
        decoded: Result<Decoded, Undecodable>,
        stages: &Arc<Stages>,
    ) -> Result<Answer, ReceiveError> {
        if !matches!(&decoded, Ok(Decoded::Facts(facts)) if !facts.is_empty()) {
            self.name_person(&mut arrived).await?;
        }
        let facts = match decoded {
            Err(reason) => return self.fail(arrived, reason.0).await,
            Ok(Decoded::UnknownTopic) => {
                let (topic, connection) = (&arrived.received.topic, arrived.connection.id);
                tracing::warn!(topic, %connection, "a topic nobody here listens to");
                None
            }
            Ok(Decoded::Facts(facts)) => Some(facts),
        };
        let changes_products = facts.iter().flatten().any(|fact| matches!(fact, Fact::Product(_)));
        let order = facts.iter().flatten().find_map(Fact::order).cloned();
        let times = (arrived.at, self.ledger().clock().now());
        let prepared = Effects::prepare(self, &arrived.connection, facts, times).await;
        let effects = match prepared {
            Ok(effects) if arrived.door == Door::Front => effects,
            Ok(effects) => effects.again(),
            // 22: a value that no text can have, such as one with U+0000. That is the body's fault.
            Err(LedgerError::Database(sqlx::Error::Database(error)))
                if error.code().is_some_and(|code| code.starts_with("22")) =>
            {
                self.name_person(&mut arrived).await?;
                return self.fail(arrived, error.to_string()).await;
            }
            Err(LedgerError::Refused(refusal)) => {
                self.name_person(&mut arrived).await?;
                return self.fail(arrived, refusal.to_string()).await;
            }
            Err(error) => return Err(error.into()),
        };
        if !arrived.attachments.bodies.is_empty() {
            let place = (arrived.connection.tenant, arrived.connection.id);
            let named = match (effects.person(), order) {
                (Some(person), _) => Some(person.clone()),
                // Whoever placed it may stand where we do not look; it is found by the order then.
                (None, Some(order)) => self.name_of_order(place, OrderId::of(place.1, &order)).await?,
                (None, None) => None,
            };
            if named.is_some() {
                arrived.attachments.bodies.iter_mut().for_each(|body| body.person.clone_from(&named));
            }
        }
        stages.end(&stages.enriched);
        let mut reads = effects.reads();
        // Most deliveries, and most orders, are told of once; a dry run adds no entry that would show it if not.
        let mut fresh = vec![];
        if arrived.door == Door::Front {
            fresh = effects.new_orders();
            fresh.push(StreamId::Delivery(arrived.delivery));
        } else {
            reads.push(StreamId::Delivery(arrived.delivery));
            reads.push(StreamId::Administration);
        }
        let (again, timing) = (arrived.clone(), Arc::clone(stages));
        let submitted = self
            .submit_fresh(arrived.caller.clone(), reads, fresh, move |lookup, now| {
                let decision = decide(&arrived, &effects, lookup, now);
                timing.end(&timing.decided);
                decision
            })
            .await;
        if changes_products {
            self.directory.forget();
        }
        match submitted {
            Ok(receipt) => Ok(answer(&receipt.answer.value(), receipt.position)),
            Err(error) if erasures::is_under_way(&error) => Err(error.into()),
            Err(LedgerError::Refused(refusal)) => self.fail(again, refusal.to_string()).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Notes whom the bytes tell of that no fact tells of, so that they are found once that person is to be forgotten.
    async fn name_person(&self, arrived: &mut Arrived) -> Result<(), ReceiveError> {
        let Arrived { connection, received, at, attachments, .. } = arrived;
        for kept in &mut attachments.bodies {
            let (body, details) = (&*kept.body, &connection.details);
            let genuine = Genuine { topic: &received.topic, body, at: *at, details };
            if let Some(person) = adapter_of(details.platform).person(&genuine) {
                kept.person = match self.name_of(connection, &person).await {
                    // What cannot be named for the moment is found by its address.
                    Err(LedgerError::Refused(_)) => None,
                    named => named?,
                };
            }
        }
        Ok(())
    }

    /// Keeps what cannot be acted on, bytes and all; of one that was acted on before there is less left to say.
    async fn fail(&self, arrived: Arrived, reason: String) -> Result<Answer, ReceiveError> {
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(1_000).collect();
        if arrived.door == Door::DryRun {
            return Ok(Answer::Failed { reason });
        }
        let (delivery, caller, why) = (arrived.delivery, arrived.caller.clone(), reason.clone());
        let receipt = self
            .submit(caller, vec![StreamId::Delivery(delivery)], move |lookup, _| {
                let state = lookup.delivery(&delivery);
                if state.done {
                    return repeated(&arrived, state);
                }
                let Arrived { received, attachments, .. } = &arrived;
                let known = state.failure.as_ref() == Some(&why);
                let command = DeliveryCommand::Fail { received: received.clone(), reason: why.clone() };
                let events = verdict(&delivery, state, command)?;
                Ok(Decision {
                    answer: json!({ "known": known }).into(),
                    attachments: if events.is_empty() { Attachments::default() } else { attachments.clone() },
                    changes: events.into_iter().map(|e| (StreamId::Delivery(delivery), e.into())).collect(),
                    ..Decision::default()
                })
            })
            .await?;
        metrics::counter!("onhand_webhooks_failed_total").increment(1);
        let told = receipt.answer.value();
        Ok(match answer(&told, receipt.position) {
            Answer::Processed { .. } if told["known"] == true => Answer::DeadLetter,
            Answer::Processed { .. } => Answer::Failed { reason },
            duplicate => duplicate,
        })
    }
}

fn answer(value: &Value, position: i64) -> Answer {
    if value["duplicate"] == true {
        return Answer::Duplicate { contradicted: value["contradicted"] == true };
    }
    Answer::Processed { position }
}

/// All that follows, or what is left to say about a delivery that was acted on before.
fn decide(
    arrived: &Arrived,
    effects: &Effects,
    lookup: &Lookup<'_>,
    now: DateTime<Utc>,
) -> Result<Decision, Refusal> {
    let Arrived { delivery, received, door, .. } = arrived;
    let forgotten_since = |before: u64| before != lookup.administration().forgotten;
    if effects.person().is_some() && arrived.forgotten.is_some_and(forgotten_since) {
        return Err(erasures::under_way()); // Its bytes may have been destroyed since they were read.
    }
    let state = lookup.delivery(delivery);
    if state.done && !(*door != Door::Front && state.unmapped) {
        return repeated(arrived, state);
    }
    let effected = effects.decide(lookup, now)?;
    let (outcome, notes) = (effected.outcome, effected.notes);
    if *door == Door::DryRun {
        return Ok(Decision { answer: json!({ "outcome": outcome }).into(), ..Decision::default() });
    }
    let (received, answer) = (received.clone(), json!({ "outcome": outcome }));
    let command = match door {
        Door::Front => DeliveryCommand::Complete { received, outcome, notes },
        Door::Replay | Door::DryRun => DeliveryCommand::Replay { received, outcome, notes },
    };
    let mut changes = effected.changes;
    let in_vain = state.unmapped && outcome == Outcome::Unmapped && changes.is_empty();
    let stream = StreamId::Delivery(*delivery);
    changes
        .extend(verdict(delivery, state, command)?.into_iter().map(|event| (stream.clone(), event.into())));
    let mut attachments = arrived.attachments.clone();
    attachments.person_keys = effected.person_keys;
    // What it hints at beside what nobody knows was noted when it came; a look in vain does not repeat it.
    let follow_ups = effected.follow_ups.into_iter().filter(|_| !in_vain);
    attachments.follow_ups.extend(follow_ups.map(|mut follow_up| {
        follow_up.delivery = delivery.0;
        follow_up.correlation_id.clone_from(&arrived.caller.context.correlation_id);
        follow_up
    }));
    Ok(Decision { changes, answer: answer.into(), attachments, ..Decision::default() })
}

fn repeated(arrived: &Arrived, state: &Delivery) -> Result<Decision, Refusal> {
    let Arrived { delivery, received, .. } = arrived;
    let contradicted = state.contradicts(received);
    let mut changes = vec![];
    if contradicted && arrived.door == Door::Front {
        let command = DeliveryCommand::Complete {
            received: received.clone(),
            outcome: Outcome::Unchanged,
            notes: vec![],
        };
        let noted = verdict(delivery, state, command)?;
        changes.extend(noted.into_iter().map(|event| (StreamId::Delivery(*delivery), event.into())));
    }
    let answer = json!({ "duplicate": true, "contradicted": contradicted });
    Ok(Decision { changes, answer: answer.into(), ..Decision::default() })
}
