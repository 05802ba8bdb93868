//! Observation: how each request at the front door fared, written aside in batches.
//!
//! Handing a trace over never waits and never fails: when the writer cannot follow, traces are dropped and counted.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use onhand_domain::values::{ConnectionId, DeliveryId, TenantId};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::queries::webhook_traces;

/// Traces that may wait for the writer.
const WAITING_MAX: usize = 8_192;
/// Traces written with one statement.
const BATCH_MAX: usize = 1_000;
/// How long traces are gathered.
const GATHER: Duration = Duration::from_millis(100);

/// How one request fared. Times are in microseconds.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct Trace {
    pub tenant: TenantId,
    pub at: DateTime<Utc>,
    pub id: Uuid,
    pub connection: ConnectionId,
    pub delivery: Option<DeliveryId>,
    pub platform: &'static str,
    pub topic: Option<String>,
    pub result: &'static str,
    pub correlation_id: String,
    pub source_address: Option<String>,
    pub user_agent: Option<String>,
    pub body_bytes: i64,
    pub verifying_us: i64,
    pub enriching_us: i64,
    pub deciding_us: i64,
    pub executing_us: i64,
    pub total_us: i64,
}

enum Message {
    Trace(Box<Trace>),
    Flush(oneshot::Sender<()>),
}

/// Where traces are handed over. Cheap to clone.
#[derive(Clone)]
pub struct Observer {
    pool: PgPool,
    enabled: bool,
    /// The writer begins with the first trace.
    writer: Arc<OnceLock<mpsc::Sender<Message>>>,
}

impl Observer {
    /// An observer that writes to this database, or one that looks away.
    pub fn new(pool: PgPool, enabled: bool) -> Self {
        Self { pool, enabled, writer: Arc::default() }
    }

    /// Hands a trace over, if there is room for it.
    pub fn record(&self, trace: Trace) {
        if self.enabled && self.writer().try_send(Message::Trace(Box::new(trace))).is_err() {
            metrics::counter!("onhand_webhook_traces_dropped_total", "why" => "full").increment(1);
        }
    }

    /// Returns once everything handed over before is written, or was given up.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.enabled && self.writer().send(Message::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    fn writer(&self) -> &mpsc::Sender<Message> {
        self.writer.get_or_init(|| {
            let (sender, waiting) = mpsc::channel(WAITING_MAX);
            tokio::spawn(write(self.pool.clone(), waiting));
            sender
        })
    }
}

async fn write(pool: PgPool, mut waiting: mpsc::Receiver<Message>) {
    let mut messages = Vec::new();
    while waiting.recv_many(&mut messages, BATCH_MAX).await > 0 {
        if messages.iter().all(|message| matches!(message, Message::Trace(_))) {
            tokio::time::sleep(GATHER).await;
            while messages.len() < BATCH_MAX
                && let Ok(message) = waiting.try_recv()
            {
                messages.push(message);
            }
        }
        let mut traces = Vec::with_capacity(messages.len());
        let mut flushes = Vec::new();
        for message in messages.drain(..) {
            match message {
                Message::Trace(trace) => traces.push(*trace),
                Message::Flush(done) => flushes.push(done),
            }
        }
        if let Err(error) = webhook_traces::keep(&pool, &traces).await {
            metrics::counter!("onhand_webhook_traces_dropped_total", "why" => "failed")
                .increment(traces.len() as u64);
            tracing::warn!(%error, dropped = traces.len(), "how webhooks fared could not be written");
        }
        for done in flushes {
            let _ = done.send(());
        }
    }
}
