//! A command's hold on the database: settings read, Postgres up, schema current, parts together, and all let go again.

use std::path::Path;

use anyhow::{Context, ensure};
use onhand_domain::values::TenantId;
use onhand_infrastructure::{
    clock::Clock,
    config::Config,
    database::{self, Server, local::LocalSettings},
    ledger,
    queries::tenants,
    secrets::KeyRing,
};

use crate::{Onhand, compose::Parts};

/// The database that is used unless `DATABASE_URL` names another.
pub(super) const DATABASE: &str = "onhand";

/// What a command is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// To look at what is there: the schema stays as it is, and a key file that is not there is not made.
    Read,
    /// To change something.
    Write,
}

/// Everything a command works with.
pub(super) struct Session {
    pub(super) config: Config,
    pub(super) onhand: Onhand,
    pub(super) server: Server,
}

impl Session {
    /// Reads the settings and opens the database they lead to.
    pub(super) async fn open(aim: Aim) -> anyhow::Result<Self> {
        let config = Config::from_env()?;
        let local = LocalSettings::from_env();
        let root = local.root.clone();
        let server = Server::start(config.database_url.as_deref(), local, DATABASE).await?;
        match parts(&config, &server, &root, aim).await {
            Ok(onhand) => Ok(Self { config, onhand, server }),
            Err(error) => {
                server.stop().await?;
                Err(error)
            }
        }
    }

    /// Does something with it and closes it, whatever came of that.
    pub(super) async fn with<T>(work: impl AsyncFnOnce(&Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        Self::to(Aim::Write, work).await
    }

    /// The same for what only looks.
    pub(super) async fn reading<T>(work: impl AsyncFnOnce(&Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        Self::to(Aim::Read, work).await
    }

    /// The same for what is one or the other.
    pub(super) async fn to<T>(
        aim: Aim,
        work: impl AsyncFnOnce(&Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let session = Self::open(aim).await?;
        let result = work(&session).await;
        session.close().await?;
        result
    }

    /// Lets go of the database; a Postgres of our own is stopped unless another program uses it.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.onhand.ledger().drain().await;
        self.onhand.pool().close().await;
        Ok(self.server.stop().await?)
    }

    /// The tenant of this name, or all of them.
    pub(super) async fn tenants(&self, name: Option<&str>) -> anyhow::Result<Vec<(TenantId, String)>> {
        let all = tenants::all(self.onhand.pool()).await?;
        let Some(name) = name else { return Ok(all) };
        let names: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
        let known = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
        let found = all.iter().find(|(_, known)| known == name).cloned();
        Ok(vec![found.with_context(|| format!("there is no tenant {name:?}; there are: {known}"))?])
    }

    /// The tenant of this name, made if there is none; and whether it was made.
    pub(super) async fn tenant(&self, name: &str) -> anyhow::Result<(TenantId, bool)> {
        let known = tenants::all(self.onhand.pool()).await?;
        if let Some((id, _)) = known.into_iter().find(|(_, known)| known == name) {
            return Ok((id, false));
        }
        // Only now: a name from before may be any.
        ensure!(
            is_tenant_name(name),
            "{name:?} cannot be the name of a tenant: at most 100 letters, digits, spaces and -_.&', a letter or digit first \
             and no space last"
        );
        let fresh = TenantId(uuid::Uuid::now_v7());
        let now = self.onhand.ledger().clock().now();
        let id = ledger::create_tenant(self.onhand.pool(), name, fresh, now).await?;
        Ok((id, id == fresh))
    }
}

/// Names stand in files' names, in messages and on command lines.
fn is_tenant_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || " -_.&'".contains(c);
    name.starts_with(char::is_alphanumeric)
        && name.chars().all(fits)
        && !name.ends_with(' ')
        && name.chars().count() <= 100
}

fn keys(config: &Config, root: &Path, aim: Aim) -> anyhow::Result<KeyRing> {
    if let Some(keys) = &config.master_keys {
        return Ok(keys.clone());
    }
    let path = root.join("master.key");
    if aim == Aim::Read && !path.exists() {
        return Ok(KeyRing::default());
    }
    // With a database elsewhere nobody has made the folder yet.
    std::fs::create_dir_all(root)
        .with_context(|| format!("the data folder {} cannot be made", root.display()))?;
    KeyRing::at(&path).with_context(|| format!("{} cannot be used", path.display()))
}

async fn parts(config: &Config, server: &Server, root: &Path, aim: Aim) -> anyhow::Result<Onhand> {
    let keys = keys(config, root, aim)?;
    let (options, connections) = (server.options(), config.database_connections);
    let pool = match aim {
        Aim::Read => database::open_to_read(options, connections).await?,
        Aim::Write => database::open(options, connections).await?,
    };
    let clock = Clock::default();
    clock.set_by(&pool).await?;
    let onhand = Onhand::new(Parts {
        pool,
        clock,
        keys,
        reservation_ttl: config.reservation_ttl,
        states_bytes: config.states_bytes,
        shopify_api_version: config.shopify_api_version.clone(),
        webhook_rate: config.webhook_rate,
        reconcile_every: config.reconcile_every,
        retention: config.retention,
        webhook_traces: config.webhook_traces,
        skip_signatures: config.skip_signatures,
    })?;
    Ok(match &config.oidc {
        Some(settings) => onhand.with_issuer(settings.clone())?,
        None => onhand,
    })
}

#[cfg(test)]
mod tests {
    use super::is_tenant_name;

    #[test]
    fn a_tenant_s_name_can_be_written_down_anywhere() {
        for name in ["mine", "Acme Inc.", "O'Hara & Söhne", "靴-1"] {
            assert!(is_tenant_name(name), "{name:?}");
        }
        for name in ["", " x", "x ", "a\nb", "../../evil", "a/b", "-x", "x".repeat(101).as_str()] {
            assert!(!is_tenant_name(name), "{name:?}");
        }
    }
}
