//! Whether the database answers at all: what a pool that has no connection to give cannot say.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, PgPool};
use tokio::{sync::Mutex, time::timeout};

/// How long the database is given to let somebody in.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what was found out is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// `too_many_connections`: the server, the database or the account has as many as it may have.
const FULL: &str = "53300";

/// What came of asking to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It lets one more in, or has no room for one, and the pool has one to give that it let in before.
    LetIn,
    /// It says no, or nobody is there.
    TurnedAway,
    /// Not a word: it is away, or this process is too busy to hear it. Or it is full, and the pool gives none.
    Silence,
}

/// What was found out last. However many want to know, one asks, over a connection that is none of the pool's.
#[derive(Default)]
pub struct Reach(Mutex<Option<(Instant, Found)>>);

impl Reach {
    /// Whether the database behind a pool is there for it. Says so within seconds.
    pub async fn answers(&self, pool: &PgPool) -> bool {
        self.found(pool).await == Found::LetIn
    }

    /// Whether it is certain that it lets nobody in. Says so within seconds.
    pub async fn is_gone(&self, pool: &PgPool) -> bool {
        self.found(pool).await == Found::TurnedAway
    }

    async fn found(&self, pool: &PgPool) -> Found {
        let mut last = self.0.lock().await;
        if let Some((since, found)) = *last
            && since.elapsed() < BELIEVED
        {
            return found;
        }
        let found = match timeout(PATIENCE, ask(pool)).await {
            Ok(Ok(())) => Found::LetIn,
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => Found::Silence,
            Ok(Err(_)) => Found::TurnedAway,
        };
        *last = Some((Instant::now(), found));
        found
    }
}

fn is_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some(FULL)
}

async fn ask(pool: &PgPool) -> Result<(), sqlx::Error> {
    match PgConnection::connect_with(&pool.connect_options()).await {
        // Whoever says that there is no room is there. Whether the pool has any is not told by its size, which also counts
        // those that it is still asking for.
        Err(error) if is_full(&error) => pool.acquire().await.map(drop),
        asked => asked?.close().await,
    }
}
