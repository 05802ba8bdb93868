//! Trackstar: one API in front of many warehouses and carts; stock, products and orders in, nothing out.
//!
//! A body that is too large to be sent is named by an address instead, and is fetched from there in two
//! steps.

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
    svix,
};

/// Trackstar's webhooks.
#[derive(Debug)]
pub(super) struct Trackstar;

impl Adapter for Trackstar {
    fn verify(&self, request: &Inbound<'_>) -> Result<(), Rejection> {
        svix::verify(request.headers, request.body, request.secrets, request.now)
    }

    fn identify(&self, request: &Inbound<'_>) -> Result<Identity, Rejection> {
        inbound::identify(request)
    }

    fn decode(&self, delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
        inbound::decode(delivery)
    }

    fn other_accounts(&self, delivery: &Genuine<'_>) -> Vec<String> {
        inbound::other_accounts(delivery)
    }

    fn endpoint(&self) -> Option<&'static str> {
        Some(look::ENDPOINT)
    }

    fn look(&self, hint: &Hint, access: &Access<'_>) -> Option<Call> {
        look::call(hint, access)
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
