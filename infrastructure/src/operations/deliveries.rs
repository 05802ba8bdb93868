//! The front door: a request in, checked in order, the cheap checks first; what is genuine goes on to the act of taking it in.

mod act;
mod blot;
mod effects;
mod replay;
mod steps;

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map::Entry},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, header::USER_AGENT};
use chrono::{DateTime, Utc};
use onhand_domain::{
    Refusal,
    connection::{ConnectionDetails, Platform},
    delivery::Received,
    values::{ConnectionId, DeliveryId},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use self::replay::{Replay, ReplayFilter, Replayed};
use self::{
    act::{Arrived, Door},
    blot::blot,
};
pub(super) use self::{effects::Effects, steps::PriceNews};
use super::{Caller, Operations, rates::Counted, rates::Wait};
use crate::{
    believed::Believed,
    ledger::{Attachments, Context, DeliveryBody, LedgerError},
    observation::Trace,
    platforms::{Genuine, Identity, Inbound, Rejection, adapter_of},
    queries::connections::{Connected, connected, connected_accounts, connected_to},
    secrets::Secret,
};

/// How long a connection is believed to be as it was looked up.
const BELIEVED: Duration = Duration::from_secs(3);
const CONNECTIONS_MAX: usize = 10_000;

/// Connections looked up lately, by id.
pub(super) type Connections = Believed<ConnectionId, Arc<Connected>>;
/// Connections looked up lately, by platform: for requests that name none.
pub(super) type Candidates = Believed<Platform, Arc<[Arc<Connected>]>>;

pub(super) fn no_connections() -> Connections {
    Believed::new(BELIEVED, CONNECTIONS_MAX)
}

pub(super) fn no_candidates() -> Candidates {
    Believed::new(BELIEVED, Platform::ALL.len())
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// All of them.
    pub headers: HeaderMap,
    /// The very bytes the signature covers.
    pub body: Arc<[u8]>,
    /// The address it was sent to, as its sender knows it.
    pub url: String,
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
    Duplicate {
        /// True if its body is not the one that was acted on.
        contradicted: bool,
    },
    /// The platform has only tried the address; there is nothing to keep.
    Greeted,
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
    /// More came than may come in a minute.
    #[error("more requests than may come in a minute; try again in {} seconds", .0.0)]
    Limited(Wait),
    /// It is not from who it says it is.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Nobody can tell whose it is. That is not the sender's fault, and will not last.
    #[error(
        "the connection's webhook secret cannot be opened; nothing was taken in, send it again when that is mended"
    )]
    Sealed,
    /// The ledger could not take it; nothing was written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
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

/// When the stages of a request ended, in microseconds since it came. Filled in as it goes; also from within decisions.
pub(super) struct Stages {
    begun: Instant,
    pub(super) verified: AtomicI64,
    pub(super) enriched: AtomicI64,
    pub(super) decided: AtomicI64,
}

impl Stages {
    pub(super) fn begin() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            verified: AtomicI64::default(),
            enriched: AtomicI64::default(),
            decided: AtomicI64::default(),
        })
    }

    fn now_us(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    pub(super) fn end(&self, stage: &AtomicI64) {
        stage.store(self.now_us(), Ordering::Relaxed);
    }
}

/// What is known of a request by the time it is answered.
struct Seen {
    at: DateTime<Utc>,
    connection: Option<Arc<Connected>>,
    delivery: Option<DeliveryId>,
    topic: Option<String>,
}

impl Operations {
    /// Receives a webhook: verified bytes in, entries and outbox rows in one transaction, an answer out.
    ///
    /// Without `id` the path names no connection; the secret that signed it does.
    pub async fn receive(
        &self,
        platform: Platform,
        id: Option<ConnectionId>,
        request: Request,
    ) -> Result<Answer, ReceiveError> {
        let stages = Stages::begin();
        let now = self.ledger().clock().now();
        let mut seen = Seen { at: now, connection: None, delivery: None, topic: None };
        let answer = self.let_in(platform, id, &request, &mut seen, &stages).await;
        self.observe(platform, &request, seen, &stages, &answer);
        answer
    }

    /// The same operations, which believe whoever sends a webhook; for people who try things out.
    #[must_use]
    pub fn without_signatures(&self) -> Self {
        Self { skip_signatures: true, ..self.clone() }
    }

