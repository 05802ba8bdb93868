//! `onhand maintenance`: what is only kept for a while, and how much of it has been kept long enough; and what is missing.

use std::process::ExitCode;

use chrono::TimeDelta;
use onhand_infrastructure::operations::maintenance::{Maintained, Swept};

use super::session::Session;

/// What `maintenance` can be told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Count what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
    /// Of one tenant only.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (Maintained { swept, unnoted }, snapshots) = Session::with(async |session| {
        let tenant = match args.tenant.as_deref() {
            Some(name) => session.tenants(Some(name)).await?.first().map(|(id, _)| *id),
            None => None,
        };
        let (operations, retention) = (&session.onhand.operations, &session.config.retention);
        Ok(match args.dry_run {
            true => {
                let swept = operations.sweep(retention, tenant, true).await;
                (Maintained { swept, unnoted: vec![] }, Ok(0))
            }
            false => {
                let maintained = operations.maintain("cli", retention, tenant).await;
                (maintained, operations.write_missing_snapshots(tenant).await)
            }
        })
    })
    .await?;
    let removed = if args.dry_run { "would go" } else { "removed" };
    println!("{:17} {:>9} {removed:>10}  what it is", "table", "kept for");
    for swept in &swept {
        println!("{}", line(swept));
    }
    for (tenant, error) in &unnoted {
        println!("What went of tenant {tenant} IS NOT ON RECORD in its ledger: {error}");
    }
    match &snapshots {
        Ok(0) => {}
        Ok(written) => println!("Snapshots that were missing and are there now: {written}"),
        Err(error) => println!("NOT ALL SNAPSHOTS ARE THERE: {error}"),
    }
    let whole = unnoted.is_empty() && snapshots.is_ok() && swept.iter().all(|swept| swept.trouble.is_none());
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(swept: &Swept) -> String {
    let Swept { rule, trouble, .. } = swept;
    let trouble = trouble.as_ref().map(|error| format!("; NOT ALL WAS SEEN: {error}")).unwrap_or_default();
    let (kept, total) = (in_words(rule.keep), swept.total());
    format!("{:17} {kept:>9} {total:>10}  {}{trouble}", rule.name, rule.meaning)
}

fn in_words(time: TimeDelta) -> String {
    match time.num_hours() {
        hours @ ..=72 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    }
}
