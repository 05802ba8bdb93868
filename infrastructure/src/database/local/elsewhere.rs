//! Stands in for the server where there is no Unix.
//! The program then compiles the same and asks for `DATABASE_URL`.

use std::convert::Infallible;
use std::process::Command;

use sqlx::postgres::PgConnectOptions;

use super::{LocalInfo, LocalPostgresError, LocalSettings};

/// Never exists: [`start`](Self::start) always fails here.
#[derive(Debug)]
pub struct LocalPostgres(Infallible);

impl LocalPostgres {
    /// Fails.
    pub async fn start(_: LocalSettings) -> Result<Self, LocalPostgresError> {
        Err(LocalPostgresError::Unsupported)
    }

    /// Cannot be called.
    pub fn connect_options(&self, _: &str) -> PgConnectOptions {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn url(&self, _: &str) -> String {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn started_here(&self) -> bool {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn info(&self) -> LocalInfo {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn create_database(&self, _: &str) -> Result<(), LocalPostgresError> {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn gone(&self) {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn stop(self) -> Result<(), LocalPostgresError> {
        match self.0 {}
    }
}

/// Fails.
pub async fn status(_: &LocalSettings) -> Result<Option<LocalInfo>, LocalPostgresError> {
    Err(LocalPostgresError::Unsupported)
}

/// Fails.
pub async fn stop(_: &LocalSettings) -> Result<bool, LocalPostgresError> {
    Err(LocalPostgresError::Unsupported)
}

/// Fails.
pub async fn reset(_: &LocalSettings) -> Result<bool, LocalPostgresError> {
    Err(LocalPostgresError::Unsupported)
}

/// Fails.
pub fn psql(_: &LocalSettings, _: &str, _: &[String]) -> Result<Command, LocalPostgresError> {
    Err(LocalPostgresError::Unsupported)
}
