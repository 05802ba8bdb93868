//! Privacy: whom webhooks tell of, by the names history has for them, and what is held about somebody, to be shown.

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
use uuid::Uuid;

use super::{Caller, Operations};
use crate::{
    believed::Believed,
    ledger::{Decision, LedgerError},
    persons::{self, Asked, Naming, Persons},
    platforms::{Fact, Person, is_address},
    queries::{
        connections::Connected,
        persons::{self as rows, Readable},
        telling_bodies::{self, Sought, TellingBody},
    },
    secrets::SecretError,
};

/// How long the key that names persons is believed to be what it is. It never changes; a restored database has another.
const BELIEVED: Duration = Duration::from_mins(10);
const TENANTS_MAX: usize = 10_000;
/// Keys that are sealed anew at a time.
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

impl Operations {
    /// Shows what is held about somebody, and notes that it was shown.
    pub async fn held(&self, caller: &Caller, whom: &Whom) -> Result<Held, LedgerError> {
        let (pool, tenant) = (self.ledger().pool(), caller.context.tenant);
        let sought = self.sought(caller, whom).await?;
        let orders = rows::newest(pool, tenant, &sought.persons).await?;
        let read = orders.iter().map(|order| order.person.parse::<PersonId>());
        let read: BTreeSet<PersonId> = read.collect::<Result<_, _>>().map_err(Refusal::from)?;
        let orders = orders.into_iter().map(|order| self.read(tenant, order)).collect::<Result<_, _>>()?;
        let held = Held {
            forgotten_at: rows::forgotten_at(pool, tenant, &sought.persons).await?,
            orders,
            bodies: telling_bodies::bodies(pool, tenant, &sought, &self.pace).await?,
            persons: sought.persons,
        };
        if !read.is_empty() {
            let caller = Caller { idempotency: None, ..caller.clone() };
            self.submit(caller, vec![StreamId::Administration], move |_, _| {
                let shown = |person: &PersonId| {
                    let event = AdministrationEvent::PersonShown { person: person.clone() };
                    (StreamId::Administration, Event::from(event))
                };
                Ok(Decision { changes: read.iter().map(shown).collect(), ..Decision::default() })
            })
            .await?;
        }
        Ok(held)
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
        let place = (connection.tenant, connection.id);
        let named = match self.naming(connection.tenant).await {
            Ok(naming) => Persons::of(facts, &self.keys, &naming, place).map_err(|error| unopened(&error)),
            Err(error) => Err(error),
        };
        let mut persons = named.map_err(|error| match error {
            // A master key is missing. That is not the body's fault, and will not last: its sender tries again.
            LedgerError::Refused(refusal) => {
                tracing::error!(connection = %connection.id, %refusal, "a person cannot be named");
                LedgerError::Unavailable(refusal.to_string())
            }
            error => error,
        })?;
        let mut listed = Vec::new();
        for fact in facts {
            if let Fact::DisclosureAsked { orders, .. } = fact {
                listed.extend(orders.iter().map(|order| OrderId::of(connection.id, order)));
            }
        }
        if !listed.is_empty() {
            let buyers = rows::buyers_of(self.ledger().pool(), connection.tenant, &listed).await?;
            let known: BTreeSet<_> = persons.person.iter().chain(&persons.guest).cloned().collect();
            let others: BTreeSet<_> = buyers.into_iter().filter(|buyer| !known.contains(buyer)).collect();
            persons.others = others.into_iter().collect();
        }
        Ok(persons)
    }