    /// What a connection is, and what its webhooks are signed with; for people who try things out.
    pub async fn signing(
        &self,
        id: ConnectionId,
    ) -> Result<Option<(ConnectionDetails, String)>, LedgerError> {
        let Some(connection) = connected(self.ledger().pool(), id).await? else { return Ok(None) };
        if self.is_sealed(&connection) {
            let detail =
                format!("the webhook secret of connection {id} cannot be opened; a master key is missing");
            return Err(Refusal::conflict("connection.secret", detail).into());
        }
        let secrets = self.webhook_secrets(&connection);
        Ok(secrets.into_iter().next().map(|secret| (connection.details, secret.reveal().to_owned())))
    }

    async fn let_in(
        &self,
        platform: Platform,
        id: Option<ConnectionId>,
        request: &Request,
        seen: &mut Seen,
        stages: &Arc<Stages>,
    ) -> Result<Answer, ReceiveError> {
        let address = request.source_address.map(Counted::Address);
        let genuine = match id {
            Some(id) => self.genuine_for(platform, id, request, seen).await,
            None => self.genuine_for_any(platform, request, seen).await,
        };
        if let (
            Err(ReceiveError::Rejected(_) | ReceiveError::UnknownConnection | ReceiveError::Sealed),
            Some(address),
        ) = (&genuine, address)
        {
            // Counted by address, and only now: behind one address may be genuine senders, too.
            self.rates.admit(self.ledger().pool(), address, seen.at).await.map_err(ReceiveError::Limited)?;
        }
        let Some(connection) = genuine? else { return Ok(Answer::Greeted) };
        stages.end(&stages.verified);
        self.take_in(&connection, request, seen, stages).await
    }

    /// The connection, if the request is within its rate and genuine; none if it is but a greeting.
    async fn genuine_for(
        &self,
        platform: Platform,
        id: ConnectionId,
        request: &Request,
        seen: &mut Seen,
    ) -> Result<Option<Arc<Connected>>, ReceiveError> {
        let pool = self.ledger().pool();
        let known = self
            .connections
            .find_or_ask(pool, id, async |id| Ok(connected(pool, *id).await?.map(Arc::new)))
            .await?
            .filter(|connection| connection.details.platform == platform)
            .ok_or(ReceiveError::UnknownConnection)?;
        if adapter_of(platform).is_greeting(&inbound(&known, request, &[], seen.at)) {
            return Ok(None);
        }
        seen.connection = Some(Arc::clone(&known));
        let counted = Counted::Connection(id);
        self.rates.admit(pool, counted, seen.at).await.map_err(ReceiveError::Limited)?;
        self.verify(&known, request, seen.at).inspect_err(|_| self.rates.give_back(counted))?;
        Ok(Some(known))
    }

    /// The connection whose secret signed the request.
    async fn genuine_for_any(
        &self,
        platform: Platform,
        request: &Request,
        seen: &mut Seen,
    ) -> Result<Option<Arc<Connected>>, ReceiveError> {
        let pool = self.ledger().pool();
        let candidates = self
            .candidates
            .find_or_ask(pool, platform, async |platform| {
                let found = connected_to(pool, *platform).await?;
                Ok(Some(found.into_iter().map(Arc::new).collect()))
            })
            .await?
            .unwrap_or_default();
        let mut rejection = ReceiveError::UnknownConnection;
        for connection in candidates.iter() {
            match self.verify(connection, request, seen.at) {
                Ok(()) => {
                    seen.connection = Some(Arc::clone(connection));
                    let counted = Counted::Connection(connection.id);
                    self.rates.admit(pool, counted, seen.at).await.map_err(ReceiveError::Limited)?;
                    return Ok(Some(Arc::clone(connection)));
                }
                // That one's secret does not open says more than that others have not made the signature.
                Err(why) if !matches!(rejection, ReceiveError::Sealed) => rejection = why,
                Err(_) => {}
            }
        }
        Err(rejection)
    }

