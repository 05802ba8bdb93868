//! The data of each type of our own vocabulary.
//!
//! What identifies or counts or orders must be right, or the whole body is refused with the name of the
//! field; what only describes is taken as it comes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    connection::ConnectionDetails,
    product::{ProductDetails, VARIANTS_MAX, Word},
    values::{Currency, ExternalId, Market, Quantity},
};
use serde::Deserialize;
use serde_json::Value;

use super::super::super::{
    fact::{Fact, OrderTimes, SoldLine, Undecodable},
    read, signature,
};

/// Longer than any maker's code.
const CODE_BYTES_MAX: usize = 128;

/// When the event happened by its envelope, and when it was delivered.
#[derive(Clone, Copy)]
pub(super) struct Times {
    event: DateTime<Utc>,
    delivery: DateTime<Utc>,
}

impl Times {
    /// The envelope's time, or the delivery's where the envelope has none.
    pub(super) fn of(timestamp: Option<&Value>, delivery: DateTime<Utc>) -> Result<Self, Undecodable> {
        let event = Self { event: delivery, delivery }.at("timestamp", timestamp)?;
        Ok(Self { event, delivery })
    }

    /// A time in the data, or the envelope's where the data has none.
    fn at(self, field: &str, given: Option<&Value>) -> Result<DateTime<Utc>, Undecodable> {
        let Some(given) = given else { return Ok(self.event) };
        let at = given.as_str().and_then(read::time).ok_or_else(|| {
            Undecodable(format!("{field} is no time with a zone, such as 2026-03-01T12:00:00Z; correct it"))
        })?;
        // What came later would count as older for as long as the sender's clock is ahead.
        let ahead = at > self.delivery
            && at.timestamp().abs_diff(self.delivery.timestamp()) > signature::TOLERANCE_SECONDS;
        Ok(if ahead { self.delivery } else { at })
    }
}

/// Data of which only the id counts.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) id: ExternalId,
}

/// `product.created`, `product.updated`.
#[derive(Deserialize)]
pub(super) struct Product {
    id: ExternalId,
    title: String,
    vendor: Option<String>,
    category: Option<String>,
    style_code: Option<String>,
    tags: Option<Vec<String>>,
    variants: Vec<Variant>,
    updated_at: Option<Value>,
}

#[derive(Deserialize)]
struct Variant {
    id: ExternalId,
    sku: Option<String>,
    price: Option<Value>,
    currency: Option<String>,
    attributes: Option<BTreeMap<String, Value>>,
    inventory: Option<ExternalId>,
}

impl Product {
    pub(super) fn facts(
        self,
        times: Times,
        connection: &ConnectionDetails,
    ) -> Result<Vec<Fact>, Undecodable> {
        if self.variants.is_empty() {
            return Err(Undecodable(
                "the product has no variants; give it one, even if it comes in one form only".into(),
            ));
        }
        read::within(self.variants.len(), VARIANTS_MAX, "variants")?;
        let at = times.at("data.updated_at", self.updated_at.as_ref())?;
        let title = read::filled(Some(self.title)).unwrap_or_else(|| self.id.to_string());
        let told = self.tags.iter().map(|_| Word::Tags).collect();
        let tags = self.tags.unwrap_or_default();
        let tags = tags.iter().map(|tag| read::word(tag.trim())).filter(|tag| !tag.is_empty()).collect();
        let currency = connection.currency;
        let prices = self.variants.iter().filter_map(|it| Some((&it.id, it.price_in(currency)?)));
        let odd = read::odd_prices(prices, currency);
        let product = Fact::Product(ObservedProduct {
            external: self.id,
            details: ProductDetails {
                title: read::title(&title),
                vendor: read::filled(self.vendor).map(|vendor| read::word(&vendor)),
                category: read::filled(self.category).map(|category| read::word(&category)),
                style_code: read::filled(self.style_code),
                tags,
                ..ProductDetails::default()
            },
            told,
            variants: self.variants.into_iter().map(|it| it.observed(currency)).collect(),
            complete: true,
            at,
        });
        Ok([product].into_iter().chain(odd).collect())
    }
}

impl Variant {
    /// What is told for its price; in another currency it is no price of this connection.
    fn price_in(&self, currency: Currency) -> Option<&Value> {
        let told = self.currency.as_deref();
        let ours = told.is_none_or(|code| code.trim().eq_ignore_ascii_case(currency.code()));
        self.price.as_ref().filter(|_| ours)
    }

    fn observed(self, currency: Currency) -> ObservedVariant {
        let price = self.price_in(currency).and_then(|price| read::money(price, currency));
        let attributes = self.attributes.unwrap_or_default().into_iter().filter_map(|(name, value)| {
            let name = read::word(name.trim()).to_lowercase();
            Some((name, text(value)?)).filter(|(name, _)| !name.is_empty())
        });
        ObservedVariant {
            inventory: Some(self.inventory.unwrap_or_else(|| self.id.clone())),
            external: self.id,
            sku: read::sku(self.sku.as_deref()),
            attributes: attributes.collect(),
            price,
        }
    }
}

