//! The stand-in shop as its users hold it: what a customer, a merchant and a test can do to it.
//! Every act changes the state under one lock and queues its webhooks under the same, so their order is true.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::super::super::sandbox::deliveries::{Deliveries, Parcel};
use super::super::super::sandbox::door::Door;
use super::super::super::sandbox::faults::Faults;
use super::bucket::{Bucket, CostBucket};
use super::state::{Event, ProductIds, SeedProduct, State, Subscription};
use super::webhooks::{Notice, webhook_headers, wire_bytes};
use super::{schema, server, webhooks};

/// Who the shop is and what it wants to see.
#[derive(Debug, Clone)]
pub struct ShopSettings {
    /// The shop's domain, for example `sneaks-one.myshopify.com`.
    pub domain: String,
    /// The token wanted in `X-Shopify-Access-Token`.
    pub access_token: String,
    /// The app's client secret, which signs webhooks.
    pub webhook_secret: String,
    /// The API version served, and named in webhooks.
    pub api_version: String,
    /// The number of the shop's only location.
    pub location_id: u64,
    /// How much the API may be used.
    pub bucket: CostBucket,
}

/// What a customer of the shop sees of one size now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ShownVariant {
    /// The merchant's own code.
    pub sku: String,
    /// The product.
    pub product_id: u64,
    /// The variant.
    pub variant_id: u64,
    /// Its stock.
    pub inventory_item_id: u64,
    /// What it costs, with two decimals.
    pub price: String,
    /// Units for sale.
    pub available: i64,
}

/// What the shop was asked and what it told.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct CallCounts {
    /// Requests let through to each GraphQL root field, replays of an idempotency key included.
    pub graphql: BTreeMap<String, u64>,
    /// Requests refused for their cost.
    pub throttled: u64,
    /// Webhook deliveries that were accepted.
    pub webhooks_sent: u64,
    /// Webhook attempts that were not accepted.
    pub webhooks_failed: u64,
    /// Webhooks given up after the last attempt.
    pub webhooks_given_up: u64,
    /// Webhooks lost on purpose or for want of room.
    pub webhooks_lost: u64,
}

/// A running stand-in shop; clones are the same shop, and it closes with [`Self::stop`] or with its last clone.
#[derive(Clone)]
pub struct SandboxShop {
    core: Arc<Core>,
    guard: Arc<Guard>,
    address: SocketAddr,
}

/// What the server, the sender and the handles share.
pub(super) struct Core {
    pub(super) settings: ShopSettings,
    pub(super) faults: Faults,
    pub(super) bucket: Mutex<Bucket>,
    pub(super) calls: Mutex<CallCounts>,
    deliveries: Deliveries,
    state: Mutex<State>,
}

struct Guard {
    core: Arc<Core>,
    closed: Arc<AtomicBool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
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

impl Drop for Guard {
    fn drop(&mut self) {
        self.close();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// Works on the state and queues the webhooks of what happened, in order.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let answer = work(&mut state);
        for event in std::mem::take(&mut state.events) {
            self.tell(&event, state.subscriptions.values());
        }
        answer
    }

    /// Queues an event for each subscription to its topic.
    fn tell<'a>(&self, event: &Event, subscriptions: impl Iterator<Item = &'a Subscription>) {
        let event_id = Uuid::new_v4();
        for subscription in subscriptions.filter(|it| it.topic == event.topic) {
            let mut body = event.body.clone();
            if let (Some(fields), false) = (body.as_object_mut(), subscription.include_fields.is_empty()) {
                fields.retain(|name, _| subscription.include_fields.contains(name));
            }
            let notice = Notice {
                topic: event.topic.to_owned(),
                shop_domain: self.settings.domain.clone(),
                api_version: self.settings.api_version.clone(),
                webhook_id: Uuid::new_v4(),
                event_id,
                triggered_at: Utc::now(),
                body: wire_bytes(&body),
            };
            let headers = webhook_headers(&notice, &self.settings.webhook_secret);
            self.deliveries.enqueue(Parcel { address: subscription.uri.clone(), headers, body: notice.body });
        }
    }

    pub(super) fn shows(&self) -> Vec<ShownVariant> {
        self.with(|state| {
            let shown = state.on_sale().map(|variant| ShownVariant {
                sku: variant.sku.clone(),
                product_id: variant.product_id,
                variant_id: variant.id,
                inventory_item_id: variant.inventory_item_id,
                price: variant.price.to_string(),
                available: variant.available,
            });
            shown.collect()
        })
    }

    pub(super) fn set_quantity_by_hand(&self, sku: &str, available: i64) -> bool {
        self.with(|state| {
            let Some(id) = state.variant_of_sku(sku).map(|variant| variant.id) else { return false };
            state.set_available(id, available);
            true
        })
    }

    pub(super) fn calls(&self) -> CallCounts {
        let deliveries = self.deliveries.counts();
        CallCounts {
            webhooks_sent: deliveries.sent,
            webhooks_failed: deliveries.failed,
            webhooks_given_up: deliveries.given_up,
            webhooks_lost: deliveries.lost,
            ..lock(&self.calls).clone()
        }
    }
}

