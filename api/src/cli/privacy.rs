//! `onhand privacy`: what is held about a person, shown, and destroyed so that nobody can read it any more.

use std::process::ExitCode;

use anyhow::ensure;
use onhand_domain::values::{ConnectionId, ExternalId, PersonId, TenantId};
use onhand_infrastructure::{
    ledger::Context,
    operations::{
        Caller,
        privacy::{Held, Whom},
    },
};

use super::session::Session;

/// What can be done.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Shows what is held: orders with what is known of their buyer, and the webhooks that tell of the person.
    Show(Who),
    /// Destroys it: at once the keys to what history says, those of many page by page, then the bytes of webhooks. Nothing
    /// brings it back.
    Forget {
        #[command(flatten)]
        who: Who,
        /// Everybody who has ever ordered on the connection, because the shop has left.
        #[arg(long, requires = "connection", conflicts_with_all = ["person", "email", "order"])]
        everybody: bool,
    },
}

/// Who is meant.
#[derive(clap::Args)]
pub(super) struct Who {
    /// Whose ledger.
    #[arg(long)]
    tenant: String,
    /// Whoever history calls so.
    #[arg(long, value_name = "HEX", conflicts_with_all = ["email", "order", "connection"])]
    person: Option<PersonId>,
    /// Whoever has ordered under this address.
    #[arg(long, requires = "connection", conflicts_with = "order")]
    email: Option<String>,
    /// Whoever has placed this order, and the webhooks it came with; its id as the platform has it.
    #[arg(long, value_name = "ID", requires = "connection", value_parser = ExternalId::new)]
    order: Option<ExternalId>,
    /// Where it was ordered.
    #[arg(long, value_name = "ID")]
    connection: Option<ConnectionId>,
}

impl Who {
    fn whom(&self) -> anyhow::Result<Whom> {
        match (&self.person, self.connection, &self.email, &self.order) {
            (Some(person), ..) => Ok(Whom::Person(person.clone())),
            (_, Some(connection), Some(email), _) => Ok(Whom::Address { connection, email: email.clone() }),
            (_, Some(connection), _, Some(order)) => Ok(Whom::Order { connection, external: order.clone() }),
            _ => anyhow::bail!("say who: --person HEX, or --connection ID with --email or --order"),
        }
    }
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    Session::with(async |session| match &command {
        Command::Show(who) => show(session, who).await,
        Command::Forget { who, everybody: false } => forget(session, who).await,
        Command::Forget { who, everybody: true } => forget_everybody(session, who).await,
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn caller(session: &Session, who: &Who) -> anyhow::Result<Caller> {
    let found: Vec<(TenantId, String)> = session.tenants(Some(&who.tenant)).await?;
    ensure!(found.len() == 1, "there is no tenant {:?}", who.tenant);
    Ok(Caller::new(Context::internal(found[0].0, "cli")))
}

async fn show(session: &Session, who: &Who) -> anyhow::Result<()> {
    let held = session.onhand.operations.held(&caller(session, who).await?, &who.whom()?).await?;
    let Held { persons, forgotten_at, orders, bodies } = held;
    for person in &persons {
        println!("person {person}");
    }
    if let Some(at) = forgotten_at {
        println!("last forgotten at {}", at.to_rfc3339());
    }
    println!("{} orders can be read, {} webhooks are kept", orders.len(), bodies.len());
    for order in orders {
        println!(
            "  order {} of {} on {}, entry {} of order/{}: {}",
            order.external_id,
            order.placed_at.to_rfc3339(),
            order.connection_id,
            order.position,
            order.order_id,
            [order.name, order.email, order.buyer_id.map(|id| format!("customer {id}"))]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(", "),
        );
    }
    for body in bodies {
        println!("  webhook {} of {}", body.delivery_id, body.received_at.to_rfc3339());
    }
    Ok(())
}

async fn forget(session: &Session, who: &Who) -> anyhow::Result<()> {
    let caller = caller(session, who).await?;
    let receipt = session.onhand.operations.forget(caller, &who.whom()?).await?;
    let answer = receipt.answer.value();
    let known = answer["orders"] != 0;
    for person in answer["persons"].as_array().into_iter().flatten().filter_map(|person| person.as_str()) {
        if known {
            println!("person {person} is forgotten");
        } else {
            println!("person {person}: no order of theirs can be read; look whether that is who was meant");
        }
    }
    println!(
        "The buyer of {} orders cannot be read any more; entry {} says so. Webhooks that tell of them are looked for and \
         destroyed by a process with the role relay.",
        answer["orders"], receipt.position
    );
    Ok(())
}

async fn forget_everybody(session: &Session, who: &Who) -> anyhow::Result<()> {
    let Some(connection) = who.connection else { anyhow::bail!("say where: --connection ID") };
    let caller = caller(session, who).await?;
    let receipt = session.onhand.operations.forget_everybody(caller, connection).await?;
    println!(
        "Entry {} says that everybody is forgotten who has ordered there. The keys to the buyers of {} orders, and all \
         webhooks of the connection, are destroyed by a process with the role relay.",
        receipt.position,
        receipt.answer.value()["orders"]
    );
    Ok(())
}
