//! The queue of webhooks and the task that sends them, again and again, until they are accepted or given up.
//! One sender keeps them in order; a failed delivery waits aside and lets the others pass, as it does live.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::faults::Faults;
use super::shop::ShopSettings;
use super::state::{Event, Subscription};
use super::webhooks::{Notice, webhook_headers, wire_bytes};

/// How many deliveries wait at most; what comes beyond is lost, and counted as such.
const WAITING_MAX: usize = 10_000;

pub(super) struct Deliveries {
    secret: String,
    client: reqwest::Client,
    faults: Faults,
    waiting: Mutex<Waiting>,
    changed: Notify,
    idle: Notify,
}

/// How deliveries fared; each attempt counts.
#[derive(Debug, Clone, Default)]
pub(super) struct DeliveryCounts {
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) given_up: u64,
    pub(super) lost: u64,
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
    notice: Arc<Notice>,
    uri: String,
    attempts: u32,
}

enum Next {
    Ready(Delivery),
    At(Instant),
    Nothing,
}

impl Deliveries {
    pub(super) fn new(secret: String, faults: Faults) -> std::io::Result<Self> {
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
        Ok(Self { secret, client, faults, waiting: Mutex::new(waiting), changed, idle })
    }

    /// Queues an event for each subscription to its topic.
    pub(super) fn tell<'a>(
        &self,
        settings: &ShopSettings,
        event: &Event,
        subscriptions: impl Iterator<Item = &'a Subscription>,
    ) {
        let event_id = Uuid::new_v4();
        for subscription in subscriptions.filter(|it| it.topic == event.topic) {
            let mut body = event.body.clone();
            if let (Some(fields), false) = (body.as_object_mut(), subscription.include_fields.is_empty()) {
                fields.retain(|name, _| subscription.include_fields.contains(name));
            }
            let notice = Arc::new(Notice {
                topic: event.topic.to_owned(),
                shop_domain: settings.domain.clone(),
                api_version: settings.api_version.clone(),
                webhook_id: Uuid::new_v4(),
                event_id,
                triggered_at: Utc::now(),
                body: wire_bytes(&body),
            });
            self.enqueue(&Delivery { notice, uri: subscription.uri.clone(), attempts: 0 });
        }
    }

    fn enqueue(&self, delivery: &Delivery) {
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

    pub(super) async fn deliver_forever(&self) {
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
        let mut request = self.client.post(&delivery.uri);
        for (name, value) in webhook_headers(&delivery.notice, &self.secret) {
            request = request.header(name, value);
        }
        match request.body(delivery.notice.body.clone()).send().await {
            Ok(response) => response.status().is_success(),
            Err(error) => {
                tracing::debug!(%error, topic = %delivery.notice.topic, "a webhook was not delivered");
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

    pub(super) async fn wait_until_idle(&self) {
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

    pub(super) fn retry(&self, base: Duration, retries_max: u32) {
        let mut waiting = self.lock();
        (waiting.retry_base, waiting.retries_max) = (base, retries_max);
    }

    pub(super) fn counts(&self) -> DeliveryCounts {
        self.lock().counts.clone()
    }

    /// Drops what waits, so that nobody waits for a shop that is gone.
    pub(super) fn close(&self) {
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
