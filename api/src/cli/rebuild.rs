//! `onhand rebuild`: read models grown again from history, beside the live ones.

use std::process::ExitCode;

use onhand_projector::{MODELS, ReadModel, Rebuilt, rebuild, registry};

use super::{bars, session::Session};

/// What `rebuild` can be told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The read model to grow again.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// Grows every read model again.
    #[arg(long)]
    all: bool,
    /// Of one tenant only.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let models: Vec<&ReadModel> = match &args.name {
        Some(name) => vec![registry::find(name)?],
        None => MODELS.iter().collect(),
    };
    Session::with(async |session| {
        let tenants = session.tenants(args.tenant.as_deref()).await?;
        if tenants.is_empty() {
            println!("There is no tenant yet, so there is nothing to rebuild.");
        }
        for (tenant, name) in tenants {
            for model in &models {
                let bar = bars::bar(format!("{name}: {}", model.name));
                let show = |position, of| bars::set(&bar, position, of);
                let rebuilt = rebuild(session.onhand.ledger(), model, tenant, show).await;
                bar.finish_and_clear();
                println!("{name}: {}", verdict(&rebuilt?));
            }
        }
        Ok(())
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

fn verdict(rebuilt: &Rebuilt) -> String {
    let Rebuilt { model, position, rows, differences, .. } = rebuilt;
    let grown = format!("{model:13} {rows:>8} rows as of position {position}");
    match differences {
        0 => format!("{grown}, equal to the live ones"),
        1 => format!("{grown}, 1 DIFFERENCE from the live ones, which were replaced"),
        many => format!("{grown}, {many} DIFFERENCES from the live ones, which were replaced"),
    }
}
