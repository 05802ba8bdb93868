//! Trackstar's bodies that were too large to be sent: an address answers with another, where the body lies.
//!
//! A hint carries the topic, because the body is understood by it and may not name it again.

use axum::http::Method;
use chrono::{DateTime, Utc};
use onhand_domain::{connection::ConnectionDetails, values::ExternalId};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    super::{
        adapter::{Access, Call, Hint},
        fact::{Fact, Undecodable},
        read, signature,
    },
    inbound::bodies::Kind,
};
use crate::secrets::Secret;

/// Where the API is, for connections that name no other.
pub(super) const ENDPOINT: &str = "https://production.trackstarhq.com";

/// Longer than any address that can be called.
const ADDRESS_BYTES_MAX: usize = 8_000;

/// A hint at an address of Trackstar's own, which answers with another.
pub(super) fn document(topic: &str, url: String) -> Result<Fact, Undecodable> {
    let named = format!("{topic}|{}", signature::content_id(&[url.as_bytes()]));
    let external = ExternalId::new(&named).map_err(|wrong| Undecodable(wrong.to_string()))?;
    lies("document", external, url)
}

/// That a thing lies at an address. Addresses are signed and have some thousand characters then, so that none is a name.
fn lies(resource: &'static str, external: ExternalId, url: String) -> Result<Fact, Undecodable> {
    if url.len() > ADDRESS_BYTES_MAX || url.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(Undecodable(format!(
            "the body's address has more than {ADDRESS_BYTES_MAX} bytes, or blanks in it"
        )));
    }
    Ok(Fact::Address { hint: Hint { resource, external, titled: None }, url })
}

/// The call for a hint of older programs, which has the address behind a bar.
pub(super) fn call(hint: &Hint, access: &Access<'_>) -> Option<Call> {
    let (_, url) = hint.external.as_str().split_once('|')?;
    fetch(hint, url, access)
}

/// The call that reads what a hint is at. The credentials go to Trackstar and nowhere else.
pub(super) fn fetch(hint: &Hint, url: &str, access: &Access<'_>) -> Option<Call> {
    let host = host(url)?;
    let headers = match hint.resource {
        "document" if ours(&host, access) => credentials(access.app_secret?, access.token?),
        "download" if is_public(&host) => vec![],
        _ => return None,
    };
    Some(Call { method: Method::GET, target: url.to_owned(), headers, body: None })
}

/// What every call to the API carries: the key of the organisation, and the token of the one connection it is about.
pub(super) fn credentials(key: &Secret, token: &Secret) -> Vec<(&'static str, String)> {
    vec![
        ("x-trackstar-api-key", key.reveal().to_owned()),
        ("x-trackstar-access-token", token.reveal().to_owned()),
    ]
}

/// What a call has shown: where to go on, or the body.
pub(super) fn seen(
    hint: &Hint,
    body: &[u8],
    at: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Vec<Fact>, Undecodable> {
    let named = hint.external.as_str().split_once('|');
    let Some(kind) = named.and_then(|(topic, _)| Kind::of(topic)) else { return Ok(vec![]) };
    match hint.resource {
        "document" => {
            let answer: Value = read::json(body)?;
            let url = [&answer["download_url"], &answer["data"]["download_url"]];
            let url = url.into_iter().find_map(Value::as_str);
            let url = url.ok_or_else(|| Undecodable("the answer has no download_url".into()))?;
            // Under the same name: an address of a later look takes the place of one that ends after twenty minutes.
            Ok(vec![lies("download", hint.external.clone(), url.to_owned())?])
        }
        "download" => kind.facts(record(body)?, at, details),
        _ => Ok(vec![]),
    }
}

/// The record in what was downloaded, which is the whole event, or the record alone.
fn record(body: &[u8]) -> Result<&[u8], Undecodable> {
    #[derive(Deserialize)]
    struct Wrapped<'b> {
        #[serde(borrow)]
        data: Option<&'b RawValue>,
    }
    let wrapped: Wrapped<'_> = read::json(body)?;
    Ok(wrapped.data.map_or(body, |data| data.get().as_bytes()))
}

/// Whether a host is the one that the API is called at.
fn ours(host: &str, access: &Access<'_>) -> bool {
    let endpoint = access.details.endpoint.as_deref().unwrap_or(ENDPOINT);
    self::host(endpoint).is_some_and(|known| known == host)
}

/// Whether a name can be one of the public net's: not an address in figures, not a machine nearby.
fn is_public(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    host.contains('.')
        && last.len() > 1
        && last.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !["local", "localhost", "internal", "intranet", "lan", "home"].contains(&last)
}

/// The host of an address that has nothing but a host before its path.
///
/// With a user, a port or a sign that needs unfolding, two readers may not see the same host in it.
fn host(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (!host.is_empty() && host.bytes().all(plain)).then(|| host.to_ascii_lowercase())
}
