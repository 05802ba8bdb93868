//! `onhand secrets`: credentials sealed anew when the key that seals them has changed.

use std::process::ExitCode;

use super::{bars, session::Session};

/// What can be done with credentials.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Seals every credential with the first key of `ONHAND_MASTER_KEYS`; afterwards the others are not needed any more.
    Reencrypt,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Reencrypt = command;
    Session::with(async |session| {
        let bar = bars::bar("sealing anew".to_owned());
        let sealed = session.onhand.operations.reencrypt_secrets(|done, of| bars::set(&bar, done, of)).await;
        bar.finish_and_clear();
        println!("{} credentials and keys were sealed anew.", sealed?);
        Ok(())
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}
