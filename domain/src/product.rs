//! Products: what is sold, its variants, and what each variant costs in each market.

mod offer;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    aggregate::aggregate,
    values::{ConnectionId, ExternalId, Market, Money, ProductId, Sku, VariantId},
};

pub(crate) use self::offer::Showing;
pub use self::offer::{Offer, Word, Words};

/// The most variants one product may have; the largest platform limit is 2,048.
pub const VARIANTS_MAX: usize = 2_048;

/// What describes a product as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductDetails {
    /// As a shop window shows it.
    pub title: String,
    /// The seller's brand that owns it; what API keys may be scoped to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// Who makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// What sort of thing it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The maker's code for the model, which price feeds speak of: `FJ5471-121`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style_code: Option<String>,
    /// Free words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// What describes one variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantDetails {
    /// Its name within the tenant.
    pub sku: Sku,
    /// `size`, `colour` and whatever else sets it apart.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// What has happened to a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProductEvent {
    /// The product was taken into the catalogue.
    #[serde(rename = "product.created")]
    Created(ProductDetails),
    /// Its title, brand, category or tags changed.
    #[serde(rename = "product.described")]
    Described(ProductDetails),
    /// A variant joined it.
    #[serde(rename = "product.variant_added")]
    VariantAdded {
        /// The new variant.
        variant: VariantId,
        /// How it looks.
        #[serde(flatten)]
        details: VariantDetails,
    },
    /// A variant's SKU or attributes changed.
    #[serde(rename = "product.variant_changed")]
    VariantChanged {
        /// Which variant.
        variant: VariantId,
        /// How it looks now.
        #[serde(flatten)]
        details: VariantDetails,
    },
    /// A variant got a new price in a market.
    #[serde(rename = "product.priced")]
    Priced {
        /// Which variant.
        variant: VariantId,
        /// Where.
        market: Market,
        /// How much.
        price: Money,
        /// When the market had it, where a market feed says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<DateTime<Utc>>,
        /// When it came to count here; none on entries of older programs only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counted_at: Option<DateTime<Utc>>,
    },
    /// A market feed told of a price that changed nothing here. What it told of before that is older news.
    #[serde(rename = "product.price_confirmed")]
    PriceConfirmed {
        /// Of which variant.
        variant: VariantId,
        /// Where.
        market: Market,
        /// When the market had it.
        at: DateTime<Utc>,
    },
    /// A shop showed how it stands there.
    #[serde(rename = "product.observed")]
    Observed {
        /// Which shop.
        connection: ConnectionId,
        /// As which of its products; none on entries of older programs only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external: Option<ExternalId>,
        /// When the whole of that stood so, by the shop's clock; none where only a part of it was shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<DateTime<Utc>>,
        /// The words it shows, where they are others than it was known to show.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shows: Option<Words>,
    },
    /// A shop took our words for it.
    #[serde(rename = "product.pushed")]
    Pushed {
        /// Which shop.
        connection: ConnectionId,
        /// Our words.
        words: Words,
        /// What it shows now: the same in the shop's own way, cut or put in order.
        shows: Words,
        /// When we told it; the epoch on entries of older programs, where it is not known.
        #[serde(default, skip_serializing_if = "is_epoch")]
        at: DateTime<Utc>,
    },
    /// It left the catalogue, and was taken off a shop.
    #[serde(rename = "product.taken_off")]
    TakenOff {
        /// Which shop.
        connection: ConnectionId,
    },
    /// A shop could not be brought to offer it, describe it or take it off, and we have stopped trying.
    #[serde(rename = "product.push_failed")]
    PushFailed {
        /// Which shop.
        connection: ConnectionId,
        /// What stood in the way at last.
        reason: String,
        /// How often it was tried.
        attempts: i32,
        /// True if it was refused before any words of it may have got through: how it is described there is then as it was.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
    /// The product left the catalogue; its history and its stock stay.
    #[serde(rename = "product.archived")]
    Archived {},
    /// The product came back into the catalogue.
    #[serde(rename = "product.restored")]
    Restored {},
}

