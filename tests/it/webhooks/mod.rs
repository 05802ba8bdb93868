//! Webhooks: verified over the raw bytes, acted on once, never lost.

mod kicksdb;
mod shopify;
