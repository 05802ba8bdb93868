//! Receive a webhook: verified bytes in, entries and outbox rows in one transaction, an answer out.

mod effects;

use std::{net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, header::USER_AGENT};
use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    connection::Platform,
    delivery::{DeliveryCommand, Received},
    values::{ConnectionId, DeliveryId},
};
use serde_json::json;
use sha2::{Digest, Sha256};

use self::effects::Effects;
use super::{Caller, Operations};
use crate::{
    ledger::{Attachments, Context, Decision, DeliveryBody, LedgerError},
    platforms::{Decoded, Fact, Identity, Rejection, kicksdb, shopify},
    queries::connections::{Connected, connected, connected_to},
    secrets::Secret,
};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// All of them.
    pub headers: HeaderMap,
    /// The very bytes the signature covers.
    pub body: Arc<[u8]>,
    /// Who sent it.
    pub source_address: Option<IpAddr>,
    /// Stands on everything that follows.
    pub correlation_id: String,
    /// W3C trace context, as sent.
    pub traceparent: Option<String>,
}

/// What the sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was acted on; durable.
    Processed {
        /// Where its last entry stands.
        position: i64,
    },
    /// It was acted on before.
    Duplicate,
    /// It failed again as before; it is held, and sending it again is of no use.
    DeadLetter,
    /// It failed; it is held, and may be sent again.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Why a request did not get as far as the ledger.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// There is no such connection (or not on this platform).
    #[error("there is no such connection")]
    UnknownConnection,
    /// It is not from who it says it is.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The ledger could not take it; nothing was written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Operations {
    /// Receives a Shopify webhook for one connection.
    pub async fn receive_shopify(&self, id: ConnectionId, request: Request) -> Result<Answer, ReceiveError> {
        let connection = connected(self.ledger().pool(), id).await?;
        let connection = connection
            .filter(|connection| connection.details.platform == Platform::Shopify)
            .ok_or(ReceiveError::UnknownConnection)?;
        let secrets: Vec<Secret> = self.webhook_secret(&connection).into_iter().collect();
        shopify::inbound::verify(&request.headers, &request.body, &secrets)?;
        let identity = shopify::inbound::identify(&request.headers, &request.body)?;
        let sent = shopify::inbound::triggered_at(&request.headers);
        let sent = sent.unwrap_or_else(|| self.ledger().clock().now());
        let decoded = shopify::inbound::decode(&identity.topic, &request.body, sent, &connection.details);
        let decoded = decoded.map_err(|error| error.0);
        self.take_in(&connection, request, identity, decoded).await
    }

    /// Receives a KicksDB webhook. Its path names no connection; the secret that signed it does.
    pub async fn receive_kicksdb(
        &self,
        id: Option<ConnectionId>,
        request: Request,
    ) -> Result<Answer, ReceiveError> {
        let now = self.ledger().clock().now();
        let candidates = match id {
            Some(id) => connected(self.ledger().pool(), id).await?.into_iter().collect(),
            None => connected_to(self.ledger().pool(), Platform::Kicksdb).await?,
        };
        let mut rejection = None;
        for connection in candidates.iter().filter(|c| c.details.platform == Platform::Kicksdb) {
            let secrets: Vec<Secret> = self.webhook_secret(connection).into_iter().collect();
            match kicksdb::inbound::verify(&request.headers, &request.body, &secrets, now) {
                Ok(()) => {
                    let identity = kicksdb::inbound::identify(&request.headers, &request.body)?;
                    let decoded = kicksdb::inbound::decode(&request.body, now).map_err(|error| error.0);
                    return self.take_in(connection, request, identity, decoded).await;
                }
                Err(why) => rejection = Some(why),
            }
        }
        Err(rejection.map_or(ReceiveError::UnknownConnection, ReceiveError::Rejected))
    }

    /// What was verified becomes one batch of entries: the delivery and its effects.
    async fn take_in(
        &self,
        connection: &Connected,
        request: Request,
        identity: Identity,
        decoded: Result<Decoded, String>,
    ) -> Result<Answer, ReceiveError> {
        let delivery = DeliveryId::of(connection.id, &identity.external_id);
        let received = received(connection, &request, &identity);
        let attachments = Attachments {
            bodies: vec![DeliveryBody {
                delivery: delivery.0,
                headers: masked(&request.headers),
                body: Arc::clone(&request.body),
            }],
            ..Attachments::default()
        };
        let caller = Caller::new(context(connection, &request, delivery));
        let facts = match decoded {
            Err(reason) => return self.fail(caller, delivery, received, attachments, reason).await,
            Ok(Decoded::UnknownTopic) => {
                tracing::warn!(topic = %received.topic, connection = %connection.id, "a topic nobody here listens to");
                None
            }
            Ok(Decoded::Facts(facts)) => Some(facts),
        };
        let changes_products = facts.iter().flatten().any(|fact| matches!(fact, Fact::Product(_)));
        let effects = Effects::prepare(self.ledger().pool(), connection, facts).await?;
        let mut reads = effects.reads();
        reads.push(StreamId::Delivery(delivery));
        let (again, kept) = (received.clone(), attachments.clone());
        let submitted = self
            .submit(caller.clone(), reads, move |lookup, now| {
                let state = lookup.delivery(&delivery);
                if state.done {
                    return Ok(Decision {
                        answer: json!({ "duplicate": true }).into(),
                        ..Decision::default()
                    });
                }
                let (mut changes, outcome, notes) = effects.decide(lookup, now)?;
                let command = DeliveryCommand::Complete { received: received.clone(), outcome, notes };
                let stream = StreamId::Delivery(delivery);
                changes.extend(
                    verdict(&delivery, state, command)?
                        .into_iter()
                        .map(|event| (stream.clone(), event.into())),
                );
                Ok(Decision {
                    changes,
                    answer: json!({}).into(),
                    attachments: attachments.clone(),
                    ..Decision::default()
                })
            })
            .await;
        if changes_products {
            self.directory.forget();
        }
        match submitted {
            Ok(receipt) if receipt.answer.value()["duplicate"] == true => Ok(Answer::Duplicate),
            Ok(receipt) => Ok(Answer::Processed { position: receipt.position }),
            Err(LedgerError::Refused(refusal)) => {
                self.fail(caller, delivery, again, kept, refusal.to_string()).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps what cannot be acted on, bytes and all.
    async fn fail(
        &self,
        caller: Caller,
        delivery: DeliveryId,
        received: Received,
        attachments: Attachments,
        reason: String,
    ) -> Result<Answer, ReceiveError> {
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(1_000).collect();
        let why = reason.clone();
        let receipt = self
            .submit(caller, vec![StreamId::Delivery(delivery)], move |lookup, _| {
                let state = lookup.delivery(&delivery);
                let known = state.failure.as_ref() == Some(&why);
                let command = DeliveryCommand::Fail { received: received.clone(), reason: why.clone() };
                let events = verdict(&delivery, state, command)?;
                Ok(Decision {
                    answer: json!({ "done": state.done, "known": known }).into(),
                    attachments: if events.is_empty() { Attachments::default() } else { attachments.clone() },
                    changes: events.into_iter().map(|e| (StreamId::Delivery(delivery), e.into())).collect(),
                    ..Decision::default()
                })
            })
            .await?;
        metrics::counter!("onhand_webhooks_failed_total").increment(1);
        let answer = receipt.answer.value();
        Ok(match (&answer["done"], &answer["known"]) {
            (done, _) if *done == true => Answer::Duplicate,
            (_, known) if *known == true => Answer::DeadLetter,
            _ => Answer::Failed { reason },
        })
    }
}

fn received(connection: &Connected, request: &Request, identity: &Identity) -> Received {
    let agent = request.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    Received {
        connection: connection.id,
        platform: connection.details.platform,
        topic: printable(&identity.topic),
        external_id: printable(&identity.external_id),
        body_sha256: hex::encode(Sha256::digest(&request.body)),
        body_bytes: request.body.len() as i64,
        source_address: request.source_address.map(|address| address.to_string()),
        user_agent: agent.map(printable),
    }
}

/// What a sender calls things, as far as it can be kept and shown.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(250).collect()
}

fn context(connection: &Connected, request: &Request, delivery: DeliveryId) -> Context {
    Context {
        tenant: connection.tenant,
        actor: format!("connection:{}", connection.id),
        source: format!("webhook/{}", connection.details.platform),
        correlation_id: request.correlation_id.clone(),
        causation_id: Some(delivery.to_string()),
        traceparent: request.traceparent.clone(),
    }
}

/// Headers as JSON text, without what a thief could use.
fn masked(headers: &HeaderMap) -> String {
    let shown = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        let name = name.as_str();
        let secret =
            ["authorization", "cookie", "secret", "token", "hmac", "signature", "key", "password", "auth"];
        let text = if secret.iter().any(|word| name.contains(word)) {
            "***".to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).replace('\0', "")
        };
        (name.to_owned(), text)
    };
    let shown: std::collections::BTreeMap<_, _> = headers.iter().map(shown).collect();
    serde_json::to_string(&shown).unwrap_or_else(|_| "{}".to_owned())
}

impl From<Refusal> for ReceiveError {
    fn from(refusal: Refusal) -> Self {
        Self::Ledger(refusal.into())
    }
}

impl From<sqlx::Error> for ReceiveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Ledger(error.into())
    }
}
