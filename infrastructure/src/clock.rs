//! The one clock of the program. It goes by the database's, so that processes on machines whose clocks differ agree; and a test can
//! turn its hands.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::database;

/// How often it is set by the database's.
const EVERY: Duration = Duration::from_secs(10);
/// What it may differ by without being set, in microseconds: less is not worth a leap.
const AGREES: i64 = 100_000;
/// What is worth telling, in microseconds.
const FAR_OFF: i64 = 1_000_000;

/// Tells the time, in microseconds as Postgres keeps it.
#[derive(Debug, Clone)]
pub struct Clock {
    /// The time when counting began, in microseconds of the Unix epoch.
    began: Arc<AtomicI64>,
}

impl Default for Clock {
    /// By the machine's clock.
    fn default() -> Self {
        let began = Utc::now().timestamp_micros() - elapsed();
        Self { began: Arc::new(AtomicI64::new(began)) }
    }
}

impl Clock {
    /// The present moment.
    pub fn now(&self) -> DateTime<Utc> {
        let micros = self.began.load(Ordering::Relaxed).saturating_add(elapsed());
        DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Turns the hands forward; time goes on from there.
    pub fn advance(&self, by: TimeDelta) {
        self.began.fetch_add(by.num_microseconds().unwrap_or_default(), Ordering::Relaxed);
    }

    /// Sets it by the database's clock.
    pub async fn set_by(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let mut conn = pool.acquire().await?;
        let (began, asked) = (self.began.load(Ordering::Relaxed), elapsed());
        let theirs = database::time(&mut conn).await?.timestamp_micros();
        let Some(off) = off(began, (asked, theirs, elapsed())) else { return Ok(()) };
        // Of two that set it at the same time one does.
        let set = self.began.compare_exchange(began, began + off, Ordering::Relaxed, Ordering::Relaxed);
        if set.is_ok() && off.abs() > FAR_OFF {
            let seconds = off as f64 / 1e6;
            tracing::warn!(seconds, "this process's clock was set by the database's: by so many seconds");
        }
        Ok(())
    }

    /// Keeps it so, for as long as it is polled.
    pub async fn keep_by(&self, pool: &PgPool) -> Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            // It goes on by itself meanwhile.
            if let Err(error) = self.set_by(pool).await {
                tracing::debug!(%error, "the database does not tell the time for the moment");
            }
        }
    }
}

/// By how much the clock is to be set: nothing if it agrees, as far as can be told. An answer that took long says little.
fn off(began: i64, (asked, theirs, answered): (i64, i64, i64)) -> Option<i64> {
    let took = answered - asked;
    let off = theirs - (began + asked + took / 2);
    (off.abs() > AGREES.max(took)).then_some(off)
}

/// Since some beginning, in microseconds: whatever anybody sets the machine's clock to, and also while it sleeps.
fn elapsed() -> i64 {
    #[cfg(target_os = "linux")]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
    }
    #[cfg(not(target_os = "linux"))]
    {
        static BEGINNING: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        i64::try_from(BEGINNING.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_set_only_where_the_database_says_another_time_however_long_it_takes_to_answer() {
        let (began, second) = (1_000_000_000, 1_000_000);
        let theirs = |off: i64, asked: i64, took: i64| began + asked + took / 2 + off;
        for (off_by, took, set) in [
            (0, 200, false),
            (90_000, 200, false),
            (-150_000, 200, true),
            (2 * second, second, true),
            (second / 2, second, false),
            (-700 * 86_400 * second, 5 * second, true),
        ] {
            let asked = 3 * second;
            let found = off(began, (asked, theirs(off_by, asked, took), asked + took));
            assert_eq!(found, set.then_some(off_by), "{off_by} off, told within {took}");
        }
    }
}
