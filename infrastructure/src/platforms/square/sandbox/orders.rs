//! Orders, as they are looked up one by one.

use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Order, Reply, Shop},
    missing, time,
};

/// `GET /v2/orders/{id}`.
pub(super) fn order(shop: &Shop, id: &str) -> Reply {
    match shop.orders.iter().find(|order| order.id == id) {
        Some(order) => Reply::ok(json!({ "order": written(shop, order) })),
        None => missing("There is no such order."),
    }
}

/// In Square's words: what is ordered waits to be handed over.
pub(super) fn state(order: &Order) -> &'static str {
    if order.cancelled { "CANCELED" } else { "OPEN" }
}

/// All orders here are paid for at once.
fn written(shop: &Shop, order: &Order) -> Value {
    let money = |amount: i64| json!({ "amount": amount, "currency": shop.settings.currency });
    let lines = order.lines.iter().map(|(place, units)| (&shop.goods[*place], *units));
    let total: i64 = lines.clone().map(|(good, units)| good.price * units).sum();
    let lines = lines.enumerate().map(|(number, (good, units))| {
        json!({
            "uid": format!("line-{number}"),
            "catalog_object_id": good.variant,
            "quantity": units.to_string(),
            "name": good.title,
            "variation_name": good.size,
            "item_type": "ITEM",
            "base_price_money": money(good.price),
            "total_money": money(good.price * units),
        })
    });
    json!({
        "id": order.id,
        "location_id": shop.settings.location,
        "state": state(order),
        "version": order.version,
        "created_at": time(order.placed_at),
        "updated_at": time(order.changed_at),
        "line_items": lines.collect::<Vec<_>>(),
        "total_money": money(total),
        "net_amount_due_money": money(0),
        "tenders": [{ "id": format!("tender-{}", order.id), "type": "CARD", "amount_money": money(total) }],
    })
}
