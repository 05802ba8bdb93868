//! `onhand key`: access given and withdrawn where there is no key yet to ask with.

use std::process::ExitCode;

use onhand_domain::{key::Role, values::KeyId};
use onhand_infrastructure::{ledger::Context, operations::Caller};

use super::{program, session::Session};

/// What can be done with keys.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Makes a key, and the tenant if there is none of that name, and prints the key this once.
    Create {
        /// Whose ledger the key opens.
        #[arg(long)]
        tenant: String,
        /// What its holder may do: a viewer reads, an editor moves stock, an admin manages connections and keys.
        #[arg(long, value_name = "admin|editor|viewer")]
        role: Role,
        /// The only brand its holder may see.
        #[arg(long)]
        brand: Option<String>,
        /// Whom or what it is for.
        #[arg(long, default_value = "command line")]
        name: String,
    },
    /// Withdraws a key; within seconds no server accepts it any more.
    Revoke {
        /// Whose ledger the key opens.
        #[arg(long)]
        tenant: String,
        /// The id that was told when the key was made.
        id: KeyId,
    },
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    Session::with(async |session| match command {
        Command::Create { tenant, role, brand, name } => create(session, &tenant, role, brand, name).await,
        Command::Revoke { tenant, id } => revoke(session, &tenant, id).await,
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn create(
    session: &Session,
    tenant: &str,
    role: Role,
    brand: Option<String>,
    name: String,
) -> anyhow::Result<()> {
    let id = session.tenant(tenant).await?;
    let caller = Caller::new(Context::internal(id, "cli"));
    let (key_id, key, _) = session.onhand.operations.create_key(caller, name, role, brand).await?;
    println!("{}", key.reveal());
    eprintln!(
        "This is the {role} key {key_id} of tenant {tenant}. It is not kept and cannot be shown again."
    );
    eprintln!("Send it as `Authorization: Bearer <key>`; withdraw it with");
    eprintln!("  {} key revoke --tenant {tenant} {key_id}", program());
    Ok(())
}

async fn revoke(session: &Session, tenant: &str, key: KeyId) -> anyhow::Result<()> {
    for (id, name) in session.tenants(Some(tenant)).await? {
        session.onhand.operations.revoke_key(Caller::new(Context::internal(id, "cli")), key).await?;
        eprintln!("The key {key} of tenant {name} is withdrawn.");
    }
    Ok(())
}
