//! Whether the database answers at all: what a pool that has no connection to give cannot say.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, PgPool};
use tokio::{sync::Mutex, time::timeout};

/// How long the database is given to let somebody in.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what was found out is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// What was found out last. However many want to know, one asks, over a connection that is none of the pool's.
#[derive(Default)]
pub struct Reach(Mutex<Option<(Instant, bool)>>);

impl Reach {
    /// Whether the database behind a pool lets somebody in. Says so within seconds.
    pub async fn answers(&self, pool: &PgPool) -> bool {
        let mut last = self.0.lock().await;
        if let Some((since, answers)) = *last
            && since.elapsed() < BELIEVED
        {
            return answers;
        }
        let answers = matches!(timeout(PATIENCE, ask(pool)).await, Ok(Ok(())));
        *last = Some((Instant::now(), answers));
        answers
    }
}

async fn ask(pool: &PgPool) -> Result<(), sqlx::Error> {
    PgConnection::connect_with(&pool.connect_options()).await?.close().await
}
