//! Rebuilding: a read model grown again from history, beside the live one, compared, and exchanged if they differ.
//!
//! The very same code runs with another search path, so its rows land in the twins in schema `rebuild`.
//! Readers go on with the live rows until one transaction exchanges them. No effect is repeated: a read
//! model writes its own tables and nothing else.

use std::collections::BTreeMap;

use onhand_domain::{State, StreamId, values::TenantId};
use onhand_infrastructure::ledger::{Entry, Head, Ledger, LedgerError, StateTable, read};
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::{
    Projector, ProjectorError,
    checkpoint::Checkpoint,
    compare,
    registry::{Growth, ReadModel},
    runner::{Progress, STRETCH_MAX, apply, kinds},
};

/// Streams folded in one transaction.
const STREAMS_MAX: i64 = 200;

/// What a rebuild found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// Which read model.
    pub model: &'static str,
    /// For whom.
    pub tenant: TenantId,
    /// As of this position.
    pub position: i64,
    /// Rows it has.
    pub rows: u64,
    /// Rows in which the live one differed; it was replaced if there were any.
    pub differences: i64,
}

/// Rebuilds one read model for one tenant. `progress` is told the position reached and the one aimed at.
pub async fn rebuild(
    ledger: &Ledger,
    model: &ReadModel,
    tenant: TenantId,
    mut progress: impl FnMut(i64, i64),
) -> Result<Rebuilt, ProjectorError> {
    // One connection for all of it: the lock lives exactly as long as the work.
    let mut conn = ledger.pool().acquire().await?.detach();
    let locked: (bool,) =
        sqlx::query_as("select pg_try_advisory_lock(hashtextextended($1, 0)) from set_config('statement_timeout', '0', false)")
            .bind(format!("rebuild/{}/{tenant}", model.name))
            .fetch_one(&mut conn)
            .await?;
    if !locked.0 {
        return Err(ProjectorError::Busy(model.name));
    }
    let rebuilt = match model.growth {
        Growth::Follows { .. } => follow_again(&mut conn, ledger, model, tenant, &mut progress).await,
        Growth::InCommit { kind, table } => {
            fold_again(&mut conn, model, tenant, kind, table, &mut progress).await
        }
    };
    conn.close().await?;
    rebuilt
}

async fn follow_again(
    conn: &mut PgConnection,
    ledger: &Ledger,
    model: &ReadModel,
    tenant: TenantId,
    progress: &mut impl FnMut(i64, i64),
) -> Result<Rebuilt, ProjectorError> {
    // First let the live one come to the head, so that what is rebuilt is of today. A parked one stays where it is.
    let projector = Projector::new(ledger.clone());
    while let Progress::To { .. } = projector.advance(conn, &[model], tenant).await? {}
    let head = Head::read(conn, tenant).await?.position;

    clear_twins(conn, model, tenant).await?;
    let mut position = 0;
    while position < head {
        let to = head.min(position + STRETCH_MAX);
        let mut tx = conn.begin().await?;
        beside(&mut tx).await?;
        apply_stretch(&mut tx, model, tenant, position, to).await?;
        tx.commit().await?;
        position = to;
        progress(position, head);
    }

    // The live one holds still while its last entries are applied here too, and the two are compared.
    let mut tx = conn.begin().await?;
    let live = Checkpoint::hold(&mut tx, tenant, model.name).await?.max(position);
    beside(&mut tx).await?;
    while position < live {
        let to = live.min(position + STRETCH_MAX);
        apply_stretch(&mut tx, model, tenant, position, to).await?;
        position = to;
    }
    let differences = exchange_if_different(&mut tx, model, tenant).await?;
    Checkpoint::advance(&mut tx, tenant, &[model.name], position).await?;
    tx.commit().await?;
    let rows = clear_twins(conn, model, tenant).await?;
    Ok(Rebuilt { model: model.name, tenant, position, rows, differences })
}

