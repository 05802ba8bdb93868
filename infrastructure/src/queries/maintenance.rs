//! What is only kept for a while: found and removed a stretch of its table at a time.
//!
//! Tables are walked block by block. An index by age would be paid for by every commit; a stretch of blocks costs what
//! it holds, and its transaction is over before it could be in anybody's way.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::ledger::is_passing;

/// Blocks looked through in one transaction: some thousand rows of most tables.
const BLOCKS: i64 = 128;

/// Rows of one table that may go once they are old.
#[derive(Debug, Clone, Copy)]
pub struct Perishable {
    table: &'static str,
    /// Which rows, as `t`, may go: those that have been over since before `$1`. Other tables are asked in subqueries that
    /// go by a key, row for row; a join could be planned as a walk through all of them, for each stretch anew.
    old: &'static str,
}

/// Commands to platforms that are over. Dead ones stay: somebody has to look at them.
pub const OUTBOX: Perishable =
    Perishable { table: "outbox", old: "t.status in ('done', 'superseded') and t.finished_at < $1" };

/// The bytes of webhooks that were acted on.
///
/// What has failed may be replayed, and what `deliveries` does not know yet may have failed. What spoke of something nobody
/// knew is looked at again once somebody does; only prices are not, for the newest of them wait by themselves.
pub const DELIVERY_BODIES: Perishable = Perishable {
    table: "delivery_bodies",
    old: "t.received_at < $1 and coalesce(
              (select d.status = 'completed' and (d.outcome is distinct from 'unmapped' or d.platform = 'kicksdb')
               from deliveries d where d.tenant_id = t.tenant_id and d.id = t.delivery_id), false)",
};

/// How webhooks fared.
pub const WEBHOOK_TRACES: Perishable = Perishable { table: "webhook_traces", old: "t.at < $1" };

/// What requests with a key were answered.
pub const IDEMPOTENCY_KEYS: Perishable = Perishable { table: "idempotency_keys", old: "t.created_at < $1" };

/// What reconciliations found amiss. Without its run a drift is nobody's any more.
pub const DRIFTS: Perishable = Perishable {
    table: "drifts",
    old: "not coalesce((select r.ended_at is null or r.ended_at >= $1 from reconciliations r
                        where r.tenant_id = t.tenant_id and r.id = t.reconciliation_id), false)",
};

/// Reconciliations that have ended. The last one of an account stays: by it the next is due.
pub const RECONCILIATIONS: Perishable = Perishable {
    table: "reconciliations",
    old: "t.ended_at < $1 and (t.preview or t.begun_at < (
              select max(r.begun_at) from reconciliations r -- reconciliations_of_idx
              where r.tenant_id = t.tenant_id and r.connection_id = t.connection_id and not r.preview))",
};

/// Rebuilds that have ended. The last one of a read model stays: it says how that one was last found. So does one whose rows
/// are still there.
pub const REBUILDS: Perishable = Perishable {
    table: "rebuilds",
    old: "t.ended_at < $1 and not t.grown and t.begun_at < (
              select max(r.begun_at) from rebuilds r -- rebuilds_of_idx
              where r.tenant_id = t.tenant_id and r.model = t.model)",
};

/// How a table is gone through.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// What is older may go.
    pub before: DateTime<Utc>,
    /// Of one tenant, or of all.
    pub tenant: Option<TenantId>,
    /// Count, and remove nothing.
    pub dry_run: bool,
    /// How long the disk is left to others after each stretch.
    pub pause: Duration,
}

/// Removes what is old enough; a dry run only counts. Adds to `swept` how many rows of whom.
///
/// Several may do so at once, and what somebody else has locked is left for the next time. A stretch that fails does not
/// keep the others; the first such error is given at the end.
pub async fn sweep(
    pool: &PgPool,
    what: &Perishable,
    pass: Pass,
    swept: &mut BTreeMap<TenantId, u64>,
) -> Result<(), sqlx::Error> {
    let Pass { before, tenant, dry_run, pause } = pass;
    let Perishable { table, old } = what;
    let stretch = format!(
        "from {table} t
         where t.ctid >= $2::text::tid and t.ctid < $3::text::tid and ($4::uuid is null or t.tenant_id = $4) and ({old})"
    );
    let sql = if dry_run {
        format!("select t.tenant_id, count(*) {stretch} group by t.tenant_id")
    } else {
        format!(
            "with old as (select t.ctid {stretch} for update of t skip locked),
             gone as (delete from {table} where ctid = any(array(select ctid from old)) returning tenant_id)
             select tenant_id, count(*) from gone group by tenant_id"
        )
    };
    // What comes after the last block of this moment is not old.
    let (blocks,): (i64,) =
        sqlx::query_as("select pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint")
            .bind(*table)
            .fetch_one(pool)
            .await?;
    let (mut first, mut trouble) = (0, None);
    while first < blocks {
        let found: Result<Vec<(Uuid, i64)>, _> = sqlx::query_as(sqlx::AssertSqlSafe(sql.clone()))
            .bind(before)
            .bind(format!("({first},0)"))
            .bind(format!("({},0)", first + BLOCKS))
            .bind(tenant.map(|tenant| tenant.0))
            .fetch_all(pool)
            .await;
        match found {
            Ok(rows) => {
                for (tenant, count) in rows {
                    *swept.entry(TenantId(tenant)).or_default() += count.unsigned_abs();
                }
            }
            // No stretch fares better for the moment.
            Err(error) if is_passing(&error) => return Err(error),
            Err(error) => trouble = trouble.or(Some(error)),
        }
        first += BLOCKS;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    trouble.map_or(Ok(()), Err)
}

/// When each rule was last followed by the clock.
pub(crate) async fn swept_at(
    conn: &mut PgConnection,
) -> Result<BTreeMap<String, DateTime<Utc>>, sqlx::Error> {
    let rows: Vec<(String, DateTime<Utc>)> =
        sqlx::query_as("select rule, swept_at from sweeps").fetch_all(conn).await?;
    Ok(rows.into_iter().collect())
}

/// Notes that a rule was followed by the clock.
pub(crate) async fn keep_swept(
    conn: &mut PgConnection,
    rule: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into sweeps (rule, swept_at) values ($1, $2)
         on conflict (rule) do update set swept_at = excluded.swept_at -- the time before",
    )
    .bind(rule)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
