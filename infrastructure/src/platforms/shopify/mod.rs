//! Shopify: webhooks in, Admin GraphQL out, and a stand-in shop that speaks both.
//!
//! The adapter and the stand-in share no code, so that a misunderstanding in one is not repeated by the other.

pub mod inbound;
pub mod outbound;
pub mod sandbox;
