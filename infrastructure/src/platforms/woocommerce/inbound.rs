//! `WooCommerce`'s webhooks: whether a request is genuine, which delivery it is, what it says.
//!
//! The shop signs the raw body and nothing else, so topic and id stand in headers that nobody signs.

pub(super) mod bodies;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::super::{
    adapter::{Genuine, Inbound},
    fact::{Decoded, Fact, Identity, Person, Rejection, Undecodable},
    read, signature,
};

/// Digits of a webhook's id.
const DIGITS_MAX: usize = 20;

/// Checks that one of the secrets signed the raw body.
pub(super) fn verify(request: &Inbound<'_>) -> Result<(), Rejection> {
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
    let topic = signature::header(request.headers, "x-wc-webhook-topic")
        .ok_or(Rejection::MissingHeader("X-WC-Webhook-Topic"))?;
    let topic = signature::bounded(topic)?;
    match signature::header(request.headers, "x-wc-webhook-delivery-id") {
        // The id is made from the webhook and the second: two orders of one second have the same. With the body it is
        // one of each, and the same again when it is sent again.
        Some(id) => {
            let id = signature::bounded(id)?;
            let external_id = signature::content_id(&[topic.as_bytes(), id.as_bytes(), request.body]);
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
            read::json::<bodies::Order>(body)?.fact(bodies::buyer(body))?.into_iter().collect()
        }
        // Its units may have left the house long ago; an order that is given up is cancelled.
        "order.deleted" => vec![],
        _ => return Ok(Decoded::UnknownTopic),
    };
    Ok(Decoded::Facts(facts))
}

/// Whom a body tells of: a customer by itself, or whoever has placed an order.
pub(super) fn person(topic: &str, body: &[u8]) -> Option<Person> {
    if topic.starts_with("customer.") { bodies::customer(body) } else { bodies::buyer(body) }
}

/// Exactly what a shop sends when a webhook is made: the webhook's id, as a form.
pub(super) fn is_ping(body: &[u8]) -> bool {
    body.strip_prefix(b"webhook_id=")
        .is_some_and(|id| (1..=DIGITS_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_digit))
}
