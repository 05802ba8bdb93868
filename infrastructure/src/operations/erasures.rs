//! Erasures: what is known of persons is destroyed, so that nobody can read it any more.
//!
//! What is destroyed are keys and bodies, both of which lie beside history. History itself stands as it stood. The keys go
//! in the commit that notes it, those of many page by page; bodies have to be looked for, which is left to a follow-up of
//! the same commit.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use onhand_domain::{
    Event, Refusal, State, StreamId,
    administration::AdministrationEvent,
    catalog::Changes,
    values::{ConnectionId, OrderId, PersonId, TenantId},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Caller, Operations,
    follow_ups::{LEASE, Setback, caught},
    privacy::{Whom, unopened},
};
use crate::{
    ledger::{Attachments, Decision, FollowUp, Followed, Forgotten, LedgerError, Receipt, state_at},
    outbox::follow_ups::{self, ERASE, Leased},
    persons::{Asked, Waiting},
    queries::{
        checkpoints, persons as rows,
        telling_bodies::{self, Place, Search, Sought},
    },
    secrets::SecretError,
};

/// Erasures that are at work in one step.
const STEP_MAX: i64 = 16;
/// Why a delivery is not acted on for the moment.
const UNDER_WAY: &str = "person.erasure_under_way";

/// How much of an erasure is done at a time.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Persons who are forgotten in one commit.
    pub page: usize,
    /// Blocks of the table of bodies that one statement looks through at most.
    pub blocks: i64,
    /// Bytes of bodies that one statement looks through at most, unless one block has more.
    pub bytes: i64,
    /// How long a turn lasts. As many turns as there are erasures in a step fit into their lease.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { page: 200, blocks: 128, bytes: 16_000_000, patience: Duration::from_secs(2) }
    }
}

/// An erasure as its follow-up has it.
#[derive(Serialize, Deserialize)]
struct Erasure {
    /// A [`Sought`].
    #[serde(flatten)]
    whom: Waiting,
    /// All who have ordered on this connection besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    everybody: Option<ConnectionId>,
    /// What has come later is kept.
    until: DateTime<Utc>,
    /// How many of the persons have been forgotten by now.
    forgotten: usize,
    /// How far bodies have been looked through.
    #[serde(flatten)]
    place: Place,
}

impl Erasure {
    /// What changes as it goes on. Whom it is about is left out: that may have been sealed anew meanwhile.
    fn progress(&self, place: Place) -> Value {
        json!({ "forgotten": self.forgotten, "file": place.file, "block": place.block })
    }
}

/// An erasure at work.
struct AtWork<'l> {
    leased: &'l Leased,
    erasure: Erasure,
    sought: Sought,
}

/// Why somebody is forgotten.
#[derive(Default)]
struct Cause {
    /// The connection whose platform has asked for it: then only its own bodies go, and none that may still be replayed.
    connection: Uuid,
    delivery: Uuid,
    followed: Vec<Followed>,
    /// The connection all of whose buyers are meant.
    everybody: Option<ConnectionId>,
    /// What is noted where no person is named.
    otherwise: Option<AdministrationEvent>,
}

impl Operations {
    /// The same operations with another pace of erasures; for tests, which have little to destroy.
    #[must_use]
    pub fn with_pace(&self, pace: Pace) -> Self {
        Self { pace, ..self.clone() }
    }

    /// Forgets somebody: nobody can read any more what history says of them, and bodies are destroyed a moment later.
    ///
    /// Asking once more destroys nothing, and is noted.
    pub async fn forget(&self, caller: Caller, whom: &Whom) -> Result<Receipt, LedgerError> {
        let sought = self.sought(&caller, whom).await?;
        let otherwise = match whom {
            Whom::Order { connection, external } => {
                Some(AdministrationEvent::OrderForgotten { order: OrderId::of(*connection, external) })
            }
            Whom::Person(_) | Whom::Address { .. } => None,
        };
        self.begin_erasure(caller, sought, Cause { otherwise, ..Cause::default() }).await
    }

    /// Forgets everybody who has ordered on a connection by now, and destroys the bodies of all its deliveries, those that
    /// may still be replayed among them; both a moment later.
    pub async fn forget_everybody(
        &self,
        caller: Caller,
        connection: ConnectionId,
    ) -> Result<Receipt, LedgerError> {
        self.own_connection(&caller, connection).await?;
        let cause = Cause {
            everybody: Some(connection),
            otherwise: Some(AdministrationEvent::ConnectionForgotten { connection }),
            ..Cause::default()
        };
        self.begin_erasure(caller, Sought::default(), cause).await
    }

