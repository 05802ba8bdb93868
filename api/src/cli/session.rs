//! A command's hold on the database: settings read, Postgres up, schema current, parts together, and all let go again.

use std::path::Path;

use anyhow::Context;
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

/// Everything a command works with.
pub(super) struct Session {
    pub(super) config: Config,
    pub(super) onhand: Onhand,
    pub(super) server: Server,
}

impl Session {
    /// Reads the settings and opens the database they lead to.
    pub(super) async fn open() -> anyhow::Result<Self> {
        let config = Config::from_env()?;
        let local = LocalSettings::from_env();
        let root = local.root.clone();
        let server = Server::start(config.database_url.as_deref(), local, DATABASE).await?;
        match parts(&config, &server, &root).await {
            Ok(onhand) => Ok(Self { config, onhand, server }),
            Err(error) => {
                server.stop().await?;
                Err(error)
            }
        }
    }

    /// Does something with it and closes it, whatever came of that.
    pub(super) async fn with<T>(work: impl AsyncFnOnce(&Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let session = Self::open().await?;
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

    /// The tenant of this name, made if there is none.
    pub(super) async fn tenant(&self, name: &str) -> anyhow::Result<TenantId> {
        let fresh = TenantId(uuid::Uuid::now_v7());
        let now = self.onhand.ledger().clock().now();
        Ok(ledger::create_tenant(self.onhand.pool(), name, fresh, now).await?)
    }
}

async fn parts(config: &Config, server: &Server, root: &Path) -> anyhow::Result<Onhand> {
    let keys = match &config.master_keys {
        Some(keys) => KeyRing::parse(keys).context("ONHAND_MASTER_KEYS cannot be used")?,
        None => {
            // With a database elsewhere nobody has made the folder yet.
            std::fs::create_dir_all(root)
                .with_context(|| format!("the data folder {} cannot be made", root.display()))?;
            let path = root.join("master.key");
            KeyRing::at(&path).with_context(|| format!("{} cannot be used", path.display()))?
        }
    };
    let pool = database::open(server.options(), config.database_connections).await?;
    Ok(Onhand::new(Parts {
        pool,
        clock: Clock::default(),
        keys,
        reservation_ttl: config.reservation_ttl,
        states_bytes: config.states_bytes,
        shopify_api_version: config.shopify_api_version.clone(),
        webhook_rate: config.webhook_rate,
        reconcile_every: config.reconcile_every,
        retention: config.retention,
        webhook_traces: config.webhook_traces,
        skip_signatures: config.skip_signatures,
    })?)
}