    /// What the bodies of an order are called that do not tell who placed it. None for the moment if a master key is missing,
    /// which costs no order and keeps nobody from being forgotten.
    pub(super) async fn name_of_order(
        &self,
        (tenant, connection): (TenantId, ConnectionId),
        order: OrderId,
    ) -> Result<Option<PersonId>, LedgerError> {
        match self.naming(tenant).await {
            Ok(naming) => Ok(Some(naming.of_order(connection, order))),
            Err(LedgerError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What history would call somebody.
    pub(super) async fn name_of(
        &self,
        connection: &Connected,
        person: &Person,
    ) -> Result<Option<PersonId>, LedgerError> {
        Ok(self.naming(connection.tenant).await?.of(connection.id, person))
    }

    /// The key that names a tenant's persons, made when the first one is met.
    async fn naming(&self, tenant: TenantId) -> Result<Naming, LedgerError> {
        let found = self
            .namings
            .find_or_ask(self.ledger().pool(), tenant, async |tenant| {
                self.find_naming(*tenant).await.map(Some)
            })
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

    /// Whom somebody means.
    pub(super) async fn sought(&self, caller: &Caller, whom: &Whom) -> Result<Sought, LedgerError> {
        let (pool, tenant) = (self.ledger().pool(), caller.context.tenant);
        match whom {
            Whom::Person(person) => self.sought_as(tenant, vec![person.clone()], None).await,
            Whom::Address { connection, email } => {
                self.own_connection(caller, *connection).await?;
                let email = email.trim();
                if !is_address(email) {
                    let detail = format!("{email:?} is no e-mail address");
                    return Err(Refusal::invalid("person.address", detail).into());
                }
                let name = self.naming(tenant).await?.of_address(*connection, email);
                let mut persons = rows::known_under(pool, tenant, &name).await?;
                persons.push(name);
                self.sought_as(tenant, persons, Some(email)).await
            }
            Whom::Order { connection, external } => {
                self.own_connection(caller, *connection).await?;
                let order = OrderId::of(*connection, external);
                let deliveries = rows::deliveries_of(pool, tenant, order).await?;
                if deliveries.is_empty() {
                    let detail = format!("history knows no order {external} that a webhook has told of");
                    return Err(Refusal::missing("person.unknown", detail).into());
                }
                let persons = rows::buyers_of(pool, tenant, &[order]).await?;
                // What has changed nothing has left no entry, and is found by what it is called.
                let orders = self.name_of_order((tenant, *connection), order).await?.into_iter().collect();
                Ok(Sought { deliveries, orders, ..self.sought_as(tenant, persons, None).await? })
            }
        }
    }

    /// Whom a platform means: a person and whoever has placed the orders it lists. An address counts as far as it is
    /// nobody else's, for many may order under one.
    pub(super) async fn sought_by(
        &self,
        (tenant, connection): (TenantId, ConnectionId),
        Asked { name, person, orders }: Asked,
    ) -> Result<Sought, LedgerError> {
        let (pool, naming) = (self.ledger().pool(), self.naming(tenant).await?);
        let orders: Vec<_> = orders.iter().map(|order| OrderId::of(connection, order)).collect();
        let of_orders = orders.iter().map(|order| naming.of_order(connection, *order)).collect();
        let mut persons: BTreeSet<_> = rows::buyers_of(pool, tenant, &orders).await?.into_iter().collect();
        persons.insert(name);
        let told = person.email.map(|email| email.to_lowercase());
        let of_persons: Vec<_> = persons.iter().cloned().collect();
        let used = self.addresses_of(tenant, &of_persons).await?;
        let mut addresses = Vec::new();
        for address in told.into_iter().chain(used).collect::<BTreeSet<_>>() {
            let guest = naming.of_address(connection, &address);
            let known = rows::known_under(pool, tenant, &guest).await?;
            if known.iter().all(|known| *known == guest || persons.contains(known)) {
                addresses.push((address, guest));
            }
        }
        let (addresses, guests): (Vec<_>, Vec<_>) = addresses.into_iter().unzip();
        persons.extend(guests);
        let persons = persons.into_iter().collect();
        Ok(Sought { persons, orders: of_orders, addresses, ..Sought::default() })
    }

    /// These persons, with every address they have ordered under.
    async fn sought_as(
        &self,
        tenant: TenantId,
        persons: Vec<PersonId>,
        address: Option<&str>,
    ) -> Result<Sought, LedgerError> {
        let persons: Vec<_> = persons.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut addresses = self.addresses_of(tenant, &persons).await?;
        addresses.extend(address.map(str::to_lowercase));
        Ok(Sought { persons, addresses: addresses.into_iter().collect(), ..Sought::default() })
    }

    /// The addresses some persons have ordered under, in small letters, as far as they can be read: nobody is kept from being
    /// forgotten by a key that does not open.
    async fn addresses_of(
        &self,
        tenant: TenantId,
        persons: &[PersonId],
    ) -> Result<BTreeSet<String>, LedgerError> {
        let mut addresses = BTreeSet::new();
        for order in rows::of_each_address(self.ledger().pool(), tenant, persons).await? {
            let id = order.order_id;
            match self.read(tenant, order) {
                Ok(read) => addresses.extend(read.email.map(|email| email.to_lowercase())),
                Err(error) => tracing::warn!(order = %id, %error, "it cannot be read who placed an order"),
            }
        }
        Ok(addresses)
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
                anew.push(
                    opened
                        .and_then(|key| self.keys.seal_bytes(&place, &key))
                        .map_err(|error| unopened(&error))?,
                );
            }
            for tenant in rows::reseal(pool, &page, &anew).await? {
                *sealed.entry(tenant).or_default() += 1;
                done += 1;
            }
            progress(done, of.max(done));
            last = page.into_iter().next_back();
        }
    }
}

pub(super) fn unopened(error: &SecretError) -> LedgerError {
    Refusal::conflict("person.sealed", format!("what is known of a person: {error}")).into()
}
