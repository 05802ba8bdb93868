//! Values that are parsed once and trusted after: ids, codes, quantities, money.

mod codes;
mod ids;
mod money;
mod object;
mod quantity;

pub use codes::{ExternalId, LocationCode, Market, PersonId, Sku};
pub use ids::{
    CartId, ConnectionId, DeliveryId, EventId, KeyId, ListingId, MonitorId, OfferId, OrderId, ProductId,
    ReservationId, StockId, TenantId, VariantId,
};
pub use money::{Currency, Money};
pub use object::Object;
pub use quantity::Quantity;

/// A value that did not parse: which kind it should have been, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct InvalidValue {
    /// The kind of value, in words.
    pub what: &'static str,
    /// What is wrong with it, and what would be right.
    pub why: String,
}

impl InvalidValue {
    pub(crate) fn new(what: &'static str, why: impl Into<String>) -> Self {
        Self { what, why: why.into() }
    }
}

impl From<InvalidValue> for crate::Refusal {
    fn from(invalid: InvalidValue) -> Self {
        Self::invalid("value.invalid", invalid.to_string())
    }
}
