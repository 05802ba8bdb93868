//! Shopee's outbound side: stock and prices set, both read back, items called by their titles and unlisted, pushes asked
//! for, tokens renewed.
//!
//! Shopee takes values of one item a call and answers for each of its models; here this becomes one outcome for each
//! ask, in which nobody pays for another's mistake.

mod call;
mod products;
mod pushes;
mod reads;
mod renewal;
#[cfg(test)]
mod tests;
mod writes;

use std::time::Duration;

use onhand_domain::values::ExternalId;

pub(super) use self::{
    products::{describe, take_off},
    pushes::{subscribe, subscriptions, unsubscribe},
    reads::read,
    renewal::renew,
    writes::{set_prices, set_quantities},
};
use super::super::outbound::{CallError, Handle, Limit};

/// How often Shopee may be called for one shop. It publishes no figures, so these are what we were told to keep to.
pub(super) const LIMITS: [Limit; 2] = [
    Limit { calls: 60, within: Duration::from_mins(1) },
    Limit { calls: 10_000, within: Duration::from_hours(24) },
];

/// The most items, or models of one item, that go into one call (`item_id_list`, `stock_list`, `price_list`).
const BATCH_MAX: usize = 50;

/// What a handle is in Shopee's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Model {
    item: i64,
    /// 0 for an item without models.
    model: i64,
}

impl Model {
    /// An item without models has its own id for that of its variant. What is no number of theirs never gets into a call,
    /// which it would spoil for the others.
    fn of(handle: &Handle) -> Result<Self, CallError> {
        let number = |id: &ExternalId| {
            let number = id.as_str().parse::<i64>().ok().filter(|number| *number > 0)?;
            // "+7" and "007" are read as numbers too, and would be another thing's.
            (number.to_string() == id.as_str()).then_some(number)
        };
        let (Some(item), Some(model)) = (number(&handle.product), number(&handle.variant)) else {
            let why = format!("{} and {} are no ids of an item and a model", handle.product, handle.variant);
            return Err(CallError::never(why));
        };
        Ok(Self { item, model: if handle.variant == handle.product { 0 } else { model } })
    }
}
