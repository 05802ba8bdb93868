//! Privacy: what is held about a person, to be shown, and to be destroyed so that nobody can read it any more.
//!
//! What is destroyed are keys and bodies, both of which lie beside history. History itself stands as it stood.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use onhand_domain::{
    Event, Refusal, StreamId,
    administration::AdministrationEvent,
    values::{ConnectionId, ExternalId, OrderId, PersonId, TenantId},
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{Caller, Operations};
use crate::{
    believed::Believed,
    ledger::{Attachments, Decision, FollowUp, Followed, LedgerError, Receipt},
    outbox::follow_ups::{FORGET, Leased},
    persons::{self, Erasure, Naming, Persons},
    platforms::{Fact, Person, is_address},
    queries::{
        connections::Connected,
        persons::{self as rows, Readable, Sought, TellingBody},
    },
    secrets::SecretError,
};

/// How long the key that names persons is believed to be what it is. It never changes; a restored database has another.
const BELIEVED: Duration = Duration::from_mins(10);
const TENANTS_MAX: usize = 10_000;
/// How long bodies are looked through in one go where somebody else's lease runs meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);
/// Persons who are forgotten in one commit.
const PAGE: i64 = 200;

/// The keys that name persons, by tenant.
pub(super) type Namings = Believed<TenantId, Naming>;

pub(super) fn no_namings() -> Namings {
    Believed::new(BELIEVED, TENANTS_MAX)
}

/// Who is meant.
#[derive(Debug, Clone)]
pub enum Whom {
    /// Whoever history calls so.
    Person(PersonId),
    /// Whoever has ordered under an address.
    Address {
        /// Where.
        connection: ConnectionId,
        /// In any spelling.
        email: String,
    },
    /// Whoever has placed an order.
    Order {
        /// Where.
        connection: ConnectionId,
        /// The platform's id of it.
        external: ExternalId,
    },
}

/// What is held about somebody.
#[derive(Debug, Serialize)]
pub struct Held {
    /// What history calls this person; several names if the same address was used without an account as well.
    pub persons: Vec<PersonId>,
    /// When this person was last forgotten, if ever.
    pub forgotten_at: Option<DateTime<Utc>>,
    /// Orders whose buyer can still be read, newest first, a thousand at most.
    pub orders: Vec<HeldOrder>,
    /// Kept bodies of webhooks that tell of this person, a thousand at most.
    pub bodies: Vec<TellingBody>,
}

/// An order, and what its entry says of its buyer.
#[derive(Debug, Serialize)]
pub struct HeldOrder {
    /// Where its entry stands.
    pub position: i64,
    /// When it was placed.
    pub placed_at: DateTime<Utc>,
    /// Where it was placed.
    pub connection_id: Uuid,
    /// The order.
    pub order_id: Uuid,
    /// The platform's id of it.
    pub external_id: String,
    /// What history calls the buyer.
    pub person: String,
    /// The platform's id of the buyer.
    pub buyer_id: Option<String>,
    /// What the buyer is called.
    pub name: Option<String>,
    /// The buyer's address.
    pub email: Option<String>,
}

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

impl Operations {
    /// Shows what is held about somebody.
    pub async fn held(&self, caller: &Caller, whom: &Whom) -> Result<Held, LedgerError> {
        let (pool, tenant) = (self.ledger().pool(), caller.context.tenant);
        let sought = self.sought(caller, whom).await?;
        let orders = rows::newest(pool, tenant, &sought.persons).await?;
        let orders = orders.into_iter().map(|order| self.read(tenant, order)).collect::<Result<_, _>>()?;
        Ok(Held {
            forgotten_at: rows::forgotten_at(pool, tenant, &sought.persons).await?,
            orders,
            bodies: rows::bodies(pool, tenant, &sought).await?,
            persons: sought.persons,
        })
    }

    /// Destroys what is held about somebody: bodies first, and at last the keys, in the commit that notes it.
    ///
    /// If it is broken off, asking again does the rest; asking once more destroys nothing, and is noted.
    pub async fn forget(&self, caller: Caller, whom: &Whom) -> Result<Receipt, LedgerError> {
        let (pool, tenant) = (self.ledger().pool(), caller.context.tenant);
        let sought = self.sought(&caller, whom).await?;
        let (bodies, _) = rows::destroy_bodies(pool, tenant, &sought, 0, Duration::MAX).await?;
        self.destroy_keys(caller, sought.persons, bodies, vec![]).await
    }

