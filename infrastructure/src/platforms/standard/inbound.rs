//! Standard Webhooks: whether a request is genuine, which delivery it is, what it says.
//!
//! The signature covers id, time and body, so all three can be believed. The body is an envelope of a type, a
//! time and data, as the standard advises; which types there are and what their data is, is ours to say.

mod bodies;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::super::{
    adapter::{Genuine, Inbound},
    fact::{Decoded, Fact, Identity, Rejection, Undecodable},
    read, signature, svix,
};
use bodies::Times;

/// Every type that is understood.
pub(super) const TYPES: [&str; 10] = [
    "product.created",
    "product.updated",
    "product.deleted",
    "stock.observed",
    "stock.adjusted",
    "price.observed",
    "order.placed",
    "order.paid",
    "order.cancelled",
    "signal.raised",
];

/// The longest subject that is kept, in characters.
const SUBJECT_MAX: usize = 100;

#[derive(Deserialize)]
struct Envelope<'b> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Option<Value>,
    #[serde(borrow)]
    data: Option<&'b RawValue>,
}

/// Checks that the request is recent and that one of the secrets signed its id, its time and its raw body.
pub(super) fn verify(request: &Inbound<'_>) -> Result<(), Rejection> {
    svix::verify(request.headers, request.body, request.secrets, request.now)
}

/// Says which delivery this is: by its id, which is signed and stays the same when it is tried again.
pub(super) fn identify(request: &Inbound<'_>) -> Result<Identity, Rejection> {
    Ok(Identity {
        topic: kind(request.body),
        external_id: svix::id(request.headers)?,
        signed: true,
        sent_at: svix::sent_at(request.headers),
    })
}

/// The type in the envelope; a body that is no envelope is refused by [`decode`].
fn kind(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Outline {
        #[serde(rename = "type")]
        kind: String,
    }
    let kind = read::json::<Outline>(body).ok().map(|outline| outline.kind);
    // One that is too long to be kept is as little ours as any other.
    let kind = kind.filter(|kind| !kind.trim().is_empty() && signature::bounded(kind).is_ok());
    kind.unwrap_or_else(|| "unknown".to_owned())
}

/// Understands a genuine body.
pub(super) fn decode(delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
    let envelope: Envelope<'_> = read::json(delivery.body)?;
    // Of what is none of ours the time and the data may be anything.
    if !TYPES.contains(&envelope.kind.as_str()) {
        return Ok(Decoded::UnknownTopic);
    }
    let times = Times::of(envelope.timestamp.as_ref(), delivery.at)?;
    let data = envelope.data.ok_or_else(|| Undecodable("the body has no data beside its type".into()))?.get();
    let fact = match envelope.kind.as_str() {
        "product.created" | "product.updated" => {
            let facts = data_of::<bodies::Product>(data)?.facts(times, delivery.details)?;
            return Ok(Decoded::Facts(facts));
        }
        "product.deleted" => Fact::ProductRemoved { external: data_of::<bodies::Named>(data)?.id },
        "stock.observed" => data_of::<bodies::Level>(data)?.observed(times)?,
        "stock.adjusted" => data_of::<bodies::Adjustment>(data)?.adjusted()?,
        "price.observed" => data_of::<bodies::Price>(data)?.observed(times)?,
        "order.placed" => {
            let order = data_of::<bodies::Order>(data)?;
            let (times, (external, lines)) = (order.times(times)?, order.sold()?);
            Fact::OrderPlaced { external, lines, buyer: None, times }
        }
        "order.paid" => {
            let order = data_of::<bodies::Order>(data)?;
            let (times, (external, lines)) = (order.times(times)?, order.sold()?);
            Fact::OrderPaid { external, lines, buyer: None, times }
        }
        "order.cancelled" => {
            let (external, at) = data_of::<bodies::Cancelled>(data)?.when(times)?;
            Fact::OrderCancelled { external, buyer: None, at }
        }
        "signal.raised" => signal(read::exact(data.as_bytes())?)?,
        _ => return Ok(Decoded::UnknownTopic),
    };
    Ok(Decoded::Facts(vec![fact]))
}

fn data_of<'b, T: Deserialize<'b>>(data: &'b str) -> Result<T, Undecodable> {
    Ok(serde_json::from_str(data)?)
}

fn signal(payload: Value) -> Result<Fact, Undecodable> {
    let subject = payload.get("subject").and_then(Value::as_str).map(str::trim).unwrap_or_default();
    let subject: String = subject.chars().take(SUBJECT_MAX).collect();
    if subject.is_empty() {
        return Err(Undecodable("the signal has no subject; say in data.subject what it is about".into()));
    }
    Ok(Fact::SignalRaised { subject, payload })
}
