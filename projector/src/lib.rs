//! Read models: grown live from the ledger, rebuilt from it at will, equal either way.
//!
//! Two kinds. *State tables* say what the entries of single streams add up to and are written by the
//! commit itself, so they are never behind. *Projections* follow the ledger at a distance, each with a
//! checkpoint that moves in the transaction of its rows, so that nothing is applied twice or skipped.

pub mod checkpoint;
mod error;
mod pause;
pub mod projections;
pub mod rebuild;
pub mod registry;
pub mod runner;

pub use error::ProjectorError;
pub use pause::{pause, resume};
pub use rebuild::{OnDifference, Rebuilt, rebuild};
pub use registry::{MODELS, ReadModel, find as find_model, state_tables};
pub use runner::Projector;
