//! `KicksDB`'s webhooks: whether a request is genuine, which delivery it is, which prices it tells.
//!
//! Two generations of bodies are in use, the product monitor's and the events'; both end as the same facts.

mod bodies;
mod prices;
#[cfg(test)]
mod tests;

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::{
    fact::{Decoded, Identity, Rejection, Undecodable},
    read, signature,
};
use crate::secrets::Secret;

/// The longest event name that is kept.
const TOPIC_MAX: usize = 100;

const SIGNATURE: &str = "x-kicksdb-signature";
const EVENT_ID: &str = "x-kicksdb-event-id";
const TIMESTAMP: &str = "x-kicksdb-timestamp";
/// The older form: the secret itself, on every request, and no other header.
const STATIC_KEY: &str = "x-secret-key";
/// Seconds between two looks of the most eager monitor.
const SLOT_SECONDS: i64 = 15 * 60;

/// The signature header's value for a body.
pub fn sign(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(signature::hmac_sha256(secret, body)))
}

/// Checks that the request is recent and that one of the secrets signed the raw body, in this order; or, where nothing
/// is signed, that it shows one of the secrets.
pub(super) fn verify(
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Secret],
    now: DateTime<Utc>,
) -> Result<(), Rejection> {
    let signed = signature::header(headers, SIGNATURE);
    if let (None, Some(key)) = (signed, signature::header(headers, STATIC_KEY)) {
        return if signature::is_any(secrets, key) { Ok(()) } else { Err(Rejection::BadSignature) };
    }
    let sent = signature::header(headers, TIMESTAMP).ok_or(Rejection::MissingHeader(TIMESTAMP))?;
    signature::recent(sent, now)?;
    let given: Vec<&str> = signature::values(headers, SIGNATURE).collect();
    if given.is_empty() {
        return Err(Rejection::MissingHeader(SIGNATURE));
    }
    let mut given = given.iter().filter_map(|it| hex::decode(it.strip_prefix("sha256=")?).ok());
    if given.any(|given| signature::signed_by_any(secrets, body, &given)) {
        Ok(())
    } else {
        Err(Rejection::BadSignature)
    }
}

/// Says which delivery this is; a body that makes no sense is `unknown` here and refused by [`decode`].
///
/// The older form has no id, and a monitor's body no time: a price that has gone up and come down again is told in
/// the same words as before. So its id is the body and the quarter of an hour, in which no monitor looks twice.
pub(super) fn identify(headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Result<Identity, Rejection> {
    let sent = signature::header(headers, TIMESTAMP).and_then(|sent| signature::recent(sent, now).ok());
    let id = signature::header(headers, EVENT_ID).map(signature::bounded).transpose()?;
    if id.is_none() && signature::header(headers, SIGNATURE).is_some() {
        return Err(Rejection::MissingHeader(EVENT_ID));
    }
    let slot = (now.timestamp() / SLOT_SECONDS).to_be_bytes();
    Ok(Identity {
        topic: topic(body),
        signed: id.is_none(),
        external_id: id.unwrap_or_else(|| signature::content_id(&[&slot, body])),
        sent_at: sent.map(end_of_second),
    })
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
    match read::json(body) {
        Ok(Outline { event: Some(event), .. }) if !event.is_empty() && event.len() <= TOPIC_MAX => event,
        Ok(Outline { event: None, data: Some(Data::Monitor { .. }) }) => "monitor".to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// The end of the second that a time is in. Times are told in whole seconds, and what was priced here earlier in that second is
/// not to be taken for later than they are.
fn end_of_second(told: DateTime<Utc>) -> DateTime<Utc> {
    told + TimeDelta::microseconds(999_999)
}

/// Understands a genuine body. `now` is the time of prices that come without one, and no price is later.
pub(super) fn decode(body: &[u8], now: DateTime<Utc>) -> Result<Decoded, Undecodable> {
    let delivery: bodies::Delivery<'_> = read::json(body)?;
    delivery.decode(now)
}
