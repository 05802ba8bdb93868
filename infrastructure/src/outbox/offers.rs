//! What offers are owed: products that a connection is to have as they stand here.
//!
//! An offer's id is made from its connection and its product, and only here: the database knows both and not the id.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::values::{ConnectionId, OfferId, ProductId, TenantId};
use sqlx::PgConnection;
use uuid::Uuid;

/// A connection, a product, whether that is described whatever it is believed to be, and the product or listing that makes it owed.
type Owing = (Uuid, Uuid, bool, Uuid);

/// What a batch of entries has to do with offers.
#[derive(Debug, Default)]
pub(super) struct Concerned {
    /// Products that may be wanted where they are not yet.
    pub(super) added: Vec<Uuid>,
    /// Products that are described otherwise, have left the catalogue, or are back in it.
    pub(super) turned: Vec<Uuid>,
    /// Of these, the ones for which other words were chosen.
    pub(super) reworded: Vec<Uuid>,
    /// Products for which conditions may be met that were not.
    pub(super) judged: Vec<Uuid>,
    /// Listings that were mapped.
    pub(super) mapped: Vec<Uuid>,
    /// Variants with a new price, the market of each, and whether it had none there.
    pub(super) priced: Vec<(Uuid, String, bool)>,
}

impl Concerned {
    fn is_empty(&self) -> bool {
        let Self { added, turned, reworded, judged, mapped, priced } = self;
        [added, turned, reworded, judged, mapped].into_iter().all(Vec::is_empty) && priced.is_empty()
    }
}

/// An offer's id.
pub(super) fn id(connection: Uuid, product: Uuid) -> Uuid {
    OfferId::of(ConnectionId(connection), ProductId(product)).0
}

/// Writes commands for the offers that a batch concerns, in the caller's transaction.
pub(super) async fn derive(
    conn: &mut PgConnection,
    tenant: TenantId,
    at: (i64, DateTime<Utc>),
    (concerned, causes): (&Concerned, &BTreeMap<Uuid, String>),
) -> Result<(), sqlx::Error> {
    if concerned.is_empty() {
        return Ok(());
    }
    let Concerned { added, turned, reworded, judged, mapped, priced } = concerned;
    let owing: Vec<Owing> = sqlx::query_as(include_str!("offers.sql"))
        .bind(tenant.0)
        .bind(added)
        .bind(turned)
        .bind(reworded)
        .bind(judged)
        .bind(mapped)
        .bind(priced.iter().map(|(variant, ..)| *variant).collect::<Vec<_>>())
        .bind(priced.iter().map(|(_, market, _)| market.as_str()).collect::<Vec<_>>())
        .bind(priced.iter().map(|(.., is_first)| *is_first).collect::<Vec<_>>())
        .fetch_all(&mut *conn)
        .await?;
    write(conn, tenant, at, (&owing, causes)).await
}

async fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    (position, now): (i64, DateTime<Utc>),
    (owing, causes): (&[Owing], &BTreeMap<Uuid, String>),
) -> Result<(), sqlx::Error> {
    if owing.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into outbox (tenant_id, id, connection_id, listing_id, product_id, kind, status, position,
                             next_attempt_at, created_at, forced, correlation_id)
         select $1, gen_random_uuid(), o.connection_id, o.offer_id, o.product_id, 'content', 'pending', $2, $3, $3,
                o.forced, o.correlation_id
         from unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::boolean[], $8::text[])
              as o (connection_id, offer_id, product_id, forced, correlation_id)
         on conflict (tenant_id, connection_id, listing_id, kind) where status = 'pending'
             do update set forced = outbox.forced or excluded.forced,
                     created_at = least(outbox.created_at, excluded.created_at),
                     -- As in derive.sql: what is in its backoff stays there.
                     next_attempt_at = case when outbox.last_error is null
                         then least(outbox.next_attempt_at, excluded.next_attempt_at) else outbox.next_attempt_at end",
    )
    .bind(tenant.0)
    .bind(position)
    .bind(now)
    .bind(owing.iter().map(|(connection, ..)| *connection).collect::<Vec<_>>())
    .bind(owing.iter().map(|(connection, product, ..)| id(*connection, *product)).collect::<Vec<_>>())
    .bind(owing.iter().map(|(_, product, ..)| *product).collect::<Vec<_>>())
    .bind(owing.iter().map(|(_, _, forced, _)| *forced).collect::<Vec<_>>())
    .bind(owing.iter().map(|(.., cause)| causes.get(cause)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
