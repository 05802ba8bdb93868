//! `onhand audit`: history checked against its own hashes.

use std::process::ExitCode;

use onhand_infrastructure::ledger::proof::{Verdict, verify};

use super::{bars, session::Session};

/// What can be asked of history.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Recomputes every hash from the first entry on; ends with code 1 if one does not hold.
    Verify {
        /// Of one tenant only.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
}

pub(super) async fn run(Command::Verify { tenant }: Command) -> anyhow::Result<ExitCode> {
    let broken = Session::with(async |session| {
        let tenants = session.tenants(tenant.as_deref()).await?;
        if tenants.is_empty() {
            println!("There is no tenant yet, so there is no history to verify.");
        }
        let mut broken = 0;
        for (tenant, name) in tenants {
            let bar = bars::bar(name.clone());
            let verdict = verify(session.onhand.pool(), tenant, |at, of| bars::set(&bar, at, of)).await;
            bar.finish_and_clear();
            match verdict? {
                Verdict::Intact { entries, hash } => {
                    println!("{name}: intact; all {entries} entries follow from one another, up to {hash}");
                }
                Verdict::Broken { position, why } => {
                    broken += 1;
                    println!("{name}: BROKEN at position {position}: {why}");
                }
            }
        }
        Ok(broken)
    })
    .await?;
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
