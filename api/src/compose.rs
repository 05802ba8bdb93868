//! The parts of a server, put together in one place.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use onhand_infrastructure::{
    clock::Clock,
    config::Retention,
    ledger::Ledger,
    oidc::{Oidc, OidcSettings},
    operations::{OperationSettings, Operations},
    platforms::outbound::http_client,
    relay::Relay,
    secrets::KeyRing,
};
use onhand_projector::{Projector, state_tables};
use sqlx::PgPool;

/// Everything a process works with. Cheap to clone.
#[derive(Clone)]
pub struct Onhand {
    /// What can be asked.
    pub operations: Operations,
    /// Lets read models follow.
    pub projector: Projector,
    /// Tells platforms.
    pub relay: Relay,
    /// How often what a platform shows is read back and compared.
    pub reconcile_every: TimeDelta,
    /// For how long is kept what is only kept for a while.
    pub retention: Retention,
    /// Whose access tokens are taken beside API keys, if anybody's are.
    pub oidc: Option<Arc<Oidc>>,
}

/// What the parts are set up with.
pub struct Parts {
    /// Where everything is kept.
    pub pool: PgPool,
    /// The one clock.
    pub clock: Clock,
    /// Seals and opens credentials.
    pub keys: KeyRing,
    /// How long a reservation holds if the caller does not say.
    pub reservation_ttl: Duration,
    /// What the states of streams may take in memory, in bytes, all tenants together.
    pub states_bytes: usize,
    /// Which version of Shopify's API is spoken.
    pub shopify_api_version: String,
    /// Webhooks let in a minute for each connection.
    pub webhook_rate: u32,
    /// Whether it is noted how each webhook fared.
    pub webhook_traces: bool,
    /// How often what a platform shows is read back and compared.
    pub reconcile_every: Duration,
    /// For how long is kept what is only kept for a while.
    pub retention: Retention,
    /// Whether webhooks are let in without a look at who sent them; for development only.
    pub skip_signatures: bool,
}

impl Onhand {
    /// Puts the parts together. Fails only if no HTTP client can be made.
    pub fn new(parts: Parts) -> Result<Self, reqwest::Error> {
        let ledger = Ledger::new(parts.pool, parts.clock, state_tables(), parts.states_bytes);
        let settings = OperationSettings {
            keys: parts.keys,
            reservation_ttl: parts.reservation_ttl,
            http: http_client()?,
            shopify_api_version: parts.shopify_api_version,
            webhook_rate: parts.webhook_rate,
            webhook_traces: parts.webhook_traces,
            skip_signatures: parts.skip_signatures,
        };
        let operations = Operations::new(ledger.clone(), settings);
        let relay = Relay::new(operations.clone());
        let reconcile_every = TimeDelta::from_std(parts.reconcile_every).unwrap_or(TimeDelta::MAX);
        let (projector, retention) = (Projector::new(ledger), parts.retention);
        Ok(Self { operations, projector, relay, reconcile_every, retention, oidc: None })
    }

    /// The same, which takes access tokens as well. Fails only if no HTTP client can be made.
    pub fn with_issuer(self, settings: OidcSettings) -> Result<Self, reqwest::Error> {
        let http = settings.http_client()?;
        Ok(Self { oidc: Some(Arc::new(Oidc::new(settings, http))), ..self })
    }

    /// The ledgers.
    pub fn ledger(&self) -> &Ledger {
        self.operations.ledger()
    }

    /// The database.
    pub fn pool(&self) -> &PgPool {
        self.ledger().pool()
    }
}
