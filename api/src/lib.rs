//! Onhand's doors: REST, webhooks and the command line, and the program that puts everything together.

pub mod app;
pub mod cli;
pub mod compose;
mod export;
pub mod extract;
mod http;
mod made;
pub mod problem;
pub mod routes;
pub mod serve;

pub use app::{App, router};
pub use compose::Onhand;
