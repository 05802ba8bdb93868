//! Rebuilds: runs in which a read model is grown again beside the live one, where each has got to, and what it found.

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use serde::Serialize;
use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window, one_of};

const COLUMNS: &str = "id, model as projection, status, replaces, position, reached, target, \
                       rate as entries_per_second, seconds_left, begun_at, updated_at, ended_at, rows, differences, \
                       replaced, failure, requested_by";

/// What a run may have come to, as the table has it.
const STATUSES: [&str; 4] = ["running", "done", "differs", "failed"];

/// A run as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct RebuildView {
    pub id: Uuid,
    pub projection: String,
    pub status: String,
    pub replaces: bool,
    pub position: i64,
    pub reached: i64,
    pub target: i64,
    pub entries_per_second: f64,
    pub seconds_left: Option<i64>,
    pub begun_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub rows: i64,
    pub differences: i64,
    pub replaced: bool,
    pub failure: Option<String>,
    pub requested_by: String,
    /// Only where one run is asked for.
    #[sqlx(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Value>,
}

/// A run that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted<'w> {
    /// Whose.
    pub tenant: TenantId,
    /// Of which read model.
    pub model: &'w str,
    /// Whether live rows that differ are to be replaced.
    pub replaces: bool,
    /// Who wants it.
    pub actor: &'w str,
    /// Of the request.
    pub correlation_id: &'w str,
}

/// A run under way: what whoever goes on with it has to know.
#[derive(Debug, Clone, FromRow)]
pub struct Running {
    /// Which run.
    pub id: Uuid,
    /// Of which read model.
    pub model: String,
    /// Whether live rows that differ are to be replaced.
    pub replaces: bool,
    /// The code and schema that made the rows so far; none if nothing was made yet.
    pub program: Option<String>,
    /// What is grown is of this position.
    pub position: i64,
    /// The last stream that was folded.
    pub cursor: Option<String>,
    /// Entries or streams behind it.
    pub reached: i64,
    /// Of so many.
    pub target: i64,
    /// Entries a second.
    pub rate: f64,
    /// What is left at that pace.
    pub seconds_left: Option<i64>,
    /// Of the request that led to it.
    pub correlation_id: String,
}

/// What a run has come to.
#[derive(Debug, Clone, Default)]
pub struct Ended<'e> {
    /// `done`, `differs` or `failed`.
    pub status: &'e str,
    /// As of this position.
    pub position: i64,
    /// Rows that were grown.
    pub rows: i64,
    /// Rows in which the live one differed.
    pub differences: i64,
    /// The first few of them.
    pub sample: Value,
    /// Whether the live rows that differed were replaced.
    pub replaced: bool,
    /// What stood in the way.
    pub failure: Option<&'e str>,
}

/// A run that has ended and is not settled.
#[derive(Debug, Clone, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct Unsettled {
    pub id: Uuid,
    pub status: String,
    pub position: i64,
    pub rows: i64,
    pub differences: i64,
    pub replaced: bool,
    pub failure: Option<String>,
    pub correlation_id: String,
}

/// Begins a run. None if one is under way.
pub async fn begin(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, sqlx::Error> {
    let begun: Option<(Uuid,)> = sqlx::query_as(
        "insert into rebuilds (tenant_id, id, model, status, replaces, begun_at, updated_at, requested_by, correlation_id)
         values ($1, $2, $3, 'running', $4, $5, $5, $6, $7)
         on conflict (tenant_id, model) where status = 'running' do nothing -- one at a time: rebuilds_running_idx
         returning id",
    )
    .bind(wanted.tenant.0)
    .bind(Uuid::now_v7())
    .bind(wanted.model)
    .bind(wanted.replaces)
    .bind(now)
    .bind(wanted.actor)
    .bind(wanted.correlation_id)
    .fetch_optional(conn)
    .await?;
    Ok(begun.map(|(id,)| id))
}

/// The run of a read model that is under way.
pub async fn running(
    conn: &mut PgConnection,
    tenant: TenantId,
    model: &str,
) -> Result<Option<Running>, sqlx::Error> {
    sqlx::query_as(
        "select id, model, replaces, program, position, cursor, reached, target, rate, seconds_left, correlation_id
         from rebuilds
         where tenant_id = $1 and model = $2 and status = 'running' -- rebuilds_running_idx",
    )
    .bind(tenant.0)
    .bind(model)
    .fetch_optional(conn)
    .await
}

/// Read models with runs that are under way, or with some that have ended and are not settled, of all tenants, the oldest
/// first.
pub async fn unsettled(pool: &PgPool, are_running: bool) -> Result<Vec<(TenantId, String)>, sqlx::Error> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "select tenant_id, model from rebuilds
         where not settled and (status = 'running') = $1 -- rebuilds_unsettled_idx
         group by tenant_id, model order by min(begun_at)",
    )
    .bind(are_running)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(tenant, model)| (TenantId(tenant), model)).collect())
}

