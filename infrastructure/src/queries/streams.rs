//! Streams: what has happened to one thing, step by step, and how it differs between two moments.

use chrono::{DateTime, Utc};
use onhand_domain::{State, StreamId, values::TenantId};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};

use super::{
    Page, QueryError, Window, cursor,
    difference::{Difference, changes, differences, fields, shown},
};
use crate::ledger::{Entry, LedgerError, read, state_at};

/// What a page of steps may weigh, in bytes: its payloads, and all that is shown of them. The last step may go beyond.
const PAGE_BYTES: usize = 4_000_000;

/// An entry of a stream, and what it did.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the columns of the ledger, described there")]
pub struct StepView {
    pub version: i64,
    pub position: i64,
    pub recorded_at: DateTime<Utc>,
    pub action: String,
    pub actor: String,
    pub source: String,
    pub correlation_id: String,
    pub data: Value,
    /// What it changed.
    pub changes: Vec<Difference>,
    /// What there is after it; of a shelf's holds those that it changed.
    pub state: Value,
}

/// Which steps of a stream are meant.
#[derive(Debug, Clone, Default)]
pub struct StepFilter {
    /// From this version on.
    pub from: Option<i64>,
    /// Up to and with this position.
    pub until: Option<i64>,
}

/// The steps of a stream in their order. A stream to which nothing has happened has none.
pub async fn steps(
    pool: &PgPool,
    window: &Window,
    stream: &StreamId,
    filter: &StepFilter,
) -> Result<Page<StepView>, QueryError> {
    let after =
        window.after::<i64>()?.unwrap_or_else(|| filter.from.map_or(0, |from| from.saturating_sub(1)));
    let name = stream.to_string();
    let mut conn = pool.acquire().await?;
    let limit = window.fetch() - 1;
    let rows = stretch(&mut conn, window.tenant, &name, after, limit + 1).await?;
    let (count, found) = (rows.len(), rows.first().map_or(0, |row| row.found));
    let entries = rows.into_iter().map(|row| row.entry);
    let meant = |entry: &Entry| filter.until.is_none_or(|until| entry.position <= until);
    let entries: Vec<Entry> = entries.filter(meant).collect();
    let Some(first) = entries.first() else { return Ok(Page { data: vec![], next_cursor: None }) };
    let mut state = state_at(&mut conn, window.tenant, first.position - 1, stream.clone()).await?.state;
    drop(conn);
    let (mut steps, mut bytes) = (Vec::<StepView>::new(), 0);
    for entry in entries.iter().take(limit as usize) {
        let step = take(window.tenant, entry, &mut state, steps.last())?;
        bytes += serde_json::to_vec(&step).map_or(0, |json| json.len());
        steps.push(step);
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    let cut = entries.len() == count && (count as i64) < found;
    let last = steps.last().filter(|_| cut || steps.len() < entries.len());
    let next_cursor = last.map(|last| cursor(&last.version));
    Ok(Page { data: steps, next_cursor })
}

/// An entry of a stream.
#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    entry: Entry,
    /// How many there are for this page, whatever they weigh.
    found: i64,
}

/// Entries of a stream after a version, in order: at most `limit`, and not much more than a page may weigh.
async fn stretch(
    conn: &mut PgConnection,
    tenant: TenantId,
    stream: &str,
    version: i64,
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    // What payloads weigh is known without reading them.
    sqlx::query_as(
        "select position, event_id, stream, version, name, name_version, recorded_at, payload, metadata, hash, found
         from (select *, count(*) over () as found, sum(octet_length(payload)) over (order by version) as bytes
               from (select * from events where tenant_id = $1 and stream = $2 and version > $3
                     order by version limit $4) as few -- events_tenant_id_stream_version_key
              ) as page
         where bytes - octet_length(payload) < $5
         order by version",
    )
    .bind(tenant.0)
    .bind(stream)
    .bind(version)
    .bind(limit)
    .bind(PAGE_BYTES as i64)
    .fetch_all(conn)
    .await
}

/// Takes a fact, and tells what it did. `before` is the step before, if that is on the same page.
fn take(
    tenant: TenantId,
    entry: &Entry,
    state: &mut State,
    before: Option<&StepView>,
) -> Result<StepView, LedgerError> {
    let event = entry.event()?;
    let data = serde_json::from_str(&event.stored().payload).unwrap_or_default();
    let misplaced = |why| LedgerError::misplaced(entry.position, &why);
    let (changes, new) = if matches!(state, State::Stock(_)) {
        // What is shown of a shelf are the holds that a step has changed: what the step before has shown is no help.
        let old = state.clone();
        state.evolve(event).map_err(misplaced)?;
        let (old, new) = shown(&old, state);
        (differences(&old, &new), new)
    } else {
        let first = if before.is_none() { fields(state) } else { Default::default() };
        state.evolve(event).map_err(misplaced)?;
        let new = fields(state);
        (differences(before.map_or(&first, |step| &step.state), &new), new)
    };
    let context = entry.context(tenant)?;
    Ok(StepView {
        version: entry.version,
        position: entry.position,
        recorded_at: entry.recorded_at,
        action: entry.name.clone(),
        actor: context.actor,
        source: context.source,
        correlation_id: context.correlation_id,
        data,
        changes,
        state: new,
    })
}

/// A place in a stream's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The position that was asked for.
    pub position: i64,
    /// How many entries the stream had there.
    pub version: i64,
}

/// How a stream differs between two moments.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// Which stream.
    pub stream: String,
    /// The one.
    pub from: Place,
    /// The other.
    pub to: Place,
    /// What was there, and what is there in its place.
    pub changes: Vec<Difference>,
}

/// Whether anything has ever happened to it.
pub async fn is_known(
    conn: &mut PgConnection,
    tenant: TenantId,
    stream: &StreamId,
) -> Result<bool, LedgerError> {
    Ok(!read::stream(conn, tenant, &stream.to_string(), 0, 1).await?.is_empty())
}

/// How a stream differs between two positions. None if nothing has ever happened to it.
pub async fn compare(
    pool: &PgPool,
    tenant: TenantId,
    stream: &StreamId,
    (from, to): (i64, i64),
) -> Result<Option<Compared>, QueryError> {
    let mut conn = pool.acquire().await?;
    if !is_known(&mut conn, tenant, stream).await? {
        return Ok(None);
    }
    let before = state_at(&mut conn, tenant, from, stream.clone()).await?;
    let after = state_at(&mut conn, tenant, to, stream.clone()).await?;
    Ok(Some(Compared {
        stream: stream.to_string(),
        from: Place { position: from, version: before.version },
        to: Place { position: to, version: after.version },
        changes: changes(&before.state, &after.state),
    }))
}
