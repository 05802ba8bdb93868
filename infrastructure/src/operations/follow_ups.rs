//! Follow-ups: what deliveries and changes of rules have left to do, done step by step: looked at, applied when its time has
//! come, tried again.

use std::{panic::AssertUnwindSafe, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{FutureExt, future::join_all};
use onhand_domain::{
    delivery::Outcome,
    values::{ConnectionId, ExternalId},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    Caller, Operations,
    deliveries::{Effects, PriceNews},
};
use crate::{
    ledger::{Attachments, Context, Decision, FollowUp, Followed, LedgerError},
    outbox::{
        Owed,
        follow_ups::{self, FORGET, LET_OUT, Leased, PRICE, UNMAPPED},
        let_out::{self, LetOut},
    },
    platforms::{Fact, Hint, adapter_of, outbound::CallError},
    queries::{
        checkpoints,
        connections::{Connected, connected},
    },
    relay::policy,
    secrets::Secret,
};

/// Follow-ups taken in one step.
const STEP_MAX: i64 = 16;
/// Longer than a look may take.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(60);
/// When what a person has to see to is looked at again.
const FOR_PERSON: TimeDelta = TimeDelta::minutes(5);
/// How long to wait for an access token that is being renewed.
const FOR_RENEWAL: TimeDelta = TimeDelta::seconds(15);
/// How long to wait for a read model that has not come far enough.
const A_MOMENT: TimeDelta = TimeDelta::milliseconds(200);
/// When deliveries are looked at again that may tell of somebody who is just being forgotten.
const ERASURE: TimeDelta = TimeDelta::minutes(1);

/// Why a follow-up is not done.
#[derive(Clone)]
pub(super) enum Setback {
    /// It waits for something else, which is no failure.
    NotYet,
    /// It may go better later, at this time if the platform said so.
    Again(String, Option<TimeDelta>),
    /// The platform has asked to wait, or its calls are used up: no failure either.
    Wait(String, TimeDelta),
    /// It will not go better.
    Never(String),
}

impl From<LedgerError> for Setback {
    fn from(error: LedgerError) -> Self {
        match error {
            // A master key is missing, and may be put back.
            LedgerError::Refused(refusal) if refusal.code == "person.sealed" => {
                Self::Again(refusal.to_string(), None)
            }
            LedgerError::Refused(refusal) => Self::Never(refusal.to_string()),
            error => Self::Again(error.to_string(), None),
        }
    }
}

impl From<CallError> for Setback {
    fn from(error: CallError) -> Self {
        let later = |after: Option<Duration>| after.and_then(|after| TimeDelta::from_std(after).ok());
        match error {
            CallError::Again { after, why, counts: false } => {
                Self::Wait(why, later(after).unwrap_or(A_MOMENT))
            }
            CallError::Again { after, why, counts: true } => Self::Again(why, later(after)),
            // Kept until somebody has seen to it, like what is to be pushed.
            CallError::NeedsPerson { why } => Self::Wait(why, FOR_PERSON),
            CallError::Never { why } => Self::Never(why),
        }
    }
}

impl From<sqlx::Error> for Setback {
    fn from(error: sqlx::Error) -> Self {
        LedgerError::from(error).into()
    }
}

impl Operations {
    /// Does what is due, erasures too. Says how much that was; 0 means that there is nothing to do for now.
    pub async fn follow_up(&self) -> Result<usize, LedgerError> {
        Ok(self.erase().await? + self.follow_each().await?)
    }

    /// Does what is due and does not take long.
    async fn follow_each(&self) -> Result<usize, LedgerError> {
        let (pool, now) = (self.ledger().pool(), self.ledger().clock().now());
        let leased = follow_ups::claim(pool, now, LEASE, STEP_MAX, false).await?;
        let ended = join_all(leased.iter().map(|leased| self.follow_safely(leased))).await;
        ended.into_iter().collect::<Result<(), _>>()?;
        Ok(leased.len())
    }

    /// One of them, to its end: done, again later, or never.
    async fn follow_safely(&self, leased: &Leased) -> Result<(), LedgerError> {
        match caught(self.follow(leased)).await {
            Ok(()) => Ok(()),
            Err(setback) => self.set_back(leased, setback).await,
        }
    }

    /// Puts one back that is not done: for later, or for good.
    pub(super) async fn set_back(&self, leased: &Leased, setback: Setback) -> Result<(), LedgerError> {
        let now = self.ledger().clock().now();
        let (at, why, counts) = match setback {
            Setback::NotYet => (Some(now + A_MOMENT), "a read model has not come far enough".into(), false),
            Setback::Wait(why, after) => (Some(now + after.max(A_MOMENT)), why, false),
            Setback::Never(why) => (None, why, true),
            Setback::Again(why, _) if leased.attempt >= policy::ATTEMPTS_MAX => {
                (None, format!("given up after {} attempts; the last: {why}", leased.attempt), true)
            }
            Setback::Again(why, after) => {
                let delay = || TimeDelta::from_std(policy::delay(leased.attempt)).unwrap_or(LEASE);
                (Some(now + after.map_or_else(delay, |after| after.max(delay()))), why, true)
            }
        };
        tracing::debug!(
            kind = leased.followed.kind,
            external = leased.followed.external,
            why,
            "not done yet"
        );
        let why: String = why.chars().filter(|c| !c.is_control()).take(1_000).collect();
        follow_ups::postpone(self.ledger().pool(), leased, at, &why, counts).await?;
        Ok(())
    }

    async fn follow(&self, leased: &Leased) -> Result<(), Setback> {
        if leased.followed.kind == UNMAPPED {
            return self.look_at_unmapped(leased).await;
        }
        if leased.followed.kind == LET_OUT {
            return self.owe_let_out(leased).await;
        }
        if leased.followed.kind == FORGET {
            return self.forget_asked(leased).await;
        }
        let connection = connected(self.ledger().pool(), ConnectionId(leased.followed.connection)).await?;
        let connection = connection
            .filter(|connection| connection.tenant == leased.tenant)
            .ok_or_else(|| Setback::Never("its connection is gone".to_owned()))?;
        let effects = if leased.followed.kind == PRICE {
            let news: PriceNews = leased
                .payload
                .clone()
                .and_then(|payload| serde_json::from_value(payload).ok())
                .ok_or_else(|| Setback::Never("its price cannot be read".to_owned()))?;
            Effects::prepare_price(self.ledger().pool(), &connection, news).await?
        } else {
            let (facts, at) = self.look(leased, &connection).await?;
            Effects::prepare(self, &connection, Some(facts), (at, at)).await?.looked()
        };
        self.take_effect(leased, effects).await
    }

    /// What was found becomes true, and the follow-up done, in one transaction. What speaks of things nobody knows stays,
    /// to be done again once somebody does.
    async fn take_effect(&self, leased: &Leased, effects: Effects) -> Result<(), Setback> {
        let (tenant, followed) = (leased.tenant, leased.followed.clone());
        let (delivery, correlation_id) = (leased.delivery, leased.correlation_id.clone());
        let reads = effects.reads();
        let submitted = self
            .submit(self.caller_of(leased), reads, move |lookup, now| {
                let effected = effects.decide(lookup, now)?;
                let followed = Followed { parked: effected.outcome == Outcome::Unmapped, ..followed.clone() };
                let further = effected.follow_ups.into_iter().map(|it| FollowUp {
                    delivery,
                    correlation_id: correlation_id.clone(),
                    ..it
                });
                let attachments = Attachments {
                    person_keys: effected.person_keys,
                    follow_ups: further.collect(),
                    followed: vec![followed],
                    ..Attachments::default()
                };
                Ok(Decision {
                    changes: effected.changes,
                    answer: json!({ "outcome": effected.outcome }).into(),
                    attachments,
                    ..Decision::default()
                })
            })
            .await;
        submitted?;
        self.directory.forget();
        tracing::debug!(%tenant, kind = leased.followed.kind, "followed up");
        Ok(())
    }

    pub(super) fn caller_of(&self, leased: &Leased) -> Caller {
        let Followed { connection, kind, .. } = &leased.followed;
        Caller::new(Context {
            tenant: leased.tenant,
            actor: if connection.is_nil() {
                "follow_up".to_owned()
            } else {
                format!("connection:{connection}")
            },
            source: format!("follow_up/{kind}"),
            address: None,
            correlation_id: leased.correlation_id.clone(),
            causation_id: Some(leased.delivery.to_string()),
            traceparent: None,
        })
    }

    /// Deliveries that spoke of what nobody knew are looked at again, once the list of them has come far enough.
    async fn look_at_unmapped(&self, leased: &Leased) -> Result<(), Setback> {
        let pool = self.ledger().pool();
        let seen = checkpoints::position(pool, leased.tenant, "deliveries").await?;
        if seen < leased.position {
            return Err(Setback::NotYet);
        }
        let page = |name: &str| leased.payload.as_ref().and_then(|payload| payload[name].as_i64());
        let (after, caller) = (page("after").unwrap_or(0), self.caller_of(leased));
        // What has spoken by now: what is replayed moves to the end, and is not met again by the pages that follow.
        let until = page("until").unwrap_or(seen);
        let now = self.ledger().clock().now();
        if leased.payload.is_none() {
            follow_ups::wake(pool, leased.tenant, now).await?;
        }
        let replayed = self.replay_unmapped(leased.tenant, &caller, (after, until)).await?;
        let next = replayed.next.filter(|next| *next < until);
        let mut follow_ups: Vec<_> =
            next.into_iter().map(|after| again(leased, (after, until), now)).collect();
        if replayed.left {
            // This page once more, and none of those that follow; nothing has failed, so that is no attempt.
            follow_ups.push(again(leased, (after, next.unwrap_or(until)), now + ERASURE));
        }
        let followed = vec![leased.followed.clone()];
        let attachments = Attachments { followed, follow_ups, ..Attachments::default() };
        self.submit(caller, vec![], move |_, _| {
            Ok(Decision { attachments: attachments.clone(), ..Decision::default() })
        })
        .await?;
        Ok(())
    }

    /// What was let out is owed, one page of it. Rules are looked at once more in the commit, and all else by the relay.
    async fn owe_let_out(&self, leased: &Leased) -> Result<(), Setback> {
        let Followed { connection, external, .. } = &leased.followed;
        let what = LetOut::named(external)
            .ok_or_else(|| Setback::Never("nobody here knows what was let out".to_owned()))?;
        let after =
            leased.payload.as_ref().and_then(|payload| payload["after"].as_str()?.parse::<Uuid>().ok());
        let (pool, account) = (self.ledger().pool(), (leased.tenant, ConnectionId(*connection)));
        let (subjects, end) = let_out::page(pool, account, what, after.unwrap_or_default()).await?;
        let due = self.ledger().clock().now();
        let owed = |of| Owed { of, due, instead_of: None, forced: false, correlation_id: None };
        let owed = subjects.into_iter().map(owed).collect();
        let followed = if end.is_none() { vec![leased.followed.clone()] } else { vec![] };
        let attachments = Attachments { owed, followed, ..Attachments::default() };
        self.submit(self.caller_of(leased), vec![], move |_, _| {
            Ok(Decision { attachments: attachments.clone(), ..Decision::default() })
        })
        .await?;
        if let Some(end) = end {
            // Not in that commit: the page of a process that dies here is owed twice, which is written once. Where more was let
            // out meanwhile, the lease is gone, and it begins from the front.
            follow_ups::go_on(pool, leased, &json!({ "after": end }), due).await?;
        }
        Ok(())
    }

    /// Looks at what was hinted at. Gives what it says, and when it was looked at.
    async fn look(
        &self,
        leased: &Leased,
        connection: &Connected,
    ) -> Result<(Vec<Fact>, DateTime<Utc>), Setback> {
        let never = |why: &str| Setback::Never(why.to_owned());
        let external =
            ExternalId::new(&leased.followed.external).map_err(|wrong| never(&wrong.to_string()))?;
        let titled = leased.payload.clone().and_then(|payload| serde_json::from_value(payload).ok());
        let hint = Hint { resource: leased.followed.kind, external, titled };
        let adapter = adapter_of(connection.details.platform);
        let at = self.ledger().clock().now();
        let api = self.api(connection)?.following([leased.correlation_id.as_str()]);
        let again = |why: String| Setback::Again(why, None);
        let url = leased.payload.as_ref().and_then(|payload| payload["url"].as_str());
        let call = match url {
            Some(url) => adapter.fetch(&hint, url, &api.access()),
            None => adapter.look(&hint, &api.access()),
        };
        let call = call.ok_or_else(|| {
            again(
                "the connection lacks what it takes to look: its access_token, app, account or app_secret"
                    .to_owned(),
            )
        })?;
        let answer = match api.read(call).await {
            Err(error) if api.is_unauthorized() && self.renew_early(connection).await => {
                return Err(Setback::Wait(error.to_string(), FOR_RENEWAL));
            }
            answered => answered?,
        };
        let (status, body) = match answer.status.as_u16() {
            200..=299 => (200, answer.body),
            status @ (404 | 410) => (status, answer.body),
            status => return Err(never(&format!("the platform answered {status}"))),
        };
        let seen = adapter.seen(&hint, &body, at, &connection.details);
        match seen {
            // What the platform says in words it may say otherwise in a moment: too many calls, not there yet.
            Err(error) if status == 200 => Err(again(error.to_string())),
            Ok(facts) if status == 200 || !facts.is_empty() => Ok((facts, at)),
            _ => Err(again(format!("the platform answered {status}"))),
        }
    }

    pub(crate) fn secret(&self, connection: &Connected, name: &str) -> Option<Secret> {
        let opened = self.keys.open(connection.tenant, connection.secret(name)?);
        opened
            .inspect_err(
                |error| tracing::error!(connection = %connection.id, %error, "a secret cannot be opened"),
            )
            .ok()
    }

    /// What a connection's webhooks may be signed with, the newest first.
    pub(crate) fn webhook_secrets(&self, connection: &Connected) -> Vec<Secret> {
        ["webhook_secret", "previous_webhook_secret"]
            .into_iter()
            .filter_map(|name| self.secret(connection, name))
            .collect()
    }
}

fn again(leased: &Leased, (after, until): (i64, i64), due: DateTime<Utc>) -> FollowUp {
    FollowUp {
        connection: leased.followed.connection,
        kind: UNMAPPED,
        // A row of its own: that something else has become known meanwhile begins from the front again.
        external: format!("from {after}"),
        payload: Some(json!({ "after": after, "until": until })),
        delivery: leased.delivery,
        correlation_id: leased.correlation_id.clone(),
        due,
    }
}

/// What comes of a follow-up. What makes us panic is given up, not met again, and keeps nothing else from being done.
pub(super) async fn caught<T>(done: impl Future<Output = Result<T, Setback>>) -> Result<T, Setback> {
    let panicked = |_| Err(Setback::Never("it made the program panic; a defect".to_owned()));
    AssertUnwindSafe(done).catch_unwind().await.unwrap_or_else(panicked)
}

/// Does what is due until told to stop; erasures beside everything else, which does not wait for them.
pub async fn run(operations: Operations, stop: tokio::sync::watch::Receiver<bool>) {
    tokio::join!(again_and_again(&operations, stop.clone(), false), again_and_again(&operations, stop, true));
}

async fn again_and_again(
    operations: &Operations,
    mut stop: tokio::sync::watch::Receiver<bool>,
    erasures: bool,
) {
    const IDLE: std::time::Duration = std::time::Duration::from_millis(100);
    while !*stop.borrow() {
        let done = if erasures { operations.erase().await } else { operations.follow_each().await };
        match done {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, erasures, "follow-ups cannot be taken for the moment"),
        }
        tokio::select! {
            _ = stop.changed() => break,
            () = tokio::time::sleep(IDLE) => {}
        }
    }
}
