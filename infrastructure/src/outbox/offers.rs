//! What offers are owed: products that a connection is to have as they stand here.
//!
//! An offer's id is made from its connection and its product, and only here: the database knows both and not the id.

use chrono::{DateTime, Utc};
use onhand_domain::values::{ConnectionId, OfferId, ProductId, TenantId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::platforms::outbound::Skills;

/// Products of one connection that are owed something at a time.
const PAGE: i64 = 1_000;

/// A connection, a product, and whether that is described whatever it is believed to be.
type Owing = (Uuid, Uuid, bool);

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

/// An offer that is to be made right once more, whatever it is believed to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) connection: ConnectionId,
    pub(super) product: ProductId,
    pub(super) due: DateTime<Utc>,
    pub(super) instead_of: Option<Uuid>,
}

fn offer(connection: Uuid, product: Uuid) -> Uuid {
    OfferId::of(ConnectionId(connection), ProductId(product)).0
}

/// Writes commands for the offers that a batch concerns, in the caller's transaction.
pub(super) async fn derive(
    conn: &mut PgConnection,
    tenant: TenantId,
    at: (i64, DateTime<Utc>),
    concerned: &Concerned,
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
    write(conn, tenant, at, &owing).await
}

async fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    (position, now): (i64, DateTime<Utc>),
    owing: &[Owing],
) -> Result<(), sqlx::Error> {
    if owing.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into outbox (tenant_id, id, connection_id, listing_id, product_id, kind, status, position,
                             next_attempt_at, created_at, forced)
         select $1, gen_random_uuid(), o.connection_id, o.offer_id, o.product_id, 'content', 'pending', $2, $3, $3,
                o.forced
         from unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::boolean[])
              as o (connection_id, offer_id, product_id, forced)
         on conflict (tenant_id, connection_id, listing_id, kind) where status = 'pending'
             do update set forced = outbox.forced or excluded.forced,
                     -- As in derive.sql: what is in its backoff stays there.
                     next_attempt_at = case when outbox.last_error is null
                         then least(outbox.next_attempt_at, excluded.next_attempt_at) else outbox.next_attempt_at end",
    )
    .bind(tenant.0)
    .bind(position)
    .bind(now)
    .bind(owing.iter().map(|(connection, ..)| *connection).collect::<Vec<_>>())
    .bind(owing.iter().map(|(connection, product, _)| offer(*connection, *product)).collect::<Vec<_>>())
    .bind(owing.iter().map(|(_, product, _)| *product).collect::<Vec<_>>())
    .bind(owing.iter().map(|(.., forced)| *forced).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes commands for what may be owed to a connection of what was just let out there, a stretch of products at a time.
///
/// The head of the ledger is locked meanwhile. So the whole catalogue is walked only where products are made; elsewhere it is
/// what is listed there.
pub(super) async fn derive_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    at: (i64, DateTime<Utc>),
    connection: Uuid,
    let_out: Skills,
) -> Result<(), sqlx::Error> {
    let able: Option<(bool, bool, bool)> = sqlx::query_as(
        "select offers_products and $3, describes_products and $4, takes_off_products and $5
         from connections where tenant_id = $1 and id = $2 and enabled",
    )
    .bind(tenant.0)
    .bind(connection)
    .bind(let_out.offers)
    .bind(let_out.describes)
    .bind(let_out.takes_off)
    .fetch_optional(&mut *conn)
    .await?;
    let (offers, describes, takes_off) = able.unwrap_or_default();
    let walk = match (offers, describes || takes_off) {
        (false, false) => return Ok(()),
        (true, _) => {
            "select t.product_id, $4 and t.is_outdated from offer_targets t
             where t.tenant_id = $1 and t.connection_id = $2 and t.product_id > $3
               and (t.is_lacking or ($4 and t.is_outdated) or ($5 and t.is_left_over))
             order by t.product_id limit $6"
        }
        (false, true) => {
            "select t.product_id, $4 and t.is_outdated
             from (
                 select distinct l.product_id from listings l
                 where l.tenant_id = $1 and l.connection_id = $2 and l.product_id > $3 and not l.removed
             ) l
             join offer_targets t on t.tenant_id = $1 and t.connection_id = $2 and t.product_id = l.product_id
             where ($4 and t.is_outdated) or ($5 and t.is_left_over)
             order by t.product_id limit $6"
        }
    };
    let mut last = Uuid::nil();
    loop {
        let products: Vec<(Uuid, bool)> = sqlx::query_as(walk)
            .bind(tenant.0)
            .bind(connection)
            .bind(last)
            .bind(describes)
            .bind(takes_off)
            .bind(PAGE)
            .fetch_all(&mut *conn)
            .await?;
        let owing: Vec<Owing> =
            products.iter().map(|(product, forced)| (connection, *product, *forced)).collect();
        write(conn, tenant, at, &owing).await?;
        match products.last() {
            Some((product, _)) if products.len() as i64 == PAGE => last = *product,
            _ => return Ok(()),
        }
    }
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
    .bind(wanted.iter().map(|it| offer(it.connection.0, it.product.0)).collect::<Vec<_>>())
    .bind(wanted.iter().map(|it| it.product.0).collect::<Vec<_>>())
    .bind(wanted.iter().map(|it| it.due).collect::<Vec<_>>())
    .bind(wanted.iter().map(|it| it.instead_of).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
