//! Erasures: what is known of persons is destroyed, so that nobody can read it any more.
//!
//! What is destroyed are keys and bodies, both of which lie beside history. History itself stands as it stood. The keys go
//! in the commit that notes it; bodies have to be looked for, which is left to a follow-up of the same commit.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use onhand_domain::{
    Event, State, StreamId,
    administration::AdministrationEvent,
    catalog::Changes,
    values::{ConnectionId, OrderId, PersonId, TenantId},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Caller, Operations,
    follow_ups::{LEASE, Setback},
    privacy::{Whom, unopened},
};
use crate::{
    ledger::{Attachments, Decision, FollowUp, Followed, LedgerError, Receipt, state_at},
    outbox::follow_ups::{self, ERASE, Leased},
    persons::{Asked, Waiting},
    queries::{
        checkpoints, persons as rows,
        telling_bodies::{self, Search, Sought},
    },
    secrets::SecretError,
};

/// Persons who are forgotten in one commit.
const PAGE: usize = 200;
/// Erasures that are at work in one step.
const STEP_MAX: i64 = 16;
/// How long bodies are looked through in one go. As many goes as there are erasures in a step fit into their lease.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much was destroyed.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Destroyed {
    /// Persons who are forgotten.
    pub persons: u64,
    /// Orders whose buyer nobody can read any more.
    pub orders: u64,
    /// Bodies of webhooks.
    pub bodies: u64,
}

/// An erasure as its follow-up has it.
#[derive(Serialize, Deserialize)]
struct Erasure {
    /// A [`Sought`].
    #[serde(flatten)]
    whom: Waiting,
    /// What has come later is kept.
    until: DateTime<Utc>,
    /// How many of the persons have been forgotten by now.
    forgotten: usize,
    /// The block of the table of bodies to go on from.
    block: i64,
}

/// An erasure at work.
struct AtWork<'l> {
    leased: &'l Leased,
    erasure: Erasure,
    sought: Sought,
}

/// Why somebody is forgotten.
struct Cause {
    /// The connection whose platform has asked for it: then only its own bodies go, and none that may still be replayed.
    connection: Uuid,
    delivery: Uuid,
    followed: Vec<Followed>,
    /// The order that was named instead of a person.
    order: Option<OrderId>,
}

impl Operations {
    /// Forgets somebody: nobody can read any more what history says of them, and bodies are destroyed a moment later.
    ///
    /// Asking once more destroys nothing, and is noted.
    pub async fn forget(&self, caller: Caller, whom: &Whom) -> Result<Receipt, LedgerError> {
        let sought = self.sought(&caller, whom).await?;
        let order = match whom {
            Whom::Order { connection, external } => Some(OrderId::of(*connection, external)),
            Whom::Person(_) | Whom::Address { .. } => None,
        };
        let cause = Cause { connection: Uuid::nil(), delivery: Uuid::nil(), followed: vec![], order };
        self.begin_erasure(caller, sought, cause).await
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
            order: None,
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
        let tenant = caller.context.tenant;
        let orders = rows::count(self.ledger().pool(), tenant, &sought.persons).await?;
        let answer = json!({ "persons": sought.persons, "orders": orders });
        let external = Uuid::now_v7().to_string();
        let whom = Waiting::seal(&sought, &self.keys, tenant, &external).map_err(|error| unopened(&error))?;
        let mut persons = sought.persons;
        persons.truncate(PAGE);
        let correlation_id = caller.context.correlation_id.clone();
        self.submit(caller, vec![StreamId::Administration], move |_, now| {
            let erasure = Erasure { whom: whom.clone(), until: now, forgotten: persons.len(), block: 0 };
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
            if let (true, Some(order)) = (persons.is_empty(), cause.order) {
                changes
                    .push((StreamId::Administration, AdministrationEvent::OrderForgotten { order }.into()));
            }
            let attachments = Attachments {
                forgotten: persons.clone(),
                followed: cause.followed.clone(),
                follow_ups: vec![bodies],
                ..Attachments::default()
            };
            Ok(Decision { changes, answer: answer.clone().into(), attachments, ..Decision::default() })
        })
        .await
    }

