//! Replay: deliveries looked at again, from the bytes they came with.
//!
//! What failed may have failed for a reason that is gone; what nobody knew may be known by now.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use onhand_domain::values::{ConnectionId, DeliveryId, TenantId};
use serde::Serialize;
use uuid::Uuid;

use super::{Answer, Arrived, Door, ReceiveError, Stages};
use crate::{
    ledger::{Attachments, LedgerError},
    operations::{Caller, Operations},
    platforms::{Genuine, adapter_of},
    queries::{
        connections::connected,
        deliveries::{self, Kept},
    },
};

/// Deliveries that one call looks at again.
pub(super) const REPLAY_MAX: i64 = 200;

/// Which dead letters to look at again.
#[derive(Debug, Clone, Default)]
pub struct ReplayFilter {
    /// These; all of them, if none are named.
    pub ids: Vec<Uuid>,
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
}

/// What is to be looked at again, and how.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// Which.
    pub filter: ReplayFilter,
    /// See what would come of it and write nothing.
    pub dry_run: bool,
    /// How many at most.
    pub limit: i64,
}

/// What came of one.
#[derive(Debug, Clone, Serialize)]
pub struct Replayed {
    /// The delivery.
    pub id: Uuid,
    /// `processed`, `duplicate`, `failed`; with a dry run `would_process` or `would_fail`.
    pub result: &'static str,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The position of its last entry, if it was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
}

impl Operations {
    /// Looks at dead letters again, the oldest first. Says what came of each; one's trouble is not another's.
    pub async fn replay(&self, caller: &Caller, ask: &Replay) -> Result<Vec<Replayed>, LedgerError> {
        let limit = ask.limit.clamp(1, REPLAY_MAX);
        let brand = caller.brand.as_deref();
        let kept =
            deliveries::kept(self.ledger().pool(), caller.context.tenant, brand, &ask.filter, 0, limit)
                .await?;
        let door = if ask.dry_run { Door::DryRun } else { Door::Replay };
        let mut replayed = Vec::with_capacity(kept.len());
        for delivery in kept {
            replayed.push(self.look_again(caller, delivery, door).await?);
        }
        Ok(replayed)
    }

    /// Looks again at deliveries of a tenant that spoke of what nobody knew, from a position on. Gives the position to
    /// go on from, if there may be more.
    pub(in super::super) async fn replay_unmapped(
        &self,
        tenant: TenantId,
        caller: &Caller,
        after: i64,
    ) -> Result<Option<i64>, LedgerError> {
        let filter = ReplayFilter { unmapped: true, ..ReplayFilter::default() };
        let kept = deliveries::kept(self.ledger().pool(), tenant, None, &filter, after, REPLAY_MAX).await?;
        let last = kept.last().map(|delivery| delivery.position).filter(|_| kept.len() as i64 == REPLAY_MAX);
        for delivery in kept {
            self.look_again(caller, delivery, Door::Replay).await?;
        }
        Ok(last)
    }

    async fn look_again(&self, caller: &Caller, kept: Kept, door: Door) -> Result<Replayed, LedgerError> {
        let replayed = |result, reason, position| Replayed { id: kept.id, result, reason, position };
        let tenant = caller.context.tenant;
        let connection = connected(self.ledger().pool(), ConnectionId(kept.connection)).await?;
        let Some(connection) = connection.filter(|connection| connection.tenant == tenant) else {
            return Ok(replayed("failed", Some("its connection is gone".to_owned()), None));
        };
        let Some(body) = kept.body.clone() else {
            return Ok(replayed("failed", Some("its bytes were removed by retention".to_owned()), None));
        };
        let at = kept.received_at.unwrap_or(kept.recorded_at);
        let genuine = Genuine { topic: &kept.topic, body: &body, at, details: &connection.details };
        let decoded = adapter_of(connection.details.platform).decode(&genuine);
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
        };
        let dry = door == Door::DryRun;
        match self.act(arrived, decoded, &Stages::begin()).await {
            Ok(Answer::Processed { .. }) if dry => Ok(replayed("would_process", None, None)),
            Ok(Answer::Processed { position }) => Ok(replayed("processed", None, Some(position))),
            Ok(Answer::Duplicate { .. }) => Ok(replayed("duplicate", None, None)),
            Ok(Answer::Failed { reason }) if dry => Ok(replayed("would_fail", Some(reason), None)),
            Ok(Answer::Failed { reason }) => Ok(replayed("failed", Some(reason), None)),
            Ok(Answer::DeadLetter) => Ok(replayed("failed", Some("as before".to_owned()), None)),
            Err(ReceiveError::Ledger(error)) => Err(error),
            Err(error) => Ok(replayed("failed", Some(error.to_string()), None)),
        }
    }
}
