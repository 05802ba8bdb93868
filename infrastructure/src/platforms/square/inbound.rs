//! Square's webhooks: whether a request is genuine, which delivery it is, what it says.
//!
//! Square signs the notification URL followed by the raw body, and puts the id and the type of an event into
//! that body; there is no signed time, so a replay is known by its id alone.

mod bodies;

use base64::{Engine, engine::general_purpose::STANDARD};
use onhand_domain::connection::ConnectionDetails;
use serde::Deserialize;
use serde_json::Value;

use super::super::{
    adapter::{Genuine, Inbound},
    fact::{Decoded, Fact, Identity, Rejection, Undecodable},
    read, signature,
};

/// The header that carries the signature.
pub(super) const SIGNATURE: &str = "x-square-hmacsha256-signature";

/// The signature header's value for a body that is sent to this very address. The key is text, not base64.
pub(super) fn sign(secret: &str, url: &str, body: &[u8]) -> String {
    STANDARD.encode(signature::hmac_sha256(secret, &signed(url, body)))
}

fn signed(url: &str, body: &[u8]) -> Vec<u8> {
    [url.as_bytes(), body].concat()
}

/// Checks that one of the secrets signed the notification URL and the raw body.
pub(super) fn verify(request: &Inbound<'_>) -> Result<(), Rejection> {
    let given: Vec<&str> = signature::values(request.headers, SIGNATURE).collect();
    if given.is_empty() {
        return Err(Rejection::MissingHeader(SIGNATURE));
    }
    let signed = signed(request.url, request.body);
    let mut given = given.into_iter().filter_map(|text| STANDARD.decode(text).ok());
    if given.any(|given| signature::signed_by_any(request.secrets, &signed, &given)) {
        Ok(())
    } else {
        Err(Rejection::BadSignature)
    }
}

/// What all of Square's bodies begin with.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    #[serde(rename = "type")]
    topic: Value,
    event_id: Value,
    merchant_id: Value,
    created_at: Value,
}

impl Envelope {
    /// The seller, if it is another one than the connection's own: Square sends the events of all sellers of
    /// an app to one address.
    fn stranger(&self, details: &ConnectionDetails) -> Option<&str> {
        let own = details.account.as_deref()?;
        text(&self.merchant_id).filter(|merchant| *merchant != own)
    }
}

/// A text that can be kept.
fn text(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty() && !text.contains(char::is_control))
}

/// Says which delivery this is: by the id of its event, which is in the signed body, or else by its content.
pub(super) fn identify(request: &Inbound<'_>) -> Result<Identity, Rejection> {
    let envelope: Envelope = read::json(request.body).unwrap_or_default();
    let topic = signature::bounded(text(&envelope.topic).unwrap_or("unknown"))?;
    let external_id = match text(&envelope.event_id) {
        Some(id) => signature::bounded(id)?,
        None => signature::content_id(&[topic.as_bytes(), request.body]),
    };
    let sent_at = text(&envelope.created_at).and_then(read::time);
    Ok(Identity { topic, external_id, signed: true, sent_at })
}

/// Understands a genuine body. One of another seller says nothing about this connection.
pub(super) fn decode(delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
    let envelope: Envelope = read::json(delivery.body)?;
    let told: fn(&[u8]) -> Result<Vec<Fact>, Undecodable> = match delivery.topic {
        "inventory.count.updated" => bodies::counts,
        "catalog.version.updated" => bodies::catalog,
        "order.created" | "order.updated" | "order.fulfillment.updated" => bodies::order,
        _ => return Ok(Decoded::UnknownTopic),
    };
    if envelope.stranger(delivery.details).is_some() {
        return Ok(Decoded::Facts(vec![]));
    }
    told(delivery.body).map(Decoded::Facts)
}

/// The seller a body speaks of, if it is not the connection's own.
pub(super) fn other_accounts(delivery: &Genuine<'_>) -> Vec<String> {
    let envelope: Envelope = read::json(delivery.body).unwrap_or_default();
    envelope.stranger(delivery.details).map(str::to_owned).into_iter().collect()
}
