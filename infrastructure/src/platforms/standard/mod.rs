//! Standard Webhooks: any sender that signs the standard's way and speaks our own words.
//!
//! It is the way in for shops and tools that have no adapter of their own; the vocabulary is this project's.

mod inbound;
mod sample;
#[cfg(test)]
mod tests;

use super::{
    adapter::{Adapter, Genuine, Inbound, Made, Sample},
    fact::{Decoded, Identity, Rejection, Undecodable},
};

/// Standard Webhooks in our own words.
#[derive(Debug)]
pub(super) struct Standard;

impl Adapter for Standard {
    fn verify(&self, request: &Inbound<'_>) -> Result<(), Rejection> {
        inbound::verify(request)
    }

    fn identify(&self, request: &Inbound<'_>) -> Result<Identity, Rejection> {
        inbound::identify(request)
    }

    fn decode(&self, delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
        inbound::decode(delivery)
    }

    fn topics(&self) -> &'static [&'static str] {
        &inbound::TYPES
    }

    fn sample(&self, topic: &str, sample: &Sample<'_>) -> Option<Made> {
        sample::sample(topic, sample)
    }
}
