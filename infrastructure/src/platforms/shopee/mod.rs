//! Shopee: pushes of a shop in, and a look at the order or the item they speak of.
//!
//! Its pushes say what has changed and hardly ever how, so most of them are hints.

mod inbound;
mod look;
mod sample;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use onhand_domain::connection::ConnectionDetails;

use super::{
    adapter::{Access, Adapter, Call, Genuine, Hint, Inbound, Made, Sample},
    fact::{Decoded, Fact, Identity, Rejection, Undecodable},
};

/// Shopee's pushes, and the calls they lead to.
#[derive(Debug)]
pub(super) struct Shopee;

impl Adapter for Shopee {
    fn verify(&self, request: &Inbound<'_>) -> Result<(), Rejection> {
        inbound::verify(request)
    }

    fn identify(&self, request: &Inbound<'_>) -> Result<Identity, Rejection> {
        Ok(inbound::identify(request.body))
    }

    fn decode(&self, delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
        inbound::decode(delivery.body, delivery.details)
    }

    fn other_accounts(&self, delivery: &Genuine<'_>) -> Vec<String> {
        inbound::other_accounts(delivery.body, delivery.details)
    }

    fn endpoint(&self) -> Option<&'static str> {
        Some(look::ENDPOINT)
    }

    fn look(&self, hint: &Hint, access: &Access<'_>) -> Option<Call> {
        look::look(hint, access)
    }

    fn seen(
        &self,
        hint: &Hint,
        body: &[u8],
        at: DateTime<Utc>,
        details: &ConnectionDetails,
    ) -> Result<Vec<Fact>, Undecodable> {
        look::seen(hint, body, at, details)
    }

    fn topics(&self) -> &'static [&'static str] {
        &sample::TOPICS
    }

    fn sample(&self, topic: &str, sample: &Sample<'_>) -> Option<Made> {
        sample::sample(topic, sample)
    }
}
