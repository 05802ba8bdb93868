//! Shopee: pushes of a shop in, a look at the order or the item they speak of, stock and prices out; and a stand-in.
//!
//! Its pushes say what has changed and hardly ever how, so most of them are hints. The stand-in shares no code with the
//! rest, so that a misunderstanding in one is not repeated by the other.

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
        Api, CallError, Handle, Limit, Outbound, Outcome, PriceAsk, ProductAsk, QuantityAsk, Renewed, Shown,
        Skills, Subscription,
    },
};
use crate::secrets::Secret;

/// Shopee's pushes, and the calls they lead to; its stock, its prices and its items.
#[derive(Debug)]
pub(super) struct Shopee;

impl Adapter for Shopee {
    fn verify(&self, request: &Inbound<'_>) -> Result<(), Rejection> {
        inbound::verify(request)
    }

    fn identify(&self, request: &Inbound<'_>) -> Result<Identity, Rejection> {
        Ok(inbound::identify(request.body))
    }

    fn decode(&self, delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
        inbound::decode(delivery.body, delivery.details)
    }

    fn other_accounts(&self, delivery: &Genuine<'_>) -> Vec<String> {
        inbound::other_accounts(delivery.body, delivery.details)
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

/// Shopee takes no idempotency keys; since values are whole, a repeated call does no harm.
impl Outbound for Shopee {
    fn limits(&self) -> &'static [Limit] {
        &outbound::LIMITS
    }

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

    /// An item cannot be made: that takes a category of Shopee's with its attributes, images that are kept there, a parcel's
    /// weight and ways of shipping, and nothing here knows them. Source: the vendor's reference of `add_item`.
    fn skills(&self) -> Skills {
        Skills { offers: false, describes: true, takes_off: true }
    }

    fn words(&self) -> &'static [Word] {
        &[Word::Title]
    }

    fn describe<'a>(
        &'a self,
        api: &'a Api,
        ask: &'a ProductAsk,
        _key: Uuid,
    ) -> BoxFuture<'a, Result<Words, CallError>> {
        Box::pin(outbound::describe(api, ask))
    }

    fn take_off<'a>(
        &'a self,
        api: &'a Api,
        handles: &'a [Handle],
        _key: Uuid,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        Box::pin(outbound::take_off(api, handles))
    }

    fn subscribes(&self) -> bool {
        true
    }

    /// The key of our app signs, so no secret is chosen.
    fn subscribe<'a>(
        &'a self,
        api: &'a Api,
        address: &'a str,
        _secret: Option<&'a Secret>,
    ) -> BoxFuture<'a, Result<Option<Secret>, CallError>> {
        Box::pin(async move { outbound::subscribe(api, address).await.map(|()| None) })
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
