//! A stand-in Shopify shop: it speaks the platform's wire format over real HTTP and misbehaves on demand.
//!
//! It exists so that the adapter can be run, shown and tested without an account, a network or luck.
//!
//! A [`SandboxShop`] keeps its own products, stock and orders. Callers reach it as they reach the platform, with
//! GraphQL at `/admin/api/{version}/graphql.json`; it answers with the platform's three layers of errors, rations
//! requests by calculated cost, and remembers idempotency keys. What happens in it, whether a customer buys, a
//! merchant edits or the API changes something, is told to subscribers in signed webhooks, echoes included.
//! [`Faults`] makes it slow, silent, forgetful or down. People reach the same through the routes below `/sandbox`.
//!
//! What it leaves out: more than one location or sales channel, currencies, taxes, fulfilment, permissions, and every field
//! of the schema that products, stock and prices do not need. A field it does not know is refused as the platform refuses one.

mod bucket;
mod control;
mod document;
mod entering;
mod graphql;
mod idempotency;
mod money;
mod mutations;
mod products;
mod queries;
mod schema;
mod server;
mod shop;
mod state;
#[cfg(test)]
mod tests;
mod webhooks;

pub use super::super::sandbox::{FaultSettings, Faults};
pub use bucket::CostBucket;
pub use money::{Money, NotMoney};
pub use shop::{CallCounts, SandboxShop, ShopSettings, ShownVariant};
pub use state::{Order, OrderLine, Product, ProductIds, SeedProduct, SeedVariant, Variant, VariantIds};
pub use webhooks::{
    Notice, inventory_level_body, inventory_level_gone_body, order_body, product_body, product_deleted_body,
    sign, webhook_headers, wire_bytes,
};
