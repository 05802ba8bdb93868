//! `onhand serve`: a server from its first line of output to its orderly end.

use std::{
    collections::BTreeSet,
    io::{Write, stdout},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use onhand_infrastructure::queries::tenants;
use tokio::net::TcpListener;

use super::{program, session::Session, signals::told_to_stop};
use crate::{
    App,
    serve::{Duty, Running, all_duties},
};

/// How often the samples of histograms are folded, so that they do not pile up unread.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// What `serve` can be told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What this process does, of api, projector and relay; all of it by default.
    #[arg(long, value_delimiter = ',', value_name = "ROLE,…")]
    roles: Vec<Duty>,
    /// Where HTTP is answered, instead of where `ONHAND_LISTEN` says; port 0 takes any free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where platforms reach this server; a connection that is enabled subscribes to its webhooks below it.
    #[arg(long, value_name = "URL", env = "ONHAND_PUBLIC_URL")]
    public_url: Option<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let duties = if args.roles.is_empty() { all_duties() } else { BTreeSet::from_iter(args.roles) };
    let session = Session::open().await?;
    let served = serve(&session, &duties, args.listen, args.public_url).await;
    session.close().await?;
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(
    session: &Session,
    duties: &BTreeSet<Duty>,
    listen: Option<SocketAddr>,
    public_url: Option<String>,
) -> anyhow::Result<()> {
    let answers = duties.contains(&Duty::Api);
    let wanted = listen.unwrap_or(session.config.listen);
    // A process without HTTP binds to nothing that another one could want.
    let address = if answers { wanted } else { SocketAddr::from(([127, 0, 0, 1], 0)) };
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let mut app = App::new(session.onhand.clone(), public_url, Some(record_metrics()?));
    if session.config.development {
        tracing::warn!("ONHAND_ENVIRONMENT=development: /test/webhook is open to everybody");
        app = app.in_development();
    }
    if session.config.skip_signatures {
        tracing::warn!("SKIP_WEBHOOK_SIGNATURE_VALIDATION: anybody may send webhooks, and they are believed");
    }
    let stop = told_to_stop();
    let running = Running::start(app, listener, duties)?;
    // A server goes on where nobody reads this.
    let _ = if answers {
        writeln!(stdout(), "listening on {}", running.url())
    } else {
        writeln!(stdout(), "working without HTTP")
    };
    tell_newcomers(session).await?;
    stop.await;
    tracing::info!("stopping; a second signal ends the process at once");
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}

async fn tell_newcomers(session: &Session) -> anyhow::Result<()> {
    if tenants::all(session.onhand.pool()).await?.is_empty() {
        eprintln!(
            "nobody can ask anything yet; in another terminal, make a tenant and its first key:\n  \
             {} key create --tenant mine --role admin",
            program()
        );
    }
    Ok(())
}

/// Installs the recorder that `/metrics` shows, and keeps it tidy.
pub(super) fn record_metrics() -> anyhow::Result<PrometheusHandle> {
    let commands = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
    let seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
    let handle = PrometheusBuilder::new()
        .set_buckets(&seconds)?
        .set_buckets_for_metric(Matcher::Suffix("_commands".into()), &commands)?
        .install_recorder()?;
    let folded = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            folded.run_upkeep();
        }
    });
    Ok(handle)
}
