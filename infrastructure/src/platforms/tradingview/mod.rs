//! `TradingView`: alerts in, which become signals; nothing out.
//!
//! An alert moves nothing here, so whatever text an author has typed is taken as it comes.

mod inbound;
mod sample;
#[cfg(test)]
mod tests;

use super::{
    adapter::{Adapter, Genuine, Inbound, Made, Sample},
    fact::{Decoded, Identity, Rejection, Undecodable},
};

/// `TradingView`'s alerts.
#[derive(Debug)]
pub(super) struct Tradingview;

impl Adapter for Tradingview {
    fn verify(&self, request: &Inbound<'_>) -> Result<(), Rejection> {
        inbound::verify(request)
    }

    fn identify(&self, request: &Inbound<'_>) -> Result<Identity, Rejection> {
        Ok(inbound::identify(request))
    }

    fn decode(&self, delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
        inbound::decode(delivery.body)
    }

    fn topics(&self) -> &'static [&'static str] {
        &[inbound::TOPIC]
    }

    fn sample(&self, topic: &str, sample: &Sample<'_>) -> Option<Made> {
        sample::sample(topic, sample)
    }
}
