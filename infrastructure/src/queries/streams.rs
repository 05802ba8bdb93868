//! Streams: what has happened to one thing, step by step, and how it differs between two moments.

use chrono::{DateTime, Utc};
use onhand_domain::{State, StreamId, values::TenantId};
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::{
    Page, QueryError, Window,
    difference::{Difference, changes, differences, shown},
};
use crate::ledger::{Entry, LedgerError, read, state_at};

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
    let mut entries = read::stream(&mut conn, window.tenant, &name, after, window.fetch()).await?;
    entries.retain(|entry| filter.until.is_none_or(|until| entry.position <= until));
    let Some(first) = entries.first() else { return Ok(Page { data: vec![], next_cursor: None }) };
    let mut state = state_at(&mut conn, window.tenant, first.position - 1, stream.clone()).await?.state;
    let mut steps = Vec::with_capacity(entries.len());
    for entry in &entries {
        let (after, step) = take(window.tenant, entry, &state)?;
        state = after;
        steps.push(step);
    }
    Ok(window.page(steps, |step: &StepView| step.version))
}

fn take(tenant: TenantId, entry: &Entry, before: &State) -> Result<(State, StepView), LedgerError> {
    let event = entry.event()?;
    let data = serde_json::from_str(&event.stored().payload).unwrap_or_default();
    let mut after = before.clone();
    after.evolve(event).map_err(|why| LedgerError::misplaced(entry.position, &why))?;
    let (old, new) = shown(before, &after);
    let context = entry.context(tenant)?;
    let step = StepView {
        version: entry.version,
        position: entry.position,
        recorded_at: entry.recorded_at,
        action: entry.name.clone(),
        actor: context.actor,
        source: context.source,
        correlation_id: context.correlation_id,
        data,
        changes: differences(&old, &new),
        state: new,
    };
    Ok((after, step))
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
