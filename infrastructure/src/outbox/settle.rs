//! The end of a lease: done, again later, or never.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use onhand_domain::values::{ConnectionId, TenantId};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// What became of one leased command.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The outbox row.
    pub row: Uuid,
    /// The lease it was taken with; a row that has since been leased by another is left alone.
    pub token: Uuid,
    /// What to do with it.
    pub verdict: Verdict,
    /// True if the platform may have done it without our hearing of it: what it is believed to show is then not relied on.
    /// False if it has just said what it shows; none if nothing was learned.
    pub in_doubt: Option<bool>,
    /// True if words of it may have got through, at this attempt or before: those that are ours by then are said once more.
    pub unheard: bool,
    /// Whether the platform was told anything that it may have taken.
    pub said: bool,
}

/// What to do with a command after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The platform shows it.
    Done,
    /// It is owed no more, and nothing was told.
    Needless,
    /// Try again at this time.
    Again {
        /// Not before.
        at: DateTime<Utc>,
        /// What stood in the way.
        error: String,
        /// Whether this attempt counts towards the last one.
        counts: bool,
    },
    /// It cannot be delivered; somebody has to look.
    Dead {
        /// Why.
        error: String,
    },
}

/// Ends leases, in the caller's transaction.
///
/// Rows whose lease has been taken over stay as they are. What was said under such a lease may have arrived after what was
/// said since, so it is told once more, whatever is believed to be shown.
pub(crate) async fn settle(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: DateTime<Utc>,
    settlements: &[Settlement],
) -> Result<(), sqlx::Error> {
    let again = |settlement: &&Settlement| matches!(settlement.verdict, Verdict::Again { .. });
    let (again, ended): (Vec<&Settlement>, Vec<&Settlement>) = settlements.iter().partition(again);
    let mut settled = HashSet::new();
    if !ended.is_empty() {
        settled.extend(end(conn, tenant, now, &Columns::of(&ended)).await?);
    }
    if !again.is_empty() {
        settled.extend(give_back(conn, tenant, now, Columns::of(&again)).await?);
    }
    let taken_over = settlements.iter().filter(|it| it.said && !settled.contains(&(it.row,)));
    let taken_over: Vec<Uuid> = taken_over.map(|it| it.row).collect();
    if !taken_over.is_empty() {
        tell_again(conn, tenant, now, &taken_over).await?;
    }
    Ok(())
}

/// Owes once more what some commands were about.
async fn tell_again(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: DateTime<Utc>,
    rows: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into outbox (tenant_id, id, connection_id, listing_id, product_id, kind, status, position, next_attempt_at,
                             created_at, forced, unheard, correlation_id)
         select $1, gen_random_uuid(), o.connection_id, o.listing_id, o.product_id, o.kind, 'pending', max(o.position), $2,
                $2, o.kind <> 'content', o.kind = 'content', min(o.correlation_id)
         from outbox o
         left join outbox_targets t on t.tenant_id = $1 and t.listing_id = o.listing_id
         left join offer_targets f
             on f.tenant_id = $1 and f.connection_id = o.connection_id and f.product_id = o.product_id
         where o.tenant_id = $1 and o.id = any($3)
           and ((o.kind = 'quantity' and t.pushes_quantity) or (o.kind = 'price' and t.pushes_price)
                or (o.kind = 'content' and f.may_be_told))
         group by o.connection_id, o.listing_id, o.product_id, o.kind
         on conflict (tenant_id, connection_id, listing_id, kind) where status = 'pending'
             do update set forced = outbox.forced or excluded.forced, unheard = outbox.unheard or excluded.unheard",
    )
    .bind(tenant.0)
    .bind(now)
    .bind(rows)
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts off all that waits to be told of products on a connection: no use asking for each.
///
/// What others are at is left to them, and nothing is waited for: a commit may hold one of the rows and want another.
pub async fn put_off_content(
    pool: &PgPool,
    (tenant, connection): (TenantId, ConnectionId),
    until: DateTime<Utc>,
    why: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with waiting as (
             select o.id from outbox o
             where o.tenant_id = $1 and o.connection_id = $2 and o.status = 'pending' and o.kind = 'content'
               and o.next_attempt_at < $3 -- outbox_due_idx
             for update skip locked
         )
         update outbox o set next_attempt_at = $3, last_error = $4
         from waiting
         where o.tenant_id = $1 and o.id = waiting.id",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(until)
    .bind(why)
    .execute(pool)
    .await?;
    Ok(())
}

/// The rows whose leases were ended.
type Settled = Vec<(Uuid,)>;

/// What is over, well or not: most of all. What was shown or given up closes what was given up before of the same.
async fn end(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: DateTime<Utc>,
    rows: &Columns,
) -> Result<Settled, sqlx::Error> {
    sqlx::query_as(include_str!("end.sql"))
        .bind(tenant.0)
        .bind(now)
        .bind(&rows.ids)
        .bind(&rows.tokens)
        .bind(&rows.statuses)
        .bind(&rows.errors)
        .fetch_all(conn)
        .await
}

/// What is to be tried again.
async fn give_back(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: DateTime<Utc>,
    rows: Columns,
) -> Result<Settled, sqlx::Error> {
    sqlx::query_as(include_str!("settle.sql"))
        .bind(tenant.0)
        .bind(now)
        .bind(rows.ids)
        .bind(rows.tokens)
        .bind(rows.statuses)
        .bind(rows.dues)
        .bind(rows.errors)
        .bind(rows.uncounted)
        .bind(rows.in_doubt)
        .bind(rows.unheard)
        .fetch_all(conn)
        .await
}

#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    tokens: Vec<Uuid>,
    statuses: Vec<&'static str>,
    dues: Vec<Option<DateTime<Utc>>>,
    errors: Vec<Option<String>>,
    uncounted: Vec<bool>,
    in_doubt: Vec<Option<bool>>,
    unheard: Vec<bool>,
}

impl Columns {
    fn of(settlements: &[&Settlement]) -> Self {
        let mut columns = Self::default();
        settlements.iter().for_each(|settlement| columns.push(settlement));
        columns
    }

    fn push(&mut self, settlement: &Settlement) {
        let (status, due, error, uncounted) = match settlement.verdict.clone() {
            Verdict::Done => ("done", None, None, false),
            Verdict::Needless => ("superseded", None, None, false),
            Verdict::Again { at, error, counts } => ("pending", Some(at), Some(error), !counts),
            Verdict::Dead { error } => ("dead", None, Some(error), false),
        };
        self.ids.push(settlement.row);
        self.tokens.push(settlement.token);
        self.statuses.push(status);
        self.dues.push(due);
        self.errors.push(error);
        self.uncounted.push(uncounted);
        self.in_doubt.push(settlement.in_doubt);
        self.unheard.push(settlement.unheard);
    }
}
