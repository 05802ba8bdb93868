//! `onhand rebuild`: read models grown again from history, beside the live ones, and compared with them.

use std::{ops::ControlFlow, process::ExitCode};

use onhand_domain::values::TenantId;
use onhand_infrastructure::{ledger::Context, operations::Caller, queries::rebuilds};
use onhand_projector::{
    MODELS, OnDifference, ProjectorError, ReadModel, Rebuilt, find_model,
    rebuild::{self, DifferingRow, Pace},
};

use super::{bars, session::Session};

/// What `rebuild` can be told.
#[derive(clap::Args)]
#[command(override_usage = "onhand rebuild <MODEL> [OPTIONS]\n       onhand rebuild --all [OPTIONS]")]
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
    /// Puts rebuilt rows in the place of live ones that differ; without it they are only told.
    #[arg(long)]
    replace: bool,
    /// Puts an end to a rebuild that is under way, and begins none.
    #[arg(long, conflicts_with = "replace")]
    cancel: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let models: Vec<&ReadModel> = match &args.name {
        Some(name) => vec![find_model(name)?],
        None => MODELS.iter().collect(),
    };
    let on_difference = if args.replace { OnDifference::Replace } else { OnDifference::Keep };
    let amiss = Session::with(async |session| {
        let tenants = session.tenants(args.tenant.as_deref()).await?;
        if tenants.is_empty() {
            println!("There is no tenant yet, so there is nothing to rebuild.");
        }
        let mut amiss = 0;
        for (tenant, name) in tenants {
            for model in &models {
                if args.cancel {
                    println!("{name}: {:13} {}", model.name, cancel(session, tenant, model).await?);
                    continue;
                }
                match one(session, (tenant, name.as_str()), model, on_difference).await {
                    Ok(rebuilt) => {
                        println!("{name}: {}", verdict(&rebuilt));
                        rebuilt.sample.iter().for_each(show);
                        amiss += u32::from(rebuilt.differences > 0 && !rebuilt.replaced);
                    }
                    // Without a database the others fare no better.
                    Err(error) if error.is_away() => return Err(error.into()),
                    // What one cannot do is no reason to leave the others undone.
                    Err(error) => {
                        println!("{name}: {:13} FAILED: {error}", model.name);
                        amiss += 1;
                    }
                }
            }
        }
        Ok(amiss)
    })
    .await?;
    Ok(if amiss == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn cancel(session: &Session, tenant: TenantId, model: &ReadModel) -> anyhow::Result<&'static str> {
    let operations = &session.onhand.operations;
    let mut conn = session.onhand.pool().acquire().await?;
    let Some(running) = rebuilds::running(&mut conn, tenant, model.name).await? else {
        return Ok("is not being rebuilt");
    };
    let caller = Caller::new(Context::internal(tenant, "cli"));
    match rebuild::cancel(operations, &caller, running.id).await? {
        true => Ok("its rebuild is cancelled"),
        false => Ok("its rebuild has ended"),
    }
}

async fn one(
    session: &Session,
    (tenant, name): (TenantId, &str),
    model: &ReadModel,
    on_difference: OnDifference,
) -> Result<Rebuilt, ProjectorError> {
    let bar = bars::bar(format!("{name}: {}", model.name));
    let tell = |pace: Pace| {
        bars::set(&bar, pace.position, pace.target);
        let left = pace.seconds_left.map(|seconds| format!(", {seconds} s left")).unwrap_or_default();
        bar.set_message(format!("{name}: {}, {:.0}/s{left}", model.name, pace.entries_per_second));
        ControlFlow::Continue(())
    };
    let caller = Caller::new(Context::internal(tenant, "cli"));
    let rebuilt = rebuild::rebuild(&session.onhand.operations, caller, model, on_difference, tell).await;
    bar.finish_and_clear();
    rebuilt
}

fn verdict(rebuilt: &Rebuilt) -> String {
    let Rebuilt { model, position, rows, differences, replaced, took, .. } = rebuilt;
    let grown = format!("{model:13} {rows:>8} rows as of position {position} in {:.1} s", took.as_secs_f64());
    let found = match differences {
        0 => "equal to the live ones".to_owned(),
        1 => "1 DIFFERENCE from the live ones".to_owned(),
        many => format!("{many} DIFFERENCES from the live ones"),
    };
    let done = match (replaced, differences) {
        (true, _) => ", which were replaced",
        (false, 0) => "",
        (false, _) => ", which were kept; --replace puts the rebuilt ones in their place",
    };
    format!("{grown}, {found}{done}")
}

fn show(row: &DifferingRow) {
    println!("  {} {}", row.table, row.key);
    for (which, row) in [("live", &row.live), ("rebuilt", &row.rebuilt)] {
        match row {
            Some(row) => println!("    {which:7} {row}"),
            None => println!("    {which:7} no row"),
        }
    }
}
