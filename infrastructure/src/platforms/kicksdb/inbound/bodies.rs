//! The bodies of `KicksDB`'s webhooks, both generations.
//!
//! What has no price, no code or nothing left to buy tells no fact. Each price is read by itself, so that what is odd about
//! one stands in no other's way.

use chrono::{DateTime, Utc};
use onhand_domain::values::{Currency, Market, Money};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    super::super::{
        fact::{Decoded, Fact, Undecodable},
        read::{FACTS_MAX, Unread, floor, within},
    },
    end_of_second,
    prices::{Decimal, bare_size, market_of},
};

/// Either generation: an event has a name, a monitor has none.
#[derive(Deserialize)]
pub(super) struct Delivery<'b> {
    event: Option<String>,
    #[serde(default)]
    timestamp: Value,
    #[serde(borrow)]
    data: &'b RawValue,
}

impl Delivery<'_> {
    pub(super) fn decode(&self, now: DateTime<Utc>) -> Result<Decoded, Undecodable> {
        let said = floor(&self.timestamp).filter(|seconds| *seconds > 0);
        let said = said.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let at = said.map(|said| end_of_second(said).min(now));
        let facts = match &self.event {
            None => serde_json::from_str::<Monitor<'_>>(self.data.get())?.facts(at)?,
            Some(event) => {
                let Some(currency) = currency_of(event) else { return Ok(Decoded::UnknownTopic) };
                let prices: Vec<&RawValue> = serde_json::from_str(self.data.get())?;
                each(&prices, |price| serde_json::from_str::<Price>(price)?.fact(currency, at))?
            }
        };
        Ok(Decoded::Facts(facts))
    }
}

/// The facts that elements of a body tell, with a note about those that could not be read.
fn each(
    elements: &[&RawValue],
    read: impl Fn(&str) -> Result<Option<Fact>, Undecodable>,
) -> Result<Vec<Fact>, Undecodable> {
    within(elements.len(), FACTS_MAX, "prices")?;
    let (mut facts, mut unread) = (vec![], Unread::default());
    for element in elements {
        match read(element.get()) {
            Ok(fact) => facts.extend(fact),
            Err(why) => unread.pass(why),
        }
    }
    facts.extend(unread.of(elements.len())?);
    Ok(facts)
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
    currency: Option<String>,
    #[serde(default)]
    available: Value,
    #[serde(default)]
    number_of_asks: Value,
}

#[derive(Deserialize)]
struct Size {
    size: Decimal,
    #[serde(rename = "type")]
    system: Option<String>,
}

impl Price {
    fn fact(self, named: Currency, at: Option<DateTime<Utc>>) -> Result<Option<Fact>, Undecodable> {
        let currency = self.currency.as_deref().map_or(Ok(named), currency)?;
        let market = market(None, currency)?;
        let gone = is_nothing(&self.available) || is_nothing(&self.number_of_asks);
        let (Some(style_code), Some(price)) = (code(self.sku)?, asked(self.lowest_ask, gone, currency)?)
        else {
            return Ok(None);
        };
        let size = match self.size_us {
            Some(size) => bare_size(&size.size(), Some("us")),
            None => self.sizes.as_deref().and_then(one_size),
        };
        Ok(Some(Fact::PriceObserved { style_code, size: code(size)?, market, price, at }))
    }
}

/// A variant is listed in several systems of sizes; the American one names it.
fn one_size(sizes: &[Size]) -> Option<String> {
    let american = |it: &&Size| {
        it.system.as_deref().is_some_and(|it| it.trim().to_lowercase().split(' ').next() == Some("us"))
    };
    let size = sizes.iter().find(american).or(sizes.first())?;
    bare_size(&size.size.size(), size.system.as_deref())
}

/// A maker's code or a size, if there is one.
fn code(text: Option<String>) -> Result<Option<String>, Undecodable> {
    let Some(code) = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if code.len() > CODE_BYTES_MAX || code.contains(char::is_control) {
        return Err(Undecodable("a code or a size is too long or has signs that nobody could read".into()));
    }
    Ok(Some(code))
}

/// Longer than any maker's code or size.
const CODE_BYTES_MAX: usize = 128;

/// The price of what can be had.
fn asked(price: Option<Decimal>, gone: bool, currency: Currency) -> Result<Option<Money>, Undecodable> {
    price.filter(|_| !gone).map_or(Ok(None), |price| price.money(currency))
}

/// Whether what is counted, or said to be there, is not: `0`, `"0"`, `false`. What nobody says may be there.
fn is_nothing(said: &Value) -> bool {
    match said {
        Value::Bool(there) => !there,
        Value::String(word) if word.trim().eq_ignore_ascii_case("false") => true,
        said => floor(said).is_some_and(|count| count <= 0),
    }
}

/// What a product monitor tells: one model with all its sizes.
#[derive(Deserialize)]
struct Monitor<'b> {
    currency: String,
    market: Option<String>,
    #[serde(borrow)]
    product: Product<'b>,
}

#[derive(Deserialize)]
struct Product<'b> {
    sku: Option<String>,
    #[serde(borrow)]
    variants: Vec<&'b RawValue>,
}

#[derive(Deserialize)]
struct Variant {
    size: Option<Decimal>,
    price: Option<Decimal>,
    #[serde(default)]
    count: Value,
}

impl Monitor<'_> {
    fn facts(self, at: Option<DateTime<Utc>>) -> Result<Vec<Fact>, Undecodable> {
        let currency = currency(&self.currency)?;
        let market = market(self.market.as_deref(), currency)?;
        let Product { sku, variants } = self.product;
        let Some(style_code) = code(sku)? else { return Ok(vec![]) };
        each(&variants, |variant| {
            let Variant { size, price, count } = serde_json::from_str(variant)?;
            // A variant without a size is no word about every size.
            let size = code(size.and_then(|size| bare_size(&size.size(), None)))?;
            let price = asked(price, is_nothing(&count), currency)?;
            let (market, style_code) = (market.clone(), style_code.clone());
            Ok(size.zip(price).map(|(size, price)| Fact::PriceObserved {
                style_code,
                size: Some(size),
                market,
                price,
                at,
            }))
        })
    }
}
