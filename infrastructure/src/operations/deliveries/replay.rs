//! Replay: deliveries looked at again, from the bytes they came with.
//!
//! What failed may have failed for a reason that is gone; what nobody knew may be known by now.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use onhand_domain::values::{ConnectionId, DeliveryId, TenantId};
use serde::Serialize;
use uuid::Uuid;

use super::{Answer, Arrived, Door, ReceiveError, Stages};
use crate::{
    ledger::{Attachments, LedgerError, is_passing},
    operations::{Caller, Operations, erasures},
    platforms::{Decoded, Fact, Genuine, Inbound, adapter_of},
    queries::{
        connections::{Connected, connected},
        deliveries::{self, DeliveryBytes, Kept},
    },
};

/// Deliveries that one call looks at again.
pub(super) const REPLAY_MAX: i64 = 200;

/// Which dead letters to look at again.
#[derive(Debug, Clone, Default)]
pub struct ReplayFilter {
    /// These; all of them that the rest lets through, where nothing is said.
    pub ids: Option<Vec<Uuid>>,
    /// Of one connection.
    pub connection: Option<Uuid>,
    /// Of one platform.
    pub platform: Option<String>,
    /// About one topic.
    pub topic: Option<String>,
    /// That came before this time.
    pub before: Option<DateTime<Utc>>,
    /// Whether those that spoke of what nobody knew are meant, instead of those that failed.
    pub unmapped: bool,
    /// Without those of the market feed: the newest of its prices wait by themselves.
    pub but_prices: bool,
}

/// What is to be looked at again, and how.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// Which.
    pub filter: ReplayFilter,
    /// See what would come of it and write nothing.
    pub dry_run: bool,
    /// Those after this position, to go on where an earlier call has ended.
    pub after: i64,
    /// How many at most.
    pub limit: i64,
}

/// What came of one.
#[derive(Debug, Clone, Serialize)]
pub struct Replayed {
    /// The delivery.
    pub id: Uuid,
    /// Its position before; pass the last one as `after` to go on.
    pub was_at: i64,
    /// `processed`, `duplicate`, `failed`; with a dry run `would_process` or `would_fail`.
    pub result: &'static str,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The position of its last entry, if it was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
}

/// What came of a page of deliveries that spoke of what nobody knew.
pub(in super::super) struct ReplayedPage {
    /// The position to go on from, if there may be more.
    pub(in super::super) next: Option<i64>,
    /// Whether some were left alone for the moment, because they may tell of somebody who is just being forgotten.
    pub(in super::super) left: bool,
}

impl Operations {
    /// Looks at dead letters again, the oldest first. Says what came of each; one's trouble is not another's.
    pub async fn replay(&self, caller: &Caller, ask: &Replay) -> Result<Vec<Replayed>, LedgerError> {
        let limit = ask.limit.clamp(1, REPLAY_MAX);
        let (tenant, brand) = (caller.context.tenant, caller.brand.as_deref());
        let pages = (ask.after, i64::MAX);
        let kept = deliveries::kept(self.ledger().pool(), tenant, brand, &ask.filter, pages, limit).await?;
        let door = if ask.dry_run { Door::DryRun } else { Door::Replay };
        let mut replayed = Vec::with_capacity(kept.len());
        for delivery in kept {
            let (id, was_at) = (delivery.id, delivery.position);
            replayed.push(self.look_again(caller, delivery, door).await.unwrap_or_else(|error| {
                let reason = Some(error.to_string());
                Replayed { id, was_at, result: failure(door), reason, position: None }
            }));
        }
        Ok(replayed)
    }

    /// Looks again at deliveries of a tenant that spoke of what nobody knew, between two positions. Those of the market feed are
    /// left out: what is still worth knowing of them waits by itself.
    pub(in super::super) async fn replay_unmapped(
        &self,
        tenant: TenantId,
        caller: &Caller,
        (after, until): (i64, i64),
    ) -> Result<ReplayedPage, LedgerError> {
        let filter = ReplayFilter { unmapped: true, but_prices: true, ..ReplayFilter::default() };
        let pool = self.ledger().pool();
        let kept = deliveries::kept(pool, tenant, None, &filter, (after, until), REPLAY_MAX).await?;
        let next = kept.last().map(|delivery| delivery.position).filter(|_| kept.len() as i64 == REPLAY_MAX);
        let mut left = false;
        for delivery in kept {
            let id = delivery.id;
            match self.look_again(caller, delivery, Door::Replay).await {
                Err(error) if is_outage(&error) => return Err(error),
                Err(error) if erasures::is_under_way(&error) => left = true,
                Err(error) => tracing::warn!(%id, %error, "a delivery could not be looked at again"),
                Ok(_) => {}
            }
        }
        Ok(ReplayedPage { next, left })
    }

