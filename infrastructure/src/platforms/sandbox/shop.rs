//! What a stand-in platform keeps: goods, orders, subscriptions, and what has happened and is to be told.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{faults::Faults, wire::Reply};
use crate::clock::Clock;

/// Idempotency keys that are remembered; beyond it the first ones are forgotten.
const REMEMBERED_MAX: usize = 20_000;

/// Who the account is and what it wants to see.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The platform's name for the account: a merchant, a shop id.
    pub account: String,
    /// The platform's name for the app that calls: a partner id, an app key.
    pub app: String,
    /// What calls are made with.
    pub access_token: String,
    /// What a new access token is asked for with.
    pub refresh_token: String,
    /// The app's secret, which signs calls where a platform wants that.
    pub app_secret: String,
    /// What webhooks are signed with.
    pub webhook_secret: String,
    /// The platform's id of the place whose stock is kept.
    pub location: String,
    /// What prices are in.
    pub currency: String,
    /// Calls that are let in within any minute; none for as many as there come.
    pub calls_a_minute: Option<usize>,
    /// The clock that dates things and measures the minute.
    pub clock: Clock,
}

impl Settings {
    /// Plain ones, telling nothing about a real account.
    pub fn new(clock: Clock) -> Self {
        Self {
            account: "700100".into(),
            app: "800200".into(),
            access_token: "token-of-the-shop".into(),
            refresh_token: "renewal-of-the-shop".into(),
            app_secret: "secret-of-the-app".into(),
            // A text to some platforms, base64 behind a prefix to others.
            webhook_secret: "whsec_c2VjcmV0LW9mLXRoZS13ZWJob29rcy1oZXJl".into(),
            location: "900300".into(),
            currency: "USD".into(),
            calls_a_minute: None,
            clock,
        }
    }
}

/// One thing that can be bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Good {
    /// Digits; shared by the sizes of one product.
    pub product: String,
    /// Digits, unlike any other's.
    pub variant: String,
    /// The merchant's own code.
    pub sku: String,
    /// The product's name.
    pub title: String,
    /// Who makes it; empty where nobody said.
    pub vendor: String,
    /// What sort of thing it is; empty where nobody said.
    pub category: String,
    /// Free words.
    pub tags: Vec<String>,
    /// What sets it apart from the product's others.
    pub size: String,
    /// In minor units of the account's currency.
    pub price: i64,
    /// Units for sale.
    pub quantity: i64,
    /// Grows with each change.
    pub version: i64,
    /// Of the last change.
    pub changed_at: DateTime<Utc>,
    /// No longer there.
    pub removed: bool,
    /// Removed only for those who buy: it was switched off, and the merchant still sees it.
    pub hidden: bool,
}

/// What describes a product of a stand-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub title: String,
    /// Who makes it; empty where nobody said.
    pub vendor: String,
    /// What sort of thing it is; empty where nobody said.
    pub category: String,
    /// Free words.
    pub tags: Vec<String>,
}

/// What somebody has bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Digits.
    pub id: String,
    /// Places in [`Shop::goods`], and how many of each.
    pub lines: Vec<(usize, i64)>,
    /// When it was placed.
    pub placed_at: DateTime<Utc>,
    /// When it last changed.
    pub changed_at: DateTime<Utc>,
    /// It will not be fulfilled.
    pub cancelled: bool,
    /// Grows with each change.
    pub version: i64,
}

/// Something that webhooks may tell. Places are those in [`Shop::goods`] and [`Shop::orders`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// Another quantity is shown.
    Quantity(usize),
    /// Another price is shown.
    Price(usize),
    /// A product is new, or is spoken of again; the place is that of its first variant.
    Product(usize),
    /// A product is no longer there; the place is that of its first variant.
    Removed(usize),
    /// Somebody has bought something.
    Ordered(usize),
    /// An order will not be fulfilled.
    Cancelled(usize),
}

/// Who is told of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Digits.
    pub id: String,
    /// In the platform's words; `*` where it is about everything.
    pub topic: String,
    /// Where.
    pub address: String,
    /// What it is signed with, if the subscriber has chosen that.
    pub secret: Option<String>,
}

/// What is known of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remembered {
    /// It is new.
    Nothing,
    /// It came with the same words, and this was the answer.
    Same(Reply),
    /// It came with other words.
    Another,
}

