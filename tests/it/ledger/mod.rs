//! The ledger: order, atomicity, immutability, proof.

mod ahead;
mod clock;
mod concurrency;
mod idempotency;
mod immutability;
mod schema;
mod states;
