//! `onhand sync`: listings told once more what they are to show, rehearsed first if wanted, and what was shown read back.

use std::{collections::BTreeSet, process::ExitCode, time::Duration};

use onhand_domain::values::{ConnectionId, Sku, TenantId};
use onhand_infrastructure::{
    ledger::Context,
    operations::{Caller, pushes::Rehearsed},
    outbox::{given_up_of, open_up_to, paused_up_to},
    queries::{
        Window,
        listings::ListingFilter,
        reconciliations::{self, ReconciliationView},
    },
};
use serde_json::Value;
use uuid::Uuid;

use super::{bars, session::Session};

/// How often progress is looked at.
const EVERY: Duration = Duration::from_millis(200);

/// What can be done.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Has listings shown what is true, and waits until they are, but for those of accounts that are paused; a server with the
    /// role `relay` does the work.
    Push {
        #[command(flatten)]
        which: Which,
        /// Of these SKUs.
        #[arg(long = "sku", value_name = "SKU")]
        skus: Vec<String>,
        /// Show the figures and the very calls, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Reads back what platforms show, and puts right what has strayed.
    Reconcile {
        #[command(flatten)]
        which: Which,
        /// Only tell what has strayed.
        #[arg(long)]
        preview: bool,
    },
}

/// Which listings; all of them, where nothing is named.
#[derive(clap::Args)]
pub(super) struct Which {
    /// Whose ledger.
    #[arg(long)]
    tenant: String,
    /// On these connections.
    #[arg(long = "connection", value_name = "ID")]
    connections: Vec<Uuid>,
}

impl Which {
    fn filter(&self, skus: &[String]) -> anyhow::Result<ListingFilter> {
        let skus = skus.iter().map(|sku| Sku::new(sku)).collect::<Result<_, _>>()?;
        let connections = self.connections.iter().copied().map(ConnectionId).collect();
        Ok(ListingFilter { connections, products: vec![], skus })
    }
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    Session::with(async |session| match &command {
        Command::Push { which, skus, dry_run: true } => rehearse(session, which, skus).await,
        Command::Push { which, skus, dry_run: false } => push(session, which, skus).await,
        Command::Reconcile { which, preview } => reconcile(session, which, *preview).await,
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn tenant(session: &Session, which: &Which) -> anyhow::Result<TenantId> {
    let found = session.tenants(Some(&which.tenant)).await?;
    found.first().map(|(id, _)| *id).ok_or_else(|| anyhow::anyhow!("there is no tenant {:?}", which.tenant))
}

async fn rehearse(session: &Session, which: &Which, skus: &[String]) -> anyhow::Result<()> {
    let caller = Caller::new(Context::internal(tenant(session, which).await?, "cli"));
    for Rehearsed { connection_id, figures, products, calls, problem } in
        session.onhand.operations.rehearse(&caller, &which.filter(skus)?, None).await?
    {
        let (told, of) = (figures.len(), products.len());
        println!("connection {connection_id}: {told} figures and {of} products in {} calls", calls.len());
        problem.iter().for_each(|problem| println!("  {problem}"));
        for figure in figures {
            let problem = figure.problem.map(|problem| format!("  ({problem})")).unwrap_or_default();
            println!("  {} {}: {} -> {}{problem}", figure.sku, figure.kind, figure.shown, figure.owed);
        }
        for product in products {
            let problem = product.problem.map(|problem| format!("  ({problem})")).unwrap_or_default();
            println!("  {} {:?}{problem}", product.what, product.title);
        }
        for call in calls {
            let body = call.body.map(|body| body.to_string()).unwrap_or_default();
            println!("  {} {} {body}", call.method, call.path);
        }
    }
    Ok(())
}

async fn push(session: &Session, which: &Which, skus: &[String]) -> anyhow::Result<()> {
    let tenant = tenant(session, which).await?;
    let caller = Caller::new(Context::internal(tenant, "cli"));
    let since = session.onhand.ledger().clock().now();
    let receipt = session.onhand.operations.sync_listings(caller, which.filter(skus)?).await?;
    let answer: Value = serde_json::from_str(receipt.answer.as_str())?;
    let connections: Vec<Uuid> = serde_json::from_value(answer["connections"].clone())?;
    let bar = bars::bar(format!("{} listings", answer["count"]));
    let pool = session.onhand.pool();
    let open = async || open_up_to(pool, (tenant, None), receipt.position, &connections).await;
    let of = open().await?;
    let paused = loop {
        let left = open().await?;
        bars::set(&bar, of - left, of);
        // Nobody knows when these are resumed.
        let paused = paused_up_to(pool, tenant, receipt.position, &connections).await?;
        if left <= paused.iter().map(|(_, waiting)| *waiting).sum::<i64>() {
            break paused;
        }
        tokio::time::sleep(EVERY).await;
    };
    bar.finish_and_clear();
    for (connection, waiting) in &paused {
        println!("connection {connection} is paused: {waiting} commands wait until it is resumed");
    }
    // What is open no more was told, or was given up.
    let (given_up, why) = given_up_of(pool, tenant, (receipt.position, since), &connections).await?;
    anyhow::ensure!(
        given_up == 0,
        "{given_up} commands were given up, one of them because: {}; GET /api/outbox?status=dead tells of each, and \
         once the cause is mended POST /api/sync/replay takes them up again",
        why.unwrap_or_default()
    );
    anyhow::ensure!(
        paused.is_empty(),
        "not all was told, for accounts are paused; POST /api/connections/{{id}}/resume lets one go on"
    );
    println!(
        "{} listings and {} products were told; {of} commands were owed.",
        answer["count"], answer["products"]
    );
    Ok(())
}

async fn reconcile(session: &Session, which: &Which, preview: bool) -> anyhow::Result<()> {
    let tenant = tenant(session, which).await?;
    let operations = &session.onhand.operations;
    // One that is named twice is read back once: a second run of it would be refused.
    let connections: BTreeSet<Uuid> = which.connections.iter().copied().collect();
    let mut begun = BTreeSet::new();
    for connection in connections {
        let caller = Caller::new(Context::internal(tenant, "cli"));
        begun.insert(operations.begin_reconciliation(caller, ConnectionId(connection), preview).await?);
    }
    anyhow::ensure!(!begun.is_empty(), "name what to read back: --connection ID, once or more often");
    let bar = bars::bar("reading back".to_owned());
    loop {
        // What is begun is done here, too; a server with the role `relay` helps.
        let busy = operations.reconcile().await?;
        let runs = of(session, tenant, &begun).await?;
        bar.set_position(runs.iter().map(|run| run.checked.unsigned_abs()).sum());
        if runs.iter().all(|run| run.status != "running") {
            bar.finish_and_clear();
            runs.iter().for_each(tell);
            return Ok(());
        }
        if !busy {
            tokio::time::sleep(EVERY).await;
        }
    }
}

async fn of(
    session: &Session,
    tenant: TenantId,
    begun: &BTreeSet<Uuid>,
) -> anyhow::Result<Vec<ReconciliationView>> {
    let window = Window { tenant, brand: None, cursor: None, limit: 200 };
    let page = reconciliations::list(session.onhand.pool(), &window, None).await?;
    Ok(page.data.into_iter().filter(|run| begun.contains(&run.id)).collect())
}

fn tell(run: &ReconciliationView) {
    println!(
        "connection {}: {}; {} listings, {} figures astray, {} put right, {} not there, {} not told{}",
        run.connection_id,
        run.status,
        run.checked,
        run.drifted,
        run.repaired,
        run.missing,
        run.unknown,
        run.last_error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default()
    );
}