    /// Forgets somebody because a platform has asked for it.
    pub(super) async fn forget_asked(&self, leased: &Leased) -> Result<(), Setback> {
        let Followed { connection, external, .. } = &leased.followed;
        let never = || Setback::Never("it cannot be read whom it asks to be forgotten".to_owned());
        let waiting = leased.payload.clone().and_then(|payload| serde_json::from_value(payload).ok());
        let waiting: Waiting = waiting.ok_or_else(never)?;
        let asked: Asked =
            waiting.open(&self.keys, leased.tenant, external).map_err(|error| not_now(&error))?;
        let sought = self.sought_by((leased.tenant, ConnectionId(*connection)), asked).await?;
        let cause = Cause {
            connection: *connection,
            delivery: leased.delivery,
            followed: vec![leased.followed.clone()],
            ..Cause::default()
        };
        self.begin_erasure(self.caller_of(leased), sought, cause).await?;
        Ok(())
    }

    async fn begin_erasure(
        &self,
        caller: Caller,
        sought: Sought,
        cause: Cause,
    ) -> Result<Receipt, LedgerError> {
        let (pool, tenant) = (self.ledger().pool(), caller.context.tenant);
        let orders = match cause.everybody {
            Some(connection) => rows::count_on(pool, tenant, connection).await?,
            None => rows::count(pool, tenant, &sought.persons).await?,
        };
        let answer = json!({ "persons": sought.persons, "orders": orders });
        let external = Uuid::now_v7().to_string();
        let whom = Waiting::seal(&sought, &self.keys, tenant, &external).map_err(|error| unopened(&error))?;
        let mut persons = sought.persons;
        persons.truncate(self.pace.page);
        let correlation_id = caller.context.correlation_id.clone();
        self.submit(caller, vec![StreamId::Administration], move |lookup, now| {
            let erasure = Erasure {
                whom: whom.clone(),
                everybody: cause.everybody,
                until: lookup.recorded(now),
                forgotten: persons.len(),
                place: Place::default(),
            };
            let bodies = FollowUp {
                connection: cause.connection,
                kind: ERASE,
                external: external.clone(),
                payload: Some(json!(erasure)),
                delivery: cause.delivery,
                correlation_id: correlation_id.clone(),
                due: now,
            };
            let mut changes = noted(&persons);
            if persons.is_empty() {
                changes.extend(cause.otherwise.clone().map(|event| (StreamId::Administration, event.into())));
            }
            let attachments = Attachments {
                forgotten: up_to(&persons, None),
                followed: cause.followed.clone(),
                follow_ups: vec![bodies],
                ..Attachments::default()
            };
            Ok(Decision { changes, answer: answer.clone().into(), attachments, ..Decision::default() })
        })
        .await
    }

    /// Destroys bodies for those who have been forgotten: a turn for all erasures that stand at the same place in their table
    /// at once. Says how many were at work.
    pub(super) async fn erase(&self) -> Result<usize, LedgerError> {
        let (pool, now) = (self.ledger().pool(), self.ledger().clock().now());
        let leased = follow_ups::claim(pool, now, LEASE, STEP_MAX, true).await?;
        let mut together: BTreeMap<(TenantId, Uuid, Place), Vec<AtWork<'_>>> = BTreeMap::new();
        for leased in &leased {
            match caught(self.at_work(leased)).await {
                Ok(Some(work)) => {
                    let place = (leased.tenant, leased.followed.connection, work.erasure.place);
                    together.entry(place).or_default().push(work);
                }
                Ok(None) => {}
                Err(setback) => self.set_back(leased, setback).await?,
            }
        }
        for ((tenant, connection, place), works) in together {
            let connection = Some(ConnectionId(connection)).filter(|connection| !connection.0.is_nil());
            if let Err(setback) = caught(self.erase_stretches(tenant, connection, place, &works)).await {
                for work in works {
                    self.set_back(work.leased, setback.clone()).await?;
                }
            }
        }
        Ok(leased.len())
    }