impl SandboxShop {
    /// Opens the shop at an address; port 0 takes any free one. Fails when the address is taken.
    pub async fn start(settings: ShopSettings, listen: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let faults = Faults::new();
        let core = Arc::new(Core {
            bucket: Mutex::new(Bucket::new(settings.bucket, Instant::now())),
            calls: Mutex::new(CallCounts::default()),
            deliveries: Deliveries::new(faults.clone())?,
            state: Mutex::new(State::new(&settings.domain, settings.location_id)),
            faults,
            settings,
        });
        let closed = Arc::new(AtomicBool::new(false));
        let served = server::serve(Door::new(listener, closed.clone()), core.clone());
        let sender = core.clone();
        let delivered = async move { sender.deliveries.deliver_forever().await };
        let tasks = Mutex::new(vec![tokio::spawn(served), tokio::spawn(delivered)]);
        let guard = Arc::new(Guard { core: core.clone(), closed, tasks });
        Ok(Self { core, guard, address })
    }

    /// The shop's address, to be followed by `/admin/api/{version}/graphql.json`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes the shop: the port is free, open lines are cut at their next byte, waiting webhooks are dropped.
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

    /// Sets the pause before the first retry of a webhook, doubled each time, and the number of retries.
    pub fn retry_webhooks(&self, base: Duration, retries_max: u32) {
        self.core.deliveries.retry(base, retries_max);
    }

    /// Enters a product and tells `products/create`.
    pub fn seed(&self, product: SeedProduct) -> ProductIds {
        self.core.with(|state| state.seed(product))
    }

    /// What customers see, product by product.
    pub fn shows(&self) -> Vec<ShownVariant> {
        self.core.shows()
    }

    /// Subscribes an address to a topic in either spelling; `false` when one of them is no good or it is known.
    pub fn subscribe(&self, topic: &str, uri: &str) -> bool {
        let Some(topic) = schema::topic(topic) else { return false };
        self.core.with(|state| state.subscribe(topic, uri).is_ok())
    }

    /// A customer buys: all lines or, when the shop shows too few of one, nothing and `None`.
    pub async fn buy(&self, lines: &[(String, i64)]) -> Option<u64> {
        self.core.with(|state| state.buy(lines))
    }

    /// An order is cancelled and its goods return; `false` when there is no such order or it was cancelled before.
    pub async fn cancel(&self, order_id: u64) -> bool {
        self.core.with(|state| state.cancel(order_id))
    }

    /// A merchant edits stock in the shop; `false` when no variant has the code.
    pub async fn set_quantity_by_hand(&self, sku: &str, available: i64) -> bool {
        self.core.set_quantity_by_hand(sku, available)
    }

    /// A merchant edits a price in the shop; `false` when no variant has the code or the text is no amount.
    pub async fn change_price_by_hand(&self, sku: &str, price: String) -> bool {
        let Ok(price) = price.parse() else { return false };
        self.core.with(|state| {
            let Some(id) = state.variant_of_sku(sku).map(|variant| variant.id) else { return false };
            let Some(variant) = state.variant_mut(id) else { return false };
            variant.price = price;
            let product_id = variant.product_id;
            state.product_changed(product_id);
            true
        })
    }

    /// A merchant lets the location no longer keep an item: its stock cannot be set, and
    /// `inventory_levels/disconnect` is told. `false` when no variant has the code.
    pub async fn unstock_by_hand(&self, sku: &str) -> bool {
        self.core.with(|state| {
            let Some(id) = state.variant_of_sku(sku).map(|variant| variant.inventory_item_id) else {
                return false;
            };
            state.set_available(id, 0);
            if let Some(variant) = state.variant_mut(id) {
                variant.stocked = false;
            }
            let body = webhooks::inventory_level_gone_body(id, state.location_id);
            state.emit("inventory_levels/disconnect", body);
            true
        })
    }

    /// A merchant takes a product off the sales channel, for good or until a day to come; `false` when it is not there.
    pub fn hold_back_by_hand(&self, product_id: u64, until_later: bool) -> bool {
        self.core.with(|state| {
            let Some(product) = state.products.get_mut(&product_id) else { return false };
            product.publications.clear();
            product.scheduled = until_later;
            state.product_changed(product_id);
            true
        })
    }

    /// The search does not know these codes yet.
    pub fn lag_search(&self, skus: &[&str]) {
        let skus: Vec<String> = skus.iter().map(|sku| (*sku).to_owned()).collect();
        self.core.with(|state| state.unsearchable.extend(skus));
    }

    /// From now on what is stale is told without saying which item it is, or is told with it again.
    pub fn blur_staleness(&self, on: bool) {
        self.core.with(|state| state.blurs_staleness = on);
    }

    /// A merchant deletes a product with all its sizes; `false` when it is not there.
    pub async fn delete_product(&self, product_id: u64) -> bool {
        self.core.with(|state| state.delete_product(product_id))
    }

    /// What was asked and told so far.
    pub fn calls(&self) -> CallCounts {
        self.core.calls()
    }

    /// Waits until no webhook is queued, in flight or waiting for another try.
    pub async fn webhooks_idle(&self) {
        self.core.deliveries.wait_until_idle().await;
    }
}
