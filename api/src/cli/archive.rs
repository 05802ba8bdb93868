//! `onhand archive`: history copied into files that can be checked anywhere, and put back where it was lost.

mod verify;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use chrono::TimeDelta;
use onhand_infrastructure::{
    ledger::{archive::Archive, position_at},
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
        /// A signed checkpoint that was kept elsewhere: the files must have the entry it was signed for, and join up to it.
        #[arg(long, value_name = "FILE")]
        against: Vec<PathBuf>,
        /// A public key that checkpoints must be signed with, noted elsewhere; with several, one of them.
        #[arg(long, value_name = "HEX", requires = "against", value_parser = document::public_key)]
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
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    to: Option<i64>,
    /// Entries that are older than so many days.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(..=365_000))]
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
            return Ok(verify::check(&files, &against, !key.is_empty()));
        }
        Command::List { tenant } => {
            Session::reading(async |session| list(session, tenant.as_deref()).await).await?
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
            shown(&file.tenant),
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
    let what =
        if dry_run { "are missing, and would come from it" } else { "were missing, and are back from it" };
    for one in &restored {
        let (from, to, missing) = (one.header.from, one.header.to, one.missing);
        println!(
            "{}: fits; of positions {from} to {to} of {}, {missing} {what}",
            shown(&one.file),
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