/// Runs of a read model that have ended and are not settled, the oldest first.
pub async fn ended(
    conn: &mut PgConnection,
    tenant: TenantId,
    model: &str,
) -> Result<Vec<Unsettled>, sqlx::Error> {
    sqlx::query_as(
        "select id, status, position, rows, differences, replaced, failure, correlation_id from rebuilds
         where tenant_id = $1 and model = $2 and not settled and status <> 'running' -- rebuilds_unsettled_idx
         order by begun_at",
    )
    .bind(tenant.0)
    .bind(model)
    .fetch_all(conn)
    .await
}

/// Nothing is left to do about a run that has ended.
pub async fn settle(conn: &mut PgConnection, tenant: TenantId, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("update rebuilds set settled = true where tenant_id = $1 and id = $2")
        .bind(tenant.0)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether rows of this model in schema `rebuild` are some run's.
pub async fn are_grown(conn: &mut PgConnection, tenant: TenantId, model: &str) -> Result<bool, sqlx::Error> {
    let (grown,): (bool,) = sqlx::query_as(
        "select exists (select from rebuilds where tenant_id = $1 and model = $2 and grown) -- rebuilds_grown_idx",
    )
    .bind(tenant.0)
    .bind(model)
    .fetch_one(conn)
    .await?;
    Ok(grown)
}

/// Has live rows that differ replaced after all.
pub async fn insist(conn: &mut PgConnection, tenant: TenantId, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("update rebuilds set replaces = true where tenant_id = $1 and id = $2")
        .bind(tenant.0)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Lets a run go on with the rows that an ended one has grown and left because they differed, if this program made them.
pub async fn take_over(
    conn: &mut PgConnection,
    tenant: TenantId,
    run: &Running,
    program: &str,
) -> Result<Option<Running>, sqlx::Error> {
    sqlx::query_as(
        "with before as (
             update rebuilds set grown = false
             where tenant_id = $1 and model = $2 and grown and status = 'differs' and program = $4 -- rebuilds_grown_idx
             returning position, cursor, reached, target
         )
         update rebuilds r
         set grown = true, program = $4, position = before.position, cursor = before.cursor, reached = before.reached,
             target = before.target
         from before
         where r.tenant_id = $1 and r.id = $3
         returning r.id, r.model, r.replaces, r.program, r.position, r.cursor, r.reached, r.target, r.rate,
                   r.seconds_left, r.correlation_id",
    )
    .bind(tenant.0)
    .bind(&run.model)
    .bind(run.id)
    .bind(program)
    .fetch_optional(conn)
    .await
}

/// No run has rows of this model in schema `rebuild` any more; those that this one is about to grow are by this program.
pub async fn begin_anew(
    conn: &mut PgConnection,
    tenant: TenantId,
    run: &Running,
    program: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update rebuilds set grown = false, program = case when id = $3 then $4 else program end
         where tenant_id = $1 and model = $2 and (grown or id = $3)",
    )
    .bind(tenant.0)
    .bind(&run.model)
    .bind(run.id)
    .bind(program)
    .execute(conn)
    .await?;
    Ok(())
}

