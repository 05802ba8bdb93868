//! A stand-in platform as its users hold it: what a customer, a merchant and a test can do to it.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    deliveries::Deliveries,
    door::Door,
    faults::Faults,
    server,
    shop::{Good, Happened, Settings, Shop},
    wire::Wire,
};

/// Calls whose times are kept.
const TIMES_MAX: usize = 1_000_000;
const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// What the stand-in was asked and what it told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calls {
    /// Requests to the API, whatever became of them.
    pub made: u64,
    /// Of these, writes: all but GET.
    pub writes: u64,
    /// Of these, refused for being too many.
    pub throttled: u64,
    /// The most that came within any minute.
    pub most_a_minute: usize,
    /// What the last request said it follows from: its `x-correlation-id`.
    pub followed: Option<String>,
    /// Webhooks that were taken.
    pub webhooks_sent: u64,
    /// Webhooks given up after the last attempt.
    pub webhooks_given_up: u64,
}

#[derive(Default)]
struct Counted {
    calls: Calls,
    /// Of calls of the last minute.
    times: VecDeque<DateTime<Utc>>,
}

pub(super) struct Core {
    pub(super) wire: &'static dyn Wire,
    pub(super) faults: Faults,
    deliveries: Deliveries,
    shop: Mutex<Shop>,
    counted: Mutex<Counted>,
    at_work: AtomicUsize,
}

/// A request that the stand-in has begun with, until this is dropped.
pub(super) struct AtWork(Arc<Core>);

impl AtWork {
    pub(super) fn on(core: &Arc<Core>) -> Self {
        core.at_work.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(core))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A running stand-in; clones are the same one, and it closes with [`Self::stop`] or with its last clone.
#[derive(Clone)]
pub struct Sandbox {
    core: Arc<Core>,
    guard: Arc<Guard>,
    address: SocketAddr,
}

struct Guard {
    core: Arc<Core>,
    closed: Arc<AtomicBool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.close();
    }
}

impl Guard {
    fn close(&self) -> Vec<JoinHandle<()>> {
        self.closed.store(true, Ordering::Release);
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.iter().for_each(JoinHandle::abort);
        self.core.deliveries.close();
        tasks
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// Works on the shop and queues the webhooks of what happened, in order.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Shop) -> T) -> T {
        let mut shop = lock(&self.shop);
        let answer = work(&mut shop);
        for happened in std::mem::take(&mut shop.happened) {
            self.wire.tell(&shop, &happened).into_iter().for_each(|parcel| self.deliveries.enqueue(parcel));
        }
        answer
    }

    /// Counts a call. Says how long the caller is to wait if it is one too many.
    pub(super) fn counts(&self, writes: bool, headers: &HeaderMap) -> Option<Duration> {
        let (now, most) = self.with(|shop| (shop.now(), shop.settings.calls_a_minute));
        let mut counted = lock(&self.counted);
        let counted = &mut *counted;
        counted.calls.made += 1;
        counted.calls.writes += u64::from(writes);
        let followed = headers.get("x-correlation-id").and_then(|value| value.to_str().ok());
        counted.calls.followed = followed.map(str::to_owned);
        counted.times.retain(|at| *at > now - MINUTE);
        if counted.times.len() < TIMES_MAX {
            counted.times.push_back(now);
        }
        counted.calls.most_a_minute = counted.calls.most_a_minute.max(counted.times.len());
        let most = most.filter(|most| counted.times.len() > *most)?;
        counted.calls.throttled += 1;
        let first_of_those = counted.times.get(counted.times.len() - 1 - most)?;
        Some((*first_of_those + MINUTE - now).to_std().unwrap_or_default())
    }

    pub(super) fn throttled(&self) {
        lock(&self.counted).calls.throttled += 1;
    }
}

impl Sandbox {
    /// Opens a stand-in at an address; port 0 takes any free one. Fails when the address is taken.
    pub async fn open(
        wire: &'static dyn Wire,
        settings: Settings,
        listen: SocketAddr,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let faults = Faults::new();
        let core = Arc::new(Core {
            wire,
            deliveries: Deliveries::new(faults.clone())?,
            shop: Mutex::new(Shop::new(settings, faults.clone())),
            faults,
            counted: Mutex::default(),
            at_work: AtomicUsize::new(0),
        });
        let closed = Arc::new(AtomicBool::new(false));
        let served = server::serve(Door::new(listener, closed.clone()), core.clone());
        let sender = core.clone();
        let delivered = async move { sender.deliveries.deliver_forever().await };
        let tasks = Mutex::new(vec![tokio::spawn(served), tokio::spawn(delivered)]);
        let guard = Arc::new(Guard { core: core.clone(), closed, tasks });
        Ok(Self { core, guard, address })
    }