/// `stock.observed`.
#[derive(Deserialize)]
pub(super) struct Level {
    inventory: ExternalId,
    location: Option<ExternalId>,
    available: Value,
    at: Option<Value>,
}

impl Level {
    pub(super) fn observed(self, times: Times) -> Result<Fact, Undecodable> {
        let available = match &self.available {
            Value::Null => None,
            counted => Some(count("data.available", counted)?),
        };
        Ok(Fact::StockObserved {
            inventory: self.inventory,
            platform_location: self.location,
            available,
            at: Some(times.at("data.at", self.at.as_ref())?),
        })
    }
}

/// `stock.adjusted`.
#[derive(Deserialize)]
pub(super) struct Adjustment {
    inventory: ExternalId,
    location: Option<ExternalId>,
    delta: Value,
    reason: String,
}

impl Adjustment {
    pub(super) fn adjusted(self) -> Result<Fact, Undecodable> {
        let delta = count("data.delta", &self.delta)?;
        if delta == 0 {
            return Err(Undecodable("data.delta is 0; an adjustment adds units or takes some away".into()));
        }
        let reason = read::filled(Some(self.reason))
            .ok_or_else(|| Undecodable("data.reason is blank; say why units came or went".into()))?;
        Ok(Fact::StockAdjusted {
            inventory: self.inventory,
            platform_location: self.location,
            delta,
            reason: read::word(&reason),
        })
    }
}

/// `price.observed`.
#[derive(Deserialize)]
pub(super) struct Price {
    style_code: String,
    size: Option<Value>,
    market: Market,
    price: Value,
    currency: Currency,
    at: Option<Value>,
}

impl Price {
    pub(super) fn observed(self, times: Times) -> Result<Fact, Undecodable> {
        let style_code = read::filled(Some(self.style_code))
            .filter(|code| code.len() <= CODE_BYTES_MAX && !code.contains(char::is_control))
            .ok_or_else(|| {
                Undecodable("data.style_code must have 1 to 128 characters that can be read".into())
            })?;
        // Nobody asks nothing; a price of 0 is a mistake that would be shown to buyers.
        let price = read::money(&self.price, self.currency).filter(|price| price.minor > 0);
        let price = price.ok_or_else(|| {
            Undecodable(format!("data.price is no amount of {} above 0, such as \"120.00\"", self.currency))
        })?;
        Ok(Fact::PriceObserved {
            style_code,
            size: size(self.size)?,
            market: self.market,
            price,
            at: Some(times.at("data.at", self.at.as_ref())?),
        })
    }
}

/// A size that cannot be read must not become the price of every size.
fn size(given: Option<Value>) -> Result<Option<String>, Undecodable> {
    let Some(given) = given else { return Ok(None) };
    match text(given) {
        Some(size) => Ok(Some(size)),
        None => Err(Undecodable("data.size is no size; leave it out if the price is the model's".into())),
    }
}

/// `order.cancelled`.
#[derive(Deserialize)]
pub(super) struct Cancelled {
    id: ExternalId,
    at: Option<Value>,
}

impl Cancelled {
    pub(super) fn when(self, times: Times) -> Result<(ExternalId, Option<DateTime<Utc>>), Undecodable> {
        let at = times.at("data.at", self.at.as_ref())?;
        Ok((self.id, Some(at)))
    }
}

/// `order.placed`, `order.paid`.
#[derive(Deserialize)]
pub(super) struct Order {
    id: ExternalId,
    lines: Vec<Line>,
    /// When it was placed.
    at: Option<Value>,
}

#[derive(Deserialize)]
struct Line {
    variant: Option<ExternalId>,
    sku: Option<String>,
    quantity: Value,
}

impl Order {
    pub(super) fn times(&self, times: Times) -> Result<OrderTimes, Undecodable> {
        let moved = times.at("data.at", self.at.as_ref())?;
        Ok(OrderTimes { moved: Some(moved), told: Some(times.event), waits: false })
    }

    pub(super) fn sold(self) -> Result<(ExternalId, Vec<SoldLine>), Undecodable> {
        read::within(self.lines.len(), read::LINES_MAX, "order lines")?;
        let mut lines = Vec::with_capacity(self.lines.len());
        for line in self.lines {
            let quantity = read::units(&line.quantity)?;
            lines.push(SoldLine {
                external_variant: line.variant,
                sku: read::sku(line.sku.as_deref()),
                quantity,
            });
        }
        Ok((self.id, lines))
    }
}

/// Whole units, more or less than none, and no more than can be spoken of.
fn count(field: &str, given: &Value) -> Result<i64, Undecodable> {
    let most = Quantity::MAX.units().unsigned_abs();
    read::whole(given).filter(|count| count.unsigned_abs() <= most).ok_or_else(|| {
        Undecodable(format!("{field} is no whole number of units of at most {most}, more or less"))
    })
}

/// A word that may be written as a number, as sizes are.
fn text(value: Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    read::filled(Some(text)).map(|text| read::word(&text))
}