    async fn look_again(&self, caller: &Caller, kept: Kept, door: Door) -> Result<Replayed, LedgerError> {
        let was_at = kept.position;
        let replayed = |result, reason, position| Replayed { id: kept.id, was_at, result, reason, position };
        let failed = |reason: String| replayed(failure(door), Some(reason), None);
        let tenant = caller.context.tenant;
        let connection = connected(self.ledger().pool(), ConnectionId(kept.connection)).await?;
        let Some(connection) = connection.filter(|connection| connection.tenant == tenant) else {
            return Ok(failed("its connection is gone".to_owned()));
        };
        // Before the bytes are read: what is destroyed after that must not come back by them.
        let forgotten = match door {
            Door::Replay => self.forgotten_so_far(tenant).await?,
            Door::Front | Door::DryRun => None,
        };
        // One at a time: two hundred of them might not fit into memory.
        let Some(bytes) = deliveries::bytes(self.ledger().pool(), tenant, kept.id).await? else {
            let gone = "its bytes are gone: their time was over, or somebody they tell of was forgotten";
            return Ok(failed(gone.to_owned()));
        };
        let at = sent_at(&connection, &bytes).unwrap_or(bytes.received_at).min(bytes.received_at);
        let genuine = Genuine { topic: &kept.topic, body: &bytes.body, at, details: &connection.details };
        let decoded = adapter_of(connection.details.platform).decode(&genuine);
        let tells = |facts: &[Fact]| facts.iter().any(|fact| fact.person().is_some());
        if door == Door::Replay
            && forgotten.is_none()
            && matches!(&decoded, Ok(Decoded::Facts(facts)) if tells(facts))
        {
            return Err(erasures::under_way().into());
        }
        let mut caller = caller.clone();
        caller.idempotency = None;
        caller.context.causation_id = Some(kept.id.to_string());
        let arrived = Arrived {
            received: kept.received(connection.details.platform),
            connection: Arc::new(connection),
            delivery: DeliveryId(kept.id),
            at,
            caller,
            attachments: Attachments::default(),
            door,
            forgotten,
        };
        let dry = door == Door::DryRun;
        match self.act(arrived, decoded, &Stages::begin()).await {
            Ok(Answer::Processed { .. }) if dry => Ok(replayed("would_process", None, None)),
            Ok(Answer::Processed { position }) => Ok(replayed("processed", None, Some(position))),
            Ok(Answer::Duplicate { .. } | Answer::Greeted) => Ok(replayed("duplicate", None, None)),
            Ok(Answer::Failed { reason }) => Ok(failed(reason)),
            Ok(Answer::DeadLetter) => Ok(failed("as before".to_owned())),
            Err(ReceiveError::Ledger(error)) => Err(error),
            Err(error) => Ok(failed(error.to_string())),
        }
    }
}

/// When it was sent, if its request says so.
fn sent_at(connection: &Connected, bytes: &DeliveryBytes) -> Option<DateTime<Utc>> {
    let mut headers = HeaderMap::new();
    for (name, value) in bytes.headers.as_object()? {
        let value = value.as_str().and_then(|value| HeaderValue::try_from(value).ok());
        if let (Ok(name), Some(value)) = (HeaderName::try_from(name.as_str()), value) {
            headers.insert(name, value);
        }
    }
    let (body, now, details) = (&*bytes.body, bytes.received_at, &connection.details);
    let request = Inbound { headers: &headers, body, url: "", now, details, secrets: &[] };
    adapter_of(details.platform).identify(&request).ok()?.sent_at
}

/// What is told of one that came to nothing, or would.
fn failure(door: Door) -> &'static str {
    if door == Door::DryRun { "would_fail" } else { "failed" }
}

/// Whether nothing else fares better for the moment.
fn is_outage(error: &LedgerError) -> bool {
    match error {
        LedgerError::Database(error) => is_passing(error),
        LedgerError::Unavailable(_) | LedgerError::Unknown | LedgerError::Busy | LedgerError::Stopped => true,
        _ => false,
    }
}
