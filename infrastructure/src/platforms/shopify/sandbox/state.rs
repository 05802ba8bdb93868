//! What the shop knows: products, stock, orders, subscriptions, and the answers it has given.
//! Plain data behind one lock; every change notes the events that the shop then tells its subscribers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::idempotency::Answers;
use super::money::Money;
use super::queries::PUBLICATION;
use super::webhooks;

/// No quantity goes beyond this on either side of nothing.
pub(super) const QUANTITY_BOUND: i64 = 1_000_000_000;

/// A product as the shop stores it.
#[derive(Debug, Clone)]
pub struct Product {
    /// The numeric part of its global id.
    pub id: u64,
    /// What customers read.
    pub title: String,
    /// The maker.
    pub vendor: String,
    /// The kind of goods.
    pub product_type: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// The last part of its page's address.
    pub handle: String,
    /// `ACTIVE`, `DRAFT` or `ARCHIVED`.
    pub status: String,
    /// Where it is published: on the sales channel, in the catalogue of a market.
    pub publications: BTreeSet<u64>,
    /// Whether it is to be published later.
    pub scheduled: bool,
    /// The names of what sets its sizes apart.
    pub options: Vec<String>,
    /// Its sizes, in the order shown.
    pub variants: Vec<Variant>,
    /// When it was entered.
    pub created_at: DateTime<Utc>,
    /// When anything of it but its stock last changed.
    pub updated_at: DateTime<Utc>,
}

/// One size of a product, with its stock at the shop's only location.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The numeric part of its global id.
    pub id: u64,
    /// The product it belongs to.
    pub product_id: u64,
    /// The id under which its stock is kept.
    pub inventory_item_id: u64,
    /// The merchant's own code.
    pub sku: String,
    /// The size.
    pub option1: String,
    /// Whatever else sets it apart, by the product's further options.
    pub further: Vec<String>,
    /// What it costs.
    pub price: Money,
    /// The struck-through price beside it.
    pub compare_at_price: Option<Money>,
    /// Whether it is sold when none is left.
    pub oversells: bool,
    /// Whether its stock is counted at all.
    pub tracked: bool,
    /// Whether the location keeps it; see [`super::SandboxShop::unstock_by_hand`].
    pub stocked: bool,
    /// Units a customer can still buy.
    pub available: i64,
    /// Units sold and not yet handed over.
    pub committed: i64,
    /// When it or its stock last changed.
    pub updated_at: DateTime<Utc>,
}

/// A sale in the shop.
#[derive(Debug, Clone)]
pub struct Order {
    /// The numeric part of its global id.
    pub id: u64,
    /// The number customers are told, counted from 1001.
    pub number: u64,
    /// What was bought.
    pub lines: Vec<OrderLine>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// When it was cancelled, if it was.
    pub cancelled_at: Option<DateTime<Utc>>,
}

/// One line of an [`Order`], with the price at the time.
#[derive(Debug, Clone)]
pub struct OrderLine {
    /// The numeric part of its global id.
    pub id: u64,
    /// The product bought.
    pub product_id: u64,
    /// The size bought.
    pub variant_id: u64,
    /// The merchant's own code.
    pub sku: String,
    /// The product's title.
    pub title: String,
    /// The size, as text.
    pub variant_title: String,
    /// Units.
    pub quantity: i64,
    /// The price of one.
    pub price: Money,
}

impl Product {
    /// Whether customers see it.
    pub(super) fn on_sale(&self) -> bool {
        self.status == "ACTIVE" && self.is_published()
    }

    /// Whether it is on the sales channel.
    pub(super) fn is_published(&self) -> bool {
        self.publications.contains(&PUBLICATION)
    }
}

impl Variant {
    /// Its values of the product's options.
    pub(super) fn options(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.option1.as_str()).chain(self.further.iter().map(String::as_str))
    }

    /// As customers read it.
    pub(super) fn title(&self) -> String {
        self.options().collect::<Vec<_>>().join(" / ")
    }
}

