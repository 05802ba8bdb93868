//! The bodies of Shopify's webhooks, as far as products, stock and orders need them.
//!
//! What only describes is taken as it comes or left out; what identifies or counts must be right, or the whole
//! body is refused, because a guess here would become a wrong number in a shop.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    connection::ConnectionDetails,
    product::{ProductDetails, VARIANTS_MAX, Word},
    values::{Currency, ExternalId},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::super::super::{
    fact::{Fact, OrderTimes, Person, SoldLine, Undecodable},
    read::{
        FACTS_MAX, LINES_MAX, filled, json, money, odd_prices, person, sku, time, time_in, title, units,
        whole, within, word,
    },
};

/// Variants of which a body may have more than it shows, where it does not name them all besides.
const WHOLE_MAX: usize = 100;
/// Tags that are kept.
const TAGS_MAX: usize = 250;

/// `products/delete`: nothing but an id. The topic is not signed; a product shown earlier must not pass for its end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) id: ExternalId,
}

/// `orders/cancelled`: it says since when, for the same reason.
#[derive(Deserialize)]
pub(super) struct Cancelled {
    pub(super) id: ExternalId,
    cancelled_at: Option<String>,
}

impl Cancelled {
    pub(super) fn when(self) -> Result<(ExternalId, Option<DateTime<Utc>>), Undecodable> {
        match self.cancelled_at {
            Some(at) => Ok((self.id, time(&at))),
            None => Err(Undecodable(
                "the order has no cancelled_at; subscribe to the topic with all fields".into(),
            )),
        }
    }
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
    status: Option<String>,
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
    pub(super) fn facts(
        self,
        fallback: DateTime<Utc>,
        details: &ConnectionDetails,
    ) -> Result<Vec<Fact>, Undecodable> {
        // That is how a product is taken off, from here or by hand.
        if self.status.as_deref() == Some("archived") {
            return Ok(vec![Fact::ProductRemoved { external: self.id }]);
        }
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
        let prices = variants.iter().filter_map(|it| Some((&it.id, it.price.as_ref()?)));
        let odd = odd_prices(prices, details.currency);
        // Not who makes it, which is never left empty there.
        let told =
            [self.product_type.as_ref().map(|_| Word::Category), self.tags.as_ref().map(|_| Word::Tags)];
        let product = Fact::Product(ObservedProduct {
            told: told.into_iter().flatten().collect(),
            details: described(
                &name,
                self.vendor,
                self.product_type,
                self.tags.as_deref().unwrap_or_default(),
            ),
            complete: match &self.variant_gids {
                Some(all) => all.len() <= variants.len(),
                None => variants.len() < WHOLE_MAX,
            },
            variants: variants.into_iter().map(|it| it.observed(&options, details.currency)).collect(),
            at: self.updated_at.as_deref().and_then(time).unwrap_or(fallback),
            external: self.id,
        });
        Ok([product].into_iter().chain(odd).collect())
    }
}

