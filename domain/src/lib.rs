//! What is true about stock and the channels that sell it.
//!
//! Events, decisions and values; no clock, no randomness, no I/O. Every rule of the product that can
//! be stated without a database is stated here, and tested beside its code.

pub mod administration;
pub mod aggregate;
pub mod cart;
pub mod catalog;
pub mod connection;
pub mod delivery;
pub mod event;
pub mod flag;
pub mod key;
pub mod listing;
pub mod location;
pub mod monitor;
pub mod order;
pub mod product;
pub mod refusal;
pub mod reservation;
#[cfg(any(test, feature = "testing"))]
pub mod scenario;
pub mod sighting;
pub mod signal;
pub mod sku_claim;
pub mod stock;
pub mod stream;
pub mod values;

pub use event::Event;
pub use refusal::{Refusal, RefusalKind};
pub use stream::{State, StreamId};
