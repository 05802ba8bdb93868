//! `TradingView`'s alerts: whether a request is genuine, which alert it is, what it signals.
//!
//! `TradingView` signs nothing and sends the text of the alert as its author has typed it. What makes a
//! request genuine is a secret that its author has put into the address or into the text.

mod alert;
mod words;

use onhand_domain::connection::Platform;

use super::super::{
    adapter::Inbound,
    fact::{Decoded, Fact, Identity, Rejection, Undecodable},
    signature,
};
use alert::Alert;

/// The only topic there is.
pub(super) const TOPIC: &str = "alert";

/// Checks that the address ends with one of the secrets or that the alert names one.
pub(super) fn verify(request: &Inbound<'_>) -> Result<(), Rejection> {
    let known = |given: &str| signature::is_any(request.secrets, given);
    let genuine = in_address(request.url).is_some_and(|given| known(&given))
        || Alert::read(request.body).secrets().into_iter().any(known);
    if genuine { Ok(()) } else { Err(Rejection::BadSignature) }
}

/// The last segment of the address's path.
fn in_address(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let (_, segment) = path.rsplit_once('/')?;
    // Without a secret in it the address ends with the platform's name, and who knows that knows nothing.
    (segment != Platform::Tradingview.name()).then(|| percent_decoded(segment))
}

fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail.split_first_chunk::<2>().filter(|_| first == b'%');
        let escaped = escaped.and_then(|(digits, tail)| Some((hex::decode(digits).ok()?, tail)));
        let (bytes, tail) = escaped.unwrap_or_else(|| (vec![first], tail));
        decoded.extend(bytes);
        rest = tail;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Says which alert this is: by its content, because `TradingView` gives no id.
///
/// It does not try again either, so the same words at another time are another alert. If they tell no time
/// themselves, the minute they came in is made part of the id.
pub(super) fn identify(request: &Inbound<'_>) -> Identity {
    let alert = Alert::read(request.body);
    let external_id = if alert.time(&["timenow", "timestamp"]).is_some() {
        signature::content_id(&[TOPIC.as_bytes(), request.body])
    } else {
        let minute = request.now.timestamp().div_euclid(60).to_be_bytes();
        signature::content_id(&[TOPIC.as_bytes(), request.body, &minute])
    };
    Identity {
        topic: TOPIC.to_owned(),
        external_id,
        signed: true,
        // `time` is when the bar of the chart began.
        sent_at: alert.time(&["timenow", "timestamp"]),
    }
}

/// Understands an alert: any, as long as it says something.
pub(super) fn decode(body: &[u8]) -> Result<Decoded, Undecodable> {
    if body.is_empty() {
        return Err(Undecodable("the alert is empty; give it a message where it is made".into()));
    }
    let (subject, payload) = Alert::read(body).signal();
    Ok(Decoded::Facts(vec![Fact::SignalRaised { subject, payload }]))
}
