//! Clover's records of items and orders, as its API shows them.
//!
//! An item of Clover's is one thing to sell, hence a product with one variant. A line of an order is one unit
//! of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    product::ProductDetails,
    values::{Currency, ExternalId, Money, Quantity, Sku},
};
use serde::Deserialize;
use serde_json::Value;

use super::super::super::{
    fact::{Fact, OrderTimes, SoldLine, Undecodable},
    read,
};

/// An item with its stock.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Item {
    id: ExternalId,
    name: Option<String>,
    sku: Option<String>,
    price: Option<Value>,
    price_type: Option<String>,
    hidden: Option<bool>,
    deleted: Option<bool>,
    modified_time: Option<Value>,
    item_stock: Option<ItemStock>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemStock {
    /// With decimals, for what is sold by weight.
    quantity: Option<Value>,
    /// The same, rounded; older records have nothing else.
    stock_count: Option<Value>,
    modified_time: Option<Value>,
}

/// Milliseconds since 1970.
fn time(value: Option<&Value>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(read::whole(value?)?)
}

impl Item {
    /// The product and its stock, or its end.
    pub(super) fn observed(
        self,
        asked: &ExternalId,
        at: DateTime<Utc>,
        currency: Currency,
    ) -> Result<Vec<Fact>, Undecodable> {
        same(asked, &self.id)?;
        if self.is_gone() {
            return Ok(vec![Fact::ProductRemoved { external: self.id }]);
        }
        let stock = self.item_stock.as_ref().map(|stock| stock.observed(&self.id, at)).transpose()?;
        let mut facts = vec![self.product(at, currency)];
        facts.extend(stock);
        Ok(facts)
    }

    /// Which one it is.
    pub(in super::super) fn id(&self) -> &ExternalId {
        &self.id
    }

    /// Whether nobody can buy it, or not any more.
    pub(in super::super) fn is_gone(&self) -> bool {
        self.hidden == Some(true) || self.deleted == Some(true)
    }

    /// The seller's code, if it has one.
    pub(in super::super) fn sku(&self) -> Option<Sku> {
        read::sku(self.sku.as_deref())
    }

    /// What it is called; empty where it has no name.
    pub(in super::super) fn title(&self) -> String {
        read::title(&read::filled(self.name.clone()).unwrap_or_default())
    }

    /// Whether it was deleted; what is hidden is still there.
    pub(in super::super) fn is_deleted(&self) -> bool {
        self.deleted == Some(true)
    }

    /// Whether its price is entered when it is sold.
    pub(in super::super) fn is_priced_at_the_till(&self) -> bool {
        self.price_type.as_deref() == Some("VARIABLE")
    }

    /// What it costs; none for what is priced at the till, whose price is written as 0.
    pub(in super::super) fn price(&self, currency: Currency) -> Option<Money> {
        let price = self.price.as_ref().filter(|_| !self.is_priced_at_the_till())?;
        Money::new(read::whole(price)?, currency).ok()
    }

    /// Units there are of it; none where nobody counts them.
    pub(in super::super) fn available(&self) -> Result<Option<i64>, Undecodable> {
        self.item_stock.as_ref().map_or(Ok(None), |stock| stock.available(&self.id))
    }

    fn product(self, at: DateTime<Utc>, currency: Currency) -> Fact {
        let variant = ObservedVariant {
            external: self.id.clone(),
            inventory: Some(self.id.clone()),
            sku: self.sku(),
            attributes: BTreeMap::new(),
            price: self.price(currency),
        };
        Fact::Product(ObservedProduct {
            details: ProductDetails { title: self.title(), ..ProductDetails::default() },
            told: vec![],
            variants: vec![variant],
            complete: true,
            at: time(self.modified_time.as_ref()).unwrap_or(at),
            external: self.id,
        })
    }
}

impl ItemStock {
    fn available(&self, item: &ExternalId) -> Result<Option<i64>, Undecodable> {
        let wrong = || Undecodable(format!("the stock of item {item} is not a decimal number"));
        let quantity = self.quantity.as_ref().or(self.stock_count.as_ref());
        quantity.map(|quantity| read::floor(quantity).ok_or_else(wrong)).transpose()
    }

    /// What is there of an item; a merchant has one place. Clover counts what it shows a number for.
    fn observed(&self, item: &ExternalId, at: DateTime<Utc>) -> Result<Fact, Undecodable> {
        Ok(Fact::StockObserved {
            inventory: item.clone(),
            platform_location: None,
            available: self.available(item)?,
            at: Some(time(self.modified_time.as_ref()).unwrap_or(at)),
        })
    }
}

/// A list that was asked for with `expand`.
#[derive(Deserialize)]
struct Expanded<T> {
    elements: Option<Vec<T>>,
}

