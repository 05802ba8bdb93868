//! Journeys: the program as processes, and what a kill leaves behind.

mod command_line;
mod crash;
mod import;
mod local_postgres;
mod operators;
mod status;
mod unheard;
