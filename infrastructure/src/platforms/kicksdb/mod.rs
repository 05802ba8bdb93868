//! `KicksDB`: market prices in, nothing out.
//!
//! It knows what a model is traded for, by the maker's code and the size, and never what a seller has.

mod inbound;
mod sample;

use super::{
    adapter::{Adapter, Genuine, Inbound, Made, Sample},
    fact::{Decoded, Identity, Rejection, Undecodable},
};

pub use inbound::sign;

/// `KicksDB`'s webhooks.
#[derive(Debug)]
pub struct Kicksdb;

impl Adapter for Kicksdb {
    fn verify(&self, request: &Inbound<'_>) -> Result<(), Rejection> {
        inbound::verify(request.headers, request.body, request.secrets, request.now)
    }

    fn identify(&self, request: &Inbound<'_>) -> Result<Identity, Rejection> {
        inbound::identify(request.headers, request.body, request.now)
    }

    fn decode(&self, delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
        inbound::decode(delivery.body, delivery.at)
    }

    fn topics(&self) -> &'static [&'static str] {
        &sample::TOPICS
    }

    fn sample(&self, topic: &str, sample: &Sample<'_>) -> Option<Made> {
        sample::sample(topic, sample)
    }
}
