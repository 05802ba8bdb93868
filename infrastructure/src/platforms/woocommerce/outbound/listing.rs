//! What a shop says of one listing: how many there are, what it costs, or why it would not change that.

use onhand_domain::values::{Currency, Money};
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::super::{
        outbound::{CallError, Shown},
        read,
    },
    refusal::Refusal,
};

/// A product or a variation in the shop's answer; one that it refused to change has its id and an error.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Listing {
    #[serde(default)]
    id: Value,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    manage_stock: Value,
    #[serde(default)]
    stock_quantity: Value,
    #[serde(default)]
    regular_price: Value,
    error: Option<Refusal>,
}

impl Listing {
    /// The shop's number of it.
    pub(super) fn id(&self) -> Option<i64> {
        read::whole(&self.id)
    }

    /// Itself, unless the shop refused to change it.
    pub(super) fn granted(self) -> Result<Self, CallError> {
        match self.error {
            Some(refusal) => Err(refusal.meaning()),
            None => Ok(self),
        }
    }

    /// What is shown of it. A variation that is counted with its product (`"parent"`) has no figure of its own.
    pub(super) fn shown(&self, currency: Currency) -> Shown {
        Shown { quantity: self.quantity(), price: read::money(&self.regular_price, currency) }
    }

    /// The quantity that was set, if it is shown now.
    pub(super) fn counts(&self, quantity: i64) -> Result<i64, CallError> {
        self.is_sold_itself(&["variable", "grouped", "external"])?;
        match (self.quantity(), &self.manage_stock) {
            (Some(shown), _) if shown == quantity => Ok(shown),
            (Some(shown), _) => {
                Err(CallError::failed(format!("the shop shows {shown} where {quantity} was set")))
            }
            (None, Value::Bool(false) | Value::String(_)) => Err(CallError::person(
                "the shop counts nothing; switch on stock management in WooCommerce's settings for products",
            )),
            _ => Err(CallError::failed("the shop's answer does not say how many it shows")),
        }
    }

    /// The price that was set, if it is shown now.
    pub(super) fn costs(&self, price: Money) -> Result<Money, CallError> {
        self.is_sold_itself(&["variable", "grouped"])?;
        match read::money(&self.regular_price, price.currency) {
            Some(shown) if shown == price => Ok(shown),
            Some(shown) => Err(CallError::failed(format!("the shop shows {shown} where {price} was set"))),
            None if self.regular_price == "" => {
                Err(CallError::never("the shop keeps no price for a product of this type"))
            }
            None => Err(CallError::failed("the shop's answer does not say what price it shows")),
        }
    }

    fn quantity(&self) -> Option<i64> {
        (self.manage_stock == Value::Bool(true)).then(|| read::whole(&self.stock_quantity)).flatten()
    }

    /// A product may have become one of a type that has no such value: variations sold under it have.
    fn is_sold_itself(&self, types: &[&str]) -> Result<(), CallError> {
        match self.kind.as_deref().filter(|kind| types.contains(kind)) {
            Some(kind) => Err(CallError::never(format!("a {kind} product has no such value of its own"))),
            None => Ok(()),
        }
    }
}
