//! The port through which platforms are told what to show, and asked what they show.
//!
//! One shape for all, so that the relay is written once. An implementation turns asks into calls and answers for each
//! thing asked what became of it, in words that say what to do next: nobody else knows a platform's errors. Values are
//! always whole ("show 5"), never differences, so that a repeated call does no harm.

mod api;
mod error;
mod masks;
pub(super) mod options;
mod products;

use std::time::Duration;

use futures_util::future::BoxFuture;
use onhand_domain::{
    connection::Platform,
    product::{Word, Words},
    values::{ExternalId, Money},
};
use uuid::Uuid;

use crate::secrets::Secret;

pub use self::{
    api::{Account, Answer, Api, Permits, http_client, http_client_builder},
    error::CallError,
    products::{Offered, ProductAsk, Skills, VariantAsk},
};

/// A listing as the platform knows it; the ids are those its webhooks and looks have told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    /// Their product.
    pub product: ExternalId,
    /// Their variant; where a product has none, the product's id again.
    pub variant: ExternalId,
    /// Their handle on its stock, where they gave one.
    pub inventory: Option<ExternalId>,
}

/// One quantity to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityAsk {
    /// Of what.
    pub handle: Handle,
    /// Units for sale, never below 0.
    pub quantity: i64,
    /// What is thought to be shown now, for platforms that compare before they set; none to have it looked up.
    pub believed: Option<i64>,
}

/// One price to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceAsk {
    /// Of what.
    pub handle: Handle,
    /// In the connection's currency.
    pub price: Money,
}

/// What became of one thing asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The platform shows the value now.
    Shown(T),
    /// The platform shows something else than believed; nothing was changed. Try again from `observed`.
    Stale {
        /// What it shows.
        observed: T,
    },
    /// It could not be done.
    Failed(CallError),
}

/// What a platform shows of one listing. Unknown is not zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Units for sale; none where the platform does not say or does not count.
    pub quantity: Option<i64>,
    /// The price; none where the platform does not say, or says it in another currency.
    pub price: Option<Money>,
}

/// What a platform tells whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subscription {
    /// The platform's id of it; where it has none, the topic.
    pub id: String,
    /// In the platform's words.
    pub topic: String,
    /// Where it is told.
    pub address: String,
}

/// How often a platform may be called for one account, by what it publishes or what we were told to keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// So many calls …
    pub calls: u32,
    /// … in any such time.
    pub within: Duration,
}

/// New credentials for old ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// What calls are made with from now on.
    pub access_token: Secret,
    /// What the next renewal is made with; none if the old one stays good.
    pub refresh_token: Option<Secret>,
    /// How long the access token is good for.
    pub lasts: Option<Duration>,
}