/// An order with its lines and payments.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Order {
    id: ExternalId,
    state: Option<String>,
    payment_state: Option<String>,
    deleted: Option<bool>,
    line_items: Option<Expanded<Line>>,
    payments: Option<Expanded<Payment>>,
    created_time: Option<Value>,
    modified_time: Option<Value>,
}

/// Lines that are shown with their order; of more nobody is told.
const EXPANDED_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    item: Option<Reference>,
    /// Thousandths of a unit, for what is sold by weight or length; none for what is sold by the piece.
    unit_qty: Option<Value>,
}

#[derive(Deserialize)]
struct Reference {
    id: Option<ExternalId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    result: Option<String>,
    created_time: Option<Value>,
}

impl Order {
    /// What has become of the order that was asked for; nothing, while it has no lines.
    pub(super) fn observed(self, asked: &ExternalId) -> Result<Vec<Fact>, Undecodable> {
        same(asked, &self.id)?;
        let times = self.times();
        if self.deleted == Some(true) {
            return Ok(vec![Fact::OrderCancelled { external: self.id, buyer: None, at: times.told }]);
        }
        // What was refunded may have left the shop.
        if self.is("REFUNDED") || self.is("CREDITED") {
            return Ok(vec![]);
        }
        let paid =
            self.is("LOCKED") || self.is("PAID") || self.payments.as_ref().is_some_and(Expanded::has_paid);
        let external = self.id;
        let lines = self.line_items.and_then(|lines| lines.elements).unwrap_or_default();
        if lines.len() >= EXPANDED_MAX {
            return Err(Undecodable(format!("the order shows {EXPANDED_MAX} lines, and may have more")));
        }
        let lines = sold(lines)?;
        // An open order is a tab: lines come and go until it is locked or paid, and an order's lines are taken once.
        if !paid || lines.is_empty() {
            return Ok(vec![]);
        }
        // Who bought is shown only to apps that merchants let see their customers, and asking all the same loses the order.
        Ok(vec![Fact::OrderPaid { external, lines, buyer: None, times }])
    }

    /// A tab may be open for long before its first payment.
    fn times(&self) -> OrderTimes {
        let payments = self.payments.iter().filter_map(|payments| payments.elements.as_ref()).flatten();
        let paid = payments.filter_map(|payment| time(payment.created_time.as_ref())).min();
        OrderTimes {
            moved: paid.or_else(|| time(self.created_time.as_ref())),
            told: time(self.modified_time.as_ref()),
            waits: false,
        }
    }

    /// Clover writes states in small letters and payment states in capitals.
    fn is(&self, state: &str) -> bool {
        let states = [self.state.as_deref(), self.payment_state.as_deref()];
        states.into_iter().flatten().any(|it| it.eq_ignore_ascii_case(state))
    }
}

impl Expanded<Payment> {
    /// Attempts that came to nothing are kept among the payments.
    fn has_paid(&self) -> bool {
        let failed = |payment: &Payment| {
            matches!(payment.result.as_deref(), Some("FAIL" | "INITIATED" | "VOIDED" | "VOIDING"))
        };
        self.elements.as_ref().is_some_and(|payments| !payments.iter().all(failed))
    }
}

/// The lines, one for each item. What is not in the inventory stays a line of its own.
fn sold(units: Vec<Line>) -> Result<Vec<SoldLine>, Undecodable> {
    let mut sums: Vec<(Option<ExternalId>, i64)> = Vec::new();
    let mut places: BTreeMap<ExternalId, usize> = BTreeMap::new();
    for line in units {
        let thousandths = line.unit_qty.as_ref().map_or(Some(1_000), read::whole).filter(|sold| *sold >= 0);
        let thousandths = thousandths
            .ok_or_else(|| Undecodable("the unitQty of a line is no number of thousandths".into()))?;
        let item = line.item.and_then(|item| item.id);
        let known = item.as_ref().and_then(|item| places.get(item).copied());
        if let Some(place) = known
            && let Some((_, sum)) = sums.get_mut(place)
        {
            *sum = sum.saturating_add(thousandths);
            continue;
        }
        places.extend(item.clone().map(|item| (item, sums.len())));
        sums.push((item, thousandths));
    }
    read::within(sums.len(), read::LINES_MAX, "order lines")?;
    let mut lines = Vec::with_capacity(sums.len());
    for (external_variant, thousandths) in sums.into_iter().filter(|(_, sum)| *sum > 0) {
        // Whoever buys part of a unit leaves none that is whole.
        let units = thousandths / 1_000 + i64::from(thousandths % 1_000 > 0);
        let quantity = Quantity::new(units).map_err(|wrong| Undecodable(wrong.to_string()))?;
        lines.push(SoldLine { external_variant, sku: None, quantity });
    }
    Ok(lines)
}

/// Refuses a record that is not the one that was asked for.
fn same(asked: &ExternalId, shown: &ExternalId) -> Result<(), Undecodable> {
    if asked != shown {
        return Err(Undecodable(format!("{asked} was asked for, and {shown} is shown")));
    }
    Ok(())
}
