//! Clover's webhooks: whether a request is genuine, which delivery it is, what it says.
//!
//! One post may speak of many merchants and of many of their things. Clover signs nothing: it sends along a
//! code that never changes, and no time. What has changed is therefore looked at, and only what is gone is
//! taken at its word.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use onhand_domain::{connection::ConnectionDetails, values::ExternalId};
use serde::Deserialize;
use serde_json::Value;

use super::super::{
    adapter::{Genuine, Hint, Inbound},
    fact::{Decoded, Fact, Identity, Rejection, Undecodable},
    read::{self, Unread},
    signature,
};

/// The header with the code, as Clover spells it.
pub(super) const AUTH: &str = "X-Clover-Auth";

/// The longest body that may be a handshake; a real one has some sixty bytes.
const HANDSHAKE_MAX: usize = 1_024;

/// The most other merchants of one post that are told of.
const MERCHANTS_MAX: usize = 100;

/// Checks that the request carries one of the codes, or is the handshake that comes before there is one.
///
/// When an address is entered in Clover's dashboard, a verification code is posted to it, and the secret is
/// shown only after that code was typed in. The operator reads the code from the stored delivery, so a body
/// that holds it and nothing else is let in as long as the connection has no secret. It carries no facts.
pub(super) fn verify(request: &Inbound<'_>) -> Result<(), Rejection> {
    let given: Vec<&str> = signature::values(request.headers, AUTH).collect();
    let handshake = request.secrets.is_empty() && is_handshake(request.body);
    if handshake || given.iter().any(|given| signature::is_any(request.secrets, given)) {
        Ok(())
    } else if given.is_empty() {
        Err(Rejection::MissingHeader(AUTH))
    } else {
        Err(Rejection::BadSignature)
    }
}

fn is_handshake(body: &[u8]) -> bool {
    let only = |fields: BTreeMap<String, String>| {
        fields.len() == 1 && fields.get("verificationCode").is_some_and(|code| !code.is_empty())
    };
    body.len() <= HANDSHAKE_MAX && read::json(body).is_ok_and(only)
}

/// What has happened, by merchant.
#[derive(Deserialize)]
struct Post {
    merchants: BTreeMap<String, Option<Vec<Event>>>,
}

/// One piece of news. Each stands by itself: what is odd about one does not keep the others from being read.
#[derive(Deserialize)]
#[serde(transparent)]
struct Event(Value);

impl Post {
    fn all(&self) -> impl Iterator<Item = &Event> {
        self.merchants.values().flatten().flatten()
    }

    /// What all of the post is about, if it is one sort of news.
    fn topic(&self) -> String {
        let topics: HashSet<_> = self.all().map(|event| (event.sort(), event.kind())).collect();
        let mut topics = topics.into_iter();
        match (topics.next(), topics.next()) {
            (Some((Some(sort), Some(kind))), None) if is_word(sort) && is_word(kind) => {
                format!("{sort}:{kind}")
            }
            _ => "mixed".to_owned(),
        }
    }

    /// The time of the latest news, which is about when the post was sent.
    fn sent_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let times = self.all().filter_map(|event| read::whole(&event.0["ts"]));
        times.filter_map(DateTime::from_timestamp_millis).filter(|at| *at <= now).max()
    }

    /// The merchant whose news are this connection's: its account, or the only one there is news of.
    fn own<'p>(&'p self, details: &'p ConnectionDetails) -> Result<Option<&'p str>, Undecodable> {
        if let Some(account) = &details.account {
            return Ok(Some(account.as_str()));
        }
        let told = |(merchant, events): (&'p String, &'p Option<Vec<Event>>)| {
            let some = events.as_ref().is_some_and(|events| !events.is_empty());
            some.then_some(merchant.as_str())
        };
        let mut merchants = self.merchants.iter().filter_map(told);
        match (merchants.next(), merchants.next()) {
            (_, Some(_)) => Err(Undecodable(
                "the post speaks of several merchants; set the connection's account to the merchant's id"
                    .into(),
            )),
            (only, None) => Ok(only),
        }
    }
}

