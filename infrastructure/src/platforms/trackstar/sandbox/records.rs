//! The stand-in's records: of a cart's products, of a warehouse's items and products, and of a cart's orders.
//!
//! Fields are those of the vendor's reference, and times are told in seconds, as there.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Good, Order, Shop},
    is_item,
};

/// Where a record is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    /// A cart's variants, and the products that they are of.
    Cart,
    /// A warehouse's items.
    Inventory,
    /// A warehouse's products, one for each item.
    Products,
}

impl Shelf {
    pub(super) fn of(api: &str, resource: &str) -> Option<Self> {
        match (api, resource) {
            ("cart", "products") => Some(Self::Cart),
            ("wms", "inventory") => Some(Self::Inventory),
            ("wms", "products") => Some(Self::Products),
            _ => None,
        }
    }

    /// What an id begins with, so that no shelf knows another's.
    fn prefix(self) -> &'static str {
        match self {
            Self::Cart => "",
            Self::Inventory => "inv_",
            Self::Products => "prod_",
        }
    }

    /// The place of the good that an id names.
    pub(super) fn place(self, shop: &Shop, id: &str) -> Option<usize> {
        let place = shop.variant(id.strip_prefix(self.prefix())?)?;
        self.has(&shop.goods[place]).then_some(place)
    }

    /// Whether there is a record of a good.
    pub(super) fn has(self, good: &Good) -> bool {
        self != Self::Cart || !is_item(good)
    }

    pub(super) fn record(self, shop: &Shop, id: &str) -> Option<Value> {
        match self.place(shop, id) {
            Some(place) => Some(self.record_at(shop, place)),
            None if self == Self::Cart => parent(shop, id),
            None => None,
        }
    }

    pub(super) fn record_at(self, shop: &Shop, place: usize) -> Value {
        let good = &shop.goods[place];
        match self {
            Self::Cart => cart_product(shop, good),
            Self::Inventory => inventory(shop, good),
            Self::Products => product(shop, good),
        }
    }

    /// All there are; a cart's products come with the first of their variants.
    pub(super) fn all(self, shop: &Shop) -> Vec<Value> {
        let mut records = vec![];
        let there = |(_, good): &(usize, &Good)| !good.removed && self.has(good);
        for (place, good) in shop.goods.iter().enumerate().filter(there) {
            if self == Self::Cart && shop.product(&good.product).first() == Some(&place) {
                records.extend(parent(shop, &good.product));
            }
            records.push(self.record_at(shop, place));
        }
        records
    }
}

/// The product that variants are of: it names itself as its parent, and its price and stock are not to be relied on.
fn parent(shop: &Shop, id: &str) -> Option<Value> {
    let first = shop.product(id).first().map(|place| &shop.goods[*place]).filter(|good| !is_item(good))?;
    Some(json!({
        "id": id, "parent_product_id": id, "name": first.title, "sku": null, "is_kit": false, "active": true,
        "price": null, "inventory": null, "tags": [], "created_date": seconds(first.changed_at),
        "updated_date": seconds(first.changed_at), "trackstar_updated_date": seconds(first.changed_at),
    }))
}

fn cart_product(shop: &Shop, good: &Good) -> Value {
    let changed = seconds(good.changed_at);
    json!({
        "id": good.variant, "parent_product_id": good.product, "sku": good.sku,
        "name": name(good), "is_kit": false, "active": true,
        "price": decimal(good.price, &shop.settings.currency), "inventory": good.quantity,
        "inventory_by_warehouse_id": { shop.settings.location.as_str(): good.quantity },
        "tags": [], "categories": [], "created_date": changed, "updated_date": changed,
        "trackstar_created_date": changed, "trackstar_updated_date": changed, "trackstar_tags": [],
    })
}

fn inventory(shop: &Shop, good: &Good) -> Value {
    let changed = seconds(good.changed_at);
    let units = good.quantity;
    let levels = json!({
        "onhand": units, "committed": 0, "unfulfillable": 0, "fulfillable": units, "unsellable": 0,
        "sellable": units, "awaiting": 0,
    });
    json!({
        "id": format!("inv_{}", good.variant), "name": name(good),
        "sku": good.sku, "active": true, "awaiting": 0, "onhand": units, "committed": 0,
        "unfulfillable": 0, "fulfillable": units, "unsellable": 0, "sellable": units,
        "inventory_by_warehouse_id": { shop.settings.location.as_str(): levels }, "substitute_skus": [],
        "lots": [], "locations": [], "created_date": changed, "updated_date": changed,
        "trackstar_created_date": changed, "trackstar_updated_date": changed, "trackstar_tags": [],
    })
}

/// What a good is called, which has one name there and no product over it.
fn name(good: &Good) -> String {
    format!("{} {}", good.title, good.size).trim_end().to_owned()
}

fn product(shop: &Shop, good: &Good) -> Value {
    let changed = seconds(good.changed_at);
    // What was made through the API has neither.
    let (price, supplier) = if is_item(good) {
        (Value::Null, Value::Null)
    } else {
        (decimal(good.price, &shop.settings.currency), json!("Stand"))
    };
    json!({
        "id": format!("prod_{}", good.variant), "name": name(good), "sku": good.sku, "unit_price": price,
        "inventory_items": [{
            "inventory_item_id": format!("inv_{}", good.variant), "sku": good.sku, "unit_quantity": 1,
        }],
        "is_kit": false, "active": true, "supplier": supplier, "created_date": changed,
        "updated_date": changed, "trackstar_created_date": changed, "trackstar_updated_date": changed,
        "trackstar_tags": [],
    })
}

/// An order of the cart; it is open until somebody cancels it.
pub(super) fn cart_order(shop: &Shop, order: &Order) -> Value {
    let currency = &shop.settings.currency;
    let line = |(number, (place, units)): (usize, &(usize, i64))| {
        let good = &shop.goods[*place];
        json!({
            "line_item_id": format!("{}-{number}", order.id), "product_id": good.variant,
            "parent_product_id": good.product, "product_sku": good.sku, "name": good.title,
            "quantity": units, "unit_price": decimal(good.price, currency),
        })
    };
    let total: i64 = order.lines.iter().map(|(place, units)| shop.goods[*place].price * units).sum();
    json!({
        "id": order.id, "order_number": order.id, "created_date": seconds(order.placed_at),
        "updated_date": seconds(order.changed_at), "trackstar_updated_date": seconds(order.changed_at),
        "status": if order.cancelled { "cancelled" } else { "open" },
        "raw_status": if order.cancelled { "voided" } else { "new" },
        "invoice_currency_code": currency, "total_price": decimal(total, currency),
        "line_items": order.lines.iter().enumerate().map(line).collect::<Vec<_>>(),
    })
}

pub(super) fn seconds(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An amount as a JSON number in whole units of the currency.
fn decimal(minor: i64, currency: &str) -> Value {
    let (scale, digits): (i64, usize) = match currency {
        "JPY" | "KRW" | "VND" => (1, 0),
        "BHD" | "JOD" | "KWD" | "OMR" | "TND" => (1_000, 3),
        _ => (100, 2),
    };
    if digits == 0 {
        return json!(minor);
    }
    let text = format!("{}.{:0digits$}", minor / scale, minor % scale);
    text.parse::<f64>().map_or(Value::Null, Value::from)
}
