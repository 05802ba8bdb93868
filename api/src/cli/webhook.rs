//! `onhand webhook`: deliveries made up and sent, as a platform would send them.

use std::process::ExitCode;

use anyhow::{Context, anyhow, ensure};
use chrono::{DateTime, Utc};
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::ConnectionId,
};
use onhand_infrastructure::{config::Config, platforms::outbound::http_client};
use uuid::Uuid;

use super::session::Session;
use crate::made;

/// What can be done with webhooks.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Makes up a delivery, signs it, and sends it to a running server.
    Send(Send),
}

/// What is sent.
#[derive(clap::Args)]
pub(super) struct Send {
    /// Whose wire format: shopify, square, clover …
    platform: Platform,
    /// What about: `orders/create`; an unknown one is answered with those there are.
    topic: String,
    /// To which connection. Its secret is read from the database, unless `--secret` gives one.
    #[arg(long)]
    connection: Uuid,
    /// A SKU of yours to speak of.
    #[arg(long, default_value = "SAMPLE-42")]
    sku: String,
    /// Where the server answers; by default where `ONHAND_LISTEN` says.
    #[arg(long)]
    url: Option<String>,
    /// What to sign with.
    #[arg(long)]
    secret: Option<String>,
    /// Print the line that would send it, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Send(args) = command;
    let (details, secret, now) = match &args.secret {
        Some(secret) => (made::nobody(args.platform), secret.clone(), Utc::now()),
        None => signing(&args).await?,
    };
    ensure!(details.platform == args.platform, "the connection is one to {}", details.platform);
    let server = match &args.url {
        Some(url) => url.clone(),
        None => format!("http://{}", Config::from_env()?.listen),
    };
    let delivery = made::delivery(&made::Wanted {
        topic: &args.topic,
        server: &server,
        connection: args.connection,
        details: &details,
        secret: &secret,
        sku: &args.sku,
        now,
    });
    let delivery = delivery.map_err(|why| anyhow!(why))?;
    if args.dry_run {
        println!("{}", delivery.curl());
        return Ok(ExitCode::SUCCESS);
    }
    let mut request = http_client()?.post(&delivery.url).body(delivery.body);
    for (name, value) in delivery.headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.with_context(|| format!("{server} does not answer"))?;
    let status = answer.status();
    println!("{status} {}", answer.text().await?);
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What it is signed with, and for: the server's time is that of the database.
async fn signing(args: &Send) -> anyhow::Result<(ConnectionDetails, String, DateTime<Utc>)> {
    Session::reading(async |session| {
        let found = session.onhand.operations.signing(ConnectionId(args.connection)).await?;
        let (details, secret) = found
            .ok_or_else(|| anyhow!("there is no connection {} with a webhook secret", args.connection))?;
        Ok((details, secret, session.onhand.ledger().clock().now()))
    })
    .await
}
