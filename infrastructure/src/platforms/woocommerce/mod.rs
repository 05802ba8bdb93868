//! `WooCommerce`: products, their stock and orders of a shop, in.
//!
//! A product that has variations names no more than their ids, so the shop is asked for them.

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

/// `WooCommerce`'s webhooks.
#[derive(Debug)]
pub(super) struct Woocommerce;

impl Adapter for Woocommerce {
    fn is_greeting(&self, request: &Inbound<'_>) -> bool {
        inbound::is_ping(request.body)
    }

    fn verify(&self, request: &Inbound<'_>) -> Result<(), Rejection> {
        inbound::verify(request)
    }

    fn identify(&self, request: &Inbound<'_>) -> Result<Identity, Rejection> {
        inbound::identify(request)
    }

    fn decode(&self, delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
        inbound::decode(delivery)
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
