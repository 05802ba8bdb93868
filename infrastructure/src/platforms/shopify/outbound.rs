//! The client of Shopify's Admin GraphQL API: quantities, prices, whole products, subscriptions.
//!
//! It answers for each thing asked what became of it, in words that say what to do next, so that whoever keeps
//! the promises need not know the platform's three layers of errors.

mod call;
mod points;
mod prices;
mod products;
mod quantities;
mod shown;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::{sync::PoisonError, time::Instant};

use onhand_domain::values::ExternalId;

pub(in super::super) use self::points::Points;
use super::super::outbound::Api;

/// One shop's API, for one attempt.
pub(super) struct Shop<'a>(&'a Api);

impl<'a> Shop<'a> {
    /// The shop behind an account's API.
    pub(super) fn new(api: &'a Api) -> Self {
        Self(api)
    }

    fn with_points<T>(&self, work: impl FnOnce(&mut Points, Instant) -> T) -> T {
        work(&mut self.0.points().lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }
}

/// The global id of one of the shop's objects; none for what is no id of that kind, which would spoil a call.
fn gid(kind: &str, id: &ExternalId) -> Option<String> {
    let prefix = format!("gid://shopify/{kind}/");
    let given = id.as_str().strip_prefix(&prefix).unwrap_or(id.as_str());
    let number = given.parse::<u64>().ok().filter(|number| *number > 0)?;
    // What is written in another way, `+7` or `007`, would be another object's id, or two names of one.
    (number.to_string() == given).then(|| format!("{prefix}{number}"))
}
