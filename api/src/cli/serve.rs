//! `onhand serve` and `onhand relay`: a server from its first line of output to its orderly end.

use std::{
    collections::BTreeSet,
    io::{Write, stdout},
    net::SocketAddr,
    process::ExitCode,
};

use anyhow::{Context, ensure};
use onhand_infrastructure::{config, queries::tenants};
use tokio::net::TcpListener;

use super::{
    metrics::record_metrics,
    program,
    session::{Aim, Session},
    signals::told_to_stop,
};
use crate::{
    App,
    serve::{Duty, Running, all_duties},
};

/// What `serve` can be told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What this process does, of api, projector and relay; all of it by default.
    #[arg(long, value_delimiter = ',', value_name = "ROLE,…")]
    roles: Vec<Duty>,
    #[command(flatten)]
    place: Place,
}

/// Where a server is reached, whatever it does.
#[derive(clap::Args)]
pub(super) struct Place {
    /// Where HTTP is answered, instead of where `ONHAND_LISTEN` says; port 0 takes any free one. Without the role api only
    /// `/livez`, `/readyz` and `/metrics` are, and nothing if neither says where.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where platforms reach this server, instead of where `ONHAND_PUBLIC_URL` says; a connection that is enabled subscribes to
    /// its webhooks below it.
    #[arg(long, value_name = "URL", value_parser = config::public_url)]
    public_url: Option<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let duties = if args.roles.is_empty() { all_duties() } else { BTreeSet::from_iter(args.roles) };
    work(duties, args.place).await
}

/// The same with the role `relay` and no other.
pub(super) async fn relay(place: Place) -> anyhow::Result<ExitCode> {
    work(BTreeSet::from([Duty::Relay]), place).await
}

async fn work(mut duties: BTreeSet<Duty>, place: Place) -> anyhow::Result<ExitCode> {
    let session = Session::open(Aim::Write).await?;
    let public_url = place.public_url.or_else(|| session.config.public_url.clone());
    let given = place.listen.or(session.config.listen_given);
    if given.is_some() {
        duties.insert(Duty::Health);
    }
    let served = serve(&session, &duties, given.unwrap_or(session.config.listen), public_url).await;
    let closed = session.close().await;
    served.and(closed).map(|()| ExitCode::SUCCESS)
}

async fn serve(
    session: &Session,
    duties: &BTreeSet<Duty>,
    listen: SocketAddr,
    public_url: Option<String>,
) -> anyhow::Result<()> {
    let answers = duties.contains(&Duty::Api) || duties.contains(&Duty::Health);
    // A process without HTTP binds to nothing that another one could want.
    let address = if answers { listen } else { SocketAddr::from(([127, 0, 0, 1], 0)) };
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let mut app = App::new(session.onhand.clone(), public_url, Some(record_metrics()?));
    if session.config.development {
        tracing::warn!("ONHAND_ENVIRONMENT=development: /test/webhook is open to everybody");
        app = app.in_development();
    }
    if session.config.skip_signatures {
        tracing::warn!("SKIP_WEBHOOK_SIGNATURE_VALIDATION: anybody may send webhooks, and they are believed");
    }
    let running = Running::start(app, listener, duties)?;
    // A server goes on where nobody reads this.
    let _ = if answers {
        writeln!(stdout(), "listening on {}", running.url())
    } else {
        writeln!(stdout(), "working without HTTP")
    };
    // They take as long as the database does, and signals are heard meanwhile.
    let (clock, pool) = (session.onhand.ledger().clock(), session.onhand.pool());
    let looks = async { tokio::join!(look_around(session), clock.keep_by(pool)).1 };
    let goes_on = tokio::select! {
        () = told_to_stop() => true,
        () = session.server.gone() => false,
        never = looks => match never {},
    };
    if goes_on {
        tracing::info!("stopping; a second signal ends the process at once");
    } else {
        tracing::error!("the local Postgres has ended, and so does this process; its next start starts both");
    }
    running.stop().await;
    tracing::info!("stopped");
    ensure!(goes_on, "the local Postgres has ended; the end of postgres.log in the data folder says why");
    Ok(())
}

/// Looks whether there is something to tell at the start. That only tells, so a look that fails ends nothing.
async fn look_around(session: &Session) {
    for looked in [tell_newcomers(session).await, tell_of_missing_keys(session).await] {
        if let Err(error) = looked {
            tracing::warn!(%error, "what there is to tell at the start could not be looked at");
        }
    }
}

/// With another key file, or without a key of the ring, nothing goes that takes a credential; all else does, and new
/// credentials can be given.
async fn tell_of_missing_keys(session: &Session) -> anyhow::Result<()> {
    for (key, error) in session.onhand.operations.unusable_keys().await? {
        tracing::error!(
            key,
            %error,
            "credentials cannot be opened: bring back the master key they were sealed with, or give them again; until then \
             their accounts are not told, and their webhooks are answered 503"
        );
    }
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
