//! Growing the twin of a state table: stream after stream, folded from its first entry on, and once more those that have
//! moved meanwhile.

use futures_util::TryStreamExt;
use onhand_domain::{
    Event, State, StreamId,
    values::{InvalidValue, TenantId},
};
use onhand_infrastructure::ledger::{LedgerError, StateTable, read};
use sqlx::{Connection, PgConnection, Row};

use super::run::{Run, beside_unhurried};
use crate::ProjectorError;

/// So many entries a stream may well have: by it a stretch of positions becomes a number of streams.
const ENTRIES_OF_A_STREAM: i64 = 40;

/// Streams, folded.
struct Folded {
    states: Vec<(StreamId, State)>,
    entries: i64,
    streams: i64,
    /// The last of them.
    last: String,
}

/// How many streams of a kind there are.
pub(super) async fn streams(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
) -> Result<i64, sqlx::Error> {
    let (count,): (i64,) = sqlx::query_as(
        "select count(*) from events
         -- In the index alone; each stream has one entry with version 1, and `0` comes right after `/`.
         where tenant_id = $1 and stream > $2 || '/' and stream < $2 || '0' and version = 1",
    )
    .bind(tenant.0)
    .bind(kind)
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// Folds every stream of the kind up to the run's position, each batch of them in a transaction of its own. The next batch
/// is read while the present one is written.
pub(super) async fn all(
    run: &mut Run<'_>,
    conn: &mut PgConnection,
    (kind, table): (&str, StateTable),
) -> Result<(), ProjectorError> {
    // Behind every stream of the kind: once the cursor is there, all are through.
    let end = format!("{kind}0");
    if run.row.cursor.as_deref() == Some(end.as_str()) {
        return Ok(());
    }
    let mut reader = run.ledger().pool().acquire().await?;
    let (tenant, position, limit) = (run.tenant, run.row.position, streams_max(run.stretch));
    let after = run.row.cursor.clone().unwrap_or_default();
    let mut folded = next(&mut reader, tenant, (kind, after.as_str()), limit, position).await?;
    while let Some(batch) = folded {
        let following = next(&mut reader, tenant, (kind, batch.last.as_str()), limit, position);
        let (written, following) = tokio::join!(write_batch(run, conn, table, &batch), following);
        written?;
        run.tell()?;
        folded = following?;
    }
    run.row.cursor = Some(end);
    run.keep(conn).await
}

async fn next(
    conn: &mut PgConnection,
    tenant: TenantId,
    (kind, after): (&str, &str),
    limit: i64,
    position: i64,
) -> Result<Option<Folded>, ProjectorError> {
    let streams = read::streams_of_kind(conn, tenant, kind, after, limit).await?;
    match streams.is_empty() {
        true => Ok(None),
        false => Ok(Some(fold(conn, tenant, &streams, position).await?)),
    }
}

async fn write_batch(
    run: &mut Run<'_>,
    conn: &mut PgConnection,
    table: StateTable,
    batch: &Folded,
) -> Result<(), ProjectorError> {
    let mut tx = conn.begin().await?;
    beside_unhurried(&mut tx).await?;
    write(&mut tx, run.tenant, table, batch).await?;
    run.row.cursor = Some(batch.last.clone());
    run.row.reached += batch.streams;
    run.row.target = run.row.target.max(run.row.reached);
    run.count(batch.entries);
    run.keep(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Folds anew what has moved since the run's position, up to another, each stretch in a transaction of its own.
pub(super) async fn catch_up(
    run: &mut Run<'_>,
    conn: &mut PgConnection,
    (kind, table): (&str, StateTable),
    to: i64,
) -> Result<(), ProjectorError> {
    while run.row.position < to {
        let mut tx = conn.begin().await?;
        beside_unhurried(&mut tx).await?;
        refold(run, &mut tx, (kind, table), to).await?;
        run.keep(&mut tx).await?;
        tx.commit().await?;
        run.tell()?;
    }
    Ok(())
}

/// The same in the caller's transaction.
pub(super) async fn within(
    run: &mut Run<'_>,
    conn: &mut PgConnection,
    (kind, table): (&str, StateTable),
    to: i64,
) -> Result<(), ProjectorError> {
    while run.row.position < to {
        refold(run, conn, (kind, table), to).await?;
        run.tell()?;
    }
    Ok(())
}

/// One stretch of positions: whatever has moved within it is folded from its first entry on.
async fn refold(
    run: &mut Run<'_>,
    conn: &mut PgConnection,
    (kind, table): (&str, StateTable),
    to: i64,
) -> Result<(), ProjectorError> {
    let to = to.min(run.row.position + run.stretch);
    let moved: Vec<(String,)> = sqlx::query_as(
        "select distinct stream from events
         where tenant_id = $1 and position > $2 and position <= $3 and split_part(name, '.', 1) = $4 -- events_pkey
         order by stream",
    )
    .bind(run.tenant.0)
    .bind(run.row.position)
    .bind(to)
    .bind(kind)
    .fetch_all(&mut *conn)
    .await?;
    let moved: Vec<String> = moved.into_iter().map(|(stream,)| stream).collect();
    for streams in moved.chunks(streams_max(run.stretch) as usize) {
        let folded = fold(conn, run.tenant, streams, to).await?;
        write(conn, run.tenant, table, &folded).await?;
        run.count(folded.entries);
    }
    run.moved(to, 0);
    Ok(())
}

fn streams_max(stretch: i64) -> i64 {
    (stretch / ENTRIES_OF_A_STREAM).max(1)
}

/// Folds streams up to a position, from entries alone and an entry at a time: a long stream takes no more room than its state.
async fn fold(
    conn: &mut PgConnection,
    tenant: TenantId,
    streams: &[String],
    to: i64,
) -> Result<Folded, ProjectorError> {
    let mut rows = sqlx::query(
        "select position, stream, name, name_version, payload from events
         where tenant_id = $1 and stream = any($2) and position <= $3
         order by stream, version -- events_tenant_id_stream_version_key",
    )
    .bind(tenant.0)
    .bind(streams)
    .bind(to)
    .fetch(conn);
    let mut states: Vec<(StreamId, State)> = Vec::new();
    let (mut current, mut entries) = (String::new(), 0);
    while let Some(row) = rows.try_next().await? {
        let position: i64 = row.try_get(0)?;
        let unreadable = |why: String| LedgerError::Unreadable { position, why };
        let stream: &str = row.try_get(1)?;
        if stream != current {
            let id: StreamId = stream.parse().map_err(|why: InvalidValue| unreadable(why.to_string()))?;
            let state = State::initial(&id);
            states.push((id, state));
            stream.clone_into(&mut current);
        }
        let event = Event::read(row.try_get(2)?, row.try_get(3)?, row.try_get(4)?)
            .map_err(|why| unreadable(why.to_string()))?;
        if let Some((_, state)) = states.last_mut() {
            state.evolve(event).map_err(|why| unreadable(why.to_string()))?;
        }
        entries += 1;
    }
    let last = streams.last().cloned().unwrap_or_default();
    Ok(Folded { states, entries, streams: streams.len() as i64, last })
}

async fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    table: StateTable,
    folded: &Folded,
) -> Result<(), sqlx::Error> {
    let rows: Vec<(StreamId, &State)> = folded.states.iter().map(|(id, state)| (id.clone(), state)).collect();
    if !rows.is_empty() {
        (table.write)(conn, tenant, &rows).await?;
    }
    Ok(())
}
