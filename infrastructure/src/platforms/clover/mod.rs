//! Clover: webhooks that say which items and orders of a merchant have changed, and no more.
//!
//! What has changed is read from Clover's API. A webhook carries a code that never changes, and no signature.
//! Quantities and prices are set, and products offered, through the same API, item by item. The stand-in shares no code
//! with any of this.

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
        Api, CallError, Handle, Limit, Offered, Outbound, Outcome, PriceAsk, ProductAsk, QuantityAsk,
        Renewed, Shown, Skills,
    },
};

/// Clover's webhooks, the reading of what they hint at, and what is pushed to its items.
#[derive(Debug)]
pub(super) struct Clover;

impl Adapter for Clover {
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
        Some("https://api.clover.com")
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

impl Outbound for Clover {
    fn limits(&self) -> &'static [Limit] {
        outbound::LIMITS
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
        _key: Uuid,
    ) -> BoxFuture<'a, Result<Offered, CallError>> {
        Box::pin(outbound::offer(api, ask))
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

    fn renew<'a>(&'a self, api: &'a Api) -> Option<BoxFuture<'a, Result<Renewed, CallError>>> {
        let refresh_token = api.account().refresh_token.as_ref()?;
        Some(Box::pin(outbound::renew(api, refresh_token)))
    }
}