/// What one may ask of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProductCommand {
    /// Take it into the catalogue.
    Create(ProductDetails),
    /// Change what describes it; nothing happens if nothing differs.
    Describe(ProductDetails),
    /// Add a variant, or change the one there is.
    PutVariant {
        /// Which variant.
        variant: VariantId,
        /// How it looks.
        details: VariantDetails,
    },
    /// Set a price; nothing happens if it is the price already.
    Price {
        /// Which variant.
        variant: VariantId,
        /// Where.
        market: Market,
        /// How much.
        price: Money,
        /// When, where a market feed says so; older news than what is known leads to nothing.
        at: Option<DateTime<Utc>>,
        /// The time it is; where a shop shows it, the time of that.
        counted_at: DateTime<Utc>,
    },
    /// Note that a market feed told of it, without a change; nothing happens if news as new are known.
    ConfirmPrice {
        /// Of which variant.
        variant: VariantId,
        /// Where.
        market: Market,
        /// When the market had it.
        at: DateTime<Utc>,
    },
    /// Note that a shop showed it; nothing happens if that, or a later sight of it, is known.
    Observe {
        /// Which shop.
        connection: ConnectionId,
        /// As which of its products.
        external: ExternalId,
        /// When it stood so, by the shop's clock.
        at: DateTime<Utc>,
        /// Whether the whole of that was shown.
        complete: bool,
        /// The words it shows, if they are told.
        shows: Option<Words>,
        /// Which of these are told even if they are none.
        told: Vec<Word>,
    },
    /// Take it out of the catalogue.
    Archive,
    /// Take it back into the catalogue.
    Restore,
}

/// A variant as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// How it looks.
    #[serde(flatten)]
    pub details: VariantDetails,
    /// Its price in each market.
    pub prices: BTreeMap<Market, Money>,
    /// Of when those prices are: by the market's clock what a market feed told last, and otherwise when they came to count here. What a
    /// market feed tells of from before that is old news.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub priced_at: BTreeMap<Market, DateTime<Utc>>,
    /// When those prices came to count here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counted_at: BTreeMap<Market, DateTime<Utc>>,
}

/// A product as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// None before its creation.
    pub details: Option<ProductDetails>,
    /// Its variants.
    pub variants: BTreeMap<VariantId, Variant>,
    /// When each shop was last seen to show it, by the shop's clock, as whichever of its products: of older programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub observed: BTreeMap<ConnectionId, DateTime<Utc>>,
    /// When each shop was last seen to show it, by the shop's clock, as each of its products.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sights: BTreeMap<ConnectionId, BTreeMap<ExternalId, DateTime<Utc>>>,
    /// How it stands on each connection, as far as is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub offers: BTreeMap<ConnectionId, Offer>,
    /// True once it has left the catalogue.
    pub archived: bool,
}

impl Product {
    fn decide(&self, command: ProductCommand) -> Result<Vec<ProductEvent>, Refusal> {
        match command {
            ProductCommand::Create(details) => self.create(details),
            ProductCommand::Describe(details) => self.describe(details),
            ProductCommand::PutVariant { variant, details } => self.put_variant(variant, details),
            ProductCommand::Price { variant, market, price, at, counted_at } => {
                self.price(variant, market, price, (at, counted_at))
            }
            ProductCommand::ConfirmPrice { variant, market, at } => {
                Ok(self.confirm_price(variant, market, at))
            }
            ProductCommand::Observe { connection, external, at, complete, shows, told } => {
                Ok(self.observe(connection, external, (at, complete), (shows, &told)))
            }
            ProductCommand::Archive => {
                self.existing()?;
                Ok(if self.archived { vec![] } else { vec![ProductEvent::Archived {}] })
            }
            ProductCommand::Restore => {
                self.existing()?;
                Ok(if self.archived { vec![ProductEvent::Restored {}] } else { vec![] })
            }
        }
    }