    fn verify(
        &self,
        connection: &Connected,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<(), ReceiveError> {
        if self.skip_signatures {
            tracing::warn!(connection = %connection.id, "nobody looked who sent this webhook");
            return Ok(());
        }
        let secrets = self.webhook_secrets(connection);
        let verified =
            adapter_of(connection.details.platform).verify(&inbound(connection, request, &secrets, now));
        match verified {
            Ok(()) if !secrets.is_empty() => Ok(()),
            // What is let in without any secret is for accounts that have none.
            Ok(()) | Err(Rejection::BadSignature) if self.is_sealed(connection) => Err(ReceiveError::Sealed),
            verified => verified.map_err(ReceiveError::Rejected),
        }
    }

    /// Whether there is a webhook secret that cannot be opened. An older one that can be does not stand for it.
    fn is_sealed(&self, connection: &Connected) -> bool {
        let current = connection.secret("webhook_secret");
        current.is_some_and(|sealed| self.keys.open(connection.tenant, sealed).is_err())
    }

    /// What was verified becomes one batch of entries: the delivery and its effects. A body that speaks of other
    /// accounts as well is taken in for each of them that is connected.
    async fn take_in(
        &self,
        connection: &Arc<Connected>,
        request: &Request,
        seen: &mut Seen,
        stages: &Arc<Stages>,
    ) -> Result<Answer, ReceiveError> {
        let adapter = adapter_of(connection.details.platform);
        let kept = self.as_kept(connection, request);
        let request = &*kept;
        let identity = adapter.identify(&inbound(connection, request, &[], seen.at))?;
        seen.topic = Some(identity.topic.clone());
        let at = identity.sent_at.unwrap_or(seen.at).min(seen.at);
        let genuine = genuine(connection, &identity, &request.body, at);
        let others = adapter.other_accounts(&genuine);
        let mut worst = self.arrive(connection, request, &identity, at, seen, stages).await?;
        if others.is_empty() {
            return Ok(worst);
        }
        let platform = connection.details.platform;
        let found = connected_accounts(self.ledger().pool(), connection.tenant, platform, &others).await?;
        let mut sealed = false;
        for sibling in found {
            if sibling.id == connection.id {
                continue;
            }
            // Each by its own secret: whoever may speak for one account may not speak for another by naming it.
            match self.verify(&sibling, request, seen.at) {
                Ok(()) => {
                    let sibling = Arc::new(sibling);
                    let answer = self.arrive(&sibling, request, &identity, at, seen, stages).await?;
                    if matches!(answer, Answer::Failed { .. }) {
                        worst = answer;
                    }
                }
                // For one that is switched off the others are not kept waiting, maybe for ever.
                Err(ReceiveError::Sealed) => sealed |= sibling.enabled,
                Err(_) => {}
            }
        }
        // Then it has to come again, and what was taken in is a duplicate.
        if sealed { Err(ReceiveError::Sealed) } else { Ok(worst) }
    }

    async fn arrive(
        &self,
        connection: &Arc<Connected>,
        request: &Request,
        identity: &Identity,
        at: DateTime<Utc>,
        seen: &mut Seen,
        stages: &Arc<Stages>,
    ) -> Result<Answer, ReceiveError> {
        let adapter = adapter_of(connection.details.platform);
        let genuine = genuine(connection, identity, &request.body, at);
        let (decoded, anothers) = (adapter.decode(&genuine), adapter.is_anothers(&genuine));
        let identity = act::identity(identity, &decoded, &request.body);
        let delivery = DeliveryId::of(connection.id, &identity.external_id);
        seen.delivery.get_or_insert(delivery);
        let body = (!anothers).then(|| DeliveryBody {
            delivery: delivery.0,
            headers: self.kept_headers(connection, request),
            body: Arc::clone(&request.body),
            person: None,
        });
        let arrived = Arrived {
            connection: Arc::clone(connection),
            delivery,
            received: received(connection, request, &identity),
            at,
            caller: Caller::new(context(connection, request, delivery)),
            // Whom another account's body tells of, nobody could find here.
            attachments: Attachments { bodies: body.into_iter().collect(), ..Attachments::default() },
            door: Door::Front,
            forgotten: None,
        };
        self.act(arrived, decoded, stages).await
    }

    /// The request with the bytes that are kept and understood. A platform that cannot sign may have its secret in the body;
    /// that is for nobody to read, nor to guess from a hash of it.
    fn as_kept<'r>(&self, connection: &Connected, request: &'r Request) -> Cow<'r, Request> {
        if connection.details.platform != Platform::Tradingview {
            return Cow::Borrowed(request);
        }
        let mut body = request.body.to_vec();
        blot(&mut body, &self.webhook_secrets(connection));
        Cow::Owned(Request { body: body.into(), ..request.clone() })
    }

    /// The headers that are kept, without what a thief could use: a proxy may repeat an address that ends with a secret.
    fn kept_headers(&self, connection: &Connected, request: &Request) -> String {
        let headers = masked(&request.headers);
        if connection.details.platform != Platform::Tradingview {
            return headers;
        }
        let mut headers = headers.into_bytes();
        blot(&mut headers, &self.webhook_secrets(connection));
        String::from_utf8_lossy(&headers).into_owned()
    }

    fn observe(
        &self,
        platform: Platform,
        request: &Request,
        seen: Seen,
        stages: &Stages,
        answer: &Result<Answer, ReceiveError>,
    ) {
        let result = match answer {
            Ok(Answer::Processed { .. }) => "processed",
            Ok(Answer::Duplicate { .. }) => "duplicate",
            Ok(Answer::DeadLetter) => "dead_letter",
            Ok(Answer::Greeted) => "greeted",
            Ok(Answer::Failed { .. }) => "failed",
            Err(ReceiveError::Rejected(_)) => "rejected",
            Err(ReceiveError::Limited(_)) => "limited",
            Err(ReceiveError::UnknownConnection) => "unknown_connection",
            Err(ReceiveError::Ledger(_) | ReceiveError::Sealed) => "unavailable",
        };
        let platform = platform.name();
        metrics::counter!("onhand_webhooks_total", "platform" => platform, "result" => result).increment(1);
        metrics::histogram!("onhand_webhook_seconds", "platform" => platform)
            .record(stages.begun.elapsed().as_secs_f64());
        let Some(connection) = seen.connection else { return };
        let total = stages.now_us();
        // A stage that was not reached took no time.
        let verified = Some(stages.verified.load(Ordering::Relaxed)).filter(|at| *at > 0).unwrap_or(total);
        let enriched = stages.enriched.load(Ordering::Relaxed).max(verified);
        let decided = stages.decided.load(Ordering::Relaxed).max(enriched);
        self.observer.record(Trace {
            tenant: connection.tenant,
            at: seen.at,
            id: Uuid::now_v7(),
            connection: connection.id,
            delivery: seen.delivery,
            platform,
            topic: seen.topic.as_deref().map(printable),
            result,
            correlation_id: request.correlation_id.clone(),
            source_address: request.source_address.map(|address| address.to_string()),
            user_agent: user_agent(request),
            body_bytes: request.body.len() as i64,
            verifying_us: verified,
            enriching_us: enriched - verified,
            deciding_us: decided - enriched,
            executing_us: (total - decided).max(0),
            total_us: total,
        });
    }
}

