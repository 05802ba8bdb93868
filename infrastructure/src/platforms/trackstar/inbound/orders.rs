//! The orders of shops behind Trackstar.
//!
//! Orders as a warehouse has them are other records, and are not read: each was sold elsewhere and is known
//! from there.

use onhand_domain::values::ExternalId;
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::super::{
        fact::{Fact, OrderTimes, SoldLine, Undecodable},
        read,
    },
    bodies::blank_or_id,
};

/// `cart-order.*`: an order of a shop behind Trackstar.
#[derive(Deserialize)]
pub(super) struct CartOrder {
    id: ExternalId,
    status: String,
    line_items: Option<Vec<Line>>,
    #[serde(default)]
    created_date: Value,
    #[serde(default)]
    updated_date: Value,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    product_id: Value,
    product_sku: Option<String>,
    sku: Option<String>,
    #[serde(default)]
    quantity: Value,
}

impl CartOrder {
    /// What its status means for the stock.
    ///
    /// Nobody says whether it is paid for; a shop confirms an order once it means to deliver it, which is as
    /// good. An order that waits, or that has a status of the shop's own, is placed and no more.
    pub(super) fn fact(self) -> Result<Fact, Undecodable> {
        let external = self.id;
        let (moved, told) = (read::time_in(&self.created_date), read::time_in(&self.updated_date));
        let times = OrderTimes { moved, told, waits: false };
        let status = self.status.trim().to_lowercase().replace('-', "_");
        if matches!(status.as_str(), "cancelled" | "canceled" | "refunded") {
            return Ok(Fact::OrderCancelled { external, buyer: None, at: told });
        }
        let lines =
            self.line_items.ok_or_else(|| Undecodable("the order does not say what was bought".into()))?;
        let lines = sold(lines)?;
        Ok(match status.as_str() {
            "confirmed"
            | "allocated"
            | "processing"
            | "picked"
            | "packed"
            | "partially_fulfilled"
            | "fulfilled" => Fact::OrderPaid { external, lines, buyer: None, times },
            _ => Fact::OrderPlaced { external, lines, buyer: None, times },
        })
    }
}

fn sold(given: Vec<Line>) -> Result<Vec<SoldLine>, Undecodable> {
    read::within(given.len(), read::LINES_MAX, "order lines")?;
    let mut lines = Vec::with_capacity(given.len());
    for line in given {
        let quantity = read::units(&line.quantity)?;
        let sku = read::filled(line.product_sku).or(read::filled(line.sku));
        lines.push(SoldLine {
            external_variant: blank_or_id(&line.product_id)?,
            sku: read::sku(sku.as_deref()),
            quantity,
        });
    }
    Ok(lines)
}
