//! Items, as a look at Shopee shows them: what they are, what they cost, how many there are.
//!
//! An item with models shows neither prices nor stock, so such an item leads to a look at its models.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    connection::ConnectionDetails,
    product::{ProductDetails, Words},
    values::{Currency, ExternalId, Money},
};
use serde::Deserialize;
use serde_json::Value;

use super::super::super::{
    adapter::{Hint, Titled},
    fact::{Fact, Undecodable},
    read,
};
use super::super::inbound::moment;

/// The answer about an item.
#[derive(Deserialize)]
pub(super) struct Items {
    item_list: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    item_id: ExternalId,
    item_name: Option<String>,
    item_sku: Option<String>,
    item_status: Option<String>,
    update_time: Option<Value>,
    has_model: Option<Value>,
    brand: Option<Value>,
    price_info: Option<Value>,
    stock_info_v2: Option<Stock>,
}

/// How many there are of an item without models, or of a model.
#[derive(Deserialize)]
pub(in super::super) struct Stock {
    summary_info: Option<Summary>,
    /// The stock that the seller sets, by place; that in Shopee's own warehouses is apart.
    seller_stock: Option<Vec<Place>>,
}

#[derive(Deserialize)]
struct Summary {
    total_available_stock: Option<Value>,
}

#[derive(Deserialize)]
struct Place {
    location_id: Option<Value>,
    stock: Value,
    if_saleable: Option<Value>,
}

impl Items {
    /// The item that was hinted at.
    pub(super) fn facts(
        self,
        hint: &Hint,
        at: DateTime<Utc>,
        details: &ConnectionDetails,
    ) -> Result<Vec<Fact>, Undecodable> {
        match self.item_list.into_iter().find(|item| item.item_id == hint.external) {
            Some(item) => item.facts(at, details),
            None => Ok(vec![Fact::ProductRemoved { external: hint.external.clone() }]),
        }
    }

    /// What describes an item, as looks tell it: of one with models no more than the title.
    pub(super) fn words(self, item: &ExternalId) -> Option<Words> {
        let item = self.item_list.into_iter().find(|shown| shown.item_id == *item)?;
        if !item.has_models() {
            return Some(item.details().words());
        }
        Some(Words { title: item.title(), ..Words::default() })
    }
}

impl Item {
    fn facts(self, at: DateTime<Utc>, details: &ConnectionDetails) -> Result<Vec<Fact>, Undecodable> {
        match self.item_status.as_deref() {
            None | Some("NORMAL") => {}
            // Nobody can buy it for the time being. What was known of it stays: it is off because it was taken off from
            // here, or it has been switched off there and may be switched on again, of which nothing is told.
            Some("UNLIST") => return Ok(vec![]),
            // Banned, under review or deleted.
            Some(_) => return Ok(vec![Fact::ProductRemoved { external: self.item_id }]),
        }
        if self.has_models() {
            return Ok(vec![Fact::Hint(self.models(at))]);
        }
        let stock = Stock::observed(self.stock_info_v2.as_ref(), &self.item_id, at)?;
        let changed = self.update_time.as_ref().and_then(moment);
        let product = Fact::Product(ObservedProduct {
            details: self.details(),
            told: vec![],
            variants: vec![ObservedVariant {
                external: self.item_id.clone(),
                inventory: Some(self.item_id.clone()),
                sku: read::sku(self.item_sku.as_deref()),
                attributes: BTreeMap::new(),
                price: price(self.price_info.as_ref(), details.currency),
            }],
            complete: true,
            at: changed.unwrap_or(at),
            external: self.item_id,
        });
        Ok(std::iter::once(product).chain(stock).collect())
    }

    fn has_models(&self) -> bool {
        self.has_model.as_ref().is_some_and(yes)
    }

    /// The hint at its models, with the title, which the answer about them lacks: it is called so at the time of this look,
    /// whenever it was last changed.
    fn models(&self, at: DateTime<Utc>) -> Hint {
        let titled = Some(Titled { title: self.title(), at });
        Hint { resource: super::MODELS, external: self.item_id.clone(), titled }
    }

    /// Without a title, if it has none.
    fn title(&self) -> String {
        read::title(self.item_name.as_deref().unwrap_or_default().trim())
    }

    fn details(&self) -> ProductDetails {
        let vendor = self.brand.as_ref().and_then(vendor);
        ProductDetails { title: self.title(), vendor, ..ProductDetails::default() }
    }
}

impl Stock {
    /// What is there of something at the time of the look; none where the answer does not say.
    ///
    /// The time is that of the look and not that of the last change of the item: a sale may take stock away
    /// and leave the latter as it was.
    pub(super) fn observed(
        stock: Option<&Self>,
        inventory: &ExternalId,
        at: DateTime<Utc>,
    ) -> Result<Option<Fact>, Undecodable> {
        let available = stock.map(|stock| stock.available(None)).transpose()?.flatten();
        Ok(available.map(|available| Fact::StockObserved {
            inventory: inventory.clone(),
            platform_location: None,
            available: Some(available),
            at: Some(at),
        }))
    }

    /// The sum of what the seller has for sale at a location, or anywhere; or Shopee's own sum, where the stock is in its
    /// warehouses. None where it is not said.
    pub(in super::super) fn available(
        &self,
        location: Option<&ExternalId>,
    ) -> Result<Option<i64>, Undecodable> {
        let places = self.seller_stock.as_deref().unwrap_or_default();
        if places.is_empty() {
            let summary = self.summary_info.as_ref();
            return summary.and_then(|summary| summary.total_available_stock.as_ref()).map(units).transpose();
        }
        let mut sum = None;
        for place in places.iter().filter(|place| is_at(place.location_id.as_ref(), location)) {
            let for_sale = place.if_saleable.as_ref().is_none_or(yes);
            let stock = if for_sale { units(&place.stock)? } else { 0 };
            sum = Some(sum.unwrap_or(0_i64).saturating_add(stock));
        }
        Ok(sum)
    }
}

fn units(stock: &Value) -> Result<i64, Undecodable> {
    Ok(read::units(stock)?.units())
}

/// What it costs outside of promotions, which come and go without any push. None in another currency than the
/// connection's.
pub(in super::super) fn price(info: Option<&Value>, currency: Currency) -> Option<Money> {
    let first = info?.get(0)?;
    let named = first.get("currency").and_then(Value::as_str);
    if named.is_some_and(|named| named != currency.code()) {
        return None;
    }
    read::money(first.get("original_price")?, currency)
}

/// The brand; what has none is of the brand `NoBrand` there.
fn vendor(brand: &Value) -> Option<String> {
    let name = brand.get("original_brand_name")?.as_str()?.trim();
    (!name.is_empty() && name != "NoBrand").then(|| read::word(name))
}

/// Whether a place that is named like this is a location; one that is not named is any, and any place will do for none.
pub(in super::super) fn is_at(named: Option<&Value>, location: Option<&ExternalId>) -> bool {
    match (location, named.and_then(Value::as_str)) {
        (Some(location), Some(named)) if !named.is_empty() => named == location.as_str(),
        _ => true,
    }
}

/// A truth, as a truth value or as a text.
pub(in super::super) fn yes(value: &Value) -> bool {
    matches!(value, Value::Bool(true)) || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"))
}
