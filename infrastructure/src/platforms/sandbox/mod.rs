//! Stand-in platforms: each speaks its platform's wire format over real HTTP and misbehaves on demand.
//!
//! What all have in common is here: goods with stock and prices of their own, orders, subscriptions, rates, faults, and
//! webhooks that are sent until they are taken. How a platform words all that is its [`Wire`]. A stand-in and its adapter
//! share no code, so that a misunderstanding in one is not repeated by the other. (Shopify's is older and has a
//! shop of its own; the door, the faults and the deliveries are the same.)

pub(super) mod deliveries;
pub(super) mod door;
pub(super) mod faults;
mod server;
mod shop;
mod stand;
mod wire;

use onhand_domain::connection::Platform;

pub use self::{
    deliveries::Parcel,
    faults::{FaultSettings, Faults},
    shop::{Described, Good, Happened, Order, Remembered, Settings, Shop, Subscription},
    stand::{Calls, Sandbox},
    wire::{Reply, Request, Wire},
};

/// Who can stand in for a platform; none where nothing is called, and for Shopify, which has its own.
pub fn wire_of(platform: Platform) -> Option<&'static dyn Wire> {
    match platform {
        Platform::Square => Some(&super::square::sandbox::Square),
        Platform::Clover => Some(&super::clover::sandbox::Clover),
        Platform::Shopee => Some(&super::shopee::sandbox::Shopee),
        Platform::TiktokShop => Some(&super::tiktokshop::sandbox::TiktokShop),
        Platform::Trackstar => Some(&super::trackstar::sandbox::Trackstar),
        Platform::Woocommerce => Some(&super::woocommerce::sandbox::Woocommerce),
        Platform::Shopify | Platform::Kicksdb | Platform::Standard | Platform::Tradingview => None,
    }
}
