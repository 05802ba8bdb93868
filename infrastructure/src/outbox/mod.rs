//! The outbox: what platforms are still to be told, written by the very commit that made it true.

mod claim;
mod derive;
pub mod follow_ups;
mod settle;

pub use claim::{Command, CommandKind, claim, give_back_expired};
pub(crate) use derive::{Touched, derive};
pub(crate) use settle::settle;
pub use settle::{Settlement, Verdict};
