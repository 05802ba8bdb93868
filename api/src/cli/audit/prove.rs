//! `onhand audit checkpoint`, `prove` and `key`: what an auditor takes away.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::ensure;
use onhand_domain::values::TenantId;
use onhand_infrastructure::{
    ledger::{Context, Head, proof},
    operations::Caller,
    queries::{signed_checkpoints, signing_keys},
};

use super::document::{self, shown};
use crate::cli::{failed, session::Session};

/// Which entry to prove, and to what it is to lead.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Whose history.
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// Where the entry stands.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    position: i64,
    /// A signed checkpoint to prove it for; else the newest one that speaks of the entry, or one that is signed now.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Where to write the proof; else to stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Signs for ledgers as they stand; for the others, too, if one cannot be signed for.
pub(super) async fn sign(
    session: &Session,
    tenant: Option<&str>,
    out: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let tenants = session.tenants(tenant).await?;
    let one_file = document::file_of(out).is_none() || tenants.len() == 1;
    ensure!(one_file, "there are {} tenants and one file; say which with --tenant", tenants.len());
    let mut code = ExitCode::SUCCESS;
    for (tenant, name) in tenants {
        match signed_now(session, tenant).await {
            Ok(signed) => document::write(&signed, out)?,
            Err(error) => code = failed(&error.context(format!("{name} could not be signed for"))),
        }
    }
    Ok(code)
}

/// Proves one entry.
pub(super) async fn prove(session: &Session, args: &Args) -> anyhow::Result<()> {
    let pool = session.onhand.pool();
    for (tenant, _) in session.tenants(Some(&args.tenant)).await? {
        let kept = match &args.checkpoint {
            Some(file) => Some(document::checkpoint(file, &[])?),
            None => signed_checkpoints::newest(pool, tenant, Some(args.position)).await?,
        };
        let checkpoint = match kept {
            Some(kept) => kept,
            None => {
                let head = Head::read(&mut *pool.acquire().await?, tenant).await?.position;
                ensure!(args.position <= head, "the ledger ends at position {head}");
                signed_now(session, tenant).await?
            }
        };
        let proof = proof::prove(pool, tenant, args.position, checkpoint).await?;
        document::write(&proof, args.out.as_deref())?;
    }
    Ok(())
}

/// Tells public keys.
pub(super) async fn tell_keys(session: &Session, tenant: Option<&str>) -> anyhow::Result<()> {
    for (tenant, name) in session.tenants(tenant).await? {
        match signing_keys::public_key(session.onhand.pool(), tenant).await? {
            Some(key) => println!("{}  {} {}", hex::encode(&key), proof::key_name(&key), shown(&name)),
            None => {
                eprintln!("{} has no key yet: the first `onhand audit checkpoint` makes it.", shown(&name))
            }
        }
    }
    Ok(())
}

async fn signed_now(session: &Session, tenant: TenantId) -> anyhow::Result<proof::SignedCheckpoint> {
    let caller = Caller::new(Context::internal(tenant, "cli"));
    Ok(session.onhand.operations.sign_checkpoint(caller).await?)
}
