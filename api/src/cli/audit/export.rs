//! `onhand audit export`: the log, or a part of it, as a file for others to keep.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use onhand_infrastructure::{ledger::Context, operations::Caller, queries::audit_log::AuditFilter};

use super::document;
use crate::{
    cli::{bars, out::Stdout, session::Session},
    export::{Exporting, Format},
};

/// What `audit export` can be told.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Whose ledger.
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// How entries are written.
    #[arg(long, value_enum, default_value = "ndjson")]
    format: Format,
    /// Where to, instead of stdout. A file of this name is whole.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

/// Which entries; all of them, where nothing is said.
#[derive(clap::Args)]
struct Which {
    /// From this time or position on.
    #[arg(long, value_name = "TIME|POSITION")]
    since: Option<String>,
    /// Up to and with this time or position.
    #[arg(long, value_name = "TIME|POSITION")]
    until: Option<String>,
    /// Of one stream.
    #[arg(long)]
    stream: Option<String>,
    /// Of one kind of stream: stock, product, connection and so on.
    #[arg(long, value_name = "KIND")]
    entity: Option<String>,
    /// Of what one SKU names: its shelves, its product, its claim.
    #[arg(long)]
    sku: Option<String>,
    /// Of one kind of event: stock.adjusted.
    #[arg(long)]
    action: Option<String>,
    /// By one actor: `key:<id>`, `oidc:<subject>`, cli, relay.
    #[arg(long)]
    actor: Option<String>,
    /// Through one door: rest, webhook, `webhook/shopify`.
    #[arg(long)]
    source: Option<String>,
    /// From one address.
    #[arg(long)]
    address: Option<String>,
    /// What followed from one request.
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// What was done to the system and its settings, and nothing else.
    #[arg(long)]
    administrative: bool,
    /// With old and new values.
    #[arg(long)]
    changes: bool,
}

impl From<Which> for AuditFilter {
    fn from(which: Which) -> Self {
        let Which {
            since, until, stream, entity, sku, action, actor, source, address, correlation_id, ..
        } = which;
        Self {
            stream,
            action,
            actor,
            correlation_id,
            source,
            address,
            entity,
            sku,
            administrative: which.administrative.then_some(true),
            since,
            until,
            changes: which.changes,
        }
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { tenant, format, out, which } = args;
    Session::with(async |session| {
        let tenants = session.tenants(Some(&tenant)).await?;
        let (tenant, name) = tenants.first().context("there is no such tenant")?;
        let caller = Caller::new(Context::internal(*tenant, "cli"));
        let mut exporting = Exporting::begin(&session.onhand, caller, which.into(), format).await?;
        match document::file_of(out.as_deref()) {
            None => write(&mut exporting, name, &mut Stdout).await?,
            Some(path) => into_file(&mut exporting, name, path).await?,
        }
        eprintln!("This is the log of {name} up to position {}.", exporting.progress().1);
        Ok(())
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

/// What is broken off half-way has another name.
async fn into_file(exporting: &mut Exporting, name: &str, path: &Path) -> anyhow::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let told = || format!("{} cannot be written", unfinished.display());
    // Left by somebody who was broken off, and perhaps open to others.
    let _ = fs::remove_file(&unfinished);
    let mut options = File::options();
    options.write(true).create_new(true);
    // It holds what history says, which is nobody else's to read.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished).with_context(told)?;
    write(exporting, name, &mut file).await.with_context(told)?;
    file.sync_all().with_context(told)?;
    fs::rename(&unfinished, path).with_context(|| format!("{} cannot be written", path.display()))
}

async fn write(exporting: &mut Exporting, name: &str, out: &mut impl Write) -> anyhow::Result<()> {
    let bar = bars::bar(name.to_owned());
    while let Some(text) = exporting.next().await? {
        out.write_all(text.as_bytes())?;
        let (at, of) = exporting.progress();
        bars::set(&bar, at, of);
    }
    bar.finish_and_clear();
    Ok(out.flush()?)
}
