//! The records of `WooCommerce`, as far as products, stock and orders need them; webhooks carry them whole.
//!
//! What only describes is taken as it comes or left out. What identifies or counts must be right, or all of
//! the body is refused, because a guess here would become a wrong number in a shop.

use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    product::{ProductDetails, Word, Words},
    values::{Currency, ExternalId},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::super::{
    super::{
        adapter::{Hint, Titled},
        fact::{Fact, OrderTimes, Person, SoldLine, Undecodable},
        read,
    },
    entities::decoded,
    look,
};

/// The most tags that are kept; the catalogue takes no more.
const TAGS_MAX: usize = 250;
/// The page of the category in which is what is in no other.
pub(in super::super) const NO_CATEGORY: &str = "uncategorized";

/// A body of which only the id counts: `product.deleted`.
#[derive(Deserialize)]
pub(in super::super) struct Named {
    pub(in super::super) id: ExternalId,
}

/// A product, or one variation of a product; the platform writes both down alike.
#[derive(Deserialize)]
pub(in super::super) struct Product {
    id: ExternalId,
    parent_id: Option<ExternalId>,
    #[serde(rename = "type")]
    kind: Option<String>,
    status: Option<String>,
    name: Option<String>,
    sku: Option<String>,
    #[serde(default)]
    price: Value,
    #[serde(default)]
    regular_price: Value,
    #[serde(default)]
    manage_stock: Value,
    #[serde(default)]
    stock_quantity: Value,
    variations: Option<Vec<IgnoredAny>>,
    attributes: Option<Vec<Attribute>>,
    categories: Option<Vec<Term>>,
    tags: Option<Vec<Term>>,
    date_modified_gmt: Option<String>,
}

#[derive(Deserialize)]
struct Term {
    name: Option<String>,
    slug: Option<String>,
}

/// A product has several options under each name, and a variation has the one that it is.
#[derive(Deserialize)]
struct Attribute {
    name: Option<String>,
    option: Option<String>,
}

impl Product {
    /// What a product's webhook says, and a look at it. One with variations has no more than their ids, so they are looked at;
    /// what is a variation does not say what its product is called and whether it is for sale at all, so that is looked at.
    pub(in super::super) fn facts(
        self,
        at: DateTime<Utc>,
        currency: Currency,
    ) -> Result<Vec<Fact>, Undecodable> {
        if let Some(external) = self.parent_id.clone().filter(|_| self.is("variation")).filter(some) {
            return Ok(vec![Fact::Hint(Hint { resource: "product", external, titled: None })]);
        }
        if self.is_off() {
            return Ok(vec![Fact::ProductRemoved { external: self.id }]);
        }
        if self.is_varied() {
            let titled =
                Titled { title: self.title().unwrap_or_default(), at: self.modified().unwrap_or(at) };
            return Ok(vec![Fact::Hint(look::page_of(&self.id, 1, titled)?)]);
        }
        let (stock, odd) = (self.stock()?, self.odd_price(currency));
        let product = Fact::Product(ObservedProduct {
            external: self.id.clone(),
            details: self.details(),
            // It is always in a category.
            told: self.tags.iter().map(|_| Word::Tags).collect(),
            at: self.modified().unwrap_or(at),
            variants: vec![self.variant(currency)],
            complete: true,
        });
        Ok([product].into_iter().chain(stock).chain(odd).collect())
    }

    /// A note, if it has no price only because that cannot be read.
    fn odd_price(&self, currency: Currency) -> Option<Fact> {
        let prices = [&self.price, &self.regular_price];
        if prices.iter().any(|price| read::money(price, currency).is_some()) {
            return None;
        }
        read::odd_prices(prices.into_iter().map(|price| (&self.id, price)), currency)
    }

    /// The words by which webhooks and looks make it known. Of a product with variations that is its title.
    pub(in super::super) fn words(&self) -> Words {
        if self.is_varied() {
            return Words { title: self.title().unwrap_or_default(), ..Words::default() };
        }
        self.details().words()
    }

    fn details(&self) -> ProductDetails {
        let categories = self.categories.iter().flatten();
        let categories = categories.filter(|term| term.slug.as_deref() != Some(NO_CATEGORY));
        ProductDetails {
            title: self.title().unwrap_or_else(|| self.id.to_string()),
            category: names(categories).next(),
            tags: names(self.tags.iter().flatten()).take(TAGS_MAX).collect(),
            ..ProductDetails::default()
        }
    }

    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Whether it is sold in variations.
    fn is_varied(&self) -> bool {
        let kind = self.kind.as_deref().unwrap_or_default();
        // Plugins have types of their own: `variable-subscription`.
        kind == "variable" || self.variations.as_ref().is_some_and(|them| !them.is_empty())
    }

    /// Whether customers do not see it: it was thrown away, or is a draft, which is how it is taken off from here.
    fn is_off(&self) -> bool {
        matches!(self.status.as_deref(), Some("trash" | "draft"))
    }

    /// As a buyer reads it.
    pub(in super::super) fn title(&self) -> Option<String> {
        read::filled(self.name.clone()).map(|name| read::title(&decoded(&name)))
    }

    /// What is sold: a variation, or a product that has none. Its stock goes by its own id.
    pub(in super::super) fn variant(&self, currency: Currency) -> ObservedVariant {
        let price = read::money(&self.price, currency);
        let attributes = self.attributes.iter().flatten().filter_map(Attribute::pair);
        ObservedVariant {
            external: self.id.clone(),
            inventory: Some(self.id.clone()),
            sku: read::sku(self.sku.as_deref()),
            attributes: attributes.collect(),
            price: price.or_else(|| read::money(&self.regular_price, currency)),
        }
    }

