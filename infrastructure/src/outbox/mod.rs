//! The outbox: what platforms are still to be told, written by the very commit that made it true.

pub mod breakers;
pub mod budgets;
mod claim;
mod derive;
pub mod follow_ups;
pub(crate) mod let_out;
mod offers;
mod owe;
mod settle;

pub use claim::{
    ACCOUNTS_MAX, Account, Claimed, Command, CommandKind, claim, claim_of, give_back_expired,
    waiting_accounts,
};
pub(crate) use derive::{Touched, derive};
pub(crate) use owe::owe;
pub use owe::{Owed, Subject, given_up_of, open_up_to, paused_up_to};
pub(crate) use settle::settle;
pub use settle::{Settlement, Verdict, put_off_content};