/// A product to put into the shop.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct SeedProduct {
    /// What customers read.
    pub title: String,
    /// The maker.
    pub vendor: String,
    /// The kind of goods.
    pub product_type: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// The last part of its page's address; empty to have it made from the title.
    pub handle: String,
    /// Its sizes.
    pub variants: Vec<SeedVariant>,
}

/// A size of a [`SeedProduct`].
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct SeedVariant {
    /// The merchant's own code.
    pub sku: String,
    /// The size.
    pub option1: String,
    /// What it costs, as a decimal string; anything else is taken as nothing.
    pub price: String,
    /// Units available at once.
    pub quantity: i64,
}

/// The ids the shop gave to a product.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ProductIds {
    /// The product itself.
    pub product_id: u64,
    /// Its sizes, in the order seeded.
    pub variants: Vec<VariantIds>,
}

/// The ids the shop gave to a variant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VariantIds {
    /// The merchant's own code.
    pub sku: String,
    /// The variant.
    pub variant_id: u64,
    /// Its stock.
    pub inventory_item_id: u64,
}

pub(super) struct Subscription {
    pub(super) id: u64,
    pub(super) topic: &'static str,
    pub(super) uri: String,
    pub(super) include_fields: Vec<String>,
    pub(super) created_at: DateTime<Utc>,
}

/// Something to tell subscribers, in the order it happened.
pub(super) struct Event {
    pub(super) topic: &'static str,
    pub(super) body: Value,
}

pub(super) struct State {
    pub(super) domain: String,
    pub(super) location_id: u64,
    pub(super) products: BTreeMap<u64, Product>,
    /// Variant ids and inventory item ids, which come from one counter and so never collide.
    pub(super) places: HashMap<u64, (u64, usize)>,
    pub(super) orders: BTreeMap<u64, Order>,
    pub(super) subscriptions: BTreeMap<u64, Subscription>,
    pub(super) answers: Answers,
    /// Whether what is stale is told without saying which item it is.
    pub(super) blurs_staleness: bool,
    /// Codes that the search does not know yet.
    pub(super) unsearchable: BTreeSet<String>,
    pub(super) events: Vec<Event>,
    last_id: u64,
}

