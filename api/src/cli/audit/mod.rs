//! `onhand audit`: history checked against its own hashes and against what was signed, and copied for others.

pub(super) mod document;
mod export;
mod prove;
mod report;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use super::session::Session;

/// What can be asked of history.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Recomputes every hash; ends with code 1 if one does not hold.
    Verify(verify::Args),
    /// Signs for history as it stands, for others to keep: only that shows a history that was rewritten as a whole.
    Checkpoint {
        /// Of one tenant only.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// Where to write it; else to stdout.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Proves that one entry is part of a signed history.
    Prove(prove::Args),
    /// Checks a checkpoint or a proof, anywhere, without a database; ends with code 1 if it does not hold.
    Check {
        /// The document.
        file: PathBuf,
        /// The public key it must be signed with, noted elsewhere.
        #[arg(long, value_name = "HEX", value_parser = document::public_key)]
        key: Option<String>,
    },
    /// Tells the public keys that checkpoints are signed with, for others to note.
    Key {
        /// Of one tenant only.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Copies the audit log, or a part of it, for others to keep; the copy is on record.
    Export(export::Args),
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Verify(args) => return verify::run(args).await,
        Command::Check { file, key } => return document::check(&file, key.as_deref()),
        Command::Export(args) => return export::run(args).await,
        Command::Checkpoint { tenant, out } => {
            let (tenant, out) = (tenant.as_deref(), out.as_deref());
            return Session::with(async |session| prove::sign(session, tenant, out).await).await;
        }
        Command::Prove(args) => Session::with(async |session| prove::prove(session, &args).await).await?,
        Command::Key { tenant } => {
            Session::reading(async |session| prove::tell_keys(session, tenant.as_deref()).await).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
