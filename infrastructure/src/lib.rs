//! Everything that touches Postgres or the network: the ledger, the outbox, the relay, the platforms.

pub mod bearer;
pub mod believed;
pub mod clock;
pub mod config;
pub mod database;
pub mod ledger;
pub mod observation;
pub mod oidc;
pub mod operations;
pub mod outbox;
mod persons;
pub mod platforms;
pub mod queries;
pub mod relay;
pub mod secrets;
mod unquoted;

pub use unquoted::{unquoted, unquoted_for_sender};
