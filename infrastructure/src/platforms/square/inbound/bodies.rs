//! The bodies of Square's webhooks, as far as stock, the catalogue and orders need them.
//!
//! Only counts are told in full. The catalogue and orders are named, and must be looked at for what they are.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use onhand_domain::values::ExternalId;
use serde::Deserialize;
use serde_json::Value;

use super::super::super::{
    adapter::Hint,
    fact::{Fact, Undecodable},
    read,
};

#[derive(Deserialize)]
struct Body<T> {
    data: Data<T>,
}

#[derive(Deserialize)]
struct Data<T> {
    object: T,
}

fn object<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Undecodable> {
    let body: Body<T> = read::json(body)?;
    Ok(body.data.object)
}

#[derive(Deserialize)]
struct Counts {
    inventory_counts: Vec<Count>,
}

#[derive(Deserialize)]
struct Count {
    catalog_object_id: Option<ExternalId>,
    catalog_object_type: Option<String>,
    location_id: Option<ExternalId>,
    state: Option<String>,
    quantity: Option<Value>,
    calculated_at: Option<String>,
}

/// `inventory.count.updated`: what is for sale of a variation at a location. Counts of what is sold, wasted
/// or on its way come with them and are passed over; of several counts of the same the newest is told, in whatever order
/// they stand.
pub(super) fn counts(body: &[u8]) -> Result<Vec<Fact>, Undecodable> {
    let counts: Counts = object(body)?;
    read::within(counts.inventory_counts.len(), read::FACTS_MAX, "counts")?;
    let counts: Vec<Count> = counts.inventory_counts.into_iter().filter(Count::is_for_sale).collect();
    let mut newest: HashMap<_, DateTime<Utc>> = HashMap::new();
    for count in &counts {
        if let Some(at) = count.at() {
            let known = newest.entry(count.place()).or_insert(at);
            *known = at.max(*known);
        }
    }
    let is_older =
        |count: &&Count| count.at().zip(newest.get(&count.place())).is_some_and(|(at, newest)| at < *newest);
    counts.iter().filter(|count| !is_older(count)).map(Count::observed).collect()
}

impl Count {
    fn is_for_sale(&self) -> bool {
        self.state.as_deref() == Some("IN_STOCK")
            && self.catalog_object_type.as_deref() == Some("ITEM_VARIATION")
    }

    /// What is counted, and where.
    fn place(&self) -> (Option<&ExternalId>, Option<&ExternalId>) {
        (self.catalog_object_id.as_ref(), self.location_id.as_ref())
    }

    fn at(&self) -> Option<DateTime<Utc>> {
        self.calculated_at.as_deref().and_then(read::time)
    }

    fn observed(&self) -> Result<Fact, Undecodable> {
        let missing = |what: &str| Undecodable(format!("a count has no {what}"));
        let inventory = self.catalog_object_id.clone().ok_or_else(|| missing("catalog_object_id"))?;
        let location = self.location_id.clone().ok_or_else(|| missing("location_id"))?;
        let available = self.quantity.as_ref().and_then(read::floor);
        let available = available.ok_or_else(|| {
            Undecodable(format!("the count of {inventory} has no quantity that is a decimal number"))
        })?;
        Ok(Fact::StockObserved {
            inventory,
            platform_location: Some(location),
            available: Some(available),
            at: self.at(),
        })
    }
}

#[derive(Deserialize)]
struct Catalog {
    catalog_version: Version,
}

#[derive(Deserialize)]
struct Version {
    updated_at: ExternalId,
}

/// `catalog.version.updated`: something in the catalogue has changed by this time; Square does not say what.
pub(super) fn catalog(body: &[u8]) -> Result<Vec<Fact>, Undecodable> {
    let external = object::<Catalog>(body)?.catalog_version.updated_at;
    if read::time(external.as_str()).is_none() {
        let external = read::word(external.as_str());
        return Err(Undecodable(format!(
            "the catalogue's updated_at, {external:?}, is not an RFC 3339 time"
        )));
    }
    Ok(vec![Fact::Hint(Hint { resource: "catalog", external, titled: None })])
}

/// One name for each of the three topics.
#[derive(Deserialize)]
struct OrderNews {
    #[serde(alias = "order_updated", alias = "order_fulfillment_updated")]
    order_created: Order,
}

#[derive(Deserialize)]
struct Order {
    order_id: ExternalId,
    state: Option<String>,
    #[serde(default)]
    updated_at: Value,
}

/// `order.created` and so on: an order is named with its state, and what was bought is not told. Square has
/// no topic for a cancellation but this state.
pub(super) fn order(body: &[u8]) -> Result<Vec<Fact>, Undecodable> {
    let Order { order_id: external, state, updated_at } = object::<OrderNews>(body)?.order_created;
    Ok(vec![match state.as_deref() {
        Some("CANCELED") => Fact::OrderCancelled { external, buyer: None, at: read::time_in(&updated_at) },
        _ => Fact::Hint(Hint { resource: "order", external, titled: None }),
    }])
}
