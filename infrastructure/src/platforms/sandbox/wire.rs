//! How a platform words what its stand-in does: requests read, answers and webhooks written.

use std::{collections::BTreeMap, time::Duration};

use axum::http::{HeaderMap, Method};
use serde_json::Value;

use super::{
    Parcel,
    shop::{Good, Happened, Shop},
};

/// A request to the platform's API.
#[derive(Debug, Clone)]
pub struct Request {
    /// As sent.
    pub method: Method,
    /// Without the query, as sent.
    pub path: String,
    /// The query, as sent.
    pub query: String,
    /// All of them.
    pub headers: HeaderMap,
    /// The very bytes.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The steps of the path.
    pub fn steps(&self) -> Vec<&str> {
        self.path.split('/').filter(|step| !step.is_empty()).collect()
    }

    /// The query by name, decoded; of several of a name the last.
    pub fn query(&self) -> BTreeMap<String, String> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
    }

    /// The body; null if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: u8| char::from(byte).to_digit(16);
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = (rest.next().and_then(hex), rest.next().and_then(hex));
                let (Some(high), Some(low)) = digits else { continue };
                bytes.extend(u8::try_from(high * 16 + low));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer of the platform's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Beyond the content type.
    pub headers: Vec<(&'static str, String)>,
    /// JSON; null for none.
    pub body: Value,
}

impl Reply {
    /// A success.
    pub fn ok(body: Value) -> Self {
        Self::with_status(200, body)
    }

    /// Whatever it is.
    pub fn with_status(status: u16, body: Value) -> Self {
        Self { status, headers: vec![], body }
    }

    /// The same with another header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// One platform's words.
pub trait Wire: Send + Sync {
    /// Answers a request that got through: checks who asks and how it is signed, reads and changes the shop.
    fn answer(&self, shop: &mut Shop, request: &Request) -> Reply;

    /// How being asked too often is told. `after` is what is still to wait, if it is to be said.
    fn throttled(&self, after: Option<Duration>) -> Reply;

    /// The webhooks that tell of what has happened, signed, one for each subscription that is about it: none where the
    /// platform tells nothing of it.
    fn tell(&self, shop: &Shop, happened: &Happened) -> Vec<Parcel>;

    /// The ids by which webhooks and looks make a good known: product, variant, and a handle on the stock if there is one.
    fn handle(&self, good: &Good) -> (String, String, Option<String>);
}
