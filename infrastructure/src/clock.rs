//! The one clock of the program, so that a test can turn its hands.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time, in microseconds as Postgres keeps it.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The present moment.
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6) + TimeDelta::milliseconds(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Turns the hands forward; time goes on from there.
    pub fn advance(&self, by: TimeDelta) {
        self.ahead_ms.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
    }
}
