//! Persons: the keys to what history says of them.

use chrono::{DateTime, Utc};
use onhand_domain::values::{ConnectionId, InvalidValue, OrderId, PersonId, TenantId};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::secrets::Sealed;

/// Orders of one person that are shown.
const SHOWN_MAX: i64 = 1_000;

/// A key as its row has it.
#[derive(FromRow)]
struct KeyRow {
    key_id: String,
    nonce: Vec<u8>,
    sealed: Vec<u8>,
}

impl From<KeyRow> for Sealed {
    fn from(KeyRow { key_id, nonce, sealed }: KeyRow) -> Self {
        Self { key_id, nonce, sealed }
    }
}

/// The key a tenant's persons are named with, if it has one by now.
pub(crate) async fn naming(pool: &PgPool, tenant: TenantId) -> Result<Option<Sealed>, sqlx::Error> {
    let row: Option<KeyRow> = sqlx::query_as(
        "select key_id, nonce, sealed from person_keys where tenant_id = $1 and person = '' and order_id = $2",
    )
    .bind(tenant.0)
    .bind(Uuid::nil())
    .fetch_optional(pool)
    .await?;
    Ok(row.map(Sealed::from))
}

/// Keeps such a key, unless there is one. Gives the one that is kept.
pub(crate) async fn keep_naming(
    pool: &PgPool,
    tenant: TenantId,
    sealed: &Sealed,
    now: DateTime<Utc>,
) -> Result<Sealed, sqlx::Error> {
    sqlx::query(
        "insert into person_keys (tenant_id, person, order_id, connection_id, key_id, nonce, sealed, created_at)
         values ($1, '', $2, $2, $3, $4, $5, $6)
         on conflict do nothing -- two processes have met their first buyers at the same time",
    )
    .bind(tenant.0)
    .bind(Uuid::nil())
    .bind(&sealed.key_id)
    .bind(&sealed.nonce)
    .bind(&sealed.sealed)
    .bind(now)
    .execute(pool)
    .await?;
    naming(pool, tenant).await?.ok_or(sqlx::Error::RowNotFound)
}

/// The persons who have ordered under an address, which is given by the name that somebody has who is known by it alone.
pub(crate) async fn known_under(
    pool: &PgPool,
    tenant: TenantId,
    address: &PersonId,
) -> Result<Vec<PersonId>, sqlx::Error> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "select distinct person from person_keys where tenant_id = $1 and address = $2", // person_keys_address_idx
    )
    .bind(tenant.0)
    .bind(address.as_str())
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(|(person,)| name(&person)).collect()
}

/// What history calls the buyers of some orders, as far as it knows any.
pub(crate) async fn buyers_of(
    pool: &PgPool,
    tenant: TenantId,
    orders: &[OrderId],
) -> Result<Vec<PersonId>, sqlx::Error> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "select distinct e.payload::jsonb->'buyer'->>'person' from events e
         where e.tenant_id = $1 and e.stream = any($2) and e.name = 'order.placed' -- the index on streams
           and e.payload::jsonb->'buyer'->>'person' is not null",
    )
    .bind(tenant.0)
    .bind(orders.iter().map(|order| format!("order/{order}")).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(|(person,)| name(&person)).collect()
}

/// The deliveries that entries of an order followed from.
pub(crate) async fn deliveries_of(
    pool: &PgPool,
    tenant: TenantId,
    order: OrderId,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let rows: Vec<(Option<String>,)> = sqlx::query_as(
        "select distinct e.metadata::jsonb->>'causation_id' from events e
         where e.tenant_id = $1 and e.stream = $2", // the index on streams
    )
    .bind(tenant.0)
    .bind(format!("order/{order}"))
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(|(delivery,)| delivery?.parse().ok()).collect())
}

