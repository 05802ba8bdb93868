//! The start of a lease: commands whose time has come, taken by one relay at a time.

use std::cmp::Reverse;

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    listing::FigureKind,
    values::{ConnectionId, ListingId, ProductId, TenantId},
};
use sqlx::{FromRow, PgPool, Row};
use uuid::Uuid;

/// What a command is to make true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CommandKind {
    /// The available quantity.
    Quantity,
    /// The price in the connection's market.
    Price,
    /// That the product is there, in our words, or there no more.
    Content,
}

impl CommandKind {
    /// As the table spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quantity => "quantity",
            Self::Price => "price",
            Self::Content => "content",
        }
    }

    /// The reverse of [`CommandKind::name`].
    fn of(name: &str) -> Self {
        match name {
            "price" => Self::Price,
            "content" => Self::Content,
            _ => Self::Quantity,
        }
    }
}

impl From<FigureKind> for CommandKind {
    fn from(kind: FigureKind) -> Self {
        match kind {
            FigureKind::Quantity => Self::Quantity,
            FigureKind::Price => Self::Price,
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
    /// On which listing; where it is about content, the id of the offer stands here.
    pub listing: ListingId,
    /// Which product it is about, where it is about content.
    pub product: Option<ProductId>,
    /// What to make true.
    pub kind: CommandKind,
    /// This one included, from 1.
    pub attempt: i32,
    /// The account's breaker is not closed; this shows how its platform fares.
    pub probe: bool,
    /// Something was amiss with the account the last time; that it is so no more has to be noted.
    pub troubled: bool,
    /// That of the account: commands of accounts with more come first.
    pub priority: i64,
    /// When it was due.
    pub due: DateTime<Utc>,
    /// It is told whatever it is believed to show: somebody asked for it, or an earlier attempt may have got through.
    pub forced: bool,
    /// A process died with it in hand, or nobody heard what became of its words: it is told once more, for it may have been told
    /// before that.
    pub unheard: bool,
    /// Attempts before this one whose end is on record; that of a process that died is not.
    pub answered: i32,
    /// Of the request that first made it owed.
    pub correlation_id: Option<String>,
}

impl Command {
    /// Whether what the platform is believed to show cannot be relied on.
    pub fn is_in_doubt(&self) -> bool {
        self.forced || self.unheard
    }
}

/// What was leased of some accounts.
#[derive(Debug, Clone, Default)]
pub struct Claimed {
    /// In the order in which they are told.
    pub commands: Vec<Command>,
    /// The account that took up the last room, whether anything was to be had of it or not; none if there was room for more.
    pub last: Option<Account>,
}

#[derive(FromRow)]
struct Leased {
    tenant_id: Uuid,
    id: Uuid,
    connection_id: Uuid,
    listing_id: Uuid,
    product_id: Option<Uuid>,
    kind: String,
    attempts: i32,
    probe: bool,
    troubled: bool,
    priority: i64,
    forced: bool,
    unheard: bool,
    answered: i32,
    next_attempt_at: DateTime<Utc>,
    correlation_id: Option<String>,
}

/// Accounts that are looked at in one claim; those beyond it have their turn in the next.
pub const ACCOUNTS_MAX: i64 = 256;

/// An account with something to be told: tenant and connection.
pub type Account = (Uuid, Uuid);

/// The next accounts after one, in the order of their ids, with something pending, due or not.
pub async fn waiting_accounts(pool: &PgPool, after: Option<Account>) -> Result<Vec<Account>, sqlx::Error> {
    let (tenant, connection) = after.unwrap_or_default();
    sqlx::query_as(
        "with recursive accounts as (
             -- A loose scan of outbox_due_idx: one step for each account, however much waits for it.
             select * from (
                 select tenant_id, connection_id, 1 as number from outbox
                 where status = 'pending' and (tenant_id, connection_id) > ($1, $2)
                 order by tenant_id, connection_id limit 1
             ) first
             union all
             select n.tenant_id, n.connection_id, a.number + 1
             from accounts a
             cross join lateral (
                 select o.tenant_id, o.connection_id from outbox o
                 where o.status = 'pending' and (o.tenant_id, o.connection_id) > (a.tenant_id, a.connection_id)
                 order by o.tenant_id, o.connection_id limit 1
             ) n
             where a.number < $3
         )
         select tenant_id, connection_id from accounts",
    )
    .bind(tenant)
    .bind(connection)
    .bind(i32::try_from(ACCOUNTS_MAX).unwrap_or(i32::MAX))
    .fetch_all(pool)
    .await
}

/// Leases what is due at `now`, until `now + lease`, of the first accounts; see [`claim_of`].
pub async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    lease: TimeDelta,
    each: i64,
    busy: &[Uuid],
) -> Result<Vec<Command>, sqlx::Error> {
    let accounts = waiting_accounts(pool, None).await?;
    Ok(claim_of(pool, &accounts, (now, lease), (each, ACCOUNTS_MAX), busy).await?.commands)
}

