//! `TikTok` Shop's API: the signed calls that show an order or a product, and what their answers say.
//!
//! What is signed is the path, the query's names and values in the order of the names, and the body if there is one, all
//! run together between two copies of the app secret; the access token goes into a header and is not signed.

mod orders;
mod products;

use axum::http::Method;
use chrono::{DateTime, Utc};
use onhand_domain::{connection::ConnectionDetails, values::ExternalId};
use serde::Deserialize;
use serde_json::Value;

pub(super) use self::products::{DELETED, OFF};
use super::super::{
    adapter::{Access, Call, Hint},
    fact::{Fact, Undecodable},
    read, signature,
};

/// Where the API is, unless a connection names another place.
pub(super) const ENDPOINT: &str = "https://open-api.tiktokglobalshop.com";

/// What surrounds every answer.
#[derive(Deserialize)]
struct Answer {
    /// 0 if all went well.
    code: Value,
    message: Option<String>,
    #[serde(default)]
    data: Value,
}

/// The call that shows an order or a product.
pub(super) fn look(hint: &Hint, access: &Access<'_>) -> Option<Call> {
    match hint.resource {
        "order" => {
            let asked = [("ids", hint.external.as_str())];
            signed(access, Method::GET, "/order/202309/orders", &asked, None)
        }
        "product" => signed(access, Method::GET, &product(&hint.external), &[], None),
        _ => None,
    }
}

/// Where a product is.
pub(super) fn product(id: &ExternalId) -> String {
    format!("/product/202309/products/{}", read::escaped(id.as_str()))
}

/// A call to the shop, signed; none where the connection lacks what it takes. `asked` is the query beyond what each call has.
pub(super) fn signed(
    access: &Access<'_>,
    method: Method,
    path: &str,
    asked: &[(&str, &str)],
    body: Option<String>,
) -> Option<Call> {
    let time = access.now.timestamp().to_string();
    let mut query = vec![
        ("app_key", access.details.app.as_deref()?),
        ("shop_cipher", access.details.account.as_deref()?),
        ("timestamp", time.as_str()),
    ];
    query.extend_from_slice(asked);
    let sign = sign(access.app_secret?.reveal(), path, &query, body.as_deref().unwrap_or_default());
    query.push(("sign", sign.as_str()));
    let query: Vec<String> =
        query.iter().map(|(name, value)| format!("{name}={}", read::escaped(value))).collect();
    let mut headers = vec![("x-tts-access-token", access.token?.reveal().to_owned())];
    // Whoever sends a body says what it is.
    if body.is_none() {
        headers.push(("content-type", "application/json".to_owned()));
    }
    Some(Call { method, target: format!("{path}?{}", query.join("&")), headers, body })
}

/// The signature of a call; a call that only reads has an empty body.
pub(super) fn sign(secret: &str, path: &str, query: &[(&str, &str)], body: &str) -> String {
    let mut query = query.to_vec();
    query.sort_unstable();
    let query: String = query.into_iter().flat_map(|(name, value)| [name, value]).collect();
    let message = format!("{secret}{path}{query}{body}{secret}");
    hex::encode(signature::hmac_sha256(secret, message.as_bytes()))
}

/// Understands what such a call has shown.
pub(super) fn seen(
    hint: &Hint,
    body: &[u8],
    at: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Vec<Fact>, Undecodable> {
    let data = data(body)?;
    match hint.resource {
        "order" => serde_json::from_value::<orders::Orders>(data)?.facts(hint),
        "product" => {
            let product: products::Product = serde_json::from_value(data)?;
            // What was known of it stays: it is off because it was taken off from here, or its seller has switched it off
            // there, and there is a notice when it is on again.
            if product.is_off() { Ok(vec![]) } else { product.facts(at, details) }
        }
        _ => Ok(vec![]),
    }
}

/// What a look at a product has shown, whether or not its seller has switched it off.
pub(super) fn shown(
    body: &[u8],
    at: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Vec<Fact>, Undecodable> {
    serde_json::from_value::<products::Product>(data(body)?)?.facts(at, details)
}

fn data(body: &[u8]) -> Result<Value, Undecodable> {
    let answer: Answer = read::json(body)?;
    if read::whole(&answer.code) == Some(0) {
        return Ok(answer.data);
    }
    let code = read::word(&answer.code.to_string());
    let message = read::word(&answer.message.unwrap_or_default());
    Err(Undecodable(format!("TikTok Shop answers {code}: {message}")))
}
