//! The ledger: order, atomicity, immutability, proof.

mod ahead;
mod concurrency;
mod idempotency;
mod immutability;
mod schema;
mod states;
