//! Square: webhooks that tell stock counts, and hints at the catalogue and at orders; counts and prices that are set,
//! products that are offered.
//!
//! What was hinted at is read from Square's API, because its webhooks name it and say no more. What is pushed there, and
//! who is told of changes, is in `outbound`; `sandbox` stands in for Square.

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
    fact::{Decoded, Fact, Identity, Rejection, Undecodable},
    outbound::{
        Api, CallError, Handle, Offered, Outbound, Outcome, PriceAsk, ProductAsk, QuantityAsk, Renewed,
        Shown, Skills, Subscription,
    },
};
use crate::secrets::Secret;

/// Square's webhooks, the reading of what they hint at, and what is pushed there.
#[derive(Debug)]
pub(super) struct Square;

impl Adapter for Square {
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
        Some("https://connect.squareup.com")
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

impl Outbound for Square {
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
        api: &'a Api,
        asks: &'a [PriceAsk],
        key: Uuid,
    ) -> BoxFuture<'a, Vec<Outcome<Money>>> {
        Box::pin(outbound::set_prices(api, asks, key))
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
        &[Word::Title]
    }

    fn offer<'a>(
        &'a self,
        api: &'a Api,
        ask: &'a ProductAsk,
        key: Uuid,
    ) -> BoxFuture<'a, Result<Offered, CallError>> {
        Box::pin(outbound::offer(api, ask, key))
    }

    fn describe<'a>(
        &'a self,
        api: &'a Api,
        ask: &'a ProductAsk,
        key: Uuid,
    ) -> BoxFuture<'a, Result<Words, CallError>> {
        Box::pin(outbound::describe(api, ask, key))
    }

    fn take_off<'a>(
        &'a self,
        api: &'a Api,
        handles: &'a [Handle],
        key: Uuid,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        Box::pin(outbound::take_off(api, handles, key))
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
        Box::pin(outbound::subscribe(api, address, secret))
    }

    fn subscriptions<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, Result<Vec<Subscription>, CallError>> {
        Box::pin(outbound::subscriptions(api))
    }

    fn unsubscribe<'a>(
        &'a self,
        api: &'a Api,
        subscription: &'a Subscription,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        Box::pin(outbound::unsubscribe(api, subscription))
    }

    fn renew<'a>(&'a self, api: &'a Api) -> Option<BoxFuture<'a, Result<Renewed, CallError>>> {
        let refresh = api.account().refresh_token.as_ref()?;
        Some(Box::pin(outbound::renew(api, refresh)))
    }
}
