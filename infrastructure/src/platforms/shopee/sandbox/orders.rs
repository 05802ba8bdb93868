//! Orders, as they are shown.

use serde_json::{Value, json};

use super::{
    super::super::sandbox::Order, BATCH_MAX, Reply, Shop, is_plain, number, refusal, scale, success,
};

/// Orders by their numbers, with commas between. Their lines are shown if they are asked for.
pub(super) fn detail(shop: &Shop, numbers: &str, fields: &str) -> Reply {
    let numbers: Vec<&str> = numbers.split(',').map(str::trim).filter(|number| !number.is_empty()).collect();
    if numbers.is_empty() || numbers.len() > BATCH_MAX {
        return refusal(200, "order.error_param", "order_sn_list takes 1 to 50 numbers of orders");
    }
    let lines = fields.split(',').any(|field| field.trim() == "item_list");
    let found = shop.orders.iter().filter(|order| numbers.contains(&order.id.as_str()));
    let orders: Vec<Value> = found.map(|order| one(shop, order, lines)).collect();
    if orders.is_empty() {
        return refusal(200, "order.error_not_found", "there is no such order");
    }
    success(json!({ "order_list": orders }))
}

/// How an order stands. Stand-ins know paid orders and cancelled ones.
pub(super) fn status(order: &Order) -> &'static str {
    if order.cancelled { "CANCELLED" } else { "READY_TO_SHIP" }
}

fn one(shop: &Shop, order: &Order, lines: bool) -> Value {
    let mut shown = json!({
        "order_sn": order.id, "order_status": status(order), "region": "SG", "currency": shop.settings.currency,
        "cod": false, "create_time": order.placed_at.timestamp(), "update_time": order.changed_at.timestamp(),
    });
    if lines {
        let line = |(place, quantity): &(usize, i64)| line(shop, *place, *quantity);
        shown["item_list"] = order.lines.iter().map(line).collect();
    }
    shown
}

fn line(shop: &Shop, place: usize, quantity: i64) -> Value {
    let good = &shop.goods[place];
    let price = good.price as f64 / scale(shop);
    let (model, item_sku, model_sku) = if is_plain(good) {
        (0, good.sku.as_str(), "")
    } else {
        (number(&good.variant), "", good.sku.as_str())
    };
    json!({
        "item_id": number(&good.product), "item_name": good.title, "item_sku": item_sku,
        "model_id": model, "model_name": good.size, "model_sku": model_sku,
        "model_quantity_purchased": quantity, "model_original_price": price, "model_discounted_price": price,
    })
}
