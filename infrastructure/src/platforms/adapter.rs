//! The port every platform's adapter fits: is a request genuine, which delivery is it, what does it say.
//!
//! One shape for all, so that the door is written once and a new platform is a new implementation of this.

use axum::http::{HeaderMap, Method};
use chrono::{DateTime, Utc};
use onhand_domain::{connection::ConnectionDetails, values::ExternalId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fact::{Decoded, Fact, Identity, Person, Rejection, Undecodable};
use crate::secrets::Secret;

/// A request as it came, and what it takes to judge it.
#[derive(Clone, Copy)]
pub struct Inbound<'r> {
    /// All of them.
    pub headers: &'r HeaderMap,
    /// The very bytes that were sent.
    pub body: &'r [u8],
    /// The address the platform was given, byte for byte: some sign it.
    pub url: &'r str,
    /// Our clock.
    pub now: DateTime<Utc>,
    /// Whose request it claims to be.
    pub details: &'r ConnectionDetails,
    /// What it may be signed with, the newest first; while secrets are changed over there are two.
    pub secrets: &'r [Secret],
}

/// A delivery that was found genuine, now or earlier: a replay has no more than this.
#[derive(Debug, Clone, Copy)]
pub struct Genuine<'r> {
    /// The topic it was identified with.
    pub topic: &'r str,
    /// The very bytes that were sent.
    pub body: &'r [u8],
    /// When it was sent, or received where nobody says; the time of facts that have none of their own.
    pub at: DateTime<Utc>,
    /// Whose it is.
    pub details: &'r ConnectionDetails,
}

/// Something the platform has hinted at and that must be looked at there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hint {
    /// What sort of thing: `product`, `order`, `catalog`, `models`, `document`, `download`.
    pub resource: &'static str,
    /// Which one, in the platform's words.
    pub external: ExternalId,
    /// What is known of it already and will not be shown.
    pub titled: Option<Titled>,
}

/// What a product is called, told before a look that shows the rest of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Titled {
    /// Its title; empty if it has none.
    pub title: String,
    /// When it was called so: by the time of the look it may be called otherwise.
    pub at: DateTime<Utc>,
}

/// What it takes to call a platform's API for one connection.
#[derive(Debug, Clone, Copy)]
pub struct Access<'r> {
    /// Whose account.
    pub details: &'r ConnectionDetails,
    /// The account's access token.
    pub token: Option<&'r Secret>,
    /// The secret of our app with the platform, where calls need one.
    pub app_secret: Option<&'r Secret>,
    /// Our clock.
    pub now: DateTime<Utc>,
}

/// One read call to a platform's API. It shows itself nowhere, for its headers carry secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// GET, or POST where the platform searches by POST.
    pub method: Method,
    /// Path and query below the connection's endpoint, or a whole address where the platform names one.
    pub target: String,
    /// Headers, secrets among them: not to be logged.
    pub headers: Vec<(&'static str, String)>,
    /// A JSON body.
    pub body: Option<String>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        f.debug_struct("Call").field("method", &self.method).field("path", &path).finish_non_exhaustive()
    }
}

/// What a made-up delivery is made of.
#[derive(Clone, Copy)]
pub struct Sample<'r> {
    /// Sets this delivery, and the things in it, apart from others.
    pub id: Uuid,
    /// Our clock.
    pub now: DateTime<Utc>,
    /// Where it will be sent.
    pub url: &'r str,
    /// What it is signed with.
    pub secret: &'r str,
    /// Whose it is.
    pub details: &'r ConnectionDetails,
    /// A SKU of the seller's to speak of.
    pub sku: &'r str,
}

/// A made-up delivery: headers in the platform's own spelling, and the body they sign.
pub type Made = (Vec<(&'static str, String)>, Vec<u8>);

/// A platform's side of the front door. All of it is pure.
pub trait Adapter: Sync {
    /// Whether the platform has only tried the address, in words that anybody may send and that say nothing: it is answered,
    /// and nothing is kept.
    fn is_greeting(&self, _request: &Inbound<'_>) -> bool {
        false
    }

    /// Checks that the request is recent, where the platform says when it was sent, and then that one of the secrets
    /// signed the raw body.
    fn verify(&self, request: &Inbound<'_>) -> Result<(), Rejection>;

    /// Says which delivery this is: by the platform's id, or by its content where it has none. Called for verified
    /// requests; a body that makes no sense is refused by [`Adapter::decode`], not here.
    fn identify(&self, request: &Inbound<'_>) -> Result<Identity, Rejection>;

    /// Understands a genuine body.
    fn decode(&self, delivery: &Genuine<'_>) -> Result<Decoded, Undecodable>;

    /// The accounts other than the connection's own that a body speaks of, where one address serves several.
    fn other_accounts(&self, _delivery: &Genuine<'_>) -> Vec<String> {
        vec![]
    }

    /// Whether the platform may go on with an order that it has cancelled.
    fn reopens_orders(&self) -> bool {
        false
    }

    /// Whether a body is about another account than the connection's and about nothing else, so that it is not kept here.
    fn is_anothers(&self, _delivery: &Genuine<'_>) -> bool {
        false
    }

    /// Whom a body tells of, whatever its topic and whatever else is wrong with it; asked where no fact tells of anybody.
    fn person(&self, _delivery: &Genuine<'_>) -> Option<Person> {
        None
    }

    /// Where the platform's API is, for connections that name no endpoint.
    fn endpoint(&self) -> Option<&'static str> {
        None
    }

    /// The call that shows what was hinted at; none where the connection lacks what it takes.
    fn look(&self, _hint: &Hint, _access: &Access<'_>) -> Option<Call> {
        None
    }

    /// The call that reads what a hint is at, from the address where it lies; none where the connection lacks what it takes.
    fn fetch(&self, _hint: &Hint, _url: &str, _access: &Access<'_>) -> Option<Call> {
        None
    }

    /// Understands what such a call has shown. `at` is the time of the call.
    fn seen(
        &self,
        _hint: &Hint,
        _body: &[u8],
        _at: DateTime<Utc>,
        _details: &ConnectionDetails,
    ) -> Result<Vec<Fact>, Undecodable> {
        Ok(vec![])
    }

    /// The topics for which a delivery can be made up.
    fn topics(&self) -> &'static [&'static str];

    /// A delivery as the platform would send it; none for topics other than those.
    fn sample(&self, topic: &str, sample: &Sample<'_>) -> Option<Made>;
}
