//! The bodies of `KicksDB`'s webhooks, both generations.
//!
//! What has no price, no code or nothing left to buy tells no fact and stands in no other price's way.

use chrono::{DateTime, Utc};
use onhand_domain::values::{Currency, Market};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    super::super::{
        fact::{Decoded, Fact, Undecodable},
        read::{FACTS_MAX, within},
    },
    prices::{Decimal, bare_size, market_of},
};

/// Either generation: an event has a name, a monitor has none.
#[derive(Deserialize)]
pub(super) struct Delivery<'b> {
    event: Option<String>,
    timestamp: Option<i64>,
    #[serde(borrow)]
    data: &'b RawValue,
}

impl Delivery<'_> {
    pub(super) fn decode(&self, now: DateTime<Utc>) -> Result<Decoded, Undecodable> {
        let said = self.timestamp.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let at = said.unwrap_or(now).min(now);
        let facts = match &self.event {
            None => serde_json::from_str::<Monitor>(self.data.get())?.facts(at)?,
            Some(event) => {
                let Some(currency) = currency_of(event) else { return Ok(Decoded::UnknownTopic) };
                let prices: Vec<Price> = serde_json::from_str(self.data.get())?;
                within(prices.len(), FACTS_MAX, "prices")?;
                let facts = prices.into_iter().map(|price| price.fact(currency, at));
                facts.filter_map(Result::transpose).collect::<Result<_, _>>()?
            }
        };
        Ok(Decoded::Facts(facts))
    }
}

/// The currency in an event's name, `stockx.price.updated.usd`; none for events about something else.
fn currency_of(event: &str) -> Option<Currency> {
    let mut parts = event.split('.');
    let known = matches!(parts.next(), Some("stockx" | "goat"))
        && matches!(parts.next(), Some("price" | "lowest_ask"))
        && parts.next() == Some("updated");
    let currency = parts.next().filter(|_| known && parts.next().is_none())?;
    Currency::new(&currency.to_uppercase()).ok()
}

fn currency(code: &str) -> Result<Currency, Undecodable> {
    Currency::new(&code.trim().to_uppercase()).map_err(|wrong| Undecodable(wrong.to_string()))
}

fn market(name: Option<&str>, currency: Currency) -> Result<Market, Undecodable> {
    name.and_then(|name| Market::new(&name.trim().to_uppercase()).ok())
        .or_else(|| market_of(currency))
        .ok_or_else(|| Undecodable(format!("prices in {currency} belong to no known market")))
}

/// One element of an event: a size of a model, or the model.
#[derive(Deserialize)]
struct Price {
    sku: Option<String>,
    sizes: Option<Vec<Size>>,
    size_us: Option<Decimal>,
    lowest_ask: Option<Decimal>,
    available: Option<bool>,
    currency: Option<String>,
}

#[derive(Deserialize)]
struct Size {
    size: String,
    #[serde(rename = "type")]
    system: Option<String>,
}

impl Price {
    fn fact(self, named: Currency, at: DateTime<Utc>) -> Result<Option<Fact>, Undecodable> {
        let currency = self.currency.as_deref().map_or(Ok(named), currency)?;
        let market = market(None, currency)?;
        let asked = self.lowest_ask.filter(|_| self.available != Some(false));
        let (Some(style_code), Some(price)) = (code(self.sku), asked.and_then(|it| it.money(currency)))
        else {
            return Ok(None);
        };
        let size = match self.size_us {
            Some(size) => bare_size(&size.into_text(), Some("us")),
            None => self.sizes.as_deref().and_then(one_size),
        };
        Ok(Some(Fact::PriceObserved { style_code, size, market, price, at }))
    }
}

/// A variant is listed in several systems of sizes; the American one names it.
fn one_size(sizes: &[Size]) -> Option<String> {
    let american = |it: &&Size| {
        it.system.as_deref().is_some_and(|it| it.trim().to_lowercase().split(' ').next() == Some("us"))
    };
    let size = sizes.iter().find(american).or(sizes.first())?;
    bare_size(&size.size, size.system.as_deref())
}

fn code(sku: Option<String>) -> Option<String> {
    sku.map(|sku| sku.trim().to_owned()).filter(|sku| !sku.is_empty() && sku.len() <= CODE_BYTES_MAX)
}

/// Longer than any maker's code or size.
const CODE_BYTES_MAX: usize = 128;

/// What a product monitor tells: one model with all its sizes.
#[derive(Deserialize)]
struct Monitor {
    currency: String,
    market: Option<String>,
    product: Product,
}

#[derive(Deserialize)]
struct Product {
    sku: Option<String>,
    variants: Vec<Variant>,
}

#[derive(Deserialize)]
struct Variant {
    size: Option<Decimal>,
    price: Option<Decimal>,
}

impl Monitor {
    fn facts(self, at: DateTime<Utc>) -> Result<Vec<Fact>, Undecodable> {
        within(self.product.variants.len(), FACTS_MAX, "prices")?;
        let currency = currency(&self.currency)?;
        let market = market(self.market.as_deref(), currency)?;
        let Some(style_code) = code(self.product.sku) else { return Ok(vec![]) };
        let mut facts = Vec::new();
        for Variant { size, price } in self.product.variants {
            // A variant without a size is no word about every size.
            let size = size.and_then(|size| bare_size(&size.into_text(), None));
            let (Some(price), Some(size)) = (price.and_then(|price| price.money(currency)), size) else {
                continue;
            };
            if size.len() > CODE_BYTES_MAX {
                continue;
            }
            facts.push(Fact::PriceObserved {
                style_code: style_code.clone(),
                size: Some(size),
                market: market.clone(),
                price,
                at,
            });
        }
        Ok(facts)
    }
}
