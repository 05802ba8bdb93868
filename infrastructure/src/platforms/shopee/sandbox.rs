//! A stand-in for Shopee: its Open Platform API, version 2, and its pushes.
//!
//! Credentials, the time and the signature are checked on every call. A good whose SKU is the title that its product came
//! with is an item without models; all others are models of their item.

mod checks;
mod edits;
mod items;
mod orders;
mod pushes;
mod updates;

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use self::updates::Field;
use super::super::sandbox::{Good, Happened, Parcel, Reply, Request, Shop, Wire};

/// The most ids or models in one call.
const BATCH_MAX: usize = 50;

/// Shopee's words.
#[derive(Debug)]
pub(in super::super) struct Shopee;

impl Wire for Shopee {
    fn answer(&self, shop: &mut Shop, request: &Request) -> Reply {
        let asked = request.query();
        if let Err(reply) = checks::checked(shop, &request.path, &asked) {
            return reply;
        }
        let body = request.json();
        let text = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/api/v2/product/get_item_base_info") => items::base_info(shop, text("item_id_list")),
            ("GET", "/api/v2/product/get_model_list") => items::model_list(shop, text("item_id")),
            ("GET", "/api/v2/order/get_order_detail") => {
                orders::detail(shop, text("order_sn_list"), text("response_optional_fields"))
            }
            ("POST", "/api/v2/product/update_stock") => updates::update(shop, Field::Stock, &body),
            ("POST", "/api/v2/product/update_price") => updates::update(shop, Field::Price, &body),
            ("POST", "/api/v2/product/update_item") => edits::describe(shop, &body),
            ("POST", "/api/v2/product/unlist_item") => edits::unlist(shop, &body),
            ("POST", checks::RENEWAL) => checks::renewed(shop, &body),
            ("GET", checks::PUSHES_SHOWN) => pushes::config(shop),
            ("POST", checks::PUSHES_SET) => pushes::configure(shop, &body),
            _ => refusal(404, "error_not_found", "there is nothing at this path"),
        }
    }

    fn throttled(&self, _after: Option<Duration>) -> Reply {
        refusal(200, "error_rate_limit", "too many calls were made, come back in a while")
    }

    fn tell(&self, shop: &Shop, happened: &Happened) -> Vec<Parcel> {
        pushes::tell(shop, happened)
    }

    fn handle(&self, good: &Good) -> (String, String, Option<String>) {
        let variant = if is_plain(good) { &good.product } else { &good.variant };
        (good.product.clone(), variant.clone(), Some(variant.clone()))
    }
}

/// Whether nothing sets it apart from its product. What is plain stays so under another title, and has no size then.
fn is_plain(good: &Good) -> bool {
    good.sku == good.title || good.size.is_empty()
}

/// The number that an id is there.
fn number(id: &str) -> u64 {
    id.parse().unwrap_or_default()
}

/// How many minor units a unit of the account's currency has.
fn scale(shop: &Shop) -> f64 {
    if matches!(shop.settings.currency.as_str(), "VND" | "CLP" | "JPY" | "KRW") { 1.0 } else { 100.0 }
}

/// A success, in what surrounds every answer.
fn success(response: Value) -> Reply {
    Reply::ok(surrounded("", "", response))
}

/// An error that is about the call.
fn refusal(status: u16, error: &str, message: &str) -> Reply {
    Reply::with_status(status, surrounded(error, message, Value::Null))
}

fn surrounded(error: &str, message: &str, response: Value) -> Value {
    let request = Uuid::new_v4().simple().to_string();
    let mut body = json!({ "error": error, "message": message, "warning": "", "request_id": request });
    if !response.is_null() {
        body["response"] = response;
    }
    body
}

/// HMAC-SHA256 in lower-case hexadecimal digits.
fn sign(key: &str, message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}
