//! `onhand key`: access given and withdrawn where there is no key yet to ask with.

use std::process::ExitCode;

use chrono::SecondsFormat;
use onhand_domain::{key::Role, values::KeyId};
use onhand_infrastructure::{
    ledger::Context,
    operations::Caller,
    queries::{
        PAGE_MAX, Window,
        api_keys::{self, KeyView},
    },
};

use super::{
    audit::document::shown,
    program,
    session::{Aim, Session},
};

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
        #[arg(long, value_parser = said)]
        brand: Option<String>,
        /// Whom or what it is for.
        #[arg(long, default_value = "command line", value_parser = said)]
        name: String,
    },
    /// Lists the keys of a tenant, the oldest first, and says which were withdrawn.
    List {
        /// Whose ledger the keys open.
        #[arg(long)]
        tenant: String,
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
    let aim = if matches!(command, Command::List { .. }) { Aim::Read } else { Aim::Write };
    Session::to(aim, async |session| match command {
        Command::Create { tenant, role, brand, name } => create(session, &tenant, role, brand, name).await,
        Command::List { tenant } => list(session, &tenant).await,
        Command::Revoke { tenant, id } => revoke(session, &tenant, id).await,
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

/// Looked at before anything is made: a key that is refused leaves no tenant behind.
fn said(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("it must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

async fn create(
    session: &Session,
    tenant: &str,
    role: Role,
    brand: Option<String>,
    name: String,
) -> anyhow::Result<()> {
    let (id, is_new) = session.tenant(tenant).await?;
    if is_new {
        eprintln!("There was no tenant {tenant}, so a new and empty ledger was begun for it.");
    }
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

async fn list(session: &Session, tenant: &str) -> anyhow::Result<()> {
    for (tenant, _) in session.tenants(Some(tenant)).await? {
        let mut window = Window { tenant, brand: None, cursor: None, limit: PAGE_MAX };
        loop {
            let page = api_keys::list(session.onhand.pool(), &window).await?;
            page.data.iter().for_each(print);
            window.cursor = page.next_cursor;
            if window.cursor.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// One line: the id, since when, what it may do, of which brand, whom it is for.
fn print(key: &KeyView) {
    let KeyView { id, name, role, brand, created_at, revoked } = key;
    let since = created_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default();
    let brand = brand.as_deref().map_or_else(|| "all brands".to_owned(), shown);
    let revoked = if *revoked { "  (withdrawn)" } else { "" };
    println!("{id}  {since}  {role:<6}  {brand}  {}{revoked}", shown(name));
}

async fn revoke(session: &Session, tenant: &str, key: KeyId) -> anyhow::Result<()> {
    for (id, name) in session.tenants(Some(tenant)).await? {
        session.onhand.operations.revoke_key(Caller::new(Context::internal(id, "cli")), key).await?;
        eprintln!("The key {key} of tenant {name} is withdrawn.");
    }
    Ok(())
}