impl State {
    pub(super) fn new(domain: &str, location_id: u64) -> Self {
        // Above 2^53 on purpose: a reader that takes ids for floating point loses digits here, not in production.
        // The domain is mixed in, because the platform's ids are unique across shops.
        let hash = domain.bytes().fold(14_695_981_039_346_656_037_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
        });
        Self {
            domain: domain.to_owned(),
            location_id,
            products: BTreeMap::new(),
            places: HashMap::new(),
            orders: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            answers: Answers::default(),
            blurs_staleness: false,
            unsearchable: BTreeSet::new(),
            events: Vec::new(),
            last_id: 10_000_000_000_000_001 + (hash % 800_000_000) * 1_000_000_000,
        }
    }

    pub(super) fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Finds a variant by its own id or by that of its inventory item.
    pub(super) fn variant(&self, id: u64) -> Option<&Variant> {
        let (product, position) = self.places.get(&id)?;
        self.products.get(product)?.variants.get(*position)
    }

    pub(super) fn variant_mut(&mut self, id: u64) -> Option<&mut Variant> {
        let (product, position) = self.places.get(&id)?;
        self.products.get_mut(product)?.variants.get_mut(*position)
    }

    pub(super) fn variant_of_sku(&self, sku: &str) -> Option<&Variant> {
        self.variants().find(|variant| variant.sku == sku)
    }

    /// The variants that customers see.
    pub(super) fn on_sale(&self) -> impl Iterator<Item = &Variant> {
        self.products.values().filter(|product| product.on_sale()).flat_map(|product| &product.variants)
    }

    pub(super) fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.products.values().flat_map(|product| &product.variants)
    }

    /// Takes the goods or, when the shop shows too few of any, nothing.
    pub(super) fn buy(&mut self, wanted: &[(String, i64)]) -> Option<u64> {
        let mut taken: BTreeMap<u64, i64> = BTreeMap::new();
        let mut lines = Vec::with_capacity(wanted.len());
        for (sku, quantity) in wanted {
            let variant = self.on_sale().find(|variant| variant.sku == *sku);
            let variant = variant.filter(|_| (1..=QUANTITY_BOUND).contains(quantity))?;
            let total = taken.get(&variant.id).copied().unwrap_or(0).checked_add(*quantity)?;
            if variant.tracked && !variant.oversells && variant.available < total {
                return None;
            }
            taken.insert(variant.id, total);
            lines.push(OrderLine {
                id: 0,
                product_id: variant.product_id,
                variant_id: variant.id,
                sku: sku.clone(),
                title: self.products.get(&variant.product_id)?.title.clone(),
                variant_title: variant.title(),
                quantity: *quantity,
                price: variant.price,
            });
        }
        if lines.is_empty() {
            return None;
        }
        for line in &mut lines {
            line.id = self.new_id();
        }
        let id = self.new_id();
        let number = 1001 + self.orders.len() as u64;
        let order = Order { id, number, lines, created_at: Utc::now(), cancelled_at: None };
        self.emit("orders/create", webhooks::order_body(&order));
        self.orders.insert(id, order);
        for (variant, quantity) in taken {
            self.commit(variant, quantity);
        }
        Some(id)
    }

    /// Gives the goods of an order back; `false` when there is no such order or it was cancelled before.
    pub(super) fn cancel(&mut self, order_id: u64) -> bool {
        let Some(order) = self.orders.get_mut(&order_id).filter(|order| order.cancelled_at.is_none()) else {
            return false;
        };
        order.cancelled_at = Some(Utc::now());
        let order = order.clone();
        self.emit("orders/cancelled", webhooks::order_body(&order));
        for line in &order.lines {
            self.commit(line.variant_id, -line.quantity);
        }
        true
    }

    fn commit(&mut self, variant_id: u64, quantity: i64) {
        let Some(variant) = self.variant_mut(variant_id).filter(|variant| variant.tracked) else { return };
        variant.committed = variant.committed.saturating_add(quantity);
        let available = variant.available.saturating_sub(quantity);
        self.set_available(variant_id, available);
    }

    /// Changes what is on sale and tells subscribers; does nothing when it is so already.
    pub(super) fn set_available(&mut self, id: u64, available: i64) {
        let (available, location_id) = (available.clamp(-QUANTITY_BOUND, QUANTITY_BOUND), self.location_id);
        let Some(variant) = self.variant_mut(id).filter(|variant| variant.available != available) else {
            return;
        };
        variant.available = available;
        variant.updated_at = Utc::now();
        let body = webhooks::inventory_level_body(variant, location_id);
        self.emit("inventory_levels/update", body);
    }

    /// Notes that a product changed, as the shop does after each save.
    pub(super) fn product_changed(&mut self, product_id: u64) {
        let Some(product) = self.products.get_mut(&product_id) else { return };
        product.updated_at = Utc::now();
        let body = webhooks::product_body(product);
        self.emit("products/update", body);
    }

    pub(super) fn delete_product(&mut self, product_id: u64) -> bool {
        let Some(product) = self.products.remove(&product_id) else { return false };
        for variant in &product.variants {
            self.places.remove(&variant.id);
            self.places.remove(&variant.inventory_item_id);
        }
        self.emit("products/delete", webhooks::product_deleted_body(product_id));
        true
    }

    pub(super) fn emit(&mut self, topic: &'static str, body: Value) {
        self.events.push(Event { topic, body });
    }

    /// Enters a subscription; the reason is for the caller's eyes when it is refused.
    pub(super) fn subscribe(
        &mut self,
        topic: &'static str,
        uri: &str,
    ) -> Result<&mut Subscription, &'static str> {
        if uri.trim().is_empty() {
            return Err("An address is needed");
        }
        if !uri.starts_with("https://") && !uri.starts_with("http://") {
            return Err("Only http and https addresses are served");
        }
        if self.subscriptions.values().any(|known| known.topic == topic && known.uri == uri) {
            return Err("This address is subscribed to this topic already");
        }
        let id = self.new_id();
        let (uri, created_at) = (uri.to_owned(), Utc::now());
        let new = Subscription { id, topic, uri, include_fields: Vec::new(), created_at };
        Ok(self.subscriptions.entry(id).or_insert(new))
    }
}
