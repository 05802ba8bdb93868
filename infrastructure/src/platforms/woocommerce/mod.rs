//! `WooCommerce`: products, their stock and orders of a shop, in; quantities, prices and whole products, out.
//!
//! A product that has variations names no more than their ids, so the shop is asked for them. What is to be shown goes
//! out in batches, and the shop is asked for the webhooks itself.

mod entities;
mod inbound;
mod look;
mod outbound;
mod sample;
pub(super) mod sandbox;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use onhand_domain::{
    connection::ConnectionDetails,
    product::{Word, Words},
    values::Money,
};
use uuid::Uuid;

use super::{
    adapter::{Access, Adapter, Call, Genuine, Hint, Inbound, Made, Sample},
    fact::{Decoded, Fact, Identity, Person, Rejection, Undecodable},
    outbound::{
        Api, CallError, Handle, Offered, Outbound, Outcome, PriceAsk, ProductAsk, QuantityAsk, Shown, Skills,
        Subscription,
    },
};
use crate::secrets::Secret;

/// `WooCommerce`'s webhooks and its API.
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

    // A payment that comes late may complete an order that was cancelled for want of it: payment_complete of WooCommerce's core.
    fn reopens_orders(&self) -> bool {
        true
    }

    fn person(&self, delivery: &Genuine<'_>) -> Option<Person> {
        inbound::person(delivery.topic, delivery.body)
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

/// There are no limits to keep to: the platform's core has none, and a host's own is told when it is met. Nor does it take
/// keys; what is set twice is set once, because values are whole.
impl Outbound for Woocommerce {
    fn set_quantities<'a>(
        &'a self,
        api: &'a Api,
        asks: &'a [QuantityAsk],
        _key: Uuid,
    ) -> BoxFuture<'a, Vec<Outcome<i64>>> {
        Box::pin(outbound::set_quantities(api, asks))
    }

    fn set_prices<'a>(
        &'a self,
        api: &'a Api,
        asks: &'a [PriceAsk],
        _key: Uuid,
    ) -> BoxFuture<'a, Vec<Outcome<Money>>> {
        Box::pin(outbound::set_prices(api, asks))
    }

    fn read<'a>(
        &'a self,
        api: &'a Api,
        handles: &'a [Handle],
    ) -> BoxFuture<'a, Vec<Result<Shown, CallError>>> {
        Box::pin(outbound::read(api, handles))
    }

    fn skills(&self) -> Skills {
        Skills { offers: true, describes: true, takes_off: true }
    }

    fn words(&self) -> &'static [Word] {
        &[Word::Title, Word::Category, Word::Tags]
    }

    fn offer<'a>(
        &'a self,
        api: &'a Api,
        ask: &'a ProductAsk,
        _key: Uuid,
    ) -> BoxFuture<'a, Result<Offered, CallError>> {
        Box::pin(outbound::products::offer(api, ask))
    }

    fn describe<'a>(
        &'a self,
        api: &'a Api,
        ask: &'a ProductAsk,
        _key: Uuid,
    ) -> BoxFuture<'a, Result<Words, CallError>> {
        Box::pin(outbound::products::describe(api, ask))
    }

    fn take_off<'a>(
        &'a self,
        api: &'a Api,
        handles: &'a [Handle],
        _key: Uuid,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        Box::pin(outbound::products::take_off(api, handles))
    }

    fn subscribes(&self) -> bool {
        true
    }

    fn subscribe<'a>(
        &'a self,
        api: &'a Api,
        address: &'a str,
        secret: Option<&'a Secret>,
    ) -> BoxFuture<'a, Result<Option<Secret>, CallError>> {
        Box::pin(outbound::webhooks::subscribe(api, address, secret))
    }

    fn subscriptions<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, Result<Vec<Subscription>, CallError>> {
        Box::pin(outbound::webhooks::subscriptions(api))
    }

    fn unsubscribe<'a>(
        &'a self,
        api: &'a Api,
        subscription: &'a Subscription,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        Box::pin(outbound::webhooks::unsubscribe(api, subscription))
    }
}
