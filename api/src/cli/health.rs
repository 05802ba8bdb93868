//! `onhand health`: for those who start and restart servers by an exit code.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use onhand_infrastructure::{config::Config, platforms::outbound::http_client};

const PATIENCE: Duration = Duration::from_secs(5);

/// What `health` can be told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the server answers; by default where `ONHAND_LISTEN` says.
    #[arg(long)]
    url: Option<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let url = match args.url {
        Some(url) => url,
        None => format!("http://{}", Config::from_env()?.listen),
    };
    let ready = format!("{}/readyz", url.trim_end_matches('/'));
    let response = http_client()?.get(&ready).timeout(PATIENCE).send().await;
    let response = response.with_context(|| format!("{url} does not answer"))?;
    let status = response.status();
    ensure!(status.is_success(), "{url} answers, but is not ready: {status}");
    println!("{url} is ready");
    Ok(ExitCode::SUCCESS)
}
