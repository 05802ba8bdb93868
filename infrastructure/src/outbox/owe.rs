//! Owing on request: what is to be told because somebody asked for it, a push was given up, or more was let out.

use chrono::{DateTime, Utc};
use onhand_domain::{
    listing::FigureKind,
    values::{ConnectionId, ListingId, ProductId, TenantId},
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{CommandKind, offers};

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A figure of a listing.
    Figure(ListingId, FigureKind),
    /// A product on a connection: that it is there in our words, or there no more.
    Offer(ConnectionId, ProductId),
}

/// Something that is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// What.
    pub of: Subject,
    /// Not before.
    pub due: DateTime<Utc>,
    /// The command that was given up and that this takes the place of.
    pub instead_of: Option<Uuid>,
    /// Whatever the platform is believed to show: somebody has asked for it.
    pub forced: bool,
    /// Of the request that led to it; that of whoever submits it where there is none.
    pub correlation_id: Option<String>,
}

/// A subject as the table has it.
struct Row {
    /// None of a figure: the listing knows.
    connection: Option<Uuid>,
    listing: Uuid,
    product: Option<Uuid>,
    kind: CommandKind,
}

impl Subject {
    fn row(self) -> Row {
        match self {
            Self::Figure(listing, kind) => {
                Row { connection: None, listing: listing.0, product: None, kind: kind.into() }
            }
            Self::Offer(ConnectionId(connection), ProductId(product)) => Row {
                connection: Some(connection),
                listing: offers::id(connection, product),
                product: Some(product),
                kind: CommandKind::Content,
            },
        }
    }
}

/// Writes commands for what is owed, as far as the rules let it out, in the caller's transaction. What is pending already
/// stays, no later than it would have been. Commands that were given up are closed if others take their places.
pub(crate) async fn owe(
    conn: &mut PgConnection,
    tenant: TenantId,
    (position, now): (i64, DateTime<Utc>),
    owed: &[Owed],
) -> Result<(), sqlx::Error> {
    let rows: Vec<Row> = owed.iter().map(|it| it.of.row()).collect();
    sqlx::query(include_str!("owe.sql"))
        .bind(tenant.0)
        .bind(position)
        .bind(now)
        .bind(rows.iter().map(|row| row.connection).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.listing).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.product).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.kind.name()).collect::<Vec<_>>())
        .bind(owed.iter().map(|it| it.due).collect::<Vec<_>>())
        .bind(owed.iter().map(|it| it.instead_of).collect::<Vec<_>>())
        .bind(owed.iter().map(|it| it.forced).collect::<Vec<_>>())
        .bind(owed.iter().map(|it| it.correlation_id.as_deref()).collect::<Vec<_>>())
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

/// Of these, those that wait for a connection to be resumed: how many, by connection.
pub async fn paused_up_to(
    pool: &PgPool,
    tenant: TenantId,
    position: i64,
    connections: &[Uuid],
) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    sqlx::query_as(
        "select o.connection_id, count(*) from outbox o -- outbox_pending_idx
         join connections c on c.tenant_id = $1 and c.id = o.connection_id
         where o.tenant_id = $1 and o.connection_id = any($2) and o.status = 'pending' and o.position <= $3 and c.paused
         group by o.connection_id order by o.connection_id",
    )
    .bind(tenant.0)
    .bind(connections)
    .bind(position)
    .fetch_all(pool)
    .await
}

/// Commands that were given up, of what was owed up to a position, on some connections: how many, and why one of them was.
/// Of what an earlier position owed, those that were given up since a moment.
pub async fn given_up_of(
    pool: &PgPool,
    tenant: TenantId,
    (position, since): (i64, DateTime<Utc>),
    connections: &[Uuid],
) -> Result<(i64, Option<String>), sqlx::Error> {
    sqlx::query_as(
        "select count(*), min(last_error) from outbox
         where tenant_id = $1 and connection_id = any($2) and status = 'dead' -- outbox_dead_idx
           and (position = $3 or (position < $3 and finished_at >= $4))",
    )
    .bind(tenant.0)
    .bind(connections)
    .bind(position)
    .bind(since)
    .fetch_one(pool)
    .await
}