/// The next persons, in the order of their names, who have ordered on a connection up to a time.
pub(crate) async fn buyers_on(
    pool: &PgPool,
    tenant: TenantId,
    (connection, until): (ConnectionId, DateTime<Utc>),
    after: Option<&PersonId>,
    limit: i64,
) -> Result<Vec<PersonId>, sqlx::Error> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "select distinct person from person_keys
         where tenant_id = $1 and person > $2 and connection_id = $3 and created_at <= $5
         order by person limit $4", // the primary key
    )
    .bind(tenant.0)
    .bind(after.map_or("", PersonId::as_str)) // Beyond the row of the key that makes names.
    .bind(connection.0)
    .bind(limit)
    .bind(until)
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(|(person,)| name(&person)).collect()
}

/// An order whose buyer can still be read.
#[derive(FromRow)]
pub(crate) struct Readable {
    pub(crate) person: String,
    pub(crate) order_id: Uuid,
    pub(crate) connection_id: Uuid,
    pub(crate) external_id: String,
    pub(crate) position: i64,
    pub(crate) placed_at: DateTime<Utc>,
    /// As its entry has it.
    pub(crate) buyer: String,
    key_id: String,
    nonce: Vec<u8>,
    sealed: Vec<u8>,
}

impl Readable {
    /// What it is read with.
    pub(crate) fn key(&self) -> Sealed {
        Sealed { key_id: self.key_id.clone(), nonce: self.nonce.clone(), sealed: self.sealed.clone() }
    }
}

const READABLE: &str = "k.person, k.order_id, k.connection_id, e.payload::jsonb->>'external_id' as external_id, \
     e.position, e.recorded_at as placed_at, e.payload::jsonb->'buyer'->>'sealed' as buyer, \
     k.key_id, k.nonce, k.sealed \
     from person_keys k \
     join events e on e.tenant_id = k.tenant_id and e.stream = 'order/' || k.order_id::text and e.name = 'order.placed' \
     where k.tenant_id = $1 and k.person = any($2)";

/// The newest orders of some persons.
pub(crate) async fn newest(
    pool: &PgPool,
    tenant: TenantId,
    persons: &[PersonId],
) -> Result<Vec<Readable>, sqlx::Error> {
    readable(pool, tenant, persons, format!("select {READABLE} order by e.position desc limit $3")).await
}

/// One order of some persons for each address they have ordered under.
pub(crate) async fn of_each_address(
    pool: &PgPool,
    tenant: TenantId,
    persons: &[PersonId],
) -> Result<Vec<Readable>, sqlx::Error> {
    let sql = format!(
        "select distinct on (k.address) {READABLE} and k.address is not null order by k.address limit $3"
    );
    readable(pool, tenant, persons, sql).await
}

async fn readable(
    pool: &PgPool,
    tenant: TenantId,
    persons: &[PersonId],
    sql: String,
) -> Result<Vec<Readable>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(tenant.0)
        .bind(names(persons))
        .bind(SHOWN_MAX)
        .fetch_all(pool)
        .await
}

/// Orders whose keys would be destroyed with these persons.
pub(crate) async fn count(pool: &PgPool, tenant: TenantId, persons: &[PersonId]) -> Result<i64, sqlx::Error> {
    let (count,): (i64,) =
        sqlx::query_as("select count(*) from person_keys where tenant_id = $1 and person = any($2)")
            .bind(tenant.0)
            .bind(names(persons))
            .fetch_one(pool)
            .await?;
    Ok(count)
}

/// Orders of a connection whose buyer can still be read.
pub(crate) async fn count_on(
    pool: &PgPool,
    tenant: TenantId,
    connection: ConnectionId,
) -> Result<i64, sqlx::Error> {
    let (count,): (i64,) =
        sqlx::query_as("select count(*) from person_keys where tenant_id = $1 and connection_id = $2")
            .bind(tenant.0)
            .bind(connection.0)
            .fetch_one(pool)
            .await?;
    Ok(count)
}

