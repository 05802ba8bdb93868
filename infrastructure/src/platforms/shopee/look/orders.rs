//! Orders, as a look at Shopee shows them.
//!
//! A push names the order alone, so this is where its lines come from.

use onhand_domain::values::ExternalId;
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
    order_list: Vec<Order>,
}

#[derive(Deserialize)]
struct Order {
    order_sn: ExternalId,
    order_status: String,
    /// Is there only if it was asked for, as are the two below.
    item_list: Option<Vec<Line>>,
    #[serde(default)]
    buyer_user_id: Value,
    #[serde(default)]
    buyer_username: Value,
    #[serde(default)]
    create_time: Value,
    #[serde(default)]
    update_time: Value,
}

#[derive(Deserialize)]
struct Line {
    item_id: ExternalId,
    /// 0 for an item without models.
    model_id: Option<ExternalId>,
    item_sku: Option<String>,
    model_sku: Option<String>,
    model_quantity_purchased: Value,
}

impl Orders {
    /// The order that was hinted at.
    pub(super) fn facts(self, hint: &Hint) -> Result<Vec<Fact>, Undecodable> {
        let asked = &hint.external;
        let order = self.order_list.into_iter().find(|order| order.order_sn == *asked);
        let order = order.ok_or_else(|| Undecodable(format!("the answer does not show order {asked}")))?;
        Ok(vec![order.fact()?])
    }
}

impl Order {
    fn fact(self) -> Result<Fact, Undecodable> {
        let external = self.order_sn;
        let times =
            OrderTimes { moved: moment(&self.create_time), told: moment(&self.update_time), waits: false };
        if self.order_status == "CANCELLED" {
            return Ok(Fact::OrderCancelled { external, buyer: None, at: times.told });
        }
        // An order without lines would be taken for one of nothing, for good.
        let found = self.item_list.ok_or_else(|| {
            Undecodable(format!("order {external} shows no items; ask for the optional field item_list"))
        })?;
        read::within(found.len(), read::LINES_MAX, "order lines")?;
        let mut lines = Vec::with_capacity(found.len());
        for line in found {
            lines.extend(line.sold()?);
        }
        let buyer = read::person(&self.buyer_user_id, [&self.buyer_username, &Value::Null], &Value::Null);
        Ok(match self.order_status.as_str() {
            "UNPAID" => Fact::OrderPlaced { external, lines, buyer, times },
            _ => Fact::OrderPaid { external, lines, buyer, times },
        })
    }
}

impl Line {
    fn sold(self) -> Result<Option<SoldLine>, Undecodable> {
        let quantity = read::units(&self.model_quantity_purchased)?;
        if quantity.is_zero() {
            return Ok(None);
        }
        let model = self.model_id.filter(|id| id.as_str() != "0");
        let sku = read::filled(self.model_sku).or(match model {
            // The item's SKU is that of all its models.
            Some(_) => None,
            None => self.item_sku,
        });
        Ok(Some(SoldLine {
            external_variant: Some(model.unwrap_or(self.item_id)),
            sku: read::sku(sku.as_deref()),
            quantity,
        }))
    }
}
