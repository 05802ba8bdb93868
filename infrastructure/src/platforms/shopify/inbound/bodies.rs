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
    values::{Currency, ExternalId},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::super::super::{
    fact::{Fact, SoldLine, Undecodable},
    read::{LINES_MAX, filled, money, sku, time, title, units, within, word},
};

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
    /// Names every variant, also those beyond what the body has room for.
    variant_gids: Option<Vec<IgnoredAny>>,
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
        let name = filled(self.title).or(filled(self.handle)).unwrap_or_else(|| self.id.to_string());
        let options = self.options.unwrap_or_default();
        Ok(Fact::Product(ObservedProduct {
            details: ProductDetails {
                title: title(&name),
                vendor: filled(self.vendor),
                category: filled(self.product_type),
                tags: words(self.tags.as_deref().unwrap_or_default()),
                ..ProductDetails::default()
            },
            complete: self.variant_gids.is_none_or(|all| all.len() <= variants.len()),
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

/// The values under the names of their options, or under `option1` and so on where the product names none.
fn attributes(options: &[ProductOption], values: [Option<String>; 3]) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for (position, value) in (1..).zip(values) {
        let Some(value) = filled(value) else { continue };
        let named = options.iter().find(|option| option.position == Some(position));
        let unplaced = || options.get(position - 1).filter(|option| option.position.is_none());
        let name = named.or_else(unplaced).map(|option| word(option.name.trim()).to_lowercase());
        attributes
            .insert(name.filter(|it| !it.is_empty()).unwrap_or(format!("option{position}")), word(&value));
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
    pub(super) fn observed(self) -> Fact {
        Fact::StockObserved {
            inventory: self.inventory_item_id,
            platform_location: Some(self.location_id),
            available: self.available,
            at: self.updated_at.as_deref().and_then(time),
        }
    }
}

/// `orders/create`, `orders/paid`.
#[derive(Deserialize)]
pub(super) struct Order {
    id: ExternalId,
    line_items: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    variant_id: Option<ExternalId>,
    sku: Option<String>,
    quantity: Value,
    title: Option<String>,
}

impl Order {
    pub(super) fn sold(self) -> Result<(ExternalId, Vec<SoldLine>), Undecodable> {
        within(self.line_items.len(), LINES_MAX, "order lines")?;
        let mut lines = Vec::with_capacity(self.line_items.len());
        for line in self.line_items {
            let quantity = units(&line.quantity)?;
            if quantity.is_zero() {
                continue;
            }
            lines.push(SoldLine {
                external_variant: line.variant_id,
                sku: sku(line.sku.as_deref()),
                quantity,
                title: title(&line.title.unwrap_or_default()),
            });
        }
        Ok((self.id, lines))
    }
}

fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
