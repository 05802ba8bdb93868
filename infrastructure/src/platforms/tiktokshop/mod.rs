//! `TikTok` Shop: notices of a shop in, and a look at the order or the product they speak of.
//!
//! Its webhooks say that something has changed and leave it to the receiver to ask what.

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

/// `TikTok` Shop's webhooks, and the calls they lead to.
#[derive(Debug)]
pub(super) struct TiktokShop;

impl Adapter for TiktokShop {
    fn verify(&self, request: &Inbound<'_>) -> Result<(), Rejection> {
        inbound::verify(request)
    }

    fn identify(&self, request: &Inbound<'_>) -> Result<Identity, Rejection> {
        Ok(inbound::identify(request.body))
    }

    fn decode(&self, delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
        inbound::decode(delivery.body)
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
