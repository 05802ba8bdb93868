//! `onhand projections`: how far the read models are, why one is behind, and letting one stand still or go on.

use std::process::ExitCode;

use onhand_domain::values::TenantId;
use onhand_infrastructure::{
    ledger::Context,
    operations::Caller,
    queries::projections::{self, Projections},
};
use onhand_projector::{find_model, pause, registry, resume};

use super::session::{Aim, Session};

/// What `projections` can be told.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Of one tenant only.
    #[arg(long, value_name = "NAME", global = true)]
    tenant: Option<String>,
}

/// What can be done with projections.
#[derive(clap::Subcommand)]
enum Command {
    /// Shows how far each is, and why one is behind; this is also done if nothing is said.
    List,
    /// Lets one stand still.
    Pause {
        /// Which.
        name: String,
    },
    /// Lets one go on that was paused, or that is parked and may try again.
    Resume {
        /// Which.
        name: String,
    },
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let aim = if matches!(args.command, None | Some(Command::List)) { Aim::Read } else { Aim::Write };
    let amiss = Session::to(aim, async |session| {
        let tenants = session.tenants(args.tenant.as_deref()).await?;
        if tenants.is_empty() {
            println!("There is no tenant yet, so there is nothing to follow.");
        }
        let mut amiss = 0;
        for (tenant, name) in tenants {
            let operations = &session.onhand.operations;
            let (told, done) = match &args.command {
                None | Some(Command::List) => {
                    list(session, tenant, &name).await?;
                    continue;
                }
                Some(Command::Pause { name: projection }) => {
                    let model = find_model(projection)?;
                    (pause(operations, caller(tenant), model).await, format!("{projection} stands still."))
                }
                Some(Command::Resume { name: projection }) => {
                    let model = find_model(projection)?;
                    (resume(operations, caller(tenant), model).await, format!("{projection} goes on."))
                }
            };
            // What cannot be done for one tenant is no reason to leave the others as they are.
            match told {
                Ok(_) => println!("{name}: {done}"),
                Err(error) => {
                    eprintln!("{name}: {error}");
                    amiss += 1;
                }
            }
        }
        Ok(amiss)
    })
    .await?;
    Ok(if amiss == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn caller(tenant: TenantId) -> Caller {
    Caller::new(Context::internal(tenant, "cli"))
}

async fn list(session: &Session, tenant: TenantId, name: &str) -> anyhow::Result<()> {
    let now = session.onhand.ledger().clock().now();
    let Projections { ledger, data } =
        projections::list(session.onhand.pool(), tenant, &registry::listed(), now).await?;
    println!("{name}: the ledger ends at position {}", ledger.position);
    for waiting in ledger.waiting {
        println!("  {}", waiting.why);
    }
    println!(
        "  {:13} {:9} {:10} {:>12} {:>9} {:>8}",
        "projection", "kind", "state", "position", "behind", "seconds"
    );
    for row in data {
        println!(
            "  {:13} {:9} {:10} {:>12} {:>9} {:>8}{}",
            row.name,
            row.kind,
            row.state,
            row.position,
            row.lag_entries,
            row.lag_seconds,
            row.why.map(|why| format!("  {why}")).unwrap_or_default()
        );
    }
    Ok(())
}
