//! The harness: a Postgres, a database a test, the product's parts around it, and ways to look at them.

pub mod bench;
pub mod channels;
pub mod client;
pub mod convergence;
pub mod issuer;
pub mod postgres;
pub mod process;
pub mod sample;
pub mod shop;
pub mod stand_in;
pub mod world;

pub use client::{Answer, Client};
pub use postgres::Database;
pub use world::World;
