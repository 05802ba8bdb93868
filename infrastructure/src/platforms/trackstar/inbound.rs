//! Trackstar's webhooks: which delivery it is, and what it says.
//!
//! Svix delivers them and signs them with its own id. One address takes in the events of all connections that
//! an organisation has with Trackstar, so an event of another one tells nothing here.

pub(super) mod bodies;
mod orders;

use onhand_domain::{connection::ConnectionDetails, values::ExternalId};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    super::{
        adapter::{Genuine, Inbound},
        fact::{Decoded, Identity, Rejection, Undecodable},
        read, signature, svix,
    },
    look,
};
use bodies::Kind;

/// The topic of a body that names none.
const UNKNOWN: &str = "unknown";

/// What every event is wrapped in.
#[derive(Deserialize)]
struct Event<'b> {
    connection_id: Option<ExternalId>,
    #[serde(default)]
    data_truncated: Value,
    data_url: Option<String>,
    #[serde(borrow)]
    data: Option<&'b RawValue>,
}

impl Event<'_> {
    /// The connection with Trackstar that it is about, if that is not this one's.
    fn other_account(&self, details: &ConnectionDetails) -> Option<&str> {
        let theirs = self.connection_id.as_ref()?.as_str();
        let ours = details.account.as_deref()?;
        (theirs != ours).then_some(theirs)
    }
}

#[derive(Deserialize)]
struct Named {
    event_type: Option<String>,
}

/// Says which delivery this is: by the id of Svix, which is signed with the body.
pub(super) fn identify(request: &Inbound<'_>) -> Result<Identity, Rejection> {
    let named = read::json::<Named>(request.body).ok();
    let topic = named.and_then(|named| read::filled(named.event_type));
    // One that is too long to be kept is as little ours as any other.
    let topic = topic.filter(|topic| !topic.contains(char::is_control) && signature::bounded(topic).is_ok());
    Ok(Identity {
        topic: topic.unwrap_or_else(|| UNKNOWN.to_owned()),
        external_id: svix::id(request.headers)?,
        signed: true,
        sent_at: svix::sent_at(request.headers),
    })
}

/// Understands a genuine body: a record as it is now, or where one lies that was too large.
pub(super) fn decode(delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
    let event: Event<'_> = read::json(delivery.body)?;
    let Some(kind) = Kind::of(delivery.topic) else { return Ok(Decoded::UnknownTopic) };
    if event.other_account(delivery.details).is_some() {
        return Ok(Decoded::Facts(vec![]));
    }
    if event.data_truncated == Value::Bool(true) {
        let url = read::filled(event.data_url)
            .ok_or_else(|| Undecodable("the event is cut short and has no data_url".into()))?;
        return Ok(Decoded::Facts(vec![look::document(delivery.topic, url)?]));
    }
    let record = event.data.ok_or_else(|| Undecodable("the event has no data".into()))?;
    kind.facts(record.get().as_bytes(), delivery.at, delivery.details).map(Decoded::Facts)
}

/// The other connection with Trackstar that an event is about, if it is about one.
pub(super) fn other_accounts(delivery: &Genuine<'_>) -> Vec<String> {
    let Ok(event) = read::json::<Event<'_>>(delivery.body) else { return vec![] };
    event.other_account(delivery.details).map(str::to_owned).into_iter().collect()
}
