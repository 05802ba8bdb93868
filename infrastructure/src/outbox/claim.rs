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
    /// The account's breaker is not closed; this shows how its platform fares.
    pub probe: bool,
}

type Row = (Uuid, Uuid, Uuid, Uuid, String, i32, bool);

/// Leases what is due at `now`, until `now + lease`.
///
/// Of each account up to `each` commands of a kind, oldest first; of one whose breaker is not closed a single one, to see
/// how it fares. Nothing of `busy` connections, of those at rest, and of those that have asked to wait.
///
/// One statement, hence one short transaction: nothing is held while a platform is called.
pub async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    lease: TimeDelta,
    each: i64,
    busy: &[Uuid],
) -> Result<Vec<Command>, sqlx::Error> {
    let token = Uuid::now_v7();
    let rows: Vec<Row> = sqlx::query_as(include_str!("claim.sql"))
        .bind(now)
        .bind(each)
        .bind(token)
        .bind(now + lease)
        .bind(busy)
        .fetch_all(pool)
        .await?;
    let mut commands: Vec<Command> = rows
        .into_iter()
        .map(|(tenant, row, connection, listing, kind, attempt, probe)| Command {
            tenant: TenantId(tenant),
            row,
            token,
            connection: ConnectionId(connection),
            listing: ListingId(listing),
            kind: if kind == "price" { CommandKind::Price } else { CommandKind::Quantity },
            attempt,
            probe,
        })
        .collect();
    // The same commands make the same calls: a repeated attempt comes under the same key.
    commands.sort_unstable_by_key(|command| (command.connection, command.kind, command.row));
    Ok(commands)
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
