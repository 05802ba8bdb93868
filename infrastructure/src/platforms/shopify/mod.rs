//! Shopify: webhooks in, Admin GraphQL out, and a stand-in shop that speaks both.
//!
//! The adapter and the stand-in share no code, so that a misunderstanding in one is not repeated by the other.

mod inbound;
mod outbound;
mod sample;
pub mod sandbox;

use futures_util::future::BoxFuture;
use onhand_domain::{
    product::{Word, Words},
    values::Money,
};
use uuid::Uuid;

pub(super) use self::outbound::Points;
use self::outbound::Shop;
use super::{
    adapter::{Adapter, Genuine, Inbound, Made, Sample},
    fact::{Decoded, Identity, Person, Rejection, Undecodable},
    outbound::{
        Api, CallError, Handle, Offered, Outbound, Outcome, PriceAsk, ProductAsk, QuantityAsk, Shown, Skills,
        Subscription,
    },
};
use crate::secrets::Secret;

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

    fn other_accounts(&self, delivery: &Genuine<'_>) -> Vec<String> {
        inbound::other_accounts(delivery.topic, delivery.body, delivery.details)
    }

    fn is_anothers(&self, delivery: &Genuine<'_>) -> bool {
        !self.other_accounts(delivery).is_empty()
    }

    fn person(&self, delivery: &Genuine<'_>) -> Option<Person> {
        inbound::person(delivery.topic, delivery.body)
    }

    fn topics(&self) -> &'static [&'static str] {
        &sample::TOPICS
    }

    fn sample(&self, topic: &str, sample: &Sample<'_>) -> Option<Made> {
        sample::sample(topic, sample)
    }
}

/// The Admin GraphQL API. Its limit is one of calculated cost, which each answer tells.
impl Outbound for Shopify {
    fn compares(&self) -> bool {
        true
    }

    fn set_quantities<'a>(
        &'a self,
        api: &'a Api,
        asks: &'a [QuantityAsk],
        key: Uuid,
    ) -> BoxFuture<'a, Vec<Outcome<i64>>> {
        Box::pin(async move { Shop::new(api).set_quantities(asks, key).await })
    }

    /// Prices take no key: to repeat them does no harm.
    fn set_prices<'a>(
        &'a self,
        api: &'a Api,
        asks: &'a [PriceAsk],
        _key: Uuid,
    ) -> BoxFuture<'a, Vec<Outcome<Money>>> {
        Box::pin(async move { Shop::new(api).set_prices(asks).await })
    }

    fn read<'a>(
        &'a self,
        api: &'a Api,
        handles: &'a [Handle],
    ) -> BoxFuture<'a, Vec<Result<Shown, CallError>>> {
        Box::pin(async move { Shop::new(api).read(handles).await })
    }

    fn skills(&self) -> Skills {
        Skills { offers: true, describes: true, takes_off: true }
    }

    fn words(&self) -> &'static [Word] {
        &Word::ALL
    }

    /// Products take no key: their SKUs and the name of their page tell them apart.
    fn offer<'a>(
        &'a self,
        api: &'a Api,
        ask: &'a ProductAsk,
        _key: Uuid,
    ) -> BoxFuture<'a, Result<Offered, CallError>> {
        Box::pin(async move { Shop::new(api).offer(ask).await })
    }

    fn describe<'a>(
        &'a self,
        api: &'a Api,
        ask: &'a ProductAsk,
        _key: Uuid,
    ) -> BoxFuture<'a, Result<Words, CallError>> {
        Box::pin(async move { Shop::new(api).describe(ask).await })
    }

    fn take_off<'a>(
        &'a self,
        api: &'a Api,
        handles: &'a [Handle],
        _key: Uuid,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        Box::pin(async move { Shop::new(api).take_off(handles).await })
    }

    fn subscribes(&self) -> bool {
        true
    }

    /// The app's own secret signs, so none is chosen.
    fn subscribe<'a>(
        &'a self,
        api: &'a Api,
        address: &'a str,
        _secret: Option<&'a Secret>,
    ) -> BoxFuture<'a, Result<Option<Secret>, CallError>> {
        Box::pin(async move { Shop::new(api).subscribe(address).await.map(|()| None) })
    }

    fn subscriptions<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, Result<Vec<Subscription>, CallError>> {
        Box::pin(async move { Shop::new(api).subscriptions().await })
    }

    fn unsubscribe<'a>(
        &'a self,
        api: &'a Api,
        subscription: &'a Subscription,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        Box::pin(async move { Shop::new(api).unsubscribe(&subscription.id).await })
    }
}
