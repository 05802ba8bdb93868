//! HMAC-SHA256 over raw bytes, and the reading of the headers that carry it.
//!
//! The platforms differ in how they write a signature down and in nothing else, so comparing is done once, here.

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::fact::Rejection;
use crate::secrets::Secret;

/// The longest header value that is taken in.
const HEADER_MAX: usize = 255;

/// The HMAC of a body.
pub(crate) fn hmac_sha256(secret: &str, body: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// How far a delivery's time may be from our clock, either way, in seconds.
pub(super) const TOLERANCE_SECONDS: u64 = 300;

/// Checks that a time in whole seconds since 1970 is within five minutes of our clock.
pub(super) fn recent(seconds: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Rejection> {
    let digits = seconds.strip_prefix('-').unwrap_or(seconds);
    let malformed = Rejection::Malformed("the timestamp is not a number of seconds since 1970");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed);
    }
    let sent: i64 = seconds.parse().map_err(|_| malformed.clone())?;
    if now.timestamp().abs_diff(sent) > TOLERANCE_SECONDS {
        return Err(Rejection::Stale);
    }
    DateTime::from_timestamp(sent, 0).ok_or(malformed)
}

/// An id made from what a delivery says, for platforms that give none. Length-prefixed parts cannot run together.
pub(crate) fn content_id(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    format!("sha256:{}", hex::encode(hash.finalize()))
}

/// Whether a text is any of the secrets, in constant time; an empty one is none.
pub(super) fn is_any(secrets: &[Secret], given: &str) -> bool {
    secrets
        .iter()
        .map(Secret::reveal)
        .filter(|secret| !secret.is_empty())
        .any(|secret| bool::from(secret.as_bytes().ct_eq(given.as_bytes())))
}

/// Whether any of the secrets makes this signature; while secrets are changed over there are two.
///
/// An empty secret makes none, because everybody knows it.
pub(super) fn signed_by_any(secrets: &[Secret], body: &[u8], signature: &[u8]) -> bool {
    secrets
        .iter()
        .map(Secret::reveal)
        .filter(|secret| !secret.is_empty())
        .any(|secret| bool::from(hmac_sha256(secret, body).ct_eq(signature)))
}

/// A header's text, if it has any.
pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
}

/// Values of one header that are looked at: each may cost a hash over the whole body, before anybody is known.
const VALUES_MAX: usize = 4;

/// The values of a header that have a text, a few of them; a sender or a proxy may repeat it.
pub(super) fn values<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .take(VALUES_MAX)
}

/// A text from outside, unless it is too long to be kept.
pub(super) fn bounded(text: &str) -> Result<String, Rejection> {
    if text.len() > HEADER_MAX {
        return Err(Rejection::Malformed("a topic or an id in the headers has more than 255 characters"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_secret_signs_nothing() {
        let signature = hmac_sha256("", b"body");
        assert!(!signed_by_any(&[Secret::new("")], b"body", &signature));
        assert!(!signed_by_any(&[], b"body", &signature));
    }

    #[test]
    fn a_cut_signature_is_none() {
        let signature = hmac_sha256("secret", b"body");
        assert!(signed_by_any(&[Secret::new("secret")], b"body", &signature));
        assert!(!signed_by_any(&[Secret::new("secret")], b"body", &signature[..16]));
        assert!(!signed_by_any(&[Secret::new("secret")], b"body", b""));
    }
}