/// A platform's side of what is pushed, read back and registered.
///
/// Implementations answer one outcome for each ask, in order, whatever happens: a failure of a whole call is the outcome of
/// each ask in it. They make a call for as many asks as the platform takes at once, and where it takes one thing a call
/// make several calls at the same time, at most [`CALLS_AT_ONCE`].
pub trait Outbound: Sync {
    /// How often it may be called. Calls that an implementation cannot count beforehand are limited by its own means.
    fn limits(&self) -> &'static [Limit] {
        &[]
    }

    /// Whether prices can be set at all.
    fn sets_prices(&self) -> bool {
        true
    }

    /// Whether it sets a quantity only where it shows what it is believed to. Elsewhere a call that is applied late, when
    /// we have long given it up, puts an old figure in the place of a newer one.
    fn compares(&self) -> bool {
        false
    }

    /// Has quantities shown. `key` is this attempt's: repeated with it, the same asks are applied once, where the platform
    /// takes keys at all.
    fn set_quantities<'a>(
        &'a self,
        api: &'a Api,
        asks: &'a [QuantityAsk],
        key: Uuid,
    ) -> BoxFuture<'a, Vec<Outcome<i64>>>;

    /// Has prices shown; the same key, the same once.
    fn set_prices<'a>(
        &'a self,
        api: &'a Api,
        asks: &'a [PriceAsk],
        key: Uuid,
    ) -> BoxFuture<'a, Vec<Outcome<Money>>>;

    /// What is shown of each, in order. What is not there is [`CallError::Never`]; a call that is refused is not, see
    /// [`CallError::of_none`].
    fn read<'a>(
        &'a self,
        api: &'a Api,
        handles: &'a [Handle],
    ) -> BoxFuture<'a, Vec<Result<Shown, CallError>>>;

    /// What can be done with whole products.
    fn skills(&self) -> Skills {
        Skills::default()
    }

    /// Which of the words that describe a product it can be told.
    fn words(&self) -> &'static [Word] {
        &[]
    }

    /// Makes a product, or those of its variants that are not there, with nothing for sale: quantities are told afterwards.
    ///
    /// Variants are looked for by their SKUs first. What is there already is found and not made again, so that a call whose
    /// answer was lost can be repeated; where a platform takes keys, `key` is this attempt's. Of several that are for sale
    /// under one SKU none is taken, unless the product's others tell which. All or nothing, as far as
    /// the platform allows: after a failure what was made is found by the next attempt.
    fn offer<'a>(
        &'a self,
        _api: &'a Api,
        _ask: &'a ProductAsk,
        _key: Uuid,
    ) -> BoxFuture<'a, Result<Offered, CallError>> {
        Box::pin(async { Err(CallError::never("products cannot be made on this platform")) })
    }

    /// Has a product described in these words; its variants are all that are there. Says what describes it then, as the
    /// platform's webhooks and looks tell it.
    fn describe<'a>(
        &'a self,
        _api: &'a Api,
        _ask: &'a ProductAsk,
        _key: Uuid,
    ) -> BoxFuture<'a, Result<Words, CallError>> {
        Box::pin(async { Err(CallError::never("products cannot be described on this platform")) })
    }

    /// Takes a product off, of which these are all the variants there; in the way that can be undone there, if there is one.
    /// What is not there is off already.
    fn take_off<'a>(
        &'a self,
        _api: &'a Api,
        _handles: &'a [Handle],
        _key: Uuid,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        Box::pin(async { Err(CallError::never("products cannot be taken off this platform")) })
    }

    /// Whether webhooks can be asked for through the API; elsewhere somebody enters the address in the platform's dashboard.
    fn subscribes(&self) -> bool {
        false
    }

    /// Asks for the webhooks this project has a use for, at an address. What is asked for already is fine. `secret` is
    /// what they are to be signed with, where the platform lets the subscriber choose; where the platform chooses, the
    /// answer is what it has chosen, if it has just told so.
    fn subscribe<'a>(
        &'a self,
        _api: &'a Api,
        _address: &'a str,
        _secret: Option<&'a Secret>,
    ) -> BoxFuture<'a, Result<Option<Secret>, CallError>> {
        Box::pin(async { Ok(None) })
    }

    /// What the platform tells whom.
    fn subscriptions<'a>(&'a self, _api: &'a Api) -> BoxFuture<'a, Result<Vec<Subscription>, CallError>> {
        Box::pin(async { Ok(vec![]) })
    }

    /// Ends a subscription; one that is not there is ended already.
    fn unsubscribe<'a>(
        &'a self,
        _api: &'a Api,
        _subscription: &'a Subscription,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        Box::pin(async { Ok(()) })
    }

    /// New credentials, where the platform gives such that end; none where it does not.
    fn renew<'a>(&'a self, _api: &'a Api) -> Option<BoxFuture<'a, Result<Renewed, CallError>>> {
        None
    }
}

/// Calls that are made at the same time for one account, where a platform takes one thing a call.
pub const CALLS_AT_ONCE: usize = 4;

/// Who pushes to a platform; none for those that only tell.
pub fn outbound_of(platform: Platform) -> Option<&'static dyn Outbound> {
    match platform {
        Platform::Shopify => Some(&super::shopify::Shopify),
        Platform::Square => Some(&super::square::Square),
        Platform::Clover => Some(&super::clover::Clover),
        Platform::Shopee => Some(&super::shopee::Shopee),
        Platform::TiktokShop => Some(&super::tiktokshop::TiktokShop),
        Platform::Trackstar => Some(&super::trackstar::Trackstar),
        Platform::Woocommerce => Some(&super::woocommerce::Woocommerce),
        Platform::Kicksdb | Platform::Standard | Platform::Tradingview => None,
    }
}
