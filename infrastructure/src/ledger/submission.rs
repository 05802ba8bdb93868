//! What is handed to a sequencer, and what comes back.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use onhand_domain::{
    Refusal, StreamId,
    catalog::Changes,
    listing::FigureKind,
    stream::Lookup,
    values::{ConnectionId, OrderId, PersonId},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Context;
use crate::{
    outbox::{Owed, Settlement, follow_ups::UNMAPPED},
    secrets::Sealed,
};

/// A decision to be taken: pure, and possibly taken more than once, on newer states each time.
pub type Decide = Arc<dyn Fn(&Lookup<'_>, DateTime<Utc>) -> Result<Decision, Refusal> + Send + Sync>;

/// A command on its way into the ledger.
pub struct Submission {
    /// Who asks, in whose ledger.
    pub context: Context,
    /// The key and the fingerprint of the request, if the caller gave a key.
    pub idempotency: Option<Idempotency>,
    /// Streams the decision will look at. A hint: what is missing is loaded when it is looked at.
    pub reads: Vec<StreamId>,
    /// Streams that are new unless this process knows better, and to which the decision adds an entry in any case. They
    /// are not looked up: that they are not new the append itself finds out, and then they are.
    pub fresh: Vec<StreamId>,
    /// The decision.
    pub decide: Decide,
}

/// What makes a repeated request recognisable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// Stands for the actor and the key it gave: half of their SHA-256.
    pub key_digest: Uuid,
    /// SHA-256 of what was asked.
    pub fingerprint: [u8; 32],
}

impl Idempotency {
    /// Of a key, as this actor gave it. Keys of different actors never meet.
    pub fn new(actor: &str, key: &str, fingerprint: [u8; 32]) -> Self {
        let mut hash = Sha256::new();
        hash.update((actor.len() as u64).to_be_bytes());
        hash.update(actor);
        hash.update(key);
        let digest: [u8; 32] = hash.finalize().into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self { key_digest: Uuid::from_bytes(half), fingerprint }
    }

    /// Of one part of a request that is made in parts.
    pub(crate) fn of_part(self, part: usize) -> Self {
        let key_digest = Uuid::new_v5(&self.key_digest, part.to_string().as_bytes());
        Self { key_digest, ..self }
    }
}

/// What a decision leads to. All of it becomes true in one transaction.
#[derive(Default)]
pub struct Decision {
    /// Entries to append, in order.
    pub changes: Changes,
    /// What the caller is told.
    pub answer: Answer,
    /// Why the caller is refused all the same; the changes stand, for the refusal itself has to be on record.
    pub refusal: Option<Refusal>,
    /// Rows that belong to the same transaction but not into history.
    pub attachments: Attachments,
    /// Correlation ids of the requests that entries on some streams follow from, where it is not that of the submission; on listings by
    /// the figure they are about.
    pub follows_from: HashMap<(StreamId, Option<FigureKind>), String>,
}

/// Rows that belong to a commit but not into history.
#[derive(Default, Clone)]
pub struct Attachments {
    /// The raw bytes of a webhook.
    pub bodies: Vec<DeliveryBody>,
    /// Keys to what entries of this commit say of persons.
    pub person_keys: Vec<PersonKey>,
    /// Persons of whom nothing is to be read any more.
    pub forgotten: Vec<Forgotten>,
    /// Sealed credentials of a connection.
    pub secrets: Vec<SealedSecret>,
    /// Outbox rows that are settled by this.
    pub settlements: Vec<Settlement>,
    /// What platforms are to be told because of this.
    pub owed: Vec<Owed>,
    /// What is to be done next because of this.
    pub follow_ups: Vec<FollowUp>,
    /// Follow-ups that are done with this.
    pub followed: Vec<Followed>,
}

/// Something that is to be done because of a delivery or of other rules: looked at, applied later, tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUp {
    /// On whose platform account; all zeroes for all of the tenant's.
    pub connection: Uuid,
    /// What sort of thing.
    pub kind: &'static str,
    /// Which one. One that is asked for again before it was done is done once.
    pub external: String,
    /// What it takes beyond that.
    pub payload: Option<Value>,
    /// The delivery that led to it; all zeroes if it was none.
    pub delivery: Uuid,
    /// Of the request that led to it.
    pub correlation_id: String,
    /// Not before.
    pub due: DateTime<Utc>,
}

impl FollowUp {
    /// Deliveries that spoke of what nobody knew are worth another look: something has become known.
    pub(crate) fn unmapped(correlation_id: String, due: DateTime<Utc>) -> Self {
        Self {
            connection: Uuid::nil(),
            kind: UNMAPPED,
            external: "all".to_owned(),
            payload: None,
            delivery: Uuid::nil(),
            correlation_id,
            due,
        }
    }
}

