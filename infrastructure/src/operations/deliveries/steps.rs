//! Steps: the facts of a delivery with the look-ups made that need a query, one for each kind of fact, not for each fact.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    catalog::ObservedProduct,
    values::{ExternalId, ListingId, Market, Money, ProductId, VariantId},
};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    platforms::{Fact, Hint, OrderTimes, SoldLine},
    queries::{
        connections::Connected,
        listings::{listings_around, listings_of_inventories, listings_of_products},
        offers,
        products::{StyledVariant, variants_of_style},
    },
};

/// A market price, as it is told and as it is kept until its monitor lets it count.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(in super::super) struct PriceNews {
    pub(in super::super) style_code: String,
    pub(in super::super) size: Option<String>,
    pub(in super::super) market: Market,
    pub(in super::super) price: Money,
    pub(in super::super) at: DateTime<Utc>,
    /// Whether the platform has said of when it is; else it is of when it was told.
    #[serde(default)]
    pub(in super::super) said: bool,
}

/// One fact, ready to be decided on.
pub(super) enum Step {
    Product {
        observed: ObservedProduct,
        fresh: ProductId,
        listed: Vec<ListingId>,
    },
    Removed {
        external: ExternalId,
        listings: Vec<ListingId>,
    },
    Stock {
        listings: Vec<ListingId>,
        available: i64,
        at: DateTime<Utc>,
    },
    Adjusted {
        listings: Vec<ListingId>,
        inventory: ExternalId,
        delta: i64,
        reason: String,
    },
    Order(ToldOrder),
    Cancelled {
        external: ExternalId,
        at: DateTime<Utc>,
        /// For want of a payment: one that is paid, or was told of later, is not concerned.
        failed: bool,
    },
    /// Somebody is to be forgotten.
    Erasure,
    /// Somebody wants to know what is known of them.
    Disclosure,
    Price {
        targets: Vec<(ProductId, VariantId)>,
        news: PriceNews,
    },
    /// A price of what nobody knows.
    Unpriced {
        news: PriceNews,
    },
    /// Something to be looked at on the platform, at an address if it has named one.
    Hint {
        hint: Hint,
        url: Option<String>,
    },
    Signal {
        subject: String,
        payload: Value,
    },
    /// Nothing to do, and why. `unmapped`: there may be, once somebody knows what it speaks of.
    Nothing {
        note: String,
        unmapped: bool,
    },
}

/// An order as it is told.
pub(super) struct ToldOrder {
    pub(super) external: ExternalId,
    pub(super) lines: Vec<SoldLine>,
    pub(super) paid: bool,
    /// Its units are still in what the platform shows.
    pub(super) waits: bool,
    /// When its units left what the platform shows.
    pub(super) moved_at: DateTime<Utc>,
    /// Of when its lines are.
    pub(super) told_at: DateTime<Utc>,
}

impl ToldOrder {
    /// Whether it is told of for the first time, as a rule, and will then have an entry of its own.
    pub(super) fn is_new_as_a_rule(&self) -> bool {
        !self.paid && !self.waits && !self.lines.is_empty()
    }
}

/// What was looked up for all facts together.
#[derive(Default)]
struct Found {
    priced: HashMap<String, Vec<StyledVariant>>,
    of_product: HashMap<String, Vec<ListingId>>,
    around_product: HashMap<String, Vec<ListingId>>,
    being_told: HashSet<String>,
    of_inventory: HashMap<String, Vec<ListingId>>,
}

