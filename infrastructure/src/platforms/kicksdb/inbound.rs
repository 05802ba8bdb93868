//! `KicksDB`'s webhooks: whether a request is genuine, which delivery it is, which prices it tells.
//!
//! Two generations of bodies are in use, the product monitor's and the events'; both end as the same facts.

mod bodies;
mod prices;
#[cfg(test)]
mod tests;

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::{
    fact::{Decoded, Identity, Rejection, Undecodable},
    signature,
};
use crate::secrets::Secret;

/// How far a delivery's timestamp may be from our clock, either way, in seconds.
const TOLERANCE_SECONDS: u64 = 300;

/// The longest event name that is kept.
const TOPIC_MAX: usize = 100;

const SIGNATURE: &str = "x-kicksdb-signature";
const EVENT_ID: &str = "x-kicksdb-event-id";
const TIMESTAMP: &str = "x-kicksdb-timestamp";

/// The signature header's value for a body.
pub fn sign(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(signature::hmac_sha256(secret, body)))
}

/// Checks that the request is recent and that one of the secrets signed the raw body, in this order.
pub fn verify(
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Secret],
    now: DateTime<Utc>,
) -> Result<(), Rejection> {
    let sent = signature::header(headers, TIMESTAMP).ok_or(Rejection::MissingHeader(TIMESTAMP))?;
    let sent: i64 = sent
        .parse()
        .map_err(|_| Rejection::Malformed("x-kicksdb-timestamp is not a number of seconds since 1970"))?;
    if now.timestamp().abs_diff(sent) > TOLERANCE_SECONDS {
        return Err(Rejection::Stale);
    }
    let given = signature::header(headers, SIGNATURE).ok_or(Rejection::MissingHeader(SIGNATURE))?;
    let given = given.strip_prefix("sha256=").and_then(|digits| hex::decode(digits).ok());
    match given {
        Some(given) if signature::signed_by_any(secrets, body, &given) => Ok(()),
        _ => Err(Rejection::BadSignature),
    }
}

/// Says which delivery this is; a body that makes no sense is `unknown` here and refused by [`decode`].
pub fn identify(headers: &HeaderMap, body: &[u8]) -> Result<Identity, Rejection> {
    let id = signature::header(headers, EVENT_ID).ok_or(Rejection::MissingHeader(EVENT_ID))?;
    Ok(Identity { topic: topic(body), external_id: signature::bounded(id)? })
}

fn topic(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Outline {
        event: Option<String>,
        data: Option<Data>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Data {
        Monitor {
            #[expect(dead_code, reason = "only its presence counts")]
            product: IgnoredAny,
        },
        Other(IgnoredAny),
    }
    match serde_json::from_slice(body) {
        Ok(Outline { event: Some(event), .. }) if !event.is_empty() && event.len() <= TOPIC_MAX => event,
        Ok(Outline { event: None, data: Some(Data::Monitor { .. }) }) => "monitor".to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// Understands a genuine body. `now` is the time of prices that come without one, and no price is later.
pub fn decode(body: &[u8], now: DateTime<Utc>) -> Result<Decoded, Undecodable> {
    let delivery: bodies::Delivery<'_> = serde_json::from_slice(body)?;
    delivery.decode(now)
}