/// Leases what is due at `now`, until `now + lease`, of the first `most` of these accounts, at least 1, that something is due
/// of; in the order of their ids.
///
/// Of each up to `each` commands of a kind, and fewer about content, oldest first; of one whose breaker is not closed a single
/// one, to see how it fares. Nothing of `busy` connections, of those at rest, and of those that have asked to wait.
///
/// One statement, hence one short transaction: nothing is held while a platform is called.
pub async fn claim_of(
    pool: &PgPool,
    accounts: &[Account],
    (now, lease): (DateTime<Utc>, TimeDelta),
    (each, most): (i64, i64),
    busy: &[Uuid],
) -> Result<Claimed, sqlx::Error> {
    if accounts.is_empty() {
        return Ok(Claimed::default());
    }
    let token = Uuid::now_v7();
    let (tenants, connections): (Vec<Uuid>, Vec<Uuid>) = accounts.iter().copied().unzip();
    let rows = sqlx::query(include_str!("claim.sql"))
        .bind(now)
        .bind(each)
        .bind(token)
        .bind(now + lease)
        .bind(busy)
        .bind(tenants)
        .bind(connections)
        .bind(most)
        .fetch_all(pool)
        .await?;
    let mut claimed = Claimed::default();
    for row in &rows {
        let last: (Option<Uuid>, Option<Uuid>) =
            (row.try_get("last_tenant")?, row.try_get("last_connection")?);
        claimed.last = last.0.zip(last.1);
        if row.try_get::<Option<Uuid>, _>("id")?.is_some() {
            claimed.commands.push(Leased::from_row(row)?.under(token));
        }
    }
    // The same commands make the same calls: a repeated attempt comes under the same key.
    claimed.commands.sort_unstable_by_key(|command| {
        (Reverse(command.priority), command.tenant, command.connection, command.kind, command.row)
    });
    Ok(claimed)
}

impl Leased {
    fn under(self, token: Uuid) -> Command {
        Command {
            tenant: TenantId(self.tenant_id),
            row: self.id,
            token,
            connection: ConnectionId(self.connection_id),
            listing: ListingId(self.listing_id),
            product: self.product_id.map(ProductId),
            kind: CommandKind::of(&self.kind),
            attempt: self.attempts,
            probe: self.probe,
            troubled: self.troubled,
            priority: self.priority,
            forced: self.forced,
            unheard: self.unheard,
            answered: self.answered,
            due: self.next_attempt_at,
            correlation_id: self.correlation_id,
        }
    }
}

/// Expired leases given back by one statement.
const GIVEN_BACK_MAX: u64 = 500;

/// Returns all commands whose relay has vanished to the queue, some at a time. Says how many.
pub async fn give_back_expired(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let mut all = 0;
    loop {
        let given_back = give_some_back(pool, now).await?;
        all += given_back;
        // Fewer, too, where others hold some of them: those are left for the next time.
        if given_back < GIVEN_BACK_MAX {
            return Ok(all);
        }
    }
}

async fn give_some_back(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "with gone as (
             select o.tenant_id, o.id, o.attempts, heir.id as heir from outbox o
             -- A newer command takes over, as in settle.sql.
             left join outbox heir
                 on heir.tenant_id = o.tenant_id and heir.connection_id = o.connection_id
                and heir.listing_id = o.listing_id and heir.kind = o.kind and heir.status = 'pending'
             where o.status = 'leased' and o.leased_until < $1 -- outbox_leased_idx
             limit $2
             for update of o skip locked
         ),
         -- Never waited for: a commit may hold the heir and want the leased row.
         heirs as (
             select h.tenant_id, h.id from outbox h join gone on gone.tenant_id = h.tenant_id and gone.heir = h.id
             for update of h skip locked
         ),
         inherited as (
             update outbox h set attempts = gone.attempts, unheard = true
             from gone join heirs on heirs.tenant_id = gone.tenant_id and heirs.id = gone.heir
             where h.tenant_id = heirs.tenant_id and h.id = heirs.id
         )
         update outbox o
         set status = case when gone.heir is null then 'pending' else 'superseded' end,
             token = null, leased_until = null, last_error = 'the relay that held it vanished',
             unheard = true,
             finished_at = case when gone.heir is null then null else $1 end
         from gone
         where o.tenant_id = gone.tenant_id and o.id = gone.id
           and (gone.heir is null or exists (
               select from heirs where heirs.tenant_id = gone.tenant_id and heirs.id = gone.heir))",
    )
    .bind(now)
    .bind(GIVEN_BACK_MAX.cast_signed())
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
