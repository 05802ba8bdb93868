//! What offers are owed: products that a connection is to have as they stand here.
//!
//! An offer's id is made from its connection and its product, and only here: the database knows both and not the id.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use onhand_domain::values::{ConnectionId, OfferId, ProductId, TenantId};
use sqlx::PgConnection;
use uuid::Uuid;

/// Products of one connection that are owed something at a time.
const PAGE: i64 = 1_000;

/// A connection and a product.
type Pair = (Uuid, Uuid);

/// What a batch of entries has to do with offers.
#[derive(Debug, Default)]
pub(super) struct Concerned {
    /// Products that may be wanted where they are not yet.
    pub(super) added: Vec<Uuid>,
    /// Products that are described otherwise, or have left the catalogue.
    pub(super) described: Vec<Uuid>,
    /// Variants with a new price, for each its market in `markets`.
    pub(super) priced: Vec<Uuid>,
    pub(super) markets: Vec<String>,
}

/// An offer that is to be made right once more, whatever it is believed to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) connection: ConnectionId,
    pub(super) product: ProductId,
    pub(super) due: DateTime<Utc>,
    pub(super) instead_of: Option<Uuid>,
}

fn offer((connection, product): Pair) -> Uuid {
    OfferId::of(ConnectionId(connection), ProductId(product)).0
}

/// Writes commands for the offers that a batch concerns, in the caller's transaction.
pub(super) async fn derive(
    conn: &mut PgConnection,
    tenant: TenantId,
    at: (i64, DateTime<Utc>),
    Concerned { added, described, priced, markets }: &Concerned,
) -> Result<(), sqlx::Error> {
    if added.is_empty() && described.is_empty() && priced.is_empty() {
        return Ok(());
    }
    let pairs: Vec<Pair> = sqlx::query_as(include_str!("offers.sql"))
        .bind(tenant.0)
        .bind(added)
        .bind(described)
        .bind(priced)
        .bind(markets)
        .fetch_all(&mut *conn)
        .await?;
    write(conn, tenant, at, &pairs).await
}

async fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    (position, now): (i64, DateTime<Utc>),
    pairs: &[Pair],
) -> Result<(), sqlx::Error> {
    if pairs.is_empty() {
        return Ok(());
    }
    let (connections, products): (Vec<Uuid>, Vec<Uuid>) = pairs.iter().copied().unzip();
    sqlx::query(
        "insert into outbox (tenant_id, id, connection_id, listing_id, product_id, kind, status, position,
                             next_attempt_at, created_at)
         select $1, gen_random_uuid(), o.connection_id, o.offer_id, o.product_id, 'content', 'pending', $2, $3, $3
         from unnest($4::uuid[], $5::uuid[], $6::uuid[]) as o (connection_id, offer_id, product_id)
         on conflict (tenant_id, connection_id, listing_id, kind) where status = 'pending'
             do update set -- As in derive.sql: what is in its backoff stays there.
                     next_attempt_at = case when outbox.last_error is null
                         then least(outbox.next_attempt_at, excluded.next_attempt_at) else outbox.next_attempt_at end",
    )
    .bind(tenant.0)
    .bind(position)
    .bind(now)
    .bind(connections)
    .bind(pairs.iter().copied().map(offer).collect::<Vec<_>>())
    .bind(products)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes commands for everything that may be owed to some connections, a stretch of their products at a time.
pub(super) async fn derive_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    at: (i64, DateTime<Utc>),
    connections: &BTreeSet<Uuid>,
) -> Result<(), sqlx::Error> {
    for connection in connections {
        let mut last = Uuid::nil();
        loop {
            let products: Vec<(Uuid,)> = sqlx::query_as(
                "select product_id from offer_targets
                 where tenant_id = $1 and connection_id = $2 and product_id > $3 and is_owed
                 order by product_id limit $4",
            )
            .bind(tenant.0)
            .bind(connection)
            .bind(last)
            .bind(PAGE)
            .fetch_all(&mut *conn)
            .await?;
            let pairs: Vec<Pair> = products.iter().map(|(product,)| (*connection, *product)).collect();
            write(conn, tenant, at, &pairs).await?;
            match products.last() {
                Some((product,)) if products.len() as i64 == PAGE => last = *product,
                _ => break,
            }
        }
    }
    Ok(())
}

/// Writes commands on request, as far as the rules let anything out, and closes those whose places they take.
pub(super) async fn owe(
    conn: &mut PgConnection,
    tenant: TenantId,
    (position, now): (i64, DateTime<Utc>),
    wanted: &[Wanted],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with wanted as (
             select w.* from unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::timestamptz[], $8::uuid[])
                  as w (connection_id, offer_id, product_id, due, instead_of)
             join connections c on c.tenant_id = $1 and c.id = w.connection_id
             where c.enabled and (c.offers_products or c.describes_products or c.takes_off_products)
         ),
         closed as (
             update outbox o set status = 'superseded'
             from wanted w
             where o.tenant_id = $1 and o.id = w.instead_of and o.status = 'dead'
         )
         insert into outbox (tenant_id, id, connection_id, listing_id, product_id, kind, status, position,
                             next_attempt_at, created_at, forced)
         select $1, gen_random_uuid(), w.connection_id, w.offer_id, w.product_id, 'content', 'pending', $2, min(w.due),
                $3, true
         from wanted w
         group by w.connection_id, w.offer_id, w.product_id
         on conflict (tenant_id, connection_id, listing_id, kind) where status = 'pending'
             do update set forced = true,
                     next_attempt_at = least(outbox.next_attempt_at, excluded.next_attempt_at)",
    )
    .bind(tenant.0)
    .bind(position)
    .bind(now)
    .bind(wanted.iter().map(|it| it.connection.0).collect::<Vec<_>>())
    .bind(wanted.iter().map(|it| offer((it.connection.0, it.product.0))).collect::<Vec<_>>())
    .bind(wanted.iter().map(|it| it.product.0).collect::<Vec<_>>())
    .bind(wanted.iter().map(|it| it.due).collect::<Vec<_>>())
    .bind(wanted.iter().map(|it| it.instead_of).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
