//! Laws, faults and journeys against a real Postgres. One binary; a database a test.

mod api;
mod history;
mod journeys;
mod ledger;
mod projector;
mod relay;
mod stock;
mod tidy;
mod webhooks;
