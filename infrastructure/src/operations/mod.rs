//! Operations: a command in, a receipt out. What a caller may ask for is checked here, what is true is decided in the domain.

pub mod accounts;
pub mod administration;
pub mod alerts;
pub mod archives;
pub mod conflicts;
pub mod connections;
pub mod deliveries;
mod directory;
pub mod erasures;
pub mod expiry;
pub mod flags;
pub mod follow_ups;
pub mod keys;
pub mod listings;
pub mod locations;
pub mod maintenance;
pub mod monitors;
pub mod privacy;
pub mod products;
pub mod pushes;
mod rates;
pub mod reconciliations;
mod reencryption;
mod renewals;
pub mod reservations;
pub mod signed_checkpoints;
pub mod stock;

use std::{sync::Arc, time::Duration};

use onhand_domain::{Refusal, StreamId, stream::Lookup};

use self::{
    connections::Apis,
    deliveries::{Candidates, Connections},
    directory::Directory,
    locations::Locations,
    privacy::Namings,
    rates::Rates,
    reservations::ReservationIndex,
};
use crate::{
    ledger::{Context, Decision, Idempotency, Ledger, LedgerError, Receipt, Submission},
    observation::Observer,
    secrets::KeyRing,
};

/// Who asks, and with what right.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Goes into every entry that follows.
    pub context: Context,
    /// The only brand this caller may see or touch, if it is bound to one.
    pub brand: Option<String>,
    /// The key and fingerprint of the request.
    pub idempotency: Option<Idempotency>,
}

impl Caller {
    /// Somebody without bounds who does not repeat himself.
    pub fn new(context: Context) -> Self {
        Self { context, brand: None, idempotency: None }
    }

    /// The same caller asking for one of many rows: the key of the request makes one for each.
    fn of_row(&self, row: usize) -> Self {
        let idempotency = self.idempotency.map(|idempotency| idempotency.of_part(row));
        Self { idempotency, ..self.clone() }
    }

    /// Whether this caller may touch things of a brand. What it may not touch does not exist for it.
    pub fn may_touch(&self, brand: Option<&str>) -> bool {
        self.brand.is_none() || self.brand.as_deref() == brand
    }
}

/// Everything that can be asked of the ledger. Cheap to clone.
#[derive(Clone)]
pub struct Operations {
    ledger: Ledger,
    keys: KeyRing,
    reservation_ttl: Duration,
    http: reqwest::Client,
    shopify_api_version: String,
    directory: Arc<Directory>,
    shelves: Arc<ReservationIndex>,
    locations: Arc<Locations>,
    apis: Arc<Apis>,
    connections: Arc<Connections>,
    candidates: Arc<Candidates>,
    namings: Arc<Namings>,
    rates: Arc<Rates>,
    observer: Observer,
    skip_signatures: bool,
    pace: erasures::Pace,
}

/// What operations are configured with.
pub struct OperationSettings {
    /// Seals and opens credentials.
    pub keys: KeyRing,
    /// How long a reservation holds if the caller does not say.
    pub reservation_ttl: Duration,
    /// Calls platforms.
    pub http: reqwest::Client,
    /// Which version of Shopify's API is spoken.
    pub shopify_api_version: String,
    /// Webhooks let in a minute for each connection; as many bad ones are looked at for each address.
    pub webhook_rate: u32,
    /// Whether it is noted how each webhook fared.
    pub webhook_traces: bool,
    /// Lets webhooks in without looking at who sent them; for development only.
    pub skip_signatures: bool,
}

impl Operations {
    /// Operations on these ledgers.
    pub fn new(ledger: Ledger, settings: OperationSettings) -> Self {
        let observer = Observer::new(ledger.pool().clone(), settings.webhook_traces);
        Self {
            ledger,
            keys: settings.keys,
            reservation_ttl: settings.reservation_ttl,
            http: settings.http,
            shopify_api_version: settings.shopify_api_version,
            directory: Arc::default(),
            shelves: Arc::default(),
            locations: Arc::new(locations::unknown()),
            apis: Arc::default(),
            connections: Arc::new(deliveries::no_connections()),
            candidates: Arc::new(deliveries::no_candidates()),
            namings: Arc::new(privacy::no_namings()),
            rates: Arc::new(Rates::new(settings.webhook_rate)),
            observer,
            skip_signatures: settings.skip_signatures,
            pace: erasures::Pace::default(),
        }
    }

    /// Where it is noted how webhooks fare.
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// The ledgers.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Hands a decision to the sequencer.
    pub(crate) async fn submit(
        &self,
        caller: Caller,
        reads: Vec<StreamId>,
        decide: impl Fn(&Lookup<'_>, chrono::DateTime<chrono::Utc>) -> Result<Decision, Refusal>
        + Send
        + Sync
        + 'static,
    ) -> Result<Receipt, LedgerError> {
        self.submit_fresh(caller, reads, vec![], decide).await
    }

    /// The same, for a decision about streams that are new as a rule; see [`Submission::fresh`].
    pub(crate) async fn submit_fresh(
        &self,
        caller: Caller,
        reads: Vec<StreamId>,
        fresh: Vec<StreamId>,
        decide: impl Fn(&Lookup<'_>, chrono::DateTime<chrono::Utc>) -> Result<Decision, Refusal>
        + Send
        + Sync
        + 'static,
    ) -> Result<Receipt, LedgerError> {
        let Caller { context, idempotency, .. } = caller;
        self.ledger.submit(Submission { context, idempotency, reads, fresh, decide: Arc::new(decide) }).await
    }
}