/// What describes a product, as it is kept. Tags are a list with commas, which none of them has.
pub(in super::super) fn described(
    name: &str,
    vendor: Option<String>,
    product_type: Option<String>,
    tags: &str,
) -> ProductDetails {
    ProductDetails {
        title: title(name),
        vendor: filled(vendor).map(|it| word(&it)),
        category: filled(product_type).map(|it| word(&it)),
        tags: words(tags),
        ..ProductDetails::default()
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
    #[serde(default)]
    available: Value,
    updated_at: Option<String>,
}

impl InventoryLevel {
    pub(super) fn observed(self) -> Result<Fact, Undecodable> {
        let odd = || Undecodable("available is no whole number of units".into());
        let available = match &self.available {
            Value::Null => None,
            counted => Some(whole(counted).ok_or_else(odd)?),
        };
        Ok(Fact::StockObserved {
            inventory: self.inventory_item_id,
            platform_location: Some(self.location_id),
            available,
            at: self.updated_at.as_deref().and_then(time),
        })
    }
}

/// `orders/create`, `orders/paid`.
#[derive(Deserialize)]
pub(super) struct Order {
    id: ExternalId,
    line_items: Vec<Line>,
    #[serde(default)]
    created_at: Value,
    #[serde(default)]
    updated_at: Value,
}

#[derive(Deserialize)]
struct Line {
    variant_id: Option<ExternalId>,
    sku: Option<String>,
    /// As it was ordered.
    quantity: Value,
    /// What is left of that after the order was edited.
    current_quantity: Option<Value>,
}

impl Order {
    /// Its units are taken off what is available once it is made, paid or not.
    pub(super) fn times(&self) -> OrderTimes {
        OrderTimes { moved: time_in(&self.created_at), told: time_in(&self.updated_at), waits: false }
    }

    pub(super) fn sold(self) -> Result<(ExternalId, Vec<SoldLine>), Undecodable> {
        within(self.line_items.len(), LINES_MAX, "order lines")?;
        let mut lines = Vec::with_capacity(self.line_items.len());
        for line in self.line_items {
            let quantity = units(line.current_quantity.as_ref().unwrap_or(&line.quantity))?;
            lines.push(SoldLine {
                external_variant: line.variant_id,
                sku: sku(line.sku.as_deref()),
                quantity,
            });
        }
        Ok((self.id, lines))
    }
}

/// What an order says of its buyer.
#[derive(Deserialize)]
struct Bought {
    #[serde(default)]
    customer: Value,
    #[serde(default)]
    email: Value,
}

/// Who has placed an order: its customer, or, without an account, whoever left an address with it. Read by itself, so that
/// whatever is odd about it does not cost the order.
pub(super) fn buyer(body: &[u8]) -> Option<Person> {
    let Bought { customer, email } = json(body).ok()?;
    customer_of(&customer, &email)
}

/// Whom a body is about that is nothing but a customer.
pub(super) fn customer(body: &[u8]) -> Option<Person> {
    customer_of(&json(body).ok()?, &Value::Null)
}

fn customer_of(customer: &Value, email: &Value) -> Option<Person> {
    let email = if customer["email"].is_string() { &customer["email"] } else { email };
    person(&customer["id"], [&customer["first_name"], &customer["last_name"]], email)
}

/// What all bodies about privacy have. Of these topics one address serves all the shops that have the app.
#[derive(Deserialize)]
pub(super) struct OfShop {
    shop_domain: String,
}

impl OfShop {
    /// The shop, if it is another one than the connection's own.
    pub(super) fn stranger(self, details: &ConnectionDetails) -> Option<String> {
        let own = details.account.as_deref()?;
        (!self.shop_domain.eq_ignore_ascii_case(own)).then_some(self.shop_domain)
    }
}

/// `customers/redact`. It lists orders, be it none, for the topic is not signed: a mere question must not pass for it.
#[derive(Deserialize)]
pub(super) struct Redact {
    customer: Value,
    orders_to_redact: Vec<ExternalId>,
}

impl Redact {
    pub(super) fn fact(self) -> Result<Fact, Undecodable> {
        within(self.orders_to_redact.len(), FACTS_MAX, "orders")?;
        Ok(Fact::ErasureAsked { person: named(&self.customer)?, orders: self.orders_to_redact })
    }
}

/// `customers/data_request`.
#[derive(Deserialize)]
pub(super) struct DataRequest {
    customer: Value,
    orders_requested: Option<Vec<ExternalId>>,
}

impl DataRequest {
    pub(super) fn fact(self) -> Result<Fact, Undecodable> {
        let orders = self.orders_requested.unwrap_or_default();
        within(orders.len(), FACTS_MAX, "orders")?;
        Ok(Fact::DisclosureAsked { person: named(&self.customer)?, orders })
    }
}

fn named(customer: &Value) -> Result<Person, Undecodable> {
    let nobody = || Undecodable("the body names no customer, neither by id nor by e-mail address".into());
    customer_of(customer, &Value::Null).ok_or_else(nobody)
}

fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|it| !it.is_empty()).map(word).take(TAGS_MAX).collect()
}
