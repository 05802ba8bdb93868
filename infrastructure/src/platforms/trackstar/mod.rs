//! Trackstar: one API in front of many warehouses and carts; stock, products and orders in, quantities and new products
//! out.
//!
//! A body that is too large to be sent is named by an address instead, and is fetched from there in two
//! steps. Prices are told and cannot be set. The stand-in shares no code with the adapter.

mod inbound;
mod look;
mod outbound;
mod sample;
pub(super) mod sandbox;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use onhand_domain::{connection::ConnectionDetails, values::Money};
use uuid::Uuid;

use super::{
    adapter::{Access, Adapter, Call, Genuine, Hint, Inbound, Made, Sample},
    fact::{Decoded, Fact, Identity, Rejection, Undecodable},
    outbound::{
        Api, CallError, Handle, Limit, Offered, Outbound, Outcome, PriceAsk, ProductAsk, QuantityAsk, Shown,
        Skills,
    },
    svix,
};

/// Trackstar's webhooks, and its API.
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

    fn fetch(&self, hint: &Hint, url: &str, access: &Access<'_>) -> Option<Call> {
        look::fetch(hint, url, access)
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

/// Webhooks cannot be asked for through the API: somebody enters the address in the dashboard. Access tokens do not
/// end.
impl Outbound for Trackstar {
    fn sets_prices(&self) -> bool {
        false
    }

    fn limits(&self) -> &'static [Limit] {
        &outbound::LIMITS
    }

    fn set_quantities<'a>(
        &'a self,
        api: &'a Api,
        asks: &'a [QuantityAsk],
        key: Uuid,
    ) -> BoxFuture<'a, Vec<Outcome<i64>>> {
        Box::pin(outbound::set_quantities(api, asks, key))
    }

    fn set_prices<'a>(
        &'a self,
        _api: &'a Api,
        asks: &'a [PriceAsk],
        _key: Uuid,
    ) -> BoxFuture<'a, Vec<Outcome<Money>>> {
        Box::pin(async move { outbound::set_prices(asks) })
    }

    fn read<'a>(
        &'a self,
        api: &'a Api,
        handles: &'a [Handle],
    ) -> BoxFuture<'a, Vec<Result<Shown, CallError>>> {
        Box::pin(outbound::shown(api, handles))
    }

    /// A warehouse can be given products; of a cart's products nothing but the stock can be changed. What is in a warehouse
    /// keeps the name by which people find it there, and there is no call that takes it off. Source: the vendor's guide to
    /// writing data.
    fn skills(&self) -> Skills {
        Skills { offers: true, describes: false, takes_off: false }
    }

    /// Keys are made from SKUs, and not from the attempt.
    fn offer<'a>(
        &'a self,
        api: &'a Api,
        ask: &'a ProductAsk,
        _key: Uuid,
    ) -> BoxFuture<'a, Result<Offered, CallError>> {
        Box::pin(outbound::offer(api, ask))
    }
}