/// A word of Clover's own; what else may stand in its place is not repeated.
fn is_word(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Event {
    /// A letter or two for the sort of thing, a colon, and its id.
    fn object_id(&self) -> Option<&str> {
        self.0["objectId"].as_str()
    }

    fn kind(&self) -> Option<&str> {
        self.0["type"].as_str()
    }

    fn sort(&self) -> Option<&str> {
        self.object_id()?.split_once(':').map(|(sort, _)| sort)
    }

    /// The fact, if it is one of use.
    fn fact(&self) -> Result<Option<Fact>, Undecodable> {
        let wrong = || Undecodable("an event has no objectId that is a key, a colon and an id".into());
        let (sort, id) = self.object_id().and_then(|id| id.split_once(':')).ok_or_else(wrong)?;
        let resource = match sort {
            "I" => "product",
            "O" => "order",
            _ => return Ok(None),
        };
        let external = ExternalId::new(id).map_err(|_| wrong())?;
        Ok(match (resource, self.kind()) {
            (_, Some("CREATE" | "UPDATE")) => Some(Fact::Hint(Hint { resource, external, titled: None })),
            ("product", Some("DELETE")) => Some(Fact::ProductRemoved { external }),
            (_, Some("DELETE")) => Some(Fact::OrderCancelled { external, buyer: None, at: None }),
            _ => None,
        })
    }
}

/// Says which delivery this is, by its content: Clover gives posts no id.
pub(super) fn identify(request: &Inbound<'_>) -> Result<Identity, Rejection> {
    let post = read::json::<Post>(request.body).ok();
    let topic = match &post {
        Some(post) => post.topic(),
        None if is_handshake(request.body) => "verification".to_owned(),
        None => "unknown".to_owned(),
    };
    let external_id = signature::content_id(&[topic.as_bytes(), request.body]);
    let sent_at = post.and_then(|post| post.sent_at(request.now));
    Ok(Identity { topic, external_id, signed: true, sent_at })
}

/// Understands a genuine body, as far as it speaks of the connection's own merchant; equal news are one.
pub(super) fn decode(delivery: &Genuine<'_>) -> Result<Decoded, Undecodable> {
    if is_handshake(delivery.body) {
        return Ok(Decoded::UnknownTopic);
    }
    let post: Post = read::json(delivery.body)?;
    let own = post.own(delivery.details)?.and_then(|own| post.merchants.get(own)?.as_deref());
    let own = own.unwrap_or_default();
    let mut told = HashSet::new();
    let (mut facts, mut unread) = (Vec::new(), Unread::default());
    // Of equal news the last stands, so that a thing which is gone and back again is looked at in the end.
    for event in own.iter().rev() {
        let gone = event.kind() == Some("DELETE");
        match event.fact() {
            Ok(Some(fact)) if told.insert((event.object_id(), gone)) => facts.push(fact),
            Ok(_) => {}
            Err(why) => unread.pass(why),
        }
    }
    read::within(facts.len(), read::FACTS_MAX, "changes")?;
    facts.reverse();
    facts.extend(unread.of(own.len())?);
    let of_use = !facts.is_empty() || post.all().any(|event| matches!(event.sort(), Some("I" | "O")));
    Ok(if of_use { Decoded::Facts(facts) } else { Decoded::UnknownTopic })
}

/// The merchants of a post other than the connection's own.
pub(super) fn other_accounts(delivery: &Genuine<'_>) -> Vec<String> {
    let Ok(post) = read::json::<Post>(delivery.body) else { return vec![] };
    let own = post.own(delivery.details).ok().flatten();
    let others = post.merchants.keys().filter(|merchant| Some(merchant.as_str()) != own);
    others.filter(|merchant| ExternalId::new(merchant).is_ok()).take(MERCHANTS_MAX).cloned().collect()
}
