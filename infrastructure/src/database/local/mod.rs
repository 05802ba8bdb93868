//! Postgres without set-up: finds server binaries, makes a cluster in the data folder, runs and shares it.
//!
//! It exists so that the program works on a machine where nobody has prepared a database. Nothing here is
//! used when `DATABASE_URL` names one.
//!
//! The data folder holds `pg` (the cluster), `run` (its socket), `pg.pass` (the superuser's password),
//! `postgres.log`, `connection.json` (what was started, for people and for `onhand db info`), `postgresql`
//! (downloaded binaries) and two lock files. `lock` is held while a server is being started, stopped or
//! removed; `in-use.lock` is held, shared, by each program for as long as it uses the server. The kernel lets
//! go of both when a program dies, however it dies.
//!
//! The server is in no way tied to the life of the program that started it: after a `kill -9` it goes on, and
//! the next program adopts it, its shutdown included.

mod error;
mod settings;

#[cfg(unix)]
mod account;
#[cfg(unix)]
mod binaries;
#[cfg(unix)]
mod cluster;
#[cfg(unix)]
mod launch;
#[cfg(unix)]
mod lock;
#[cfg(unix)]
mod obtain;
#[cfg(unix)]
mod postmaster;
#[cfg(unix)]
mod server;
#[cfg(not(unix))]
#[path = "elsewhere.rs"]
mod server;

pub use error::LocalPostgresError;
pub use server::{LocalPostgres, psql, reset, status, stop};
pub use settings::{LocalInfo, LocalSettings};