    /// Its address, as a connection's endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes it: the port is free, open lines are cut at their next byte, waiting webhooks are dropped.
    pub async fn stop(&self) {
        for task in self.guard.close() {
            // An aborted task answers with its cancellation, which is what was asked for.
            let _ = task.await;
        }
    }

    /// The switches for everything that can go wrong.
    pub fn faults(&self) -> Faults {
        self.core.faults.clone()
    }

    /// Who it is.
    pub fn settings(&self) -> Settings {
        self.core.with(|shop| shop.settings.clone())
    }

    /// Sets the pause before the first retry of a webhook, doubled each time, and the number of retries.
    pub fn retry_webhooks(&self, base: Duration, retries_max: u32) {
        self.core.deliveries.retry(base, retries_max);
    }

    /// Enters a product: SKU, price in minor units and quantity of each variant. It is told where that is told.
    pub fn seed(&self, title: &str, variants: &[(&str, i64, i64)]) -> Vec<Good> {
        self.core.with(|shop| shop.seed(title, variants))
    }

    /// Speaks once more of every product that is there.
    pub fn announce(&self) {
        self.core.with(|shop| {
            let mut spoken = std::collections::BTreeSet::new();
            for (place, good) in shop.goods.iter().enumerate() {
                if !good.removed && spoken.insert(good.product.clone()) {
                    shop.happened.push(Happened::Product(place));
                }
            }
        });
    }

    /// The ids by which it makes a good known: product, variant, handle on the stock.
    pub fn handle(&self, good: &Good) -> (String, String, Option<String>) {
        self.core.wire.handle(good)
    }

    /// What is there.
    pub fn goods(&self) -> Vec<Good> {
        self.core.with(|shop| shop.goods.iter().filter(|good| !good.removed).cloned().collect())
    }

    /// What customers see: quantity and price by SKU.
    pub fn shows(&self) -> BTreeMap<String, (i64, i64)> {
        self.goods().into_iter().map(|good| (good.sku, (good.quantity, good.price))).collect()
    }

    /// Somebody enters an address in the platform's dashboard: it is told of a topic, or of everything (`*`).
    pub fn subscribe(&self, topic: &str, address: &str) {
        self.core.with(|shop| shop.subscribe(topic, address, None));
    }

    /// A customer buys: all lines or, when too few of one are shown, nothing and `None`. Gives the order's id.
    pub fn buy(&self, lines: &[(&str, i64)]) -> Option<String> {
        self.core.with(|shop| shop.buy(lines))
    }

    /// An order is cancelled and its goods return; `false` when there is no such order or it was cancelled before.
    pub fn cancel(&self, order: &str) -> bool {
        self.core.with(|shop| shop.cancel(order))
    }

    /// A merchant edits a quantity there; `false` when nothing has the SKU.
    pub fn edit_quantity(&self, sku: &str, quantity: i64) -> bool {
        self.core.with(|shop| shop.sku(sku).map(|place| shop.set_quantity(place, quantity)).is_some())
    }

    /// A merchant edits a price there, in minor units; `false` when nothing has the SKU.
    pub fn edit_price(&self, sku: &str, price: i64) -> bool {
        self.core.with(|shop| shop.sku(sku).map(|place| shop.set_price(place, price)).is_some())
    }

    /// Where somebody looks at words before they are shown, that takes until this is off again; then they are.
    pub fn review(&self, on: bool) {
        self.core.with(|shop| shop.review(on));
    }

    /// A merchant deletes a product there; `false` when it is not there.
    pub fn remove(&self, product: &str) -> bool {
        self.core.with(|shop| shop.take_off(product))
    }

    /// What was asked and told so far.
    pub fn calls(&self) -> Calls {
        let deliveries = self.core.deliveries.counts();
        let calls = lock(&self.core.counted).calls.clone();
        Calls { webhooks_sent: deliveries.sent, webhooks_given_up: deliveries.given_up, ..calls }
    }

    /// Requests that are being worked on, whether or not anybody still waits for their answers.
    pub fn at_work(&self) -> usize {
        self.core.at_work.load(Ordering::Acquire)
    }

    /// Waits until no webhook is queued, in flight or waiting for another try.
    pub async fn webhooks_idle(&self) {
        self.core.deliveries.wait_until_idle().await;
    }
}