fn inbound<'r>(
    connection: &'r Connected,
    request: &'r Request,
    secrets: &'r [Secret],
    now: DateTime<Utc>,
) -> Inbound<'r> {
    Inbound {
        headers: &request.headers,
        body: &request.body,
        url: &request.url,
        now,
        details: &connection.details,
        secrets,
    }
}

fn genuine<'r>(
    connection: &'r Connected,
    identity: &'r Identity,
    body: &'r [u8],
    at: DateTime<Utc>,
) -> Genuine<'r> {
    Genuine { topic: &identity.topic, body, at, details: &connection.details }
}

fn received(connection: &Connected, request: &Request, identity: &Identity) -> Received {
    Received {
        connection: connection.id,
        platform: connection.details.platform,
        topic: printable(&identity.topic),
        external_id: printable(&identity.external_id),
        body_sha256: hex::encode(Sha256::digest(&request.body)),
        body_bytes: request.body.len() as i64,
        source_address: request.source_address.map(|address| address.to_string()),
        user_agent: user_agent(request),
    }
}

fn user_agent(request: &Request) -> Option<String> {
    request.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map(printable)
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
        address: None,
        correlation_id: request.correlation_id.clone(),
        causation_id: Some(delivery.to_string()),
        traceparent: request.traceparent.clone(),
    }
}

/// Headers as JSON text, without what a thief could use.
pub fn masked(headers: &HeaderMap) -> String {
    const SECRET: [&str; 8] = ["auth", "cookie", "secret", "token", "hmac", "signature", "key", "password"];
    let shown = headers.iter().map(|(name, value)| {
        let name = name.as_str();
        if SECRET.iter().any(|word| name.contains(word)) {
            return (name, Cow::Borrowed("***"));
        }
        let text = String::from_utf8_lossy(value.as_bytes());
        (name, if text.contains('\0') { text.replace('\0', "").into() } else { text })
    });
    let mut headers: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
    for (name, value) in shown {
        // As HTTP has it for one that comes several times.
        match headers.entry(name) {
            Entry::Vacant(entry) => _ = entry.insert(value),
            Entry::Occupied(mut entry) => *entry.get_mut().to_mut() += &format!(", {value}"),
        }
    }
    serde_json::to_string(&headers).unwrap_or_else(|_| "{}".to_owned())
}
