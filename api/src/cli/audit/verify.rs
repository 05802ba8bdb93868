//! `onhand audit verify`: histories walked from end to end, and held against what was signed for them.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use onhand_infrastructure::{
    ledger::{
        LedgerError,
        proof::{SignedCheckpoint, Verdict, Verification},
    },
    queries::{signing_keys, tenants},
};
use serde::Serialize;

use super::{document, report};
use crate::cli::{bars, session::Session};

/// How far to look, and at what.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("checkpoints").multiple(true)))]
pub(in crate::cli) struct Args {
    /// Of one tenant only.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// A signed checkpoint that was kept elsewhere: history up to there must be the one it was signed for.
    #[arg(long, value_name = "FILE", group = "checkpoints")]
    against: Vec<PathBuf>,
    /// A signed checkpoint up to which history is known to hold: the walk begins there. Of what comes before, only the
    /// stored hashes are looked at.
    #[arg(long, value_name = "FILE", group = "checkpoints")]
    from: Option<PathBuf>,
    /// A public key that checkpoints must be signed with, noted elsewhere; with several, one of them.
    #[arg(long, value_name = "HEX", requires = "checkpoints", value_parser = document::public_key)]
    key: Vec<String>,
    /// One line of JSON a tenant.
    #[arg(long)]
    json: bool,
    /// Also writes a report that a person can read, in Markdown.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// What the verification of one ledger has come to.
#[derive(Debug, Serialize)]
pub(super) struct Verified {
    pub(super) tenant: TenantId,
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    /// Whether there is a tenant for it.
    #[serde(skip)]
    pub(super) has_tenant: bool,
    /// What else is worth a look, and is no matter of its entries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
    pub(super) checkpoints: Vec<Used>,
    pub(super) begun_at: DateTime<Utc>,
    pub(super) seconds: f64,
}

/// Whether it was walked at all.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    /// It was.
    Walked(Verdict),
    /// Something stood in the way; other ledgers have nothing to do with that.
    Unknown(Obstacle),
}

/// What stood in the way of a verification.
#[derive(Debug, Serialize)]
#[serde(tag = "verdict", rename = "unknown")]
pub(super) struct Obstacle {
    pub(super) why: String,
}

/// A checkpoint that a ledger was held against.
#[derive(Debug, Serialize)]
pub(super) struct Used {
    pub(super) position: i64,
    pub(super) signed_at: String,
    pub(super) public_key: String,
    /// How it is known that the signature is the right one.
    pub(super) trust: Trust,
}

/// What speaks for a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trust {
    /// It was named by whoever verifies.
    Named,
    /// It is the one this database has for the ledger. Whoever rewrites history can change that as well.
    Database,
    /// Nothing but the document itself.
    Document,
}

impl Trust {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Named => "by the key that was named",
            Self::Database => "by the key in this database; name one that was noted elsewhere with --key",
            Self::Document => "by a key that only the file itself speaks for; name the right one with --key",
        }
    }
}

