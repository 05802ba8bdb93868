//! The platforms: who speaks which wire format, in and out.
//!
//! Each platform's `inbound` turns a signed request into [`Fact`]s and its `outbound` turns wishes into calls, so
//! that nothing else in the project knows how a platform spells anything.

pub mod fact;
pub mod kicksdb;
pub mod shopify;
mod signature;

pub use fact::{Decoded, Fact, Identity, Rejection, SoldLine, Undecodable};
