//! `onhand archive`: history copied into files that can be checked anywhere, and put back where it was lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
};

use chrono::TimeDelta;
use onhand_domain::values::TenantId;
use onhand_infrastructure::{
    ledger::{
        archive::{Archive, Header, Noted, header, verify_noting},
        position_at,
        proof::SignedCheckpoint,
    },
    operations::archives::Archiving,
    queries::archives,
};

use super::{
    audit::document::{self, shown},
    bars,
    session::Session,
};

/// What can be done with archives.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Copies entries into compressed files; they stay in the database as well.
    Write {
        /// Whose history.
        #[arg(long, value_name = "NAME")]
        tenant: String,
        #[command(flatten)]
        until: Until,
        /// From this position on; else from the first one that is in no file yet.
        #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
        from: Option<i64>,
        /// The folder for the files.
        #[arg(long, value_name = "FOLDER")]
        dir: PathBuf,
    },
    /// Checks that files are whole and hang together; needs no database. That they are what once was, and not made anew as
    /// a whole, only a signed checkpoint that was kept elsewhere shows.
    Verify {
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// A signed checkpoint that was kept elsewhere: the files must have the entry it was signed for.
        #[arg(long, value_name = "FILE")]
        against: Vec<PathBuf>,
        /// A public key that checkpoints must be signed with, noted elsewhere; with several, one of them.
        #[arg(long, value_name = "HEX", requires = "against")]
        key: Vec<String>,
    },
    /// Lists the files that were written.
    List {
        /// Of one tenant only.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Puts back entries that the database has lost, if the files fit.
    Restore {
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Say what is missing and whether the files fit, and put nothing back.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Up to where history is copied.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Until {
    /// Up to this position.
    #[arg(long, value_name = "POSITION")]
    to: Option<i64>,
    /// Entries that are older than so many days.
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u32>,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Write { tenant, until, from, dir } => {
            Session::with(async |session| write(session, &tenant, &until, from, &dir).await).await?;
        }
        Command::Verify { files, against, key } => {
            let read = |file: &PathBuf| document::checkpoint(file, &key);
            let against = against.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
            return Ok(check(&files, &against, !key.is_empty()));
        }
        Command::List { tenant } => {
            Session::with(async |session| list(session, tenant.as_deref()).await).await?
        }
        Command::Restore { files, dry_run } => {
            Session::with(async |session| restore(session, &files, dry_run).await).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn write(
    session: &Session,
    tenant: &str,
    until: &Until,
    from: Option<i64>,
    folder: &Path,
) -> anyhow::Result<()> {
    for (tenant, tenant_name) in &session.tenants(Some(tenant)).await? {
        let to = match (until.to, until.older_than) {
            (Some(to), _) => to,
            (None, days) => {
                let age = TimeDelta::days(days.unwrap_or_default().into());
                let time = session.onhand.ledger().clock().now() - age;
                position_at(&mut *session.onhand.pool().acquire().await?, *tenant, time).await?
            }
        };
        let bar = bars::bar(format!("{tenant_name}: archive"));
        let archiving = Archiving { tenant: *tenant, tenant_name, from, to, folder };
        let written =
            session.onhand.operations.archive("cli", archiving, |at, of| bars::set(&bar, at, of)).await;
        bar.finish_and_clear();
        let written = written?;
        if written.is_empty() {
            println!("{tenant_name}: up to there, nothing is left to be archived.");
        }
        for archive in written {
            println!("{}", folder.join(&archive.file).display());
            println!("  {}", told(&archive));
        }
    }
    Ok(())
}

/// The files one by one, whether those of one ledger are of one history, and whether that is the one that was signed for.
fn check(files: &[PathBuf], against: &[SignedCheckpoint], key_named: bool) -> ExitCode {
    let wanted = wanted(files, against);
    let (mut sound, mut whole) = (true, Vec::new());
    for file in files {
        let bar = bars::bar(file.display().to_string());
        let verified = verify_noting(file, &wanted, |at, of| bars::set(&bar, at, of));
        bar.finish_and_clear();
        match verified {
            Ok(noted) => {
                println!("{}: whole; {}", file.display(), told(&noted.archive));
                whole.push(noted);
            }
            Err(error) => {
                sound = false;
                println!("{}: BROKEN: {}", file.display(), shown(&error.to_string()));
            }
        }
    }
    whole.sort_by_key(|noted| (noted.archive.header.tenant, noted.archive.header.from));
    tell_holes(&whole);
    let mut known: BTreeMap<(TenantId, i64), (&str, &Archive)> = BTreeMap::new();
    for Noted { archive, hashes } in &whole {
        for (position, hash) in hashes {
            let at = (archive.header.tenant, *position);
            let (other, first) = *known.entry(at).or_insert((hash.as_str(), archive));
            if other != hash {
                sound = false;
                let (one, next) = (&first.file, &archive.file);
                println!(
                    "BROKEN: {next} and {one} are not of one history: they differ at position {position}"
                );
            }
        }
    }
    for checkpoint in against {
        let agrees = known
            .iter()
            .find(|((tenant, position), _)| checkpoint.is_of(*tenant) && *position == checkpoint.position)
            .map(|(_, (hash, _))| *hash == checkpoint.hash);
        sound &= agrees == Some(true);
        println!("{}", compared(checkpoint, agrees, key_named));
    }
    if against.is_empty() {
        println!(
            "This shows that each file hangs together. Whoever can write files can make one that does: only --against, with \
             a checkpoint that was kept elsewhere, shows that it is the history that was signed for."
        );
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

fn compared(checkpoint: &SignedCheckpoint, agrees: Option<bool>, key_named: bool) -> String {
    let SignedCheckpoint { position, signed_at, tenant_name, public_key, .. } = checkpoint;
    let name = shown(tenant_name);
    match agrees {
        Some(true) => {
            let by = match key_named {
                true => "by the key that was named".to_owned(),
                false => format!(
                    "by {public_key}, for which only the checkpoint speaks; name the right key with --key"
                ),
            };
            format!(
                "up to position {position} of {name}, what joins is the history that was signed for at {signed_at} {by}"
            )
        }
        Some(false) => {
            format!("BROKEN: position {position} of {name} is not the one that was signed for at {signed_at}")
        }
        None => {
            format!(
                "NOT SHOWN: no file that is whole has position {position} of {name}, signed at {signed_at}"
            )
        }
    }
}

fn told(archive: &Archive) -> String {
    let Archive { header, last_hash, sha256, bytes, .. } = archive;
    format!(
        "positions {} to {} of {}, up to {last_hash}; {bytes} bytes, sha256 {sha256}",
        header.from,
        header.to,
        shown(&header.tenant_name)
    )
}

async fn list(session: &Session, tenant: Option<&str>) -> anyhow::Result<()> {
    let tenant = match tenant {
        Some(name) => session.tenants(Some(name)).await?.first().map(|(id, _)| *id),
        None => None,
    };
    let files = archives::list(session.onhand.pool(), tenant).await?;
    if files.is_empty() {
        println!("Nothing is archived.");
    }
    for file in files {
        println!(
            "{:16} {:>12} to {:>12}  {:>14} bytes  {}  {}  sha256 {}",
            file.tenant,
            file.from_position,
            file.to_position,
            file.bytes,
            file.archived_at.format("%Y-%m-%d %H:%M"),
            file.file,
            file.sha256
        );
    }
    Ok(())
}

async fn restore(session: &Session, files: &[PathBuf], dry_run: bool) -> anyhow::Result<()> {
    let bar = bars::bar("restore".to_owned());
    let operations = &session.onhand.operations;
    let restored = operations.restore_archives("cli", files, dry_run, |at, of| bars::set(&bar, at, of)).await;
    bar.finish_and_clear();
    let restored = restored?;
    let what = if dry_run { "are missing" } else { "were missing and are back" };
    for one in &restored {
        let (from, to, missing) = (one.header.from, one.header.to, one.missing);
        println!(
            "{}: fits; of positions {from} to {to} of {}, {missing} {what}",
            one.file,
            shown(&one.header.tenant_name)
        );
    }
    if !dry_run && restored.iter().any(|one| one.missing > 0) {
        println!(
            "Now run `onhand audit verify`, and `onhand rebuild --all`: read models have not seen what is back."
        );
    }
    Ok(())
}