impl Verified {
    /// Whether nothing about it needs anybody's attention.
    pub(super) fn holds(&self) -> bool {
        self.has_tenant
            && matches!(self.outcome, Outcome::Walked(Verdict::Intact { tree_differed: None, .. }))
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let read = |file: &PathBuf| document::checkpoint(file, &args.key);
    let against = args.against.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let from = args.from.as_ref().map(read).transpose()?;
    let all = Session::reading(async |session| {
        let ledgers = ledgers(session, args.tenant.as_deref()).await?;
        for checkpoint in against.iter().chain(&from) {
            let (tenant, name) = (&checkpoint.tenant, &checkpoint.tenant_name);
            let missing = match &args.tenant {
                Some(_) => "which is not looked at here",
                None => "which is GONE: this database has nothing of it, or it is another database",
            };
            ensure!(
                ledgers.iter().any(|(id, _)| checkpoint.is_of(*id)),
                "the checkpoint of {name:?} at position {} is of ledger {tenant}, {missing}",
                checkpoint.position,
            );
        }
        if ledgers.is_empty() {
            eprintln!("There is no tenant yet, so there is no history to verify.");
        }
        let mut all = Vec::new();
        for (tenant, name) in ledgers {
            let of = |checkpoint: &&SignedCheckpoint| checkpoint.is_of(tenant);
            let against: Vec<SignedCheckpoint> = against.iter().filter(of).cloned().collect();
            let from = from.as_ref().filter(of);
            let verified = verify(session, (tenant, name), from, &against, !args.key.is_empty()).await;
            if args.json {
                println!("{}", serde_json::to_string(&verified)?);
            } else {
                println!("{}", report::lines(&verified));
            }
            all.push(verified);
        }
        Ok(all)
    })
    .await?;
    if let Some(file) = &args.report {
        std::fs::write(file, report::markdown(&all))
            .with_context(|| format!("{} cannot be written", file.display()))?;
        eprintln!("The report is in {}.", file.display());
    }
    Ok(if all.iter().all(Verified::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The ledger of this name, or all of them: those whose tenant is gone, too.
async fn ledgers(session: &Session, name: Option<&str>) -> anyhow::Result<Vec<(TenantId, Option<String>)>> {
    if name.is_none() {
        return Ok(tenants::with_ledgers(session.onhand.pool()).await?);
    }
    let named = session.tenants(name).await?;
    Ok(named.into_iter().map(|(tenant, name)| (tenant, Some(name))).collect())
}

async fn verify(
    session: &Session,
    (tenant, name): (TenantId, Option<String>),
    from: Option<&SignedCheckpoint>,
    against: &[SignedCheckpoint],
    key_named: bool,
) -> Verified {
    let pool = session.onhand.pool();
    let (begun, begun_at) = (Instant::now(), Utc::now());
    let notes = notes(name.as_deref(), from.into_iter().chain(against));
    let has_tenant = name.is_some();
    let name = name.unwrap_or_else(|| format!("ledger {tenant}"));
    let bar = bars::bar(name.clone());
    let verification = Verification { from, against, ..Verification::default() };
    let found = async {
        let verdict = verification.run(pool, tenant, |at, of| bars::set(&bar, at, of)).await?;
        let known = signing_keys::public_key(pool, tenant).await?.map(hex::encode);
        Ok::<_, LedgerError>((verdict, known))
    };
    let (outcome, known) = match found.await {
        Ok((verdict, known)) => (Outcome::Walked(verdict), known),
        Err(error) => (Outcome::Unknown(Obstacle { why: error.to_string() }), None),
    };
    bar.finish_and_clear();
    let used = |checkpoint: &SignedCheckpoint| Used {
        position: checkpoint.position,
        signed_at: checkpoint.signed_at.clone(),
        public_key: checkpoint.public_key.clone(),
        trust: if key_named {
            Trust::Named
        } else if known.as_ref() == Some(&checkpoint.public_key) {
            Trust::Database
        } else {
            Trust::Document
        },
    };
    Verified {
        tenant,
        name,
        outcome,
        has_tenant,
        notes,
        checkpoints: from.into_iter().chain(against).map(used).collect(),
        begun_at,
        seconds: begun.elapsed().as_secs_f64(),
    }
}

/// What the name of a ledger leads to. No hash covers it.
fn notes<'c>(name: Option<&str>, checkpoints: impl Iterator<Item = &'c SignedCheckpoint>) -> Vec<String> {
    let Some(name) = name else {
        return vec!["its row in the table tenants is missing: somebody has removed it".to_owned()];
    };
    let otherwise = checkpoints.filter(|checkpoint| checkpoint.tenant_name != name);
    otherwise
        .map(|checkpoint| {
            let (position, signed) = (checkpoint.position, &checkpoint.tenant_name);
            format!(
                "it is called {name:?} here, and {signed:?} in the checkpoint of position {position}: it was renamed, or \
                 names were exchanged between ledgers"
            )
        })
        .collect()
}
