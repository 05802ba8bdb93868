//! Putting entries back that a ledger has lost: those of its own history, and none that it never had.

use std::{cmp::Reverse, collections::HashMap, path::PathBuf};

use onhand_domain::values::TenantId;
use sqlx::{PgConnection, PgPool};

use super::{Archive, ArchiveError, Entry, Header, aside, hash_before, reader::Reader};
use crate::ledger::{Head, LedgerError, read};

/// What was found when a file was held against its ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the file says of itself.
    pub header: Header,
    /// Its name, without the folder.
    pub file: String,
    /// Entries that were missing, and are put back.
    pub missing: u64,
}

/// Puts back, into the ledgers they are from, the entries of some files that are missing there: all of them or, if one
/// file does not fit, none.
///
/// A dry run only looks. `progress` is told how many entries of how many were seen, of all files first, and then of those
/// with entries to put back.
///
/// States that were noted while entries were missing may be wrong: with the first entry that is put back, all snapshots of
/// the ledger go.
///
/// A file fits if it is whole, if every entry of it that is there is the same there, and if the ledger goes on from it:
/// by the hash that the next entry was made with, the ledger itself says what has to stand before.
pub async fn restore(
    pool: &PgPool,
    paths: &[PathBuf],
    dry_run: bool,
    mut progress: impl FnMut(i64, i64),
) -> Result<Vec<Restored>, ArchiveError> {
    let mut files = Vec::new();
    for path in paths {
        files.push((path, Reader::open(path)?));
    }
    // The last stretch first: the one before it then joins what is known to fit.
    files.sort_by_key(|(_, reader)| (reader.header.tenant, Reverse((reader.header.from, reader.header.to))));
    for pair in files.windows(2) {
        let [(_, one), (path, next)] = pair else { continue };
        let Header { tenant, from, to, .. } = next.header;
        if (tenant, from, to) == (one.header.tenant, one.header.from, one.header.to) {
            let path = path.display();
            return Err(unfit(format!(
                "{path}: another file given has the positions {from} to {to} as well"
            )));
        }
    }
    let all: i64 = files.iter().map(|(_, reader)| reader.header.entries()).sum();
    let mut tx = pool.begin().await?;
    let (mut fitting, mut after, mut seen) = (Vec::new(), None, 0);
    for (path, reader) in files {
        let header = reader.header.clone();
        let report = |page: &[Entry]| {
            seen += page.len() as i64;
            progress(seen, all);
        };
        let (archive, missing) = fit(&mut tx, reader, after.as_ref(), report).await?;
        fitting.push((path, archive, missing));
        after = Some(header);
    }
    let gaps: Vec<_> = fitting.iter().filter(|(_, _, missing)| *missing > 0 && !dry_run).collect();
    let all: i64 = gaps.iter().map(|(_, archive, _)| archive.header.entries()).sum();
    let mut seen = 0;
    for (path, archive, _) in gaps {
        let mut reader = Reader::open(path)?;
        let tenant = archive.header.tenant;
        loop {
            let (came_back, page) = aside(move || reader.page().map(|page| (reader, page))).await?;
            reader = came_back;
            if page.is_empty() {
                break;
            }
            let missing = missing_of(&mut tx, tenant, &page).await?;
            insert(&mut tx, tenant, &missing).await?;
            seen += page.len() as i64;
            progress(seen, all);
        }
        if reader.archive() != *archive {
            return Err(unfit(format!("{} was changed meanwhile", archive.file)));
        }
        forget_snapshots(&mut tx, tenant).await?;
    }
    tx.commit().await?;
    let restored = |(_, archive, missing): (_, Archive, u64)| {
        let Archive { header, file, .. } = archive;
        Restored { header, file, missing }
    };
    Ok(fitting.into_iter().map(restored).collect())
}

