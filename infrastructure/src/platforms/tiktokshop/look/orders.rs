//! Orders, as a look at `TikTok` Shop shows them.
//!
//! A line there is a single unit: three of a kind are three lines, which become one here.

use std::collections::{HashMap, hash_map::Entry};

use onhand_domain::values::{ExternalId, InvalidValue, Quantity, Sku};
use serde::Deserialize;
use serde_json::Value;

use super::super::super::{
    adapter::Hint,
    fact::{Fact, OrderTimes, SoldLine, Undecodable},
    read,
};
use super::super::inbound::moment;

/// The answer about an order.
#[derive(Deserialize)]
pub(super) struct Orders {
    orders: Vec<Order>,
}

#[derive(Deserialize)]
struct Order {
    id: ExternalId,
    status: String,
    line_items: Option<Vec<Unit>>,
    #[serde(default)]
    user_id: Value,
    #[serde(default)]
    buyer_email: Value,
    #[serde(default)]
    recipient_address: Value,
    #[serde(default)]
    create_time: Value,
    #[serde(default)]
    update_time: Value,
}

/// One unit of a SKU.
#[derive(Deserialize)]
struct Unit {
    sku_id: Option<ExternalId>,
    seller_sku: Option<String>,
    display_status: Option<String>,
}

impl Orders {
    /// The order that was hinted at.
    pub(super) fn facts(self, hint: &Hint) -> Result<Vec<Fact>, Undecodable> {
        let asked = &hint.external;
        let order = self.orders.into_iter().find(|order| order.id == *asked);
        let order = order.ok_or_else(|| Undecodable(format!("the answer does not show order {asked}")))?;
        Ok(vec![order.fact()?])
    }
}

impl Order {
    fn fact(self) -> Result<Fact, Undecodable> {
        let external = self.id;
        let times =
            OrderTimes { moved: moment(&self.create_time), told: moment(&self.update_time), waits: false };
        if cancelled(&self.status) {
            return Ok(Fact::OrderCancelled { external, buyer: None, at: times.told });
        }
        // An order without lines would be taken for one of nothing, for good.
        let units = self.line_items.ok_or_else(|| Undecodable(format!("order {external} shows no lines")))?;
        let lines = added_up(units)?;
        let names = [&self.recipient_address["name"], &Value::Null];
        let buyer = read::person(&self.user_id, names, &self.buyer_email);
        Ok(match self.status.as_str() {
            // While an order is on hold the buyer may still call it back without asking.
            "UNPAID" | "ON_HOLD" => Fact::OrderPlaced { external, lines, buyer, times },
            _ => Fact::OrderPaid { external, lines, buyer, times },
        })
    }
}

/// The units by what they are of, in the order of the first of each; those called back are left out.
fn added_up(units: Vec<Unit>) -> Result<Vec<SoldLine>, Undecodable> {
    let wrong = |wrong: InvalidValue| Undecodable(wrong.to_string());
    let one = Quantity::new(1).map_err(wrong)?;
    let mut places: HashMap<(Option<ExternalId>, Option<Sku>), usize> = HashMap::new();
    let mut lines: Vec<SoldLine> = Vec::new();
    for unit in units {
        if unit.display_status.as_deref().is_some_and(cancelled) {
            continue;
        }
        let sku = read::sku(unit.seller_sku.as_deref());
        match places.entry((unit.sku_id.clone(), sku.clone())) {
            Entry::Occupied(place) => {
                if let Some(line) = lines.get_mut(*place.get()) {
                    line.quantity = line.quantity.plus(one).map_err(wrong)?;
                }
            }
            Entry::Vacant(place) => {
                place.insert(lines.len());
                lines.push(SoldLine { external_variant: unit.sku_id, sku, quantity: one });
            }
        }
    }
    read::within(lines.len(), read::LINES_MAX, "order lines")?;
    Ok(lines)
}

fn cancelled(status: &str) -> bool {
    matches!(status, "CANCELLED" | "CANCEL")
}
