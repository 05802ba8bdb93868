//! Pushes: what is told, how it is signed, and the settings of who is told.
//!
//! The real Shopee tells nothing of a product that is new or of stock that a seller edits. The stand-in does, with the
//! pushes that are nearest: as stock that was reserved, and as an item that was looked over.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Happened, Parcel, Reply, Shop, is_plain, number, orders, refusal, scale, sign, success};

const ORDER_STATUS: u64 = 3;
const RESERVED_STOCK: u64 = 8;
const VIOLATION_ITEM: u64 = 16;
const PRICE_UPDATE: u64 = 22;

/// The kinds of push that can be switched.
const CODES: [u64; 18] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 22, 27, 28];

/// One push for each subscription that is about what has happened.
pub(super) fn tell(shop: &Shop, happened: &Happened) -> Vec<Parcel> {
    let (code, data) = said(shop, *happened);
    let body = json!({
        "code": code, "shop_id": number(&shop.settings.account), "timestamp": shop.now().timestamp(),
        "msg_id": Uuid::new_v4().simple().to_string(), "data": data,
    });
    let body = body.to_string().into_bytes();
    let topic = code.to_string();
    let told = shop.subscriptions.iter().filter(|it| it.topic == topic || it.topic == "*");
    told.map(|it| parcel(&shop.settings.webhook_secret, &it.address, &body)).collect()
}

/// The address, a bar and the body are signed.
fn parcel(key: &str, address: &str, body: &[u8]) -> Parcel {
    let signed = [address.as_bytes(), b"|".as_slice(), body].concat();
    let headers =
        vec![("Content-Type", "application/json".to_owned()), ("Authorization", sign(key, &signed))];
    Parcel { address: address.to_owned(), headers, body: body.to_vec() }
}

fn said(shop: &Shop, happened: Happened) -> (u64, Value) {
    match happened {
        Happened::Quantity(place) => (RESERVED_STOCK, reserved(shop, place)),
        Happened::Price(place) => (PRICE_UPDATE, price(shop, place)),
        Happened::Product(place) => (VIOLATION_ITEM, item(shop, place, "NORMAL")),
        Happened::Removed(place) if shop.goods[place].hidden => (VIOLATION_ITEM, item(shop, place, "UNLIST")),
        Happened::Removed(place) => (VIOLATION_ITEM, item(shop, place, "SELLER_DELETE")),
        Happened::Ordered(place) | Happened::Cancelled(place) => (ORDER_STATUS, order(shop, place)),
    }
}

/// The number of a good's model; 0 for an item without.
fn model(shop: &Shop, place: usize) -> u64 {
    let good = &shop.goods[place];
    if is_plain(good) { 0 } else { number(&good.variant) }
}

fn reserved(shop: &Shop, place: usize) -> Value {
    json!({
        "shop_id": number(&shop.settings.account), "item_id": number(&shop.goods[place].product),
        "variation_id": model(shop, place), "action": "place_order", "promotion_type": "", "promotion_id": 0,
        "changed_values": [{ "name": "reserved_stock", "old": 0, "new": 1 }],
        "update_time": shop.now().timestamp(),
    })
}

fn price(shop: &Shop, place: usize) -> Value {
    let good = &shop.goods[place];
    json!({
        "item_id": number(&good.product), "model_id": model(shop, place), "update_field": "original_price",
        "old_value": 0.0, "new_value": good.price as f64 / scale(shop), "update_time": good.changed_at.timestamp(),
    })
}

fn item(shop: &Shop, place: usize, status: &str) -> Value {
    let good = &shop.goods[place];
    json!({
        "item_id": number(&good.product), "item_name": good.title, "item_status": status, "deboost": false,
        "item_status_details": [], "update_time": shop.now().timestamp(),
    })
}

fn order(shop: &Shop, place: usize) -> Value {
    let order = &shop.orders[place];
    json!({
        "ordersn": order.id, "status": orders::status(order), "completed_scenario": "", "items": [],
        "update_time": order.changed_at.timestamp(),
    })
}

/// Which kinds are sent, and where to.
pub(super) fn config(shop: &Shop) -> Reply {
    let on = on(shop);
    let off: Vec<u64> = CODES.into_iter().filter(|code| !on.contains(code)).collect();
    success(json!({
        "callback_url": address(shop), "live_push_status": "Normal", "blocked_shop_id": [],
        "push_config_on_list": on, "push_config_off_list": off,
    }))
}

/// Switches kinds on and off, and moves the one address. The address is not tried, as the real Shopee does.
pub(super) fn configure(shop: &mut Shop, body: &Value) -> Reply {
    let switched = (codes(&body["set_push_config_on"]), codes(&body["set_push_config_off"]));
    let (Some(switched_on), Some(switched_off)) = switched else {
        return refusal(200, "error_param", "a kind of push is unknown");
    };
    let address = body["callback_url"].as_str().map_or_else(|| address(shop), str::to_owned);
    if !address.starts_with("http://") && !address.starts_with("https://") {
        return refusal(200, "error_param", "the callback_url is no address");
    }
    let kept = on(shop).into_iter().chain(switched_on).filter(|code| !switched_off.contains(code));
    let kept: BTreeSet<u64> = kept.collect();
    shop.subscriptions.clear();
    for code in kept {
        shop.subscribe(&code.to_string(), &address, None);
    }
    success(json!({ "result": "success" }))
}

fn on(shop: &Shop) -> BTreeSet<u64> {
    let about =
        |code: &u64| shop.subscriptions.iter().any(|it| it.topic == "*" || it.topic == code.to_string());
    CODES.into_iter().filter(about).collect()
}

fn address(shop: &Shop) -> String {
    shop.subscriptions.first().map(|it| it.address.clone()).unwrap_or_default()
}

/// Kinds of push; none where one is unknown.
fn codes(list: &Value) -> Option<Vec<u64>> {
    if list.is_null() {
        return Some(vec![]);
    }
    let known = |code: &Value| code.as_u64().filter(|code| CODES.contains(code));
    list.as_array()?.iter().map(known).collect()
}