    /// What an erasure is about, once all its persons are forgotten; until then its turn is spent on them.
    async fn at_work<'l>(&self, leased: &'l Leased) -> Result<Option<AtWork<'l>>, Setback> {
        let (pool, tenant) = (self.ledger().pool(), leased.tenant);
        if !leased.followed.connection.is_nil()
            && checkpoints::position(pool, tenant, "deliveries").await? < leased.position
        {
            return Err(Setback::NotYet); // It is asked there which of them may still be replayed.
        }
        let erasure = leased.payload.clone().and_then(|payload| serde_json::from_value(payload).ok());
        let never = || Setback::Never("it cannot be read what is to be destroyed".to_owned());
        let mut erasure: Erasure = erasure.ok_or_else(never)?;
        let sought: Sought = erasure
            .whom
            .open(&self.keys, tenant, &leased.followed.external)
            .map_err(|error| not_now(&error))?;
        if self.forget_others(leased, &mut erasure, &sought).await? {
            let now = self.ledger().clock().now();
            follow_ups::go_on(pool, leased, &erasure.progress(erasure.place), now).await?;
            return Ok(None);
        }
        Ok(Some(AtWork { leased, erasure, sought }))
    }

    /// Forgets, page by page and as long as a turn lasts, those who were not forgotten in the first commit. Says whether
    /// there were any.
    async fn forget_others(
        &self,
        leased: &Leased,
        erasure: &mut Erasure,
        sought: &Sought,
    ) -> Result<bool, Setback> {
        let (Pace { page, patience, .. }, begun) = (self.pace, Instant::now());
        let others = sought.persons.get(erasure.forgotten..).unwrap_or_default();
        for persons in others.chunks(page) {
            self.destroy_keys(self.caller_of(leased), persons.to_vec(), erasure.until).await?;
            erasure.forgotten += persons.len();
            if begun.elapsed() >= patience {
                break;
            }
        }
        let Some(connection) = erasure.everybody else { return Ok(!others.is_empty()) };
        // Each turn begins with the first of them, and the last one finds nobody: whoever was passed over is met again.
        let (pool, tenant) = (self.ledger().pool(), leased.tenant);
        let mut last = None;
        while last.is_none() || begun.elapsed() < patience {
            let until = erasure.until;
            let persons =
                rows::buyers_on(pool, tenant, (connection, until), last.as_ref(), page as i64).await?;
            let Some(end) = persons.last().cloned() else { break };
            self.destroy_keys(self.caller_of(leased), persons, until).await?;
            last = Some(end);
        }
        Ok(last.is_some())
    }

    async fn erase_stretches(
        &self,
        tenant: TenantId,
        connection: Option<ConnectionId>,
        place: Place,
        works: &[AtWork<'_>],
    ) -> Result<(), Setback> {
        let pool = self.ledger().pool();
        let search = |AtWork { sought, erasure, .. }: &AtWork<'_>| Search {
            sought: sought.clone(),
            everybody: erasure.everybody,
            until: Some(erasure.until),
        };
        let searches: Vec<_> = works.iter().map(search).collect();
        let how = (place, &self.pace);
        let (destroyed, next) =
            telling_bodies::destroy_bodies(pool, tenant, &searches, connection, how).await?;
        tracing::info!(%tenant, destroyed, erasures = works.len(), ?next, "bodies were destroyed");
        let now = self.ledger().clock().now();
        for AtWork { leased, erasure, .. } in works {
            if let Some(place) = next {
                follow_ups::go_on(pool, leased, &erasure.progress(place), now).await?;
                continue;
            }
            let followed = vec![leased.followed.clone()];
            let attachments = Attachments { followed, ..Attachments::default() };
            self.submit(self.caller_of(leased), vec![], move |_, _| {
                Ok(Decision { attachments: attachments.clone(), ..Decision::default() })
            })
            .await?;
        }
        Ok(())
    }

    /// Forgets a page of persons, but for what was said of them after the wish to be forgotten.
    async fn destroy_keys(
        &self,
        caller: Caller,
        persons: Vec<PersonId>,
        until: DateTime<Utc>,
    ) -> Result<(), LedgerError> {
        self.submit(caller, vec![StreamId::Administration], move |_, _| {
            let forgotten = up_to(&persons, Some(until));
            let attachments = Attachments { forgotten, ..Attachments::default() };
            Ok(Decision { changes: noted(&persons), attachments, ..Decision::default() })
        })
        .await?;
        Ok(())
    }

    /// How often somebody has been forgotten; none while their bodies are still being looked for. Whoever acts on a body that
    /// was kept asks before reading it, and again in the decision.
    pub(super) async fn forgotten_so_far(&self, tenant: TenantId) -> Result<Option<u64>, LedgerError> {
        let pool = self.ledger().pool();
        let mut conn = pool.acquire().await?;
        let administration = state_at(&mut conn, tenant, i64::MAX, StreamId::Administration).await?;
        drop(conn);
        // In this order: an erasure that begins in between is seen by one or the other.
        if follow_ups::erasing(pool, tenant).await? {
            return Ok(None);
        }
        Ok(match administration.state {
            State::Administration(state) => Some(state.forgotten),
            _ => None,
        })
    }
}

/// Bodies are just being destroyed, and what is to be acted on may be one of them.
pub(super) fn under_way() -> Refusal {
    let detail =
        "somebody is being forgotten, and it may tell of them; replay it once their webhooks are destroyed";
    Refusal::conflict(UNDER_WAY, detail)
}

/// Whether something is only left until an erasure has come to its end.
pub(super) fn is_under_way(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Refused(refusal) if refusal.code == UNDER_WAY)
}

/// A key that is missing may be put back.
fn not_now(error: &SecretError) -> Setback {
    Setback::Again(error.to_string(), None)
}

fn up_to(persons: &[PersonId], until: Option<DateTime<Utc>>) -> Vec<Forgotten> {
    persons.iter().map(|person| Forgotten { person: person.clone(), until }).collect()
}

fn noted(persons: &[PersonId]) -> Changes {
    let noted = |person: &PersonId| {
        let event = AdministrationEvent::PersonForgotten { person: person.clone() };
        (StreamId::Administration, Event::from(event))
    };
    persons.iter().map(noted).collect()
}
