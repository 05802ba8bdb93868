//! Requests: who asks and how it is signed, and the answer to each call there is.

use std::collections::BTreeMap;

use axum::http::Method;
use onhand_domain::values::{Currency, Money};
use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Good, Order, Reply, Request, Shop},
    changes, edits, refused, signature,
};

/// The most orders that are asked for at once.
const ORDERS_MAX: usize = 50;
/// How long tokens are good for, in seconds: a week, and a quarter of a year.
const ACCESS_SECONDS: i64 = 604_800;
const REFRESH_SECONDS: i64 = 7_776_000;

/// The answer to a request; only for new tokens nothing is signed.
pub(super) fn answer(shop: &mut Shop, request: &Request) -> Reply {
    let steps = request.steps();
    if steps == ["api", "v2", "token", "refresh"] {
        return renewed(shop, request);
    }
    if let Some(objection) = objection(shop, request) {
        return objection;
    }
    match (request.method.as_str(), steps.as_slice()) {
        ("GET", ["order", "202309", "orders"]) => orders(shop, request),
        ("GET", ["product", "202309", "products", id]) => product(shop, id),
        ("POST", ["product", "202309", "products", id, "inventory", "update"]) => {
            changes::set_quantities(shop, id, request)
        }
        ("POST", ["product", "202309", "products", id, "prices", "update"]) => {
            changes::set_prices(shop, id, request)
        }
        ("POST", ["product", "202309", "products", id, "partial_edit"]) => edits::describe(shop, id, request),
        ("POST", ["product", "202309", "products", "deactivate"]) => edits::switch_off(shop, request),
        ("GET", ["event", "202309", "webhooks"]) => webhooks(shop),
        ("PUT", ["event", "202309", "webhooks"]) => subscribe(shop, request),
        ("DELETE", ["event", "202309", "webhooks"]) => unsubscribe(shop, request),
        _ => refused(404, 36_009_009, "there is nothing at this path"),
    }
}

/// An answer that it went well.
pub(super) fn ok(shop: &Shop, data: &Value) -> Reply {
    let id = shop.now().timestamp_micros().to_string();
    Reply::ok(json!({ "code": 0, "message": "Success", "data": data, "request_id": id }))
}

fn given<'q>(query: &'q BTreeMap<String, String>, name: &str) -> &'q str {
    query.get(name).map_or("", String::as_str)
}

/// What is wrong with who asks, in the order in which the platform looks.
fn objection(shop: &Shop, request: &Request) -> Option<Reply> {
    let (settings, query) = (&shop.settings, request.query());
    let sent: i64 = given(&query, "timestamp").parse().unwrap_or_default();
    let age = shop.now().timestamp().saturating_sub(sent);
    if given(&query, "app_key") != settings.app {
        let message = "the parameter `app_key` is no credential that is known here";
        Some(refused(400, 36_009_004, message))
    } else if !(-30..=300).contains(&age) {
        let message = "the parameter `timestamp` is of another time";
        Some(refused(400, 36_009_004, message))
    } else if given(&query, "sign") != expected(request, &query, &settings.app_secret) {
        Some(refused(401, 106_001, "it is not signed like this"))
    } else if request.header("x-tts-access-token") != settings.access_token {
        Some(refused(401, 105_002, "this token is not or no longer good"))
    } else if given(&query, "shop_cipher") != settings.account {
        let message = "the parameter `shop_cipher` is the identifier of no shop here";
        Some(refused(400, 36_009_004, message))
    } else {
        None
    }
}

fn expected(request: &Request, query: &BTreeMap<String, String>, secret: &str) -> String {
    let signed = query.iter().filter(|(name, _)| !matches!(name.as_str(), "sign" | "access_token"));
    let query: String = signed.map(|(name, value)| format!("{name}{value}")).collect();
    let mut message = format!("{secret}{}{query}", request.path).into_bytes();
    if request.method != Method::GET {
        message.extend_from_slice(&request.body);
    }
    message.extend_from_slice(secret.as_bytes());
    signature(secret, &message)
}

fn renewed(shop: &mut Shop, request: &Request) -> Reply {
    let query = request.query();
    if given(&query, "grant_type") != "refresh_token" || given(&query, "app_key") != shop.settings.app {
        return refused(200, 36_004_001, "who asks for what?");
    }
    if given(&query, "app_secret") != shop.settings.app_secret
        || given(&query, "refresh_token") != shop.settings.refresh_token
    {
        return refused(200, 36_004_004, "this refresh token is not or no longer good");
    }
    let (number, now) = (shop.number(), shop.now().timestamp());
    shop.settings.access_token = format!("token-{number}");
    shop.settings.refresh_token = format!("renewal-{number}");
    let data = json!({
        "access_token": shop.settings.access_token, "access_token_expire_in": now + ACCESS_SECONDS,
        "refresh_token": shop.settings.refresh_token, "refresh_token_expire_in": now + REFRESH_SECONDS,
        "open_id": "quay-side", "seller_name": "Quay Side", "seller_base_region": "US", "user_type": 0,
        "granted_scopes": [],
    });
    ok(shop, &data)
}

