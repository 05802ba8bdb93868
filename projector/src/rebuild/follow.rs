//! Growing the twin of a projection: stretch after stretch of entries through the very code that lets the live one follow.

use futures_util::TryStreamExt;
use onhand_domain::values::TenantId;
use onhand_infrastructure::ledger::Entry;
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

use super::run::{Run, beside_unhurried};
use crate::{ProjectorError, runner::apply};

/// What the entries of one stretch may take in memory, in bytes; a stretch that takes more is cut short.
const STRETCH_BYTES: usize = 16 << 20;

/// A stretch of history.
pub(crate) struct Read {
    /// All entries of the kinds asked for.
    pub(crate) entries: Vec<Entry>,
    /// Up to this position.
    pub(crate) to: i64,
}

/// Reads stretch after stretch, over a connection of its own.
struct Reader {
    conn: PgConnection,
    tenant: TenantId,
    kinds: &'static [&'static str],
    /// Positions asked for at once: no more than a stretch may have, and fewer where entries are large.
    positions: i64,
    positions_max: i64,
}

impl Reader {
    async fn after(&mut self, position: i64, to: i64) -> Result<Read, ProjectorError> {
        let end = to.min(position + self.positions);
        let read = stretch(&mut self.conn, self.tenant, (position, end), self.kinds).await?;
        self.positions = if read.to < end {
            // What was cut off has been sent for nothing.
            read.to - position
        } else {
            (self.positions * 2).min(self.positions_max)
        };
        Ok(read)
    }
}

/// Grows the twin up to a position, each stretch in a transaction of its own. The next stretch is read while the present one
/// is applied.
pub(super) async fn catch_up(
    run: &mut Run<'_>,
    conn: &mut PgConnection,
    kinds: &'static [&'static str],
    to: i64,
) -> Result<(), ProjectorError> {
    let mut reader = Reader {
        conn: super::reader(run.ledger()).await?,
        tenant: run.tenant,
        kinds,
        positions: run.stretch,
        positions_max: run.stretch,
    };
    run.row.target = to;
    let mut read = reader.after(run.row.position, to).await?;
    loop {
        let next = async {
            match read.to < to {
                true => reader.after(read.to, to).await.map(Some),
                false => Ok(None),
            }
        };
        let (applied, next) = tokio::join!(apply_read(run, conn, &read), next);
        applied?;
        run.tell()?;
        match next? {
            Some(next) => read = next,
            None => return Ok(()),
        }
    }
}

async fn apply_read(run: &mut Run<'_>, conn: &mut PgConnection, read: &Read) -> Result<(), ProjectorError> {
    let mut tx = conn.begin().await?;
    beside_unhurried(&mut tx).await?;
    apply(&mut tx, (run.tenant, false), read.entries.iter(), &[run.model]).await?;
    run.moved(read.to, read.to - run.row.position);
    run.keep(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Grows the twin up to a position, in the caller's transaction.
pub(super) async fn within(
    run: &mut Run<'_>,
    conn: &mut PgConnection,
    kinds: &[&str],
    to: i64,
) -> Result<(), ProjectorError> {
    run.row.target = to;
    while run.row.position < to {
        let after = run.row.position;
        let read = stretch(conn, run.tenant, (after, to.min(after + run.stretch)), kinds).await?;
        apply(conn, (run.tenant, false), read.entries.iter(), &[run.model]).await?;
        run.moved(read.to, read.to - after);
        run.tell()?;
    }
    Ok(())
}

/// Entries of some kinds after one position and up to another, in order, as far as they have room in memory. Live ones are
/// read so as well.
pub(crate) async fn stretch(
    conn: &mut PgConnection,
    tenant: TenantId,
    (after, to): (i64, i64),
    kinds: &[&str],
) -> Result<Read, sqlx::Error> {
    let mut rows = sqlx::query(
        "select position, event_id, stream, version, name, name_version, recorded_at, payload, metadata, hash
         from (select * from events where tenant_id = $1 and position > $2 and position <= $3
               -- In this order they lie in the table; how few of them may be of these kinds is not guessed at.
               order by position offset 0) e
         where split_part(name, '.', 1) = any($4)",
    )
    .bind(tenant.0)
    .bind(after)
    .bind(to)
    .bind(kinds)
    .fetch(conn);
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        let entry = entry(&row)?;
        bytes += size_of::<Entry>() + entry.stream.len() + entry.payload.len() + entry.metadata.len();
        let position = entry.position;
        entries.push(entry);
        if bytes > STRETCH_BYTES {
            return Ok(Read { entries, to: position });
        }
    }
    Ok(Read { entries, to })
}

/// By the place of its columns: names would be looked up a million times.
fn entry(row: &PgRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        position: row.try_get(0)?,
        event_id: row.try_get(1)?,
        stream: row.try_get(2)?,
        version: row.try_get(3)?,
        name: row.try_get(4)?,
        name_version: row.try_get(5)?,
        recorded_at: row.try_get(6)?,
        payload: row.try_get(7)?,
        metadata: row.try_get(8)?,
        hash: row.try_get(9)?,
    })
}
