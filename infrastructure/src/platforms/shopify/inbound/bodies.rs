//! The bodies of Shopify's webhooks, as far as products, stock and orders need them.
//!
//! What only describes is taken as it comes or left out; what identifies or counts must be right, or the whole
//! body is refused, because a guess here would become a wrong number in a shop.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    connection::ConnectionDetails,
    product::{ProductDetails, VARIANTS_MAX},
    values::{Currency, ExternalId, Money, Quantity, Sku},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::super::fact::{Fact, SoldLine, Undecodable},
    time,
};

/// The most lines an order may have; the platform's own limit.
const LINES_MAX: usize = 500;

/// The longest title that is kept, in characters.
const TITLE_MAX: usize = 500;

/// A body of which only the id counts.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) id: ExternalId,
}

/// `products/create`, `products/update`.
#[derive(Deserialize)]
pub(super) struct Product {
    id: ExternalId,
    title: Option<String>,
    handle: Option<String>,
    vendor: Option<String>,
    product_type: Option<String>,
    tags: Option<String>,
    updated_at: Option<String>,
    options: Option<Vec<ProductOption>>,
    variants: Option<Vec<Variant>>,
}

#[derive(Deserialize)]
struct ProductOption {
    name: String,
    position: Option<usize>,
}

#[derive(Deserialize)]
struct Variant {
    id: ExternalId,
    inventory_item_id: Option<ExternalId>,
    sku: Option<String>,
    price: Option<Value>,
    option1: Option<String>,
    option2: Option<String>,
    option3: Option<String>,
}

impl Product {
    pub(super) fn observed(
        self,
        fallback: DateTime<Utc>,
        details: &ConnectionDetails,
    ) -> Result<Fact, Undecodable> {
        let variants = self.variants.unwrap_or_default();
        if variants.is_empty() {
            // Each product of the platform has one, so the subscription leaves the field out.
            return Err(Undecodable(
                "the product has no variants; subscribe to the topic with all fields".into(),
            ));
        }
        if variants.len() > VARIANTS_MAX {
            let found = variants.len();
            return Err(Undecodable(format!(
                "the product has {found} variants, and {VARIANTS_MAX} are the most"
            )));
        }
        let title = filled(self.title).or(filled(self.handle)).unwrap_or_else(|| self.id.to_string());
        let options = self.options.unwrap_or_default();
        Ok(Fact::Product(ObservedProduct {
            details: ProductDetails {
                title: title.chars().take(TITLE_MAX).collect(),
                vendor: filled(self.vendor),
                category: filled(self.product_type),
                tags: words(self.tags.as_deref().unwrap_or_default()),
                ..ProductDetails::default()
            },
            variants: variants.into_iter().map(|it| it.observed(&options, details.currency)).collect(),
            at: self.updated_at.as_deref().and_then(time).unwrap_or(fallback),
            external: self.id,
        }))
    }
}

impl Variant {
    fn observed(self, options: &[ProductOption], currency: Currency) -> ObservedVariant {
        ObservedVariant {
            attributes: attributes(options, [self.option1, self.option2, self.option3]),
            sku: sku(self.sku.as_deref()),
            price: self.price.as_ref().and_then(|price| money(price, currency)),
            external: self.id,
            inventory: self.inventory_item_id,
        }
    }
}

/// Characters of a name or a value that are kept.
const WORD_MAX: usize = 200;

/// No more of a text than anybody would read; a body that is all one name must not be multiplied by its variants.
fn cut(text: &str) -> String {
    text.chars().take(WORD_MAX).collect()
}

/// The values under the names of their options, or under `option1` and so on where the product names none.
fn attributes(options: &[ProductOption], values: [Option<String>; 3]) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for (position, value) in (1..).zip(values) {
        let Some(value) = filled(value) else { continue };
        let named = options.iter().find(|option| option.position == Some(position));
        let unplaced = || options.get(position - 1).filter(|option| option.position.is_none());
        let name = named.or_else(unplaced).map(|option| cut(option.name.trim()).to_lowercase());
        attributes
            .insert(name.filter(|it| !it.is_empty()).unwrap_or(format!("option{position}")), cut(&value));
    }
    // What has no options gets this pair from the platform.
    if attributes.len() == 1 && attributes.values().all(|value| value == "Default Title") {
        attributes.clear();
    }
    attributes
}

/// `inventory_levels/update`.
#[derive(Deserialize)]
pub(super) struct InventoryLevel {
    inventory_item_id: ExternalId,
    location_id: ExternalId,
    available: Option<i64>,
    updated_at: Option<String>,
}

impl InventoryLevel {
    pub(super) fn observed(self, fallback: DateTime<Utc>) -> Fact {
        Fact::StockObserved {
            inventory: self.inventory_item_id,
            platform_location: self.location_id,
            available: self.available,
            at: self.updated_at.as_deref().and_then(time).unwrap_or(fallback),
        }
    }
}

/// `orders/create`.
#[derive(Deserialize)]
pub(super) struct Order {
    id: ExternalId,
    line_items: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    variant_id: Option<ExternalId>,
    sku: Option<String>,
    quantity: i64,
    title: Option<String>,
}

impl Order {
    pub(super) fn placed(self) -> Result<Fact, Undecodable> {
        let found = self.line_items.len();
        if found > LINES_MAX {
            return Err(Undecodable(format!("the order has {found} lines, and {LINES_MAX} are the most")));
        }
        let mut lines = Vec::with_capacity(found);
        for line in self.line_items {
            let quantity = Quantity::new(line.quantity).map_err(|wrong| Undecodable(wrong.to_string()))?;
            if quantity.is_zero() {
                continue;
            }
            lines.push(SoldLine {
                external_variant: line.variant_id,
                sku: sku(line.sku.as_deref()),
                quantity,
                title: line.title.unwrap_or_default(),
            });
        }
        Ok(Fact::OrderPlaced { external: self.id, lines })
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// None for what cannot be a SKU: the variant is then known by the platform's id alone.
fn sku(text: Option<&str>) -> Option<Sku> {
    Sku::new(text?.trim()).ok()
}

/// None for what cannot be a price: the rest of the product is still worth knowing.
fn money(price: &Value, currency: Currency) -> Option<Money> {
    match price {
        Value::String(text) => Money::parse(text, currency).ok(),
        Value::Number(number) => Money::parse(&number.to_string(), currency).ok(),
        _ => None,
    }
}
