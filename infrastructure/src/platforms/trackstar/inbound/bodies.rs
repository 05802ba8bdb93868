//! The records that Trackstar's events carry, as far as stock and products need them.
//!
//! What only describes is taken as it comes or left out. What identifies or counts must be right, or all of
//! the body is refused, because a guess here would become a wrong number in a shop.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    connection::ConnectionDetails,
    product::ProductDetails,
    values::{Currency, ExternalId},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::super::{
        fact::{Fact, Undecodable},
        read,
    },
    orders::CartOrder,
};

/// The most tags that are kept; the catalogue takes no more.
const TAGS_MAX: usize = 250;

/// Which sort of record an event carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Inventory,
    Product,
    CartProduct,
    CartOrder,
}

impl Kind {
    /// By the topic, whose words are set apart by `-` on some of the platform's pages and by `_` on others.
    ///
    /// Orders as the warehouse has them are none of ours: each was sold elsewhere, and is known from there.
    pub(in super::super) fn of(topic: &str) -> Option<Self> {
        match topic.to_lowercase().replace('_', "-").as_str() {
            "inventory.created" | "inventory.updated" => Some(Self::Inventory),
            "product.created" | "product.updated" => Some(Self::Product),
            "cart-product.created" | "cart-product.updated" => Some(Self::CartProduct),
            "cart-order.created" | "cart-order.updated" => Some(Self::CartOrder),
            _ => None,
        }
    }

    /// What a record of this sort says.
    pub(in super::super) fn facts(
        self,
        record: &[u8],
        at: DateTime<Utc>,
        details: &ConnectionDetails,
    ) -> Result<Vec<Fact>, Undecodable> {
        match self {
            Self::Inventory => read::json::<Inventory>(record)?.facts(),
            Self::Product => Ok(read::json::<Product>(record)?.facts(at, details.currency)),
            Self::CartProduct => read::json::<CartProduct>(record)?.facts(at, details.currency),
            Self::CartOrder => Ok(vec![read::json::<CartOrder>(record)?.fact()?]),
        }
    }
}

/// `inventory.*`: what a warehouse has of something.
#[derive(Deserialize)]
struct Inventory {
    id: ExternalId,
    updated_date: Option<String>,
    #[serde(default)]
    fulfillable: Value,
    inventory_by_warehouse_id: Option<BTreeMap<String, Option<Levels>>>,
}

#[derive(Deserialize)]
struct Levels {
    #[serde(default)]
    fulfillable: Value,
}

impl Inventory {
    /// For sale is what can be fulfilled: what is on hand may be promised or damaged.
    fn facts(self) -> Result<Vec<Fact>, Undecodable> {
        let figure = |levels: Option<Levels>| levels.map(|levels| levels.fulfillable).unwrap_or_default();
        let warehouses = self.inventory_by_warehouse_id.unwrap_or_default().into_iter();
        let warehouses = warehouses.map(|(place, levels)| (place, figure(levels))).collect::<Vec<_>>();
        stock(&self.id, &self.fulfillable, &warehouses, time(self.updated_date.as_deref()))
    }
}

/// One figure for each warehouse, or one for all where the record does not tell them apart.
fn stock(
    inventory: &ExternalId,
    whole: &Value,
    warehouses: &[(String, Value)],
    at: Option<DateTime<Utc>>,
) -> Result<Vec<Fact>, Undecodable> {
    read::within(warehouses.len(), read::FACTS_MAX, "warehouses")?;
    let fact = |platform_location: Option<ExternalId>, figure: &Value| -> Result<Fact, Undecodable> {
        let available = figured(figure)?;
        Ok(Fact::StockObserved { inventory: inventory.clone(), platform_location, available, at })
    };
    if warehouses.is_empty() {
        return Ok(vec![fact(None, whole)?]);
    }
    warehouses
        .iter()
        .map(|(place, figure)| {
            let place = ExternalId::new(place)
                .map_err(|_| Undecodable("the id of a warehouse is empty, too long or has blanks".into()))?;
            fact(Some(place), figure)
        })
        .collect()
}

/// A figure, or none where nobody counts.
fn figured(figure: &Value) -> Result<Option<i64>, Undecodable> {
    match figure {
        Value::Null => Ok(None),
        figure => read::whole(figure)
            .map(Some)
            .ok_or_else(|| Undecodable("a figure of the stock is no whole number".into())),
    }
}

/// `product.*`: a product as a warehouse knows it, which has no variants.
#[derive(Deserialize)]
struct Product {
    id: ExternalId,
    name: Option<String>,
    sku: Option<String>,
    #[serde(default)]
    unit_price: Value,
    supplier: Option<String>,
    inventory_items: Option<Vec<InventoryItem>>,
    is_kit: Option<bool>,
    updated_date: Option<String>,
}