    /// The same for everybody who has ever ordered on a connection.
    pub async fn forget_everybody(
        &self,
        caller: Caller,
        connection: ConnectionId,
    ) -> Result<Destroyed, LedgerError> {
        let (pool, tenant) = (self.ledger().pool(), caller.context.tenant);
        self.own_connection(&caller, connection).await?;
        // A key would name one commit, and these are many.
        let caller = Caller { idempotency: None, ..caller };
        let bodies = rows::destroy_bodies_of(pool, tenant, connection).await?;
        let mut destroyed = Destroyed { bodies, ..Destroyed::default() };
        let mut after = None;
        loop {
            let page = rows::buyers_on(pool, tenant, connection, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(destroyed) };
            after = Some(last.clone());
            destroyed.persons += page.len() as u64;
            let receipt = self.destroy_keys(caller.clone(), page, 0, vec![]).await?;
            destroyed.orders += receipt.answer.value()["orders"].as_u64().unwrap_or(0);
        }
    }

    async fn destroy_keys(
        &self,
        caller: Caller,
        persons: Vec<PersonId>,
        bodies: u64,
        followed: Vec<Followed>,
    ) -> Result<Receipt, LedgerError> {
        let orders = rows::count(self.ledger().pool(), caller.context.tenant, &persons).await?;
        let answer = json!({ "persons": persons, "orders": orders, "bodies": bodies });
        self.submit(caller, vec![StreamId::Administration], move |_, _| {
            let noted = |person: &PersonId| {
                let event = AdministrationEvent::PersonForgotten { person: person.to_string() };
                (StreamId::Administration, Event::from(event))
            };
            let attachments = Attachments {
                forgotten: persons.clone(),
                followed: followed.clone(),
                ..Attachments::default()
            };
            Ok(Decision {
                changes: persons.iter().map(noted).collect(),
                answer: answer.clone().into(),
                attachments,
                ..Decision::default()
            })
        })
        .await
    }

    /// Forgets somebody because a platform has asked for it: as much of it as a lease gives time for.
    pub(super) async fn forget_asked(&self, leased: &Leased, caller: Caller) -> Result<(), LedgerError> {
        let (pool, tenant) = (self.ledger().pool(), leased.tenant);
        let unreadable =
            || Refusal::invalid("person.unreadable", "it cannot be read whom it asks to be forgotten");
        let erasure = leased.payload.clone().and_then(|payload| serde_json::from_value(payload).ok());
        let erasure: Erasure = erasure.ok_or_else(unreadable)?;
        let sought = self.sought_by(leased, &erasure).await?;
        let (bodies, next) = rows::destroy_bodies(pool, tenant, &sought, erasure.block, PATIENCE).await?;
        let followed = vec![leased.followed.clone()];
        let Some(block) = next else {
            self.destroy_keys(caller, sought.persons, bodies, followed).await?;
            return Ok(());
        };
        let further = FollowUp {
            connection: leased.followed.connection,
            kind: FORGET,
            external: leased.followed.external.clone(),
            payload: Some(json!(erasure.at_block(block))),
            delivery: leased.delivery,
            correlation_id: leased.correlation_id.clone(),
            due: self.ledger().clock().now(),
        };
        let attachments = Attachments { follow_ups: vec![further], followed, ..Attachments::default() };
        self.submit(caller, vec![], move |_, _| {
            Ok(Decision { attachments: attachments.clone(), ..Decision::default() })
        })
        .await?;
        Ok(())
    }

    /// Names and seals whomever some facts tell of. Where they tell of nobody, nothing is asked for.
    pub(super) async fn persons_in(
        &self,
        connection: &Connected,
        facts: &[Fact],
    ) -> Result<Persons, LedgerError> {
        if facts.iter().all(|fact| fact.person().is_none()) {
            return Ok(Persons::default());
        }
        let naming = self.naming(connection.tenant).await?;
        let place = (connection.tenant, connection.id);
        Persons::of(facts, &self.keys, &naming, place).map_err(|error| unopened(&error))
    }

    /// The key that names a tenant's persons, made when the first one is met.
    async fn naming(&self, tenant: TenantId) -> Result<Naming, LedgerError> {
        let found = self
            .namings
            .find_or_ask(tenant, async |tenant| self.find_naming(*tenant).await.map(Some))
            .await?;
        found.ok_or(LedgerError::Busy)
    }

    async fn find_naming(&self, tenant: TenantId) -> Result<Naming, LedgerError> {
        let (pool, now) = (self.ledger().pool(), self.ledger().clock().now());
        let kept = match rows::naming(pool, tenant).await? {
            Some(kept) => kept,
            None => {
                let fresh = Naming::fresh().sealed(&self.keys, tenant).map_err(|error| unopened(&error))?;
                // Another process may have been quicker; what is kept counts.
                rows::keep_naming(pool, tenant, &fresh, now).await?
            }
        };
        Naming::open(&self.keys, tenant, &kept).map_err(|error| unopened(&error))
    }