/// How many entries of a file are missing in its ledger; an error if it is not of that ledger, or nothing shows that it is.
async fn fit(
    conn: &mut PgConnection,
    mut reader: Reader,
    after: Option<&Header>,
    mut report: impl FnMut(&[Entry]),
) -> Result<(Archive, u64), ArchiveError> {
    let Header { tenant, tenant_name, from, to, previous_hash, .. } = reader.header.clone();
    let head = match Head::read(conn, tenant).await {
        Err(LedgerError::NoTenant) => {
            return Err(unfit(format!("there is no ledger of {tenant_name} ({tenant}) here")));
        }
        head => head?,
    };
    if head.position < to {
        let position = head.position;
        return Err(unfit(format!(
            "the ledger of {tenant_name} ends at {position}, the file at {to}: an archive fills gaps and does not prolong \
             history; restore a dump"
        )));
    }
    if hash_before(conn, tenant, from).await?.is_some_and(|hash| hex::encode(hash) != previous_hash) {
        return Err(unfit(format!(
            "position {from} of the file does not follow from the entry before it here"
        )));
    }
    let (mut missing, mut last_is_there) = (0, false);
    loop {
        let (came_back, page) = aside(move || reader.page().map(|page| (reader, page))).await?;
        reader = came_back;
        if page.is_empty() {
            break;
        }
        let lost = missing_of(conn, tenant, &page).await?;
        missing += lost.len() as u64;
        last_is_there = lost.last().map(|entry| entry.position) != page.last().map(|entry| entry.position);
        report(&page);
    }
    let goes_on = match after {
        Some(next) if next.tenant == tenant && next.from == to + 1 => {
            next.previous_hash == hex::encode(reader.hash())
        }
        _ if head.position == to => head.hash == reader.hash(),
        _ => match read::after(conn, tenant, to, 1).await?.first() {
            Some(next) if next.position == to + 1 => next.hash == next.chained(tenant, reader.hash()),
            _ => last_is_there,
        },
    };
    if !goes_on {
        return Err(unfit(format!(
            "nothing shows that the ledger of {tenant_name} goes on from the file at position {to}; if what follows is \
             missing as well, give the file that has it, too"
        )));
    }
    Ok((reader.archive(), missing))
}

/// Which of these entries are not there. One that is there and is another is an error.
async fn missing_of<'p>(
    conn: &mut PgConnection,
    tenant: TenantId,
    page: &'p [Entry],
) -> Result<Vec<&'p Entry>, ArchiveError> {
    let Some(first) = page.first() else { return Ok(vec![]) };
    let there = read::after(conn, tenant, first.position - 1, page.len() as i64).await?;
    let there: HashMap<i64, Entry> = there.into_iter().map(|entry| (entry.position, entry)).collect();
    let mut missing = Vec::new();
    for entry in page {
        match there.get(&entry.position) {
            None => missing.push(entry),
            Some(same) if same == entry => {}
            Some(_) => {
                let position = entry.position;
                return Err(unfit(format!("position {position} is there and is another than in the file")));
            }
        }
    }
    Ok(missing)
}

/// No conflict is passed over: what stands in the way is no gap.
async fn insert(conn: &mut PgConnection, tenant: TenantId, entries: &[&Entry]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into events (tenant_id, position, event_id, stream, version, name, name_version, recorded_at, payload,
                             metadata, hash)
         select $1, e.* from unnest($2::bigint[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::smallint[],
                                    $8::timestamptz[], $9::text[], $10::text[], $11::bytea[]) as e",
    )
    .bind(tenant.0)
    .bind(entries.iter().map(|e| e.position).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.event_id).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.stream.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.version).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.name_version).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.recorded_at).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.payload.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.metadata.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.hash.as_slice()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Throws away what is noted of the states of streams, in the form of this release and in that of the one before.
async fn forget_snapshots(conn: &mut PgConnection, tenant: TenantId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from stream_snapshots where tenant_id = $1")
        .bind(tenant.0)
        .execute(&mut *conn)
        .await?;
    sqlx::query("delete from snapshots where tenant_id = $1").bind(tenant.0).execute(conn).await?;
    Ok(())
}

fn unfit(why: String) -> ArchiveError {
    ArchiveError::Unfit(why)
}
