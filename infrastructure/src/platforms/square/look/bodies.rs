//! Square's records of products and orders, as its API shows them.
//!
//! What identifies or counts must be right, or the answer is refused; what only describes may be missing.

use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    connection::ConnectionDetails,
    product::{ProductDetails, VARIANTS_MAX},
    values::{Currency, ExternalId, Money, Quantity},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::super::super::{
    fact::{Fact, OrderTimes, Person, SoldLine, Undecodable},
    read,
};

/// Anything in the catalogue; of the many types only `ITEM` is a product.
#[derive(Deserialize)]
pub(super) struct Object {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: ExternalId,
    updated_at: Option<String>,
    is_deleted: Option<bool>,
    item_data: Option<Item>,
}

#[derive(Deserialize)]
struct Item {
    name: Option<String>,
    is_archived: Option<bool>,
    variations: Option<Vec<Variation>>,
}

#[derive(Deserialize)]
struct Variation {
    id: ExternalId,
    updated_at: Option<String>,
    is_deleted: Option<bool>,
    item_variation_data: Option<VariationData>,
}

#[derive(Default, Deserialize)]
struct VariationData {
    name: Option<String>,
    sku: Option<String>,
    price_money: Option<Amount>,
    pricing_type: Option<String>,
    location_overrides: Option<Vec<Override>>,
}

/// What is otherwise at one location.
#[derive(Deserialize)]
struct Override {
    location_id: Option<Value>,
    price_money: Option<Amount>,
    pricing_type: Option<String>,
}

impl VariationData {
    /// What it costs at the connection's location, which may have a price of its own; none for what is priced at the sale.
    fn price(&self, details: &ConnectionDetails) -> Option<Money> {
        let place = details.platform_location.as_ref().map(ExternalId::as_str);
        let here =
            |it: &&Override| place.is_some() && it.location_id.as_ref().and_then(Value::as_str) == place;
        let own = self.location_overrides.iter().flatten().find(here);
        let pricing = own.and_then(|own| own.pricing_type.as_ref()).or(self.pricing_type.as_ref());
        if pricing.is_some_and(|pricing| pricing == "VARIABLE_PRICING") {
            return None;
        }
        let price = own.and_then(|own| own.price_money.as_ref()).or(self.price_money.as_ref());
        price?.price(details.currency)
    }
}

/// Money in minor units.
#[derive(Deserialize)]
struct Amount {
    amount: Option<Value>,
    currency: Option<String>,
}

impl Amount {
    fn minor(&self) -> Option<i64> {
        read::whole(self.amount.as_ref()?)
    }

    /// A price in another currency is no price of this connection.
    fn price(&self, currency: Currency) -> Option<Money> {
        let foreign = self.currency.as_deref().is_some_and(|code| code != currency.code());
        self.minor().filter(|_| !foreign).and_then(|minor| Money::new(minor, currency).ok())
    }
}

impl Object {
    /// The product, or its end; nothing for what is no product. What is archived is kept and no longer offered.
    /// [src: developer.squareup.com/docs/catalog-api/archive-catalog-items]
    pub(super) fn observed(
        self,
        at: DateTime<Utc>,
        details: &ConnectionDetails,
    ) -> Result<Option<Fact>, Undecodable> {
        if self.kind.as_deref() != Some("ITEM") {
            return Ok(None);
        }
        if self.is_deleted == Some(true) {
            return Ok(Some(Fact::ProductRemoved { external: self.id }));
        }
        let Some(Item { name, is_archived, variations: Some(mut variations) }) = self.item_data else {
            return Ok(None);
        };
        if is_archived == Some(true) {
            return Ok(Some(Fact::ProductRemoved { external: self.id }));
        }
        read::within(variations.len(), VARIANTS_MAX, "variations")?;
        if variations.is_empty() {
            // Each product of Square's has one, so this answer does not show what there is.
            return Ok(None);
        }
        // A change of a variation alone need not show in the time of its product.
        let times = variations.iter().map(|variation| &variation.updated_at).chain([&self.updated_at]);
        let changed = times.filter_map(|time| read::time(time.as_deref()?)).max();
        variations.retain(|variation| variation.is_deleted != Some(true));
        if variations.is_empty() {
            return Ok(Some(Fact::ProductRemoved { external: self.id }));
        }
        let title = read::filled(name).unwrap_or_default();
        Ok(Some(Fact::Product(ObservedProduct {
            details: ProductDetails { title: read::title(&title), ..ProductDetails::default() },
            told: vec![],
            variants: variations.into_iter().map(|variation| variation.observed(details)).collect(),
            complete: true,
            at: changed.unwrap_or(at),
            external: self.id,
        })))
    }
}

