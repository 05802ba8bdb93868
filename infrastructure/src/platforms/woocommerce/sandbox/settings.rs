//! Whether the shop counts stock at all, which is one of its settings.

use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Good, Reply, Request, Shop},
    error,
};

/// The setting's id among those of products.
const COUNTS: &str = "woocommerce_manage_stock";

/// Changes a setting, of which there is one here.
pub(super) fn update(shop: &mut Shop, setting: &str, request: &Request) -> Reply {
    if setting != COUNTS {
        return error(404, "rest_setting_setting_invalid", "There is no such setting");
    }
    let value = request.json()["value"].clone();
    shop.kept.insert(COUNTS.to_owned(), value.clone());
    Reply::ok(json!({ "id": COUNTS, "value": value, "default": "yes" }))
}

/// Whether stock is counted. Where it is not, what is said of quantities is passed over.
pub(super) fn counts(shop: &Shop) -> bool {
    shop.kept.get(COUNTS).and_then(Value::as_str) != Some("no")
}

/// Keeps what is said of something new, for as long as it is not counted.
pub(super) fn say(shop: &mut Shop, variant: &str, status: &Value) {
    if status.is_string() {
        shop.kept.insert(format!("stock_status/{variant}"), status.clone());
    }
}

/// Whether customers can buy something.
pub(super) fn stock_status(shop: &Shop, good: &Good) -> String {
    let said = shop.kept.get(&format!("stock_status/{}", good.variant)).and_then(Value::as_str);
    let status = match counts(shop) {
        true if good.quantity > 0 => "instock",
        true => "outofstock",
        false => said.unwrap_or("instock"),
    };
    status.to_owned()
}

/// How many of it there are, if that is counted.
pub(super) fn quantity(shop: &Shop, good: &Good) -> Option<i64> {
    counts(shop).then_some(good.quantity)
}
