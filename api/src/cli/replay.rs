//! `onhand replay`: a stream told again, step by step, or how it differs between two moments.

use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::SecondsFormat;
use onhand_domain::{
    State, StreamId,
    values::{LocationCode, Sku, StockId, TenantId},
};
use onhand_infrastructure::{
    ledger::{Head, Moment, state_at, versions_at},
    queries::{
        PAGE_MAX, Window,
        difference::Difference,
        streams::{StepFilter, StepView, compare, is_known, steps},
    },
};
use sqlx::PgConnection;

use super::session::Session;

/// What is to be told again.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A stream: `stock/<variant>/<location>`, `product/<id>` and so on.
    #[arg(long, required_unless_present = "sku", conflicts_with = "sku")]
    stream: Option<StreamId>,
    /// Instead of a stream: the shelf of what this SKU names.
    #[arg(long)]
    sku: Option<Sku>,
    /// Where that shelf is.
    #[arg(long, default_value = "main", requires = "sku")]
    location: LocationCode,
    /// Whose; need not be said where there is one tenant only.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Begin after this position or time.
    #[arg(long, value_name = "MOMENT")]
    from: Option<Moment>,
    /// End with this position or time.
    #[arg(long, value_name = "MOMENT")]
    until: Option<Moment>,
    /// Only say how the stream differs between these two positions or times.
    #[arg(long, num_args = 2, value_names = ["MOMENT", "MOMENT"], conflicts_with_all = ["from", "until"])]
    diff: Option<Vec<Moment>>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    Session::reading(async |session| {
        let tenants = session.tenants(args.tenant.as_deref()).await?;
        let [(tenant, _)] = tenants.as_slice() else {
            bail!("there are {} tenants; say which with --tenant", tenants.len());
        };
        let tenant = *tenant;
        match args.diff.as_deref() {
            Some(&[from, to]) => tell_difference(session, tenant, &args, (from, to)).await,
            _ => tell_steps(session, tenant, &args).await,
        }
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn tell_steps(session: &Session, tenant: TenantId, args: &Args) -> anyhow::Result<()> {
    let pool = session.onhand.pool();
    let mut conn = pool.acquire().await?;
    let now = session.onhand.ledger().clock().now();
    let until = match args.until {
        Some(moment) => moment.position(&mut conn, tenant, now).await?,
        None => Head::read(&mut conn, tenant).await?.position,
    };
    let stream = stream(&mut conn, tenant, args, until).await?;
    if !is_known(&mut conn, tenant, &stream).await? {
        bail!(unknown(&stream));
    }
    let from = match args.from {
        Some(moment) => {
            let position = moment.position(&mut conn, tenant, now).await?;
            let found = versions_at(&mut conn, tenant, &[(stream.to_string(), position)]).await?;
            found.first().map(|(version, _)| version + 1)
        }
        None => None,
    };
    drop(conn);
    let filter = StepFilter { from, until: Some(until) };
    let mut window = Window { tenant, brand: None, cursor: None, limit: PAGE_MAX };
    let mut told = 0;
    loop {
        let page = steps(pool, &window, &stream, &filter).await?;
        told += page.data.len();
        page.data.iter().for_each(tell_step);
        match page.next_cursor {
            Some(next) => window.cursor = Some(next),
            None => break,
        }
    }
    let entries = if told == 1 { "entry" } else { "entries" };
    println!("{stream}: {told} {entries} up to position {until}");
    Ok(())
}

async fn tell_difference(
    session: &Session,
    tenant: TenantId,
    args: &Args,
    (from, to): (Moment, Moment),
) -> anyhow::Result<()> {
    let pool = session.onhand.pool();
    let mut conn = pool.acquire().await?;
    let now = session.onhand.ledger().clock().now();
    let from = from.position(&mut conn, tenant, now).await?;
    let to = to.position(&mut conn, tenant, now).await?;
    let stream = stream(&mut conn, tenant, args, from.max(to)).await?;
    drop(conn);
    let Some(compared) = compare(pool, tenant, &stream, (from, to)).await? else { bail!(unknown(&stream)) };
    let (before, after) = (compared.from, compared.to);
    println!(
        "{stream}: position {} (version {}) → position {} (version {})",
        before.position, before.version, after.position, after.version
    );
    if compared.changes.is_empty() {
        println!("          no difference");
    }
    compared.changes.iter().for_each(tell_change);
    Ok(())
}

fn unknown(stream: &StreamId) -> String {
    format!("there is no stream {stream}: nothing has ever happened to it")
}

/// The stream that is meant, by what SKUs named at a position.
async fn stream(
    conn: &mut PgConnection,
    tenant: TenantId,
    args: &Args,
    position: i64,
) -> anyhow::Result<StreamId> {
    if let Some(stream) = &args.stream {
        return Ok(stream.clone());
    }
    let sku = args.sku.clone().context("say which stream with --stream or --sku")?;
    let named = match state_at(conn, tenant, position, StreamId::Sku(sku.clone())).await?.state {
        State::Sku(claim) => claim.names,
        _ => None,
    };
    let (_, variant) =
        named.with_context(|| format!("the SKU {sku} names nothing at position {position}"))?;
    Ok(StreamId::Stock(StockId { variant, location: args.location.clone() }))
}

fn tell_step(step: &StepView) {
    let time = step.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true);
    println!("{:>8}  {time}  {}  {} ({})", step.position, step.action, step.actor, step.source);
    println!("          {}", step.data);
    step.changes.iter().for_each(tell_change);
}

fn tell_change(change: &Difference) {
    println!("          {}: {} → {}", change.path, change.before, change.after);
}