/// Makes the look-ups. `at` is the time of facts that have none of their own, and none is later: a clock that is ahead
/// must not outdate the news of tomorrow.
pub(super) async fn prepare(
    pool: &PgPool,
    connection: &Connected,
    facts: Vec<Fact>,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Step>, sqlx::Error> {
    let found = look_up(pool, connection, &facts).await?;
    Ok(last_prices(facts).into_iter().map(|fact| step(connection, fact, (at, now), &found)).collect())
}

async fn look_up(pool: &PgPool, connection: &Connected, facts: &[Fact]) -> Result<Found, sqlx::Error> {
    let mut styles: Vec<String> = vec![];
    let (mut shown, mut removed, mut inventories): (Vec<&str>, Vec<&str>, Vec<&str>) = Default::default();
    for fact in facts {
        match fact {
            Fact::PriceObserved { style_code, .. } => styles.push(style_code.clone()),
            Fact::Product(ObservedProduct { external, .. }) => shown.push(external.as_str()),
            Fact::ProductRemoved { external } => removed.push(external.as_str()),
            Fact::StockObserved { inventory, .. } | Fact::StockAdjusted { inventory, .. } => {
                inventories.push(inventory.as_str());
            }
            Fact::OrderPlaced { .. }
            | Fact::OrderPaid { .. }
            | Fact::OrderCancelled { .. }
            | Fact::OrderFailed { .. }
            | Fact::Hint(_)
            | Fact::Address { .. }
            | Fact::SignalRaised { .. }
            | Fact::ErasureAsked { .. }
            | Fact::DisclosureAsked { .. }
            | Fact::ShopErasureAsked
            | Fact::Unread { .. } => {}
        }
    }
    let (tenant, id) = (connection.tenant, connection.id);
    let mut found = Found::default();
    if !styles.is_empty() {
        found.priced = variants_of_style(pool, tenant, &connection.details.brand, &styles).await?;
    }
    if !shown.is_empty() {
        found.around_product = listings_around(pool, tenant, id, &shown).await?;
        // One that begins later makes nothing of this ours, and what one that is over has said is on record by then.
        found.being_told = offers::being_told(pool, tenant, id, &shown).await?;
    }
    if !removed.is_empty() {
        found.of_product = listings_of_products(pool, tenant, id, &removed).await?;
    }
    if !inventories.is_empty() {
        found.of_inventory = listings_of_inventories(pool, tenant, id, &inventories).await?;
    }
    Ok(found)
}

/// Of several prices for one size in one market, the last.
fn last_prices(facts: Vec<Fact>) -> Vec<Fact> {
    let mut seen = HashSet::new();
    let mut kept: Vec<Fact> = facts
        .into_iter()
        .rev()
        .filter(|fact| match fact {
            Fact::PriceObserved { style_code, size, market, .. } => {
                seen.insert((style_code.clone(), size.clone(), market.clone()))
            }
            _ => true,
        })
        .collect();
    kept.reverse();
    kept
}

fn step(
    connection: &Connected,
    fact: Fact,
    (at, now): (DateTime<Utc>, DateTime<Utc>),
    found: &Found,
) -> Step {
    let of = |listings: &HashMap<String, Vec<ListingId>>, external: &ExternalId| {
        listings.get(external.as_str()).cloned().unwrap_or_default()
    };
    match fact {
        Fact::Product(mut observed) => {
            observed.at = observed.at.min(latest(now));
            if found.being_told.contains(observed.external.as_str()) {
                observed.details.title.clear(); // So that its words are passed over: they may be ours.
            }
            let listed = of(&found.around_product, &observed.external);
            Step::Product { listed, observed, fresh: ProductId(Uuid::now_v7()) }
        }
        Fact::ProductRemoved { external } => {
            Step::Removed { listings: of(&found.of_product, &external), external }
        }
        Fact::StockObserved { inventory, platform_location, available, at: said } => {
            if let Some(nothing) = elsewhere(connection, platform_location.as_ref()) {
                return nothing;
            }
            let Some(available) = available else {
                return nothing(format!("the platform does not track inventory item {inventory}"), false);
            };
            match found.of_inventory.get(inventory.as_str()) {
                Some(listings) => Step::Stock {
                    listings: listings.clone(),
                    available,
                    at: said.unwrap_or(at).min(latest(now)),
                },
                None => nothing(format!("no listing has inventory item {inventory}"), true),
            }
        }
        Fact::StockAdjusted { inventory, platform_location, delta, reason } => {
            if let Some(nothing) = elsewhere(connection, platform_location.as_ref()) {
                return nothing;
            }
            let listings = found.of_inventory.get(inventory.as_str()).cloned().unwrap_or_default();
            Step::Adjusted { listings, inventory, delta, reason }
        }
        Fact::OrderPlaced { external, lines, times, .. } => {
            Step::Order(told_order((external, lines), (false, times), (at, now)))
        }
        Fact::OrderPaid { external, lines, times, .. } => {
            Step::Order(told_order((external, lines), (true, times), (at, now)))
        }
        Fact::OrderCancelled { external, at: said, .. } => {
            Step::Cancelled { external, at: said.unwrap_or(at).min(latest(now)), failed: false }
        }
        Fact::OrderFailed { external, at: said } => {
            Step::Cancelled { external, at: said.unwrap_or(at).min(latest(now)), failed: true }
        }
        Fact::PriceObserved { style_code, size, market, price, at: said } => {
            let (at, said) = (said.unwrap_or(at), said.is_some());
            priced(PriceNews { style_code, size, market, price, at, said }, &found.priced)
        }
        Fact::Hint(mut hint) => {
            if let Some(titled) = &mut hint.titled {
                titled.at = titled.at.min(latest(now));
            }
            Step::Hint { hint, url: None }
        }
        Fact::Address { hint, url } => Step::Hint { hint, url: Some(url) },
        Fact::SignalRaised { subject, payload } => Step::Signal { subject, payload },
        Fact::ErasureAsked { .. } => Step::Erasure,
        Fact::DisclosureAsked { .. } => Step::Disclosure,
        Fact::Unread { note } => nothing(note, false),
        Fact::ShopErasureAsked => nothing(
            format!(
                "the shop has left; destroy what is known of its customers with \
                 `onhand privacy forget --connection {} --everybody`",
                connection.id
            ),
            false,
        ),
    }
}

/// An order. What does not say when counts as of now.
fn told_order(
    (external, lines): (ExternalId, Vec<SoldLine>),
    (paid, times): (bool, OrderTimes),
    (at, now): (DateTime<Utc>, DateTime<Utc>),
) -> ToldOrder {
    let of = |said: Option<DateTime<Utc>>| said.unwrap_or(at).min(latest(now));
    let (moved_at, told_at) = (of(times.moved), of(times.told));
    ToldOrder { external, lines, paid, waits: times.waits && !paid, moved_at, told_at }
}

/// A price, with the variants it means.
pub(super) fn priced(news: PriceNews, found: &HashMap<String, Vec<StyledVariant>>) -> Step {
    let targets: Vec<_> = found
        .get(&news.style_code)
        .into_iter()
        .flatten()
        .filter(|variant| variant.is(&news.style_code, news.size.as_deref()))
        .map(|variant| (variant.product, variant.variant))
        .collect();
    if news.size.is_none() && targets.len() > 1 {
        return nothing(
            format!("{} is the cheapest size of {}, which has several here", news.price, news.style_code),
            false,
        );
    }
    if targets.is_empty() { Step::Unpriced { news } } else { Step::Price { targets, news } }
}

fn elsewhere(connection: &Connected, place: Option<&ExternalId>) -> Option<Step> {
    let place = place?;
    match &connection.details.platform_location {
        Some(ours) if ours == place => None,
        Some(_) => Some(nothing(format!("location {place} is not this connection's"), false)),
        None => Some(nothing(
            format!(
                "it speaks of location {place}; set the connection's platform_location to say which counts"
            ),
            false,
        )),
    }
}

/// The latest time that news of this moment can have.
fn latest(now: DateTime<Utc>) -> DateTime<Utc> {
    now + TimeDelta::minutes(5)
}

fn nothing(note: String, unmapped: bool) -> Step {
    Step::Nothing { note, unmapped }
}
