//! The past: where history stood at a time, and streams as they were, from snapshots and the entries after them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use onhand_domain::{State, StreamId, values::TenantId};
use sqlx::PgConnection;

use super::{
    LedgerError,
    states::{Reading, read_states},
};

/// A stream as it was at a position.
#[derive(Debug, Clone)]
pub struct StateAt {
    /// What its entries up to there add up to.
    pub state: State,
    /// How many entries those are.
    pub version: i64,
    /// Where the newest of them stands; 0 if there is none.
    pub position: i64,
}

impl StateAt {
    /// Before anything has happened.
    fn initial(id: &StreamId) -> Self {
        Self { state: State::initial(id), version: 0, position: 0 }
    }
}

/// Streams as they were at a position, each of those asked for: three queries for all of them. A few hundred at a time
/// are meant, for all states are in memory at once.
pub async fn states_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    ids: Vec<StreamId>,
) -> Result<HashMap<StreamId, StateAt>, LedgerError> {
    let asked: Vec<(String, i64)> = ids.iter().map(|id| (id.to_string(), position)).collect();
    let found = versions_at(conn, tenant, &asked).await?;
    let mut states = HashMap::with_capacity(ids.len());
    let mut readings = HashMap::new();
    for ((id, (stream, _)), (version, position)) in ids.into_iter().zip(asked).zip(found) {
        let at = StateAt { position, ..StateAt::initial(&id) };
        if version > 0 {
            readings.insert(stream, Reading::new(id.clone(), version));
        }
        states.insert(id, at);
    }
    if readings.is_empty() {
        return Ok(states);
    }
    read_states(conn, tenant, position, &mut readings).await?;
    for reading in readings.into_values() {
        if let Some(at) = states.get_mut(&reading.id) {
            at.version = reading.cached.version;
            at.state = reading.cached.state;
        }
    }
    Ok(states)
}

/// One stream as it was at a position.
pub async fn state_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    id: StreamId,
) -> Result<StateAt, LedgerError> {
    let mut states = states_at(conn, tenant, position, vec![id.clone()]).await?;
    Ok(states.remove(&id).unwrap_or_else(|| StateAt::initial(&id)))
}

/// How many entries each of some streams had at the position beside it, and where the newest of them stands; zeroes if
/// there were none. In the order of the streams, one of which may be asked for twice.
pub async fn versions_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    asked: &[(String, i64)],
) -> Result<Vec<(i64, i64)>, LedgerError> {
    if asked.is_empty() {
        return Ok(vec![]);
    }
    let (streams, positions): (Vec<&str>, Vec<i64>) =
        asked.iter().map(|(stream, position)| (stream.as_str(), *position)).unzip();
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(include_str!("versions_at.sql"))
        .bind(tenant.0)
        .bind(streams)
        .bind(positions)
        .fetch_all(conn)
        .await?;
    let found: HashMap<i64, (i64, i64)> =
        rows.into_iter().map(|(number, version, position)| (number, (version, position))).collect();
    Ok((1..).zip(asked).map(|(number, _)| found.get(&number).copied().unwrap_or_default()).collect())
}

/// Where history stood at a time: the newest entry that was recorded by then; 0 if there was none.
pub async fn position_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    time: DateTime<Utc>,
) -> Result<i64, LedgerError> {
    let found = positions_at(conn, tenant, &[time]).await?;
    found.first().copied().ok_or(LedgerError::NoTenant)
}

/// Where history stood at each of some times, in their order; nothing for a tenant that is unknown.
///
/// Times do not decrease with positions, so each place is found in as many steps as there are digits in their number.
pub async fn positions_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    times: &[DateTime<Utc>],
) -> Result<Vec<i64>, LedgerError> {
    let found = sqlx::query_scalar(include_str!("positions_at.sql"))
        .bind(tenant.0)
        .bind(times)
        .fetch_all(conn)
        .await?;
    Ok(found)
}