    /// How many there are, if the shop counts these.
    ///
    /// A variation may be counted with its product (`"parent"`): then the figure is not its own.
    pub(in super::super) fn stock(&self) -> Result<Option<Fact>, Undecodable> {
        if self.manage_stock != Value::Bool(true) || self.stock_quantity.is_null() {
            return Ok(None);
        }
        let available = read::whole(&self.stock_quantity)
            .ok_or_else(|| Undecodable(format!("the stock_quantity of {} is no whole number", self.id)))?;
        Ok(Some(Fact::StockObserved {
            inventory: self.id.clone(),
            platform_location: None,
            available: Some(available),
            at: self.modified(),
        }))
    }

    fn modified(&self) -> Option<DateTime<Utc>> {
        self.date_modified_gmt.as_deref().and_then(utc)
    }
}

impl Attribute {
    fn pair(&self) -> Option<(String, String)> {
        let name = read::filled(self.name.clone())?;
        let option = read::filled(self.option.clone())?;
        Some((read::word(&decoded(&name).to_lowercase()), read::word(&decoded(&option))))
    }
}

/// An order.
#[derive(Deserialize)]
pub(in super::super) struct Order {
    id: ExternalId,
    status: String,
    date_created_gmt: Option<String>,
    date_modified_gmt: Option<String>,
    date_paid_gmt: Option<String>,
    line_items: Option<Vec<Line>>,
}

/// What an order says of its buyer.
#[derive(Deserialize)]
struct Bought {
    /// 0 for a guest.
    #[serde(default)]
    customer_id: Value,
    #[serde(default)]
    billing: Value,
}

/// Who has placed an order. Read by itself, so that whatever is odd about it does not cost the order.
pub(in super::super) fn buyer(body: &[u8]) -> Option<Person> {
    let Bought { customer_id, billing } = read::json(body).ok()?;
    read::person(&customer_id, [&billing["first_name"], &billing["last_name"]], &billing["email"])
}

/// Whom a body is about that is nothing but a customer.
pub(in super::super) fn customer(body: &[u8]) -> Option<Person> {
    let customer: Value = read::json(body).ok()?;
    read::person(&customer["id"], [&customer["first_name"], &customer["last_name"]], &customer["email"])
}

#[derive(Deserialize)]
struct Line {
    product_id: Option<ExternalId>,
    variation_id: Option<ExternalId>,
    #[serde(default)]
    quantity: Value,
    sku: Option<String>,
}

impl Order {
    /// What its status means for the stock; nothing while it is a draft.
    ///
    /// Plugins make statuses of their own; an order in one of those is paid if it says when, and else waits.
    pub(in super::super) fn fact(self, buyer: Option<Person>) -> Result<Option<Fact>, Undecodable> {
        let external = self.id;
        let at = |text: &Option<String>| text.as_deref().and_then(utc);
        let (made, paid_at, told) =
            (at(&self.date_created_gmt), at(&self.date_paid_gmt), at(&self.date_modified_gmt));
        let paid = match self.status.as_str() {
            // What was refunded or thrown away may have left the house.
            "draft" | "auto-draft" | "checkout-draft" | "refunded" | "trash" => return Ok(None),
            "failed" if paid_at.is_some() => return Ok(None),
            "failed" => return Ok(Some(Fact::OrderFailed { external, at: told })),
            "cancelled" => return Ok(Some(Fact::OrderCancelled { external, buyer, at: told })),
            "pending" | "on-hold" => false,
            "processing" | "completed" => true,
            _ => read::filled(self.date_paid_gmt).is_some(),
        };
        let lines = self.line_items.ok_or_else(|| {
            Undecodable("the order has no line_items; set the webhook's API version to WP REST API v3".into())
        })?;
        let lines = sold(lines)?;
        // One that was on hold is off the stock since before it was paid, and nobody says whether it was.
        // Source of what takes units off: wc_maybe_reduce_stock_levels, at on-hold, processing, completed and a payment.
        let times = OrderTimes { moved: made.or(paid_at), told, waits: self.status == "pending" };
        Ok(Some(if paid {
            Fact::OrderPaid { external, lines, buyer, times }
        } else {
            Fact::OrderPlaced { external, lines, buyer, times }
        }))
    }
}

fn sold(given: Vec<Line>) -> Result<Vec<SoldLine>, Undecodable> {
    read::within(given.len(), read::LINES_MAX, "order lines")?;
    let mut lines = Vec::with_capacity(given.len());
    for line in given {
        let quantity = read::units(&line.quantity)?;
        lines.push(SoldLine {
            external_variant: line.variation_id.filter(some).or(line.product_id.filter(some)),
            sku: read::sku(line.sku.as_deref()),
            quantity,
        });
    }
    Ok(lines)
}

/// The platform writes 0 where there is nothing.
fn some(id: &ExternalId) -> bool {
    id.as_str() != "0"
}

fn names<'t>(terms: impl Iterator<Item = &'t Term>) -> impl Iterator<Item = String> {
    let names = terms.filter_map(|term| read::filled(term.name.clone()));
    names.map(|name| read::word(&decoded(&name)))
}

/// A time in a field that is named after Greenwich, and hence has no offset.
fn utc(text: &str) -> Option<DateTime<Utc>> {
    read::time(text).or_else(|| read::time(&format!("{text}Z")))
}