async fn apply_stretch(
    conn: &mut PgConnection,
    model: &ReadModel,
    tenant: TenantId,
    after: i64,
    to: i64,
) -> Result<(), ProjectorError> {
    let entries = read::between(conn, tenant, after, to, &kinds(&[model])).await?;
    apply(conn, tenant, entries.iter(), &[model]).await
}

async fn fold_again(
    conn: &mut PgConnection,
    model: &ReadModel,
    tenant: TenantId,
    kind: &str,
    table: StateTable,
    progress: &mut impl FnMut(i64, i64),
) -> Result<Rebuilt, ProjectorError> {
    let begun = Head::read(conn, tenant).await?.position;
    clear_twins(conn, model, tenant).await?;
    let mut last = String::new();
    loop {
        let streams = read::streams_of_kind(conn, tenant, kind, &last, STREAMS_MAX).await?;
        let Some(end) = streams.last().cloned() else { break };
        let mut tx = conn.begin().await?;
        beside(&mut tx).await?;
        write_states(&mut tx, tenant, &streams, begun, table).await?;
        tx.commit().await?;
        last = end;
        // How many streams there are is not known; the bar is full when they are through.
        progress(begun / 2, begun);
    }

    // Nobody writes while the streams that have moved since are folded again, and the two are compared.
    let mut tx = conn.begin().await?;
    let head = Head::lock(&mut tx, tenant).await?.position;
    let moved = read::between(&mut tx, tenant, begun, head, &[kind]).await?;
    let mut streams: Vec<String> = moved.into_iter().map(|entry| entry.stream).collect();
    streams.sort();
    streams.dedup();
    beside(&mut tx).await?;
    for streams in streams.chunks(STREAMS_MAX as usize) {
        write_states(&mut tx, tenant, streams, head, table).await?;
    }
    let differences = exchange_if_different(&mut tx, model, tenant).await?;
    tx.commit().await?;
    progress(head, head);
    let rows = clear_twins(conn, model, tenant).await?;
    Ok(Rebuilt { model: model.name, tenant, position: head, rows, differences })
}

/// From here to the end of the transaction, tables are looked for in `rebuild` first.
async fn beside(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("set local search_path = rebuild, public").execute(conn).await?;
    Ok(())
}

async fn clear_twins(
    conn: &mut PgConnection,
    model: &ReadModel,
    tenant: TenantId,
) -> Result<u64, sqlx::Error> {
    let mut rows = 0;
    for table in model.tables {
        rows += compare::clear(conn, tenant, table).await?;
    }
    Ok(rows)
}

async fn exchange_if_different(
    conn: &mut PgConnection,
    model: &ReadModel,
    tenant: TenantId,
) -> Result<i64, sqlx::Error> {
    let mut different = 0;
    for table in model.tables {
        different += compare::differences(conn, tenant, table).await?;
    }
    if different > 0 {
        tracing::warn!(model = model.name, %tenant, different, "the live read model differed and was replaced");
        for table in model.tables {
            compare::exchange(conn, tenant, table).await?;
        }
    }
    Ok(different)
}

async fn write_states(
    conn: &mut PgConnection,
    tenant: TenantId,
    streams: &[String],
    to: i64,
    table: StateTable,
) -> Result<(), ProjectorError> {
    let entries = read::of_streams(conn, tenant, streams, to).await?;
    let states = fold(&entries)?;
    let rows: Vec<(StreamId, &State)> = states.iter().map(|(id, state)| (id.clone(), state)).collect();
    if !rows.is_empty() {
        (table.write)(conn, tenant, &rows).await?;
    }
    Ok(())
}

fn fold(entries: &[Entry]) -> Result<BTreeMap<StreamId, State>, LedgerError> {
    let mut states = BTreeMap::new();
    for entry in entries {
        let id = entry.stream_id()?;
        let state = states.entry(id).or_insert_with_key(State::initial);
        state
            .evolve(entry.event()?)
            .map_err(|why| LedgerError::Unreadable { position: entry.position, why: why.to_string() })?;
    }
    Ok(states)
}
