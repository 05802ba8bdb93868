//! Questions to the read models, one file a noun. Lists are paged by a cursor and never longer than [`PAGE_MAX`].

pub(crate) mod alone;
pub mod api_keys;
pub mod archives;
pub mod at;
pub mod audit_log;
pub mod checkpoints;
pub mod conflicts;
pub mod connections;
pub mod deliveries;
pub mod difference;
pub mod flags;
mod gathering;
pub mod listings;
pub mod locations;
pub mod maintenance;
pub mod monitors;
pub mod moves;
pub mod offers;
pub mod outbox;
pub mod persons;
pub mod products;
pub mod projections;
pub mod rebuilds;
pub mod reconciliations;
pub mod renewals;
pub mod reservation_lines;
pub mod reservations;
pub mod signals;
pub mod signed_checkpoints;
pub mod signing_keys;
pub mod standing;
pub mod stock_levels;
pub mod streams;
pub mod sync_health;
pub mod telling_bodies;
pub mod tenants;
pub mod webhook_rates;
pub mod webhook_traces;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use onhand_domain::{
    connection::Platform,
    values::{InvalidValue, LocationCode, Sku, TenantId},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::ledger::LedgerError;

/// The most rows one page may have.
pub const PAGE_MAX: i64 = 200;

/// Who asks, and for which stretch of the list.
#[derive(Debug, Clone)]
pub struct Window {
    /// Whose data.
    pub tenant: TenantId,
    /// The only brand the caller may see, if it is bound to one.
    pub brand: Option<String>,
    /// Where the last page ended, as that page said it.
    pub cursor: Option<String>,
    /// How many rows at most.
    pub limit: i64,
}

/// One page of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Pass it as `cursor` to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Why a list could not be given.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The cursor is not one of ours.
    #[error("the cursor is not one that this list gave out; begin without one")]
    Cursor,
    /// A filter makes no sense.
    #[error(transparent)]
    Filter(#[from] InvalidValue),
    /// A filter that has only certain values has another.
    #[error("{0}")]
    Choice(String),
    /// History could not be read, or not be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Window {
    /// The key after which the page begins.
    fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, QueryError> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| QueryError::Cursor)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|_| QueryError::Cursor)
    }

    /// One row more than asked for, to know whether there is another page.
    fn fetch(&self) -> i64 {
        self.limit.clamp(1, PAGE_MAX) + 1
    }

    fn page<T, K: Serialize>(&self, mut data: Vec<T>, key: impl Fn(&T) -> K) -> Page<T> {
        let limit = self.limit.clamp(1, PAGE_MAX) as usize;
        let more = data.len() > limit;
        data.truncate(limit);
        let next_cursor = data.last().filter(|_| more).map(|last| cursor(&key(last)));
        Page { data, next_cursor }
    }
}

/// A key as [`Window::after`] reads it.
fn cursor(key: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
}

/// An optional SKU filter, parsed.
pub fn sku_filter(text: Option<&str>) -> Result<Option<Sku>, QueryError> {
    Ok(text.map(Sku::new).transpose()?)
}

/// An optional location filter, parsed.
pub fn location_filter(text: Option<&str>) -> Result<Option<LocationCode>, QueryError> {
    Ok(text.map(LocationCode::new).transpose()?)
}

/// Refuses a filter that names a platform there is not.
pub fn platform_filter(name: Option<&str>) -> Result<(), QueryError> {
    one_of("platform", name, &Platform::ALL.map(Platform::name))
}

/// Refuses a filter that has only certain values and has another: to whoever asks, nothing found would look like an answer.
pub fn one_of(what: &str, text: Option<&str>, choices: &[&str]) -> Result<(), QueryError> {
    match text {
        Some(text) if !choices.contains(&text) => {
            Err(QueryError::Choice(format!("{what} is one of {}", choices.join(", "))))
        }
        _ => Ok(()),
    }
}
