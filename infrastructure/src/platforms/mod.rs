//! The platforms: who speaks which wire format, in and out.
//!
//! Each platform's [`Adapter`] turns a signed request into [`Fact`]s and its `outbound` turns wishes into calls, so
//! that nothing else in the project knows how a platform spells anything.

pub mod adapter;
mod clover;
#[cfg(test)]
mod conformance;
pub mod fact;
pub mod kicksdb;
pub mod outbound;
mod read;
pub mod sandbox;
mod shopee;
pub mod shopify;
mod signature;
mod square;
mod standard;
mod svix;
mod tiktokshop;
mod trackstar;
mod tradingview;
mod woocommerce;

use onhand_domain::connection::Platform;

pub(crate) use read::is_address;
pub(crate) use signature::{content_id, hmac_sha256};
pub(crate) use svix::is_secret as is_svix_secret;

pub use self::{
    adapter::{Access, Adapter, Call, Genuine, Hint, Inbound, Made, Sample},
    fact::{Decoded, Fact, Identity, OrderTimes, Person, Rejection, SoldLine, Undecodable},
};

/// Who understands a platform.
pub fn adapter_of(platform: Platform) -> &'static dyn Adapter {
    match platform {
        Platform::Shopify => &shopify::Shopify,
        Platform::Kicksdb => &kicksdb::Kicksdb,
        Platform::Square => &square::Square,
        Platform::Clover => &clover::Clover,
        Platform::Shopee => &shopee::Shopee,
        Platform::TiktokShop => &tiktokshop::TiktokShop,
        Platform::Trackstar => &trackstar::Trackstar,
        Platform::Woocommerce => &woocommerce::Woocommerce,
        Platform::Standard => &standard::Standard,
        Platform::Tradingview => &tradingview::Tradingview,
    }
}
