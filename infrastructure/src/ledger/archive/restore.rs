//! Putting entries back that a ledger has lost: those of its own history, and none that it never had.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    path::PathBuf,
};

use onhand_domain::values::TenantId;
use sqlx::{PgConnection, PgPool};

use super::{Archive, ArchiveError, Entry, Header, aside, hash_before, reader::Reader};
use crate::{
    ledger::{Head, LedgerError, read},
    queries::rebuilds,
};

/// What was found when a file was held against its ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the file says of itself.
    pub header: Header,
    /// Its name, without the folder.
    pub file: String,
    /// Entries that were missing, and are put back. One that several files have counts for one of them.
    pub missing: u64,
}

/// What is known of ledgers from files that fit.
#[derive(Default)]
struct Known {
    /// Where files end, those that are not read yet as well.
    ends: BTreeSet<(TenantId, i64)>,
    /// The hashes there, as files that fit have them.
    hashes: HashMap<(TenantId, i64), Vec<u8>>,
    /// The first entry that is in a file that fits. From there on, all are that a file has which ends no later.
    from: HashMap<TenantId, i64>,
}

/// Puts back, into the ledgers they are from, the entries of some files that are missing there: all of them or, if one
/// file does not fit, none.
///
/// A dry run only looks. `progress` is told how many entries of how many were seen, of all files first, and then of those
/// with entries to put back.
///
/// States that were noted while entries were missing may be wrong: with the first entry that is put back, all snapshots of
/// the ledger go, and nobody goes on with what rebuilds have grown.
///
/// A file fits if it is whole, if every entry of it that is there is the same there, and if the ledger goes on from it:
/// by the hash that the next entry was made with, the ledger itself says what has to stand before. What follows may be
/// missing as well, where another file has it that fits. Files may overlap.
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
    // Those that end last come first: where one ends, another that is known to fit may have the entry.
    files.sort_by_key(|(_, reader)| (reader.header.tenant, Reverse(reader.header.to), reader.header.from));
    let ends = files.iter().map(|(_, reader)| (reader.header.tenant, reader.header.to)).collect();
    let mut known = Known { ends, ..Known::default() };
    let all: i64 = files.iter().map(|(_, reader)| reader.header.entries()).sum();
    let mut tx = pool.begin().await?;
    let (mut fitting, mut seen) = (Vec::new(), 0);
    for (path, reader) in files {
        let report = |page: &[Entry]| {
            seen += page.len() as i64;
            progress(seen, all);
        };
        let (archive, missing) = fit(&mut tx, reader, &mut known, report).await?;
        fitting.push((path, archive, missing));
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
        rebuilds::forget_grown(&mut tx, tenant).await?;
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
    known: &mut Known,
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
    let had_from = known.from.get(&tenant).copied().unwrap_or(i64::MAX);
    let (mut missing, mut last_is_there) = (0, false);
    let mut ends = Vec::new();
    let mut note = |position, hash: &[u8]| {
        if known.ends.contains(&(tenant, position)) {
            ends.push(((tenant, position), hash.to_vec()));
        }
    };
    note(from - 1, reader.hash());
    loop {
        let (came_back, page) = aside(move || reader.page().map(|page| (reader, page))).await?;
        reader = came_back;
        if page.is_empty() {
            break;
        }
        let lost = missing_of(conn, tenant, &page).await?;
        missing += lost.iter().filter(|entry| entry.position < had_from).count() as u64;
        last_is_there = lost.last().map(|entry| entry.position) != page.last().map(|entry| entry.position);
        page.iter().for_each(|entry| note(entry.position, &entry.hash));
        report(&page);
    }
    let goes_on = match known.hashes.get(&(tenant, to)) {
        Some(hash) => hash == reader.hash(),
        None if head.position == to => head.hash == reader.hash(),
        None => match read::after(conn, tenant, to, 1).await?.first() {
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
    known.hashes.extend(ends);
    known.from.insert(tenant, from.min(had_from));
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