/// When one of some persons was forgotten last.
pub(crate) async fn forgotten_at(
    pool: &PgPool,
    tenant: TenantId,
    persons: &[PersonId],
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let row: Option<(DateTime<Utc>,)> = sqlx::query_as(
        "select recorded_at from events
         where tenant_id = $1 and stream = 'administration/log' and name = 'administration.person_forgotten'
           and payload::jsonb->>'person' = any($2)
         order by version desc limit 1", // the index on streams
    )
    .bind(tenant.0)
    .bind(names(persons))
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(at,)| at))
}

/// A key that is sealed with another master key than the one that seals now.
#[derive(FromRow)]
pub(crate) struct Stale {
    pub(crate) tenant_id: Uuid,
    pub(crate) person: String,
    pub(crate) order_id: Uuid,
    key_id: String,
    nonce: Vec<u8>,
    sealed: Vec<u8>,
}

impl Stale {
    /// As it is sealed now.
    pub(crate) fn sealed(&self) -> Sealed {
        Sealed { key_id: self.key_id.clone(), nonce: self.nonce.clone(), sealed: self.sealed.clone() }
    }
}

/// How many keys are sealed with another master key than this, of all tenants.
pub(crate) async fn count_stale(pool: &PgPool, key: &str) -> Result<i64, sqlx::Error> {
    let (count,): (i64,) = sqlx::query_as("select count(*) from person_keys where key_id <> $1")
        .bind(key)
        .fetch_one(pool)
        .await?;
    Ok(count)
}

/// The next of them after one, in the order of their keys.
pub(crate) async fn stale(
    pool: &PgPool,
    key: &str,
    after: Option<&Stale>,
    limit: i64,
) -> Result<Vec<Stale>, sqlx::Error> {
    sqlx::query_as(
        "select tenant_id, person, order_id, key_id, nonce, sealed from person_keys
         where (tenant_id, person, order_id) > ($1, $2, $3) and key_id <> $4
         order by tenant_id, person, order_id limit $5", // the primary key: none is met twice
    )
    .bind(after.map_or(Uuid::nil(), |after| after.tenant_id))
    .bind(after.map_or("", |after| after.person.as_str()))
    .bind(after.map_or(Uuid::nil(), |after| after.order_id))
    .bind(key)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Puts keys sealed anew in the places of themselves; those that are destroyed meanwhile stay destroyed, and those that another
/// process has sealed anew stay as they are. Says whose the others were, one by one.
pub(crate) async fn reseal(
    pool: &PgPool,
    stale: &[Stale],
    anew: &[Sealed],
) -> Result<Vec<TenantId>, sqlx::Error> {
    let rows: Vec<(Uuid,)> = sqlx::query_as(
        "update person_keys k set key_id = a.key_id, nonce = a.nonce, sealed = a.sealed
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[])
              as a (tenant_id, person, order_id, key_id, nonce, sealed, before)
         where k.tenant_id = a.tenant_id and k.person = a.person and k.order_id = a.order_id and k.nonce = a.before
         returning k.tenant_id",
    )
    .bind(stale.iter().map(|it| it.tenant_id).collect::<Vec<_>>())
    .bind(stale.iter().map(|it| it.person.as_str()).collect::<Vec<_>>())
    .bind(stale.iter().map(|it| it.order_id).collect::<Vec<_>>())
    .bind(anew.iter().map(|it| it.key_id.as_str()).collect::<Vec<_>>())
    .bind(anew.iter().map(|it| it.nonce.as_slice()).collect::<Vec<_>>())
    .bind(anew.iter().map(|it| it.sealed.as_slice()).collect::<Vec<_>>())
    .bind(stale.iter().map(|it| it.nonce.as_slice()).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(tenant,)| TenantId(tenant)).collect())
}

fn names(persons: &[PersonId]) -> Vec<&str> {
    persons.iter().map(PersonId::as_str).collect()
}

fn name(text: &str) -> Result<PersonId, sqlx::Error> {
    PersonId::new(text).map_err(|error: InvalidValue| sqlx::Error::Decode(Box::new(error)))
}
