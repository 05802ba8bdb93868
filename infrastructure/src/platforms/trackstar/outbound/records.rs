//! What Trackstar has a record of, and what such a record says.
//!
//! A connection is a cart or a warehouse and nowhere says which, but the ids of a listing do: they are those that its
//! webhooks have given.

use std::collections::BTreeMap;

use onhand_domain::{connection::ConnectionDetails, values::ExternalId};
use serde::Deserialize;
use serde_json::Value;

use super::super::super::{
    outbound::{CallError, Handle, Shown},
    read,
};

/// The fields of a write; one that comes back as unused was not understood.
const WRITTEN: [&str; 3] = ["quantity", "adjustment_type", "warehouse_id"];

/// What sort of record there is of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    /// A cart's variant: its own handle on its stock.
    Variant,
    /// The one item that a warehouse's product is made of.
    Item,
    /// A warehouse's product that is a kit, a pack, or lies under several items.
    Composite,
}

impl Sort {
    pub(super) const ALL: [Self; 3] = [Self::Variant, Self::Item, Self::Composite];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Variant => "/cart/products",
            Self::Item => "/wms/inventory",
            Self::Composite => "/wms/products",
        }
    }
}

/// What there is a record of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Thing<'h> {
    pub(super) sort: Sort,
    pub(super) id: &'h ExternalId,
}

impl<'h> Thing<'h> {
    /// By the ids that a `cart-product`, or a `product`, has given.
    pub(super) fn of(handle: &'h Handle) -> Result<Self, CallError> {
        let (sort, id) = match &handle.inventory {
            Some(inventory) if *inventory == handle.variant => (Sort::Variant, inventory),
            Some(inventory) => (Sort::Item, inventory),
            None => (Sort::Composite, &handle.variant),
        };
        // As steps of a path these lead upwards, escaped or not.
        if matches!(id.as_str(), "." | "..") {
            return Err(CallError::never("dots are no id"));
        }
        Ok(Self { sort, id })
    }

    /// Where its record is.
    pub(super) fn target(self) -> String {
        format!("{}/{}", self.sort.path(), read::escaped(self.id.as_str()))
    }
}

/// The answer about one thing.
#[derive(Deserialize)]
pub(super) struct One {
    pub(super) data: Record,
}

/// The answer about several.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) data: Vec<Value>,
}

/// The answer to a write.
#[derive(Deserialize)]
pub(super) struct Written {
    pub(super) data: Record,
    unused_fields: Option<Vec<String>>,
}

impl Written {
    /// A field that was sent and has moved nothing.
    pub(super) fn unused(&self) -> Option<&str> {
        let mut unused = self.unused_fields.iter().flatten().map(String::as_str);
        unused.find(|field| WRITTEN.contains(field))
    }
}

/// A record of any sort; what one sort lacks is null.
#[derive(Deserialize)]
pub(super) struct Record {
    pub(super) id: ExternalId,
    #[serde(default)]
    inventory: Value,
    #[serde(default)]
    fulfillable: Value,
    inventory_by_warehouse_id: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    price: Value,
    #[serde(default)]
    unit_price: Value,
    #[serde(default)]
    updated_date: Value,
    #[serde(default)]
    trackstar_updated_date: Value,
}

impl Record {
    /// Units for sale at a place, or everywhere where none is given; none where nobody counts. A record that does not
    /// tell places apart, as answers to writes are, says nothing about one of them.
    pub(super) fn figure(&self, sort: Sort, place: Option<&ExternalId>) -> Result<Option<i64>, CallError> {
        let figure = match (place, sort) {
            (Some(place), _) => match (self.level(place), sort) {
                (None, _) => return Ok(None),
                (Some(levels), Sort::Item) => &levels["fulfillable"],
                (Some(level), Sort::Variant | Sort::Composite) => level,
            },
            (None, Sort::Item) => &self.fulfillable,
            (None, Sort::Variant | Sort::Composite) => &self.inventory,
        };
        match figure {
            Value::Null => Ok(None),
            figure => read::whole(figure)
                .map(Some)
                .ok_or_else(|| CallError::failed("a figure of the stock is no whole number")),
        }
    }

    fn level(&self, place: &ExternalId) -> Option<&Value> {
        self.inventory_by_warehouse_id.as_ref()?.get(place.as_str())
    }

    /// In how many warehouses it is known to lie.
    pub(super) fn places(&self) -> usize {
        self.inventory_by_warehouse_id.as_ref().map_or(0, BTreeMap::len)
    }

    /// What is shown of it. Records name no currency: prices are in the connection's, as they are in webhooks.
    pub(super) fn shown(&self, sort: Sort, details: &ConnectionDetails) -> Result<Shown, CallError> {
        let quantity = self.figure(sort, details.platform_location.as_ref())?;
        let price = match sort {
            Sort::Variant => read::money(&self.price, details.currency),
            Sort::Composite => read::money(&self.unit_price, details.currency),
            Sort::Item => None,
        };
        Ok(Shown { quantity, price })
    }

    /// When it has last changed, there and behind it; another text with each change that does not fall into the
    /// same second.
    pub(super) fn version(&self) -> Option<String> {
        let said = [&self.trackstar_updated_date, &self.updated_date];
        let said: Vec<_> = said.into_iter().filter(|date| !date.is_null()).map(ToString::to_string).collect();
        (!said.is_empty()).then(|| said.join(" "))
    }

    /// Whether it is certain that something has changed since another was read: both say when, and not the same.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        let versions = self.version().zip(other.version());
        versions.is_some_and(|(ours, theirs)| ours != theirs)
    }
}
