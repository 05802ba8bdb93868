//! Webhooks: verified over the raw bytes, acted on once, never lost.

mod crossing;
mod kicksdb;
mod limits;
mod looks;
mod monitors;
mod order_of_facts;
mod outage;
mod payments;
mod platforms;
mod replay;
mod shopify;
mod watching;
