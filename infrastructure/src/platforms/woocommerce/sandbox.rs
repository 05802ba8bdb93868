//! A stand-in for a `WooCommerce` shop: version 3 of its REST API, and its webhooks.
//!
//! A good whose SKU names no size (`MUG`) is a simple product, with the variant's number as its only id; the others
//! (`RUN-42`) are variations of their product. The access token is the pair of keys with a colon between them, which is
//! what calls are let in with.

mod batch;
mod changes;
mod products;
mod settings;
mod terms;
mod webhooks;

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use onhand_domain::values::Currency;
use serde_json::{Value, json};

use super::super::sandbox::{Good, Happened, Parcel, Reply, Request, Shop, Wire};

/// The most objects on a page.
const PAGE_MAX: usize = 100;
/// Objects on a page, where nobody says how many.
const PAGE_USUAL: usize = 10;
/// What is said of an id that nothing has.
const NO_SUCH_ID: &str = "Nothing has this id";

/// A shop that speaks as `WooCommerce` does.
#[derive(Debug)]
pub(in super::super) struct Woocommerce;

impl Wire for Woocommerce {
    fn answer(&self, shop: &mut Shop, request: &Request) -> Reply {
        let steps = request.steps();
        let ["wp-json", "wc", "v3", route @ ..] = steps.as_slice() else { return no_route() };
        if let Some(refused) = refused(shop, request) {
            return refused;
        }
        // WordPress takes POST for PUT, since not every host lets PUT through.
        match (request.method.as_str(), route) {
            ("POST" | "PUT", ["settings", "products", setting]) => settings::update(shop, setting, request),
            ("GET", ["products"]) => products::list(shop, None, request),
            ("POST", ["products"]) => changes::create(shop, request),
            ("POST", ["products", kind @ (terms::TAGS | terms::CATEGORIES), "batch"]) => {
                terms::create(shop, kind, request)
            }
            ("GET", ["products", kind @ (terms::TAGS | terms::CATEGORIES)]) => {
                terms::list(shop, kind, request)
            }
            ("GET", ["products", product, "variations"]) => products::list(shop, Some(product), request),
            ("POST" | "PUT", ["products", "batch"]) => batch::update(shop, None, request),
            ("POST" | "PUT", ["products", product, "variations", "batch"]) => {
                batch::update(shop, Some(product), request)
            }
            ("GET", ["products", id]) => products::show(shop, id),
            ("POST" | "PUT", ["products", id]) => changes::update(shop, id, request),
            ("GET", ["webhooks"]) => webhooks::list(shop, request),
            ("POST", ["webhooks"]) => webhooks::create(shop, request),
            ("POST" | "PUT", ["webhooks", id]) => webhooks::update(shop, id, request),
            ("DELETE", ["webhooks", id]) => webhooks::delete(shop, id, request),
            _ => no_route(),
        }
    }

    /// The platform's core has no limits; this is how hosts and their plugins word theirs.
    fn throttled(&self, after: Option<Duration>) -> Reply {
        let reply = error(429, "rest_too_many_requests", "Come back a little later");
        match after {
            Some(after) => {
                let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
                reply.header("Retry-After", &seconds)
            }
            None => reply,
        }
    }

    fn tell(&self, shop: &Shop, happened: &Happened) -> Vec<Parcel> {
        webhooks::tell(shop, *happened)
    }

    fn handle(&self, good: &Good) -> (String, String, Option<String>) {
        let product = if is_simple(good) { &good.variant } else { &good.product };
        (product.clone(), good.variant.clone(), Some(good.variant.clone()))
    }
}

/// Whether a good is a product by itself: a SKU without a dash names no size.
fn is_simple(good: &Good) -> bool {
    good.size == good.sku
}

/// Refuses whoever has not the pair of keys. A key that nobody has is as good as none.
fn refused(shop: &Shop, request: &Request) -> Option<Reply> {
    let given = request.header("authorization").strip_prefix("Basic ").unwrap_or_default();
    let given = STANDARD.decode(given).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let given = given.unwrap_or_default();
    let (key, secret) = given.split_once(':').unwrap_or_default();
    let keys = &shop.settings.access_token;
    let (true_key, true_secret) = keys.split_once(':').unwrap_or((keys, ""));
    if key != true_key {
        return Some(error(401, "woocommerce_rest_cannot_view", "Who asks is not known here"));
    }
    let wrong = secret != true_secret;
    wrong.then(|| error(401, "woocommerce_rest_authentication_error", "This key has another secret"))
}

fn no_route() -> Reply {
    error(404, "rest_no_route", "Nothing is served at this address")
}

/// An error of a whole call.
fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::with_status(status, fault(status, code, message))
}

/// An error as `WordPress` writes it down.
fn fault(status: u16, code: &str, message: &str) -> Value {
    json!({ "code": code, "message": message, "data": { "status": status } })
}

/// One page of what there is, as the query asks for it, with no more than the fields it names.
fn paged<T>(all: &[T], query: &BTreeMap<String, String>, object: impl Fn(&T) -> Value) -> Reply {
    let page = number_in(query, "page", 1, usize::MAX);
    let size = number_in(query, "per_page", PAGE_USUAL, PAGE_MAX);
    let (Some(page), Some(size)) = (page, size) else {
        return error(400, "rest_invalid_param", "There is no page of this number or size");
    };
    let fields: Vec<&str> = query.get("_fields").map(|names| names.split(',').collect()).unwrap_or_default();
    let shown = all.iter().skip((page - 1).saturating_mul(size)).take(size);
    let shown: Vec<Value> = shown.map(|it| with_fields(object(it), &fields)).collect();
    Reply::ok(Value::Array(shown))
        .header("X-WP-Total", &all.len())
        .header("X-WP-TotalPages", &all.len().div_ceil(size))
}

fn number_in(query: &BTreeMap<String, String>, name: &str, usual: usize, most: usize) -> Option<usize> {
    let Some(text) = query.get(name) else { return Some(usual) };
    text.parse::<usize>().ok().filter(|number| (1..=most).contains(number))
}

fn with_fields(mut object: Value, fields: &[&str]) -> Value {
    if let Value::Object(known) = &mut object
        && !fields.is_empty()
    {
        known.retain(|name, _| fields.contains(&name.as_str()));
    }
    object
}

/// A name as the platform keeps and shows it: what are signs of HTML are marks.
fn encoded(name: &str) -> String {
    name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// An id as the platform writes it.
fn id(digits: &str) -> Value {
    digits.parse::<u64>().map_or(Value::Null, Value::from)
}

/// An id as it is sent, in digits: a number, or a text that PHP takes for one.
fn digits(id: &Value) -> String {
    match id {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}

/// A time in a field that is named after Greenwich: whole seconds, and no offset.
fn gmt(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S").to_string()
}

/// An amount as merchants enter it: no zeroes that say nothing.
fn decimal(shop: &Shop, minor: i64) -> String {
    let decimals = decimals(shop);
    let digits = format!("{minor:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

/// Minor units of a decimal text; none if it is no amount of the shop's currency.
fn minor(shop: &Shop, price: &Value) -> Option<i64> {
    let text = price.as_str().map_or_else(|| price.to_string(), str::to_owned);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let decimals = decimals(shop);
    let digits = format!("{whole}{fraction:0<decimals$}");
    let plain = !whole.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (plain && fraction.len() <= decimals).then(|| digits.parse().ok()).flatten()
}

fn decimals(shop: &Shop) -> usize {
    Currency::new(&shop.settings.currency).map_or(2, |currency| currency.decimals() as usize)
}