/// A follow-up that is done, with the lease it was taken under: one that was asked for again meanwhile stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// As in [`FollowUp`].
    pub connection: Uuid,
    /// As in [`FollowUp`].
    pub kind: &'static str,
    /// As in [`FollowUp`].
    pub external: String,
    /// The lease.
    pub token: Uuid,
    /// It speaks of what nobody knows here, and is not done but waits to be woken.
    pub parked: bool,
}

impl Attachments {
    /// True if there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.bodies.is_empty() && self.person_keys.is_empty() && !self.beyond_bodies()
    }

    /// True if there is more than the append statement sees to itself.
    pub(crate) fn beyond_bodies(&self) -> bool {
        !(self.secrets.is_empty()
            && self.forgotten.is_empty()
            && self.settlements.is_empty()
            && self.owed.is_empty()
            && self.follow_ups.is_empty()
            && self.followed.is_empty())
    }

    /// Adds those of another decision of the same batch.
    pub(crate) fn extend(&mut self, more: Self) {
        self.bodies.extend(more.bodies);
        self.person_keys.extend(more.person_keys);
        self.forgotten.extend(more.forgotten);
        self.secrets.extend(more.secrets);
        self.settlements.extend(more.settlements);
        self.owed.extend(more.owed);
        self.follow_ups.extend(more.follow_ups);
        self.followed.extend(more.followed);
    }
}

/// The raw bytes of a webhook.
#[derive(Clone)]
pub struct DeliveryBody {
    /// Of which delivery.
    pub delivery: Uuid,
    /// Request headers as JSON text, secrets masked.
    pub headers: String,
    /// As they came.
    pub body: Arc<[u8]>,
    /// Whom they tell of, as far as they are understood.
    pub person: Option<PersonId>,
}

/// The key to what an order's entry says of its buyer, sealed. It opens that one entry, and is all there is to destroy.
#[derive(Clone)]
pub struct PersonKey {
    /// Who bought.
    pub person: PersonId,
    /// Which order.
    pub order: OrderId,
    /// Where it was placed.
    pub connection: ConnectionId,
    /// What the buyer would be called if nothing were known but the e-mail address that came with the order.
    pub address: Option<PersonId>,
    /// The key.
    pub sealed: Sealed,
}

/// Somebody of whom nothing is to be read any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Who.
    pub person: PersonId,
    /// What was said later is kept; none for all there is, that of the same commit included.
    pub until: Option<DateTime<Utc>>,
}

/// A credential, sealed.
#[derive(Clone)]
pub struct SealedSecret {
    /// Of which connection.
    pub connection: ConnectionId,
    /// `webhook_secret`, `previous_webhook_secret`, `access_token` or `app_secret`.
    pub name: &'static str,
    /// Which key it is sealed with.
    pub key_id: String,
    /// Of this sealing only.
    pub nonce: Vec<u8>,
    /// Ciphertext and tag.
    pub sealed: Vec<u8>,
}

/// What a caller is told: a JSON object, written once and passed on as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(Arc<str>);

impl Answer {
    /// The object as JSON text.
    pub fn of(object: &impl Serialize) -> Self {
        serde_json::to_string(object).map_or_else(|_| Self::default(), |text| Self(text.into()))
    }

    /// JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The object, to look into.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self("{}".into())
    }
}

impl From<Value> for Answer {
    fn from(object: Value) -> Self {
        Self(object.to_string().into())
    }
}

/// What a decided command came to, for good: a repeat with the same key comes to the same.
pub(crate) type Outcome = Result<Answer, Refusal>;

/// A refusal as it is stored; no answer has this as its only field.
#[derive(Serialize, Deserialize)]
struct Stored<R> {
    refusal: R,
}

/// The text that is kept of an outcome.
pub(crate) fn written(outcome: &Outcome) -> Cow<'_, str> {
    match outcome {
        Ok(answer) => answer.as_str().into(),
        Err(refusal) => Answer::of(&Stored { refusal }).0.as_ref().to_owned().into(),
    }
}

/// The opposite of [`written`].
pub(crate) fn read(text: &str) -> Outcome {
    if text.starts_with("{\"refusal\":")
        && let Ok(Stored { refusal }) = serde_json::from_str(text)
    {
        return Err(refusal);
    }
    Ok(Answer(text.into()))
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The position of its last entry; if it led to none, the position it was decided at.
    pub position: i64,
    /// What the caller is told.
    pub answer: Answer,
    /// True if this was decided before, for the same key.
    pub replayed: bool,
}