#[derive(Deserialize)]
struct InventoryItem {
    inventory_item_id: ExternalId,
    #[serde(default)]
    unit_quantity: Value,
}

impl Product {
    fn facts(self, at: DateTime<Utc>, currency: Currency) -> Vec<Fact> {
        let inventory = self.inventory();
        let odd = read::odd_prices([(&self.id, &self.unit_price)], currency);
        let described = ProductDetails {
            title: titled(self.name, &self.id),
            vendor: read::filled(self.supplier).map(|supplier| read::word(&supplier)),
            ..ProductDetails::default()
        };
        let variant = ObservedVariant {
            external: self.id.clone(),
            inventory,
            sku: read::sku(self.sku.as_deref()),
            attributes: BTreeMap::new(),
            price: read::money(&self.unit_price, currency),
        };
        let product = Fact::Product(ObservedProduct {
            external: self.id,
            details: described,
            told: vec![],
            variants: vec![variant],
            complete: true,
            at: time(self.updated_date.as_deref()).unwrap_or(at),
        });
        [product].into_iter().chain(odd).collect()
    }

    /// The one item it is made of.
    ///
    /// A kit, a pack of several, and a product that lies under several items have no figure that is theirs.
    fn inventory(&self) -> Option<ExternalId> {
        let [item] = self.inventory_items.as_deref()? else { return None };
        let one = item.unit_quantity.is_null() || read::whole(&item.unit_quantity) == Some(1);
        (one && self.is_kit != Some(true)).then(|| item.inventory_item_id.clone())
    }
}

/// `cart-product.*`: a variant of a shop behind Trackstar, or the product that several variants are of.
#[derive(Deserialize)]
struct CartProduct {
    id: ExternalId,
    #[serde(default)]
    parent_product_id: Value,
    name: Option<String>,
    sku: Option<String>,
    #[serde(default)]
    price: Value,
    #[serde(default)]
    inventory: Value,
    inventory_by_warehouse_id: Option<BTreeMap<String, Value>>,
    tags: Option<Vec<String>>,
    updated_date: Option<String>,
}

impl CartProduct {
    /// What a variant says; the product that it is of says nothing, and is told by naming itself as parent.
    ///
    /// The price and the stock of such a one are not to be relied on, and each variant has its own record.
    fn facts(self, at: DateTime<Utc>, currency: Currency) -> Result<Vec<Fact>, Undecodable> {
        let parent = blank_or_id(&self.parent_product_id)?;
        if parent.as_ref() == Some(&self.id) {
            return Ok(vec![]);
        }
        let said = time(self.updated_date.as_deref());
        let warehouses: Vec<_> = self.inventory_by_warehouse_id.unwrap_or_default().into_iter().collect();
        let counted = !warehouses.is_empty() || !self.inventory.is_null();
        let stock = if counted { stock(&self.id, &self.inventory, &warehouses, said)? } else { vec![] };
        let odd = read::odd_prices([(&self.id, &self.price)], currency);
        let described = ProductDetails {
            title: titled(self.name, &self.id),
            tags: tags(self.tags.unwrap_or_default()),
            ..ProductDetails::default()
        };
        let variant = ObservedVariant {
            inventory: Some(self.id.clone()),
            sku: read::sku(self.sku.as_deref()),
            attributes: BTreeMap::new(),
            price: read::money(&self.price, currency),
            external: self.id.clone(),
        };
        let product = Fact::Product(ObservedProduct {
            // Of a product with variants this is one, and the others are not shown.
            complete: parent.is_none(),
            external: parent.unwrap_or(self.id),
            details: described,
            told: vec![],
            variants: vec![variant],
            at: said.unwrap_or(at),
        });
        Ok([product].into_iter().chain(stock).chain(odd).collect())
    }
}

/// An id where the platform may leave it blank instead.
pub(super) fn blank_or_id(id: &Value) -> Result<Option<ExternalId>, Undecodable> {
    match id {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        id => Ok(Some(ExternalId::deserialize(id)?)),
    }
}

fn titled(name: Option<String>, id: &ExternalId) -> String {
    read::title(&read::filled(name).unwrap_or_else(|| id.to_string()))
}

fn tags(tags: Vec<String>) -> Vec<String> {
    let tags = tags.into_iter().filter_map(|tag| read::filled(Some(tag)));
    tags.map(|tag| read::word(&tag)).take(TAGS_MAX).collect()
}

fn time(text: Option<&str>) -> Option<DateTime<Utc>> {
    text.and_then(read::time)
}