impl Variation {
    fn observed(self, details: &ConnectionDetails) -> ObservedVariant {
        let data = self.item_variation_data.unwrap_or_default();
        let price = data.price(details);
        let VariationData { name, sku, .. } = data;
        // What has only one variation gets this name from the platform.
        let size = read::filled(name).filter(|name| !name.eq_ignore_ascii_case("regular"));
        ObservedVariant {
            attributes: size.map(|size| ("size".to_owned(), read::word(&size))).into_iter().collect(),
            // Stock is counted by variation.
            inventory: Some(self.id.clone()),
            sku: read::sku(sku.as_deref()),
            price,
            external: self.id,
        }
    }
}

/// An order.
#[derive(Deserialize)]
pub(super) struct Order {
    id: ExternalId,
    state: Option<String>,
    location_id: Option<ExternalId>,
    line_items: Option<Vec<Line>>,
    tenders: Option<Vec<IgnoredAny>>,
    net_amount_due_money: Option<Amount>,
    #[serde(default)]
    created_at: Value,
    #[serde(default)]
    updated_at: Value,
}

/// An answer, as far as it says who placed the order.
#[derive(Deserialize)]
struct Bought {
    #[serde(default)]
    order: Value,
}

/// Who has placed the order of an answer: its customer, called as whoever is to receive it. Read by itself, so that whatever
/// is odd about it does not cost the order.
pub(super) fn buyer(answer: &[u8]) -> Option<Person> {
    let Bought { order } = read::json(answer).ok()?;
    let details = ["shipment_details", "pickup_details", "delivery_details"];
    let fulfillments = order["fulfillments"].as_array().map(Vec::as_slice).unwrap_or_default();
    let recipient = fulfillments
        .iter()
        .flat_map(|fulfillment| details.map(|details| &fulfillment[details]["recipient"]))
        .find(|recipient| recipient.is_object())
        .unwrap_or(&Value::Null);
    let id = if order["customer_id"].is_null() { &recipient["customer_id"] } else { &order["customer_id"] };
    read::person(id, [&recipient["display_name"], &Value::Null], &recipient["email_address"])
}

#[derive(Deserialize)]
struct Line {
    catalog_object_id: Option<ExternalId>,
    quantity: Value,
}

impl Order {
    /// What has become of the order that was asked for.
    ///
    /// What is sold at another of the seller's locations is nothing of this connection's.
    pub(super) fn observed(
        self,
        asked: &ExternalId,
        place: Option<&ExternalId>,
        buyer: Option<Person>,
    ) -> Result<Vec<Fact>, Undecodable> {
        if self.id != *asked {
            return Err(Undecodable(format!("order {asked} was asked for, and {} is shown", self.id)));
        }
        if let (Some(ours), Some(theirs)) = (place, &self.location_id)
            && ours != theirs
        {
            return Ok(vec![]);
        }
        // An order that is paid is closed only once it is handed over.
        let (moved, told) = (read::time_in(&self.created_at), read::time_in(&self.updated_at));
        let paid = match self.state.as_deref().unwrap_or("OPEN") {
            "CANCELED" => return Ok(vec![Fact::OrderCancelled { external: self.id, buyer, at: told }]),
            "DRAFT" => return Ok(vec![]),
            "COMPLETED" => true,
            "OPEN" => self.is_paid(),
            other => {
                let other = read::word(other);
                return Err(Undecodable(format!(
                    "the order is {other:?}; it can be OPEN, COMPLETED, CANCELED, DRAFT"
                )));
            }
        };
        // Square takes its units off once it is paid for.
        let times = OrderTimes { moved, told, waits: !paid };
        let external = self.id;
        let lines = sold(self.line_items.unwrap_or_default())?;
        if lines.is_empty() {
            // It is still being made.
            return Ok(vec![]);
        }
        Ok(vec![if paid {
            Fact::OrderPaid { external, lines, buyer, times }
        } else {
            Fact::OrderPlaced { external, lines, buyer, times }
        }])
    }

    /// An order that is paid stays open until it is handed over. What is due says whether it is paid; where
    /// that is not told, a tender does.
    fn is_paid(&self) -> bool {
        let due = self.net_amount_due_money.as_ref().and_then(Amount::minor);
        due.map_or_else(|| self.tenders.as_ref().is_some_and(|tenders| !tenders.is_empty()), |due| due <= 0)
    }
}

fn sold(items: Vec<Line>) -> Result<Vec<SoldLine>, Undecodable> {
    read::within(items.len(), read::LINES_MAX, "order lines")?;
    let mut lines = Vec::with_capacity(items.len());
    for line in items {
        let quantity = units(&line.quantity)?;
        if !quantity.is_zero() {
            lines.push(SoldLine { external_variant: line.catalog_object_id, sku: None, quantity });
        }
    }
    Ok(lines)
}

/// Units of something sold. Square sells by weight and length too: whoever buys half a unit leaves none that
/// is whole, so parts are counted as units.
fn units(quantity: &Value) -> Result<Quantity, Undecodable> {
    let Some(whole) = read::whole(quantity).or_else(|| read::floor(quantity)?.checked_add(1)) else {
        return read::units(quantity);
    };
    Quantity::new(whole).map_err(|wrong| Undecodable(wrong.to_string()))
}
