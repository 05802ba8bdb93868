//! `WooCommerce`'s webhooks: whether a request is genuine, which delivery it is, what it says.
//!
//! The shop signs the raw body and nothing else, so topic and id stand in headers that nobody signs.

pub(super) mod bodies;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::super::{
    adapter::{Genuine, Inbound},
    fact::{Decoded, Fact, Identity, Rejection, Undecodable},
    read, signature,
};

/// The topic given to a ping, which has none.
const PING: &str = "ping";
/// Digits of a webhook's id.
const DIGITS_MAX: usize = 20;

/// Checks that one of the secrets signed the raw body.
///
/// The one exception is the ping with which a shop tries out an address before it sends anything there. It is
/// not signed, and without an answer to it no webhook can be made. Taking it is harmless: it can be nothing
/// but `webhook_id=` and digits, it is a ping whatever its headers say, and a ping moves nothing.
pub(super) fn verify(request: &Inbound<'_>) -> Result<(), Rejection> {
    if is_ping(request.body) {
        return Ok(());
    }
    let given: Vec<&str> = signature::values(request.headers, "x-wc-webhook-signature").collect();
    if given.is_empty() {
        return Err(Rejection::MissingHeader("X-WC-Webhook-Signature"));
    }
    let signed = given
        .into_iter()
        .filter_map(|given| STANDARD.decode(given).ok())
        .any(|given| signature::signed_by_any(request.secrets, request.body, &given));
    if signed { Ok(()) } else { Err(Rejection::BadSignature) }
}

/// Says which delivery this is: by its id, or by its content where it has none.
pub(super) fn identify(request: &Inbound<'_>) -> Result<Identity, Rejection> {
    let by_content = |topic: &str| Identity {
        topic: topic.to_owned(),
        external_id: signature::content_id(&[topic.as_bytes(), request.body]),
        signed: true,
        sent_at: None,
    };
    if is_ping(request.body) {
        return Ok(by_content(PING));
    }
    let topic = signature::header(request.headers, "x-wc-webhook-topic")
        .ok_or(Rejection::MissingHeader("X-WC-Webhook-Topic"))?;
    let topic = signature::bounded(topic)?;
    match signature::header(request.headers, "x-wc-webhook-delivery-id") {
        Some(id) => {
            let external_id = signature::bounded(id)?;
            Ok(Identity { topic, external_id, signed: false, sent_at: None })
        }
        None => Ok(by_content(&topic)),
    }
}

/// Understands a genuine body.
pub(super) fn decode(delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
    let Genuine { body, at, details, .. } = *delivery;
    let facts = match delivery.topic {
        "product.created" | "product.updated" | "product.restored" => {
            read::json::<bodies::Product>(body)?.facts(at, details.currency)?
        }
        "product.deleted" => {
            vec![Fact::ProductRemoved { external: read::json::<bodies::Named>(body)?.id }]
        }
        "order.created" | "order.updated" | "order.restored" => {
            read::json::<bodies::Order>(body)?.fact()?.into_iter().collect()
        }
        "order.deleted" => vec![Fact::OrderCancelled { external: read::json::<bodies::Named>(body)?.id }],
        _ => return Ok(Decoded::UnknownTopic),
    };
    Ok(Decoded::Facts(facts))
}

/// Exactly what a shop sends when a webhook is made: the webhook's id, as a form.
fn is_ping(body: &[u8]) -> bool {
    body.strip_prefix(b"webhook_id=")
        .is_some_and(|id| (1..=DIGITS_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_digit))
}
