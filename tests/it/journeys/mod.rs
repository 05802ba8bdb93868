//! Journeys: the program as processes, and what a kill leaves behind.

mod command_line;
mod crash;
mod local_postgres;
mod operators;
mod unheard;