/// All of it.
#[derive(Debug)]
pub struct Shop {
    /// Who it is. The tokens in here change when they are renewed.
    pub settings: Settings,
    /// What can be bought, and what could be.
    pub goods: Vec<Good>,
    /// What was bought.
    pub orders: Vec<Order>,
    /// Who is told.
    pub subscriptions: Vec<Subscription>,
    /// Whatever else a platform keeps, under names of its own.
    pub kept: BTreeMap<String, Value>,
    pub(super) happened: Vec<Happened>,
    /// What somebody has yet to look at before it is shown, by product; while that takes time.
    waiting: BTreeMap<String, Described>,
    reviews: bool,
    faults: Faults,
    remembered: BTreeMap<String, (Vec<u8>, Reply)>,
    numbers: u64,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.settings().fmt(f)
    }
}

impl Shop {
    pub(super) fn new(settings: Settings, faults: Faults) -> Self {
        Self {
            settings,
            goods: vec![],
            orders: vec![],
            subscriptions: vec![],
            kept: BTreeMap::new(),
            happened: vec![],
            waiting: BTreeMap::new(),
            reviews: false,
            faults,
            remembered: BTreeMap::new(),
            numbers: 1_000_000_000_000,
        }
    }

    /// The shop's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.settings.clock.now()
    }

    /// A number nobody had before, in digits.
    pub fn number(&mut self) -> String {
        self.numbers += 1;
        self.numbers.to_string()
    }

    /// The place of a variant that is there.
    pub fn variant(&self, variant: &str) -> Option<usize> {
        self.goods.iter().position(|good| good.variant == variant && !good.removed)
    }

    /// The place of a SKU that is there.
    pub fn sku(&self, sku: &str) -> Option<usize> {
        self.goods.iter().position(|good| good.sku == sku && !good.removed)
    }

    /// The places of a product's variants that are there.
    pub fn product(&self, product: &str) -> Vec<usize> {
        let of_it = |(_, good): &(usize, &Good)| good.product == product && !good.removed;
        self.goods.iter().enumerate().filter(of_it).map(|(place, _)| place).collect()
    }

    /// Whether this one item is to be refused, on purpose.
    pub fn refuses(&self) -> bool {
        self.faults.strikes(|faults| faults.refuse_items_rate)
    }

    /// Shows another quantity; the same again is no change, and nothing is told.
    pub fn set_quantity(&mut self, place: usize, quantity: i64) {
        let now = self.now();
        let Some(good) = self.goods.get_mut(place).filter(|good| good.quantity != quantity) else { return };
        (good.quantity, good.version, good.changed_at) = (quantity, good.version + 1, now);
        self.happened.push(Happened::Quantity(place));
    }

    /// Shows another price, in minor units; the same again is no change.
    pub fn set_price(&mut self, place: usize, price: i64) {
        let now = self.now();
        let Some(good) = self.goods.get_mut(place).filter(|good| good.price != price) else { return };
        (good.price, good.version, good.changed_at) = (price, good.version + 1, now);
        self.happened.push(Happened::Price(place));
    }

    /// Makes variants of a product, which is new or has others: SKU, what sets it apart, and price in minor units of each.
    /// There is nothing of them yet. Gives their places.
    pub fn make(
        &mut self,
        product: &str,
        described: &Described,
        variants: &[(String, String, i64)],
    ) -> Vec<usize> {
        let (first, now) = (self.goods.len(), self.now());
        for (sku, size, price) in variants {
            let Described { title, vendor, category, tags } = described.clone();
            let (variant, size) = (self.number(), size.clone());
            self.goods.push(Good {
                product: product.to_owned(),
                variant,
                sku: sku.clone(),
                title,
                vendor,
                category,
                tags,
                size,
                price: *price,
                quantity: 0,
                version: 1,
                changed_at: now,
                removed: false,
                hidden: false,
            });
        }
        let places: Vec<usize> = (first..self.goods.len()).collect();
        self.happened.extend(places.first().map(|first| Happened::Product(*first)));
        places
    }

    /// Describes the variants at these places, which are a product, in other words; the same again is no change.
    pub fn describe(&mut self, places: &[usize], described: &Described) {
        let (now, mut changed) = (self.now(), false);
        for place in places {
            let Some(good) = self.goods.get_mut(*place) else { continue };
            let Described { title, vendor, category, tags } = described.clone();
            if (&good.title, &good.vendor, &good.category, &good.tags) != (&title, &vendor, &category, &tags)
            {
                (good.title, good.vendor, good.category, good.tags) = (title, vendor, category, tags);
                (good.version, good.changed_at, changed) = (good.version + 1, now, true);
            }
        }
        self.happened.extend(places.first().filter(|_| changed).map(|first| Happened::Product(*first)));
    }

    /// The same where somebody looks at it first: at once, unless that takes time.
    pub fn describe_after_review(&mut self, product: &str, described: Described) {
        self.waiting.insert(product.to_owned(), described);
        self.review(self.reviews);
    }

    /// Lets reviews take time from now on; or ends them, and shows what waited.
    pub(super) fn review(&mut self, on: bool) {
        self.reviews = on;
        if on {
            return;
        }
        for (product, described) in std::mem::take(&mut self.waiting) {
            let places = self.product(&product);
            self.describe(&places, &described);
        }
    }

    /// Takes a product off. False if it is not there.
    pub fn take_off(&mut self, product: &str) -> bool {
        let places = self.product(product);
        for place in &places {
            self.goods[*place].removed = true;
        }
        self.happened.extend(places.first().map(|first| Happened::Removed(*first)));
        !places.is_empty()
    }

    /// Switches a product on again, as it was. False if it was not switched off.
    pub fn put_back(&mut self, product: &str) -> bool {
        let (now, mut first) = (self.now(), None);
        for (place, good) in self.goods.iter_mut().enumerate() {
            if good.product == product && good.hidden {
                (good.removed, good.hidden) = (false, false);
                (good.version, good.changed_at) = (good.version + 1, now);
                first = first.or(Some(place));
            }
        }
        self.happened.extend(first.map(Happened::Product));
        first.is_some()
    }

    /// Switches a product off: nobody can buy it, and the merchant still sees it. False if it is not there.
    pub fn hide(&mut self, product: &str) -> bool {
        for place in self.product(product) {
            self.goods[place].hidden = true;
        }
        self.take_off(product)
    }

    /// Tells an address of a topic from now on. Gives the subscription's id; the same as before if it was told already.
    pub fn subscribe(&mut self, topic: &str, address: &str, secret: Option<&str>) -> String {
        let known = self.subscriptions.iter().find(|it| it.topic == topic && it.address == address);
        if let Some(known) = known {
            return known.id.clone();
        }
        let id = self.number();
        self.subscriptions.push(Subscription {
            id: id.clone(),
            topic: topic.to_owned(),
            address: address.to_owned(),
            secret: secret.map(str::to_owned),
        });
        id
    }

    /// Tells no more. False if nobody was told.
    pub fn unsubscribe(&mut self, id: &str) -> bool {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|it| it.id != id);
        self.subscriptions.len() < before
    }

    /// What was answered to this key before.
    pub fn remembered(&self, key: &str, words: &[u8]) -> Remembered {
        match self.remembered.get(key) {
            None => Remembered::Nothing,
            Some((before, reply)) if before == words => Remembered::Same(reply.clone()),
            Some(_) => Remembered::Another,
        }
    }

    /// Keeps an answer under a key.
    pub fn remember(&mut self, key: &str, words: &[u8], reply: &Reply) {
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.pop_first();
        }
        self.remembered.insert(key.to_owned(), (words.to_vec(), reply.clone()));
    }

    pub(super) fn seed(&mut self, title: &str, variants: &[(&str, i64, i64)]) -> Vec<Good> {
        let product = self.number();
        let size = |sku: &str| sku.rsplit('-').next().unwrap_or_default().to_owned();
        let named: Vec<_> =
            variants.iter().map(|(sku, price, _)| ((*sku).to_owned(), size(sku), *price)).collect();
        let places =
            self.make(&product, &Described { title: title.to_owned(), ..Described::default() }, &named);
        for (place, (_, _, quantity)) in places.iter().zip(variants) {
            self.goods[*place].quantity = *quantity;
        }
        places.into_iter().map(|place| self.goods[place].clone()).collect()
    }

    pub(super) fn buy(&mut self, lines: &[(&str, i64)]) -> Option<String> {
        let found: Option<Vec<_>> = lines.iter().map(|(sku, n)| Some((self.sku(sku)?, *n))).collect();
        let found = found?;
        if found.iter().any(|(place, n)| self.goods[*place].quantity < *n) {
            return None;
        }
        let (id, now) = (self.number(), self.now());
        for (place, n) in &found {
            let left = self.goods[*place].quantity - n;
            self.set_quantity(*place, left);
        }
        self.orders.push(Order {
            id: id.clone(),
            lines: found,
            placed_at: now,
            changed_at: now,
            cancelled: false,
            version: 1,
        });
        self.happened.push(Happened::Ordered(self.orders.len() - 1));
        Some(id)
    }

    pub(super) fn cancel(&mut self, id: &str) -> bool {
        let now = self.now();
        let Some(place) = self.orders.iter().position(|order| order.id == id && !order.cancelled) else {
            return false;
        };
        let order = &mut self.orders[place];
        (order.cancelled, order.changed_at, order.version) = (true, now, order.version + 1);
        for (good, n) in order.lines.clone() {
            let back = self.goods[good].quantity + n;
            self.set_quantity(good, back);
        }
        self.happened.push(Happened::Cancelled(place));
        true
    }
}
