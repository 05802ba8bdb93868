//! Products, as a look at `TikTok` Shop shows them: their SKUs, their prices, their stock in each warehouse.
//!
//! What is called a SKU there is a variant here; the seller's own name for it comes beside it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    connection::ConnectionDetails,
    product::{ProductDetails, VARIANTS_MAX},
    values::{Currency, ExternalId, Money},
};
use serde::Deserialize;
use serde_json::Value;

use super::super::super::{
    fact::{Fact, Undecodable},
    read,
};
use super::super::inbound::moment;

/// The status of what its seller has switched off.
pub(in super::super) const OFF: &str = "SELLER_DEACTIVATED";
/// The status of what is there no more.
pub(in super::super) const DELETED: &str = "DELETED";

/// The answer about a product.
#[derive(Deserialize)]
pub(super) struct Product {
    id: ExternalId,
    title: Option<String>,
    status: Option<String>,
    update_time: Option<Value>,
    brand: Option<Value>,
    skus: Option<Vec<Variant>>,
}

#[derive(Deserialize)]
struct Variant {
    id: ExternalId,
    seller_sku: Option<String>,
    price: Option<Value>,
    sales_attributes: Option<Value>,
    inventory: Option<Vec<Shelf>>,
}

#[derive(Deserialize)]
struct Shelf {
    warehouse_id: Option<ExternalId>,
    quantity: Value,
}

impl Product {
    /// Whether its seller has switched it off: then nobody can buy it, and it can be switched on again.
    pub(super) fn is_off(&self) -> bool {
        self.status.as_deref() == Some(OFF)
    }

    /// The product with all of its SKUs, and what stands in each warehouse of each.
    pub(super) fn facts(
        self,
        at: DateTime<Utc>,
        details: &ConnectionDetails,
    ) -> Result<Vec<Fact>, Undecodable> {
        // What the platform has switched off is still there and can be switched on again.
        if self.status.as_deref() == Some(DELETED) {
            return Ok(vec![Fact::ProductRemoved { external: self.id }]);
        }
        let variants = self.skus.unwrap_or_default();
        if variants.is_empty() {
            // Only a draft has none; there is something to say of it when it has.
            return Ok(vec![]);
        }
        read::within(variants.len(), VARIANTS_MAX, "SKUs of a product")?;
        let mut stocks = Vec::new();
        for variant in &variants {
            variant.stocks(at, &mut stocks)?;
        }
        read::within(stocks.len() + 1, read::FACTS_MAX, "facts")?;
        let changed = self.update_time.as_ref().and_then(moment);
        let product = Fact::Product(ObservedProduct {
            details: ProductDetails {
                // Without one, if it has none.
                title: read::title(self.title.as_deref().unwrap_or_default().trim()),
                vendor: self.brand.as_ref().and_then(|brand| text(brand, "name")).map(read::word),
                ..ProductDetails::default()
            },
            told: vec![],
            variants: variants.into_iter().map(|variant| variant.observed(details.currency)).collect(),
            complete: true,
            at: changed.unwrap_or(at),
            external: self.id,
        });
        Ok(std::iter::once(product).chain(stocks).collect())
    }
}

impl Variant {
    fn observed(self, currency: Currency) -> ObservedVariant {
        ObservedVariant {
            inventory: Some(self.id.clone()),
            external: self.id,
            sku: read::sku(self.seller_sku.as_deref()),
            attributes: self.sales_attributes.as_ref().map(attributes).unwrap_or_default(),
            price: self.price.as_ref().and_then(|price| money(price, currency)),
        }
    }

    /// What stands in each warehouse at the time of the look. That is the time of these facts, because a sale
    /// may take stock away and leave the time of the product's last change as it was.
    fn stocks(&self, at: DateTime<Utc>, facts: &mut Vec<Fact>) -> Result<(), Undecodable> {
        for shelf in self.inventory.iter().flatten() {
            facts.push(Fact::StockObserved {
                inventory: self.id.clone(),
                platform_location: shelf.warehouse_id.clone(),
                available: Some(read::units(&shelf.quantity)?.units()),
                at: Some(at),
            });
        }
        Ok(())
    }
}

/// The values under the names of their attributes, or under `option1` and so on where they have none.
fn attributes(list: &Value) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for (position, attribute) in (1..).zip(list.as_array().into_iter().flatten()) {
        let Some(value) = text(attribute, "value_name") else { continue };
        let name = text(attribute, "name").map(|name| read::word(&name.to_lowercase()));
        attributes.insert(name.unwrap_or_else(|| format!("option{position}")), read::word(value));
    }
    attributes
}

/// What the buyer pays, or else the price before taxes. None in another currency than the connection's.
fn money(price: &Value, currency: Currency) -> Option<Money> {
    if text(price, "currency").is_some_and(|named| named != currency.code()) {
        return None;
    }
    let mut amounts = ["sale_price", "tax_exclusive_price"].into_iter().filter_map(|name| price.get(name));
    amounts.find_map(|amount| read::money(amount, currency))
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}
