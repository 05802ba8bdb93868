//! Growing the twin of a state table: stream after stream, folded from its first entry on, and further those that have moved
//! meanwhile.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use onhand_domain::{
    Event, State, StreamId,
    values::{InvalidValue, TenantId},
};
use onhand_infrastructure::ledger::{LedgerError, StateTable, read, versions_at};
use sqlx::{Connection, PgConnection, Row};

use super::run::{Run, beside_unhurried};
use crate::ProjectorError;

/// So many entries a stream may well have: by it a stretch of positions becomes a number of streams.
const ENTRIES_OF_A_STREAM: i64 = 40;

/// What states of streams that move may take in memory, in bytes.
const KNOWN_BYTES: usize = 64 << 20;

/// A stream, folded up to a version.
struct Reached {
    id: StreamId,
    state: State,
    version: i64,
}

/// Streams, folded; those that had not begun by then have no state.
struct Folded {
    streams: Vec<(String, Option<Reached>)>,
    entries: i64,
}

impl Folded {
    fn last(&self) -> &str {
        self.streams.last().map_or("", |(stream, _)| stream)
    }
}

/// States of streams that have moved since the twin was grown. They are likely to move again, and then only what is new is
/// folded.
#[derive(Default)]
pub(super) struct Known {
    reached: HashMap<String, Reached>,
    bytes: usize,
}

impl Known {
    /// A stream with its state, as far as that is known.
    fn take(&mut self, stream: &str) -> (String, Option<Reached>) {
        let reached = self.reached.remove(stream);
        self.bytes -= reached.as_ref().map_or(0, |reached| bytes(stream, reached));
        (stream.to_owned(), reached)
    }

    fn keep(&mut self, folded: Folded) {
        for (stream, reached) in folded.streams {
            let Some(reached) = reached else { continue };
            if self.bytes > KNOWN_BYTES {
                *self = Self::default();
            }
            self.bytes += bytes(&stream, &reached);
            self.reached.insert(stream, reached);
        }
    }
}

fn bytes(stream: &str, reached: &Reached) -> usize {
    size_of::<Reached>() + stream.len() + reached.state.bytes()
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
    let mut reader = super::reader(run.ledger()).await?;
    let (tenant, position, stretch) = (run.tenant, run.row.position, run.stretch);
    let after = run.row.cursor.clone().unwrap_or_default();
    let mut folded = next(&mut reader, tenant, (kind, after.as_str()), stretch, position).await?;
    while let Some(batch) = folded {
        let following = next(&mut reader, tenant, (kind, batch.last()), stretch, position);
        let (written, following) = tokio::join!(write_batch(run, conn, table, &batch), following);
        written?;
        run.tell()?;
        folded = following?;
    }
    run.row.cursor = Some(end);
    run.keep(conn).await
}

/// The next streams, folded: as many as there are likely to be in a stretch of entries, and no more than have as many.
async fn next(
    conn: &mut PgConnection,
    tenant: TenantId,
    (kind, after): (&str, &str),
    stretch: i64,
    position: i64,
) -> Result<Option<Folded>, ProjectorError> {
    let mut tx = conn.begin().await?;
    // A single stream may be longer than what is read in the time that statements have.
    sqlx::raw_sql("set local statement_timeout = 0").execute(&mut *tx).await?;
    let streams = read::streams_of_kind(&mut tx, tenant, kind, after, streams_max(stretch)).await?;
    let asked: Vec<(String, i64)> = streams.into_iter().map(|stream| (stream, position)).collect();
    let versions = versions_at(&mut tx, tenant, &asked).await?;
    let mut entries = 0;
    let begun: Vec<(String, Option<Reached>)> = asked
        .into_iter()
        .zip(versions)
        .take_while(|(_, (version, _))| {
            // The first one in any case, however long it is.
            let has_room = entries == 0 || entries + version <= stretch;
            entries += version;
            has_room
        })
        .map(|((stream, _), _)| (stream, None))
        .collect();
    let folded = match begun.is_empty() {
        true => None,
        false => Some(fold(&mut tx, tenant, begun, position).await?),
    };
    tx.rollback().await?;
    Ok(folded)
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
    run.row.cursor = Some(batch.last().to_owned());
    run.row.reached += batch.streams.len() as i64;
    run.row.target = run.row.target.max(run.row.reached);
    run.count(batch.entries);
    run.keep(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Folds on what has moved since the run's position, up to another, each stretch in a transaction of its own.
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

/// One stretch of positions: whatever has moved within it is folded on; from its first entry on if it is not known.
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
        let begun = streams.iter().map(|stream| run.known.take(stream)).collect();
        let folded = fold(conn, run.tenant, begun, to).await?;
        write(conn, run.tenant, table, &folded).await?;
        run.count(folded.entries);
        run.known.keep(folded);
    }
    run.moved(to, 0);
    Ok(())
}

fn streams_max(stretch: i64) -> i64 {
    (stretch / ENTRIES_OF_A_STREAM).max(1)
}

/// Folds streams on, up to a position, from entries alone and an entry at a time: a long stream takes no more room than its
/// state.
async fn fold(
    conn: &mut PgConnection,
    tenant: TenantId,
    mut streams: Vec<(String, Option<Reached>)>,
    to: i64,
) -> Result<Folded, ProjectorError> {
    let names: Vec<String> = streams.iter().map(|(stream, _)| stream.clone()).collect();
    let versions: Vec<i64> =
        streams.iter().map(|(_, reached)| reached.as_ref().map_or(0, |reached| reached.version)).collect();
    let mut rows = sqlx::query(
        "select s.number, e.position, e.version, e.name, e.name_version, e.payload
         from unnest($2::text[], $3::bigint[]) with ordinality as s (stream, version, number)
         join events e on e.tenant_id = $1 and e.stream = s.stream and e.version > s.version and e.position <= $4
         order by s.number, e.version -- events_tenant_id_stream_version_key",
    )
    .bind(tenant.0)
    .bind(names)
    .bind(versions)
    .bind(to)
    .fetch(conn);
    let mut entries = 0;
    while let Some(row) = rows.try_next().await? {
        let (number, position): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let unreadable = |why: String| LedgerError::Unreadable { position, why };
        let Some((stream, reached)) = streams.get_mut(number as usize - 1) else { continue };
        let reached = match reached {
            Some(reached) => reached,
            None => {
                let id: StreamId = stream.parse().map_err(|why: InvalidValue| unreadable(why.to_string()))?;
                let state = State::initial(&id);
                reached.insert(Reached { id, state, version: 0 })
            }
        };
        let event = Event::read(row.try_get(3)?, row.try_get(4)?, row.try_get(5)?)
            .map_err(|why| unreadable(why.to_string()))?;
        reached.state.evolve(event).map_err(|why| unreadable(why.to_string()))?;
        reached.version = row.try_get(2)?;
        entries += 1;
    }
    Ok(Folded { streams, entries })
}

async fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    table: StateTable,
    folded: &Folded,
) -> Result<(), sqlx::Error> {
    let begun = folded.streams.iter().filter_map(|(_, reached)| reached.as_ref());
    let rows: Vec<(StreamId, &State)> = begun.map(|reached| (reached.id.clone(), &reached.state)).collect();
    if !rows.is_empty() {
        (table.write)(conn, tenant, &rows).await?;
    }
    Ok(())
}
