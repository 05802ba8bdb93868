//! The queue of webhooks and the task that sends them, again and again, until they are accepted or given up.
//! One sender keeps them in order; a failed delivery waits aside and lets the others pass, as it does live.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::faults::Faults;

/// How many deliveries wait at most; what comes beyond is lost, and counted as such.
const WAITING_MAX: usize = 10_000;

pub(in super::super) struct Deliveries {
    client: reqwest::Client,
    faults: Faults,
    waiting: Mutex<Waiting>,
    changed: Notify,
    idle: Notify,
}

/// How deliveries fared; each attempt counts.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct DeliveryCounts {
    pub(in super::super) sent: u64,
    pub(in super::super) failed: u64,
    pub(in super::super) given_up: u64,
    pub(in super::super) lost: u64,
}

/// A webhook ready to be sent, in these very bytes however often.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// Where to.
    pub address: String,
    /// In the platform's spelling, the signature among them.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes that are signed.
    pub body: Vec<u8>,
}

struct Waiting {
    /// By the moment they are due, then in the order they arose.
    due: BTreeMap<(Instant, u64), Delivery>,
    last: u64,
    in_flight: usize,
    closed: bool,
    retry_base: Duration,
    retries_max: u32,
    counts: DeliveryCounts,
}

#[derive(Clone)]
struct Delivery {
    parcel: Arc<Parcel>,
    attempts: u32,
}

enum Next {
    Ready(Delivery),
    At(Instant),
    Nothing,
}

impl Deliveries {
    pub(in super::super) fn new(faults: Faults) -> std::io::Result<Self> {
        // Whoever else in the process installed a provider first is welcome to.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(1))
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .http1_title_case_headers()
            .build()
            .map_err(std::io::Error::other)?;
        let waiting = Waiting {
            due: BTreeMap::new(),
            last: 0,
            in_flight: 0,
            closed: false,
            retry_base: Duration::from_secs(1),
            retries_max: 8,
            counts: DeliveryCounts::default(),
        };
        let (changed, idle) = (Notify::new(), Notify::new());
        Ok(Self { client, faults, waiting: Mutex::new(waiting), changed, idle })
    }

    /// Queues a webhook; faults may lose it or double it.
    pub(in super::super) fn enqueue(&self, parcel: Parcel) {
        let delivery = Delivery { parcel: Arc::new(parcel), attempts: 0 };
        if self.faults.strikes(|faults| faults.lose_webhooks) {
            self.lock().counts.lost += 1;
            return;
        }
        let copies = 1 + usize::from(self.faults.strikes(|faults| faults.duplicate_webhooks));
        for _ in 0..copies {
            let due = Instant::now() + self.faults.shuffle();
            let mut waiting = self.lock();
            if waiting.due.len() < WAITING_MAX {
                waiting.add(due, delivery.clone());
            } else {
                waiting.counts.lost += 1;
            }
        }
        self.changed.notify_one();
    }

    pub(in super::super) async fn deliver_forever(&self) {
        loop {
            // A statement of its own, so that the lock is let go before anything is awaited.
            let next = self.lock().next(Instant::now());
            match next {
                Next::Ready(delivery) => {
                    let accepted = self.send(&delivery).await;
                    self.settle(delivery, accepted);
                }
                Next::At(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.changed.notified() => {}
                },
                Next::Nothing => self.changed.notified().await,
            }
        }
    }

    async fn send(&self, delivery: &Delivery) -> bool {
        let mut request = self.client.post(&delivery.parcel.address);
        for (name, value) in &delivery.parcel.headers {
            request = request.header(*name, value);
        }
        match request.body(delivery.parcel.body.clone()).send().await {
            Ok(response) => response.status().is_success(),
            Err(error) => {
                tracing::debug!(%error, "a webhook was not delivered");
                false
            }
        }
    }

    fn settle(&self, mut delivery: Delivery, accepted: bool) {
        let mut waiting = self.lock();
        waiting.in_flight = waiting.in_flight.saturating_sub(1);
        if accepted {
            waiting.counts.sent += 1;
        } else {
            waiting.counts.failed += 1;
            if delivery.attempts < waiting.retries_max {
                let pause = waiting.retry_base.saturating_mul(1 << delivery.attempts.min(16));
                delivery.attempts += 1;
                waiting.add(Instant::now() + pause, delivery);
            } else {
                waiting.counts.given_up += 1;
            }
        }
        if waiting.is_idle() {
            self.idle.notify_waiters();
        }
    }

    pub(in super::super) async fn wait_until_idle(&self) {
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            // Listen first and look second, or the last delivery may finish in between.
            idle.as_mut().enable();
            if self.lock().is_idle() {
                return;
            }
            idle.await;
        }
    }

    pub(in super::super) fn retry(&self, base: Duration, retries_max: u32) {
        let mut waiting = self.lock();
        (waiting.retry_base, waiting.retries_max) = (base, retries_max);
    }

    pub(in super::super) fn counts(&self) -> DeliveryCounts {
        self.lock().counts.clone()
    }

    /// Drops what waits, so that nobody waits for a shop that is gone.
    pub(in super::super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.due.clear();
        waiting.in_flight = 0;
        self.idle.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, due: Instant, delivery: Delivery) {
        if !self.closed {
            self.last += 1;
            self.due.insert((due, self.last), delivery);
        }
    }

    fn next(&mut self, now: Instant) -> Next {
        match self.due.first_entry() {
            None => Next::Nothing,
            Some(entry) if entry.key().0 > now => Next::At(entry.key().0),
            Some(entry) => {
                self.in_flight += 1;
                Next::Ready(entry.remove())
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.due.is_empty() && self.in_flight == 0
    }
}
