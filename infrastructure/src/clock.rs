//! The one clock of the program. It goes by the database's, so that processes on machines whose clocks differ agree; and a test can
//! turn its hands.

use std::{
    convert::Infallible,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
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

/// What is counted on from: somebody may set the machine's clock while the program runs.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

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
        let asked = elapsed();
        let theirs = database::time(&mut conn).await?;
        let answered = elapsed();
        let ours = self.began.load(Ordering::Relaxed) + asked + (answered - asked) / 2;
        let off = theirs.timestamp_micros() - ours;
        // An answer that took long says little.
        if off.abs() > AGREES.max(answered - asked) {
            self.began.fetch_add(off, Ordering::Relaxed);
            if off.abs() > FAR_OFF {
                let seconds = off as f64 / 1e6;
                tracing::warn!(
                    seconds,
                    "this process's clock was set by the database's, which is so far ahead of it"
                );
            }
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

/// Since counting began, in microseconds.
fn elapsed() -> i64 {
    i64::try_from(BEGINNING.elapsed().as_micros()).unwrap_or(i64::MAX)
}
