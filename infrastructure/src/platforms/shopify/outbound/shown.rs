//! What a shop shows of our listings: quantity and price, many at a time.

use std::collections::BTreeMap;

use onhand_domain::values::Money;
use serde::Deserialize;
use serde_json::json;

use super::{
    super::super::outbound::{CallError, Handle, Shown},
    Shop, gid,
};

/// Variants that are looked at in one call.
const READ_MAX: usize = 100;

const READ: &str = "query OnhandReadListings($ids: [ID!]!, $location: ID!) {
    shop { currencyCode }
    nodes(ids: $ids) {
        ... on ProductVariant {
            id
            price
            inventoryItem {
                tracked
                inventoryLevel(locationId: $location) { quantities(names: [\"available\"]) { quantity } }
            }
        }
    }
}";

#[derive(Deserialize)]
struct Read {
    shop: Currency,
    nodes: Vec<Option<Node>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Currency {
    currency_code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: Option<String>,
    price: Option<String>,
    inventory_item: Option<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    tracked: bool,
    inventory_level: Option<Level>,
}

#[derive(Deserialize)]
struct Level {
    quantities: Vec<Quantity>,
}

#[derive(Deserialize)]
struct Quantity {
    quantity: i64,
}

impl Shop<'_> {
    /// What is shown of each, in order.
    pub(in super::super) async fn read(&self, handles: &[Handle]) -> Vec<Result<Shown, CallError>> {
        let mut found = Vec::with_capacity(handles.len());
        for handles in handles.chunks(READ_MAX) {
            let ids: Vec<_> = handles.iter().map(|handle| gid("ProductVariant", &handle.variant)).collect();
            let shown = self.read_variants(ids.iter().flatten().map(String::as_str).collect()).await;
            found.extend(ids.iter().map(|id| match (id, &shown) {
                (None, _) => Err(CallError::never("the listing's id of a variant is none")),
                (_, Err(error)) => Err(error.clone()),
                (Some(id), Ok(shown)) => {
                    shown.get(id).cloned().ok_or_else(|| CallError::never("the shop has no such variant"))
                }
            }));
        }
        found
    }

    async fn read_variants(&self, ids: Vec<&str>) -> Result<BTreeMap<String, Shown>, CallError> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let cost = 3 * ids.len();
        let variables = json!({"ids": ids, "location": self.location()?});
        let read: Read = self.call(READ, variables, cost).await.map_err(CallError::of_none)?;
        let ours = read.shop.currency_code == self.0.details().currency.to_string();
        let shown = |node: Node| {
            let price = node.price.filter(|_| ours);
            let level = node.inventory_item.filter(|item| item.tracked).and_then(|item| item.inventory_level);
            Some((
                node.id?,
                Shown {
                    quantity: level.and_then(|level| level.quantities.first().map(|it| it.quantity)),
                    price: price.and_then(|price| Money::parse(&price, self.0.details().currency).ok()),
                },
            ))
        };
        Ok(read.nodes.into_iter().flatten().filter_map(shown).collect())
    }
}
