//! `onhand health`: for those who start and restart servers by an exit code.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use onhand_infrastructure::{
    config::Config,
    platforms::outbound::{http_client, http_client_builder},
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(5);

/// What `health` can be told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the server answers; by default where `ONHAND_LISTEN` says.
    #[arg(long)]
    url: Option<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (url, http) = match args.url {
        Some(url) => (url, http_client()?),
        // Whatever proxy stands in the environment, it does not lead to this machine.
        None => {
            let url = format!("http://{}", within_reach(Config::from_env()?.listen));
            (url, http_client_builder().no_proxy().build()?)
        }
    };
    let ready = format!("{}/readyz", url.trim_end_matches('/'));
    let response = http.get(&ready).timeout(PATIENCE).send().await;
    let response = response.with_context(|| format!("{url} does not answer"))?;
    let status = response.status();
    if !status.is_success() {
        let problem = response.json::<Value>().await.unwrap_or_default();
        let why = problem["detail"].as_str().map(|detail| format!(": {detail}")).unwrap_or_default();
        bail!("{url} answers, but is not ready: {status}{why}");
    }
    println!("{url} is ready");
    Ok(ExitCode::SUCCESS)
}

/// Where a server is asked that listens on all of the machine's addresses: what lies between here and there, such as a proxy, knows
/// the machine by its own.
fn within_reach(listen: SocketAddr) -> SocketAddr {
    let own: IpAddr = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        given => given,
    };
    SocketAddr::new(own, listen.port())
}
