//! Answers of the database that are believed for a moment, and the turns in which they are asked for.
//!
//! However many want to know the same thing at the same instant, few ask, and the pool stays free for the work.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::{database::Reach, ledger::LedgerError};

/// Questions of one kind that are asked at the same time.
const AT_ONCE: usize = 4;
/// How long a caller waits for a turn before it is told that there is too much to do.
const WAIT: Duration = Duration::from_secs(5);

/// Turns at asking the database.
pub(crate) struct Turns {
    turns: Semaphore,
    reach: Reach,
}

impl Default for Turns {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_ONCE), reach: Reach::default() }
    }
}

impl Turns {
    /// Waits for a turn. Whoever has got one should look again first: the answer may have come meanwhile.
    pub(crate) async fn take(&self, pool: &PgPool) -> Result<SemaphorePermit<'_>, LedgerError> {
        match timeout(WAIT, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(self.unheard(pool).await),
        }
    }

    /// What a failure comes to. That no connection came free in time says nothing yet about the database.
    pub(crate) async fn told(&self, pool: &PgPool, error: LedgerError) -> LedgerError {
        match error {
            LedgerError::Database(sqlx::Error::PoolTimedOut) => self.unheard(pool).await,
            other => other,
        }
    }

    /// Why a question was not answered in time: it is one too many, or nobody is there to answer it.
    async fn unheard(&self, pool: &PgPool) -> LedgerError {
        if self.reach.is_gone(pool).await {
            LedgerError::Unavailable("no connection could be opened".to_owned())
        } else {
            LedgerError::Busy
        }
    }
}

/// What was looked up lately, by key. An answer that is older than its time is asked for again.
pub struct Believed<K, V> {
    entries: Mutex<HashMap<K, (Instant, V)>>,
    turns: Turns,
    lasting: Duration,
    entries_max: usize,
}

impl<K: Eq + Hash, V: Clone> Believed<K, V> {
    /// Nothing is known yet; what comes to be known is believed for `lasting`. Beyond `entries_max` all is forgotten.
    pub fn new(lasting: Duration, entries_max: usize) -> Self {
        Self { entries: Mutex::default(), turns: Turns::default(), lasting, entries_max }
    }

    /// What is believed; nobody is asked.
    pub fn find(&self, key: &K) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, value) = entries.get(key)?;
        (since.elapsed() < self.lasting).then(|| value.clone())
    }

    /// What is believed, or else what `ask` finds. That there is nothing is not believed, but asked each time.
    pub async fn find_or_ask(
        &self,
        pool: &PgPool,
        key: K,
        ask: impl AsyncFnOnce(&K) -> Result<Option<V>, LedgerError>,
    ) -> Result<Option<V>, LedgerError> {
        if let Some(value) = self.find(&key) {
            return Ok(Some(value));
        }
        let _turn = self.turns.take(pool).await?;
        if let Some(value) = self.find(&key) {
            return Ok(Some(value));
        }
        let found = match ask(&key).await {
            Ok(found) => found,
            Err(error) => return Err(self.turns.told(pool, error).await),
        };
        if let Some(value) = &found {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            if entries.len() >= self.entries_max {
                entries.clear();
            }
            entries.insert(key, (Instant::now(), value.clone()));
        }
        Ok(found)
    }

    /// Forgets one answer: what it was about has changed.
    pub fn forget(&self, key: &K) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