    /// Destroys bodies for those who have been forgotten: one stretch of their table, for all erasures that stand at the same
    /// place in it at once. Says how many were at work.
    pub(super) async fn erase(&self) -> Result<usize, LedgerError> {
        let (pool, now) = (self.ledger().pool(), self.ledger().clock().now());
        let leased = follow_ups::claim(pool, now, LEASE, STEP_MAX, true).await?;
        let mut together: BTreeMap<(TenantId, Uuid, i64), Vec<AtWork<'_>>> = BTreeMap::new();
        for leased in &leased {
            match self.at_work(leased).await {
                Ok(work) => {
                    let place = (leased.tenant, leased.followed.connection, work.erasure.block);
                    together.entry(place).or_default().push(work);
                }
                Err(setback) => self.set_back(leased, setback).await?,
            }
        }
        for ((tenant, connection, block), works) in together {
            let connection = Some(ConnectionId(connection)).filter(|connection| !connection.0.is_nil());
            if let Err(error) = self.erase_stretch(tenant, connection, block, &works).await {
                let why = error.to_string();
                for work in works {
                    self.set_back(work.leased, Setback::Again(why.clone(), None)).await?;
                }
            }
        }
        Ok(leased.len())
    }

    /// What an erasure is about, once all its persons are forgotten.
    async fn at_work<'l>(&self, leased: &'l Leased) -> Result<AtWork<'l>, Setback> {
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
        for page in sought.persons[erasure.forgotten.min(sought.persons.len())..].chunks(PAGE) {
            self.destroy_keys(self.caller_of(leased), page.to_vec()).await?;
        }
        erasure.forgotten = sought.persons.len();
        Ok(AtWork { leased, erasure, sought })
    }

    async fn erase_stretch(
        &self,
        tenant: TenantId,
        connection: Option<ConnectionId>,
        block: i64,
        works: &[AtWork<'_>],
    ) -> Result<(), LedgerError> {
        let pool = self.ledger().pool();
        let search =
            |work: &AtWork<'_>| Search { sought: work.sought.clone(), until: Some(work.erasure.until) };
        let searches: Vec<_> = works.iter().map(search).collect();
        let stretch = (block, PATIENCE);
        let (destroyed, next) =
            telling_bodies::destroy_bodies(pool, tenant, &searches, connection, stretch).await?;
        tracing::info!(%tenant, destroyed, erasures = works.len(), ?next, "bodies were destroyed");
        let now = self.ledger().clock().now();
        for AtWork { leased, erasure, .. } in works {
            let Some(block) = next else {
                let followed = vec![leased.followed.clone()];
                let attachments = Attachments { followed, ..Attachments::default() };
                self.submit(self.caller_of(leased), vec![], move |_, _| {
                    Ok(Decision { attachments: attachments.clone(), ..Decision::default() })
                })
                .await?;
                continue;
            };
            let Erasure { whom, until, forgotten, .. } = erasure;
            let further = Erasure { whom: whom.clone(), until: *until, forgotten: *forgotten, block };
            follow_ups::go_on(pool, leased, &json!(further), now).await?;
        }
        Ok(())
    }

    /// Forgets everybody who has ever ordered on a connection, and destroys the bodies of all its deliveries.
    pub async fn forget_everybody(
        &self,
        caller: Caller,
        connection: ConnectionId,
    ) -> Result<Destroyed, LedgerError> {
        let (pool, tenant) = (self.ledger().pool(), caller.context.tenant);
        self.own_connection(&caller, connection).await?;
        // A key would name one commit, and these are many.
        let caller = Caller { idempotency: None, ..caller };
        let bodies = telling_bodies::destroy_bodies_of(pool, tenant, connection).await?;
        let mut destroyed = Destroyed { bodies, ..Destroyed::default() };
        let mut after = None;
        loop {
            let page = rows::buyers_on(pool, tenant, connection, after.as_ref(), PAGE as i64).await?;
            let Some(last) = page.last() else { return Ok(destroyed) };
            after = Some(last.clone());
            destroyed.persons += page.len() as u64;
            destroyed.orders += self.destroy_keys(caller.clone(), page).await?;
        }
    }

    /// Forgets a page of persons. Says of how many orders.
    async fn destroy_keys(&self, caller: Caller, persons: Vec<PersonId>) -> Result<u64, LedgerError> {
        let orders = rows::count(self.ledger().pool(), caller.context.tenant, &persons).await?;
        self.submit(caller, vec![StreamId::Administration], move |_, _| {
            let attachments = Attachments { forgotten: persons.clone(), ..Attachments::default() };
            Ok(Decision { changes: noted(&persons), attachments, ..Decision::default() })
        })
        .await?;
        Ok(orders.unsigned_abs())
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

/// A key that is missing may be put back.
fn not_now(error: &SecretError) -> Setback {
    Setback::Again(error.to_string(), None)
}

fn noted(persons: &[PersonId]) -> Changes {
    let noted = |person: &PersonId| {
        let event = AdministrationEvent::PersonForgotten { person: person.clone() };
        (StreamId::Administration, Event::from(event))
    };
    persons.iter().map(noted).collect()
}
