//! The client of Shopify's Admin GraphQL API: quantities, prices, subscriptions.
//!
//! It answers for each thing asked what became of it, in words that say what to do next, so that whoever keeps
//! the promises need not know the platform's three layers of errors.

mod budget;
mod call;
mod prices;
mod quantities;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use onhand_domain::values::ExternalId;

pub use call::CallError;
pub use prices::PriceAsk;
pub use quantities::{QUANTITIES_MAX, QuantityAsk};

use crate::secrets::Secret;
use budget::Budget;

/// What became of one thing asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The platform shows the value now.
    Shown(T),
    /// The platform shows something else than believed; nothing was changed. Try again from `observed`.
    Stale {
        /// What it shows.
        observed: T,
    },
    /// It could not be done.
    Failed(CallError),
}

/// One shop's API; clones share what is known of its rate limit.
#[derive(Clone)]
pub struct Shop {
    http: reqwest::Client,
    endpoint: String,
    api_version: String,
    token: Secret,
    location: ExternalId,
    budget: Arc<Mutex<Budget>>,
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Shop {
    /// A shop at an address without a path, whose stock is kept at one of its locations.
    pub fn new(
        http: reqwest::Client,
        endpoint: String,
        api_version: String,
        token: Secret,
        location: ExternalId,
    ) -> Self {
        Self { http, endpoint, api_version, token, location, budget: Arc::default() }
    }

    fn url(&self) -> String {
        format!("{}/admin/api/{}/graphql.json", self.endpoint.trim_end_matches('/'), self.api_version)
    }

    fn with_budget<T>(&self, work: impl FnOnce(&mut Budget, Instant) -> T) -> T {
        work(&mut self.budget.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }
}

/// The HTTP client for all shops: quick to give up, and it follows nobody elsewhere with a token.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    // An error says that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("onhand/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The global id of one of the shop's objects; none for what is no id of that kind, which would spoil a call.
fn gid(kind: &str, id: &ExternalId) -> Option<String> {
    let prefix = format!("gid://shopify/{kind}/");
    let number = id.as_str().strip_prefix(&prefix).unwrap_or(id.as_str());
    let fine = (1..=20).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| format!("{prefix}{number}"))
}