/// What a tenant's runs have grown so far is of no use any more: it was grown without entries that this transaction puts back.
///
/// Nobody takes it over, and whoever is at a run cannot go on with it. Waits for stretches that are just being written.
pub async fn forget_grown(conn: &mut PgConnection, tenant: TenantId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update rebuilds set grown = false, program = null where tenant_id = $1 and (grown or status = 'running')",
    )
    .bind(tenant.0)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes where a run has got to, in the transaction of its rows. From then on the rows in schema `rebuild` are its own.
///
/// False if it has been ended by somebody else, or what it has grown was made worthless.
pub async fn advance(
    conn: &mut PgConnection,
    tenant: TenantId,
    run: &Running,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(
        "update rebuilds
         set grown = true, position = $4, cursor = $5, reached = $6, target = $7, rate = $8, seconds_left = $9,
             updated_at = $10
         where tenant_id = $1 and id = $2 and status = 'running' and program = $3",
    )
    .bind(tenant.0)
    .bind(run.id)
    .bind(&run.program)
    .bind(run.position)
    .bind(&run.cursor)
    .bind(run.reached)
    .bind(run.target)
    .bind(run.rate)
    .bind(run.seconds_left)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(moved.rows_affected() > 0)
}

/// Ends a run. Its rows are of use only if they differ from the live ones. False if somebody else has ended it.
pub async fn end(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: Uuid,
    ended: &Ended<'_>,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update rebuilds
         set status = $3, grown = $3 = 'differs', position = $4, rows = $5, differences = $6, sample = $7, replaced = $8,
             failure = $9, seconds_left = null, updated_at = $10, ended_at = $10
         where tenant_id = $1 and id = $2 and status = 'running'",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(ended.status)
    .bind(ended.position)
    .bind(ended.rows)
    .bind(ended.differences)
    .bind(&ended.sample)
    .bind(ended.replaced)
    .bind(ended.failure)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends a run, wherever it is; whoever is at it finds out with its next stretch. False if it is not under way.
pub async fn cancel(
    pool: &PgPool,
    tenant: TenantId,
    id: Uuid,
    why: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update rebuilds
         set status = 'failed', grown = false, failure = $3, seconds_left = null, updated_at = $4, ended_at = $4
         where tenant_id = $1 and id = $2 and status = 'running' -- waits for the stretch that is just being written",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(why)
    .bind(now)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// A tenant's runs, newest first.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    projection: Option<&str>,
    status: Option<&str>,
) -> Result<Page<RebuildView>, QueryError> {
    one_of("status", status, &STATUSES)?;
    let sql = format!(
        "select {COLUMNS} from rebuilds
         where tenant_id = $1 and ($2::uuid is null or id < $2) and ($3::text is null or model = $3)
           and ($4::text is null or status = $4)
         order by id desc limit $5 -- ids rise with time"
    );
    let rows = sqlx::query_as(AssertSqlSafe(sql))
        .bind(window.tenant.0)
        .bind(window.after::<Uuid>()?)
        .bind(projection)
        .bind(status)
        .bind(window.fetch())
        .fetch_all(pool)
        .await?;
    Ok(window.page(rows, |row: &RebuildView| row.id))
}

/// One run, with a sample of the rows that differed.
pub async fn find(pool: &PgPool, tenant: TenantId, id: Uuid) -> Result<Option<RebuildView>, sqlx::Error> {
    let sql = format!("select {COLUMNS}, sample from rebuilds where tenant_id = $1 and id = $2");
    sqlx::query_as(AssertSqlSafe(sql)).bind(tenant.0).bind(id).fetch_optional(pool).await
}

/// The newest run of each read model that has had one.
pub async fn latest(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<RebuildView>, sqlx::Error> {
    let sql = format!(
        "select distinct on (model) {COLUMNS} from rebuilds
         where tenant_id = $1 order by model, begun_at desc -- rebuilds_of_idx"
    );
    sqlx::query_as(AssertSqlSafe(sql)).bind(tenant.0).fetch_all(conn).await
}