/// A decimal text, as all prices are.
fn decimal(shop: &Shop, minor: i64) -> String {
    let price = Currency::new(&shop.settings.currency).and_then(|currency| Money::new(minor, currency));
    price.map(Money::to_decimal).unwrap_or_default()
}

/// A product with its SKUs; one that was deleted or switched off is still shown, as such.
fn product(shop: &Shop, id: &str) -> Reply {
    let goods: Vec<&Good> = shop.goods.iter().filter(|good| good.product == id).collect();
    let (Some(first), Some(changed)) = (goods.first(), goods.iter().map(|good| good.changed_at).max()) else {
        return refused(200, 12_052_048, "this shop has no such product");
    };
    let status = match (first.hidden, first.removed) {
        (true, _) => "SELLER_DEACTIVATED",
        (false, true) => "DELETED",
        (false, false) => "ACTIVATE",
    };
    let skus: Vec<Value> = goods.iter().map(|good| sku(shop, good)).collect();
    let mut data = json!({
        "id": id, "title": first.title, "status": status, "skus": skus,
        "update_time": changed.timestamp(), "category_chains": [], "main_images": [],
    });
    if !first.vendor.is_empty() {
        data["brand"] = json!({ "id": "7082427311584347905", "name": first.vendor });
    }
    ok(shop, &data)
}

fn sku(shop: &Shop, good: &Good) -> Value {
    let price = decimal(shop, good.price);
    json!({
        "id": good.variant, "seller_sku": good.sku,
        "price": { "sale_price": price, "tax_exclusive_price": price, "currency": shop.settings.currency },
        "inventory": [{ "warehouse_id": shop.settings.location, "quantity": good.quantity }],
        "sales_attributes": [{ "id": "100000", "name": "Size", "value_id": "1", "value_name": good.size }],
    })
}

fn orders(shop: &Shop, request: &Request) -> Reply {
    let query = request.query();
    let ids: Vec<&str> = given(&query, "ids").split(',').filter(|id| !id.is_empty()).collect();
    if ids.is_empty() || ids.len() > ORDERS_MAX {
        return refused(400, 36_009_004, "the field `ids` takes 1 to 50 orders");
    }
    let found = shop.orders.iter().filter(|order| ids.contains(&order.id.as_str()));
    let orders: Vec<Value> = found.map(|found| order(shop, found)).collect();
    ok(shop, &json!({ "orders": orders }))
}

/// An order, in which each unit is a line.
fn order(shop: &Shop, order: &Order) -> Value {
    let status = if order.cancelled { "CANCELLED" } else { "AWAITING_SHIPMENT" };
    let mut lines = Vec::new();
    for (place, units) in &order.lines {
        let Some(good) = shop.goods.get(*place) else { continue };
        for _ in 0..*units {
            lines.push(json!({
                "id": format!("{}{:03}", order.id, lines.len()), "product_id": good.product,
                "product_name": good.title, "sku_id": good.variant, "sku_name": good.size,
                "seller_sku": good.sku, "sale_price": decimal(shop, good.price),
                "currency": shop.settings.currency, "display_status": status,
            }));
        }
    }
    json!({
        "id": order.id, "status": status, "line_items": lines,
        "create_time": order.placed_at.timestamp(), "update_time": order.changed_at.timestamp(),
    })
}

fn webhooks(shop: &Shop) -> Reply {
    let now = shop.now().timestamp();
    // What somebody entered by hand for everything is no event the API knows of.
    let named = shop.subscriptions.iter().filter(|it| it.topic != "*");
    let webhooks: Vec<Value> = named
        .map(|it| json!({ "event_type": it.topic, "address": it.address, "create_time": now, "update_time": now }))
        .collect();
    ok(shop, &json!({ "total_count": webhooks.len(), "webhooks": webhooks }))
}

/// An event has one address, so a second takes the place of the first.
fn subscribe(shop: &mut Shop, request: &Request) -> Reply {
    let body = request.json();
    let (Some(event), Some(address)) = (body["event_type"].as_str(), body["address"].as_str()) else {
        return refused(400, 36_009_004, "the params `event_type` and `address` are missing");
    };
    if event.is_empty() || !event.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
        return refused(200, 98_001_004, "there is no such event");
    }
    if !shop.subscriptions.iter().any(|it| it.topic == event && it.address == address) {
        shop.subscriptions.retain(|it| it.topic != event);
        shop.subscribe(event, address, None);
    }
    ok(shop, &json!({}))
}

fn unsubscribe(shop: &mut Shop, request: &Request) -> Reply {
    let body = request.json();
    let Some(event) = body["event_type"].as_str() else {
        return refused(400, 36_009_004, "the param `event_type` is missing");
    };
    shop.subscriptions.retain(|it| it.topic != event);
    ok(shop, &json!({}))
}
