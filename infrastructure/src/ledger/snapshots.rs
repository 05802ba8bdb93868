//! Snapshots after the fact: long streams that were written without them, by an earlier release or with snapshots of another
//! format, get about those that would be there had this program written them. Without them a look into their past begins at
//! their first entry.

use std::collections::HashMap;

use onhand_domain::{StreamId, values::TenantId};
use sqlx::{PgConnection, PgPool};

use super::{
    LedgerError, read,
    states::{LONG_KINDS, Reading, SNAPSHOT_EVERY, SNAPSHOT_FORMAT, Snapshot, read_states, write_snapshots},
};

/// Streams that are looked at together.
const STREAMS_MAX: i64 = 500;
/// Entries that are read together.
const ENTRIES_MAX: i64 = 2_000;

/// A stretch of a stream without snapshots.
struct Gap {
    stream: String,
    /// The version it begins after: that of a snapshot, or 0.
    after: i64,
    /// The last version that is to be looked at.
    upto: i64,
    /// How many times the usual distance of snapshots makes a gap.
    distances: i64,
}

impl Gap {
    /// Whether snapshots that are usually so far apart are missing.
    fn is_one(&self, distance: i64) -> bool {
        self.upto - self.after >= self.distances * distance
    }
}

/// Writes the snapshots that a tenant's long streams lack, and says how many. Where none are missing that is soon found, by
/// the versions of those that are there.
///
/// Anybody may write meanwhile, and several may do this at once: what is there is left alone. Broken off, it is gone on
/// with by whoever does it next.
pub async fn write_missing_snapshots(pool: &PgPool, tenant: TenantId) -> Result<u64, LedgerError> {
    let mut conn = pool.acquire().await?;
    let (mut written, mut after) = (0, String::new());
    loop {
        let begun = read::streams_begun(&mut conn, tenant, &LONG_KINDS, &after, STREAMS_MAX).await?;
        let streams: Vec<String> = begun.into_iter().map(|(stream, _)| stream).collect();
        let Some(last) = streams.last() else { return Ok(written) };
        after.clone_from(last);
        for gap in gaps(&mut conn, tenant, &streams).await? {
            match fill(&mut conn, tenant, &gap).await {
                Ok(snapshots) => written += snapshots,
                // A newer program may have written it. The other streams have nothing to do with that.
                Err(error @ LedgerError::Unreadable { .. }) => {
                    tracing::warn!(stream = %gap.stream, %error, "a stream gets no snapshots");
                }
                Err(error) => return Err(error),
            }
        }
    }
}

async fn gaps(
    conn: &mut PgConnection,
    tenant: TenantId,
    streams: &[String],
) -> Result<Vec<Gap>, LedgerError> {
    let rows: Vec<(String, i64, Vec<i64>)> = sqlx::query_as(
        "select s.stream, newest.version, kept.versions
         from unnest($2::text[]) as s (stream)
         cross join lateral (
             select version from events where tenant_id = $1 and stream = s.stream
             order by version desc limit 1 -- events_tenant_id_stream_version_key, from its end back
         ) newest
         cross join lateral (
             select coalesce(array_agg(version order by version), '{}') as versions from stream_snapshots
             where tenant_id = $1 and stream = s.stream and format = $3
         ) kept
         where newest.version >= $4",
    )
    .bind(tenant.0)
    .bind(streams)
    .bind(SNAPSHOT_FORMAT)
    .bind(SNAPSHOT_EVERY)
    .fetch_all(conn)
    .await?;
    let mut gaps = Vec::new();
    for (stream, newest, kept) in rows {
        let mut after = 0;
        for version in kept {
            // One is written after a whole batch, so they are a little farther apart than they would have to be.
            gaps.push(Gap { stream: stream.clone(), after, upto: version - 1, distances: 2 });
            after = version;
        }
        gaps.push(Gap { stream, after, upto: newest, distances: 1 });
    }
    gaps.retain(|gap| gap.is_one(SNAPSHOT_EVERY));
    Ok(gaps)
}

/// Reads on from where the gap begins, and writes each snapshot once it is due by the size of the state at the one before: by
/// that size it is told what is a gap, so that none is read again and again for nothing.
async fn fill(conn: &mut PgConnection, tenant: TenantId, gap: &Gap) -> Result<u64, LedgerError> {
    let Gap { stream, after, upto, .. } = gap;
    let Ok(id) = stream.parse::<StreamId>() else { return Ok(0) };
    let mut readings = HashMap::from([(stream.clone(), Reading::new(id, *after))]);
    read_states(conn, tenant, i64::MAX, &mut readings).await?;
    let Some(Reading { mut cached, .. }) = readings.remove(stream) else { return Ok(0) };
    let (mut last, mut distance) = (*after, cached.snapshot_every());
    if !gap.is_one(distance) {
        return Ok(0); // The state is so large that they are farther apart.
    }
    let mut written = 0;
    while cached.version < *upto {
        let limit = ENTRIES_MAX.min(upto - cached.version);
        let entries = read::stream(conn, tenant, stream, cached.version, limit).await?;
        if entries.is_empty() {
            break; // Somebody has tampered with it, which is for the proof to find.
        }
        for entry in entries {
            let position = entry.position;
            let taken = cached.state.evolve(entry.event()?);
            taken.map_err(|why| LedgerError::misplaced(position, &why))?;
            cached.version = entry.version;
            if cached.version - last >= distance {
                let Ok(state) = serde_json::to_string(&cached.state) else { return Ok(written) };
                let snapshot = Snapshot { stream: stream.clone(), version: cached.version, state };
                write_snapshots(conn, tenant, position, &[snapshot]).await?;
                written += 1;
                (last, distance) = (cached.version, cached.snapshot_every());
            }
        }
    }
    Ok(written)
}
