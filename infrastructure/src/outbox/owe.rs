//! Owing on request: what is to be told again, because somebody asked for it or a push was given up.

use chrono::{DateTime, Utc};
use onhand_domain::{
    listing::FigureKind,
    values::{ConnectionId, ListingId, ProductId, TenantId},
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    CommandKind,
    offers::{self, Wanted},
};

/// What is to be told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A figure of a listing.
    Figure(ListingId, FigureKind),
    /// A product on a connection: that it is there in our words, or there no more.
    Offer(ConnectionId, ProductId),
}

/// Something that is to be told once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// What.
    pub of: Subject,
    /// Not before.
    pub due: DateTime<Utc>,
    /// The command that was given up and that this takes the place of.
    pub instead_of: Option<Uuid>,
}

/// Writes commands for what is owed, as far as the rules let it out, in the caller's transaction. What is pending already
/// stays, no later than it would have been. Commands that were given up are closed if others take their places.
pub(crate) async fn owe(
    conn: &mut PgConnection,
    tenant: TenantId,
    at: (i64, DateTime<Utc>),
    owed: &[Owed],
) -> Result<(), sqlx::Error> {
    let (mut figures, mut wanted) = (vec![], vec![]);
    for Owed { of, due, instead_of } in owed.iter().copied() {
        match of {
            Subject::Figure(listing, kind) => figures.push((listing, kind, due, instead_of)),
            Subject::Offer(connection, product) => {
                wanted.push(Wanted { connection, product, due, instead_of });
            }
        }
    }
    if !figures.is_empty() {
        owe_figures(conn, tenant, at, &figures).await?;
    }
    if !wanted.is_empty() {
        offers::owe(conn, tenant, at, &wanted).await?;
    }
    Ok(())
}

type Figure = (ListingId, FigureKind, DateTime<Utc>, Option<Uuid>);

async fn owe_figures(
    conn: &mut PgConnection,
    tenant: TenantId,
    (position, now): (i64, DateTime<Utc>),
    figures: &[Figure],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with wanted as (
             select * from unnest($4::uuid[], $5::text[], $6::timestamptz[], $7::uuid[])
                  as w (listing_id, kind, due, instead_of)
         ),
         closed as (
             update outbox o set status = 'superseded'
             from wanted w
             join outbox_targets t on t.tenant_id = $1 and t.listing_id = w.listing_id
             where o.tenant_id = $1 and o.id = w.instead_of and o.status = 'dead'
               and ((w.kind = 'quantity' and t.pushes_quantity) or (w.kind = 'price' and t.pushes_price))
         )
         insert into outbox (tenant_id, id, connection_id, listing_id, kind, status, position, next_attempt_at, created_at,
                             forced)
         select $1, gen_random_uuid(), t.connection_id, t.listing_id, w.kind, 'pending', $2, min(w.due), $3, true
         from wanted w
         join outbox_targets t on t.tenant_id = $1 and t.listing_id = w.listing_id
         where (w.kind = 'quantity' and t.pushes_quantity) or (w.kind = 'price' and t.pushes_price)
         group by t.connection_id, t.listing_id, w.kind
         on conflict (tenant_id, connection_id, listing_id, kind) where status = 'pending'
             do update set forced = true,
                     next_attempt_at = least(outbox.next_attempt_at, excluded.next_attempt_at)",
    )
    .bind(tenant.0)
    .bind(position)
    .bind(now)
    .bind(figures.iter().map(|(listing, ..)| listing.0).collect::<Vec<_>>())
    .bind(figures.iter().map(|(_, kind, ..)| CommandKind::from(*kind).name()).collect::<Vec<_>>())
    .bind(figures.iter().map(|(_, _, due, _)| *due).collect::<Vec<_>>())
    .bind(figures.iter().map(|(.., instead_of)| *instead_of).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Commands that are still open of what was owed up to a position, on some connections, of one brand if one is named.
pub async fn open_up_to(
    pool: &PgPool,
    (tenant, brand): (TenantId, Option<&str>),
    position: i64,
    connections: &[Uuid],
) -> Result<i64, sqlx::Error> {
    let (open,): (i64,) = sqlx::query_as(
        // Two index ranges; one condition with both would read the whole table.
        "select count(*) from (
             select connection_id, position from outbox
             where tenant_id = $1 and connection_id = any($2) and status = 'pending'
             union all
             select connection_id, position from outbox
             where tenant_id = $1 and connection_id = any($2) and status = 'leased'
         ) o
         join connections c on c.tenant_id = $1 and c.id = o.connection_id
         where o.position <= $3 and ($4::text is null or c.brand = $4)",
    )
    .bind(tenant.0)
    .bind(connections)
    .bind(position)
    .bind(brand)
    .fetch_one(pool)
    .await?;
    Ok(open)
}
