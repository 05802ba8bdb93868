//! `onhand archive verify`: files by themselves, held against one another, and held against what was signed. No database
//! is needed for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::ExitCode,
};

use onhand_domain::values::TenantId;
use onhand_infrastructure::ledger::{
    archive::{Archive, Header, Noted, header, verify_noting},
    proof::SignedCheckpoint,
};

use super::told;
use crate::cli::{audit::document::shown, bars};

/// The files one by one, whether those of one ledger are of one history, and whether that is the one that was signed for.
pub(super) fn check(files: &[PathBuf], against: &[SignedCheckpoint], key_named: bool) -> ExitCode {
    let whole = read(files, against);
    let mut sound = whole.len() == files.len();
    tell_holes(&whole);
    sound &= is_one_history(&whole);
    if against.is_empty() {
        println!(
            "This shows that each file hangs together. Whoever can write files can make one that does: only --against, with \
             a checkpoint that was kept elsewhere, shows that it is the history that was signed for."
        );
    } else {
        sound &= is_signed_for(&whole, against, key_named);
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Those that are whole, by ledger and position.
fn read(files: &[PathBuf], against: &[SignedCheckpoint]) -> Vec<Noted> {
    let wanted = wanted(files, against);
    let mut whole = Vec::new();
    for file in files {
        let name = shown(&file.display().to_string());
        let bar = bars::bar(name.clone());
        let verified = verify_noting(file, &wanted, |at, of| bars::set(&bar, at, of));
        bar.finish_and_clear();
        match verified {
            Ok(noted) => {
                println!("{name}: whole; {}", told(&noted.archive));
                whole.push(noted);
            }
            Err(error) => println!("{name}: BROKEN: {}", shown(&error.to_string())),
        }
    }
    whole.sort_by_key(|noted| (noted.archive.header.tenant, noted.archive.header.from));
    whole
}

/// Positions at which files can be held against one another and against checkpoints: where one begins or ends. A hash there
/// stands for everything before it.
fn wanted(files: &[PathBuf], against: &[SignedCheckpoint]) -> BTreeSet<i64> {
    // What cannot be read here is told of when all of it is.
    let headers = files.iter().filter_map(|file| header(file).ok());
    let borders = headers.flat_map(|Header { from, to, .. }| [from - 1, to]);
    borders.chain(against.iter().map(|checkpoint| checkpoint.position)).collect()
}

fn tell_holes(whole: &[Noted]) {
    let mut reached: Option<&Header> = None;
    for Noted { archive: Archive { header, .. }, .. } in whole {
        let before = reached.filter(|before| before.tenant == header.tenant);
        if let Some(before) = before.filter(|before| header.from > before.to + 1) {
            let (from, to, name) = (before.to + 1, header.from - 1, shown(&header.tenant_name));
            println!("no file given has positions {from} to {to} of {name}");
        }
        if before.is_none_or(|before| header.to > before.to) {
            reached = Some(header);
        }
    }
}

/// Whether files that overlap or adjoin have the same hash where they do. Files that overlap do so at the end of one of
/// them, and the hash there stands for all that they have in common.
fn is_one_history(whole: &[Noted]) -> bool {
    let mut is_one = true;
    let mut known: BTreeMap<(TenantId, i64), (&str, &Archive)> = BTreeMap::new();
    for Noted { archive, hashes } in whole {
        for (position, hash) in hashes {
            let at = (archive.header.tenant, *position);
            let (other, first) = *known.entry(at).or_insert((hash.as_str(), archive));
            if other != hash {
                is_one = false;
                let (one, next) = (shown(&first.file), shown(&archive.file));
                println!(
                    "BROKEN: {next} and {one} are not of one history: they differ at position {position}"
                );
            }
        }
    }
    is_one
}

/// Whether each checkpoint is met, and whether what the files have is what was signed for. What comes after the newest
/// checkpoint no checkpoint speaks of: that is told, and fails where a file has nothing else.
fn is_signed_for(whole: &[Noted], against: &[SignedCheckpoint], key_named: bool) -> bool {
    let mut all = true;
    let mut joined = Vec::new();
    for checkpoint in against {
        let met = Met::by(whole, checkpoint);
        println!("{}", compared(checkpoint, met, key_named));
        match met {
            Met::From(first) => joined.push((checkpoint, first)),
            Met::Otherwise | Met::Nowhere => all = false,
        }
    }
    for Noted { archive, .. } in whole {
        let Header { tenant, tenant_name, from, to, .. } = &archive.header;
        let of_it = joined.iter().filter(|(checkpoint, _)| checkpoint.is_of(*tenant));
        let signed: Vec<_> = of_it.map(|(checkpoint, first)| (*first, checkpoint.position)).collect();
        let newest = signed.iter().map(|(_, last)| *last).max();
        for (first, last) in outside((*from, *to), signed) {
            let comes_after = newest.is_some_and(|newest| first > newest);
            all &= comes_after && first > *from;
            let why = if comes_after {
                "which come after what was signed for"
            } else {
                "which nothing joins to what was signed for"
            };
            let (name, file) = (shown(tenant_name), shown(&archive.file));
            println!("NOT SHOWN: positions {first} to {last} of {name}, in {file}, {why}");
        }
    }
    all
}

/// How files and a checkpoint agree.
#[derive(Clone, Copy)]
enum Met {
    /// They have what was signed for, from this position on.
    From(i64),
    /// One has another entry there.
    Otherwise,
    /// None has that entry.
    Nowhere,
}

impl Met {
    /// Looks for the entry that was signed for, and goes back from there, from each file to one that has the entry before it.
    fn by(whole: &[Noted], checkpoint: &SignedCheckpoint) -> Self {
        let of_it = move || whole.iter().filter(move |noted| checkpoint.is_of(noted.archive.header.tenant));
        let (mut position, mut hash) = (checkpoint.position, checkpoint.hash.as_str());
        if of_it().filter_map(|noted| noted.hash_of(position)).any(|other| other != hash) {
            return Self::Otherwise;
        }
        while let Some(noted) = of_it().find(|noted| noted.hash_of(position) == Some(hash)) {
            let Header { from, previous_hash, .. } = &noted.archive.header;
            (position, hash) = (from - 1, previous_hash.as_str());
        }
        if position == checkpoint.position { Self::Nowhere } else { Self::From(position + 1) }
    }
}

/// The parts of a stretch that lie in none of some others.
fn outside((from, to): (i64, i64), mut others: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    others.sort_unstable();
    let (mut parts, mut next) = (Vec::new(), from);
    for (first, last) in others {
        if next < first && next <= to {
            parts.push((next, to.min(first - 1)));
        }
        next = next.max(last + 1);
    }
    if next <= to {
        parts.push((next, to));
    }
    parts
}

fn compared(checkpoint: &SignedCheckpoint, met: Met, key_named: bool) -> String {
    let SignedCheckpoint { position, signed_at, tenant_name, public_key, .. } = checkpoint;
    let name = shown(tenant_name);
    match met {
        Met::From(first) => {
            let by = match key_named {
                true => "by the key that was named".to_owned(),
                false => format!(
                    "by {public_key}, for which only the checkpoint speaks; name the right key with --key"
                ),
            };
            format!(
                "what the files have of {name} from position {first} to {position} is the history that was signed for at \
                 {signed_at} {by}"
            )
        }
        Met::Otherwise => {
            format!("BROKEN: position {position} of {name} is not the one that was signed for at {signed_at}")
        }
        Met::Nowhere => {
            format!(
                "NOT SHOWN: no file that is whole has position {position} of {name}, signed at {signed_at}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::outside;

    #[test]
    fn what_others_leave_of_a_stretch_is_found() {
        assert_eq!(outside((5, 9), vec![]), [(5, 9)]);
        assert_eq!(outside((5, 9), vec![(5, 9)]), []);
        assert_eq!(outside((5, 9), vec![(1, 6), (2, 3), (6, 7)]), [(8, 9)]);
        assert_eq!(outside((5, 9), vec![(8, 8), (1, 5)]), [(6, 7), (9, 9)]);
        assert_eq!(outside((5, 9), vec![(10, 20), (1, 4)]), [(5, 9)]);
    }
}