    fn create(&self, details: ProductDetails) -> Result<Vec<ProductEvent>, Refusal> {
        if self.details.is_some() {
            return Err(Refusal::conflict("product.exists", "there is a product with this id already"));
        }
        well_described(&details)?;
        Ok(vec![ProductEvent::Created(details)])
    }

    fn describe(&self, details: ProductDetails) -> Result<Vec<ProductEvent>, Refusal> {
        let known = self.existing()?;
        if *known == details {
            return Ok(vec![]);
        }
        well_described(&details)?;
        Ok(vec![ProductEvent::Described(details)])
    }

    fn put_variant(&self, variant: VariantId, details: VariantDetails) -> Result<Vec<ProductEvent>, Refusal> {
        let attributes = &details.attributes;
        brief(attributes.iter().flat_map(|(name, value)| [name.as_str(), value]), attributes.len())?;
        match self.variants.get(&variant) {
            Some(known) if known.details == details => Ok(vec![]),
            Some(_) => Ok(vec![ProductEvent::VariantChanged { variant, details }]),
            None if self.variants.len() >= VARIANTS_MAX => Err(Refusal::invalid(
                "product.variants",
                format!("a product has at most {VARIANTS_MAX} variants"),
            )),
            None => Ok(vec![ProductEvent::VariantAdded { variant, details }]),
        }
    }

    fn price(
        &self,
        variant: VariantId,
        market: Market,
        price: Money,
        (at, counted_at): (Option<DateTime<Utc>>, DateTime<Utc>),
    ) -> Result<Vec<ProductEvent>, Refusal> {
        let known = self.variants.get(&variant).ok_or_else(|| {
            Refusal::missing("variant.unknown", format!("this product has no variant {variant}"))
        })?;
        let last = known.priced_at.get(&market);
        if at.zip(last).is_some_and(|(at, last)| at < *last) {
            return Ok(vec![]);
        }
        if known.prices.get(&market) == Some(&price) {
            return Ok(at.map(|at| self.confirm_price(variant, market, at)).unwrap_or_default());
        }
        let counted_at = Some(counted_at);
        Ok(vec![ProductEvent::Priced { variant, market, price, at, counted_at }])
    }

    fn confirm_price(&self, variant: VariantId, market: Market, at: DateTime<Utc>) -> Vec<ProductEvent> {
        let known = self.variants.get(&variant).filter(|known| known.prices.contains_key(&market));
        let last = known.map(|known| known.priced_at.get(&market));
        match last {
            Some(last) if last.is_none_or(|last| *last < at) => {
                vec![ProductEvent::PriceConfirmed { variant, market, at }]
            }
            _ => vec![],
        }
    }

    fn observe(
        &self,
        connection: ConnectionId,
        external: ExternalId,
        (at, complete): (DateTime<Utc>, bool),
        (shows, told): (Option<Words>, &[Word]),
    ) -> Vec<ProductEvent> {
        let shows = match self.offers.get(&connection) {
            Some(offer) => shows.and_then(|shows| offer.news(&external, (shows, told), at)),
            None => shows,
        };
        let known = self.seen(connection, &external).is_some_and(|known| known >= at);
        if (known || !complete) && shows.is_none() {
            return vec![];
        }
        let (external, at) = (Some(external), complete.then_some(at));
        vec![ProductEvent::Observed { connection, external, at, shows }]
    }

    /// When a shop was last seen to show it as this product of its own, by the shop's clock.
    pub fn seen(&self, connection: ConnectionId, external: &ExternalId) -> Option<DateTime<Utc>> {
        let seen = self.sights.get(&connection).and_then(|sights| sights.get(external));
        seen.max(self.observed.get(&connection)).copied()
    }

    /// What describes it now that a shop shows it so; none if nothing was changed there.
    pub(crate) fn change(&self, connection: ConnectionId, showing: Showing<'_>) -> Option<ProductDetails> {
        self.offers.get(&connection)?.change(self.details.as_ref()?, showing)
    }

