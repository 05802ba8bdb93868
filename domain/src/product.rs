//! Products: what is sold, its variants, and what each variant costs in each market.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    aggregate::aggregate,
    values::{ConnectionId, Market, Money, ProductId, Sku, VariantId},
};

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
    },
    /// A shop showed how it stands there.
    #[serde(rename = "product.observed")]
    Observed {
        /// Which shop.
        connection: ConnectionId,
        /// When it stood so, by the shop's clock.
        at: DateTime<Utc>,
    },
    /// The product left the catalogue; its history and its stock stay.
    #[serde(rename = "product.archived")]
    Archived {},
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
    },
    /// Note that a shop showed it; nothing happens if that, or a later sight of it, is known.
    Observe {
        /// Which shop.
        connection: ConnectionId,
        /// When it stood so, by the shop's clock.
        at: DateTime<Utc>,
    },
    /// Take it out of the catalogue.
    Archive,
}

/// A variant as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// How it looks.
    #[serde(flatten)]
    pub details: VariantDetails,
    /// Its price in each market.
    pub prices: BTreeMap<Market, Money>,
    /// The times of those prices that came from a market feed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub priced_at: BTreeMap<Market, DateTime<Utc>>,
}

/// A product as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// None before its creation.
    pub details: Option<ProductDetails>,
    /// Its variants.
    pub variants: BTreeMap<VariantId, Variant>,
    /// When each shop was last seen to show it, by the shop's clock.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub observed: BTreeMap<ConnectionId, DateTime<Utc>>,
    /// True once it has left the catalogue.
    pub archived: bool,
}

impl Product {
    fn decide(&self, command: ProductCommand) -> Result<Vec<ProductEvent>, Refusal> {
        match command {
            ProductCommand::Create(details) => self.create(details),
            ProductCommand::Describe(details) => self.describe(details),
            ProductCommand::PutVariant { variant, details } => self.put_variant(variant, details),
            ProductCommand::Price { variant, market, price, at } => self.price(variant, market, price, at),
            ProductCommand::Observe { connection, at } => {
                let known = self.observed.get(&connection).is_some_and(|known| *known >= at);
                Ok(if known { vec![] } else { vec![ProductEvent::Observed { connection, at }] })
            }
            ProductCommand::Archive => {
                self.existing()?;
                Ok(if self.archived { vec![] } else { vec![ProductEvent::Archived {}] })
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
        at: Option<DateTime<Utc>>,
    ) -> Result<Vec<ProductEvent>, Refusal> {
        let known = self.variants.get(&variant).ok_or_else(|| {
            Refusal::missing("variant.unknown", format!("this product has no variant {variant}"))
        })?;
        let older = at.is_some_and(|at| known.priced_at.get(&market).is_some_and(|known| at < *known));
        if older || known.prices.get(&market) == Some(&price) {
            return Ok(vec![]);
        }
        Ok(vec![ProductEvent::Priced { variant, market, price, at }])
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
                let (prices, priced_at) = Default::default();
                self.variants.insert(variant, Variant { details, prices, priced_at });
            }
            ProductEvent::VariantChanged { variant, details } => {
                if let Some(known) = self.variants.get_mut(&variant) {
                    known.details = details;
                }
            }
            ProductEvent::Priced { variant, market, price, at } => {
                if let Some(known) = self.variants.get_mut(&variant) {
                    known.priced_at.extend(at.map(|at| (market.clone(), at)));
                    known.prices.insert(market, price);
                }
            }
            ProductEvent::Observed { connection, at } => {
                self.observed.insert(connection, at);
            }
            ProductEvent::Archived {} => self.archived = true,
        }
        self
    }
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
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{scenario::given, values::Currency};

    const P: ProductId = ProductId(Uuid::from_u128(1));
    const V: VariantId = VariantId(Uuid::from_u128(2));

    fn details(title: &str) -> ProductDetails {
        ProductDetails { title: title.into(), ..ProductDetails::default() }
    }

    fn size(size: &str) -> VariantDetails {
        let sku = Sku::new(&format!("DUNK-{size}")).expect("a SKU");
        VariantDetails { sku, attributes: BTreeMap::from([("size".into(), size.into())]) }
    }

    fn priced(minor: i64) -> ProductEvent {
        let price = Money { minor, currency: Currency::new("USD").expect("a currency") };
        ProductEvent::Priced { variant: V, market: Market::default(), price, at: None }
    }

    fn price(minor: i64) -> ProductCommand {
        let price = Money { minor, currency: Currency::new("USD").expect("a currency") };
        ProductCommand::Price { variant: V, market: Market::default(), price, at: None }
    }

    fn dunk() -> Vec<ProductEvent> {
        vec![
            ProductEvent::Created(details("Dunk Low")),
            ProductEvent::VariantAdded { variant: V, details: size("42") },
        ]
    }

    #[test]
    fn a_product_is_created_once() {
        given::<Product>(P, dunk())
            .when(ProductCommand::Create(details("Dunk High")))
            .then_refused("product.exists");
    }

    #[test]
    fn a_description_that_says_nothing_new_leaves_no_trace() {
        given::<Product>(P, dunk()).when(ProductCommand::Describe(details("Dunk Low"))).then([]);
    }

    #[test]
    fn a_price_is_recorded_when_it_moves_and_only_then() {
        given::<Product>(P, dunk()).when(price(11_000)).then([priced(11_000)]);
        given::<Product>(P, [dunk(), vec![priced(11_000)]].concat()).when(price(11_000)).then([]);
    }

    #[test]
    fn a_market_price_older_than_the_known_one_is_no_news() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        let (
            ProductEvent::Priced { variant, market, price: high, .. },
            ProductCommand::Price { price: low, .. },
        ) = (priced(12_000), price(11_000))
        else {
            unreachable!("both are prices")
        };
        let known = ProductEvent::Priced { variant, market: market.clone(), price: high, at: at(100) };
        let ask =
            |seconds| ProductCommand::Price { variant, market: market.clone(), price: low, at: at(seconds) };
        let newer = ProductEvent::Priced { variant, market: market.clone(), price: low, at: at(101) };
        given::<Product>(P, [dunk(), vec![known.clone()]].concat()).when(ask(99)).then([]);
        given::<Product>(P, [dunk(), vec![known]].concat()).when(ask(101)).then([newer]);
    }

    #[test]
    fn a_variant_that_is_not_there_has_no_price() {
        given::<Product>(P, [ProductEvent::Created(details("Dunk Low"))])
            .when(price(11_000))
            .then_refused("variant.unknown");
    }

    #[test]
    fn putting_a_variant_again_with_another_size_changes_it() {
        given::<Product>(P, dunk())
            .when(ProductCommand::PutVariant { variant: V, details: size("43") })
            .then([ProductEvent::VariantChanged { variant: V, details: size("43") }]);
    }
}
