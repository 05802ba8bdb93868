//! The start of a lease: commands whose time has come, taken by one relay at a time.

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::values::{ConnectionId, ListingId, TenantId};
use sqlx::PgPool;
use uuid::Uuid;

/// What a command is to make true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CommandKind {
    /// The available quantity.
    Quantity,
    /// The price in the connection's market.
    Price,
}

impl CommandKind {
    /// As the table spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quantity => "quantity",
            Self::Price => "price",
        }
    }
}

/// A leased command.
#[derive(Debug, Clone)]
pub struct Command {
    /// Whose.
    pub tenant: TenantId,
    /// The outbox row.
    pub row: Uuid,
    /// The lease.
    pub token: Uuid,
    /// To which account.
    pub connection: ConnectionId,
    /// On which listing.
    pub listing: ListingId,
    /// What to make true.
    pub kind: CommandKind,
    /// This one included, from 1.
    pub attempt: i32,
}

type Row = (Uuid, Uuid, Uuid, Uuid, String, i32);

/// Leases up to `limit` commands that are due at `now`, oldest first, until `now + lease`; none of `busy` connections.
///
/// One statement, hence one short transaction: nothing is held while a platform is called.
pub async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    lease: TimeDelta,
    limit: i64,
    busy: &[Uuid],
) -> Result<Vec<Command>, sqlx::Error> {
    let token = Uuid::now_v7();
    let rows: Vec<Row> = sqlx::query_as(
        "with due as (
             select o.tenant_id, o.id from outbox o
             where o.status = 'pending' and o.next_attempt_at <= $1 -- outbox_due_idx
               and o.connection_id <> all($5)
               and not exists ( -- order: not while an older command for the same is under way
                   select from outbox l
                   where l.tenant_id = o.tenant_id and l.connection_id = o.connection_id
                     and l.listing_id = o.listing_id and l.kind = o.kind and l.status = 'leased')
             order by o.next_attempt_at
             limit $2
             for update skip locked -- what another relay is taking is not waited for
         )
         update outbox o
         set status = 'leased', token = $3, leased_until = $4, attempts = o.attempts + 1
         from due
         where o.tenant_id = due.tenant_id and o.id = due.id
         returning o.tenant_id, o.id, o.connection_id, o.listing_id, o.kind, o.attempts",
    )
    .bind(now)
    .bind(limit)
    .bind(token)
    .bind(now + lease)
    .bind(busy)
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(tenant, row, connection, listing, kind, attempt)| Command {
            tenant: TenantId(tenant),
            row,
            token,
            connection: ConnectionId(connection),
            listing: ListingId(listing),
            kind: if kind == "price" { CommandKind::Price } else { CommandKind::Quantity },
            attempt,
        })
        .collect())
}

/// Returns commands whose relay has vanished to the queue. Says how many.
pub async fn give_back_expired(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "with gone as (
             select o.tenant_id, o.id, o.attempts, heir.id as heir from outbox o
             -- A newer command takes over, as in settle.sql.
             left join outbox heir
                 on heir.tenant_id = o.tenant_id and heir.connection_id = o.connection_id
                and heir.listing_id = o.listing_id and heir.kind = o.kind and heir.status = 'pending'
             where o.status = 'leased' and o.leased_until < $1 -- outbox_lease_end_idx
             limit 500
             for update of o skip locked
         ),
         -- Never waited for: a commit may hold the heir and want the leased row.
         heirs as (
             select h.tenant_id, h.id from outbox h join gone on gone.tenant_id = h.tenant_id and gone.heir = h.id
             for update of h skip locked
         ),
         inherited as (
             update outbox h set attempts = gone.attempts
             from gone join heirs on heirs.tenant_id = gone.tenant_id and heirs.id = gone.heir
             where h.tenant_id = heirs.tenant_id and h.id = heirs.id
         )
         update outbox o
         set status = case when gone.heir is null then 'pending' else 'superseded' end,
             token = null, leased_until = null, last_error = 'the relay that held it vanished',
             finished_at = case when gone.heir is null then null else $1 end
         from gone
         where o.tenant_id = gone.tenant_id and o.id = gone.id
           and (gone.heir is null or exists (
               select from heirs where heirs.tenant_id = gone.tenant_id and heirs.id = gone.heir))",
    )
    .bind(now)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
