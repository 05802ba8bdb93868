//! Clover: webhooks that say which items and orders of a merchant have changed, and no more.
//!
//! What has changed is read from Clover's API. A webhook carries a code that never changes, and no signature.

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

/// Clover's webhooks, and the reading of what they hint at.
#[derive(Debug)]
pub(super) struct Clover;

impl Adapter for Clover {
    fn verify(&self, request: &Inbound<'_>) -> Result<(), Rejection> {
        inbound::verify(request)
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
        Some("https://api.clover.com")
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
