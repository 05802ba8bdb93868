//! Shopify: webhooks in, Admin GraphQL out, and a stand-in shop that speaks both.
//!
//! The adapter and the stand-in share no code, so that a misunderstanding in one is not repeated by the other.

mod inbound;
pub mod outbound;
mod sample;
pub mod sandbox;

use super::{
    adapter::{Adapter, Genuine, Inbound, Made, Sample},
    fact::{Decoded, Identity, Rejection, Undecodable},
};

/// Shopify's webhooks.
#[derive(Debug)]
pub struct Shopify;

impl Adapter for Shopify {
    fn verify(&self, request: &Inbound<'_>) -> Result<(), Rejection> {
        inbound::verify(request.headers, request.body, request.secrets)
    }

    fn identify(&self, request: &Inbound<'_>) -> Result<Identity, Rejection> {
        inbound::identify(request.headers, request.body)
    }

    fn decode(&self, delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
        inbound::decode(delivery.topic, delivery.body, delivery.at, delivery.details)
    }

    fn topics(&self) -> &'static [&'static str] {
        &sample::TOPICS
    }

    fn sample(&self, topic: &str, sample: &Sample<'_>) -> Option<Made> {
        sample::sample(topic, sample)
    }
}
