//! A stand-in for Square: its catalogue, counts, orders, webhook subscriptions and access tokens, in Square's own words.
//!
//! It shares no code with the adapter, so that what one of them has misunderstood is not repeated by the other. Where Square
//! does not publish how it behaves, the stand-in takes the harder way for whoever calls it.

mod catalog;
mod inventory;
mod items;
mod orders;
mod subscriptions;
mod webhooks;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::super::sandbox::{Good, Happened, Parcel, Remembered, Reply, Request, Shop, Wire};

/// How long an access token is good for. [src: developer.squareup.com/reference/square/objects/ObtainTokenResponse]
const TOKEN_LASTS: TimeDelta = TimeDelta::days(30);

/// The longest idempotency key. [src: facts.md 2.2]
const KEY_MAX: usize = 128;

/// Square, as far as goods, orders and webhooks go.
#[derive(Debug)]
pub(in super::super) struct Square;

impl Wire for Square {
    fn answer(&self, shop: &mut Shop, request: &Request) -> Reply {
        if request.path == "/oauth2/token" {
            return token(shop, request);
        }
        if request.header("authorization") != format!("Bearer {}", shop.settings.access_token) {
            let detail = "The bearer token is none that is good here.";
            return errors(401, &[error("AUTHENTICATION_ERROR", "UNAUTHORIZED", detail, None)]);
        }
        if !request.body.is_empty() && !request.json().is_object() {
            return refused("EXPECTED_JSON_BODY", "What was sent is no JSON object.", None);
        }
        route(shop, request)
    }

    fn throttled(&self, _after: Option<Duration>) -> Reply {
        // Square does not say how long to wait.
        let detail = "So many calls are too many; come back later.";
        errors(429, &[error("RATE_LIMIT_ERROR", "RATE_LIMITED", detail, None)])
    }

    fn tell(&self, shop: &Shop, happened: &Happened) -> Vec<Parcel> {
        webhooks::tell(shop, happened)
    }

    fn handle(&self, good: &Good) -> (String, String, Option<String>) {
        (good.product.clone(), good.variant.clone(), Some(good.variant.clone()))
    }
}

fn route(shop: &mut Shop, request: &Request) -> Reply {
    match (request.method.as_str(), request.steps().as_slice()) {
        ("POST", ["v2", "inventory", "changes", "batch-create"]) => once(shop, request, inventory::change),
        ("POST", ["v2", "inventory", "counts", "batch-retrieve"]) => inventory::counts(shop, &request.json()),
        ("POST", ["v2", "catalog", "batch-retrieve"]) => catalog::retrieve(shop, &request.json()),
        ("POST", ["v2", "catalog", "batch-upsert"]) => once(shop, request, catalog::upsert),
        ("GET", ["v2", "catalog", "object", id]) => catalog::one(shop, id),
        ("POST", ["v2", "catalog", "search"]) => catalog::search(shop, &request.json()),
        ("GET", ["v2", "orders", id]) => orders::order(shop, id),
        ("GET", ["v2", "webhooks", "subscriptions"]) => subscriptions::list(shop, request),
        ("POST", ["v2", "webhooks", "subscriptions"]) => subscriptions::create(shop, &request.json()),
        ("GET", ["v2", "webhooks", "subscriptions", id]) => subscriptions::one(shop, id),
        ("PUT", ["v2", "webhooks", "subscriptions", id]) => subscriptions::update(shop, id, &request.json()),
        ("DELETE", ["v2", "webhooks", "subscriptions", id]) => subscriptions::delete(shop, id),
        _ => missing("There is nothing at this path."),
    }
}

/// Applies what a key stands for once; what went well in full is answered in the same words from then on.
fn once(shop: &mut Shop, request: &Request, work: fn(&mut Shop, &Value) -> Reply) -> Reply {
    let body = request.json();
    let field = Some("idempotency_key".to_owned());
    let Some(key) = body["idempotency_key"].as_str().filter(|key| !key.is_empty()) else {
        return refused("MISSING_REQUIRED_PARAMETER", "It takes a key.", field);
    };
    if key.chars().count() > KEY_MAX {
        return refused("VALUE_TOO_LONG", "The key has more than 128 characters.", field);
    }
    let name = format!("{} {key}", request.path);
    match shop.remembered(&name, &request.body) {
        Remembered::Another => {
            let detail = "Other words came under this key before.";
            return refused("IDEMPOTENCY_KEY_REUSED", detail, field);
        }
        Remembered::Same(reply) => return reply,
        Remembered::Nothing => {}
    }
    let reply = work(shop, &body);
    if reply.status == 200 && reply.body["errors"].as_array().is_none_or(Vec::is_empty) {
        shop.remember(&name, &request.body, &reply);
    }
    reply
}

/// `POST /oauth2/token`: the old access token is good for nothing from then on, so that nobody goes on with it unseen.
/// (Square's own goes on until it ends.) The refresh token stays.
fn token(shop: &mut Shop, request: &Request) -> Reply {
    let (asked, settings) = (request.json(), &shop.settings);
    let is = |name: &str, value: &str| asked[name].as_str() == Some(value);
    if request.method.as_str() != "POST" || !is("grant_type", "refresh_token") {
        return refused("BAD_REQUEST", "The grant type is not known here.", Some("grant_type".to_owned()));
    }
    let known = is("client_id", &settings.app)
        && is("client_secret", &settings.app_secret)
        && is("refresh_token", &settings.refresh_token);
    if !known {
        let detail = "The application or its refresh token is not known.";
        return errors(401, &[error("AUTHENTICATION_ERROR", "UNAUTHORIZED", detail, None)]);
    }
    let access = format!("token-{}", shop.number());
    shop.settings.access_token.clone_from(&access);
    Reply::ok(json!({
        "access_token": access,
        "token_type": "bearer",
        "expires_at": time(shop.now() + TOKEN_LASTS),
        "merchant_id": shop.settings.account,
        "refresh_token": shop.settings.refresh_token,
        "short_lived": false,
    }))
}

/// One entry of `errors`.
fn error(category: &str, code: &str, detail: &str, field: Option<String>) -> Value {
    let mut error = json!({ "category": category, "code": code, "detail": detail });
    if let Some(field) = field {
        error["field"] = field.into();
    }
    error
}

/// An entry about what was asked for.
fn invalid(code: &str, detail: &str, field: Option<String>) -> Value {
    error("INVALID_REQUEST_ERROR", code, detail, field)
}

fn errors(status: u16, errors: &[Value]) -> Reply {
    Reply::with_status(status, json!({ "errors": errors }))
}

/// A refusal for one reason.
fn refused(code: &str, detail: &str, field: Option<String>) -> Reply {
    errors(400, &[invalid(code, detail, field)])
}

fn missing(detail: &str) -> Reply {
    errors(404, &[invalid("NOT_FOUND", detail, None)])
}

/// RFC 3339 in milliseconds, as Square writes it.
fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A list of texts; empty where there is none.
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The page a cursor leads to, and the cursor of the next one, if there is one.
fn page<T>(found: Vec<T>, body: &Value, most: usize) -> (Vec<T>, Option<String>) {
    let start: Option<usize> =
        body["cursor"].as_str().and_then(|cursor| cursor.strip_prefix("at-")?.parse().ok());
    let start = start.unwrap_or_default();
    let next = start.saturating_add(most);
    let more = (found.len() > next).then(|| format!("at-{next}"));
    (found.into_iter().skip(start).take(most).collect(), more)
}
