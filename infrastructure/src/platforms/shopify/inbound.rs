//! Shopify's webhooks: whether a request is genuine, which delivery it is, what it says.
//!
//! A body is understood by the topic of its delivery and never by what is in it: an order that was just placed may
//! already carry the date of its cancellation. Only a product that is archived, and so for sale nowhere, is as good as gone.

pub(super) mod bodies;
#[cfg(test)]
mod tests;

use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use onhand_domain::connection::ConnectionDetails;

use super::super::{
    fact::{Decoded, Fact, Identity, Person, Rejection, Undecodable},
    read, signature,
};
use crate::secrets::Secret;

/// One header by the name without its prefix, in either of the two families the platform sends.
fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    signature::header(headers, name).or_else(|| signature::header(headers, &format!("x-{name}")))
}

/// Checks that one of the secrets signed the raw body.
pub(super) fn verify(headers: &HeaderMap, body: &[u8], secrets: &[Secret]) -> Result<(), Rejection> {
    let given: Vec<&str> = signature::values(headers, "shopify-hmac-sha256")
        .chain(signature::values(headers, "x-shopify-hmac-sha256"))
        .collect();
    if given.is_empty() {
        return Err(Rejection::MissingHeader("X-Shopify-Hmac-Sha256"));
    }
    let mut given = given.into_iter().filter_map(|given| STANDARD.decode(given).ok());
    if given.any(|given| signature::signed_by_any(secrets, body, &given)) {
        Ok(())
    } else {
        Err(Rejection::BadSignature)
    }
}

/// Says which delivery this is: by its id, or by its content where it has none.
pub(super) fn identify(headers: &HeaderMap, body: &[u8]) -> Result<Identity, Rejection> {
    let topic = header(headers, "shopify-topic").ok_or(Rejection::MissingHeader("X-Shopify-Topic"))?;
    let topic = signature::bounded(topic)?;
    let id = header(headers, "shopify-webhook-id").map(signature::bounded).transpose()?;
    Ok(Identity {
        // The platform signs the body and nothing else.
        signed: id.is_none(),
        external_id: id.unwrap_or_else(|| signature::content_id(&[topic.as_bytes(), body])),
        sent_at: header(headers, "shopify-triggered-at").and_then(read::time),
        topic,
    })
}

/// Understands a genuine body. `fallback` is its time where it has none of its own.
pub(super) fn decode(
    topic: &str,
    body: &[u8],
    fallback: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Decoded, Undecodable> {
    if is_about_privacy(topic) && read::json::<bodies::OfShop>(body)?.stranger(details).is_some() {
        return Ok(Decoded::Facts(vec![]));
    }
    let fact = match topic {
        "products/create" | "products/update" => {
            let facts = read::json::<bodies::Product>(body)?.facts(fallback, details)?;
            return Ok(Decoded::Facts(facts));
        }
        "products/delete" => Fact::ProductRemoved { external: read::json::<bodies::Named>(body)?.id },
        "inventory_levels/connect" | "inventory_levels/update" => {
            read::json::<bodies::InventoryLevel>(body)?.observed()?
        }
        "orders/create" => {
            let order = read::json::<bodies::Order>(body)?;
            let (times, (external, lines)) = (order.times(), order.sold()?);
            Fact::OrderPlaced { external, lines, buyer: bodies::buyer(body), times }
        }
        "orders/paid" => {
            let order = read::json::<bodies::Order>(body)?;
            let (times, (external, lines)) = (order.times(), order.sold()?);
            Fact::OrderPaid { external, lines, buyer: bodies::buyer(body), times }
        }
        "orders/cancelled" => {
            let (external, at) = read::json::<bodies::Cancelled>(body)?.when()?;
            Fact::OrderCancelled { external, buyer: bodies::buyer(body), at }
        }
        "customers/redact" => read::json::<bodies::Redact>(body)?.fact()?,
        "customers/data_request" => read::json::<bodies::DataRequest>(body)?.fact()?,
        "shop/redact" => Fact::ShopErasureAsked,
        _ => return Ok(Decoded::UnknownTopic),
    };
    Ok(Decoded::Facts(vec![fact]))
}

/// Whom a body tells of: a customer by itself, or whoever has placed what it is about.
pub(super) fn person(topic: &str, body: &[u8]) -> Option<Person> {
    let itself = topic.starts_with("customers/") && !is_about_privacy(topic);
    if itself { bodies::customer(body) } else { bodies::buyer(body) }
}

/// The shop a body is about, if it is not the connection's own and may be another connection's.
pub(super) fn other_accounts(topic: &str, body: &[u8], details: &ConnectionDetails) -> Vec<String> {
    let told = is_about_privacy(topic).then(|| read::json::<bodies::OfShop>(body).ok()).flatten();
    told.and_then(|told| told.stranger(details)).into_iter().collect()
}

/// The topics that every app is sent that is in the platform's store, whichever shop they are about.
fn is_about_privacy(topic: &str) -> bool {
    matches!(topic, "customers/redact" | "customers/data_request" | "shop/redact")
}