    fn existing(&self) -> Result<&ProductDetails, Refusal> {
        self.details
            .as_ref()
            .ok_or_else(|| Refusal::missing("product.unknown", "there is no product with this id"))
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(mut self, event: ProductEvent) -> Self {
        match event {
            ProductEvent::Created(details) | ProductEvent::Described(details) => self.details = Some(details),
            ProductEvent::VariantAdded { variant, details } => {
                let (prices, priced_at, counted_at) = Default::default();
                self.variants.insert(variant, Variant { details, prices, priced_at, counted_at });
            }
            ProductEvent::VariantChanged { variant, details } => {
                if let Some(known) = self.variants.get_mut(&variant) {
                    known.details = details;
                }
            }
            ProductEvent::Priced { variant, market, price, at, counted_at } => {
                if let Some(known) = self.variants.get_mut(&variant) {
                    // What a shop has shown may be older than what a market feed told.
                    let last = known.priced_at.get(&market).copied();
                    known.priced_at.extend(at.or(counted_at.max(last)).map(|at| (market.clone(), at)));
                    known.counted_at.extend(counted_at.or(at).map(|at| (market.clone(), at)));
                    known.prices.insert(market, price);
                }
            }
            ProductEvent::PriceConfirmed { variant, market, at } => {
                if let Some(known) = self.variants.get_mut(&variant) {
                    known.priced_at.insert(market, at);
                }
            }
            ProductEvent::Observed { connection, external, at, shows } => {
                if let Some(at) = at {
                    self.note_sight(connection, external.clone(), at);
                }
                if let Some(shows) = shows {
                    let ours = self.details.as_ref().map(ProductDetails::words);
                    self.offers.entry(connection).or_default().see(shows, external, ours);
                }
            }
            ProductEvent::Pushed { connection, words, shows, at } => {
                self.offers.entry(connection).or_default().push(words, shows, at);
            }
            ProductEvent::TakenOff { connection } => self.offers.entry(connection).or_default().take_off(),
            ProductEvent::PushFailed { refused: true, .. } => {}
            ProductEvent::PushFailed { connection, .. } => {
                self.offers.entry(connection).or_default().give_up();
            }
            ProductEvent::Archived {} => self.archived = true,
            ProductEvent::Restored {} => self.archived = false,
        }
        self
    }

    fn note_sight(&mut self, connection: ConnectionId, external: Option<ExternalId>, at: DateTime<Utc>) {
        let seen = match external {
            Some(external) => self.sights.entry(connection).or_default().entry(external).or_insert(at),
            None => self.observed.entry(connection).or_insert(at),
        };
        *seen = at.max(*seen);
    }
}

fn is_epoch(at: &DateTime<Utc>) -> bool {
    *at == DateTime::UNIX_EPOCH
}

fn well_described(details: &ProductDetails) -> Result<(), Refusal> {
    if details.title.trim().is_empty() || details.title.chars().count() > 500 {
        return Err(Refusal::invalid("product.title", "a product has a title of 1 to 500 characters"));
    }
    let words = [&details.brand, &details.vendor, &details.category, &details.style_code];
    let words = words.into_iter().flatten().chain(&details.tags);
    brief(words.map(String::as_str), details.tags.len())
}

/// Words that describe have at most 200 characters each, and there are at most 250 of a kind.
fn brief<'w>(mut words: impl Iterator<Item = &'w str>, count: usize) -> Result<(), Refusal> {
    if count > 250 || words.any(|word| word.chars().count() > 200) {
        return Err(Refusal::invalid(
            "text.too_long",
            "brand, vendor, category, style code, tags and attributes have at most 200 characters each, and there \
             are at most 250 tags or attributes",
        ));
    }
    Ok(())
}

aggregate!(Product, ProductId, ProductEvent, ProductCommand, Refusal);

#[cfg(test)]
mod tests;