    async fn sought(&self, caller: &Caller, whom: &Whom) -> Result<Sought, LedgerError> {
        let tenant = caller.context.tenant;
        match whom {
            Whom::Person(person) => self.sought_as(tenant, vec![person.clone()], None).await,
            Whom::Address { connection, email } => {
                self.own_connection(caller, *connection).await?;
                let email = email.trim();
                if !is_address(email) {
                    let detail = format!("{email:?} is no e-mail address");
                    return Err(Refusal::invalid("person.address", detail).into());
                }
                let persons = self.known_under(tenant, *connection, email).await?;
                self.sought_as(tenant, persons, Some(email)).await
            }
            Whom::Order { connection, external } => {
                self.own_connection(caller, *connection).await?;
                let order = OrderId::of(*connection, external);
                let persons = rows::buyers_of(self.ledger().pool(), tenant, &[order]).await?;
                if persons.is_empty() {
                    let detail = format!("history knows no order {external} that says who placed it");
                    return Err(Refusal::missing("person.unknown", detail).into());
                }
                self.sought_as(tenant, persons, None).await
            }
        }
    }

    async fn sought_by(&self, leased: &Leased, erasure: &Erasure) -> Result<Sought, LedgerError> {
        let (tenant, connection) = (leased.tenant, ConnectionId(leased.followed.connection));
        let name = leased.followed.external.as_str();
        let Person { email, .. } = erasure.person(&self.keys, (tenant, name)).map_err(|error| unopened(&error))?;
        let orders: Vec<_> = erasure.orders.iter().map(|order| OrderId::of(connection, order)).collect();
        let mut persons = vec![PersonId::new(name).map_err(Refusal::from)?];
        if let Some(email) = &email {
            persons.extend(self.known_under(tenant, connection, email).await?);
        }
        persons.extend(rows::buyers_of(self.ledger().pool(), tenant, &orders).await?);
        self.sought_as(tenant, persons, email.as_deref()).await
    }

    /// Everybody who is known under an address, and whoever is known by nothing else.
    async fn known_under(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        email: &str,
    ) -> Result<Vec<PersonId>, LedgerError> {
        let name = self.naming(tenant).await?.of_address(connection, email);
        let mut persons = rows::known_under(self.ledger().pool(), tenant, &name).await?;
        persons.push(name);
        Ok(persons)
    }

    /// These persons, with every address they have ordered under.
    async fn sought_as(
        &self,
        tenant: TenantId,
        persons: Vec<PersonId>,
        address: Option<&str>,
    ) -> Result<Sought, LedgerError> {
        let persons: Vec<_> = persons.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut addresses: BTreeSet<String> = address.map(str::to_lowercase).into_iter().collect();
        for order in rows::of_each_address(self.ledger().pool(), tenant, &persons).await? {
            addresses.extend(self.read(tenant, order)?.email.map(|email| email.to_lowercase()));
        }
        Ok(Sought { persons, addresses: addresses.into_iter().collect() })
    }

    fn read(&self, tenant: TenantId, order: Readable) -> Result<HeldOrder, LedgerError> {
        let key = order.key();
        let buyer = (order.person.as_str(), OrderId(order.order_id));
        let Person { id, name, email } =
            persons::open(&self.keys, tenant, buyer, &key, &order.buyer).map_err(|error| unopened(&error))?;
        let Readable { person, order_id, connection_id, external_id, position, placed_at, .. } = order;
        Ok(HeldOrder {
            position,
            placed_at,
            connection_id,
            order_id,
            external_id,
            person,
            buyer_id: id,
            name,
            email,
        })
    }

    /// Seals anew the keys that are sealed with another master key than the one that seals now; says how many those were, and
    /// adds them up by tenant.
    ///
    /// A key that is destroyed meanwhile stays destroyed.
    pub(super) async fn reencrypt_person_keys(
        &self,
        sealed: &mut BTreeMap<TenantId, u64>,
        progress: impl Fn(i64, i64),
    ) -> Result<i64, LedgerError> {
        let (pool, key) = (self.ledger().pool(), self.keys.sealing());
        let of = rows::count_stale(pool, key).await?;
        let (mut done, mut last) = (0, None);
        loop {
            let page = rows::stale(pool, key, last.as_ref(), PAGE).await?;
            if page.is_empty() {
                return Ok(done);
            }
            let mut anew = Vec::with_capacity(page.len());
            for stale in &page {
                let place = persons::place(TenantId(stale.tenant_id), &stale.person, stale.order_id);
                let opened = self.keys.open_bytes(&place, &stale.sealed());
                anew.push(opened.and_then(|key| self.keys.seal_bytes(&place, &key)).map_err(|error| unopened(&error))?);
            }
            rows::reseal(pool, &page, &anew).await?;
            for stale in &page {
                *sealed.entry(TenantId(stale.tenant_id)).or_default() += 1;
            }
            done += page.len() as i64;
            progress(done, of.max(done));
            last = page.into_iter().next_back();
        }
    }
}

fn unopened(error: &SecretError) -> LedgerError {
    Refusal::conflict("person.sealed", format!("what is known of a person: {error}")).into()
}
