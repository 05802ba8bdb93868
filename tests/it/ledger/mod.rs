//! The ledger: order, atomicity, immutability, proof.

mod concurrency;
mod idempotency;
mod immutability;
mod schema;
mod states;
