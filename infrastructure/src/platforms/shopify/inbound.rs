//! Shopify's webhooks: whether a request is genuine, which delivery it is, what it says.
//!
//! A body is understood by the topic of its delivery and never by what is in it: an order that was just placed may
//! already carry the date of its cancellation.

mod bodies;
#[cfg(test)]
mod tests;

use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use onhand_domain::connection::ConnectionDetails;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::super::{
    fact::{Decoded, Fact, Identity, Rejection, Undecodable},
    signature,
};
use crate::secrets::Secret;

/// One header by the name without its prefix, in either of the two families the platform sends.
fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    signature::header(headers, name).or_else(|| signature::header(headers, &format!("x-{name}")))
}

/// Checks that one of the secrets signed the raw body.
pub fn verify(headers: &HeaderMap, body: &[u8], secrets: &[Secret]) -> Result<(), Rejection> {
    let given =
        header(headers, "shopify-hmac-sha256").ok_or(Rejection::MissingHeader("X-Shopify-Hmac-Sha256"))?;
    let given = STANDARD.decode(given).map_err(|_| Rejection::BadSignature)?;
    if signature::signed_by_any(secrets, body, &given) { Ok(()) } else { Err(Rejection::BadSignature) }
}

/// Says which delivery this is: by its id, or by its content where it has none.
pub fn identify(headers: &HeaderMap, body: &[u8]) -> Result<Identity, Rejection> {
    let topic = header(headers, "shopify-topic").ok_or(Rejection::MissingHeader("X-Shopify-Topic"))?;
    let topic = signature::bounded(topic)?;
    let external_id = match header(headers, "shopify-webhook-id") {
        Some(id) => signature::bounded(id)?,
        None => {
            let mut hash = Sha256::new();
            hash.update(topic.as_bytes());
            hash.update(body);
            format!("sha256:{}", hex::encode(hash.finalize()))
        }
    };
    Ok(Identity { topic, external_id })
}

/// When the platform says it happened; not signed, hence good for ordering at most.
pub fn triggered_at(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    header(headers, "shopify-triggered-at").and_then(time)
}

/// Understands a genuine body. `fallback` is its time where it has none of its own.
pub fn decode(
    topic: &str,
    body: &[u8],
    fallback: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Decoded, Undecodable> {
    let fact = match topic {
        "products/create" | "products/update" => {
            read::<bodies::Product>(body)?.observed(fallback, details)?
        }
        "products/delete" => Fact::ProductRemoved { external: read::<bodies::Named>(body)?.id },
        "inventory_levels/update" => read::<bodies::InventoryLevel>(body)?.observed(fallback),
        "orders/create" => read::<bodies::Order>(body)?.placed()?,
        "orders/cancelled" => Fact::OrderCancelled { external: read::<bodies::Named>(body)?.id },
        _ => return Ok(Decoded::UnknownTopic),
    };
    Ok(Decoded::Facts(vec![fact]))
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Undecodable> {
    Ok(serde_json::from_slice(body)?)
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}
