//! Looking at what Square's webhooks hint at: the calls, and what their answers say.
//!
//! The catalogue is searched by the time of its changes, page by page; orders are read one by one.

mod bodies;

use axum::http::Method;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use onhand_domain::{connection::ConnectionDetails, values::ExternalId};
use serde::Deserialize;
use serde_json::json;

use super::super::{
    adapter::{Access, Call, Hint},
    fact::{Fact, Undecodable},
    read,
};
use crate::secrets::Secret;

/// The version of Square's API whose answers are understood here.
///
/// Without this header Square answers in the version the seller's app was made with, which may be any.
pub(super) const VERSION: &str = "2025-08-20";

/// How long before the time of a catalogue hint the search begins: changes that were written at about the
/// same time become visible one after another.
const LOOK_BACK: TimeDelta = TimeDelta::minutes(10);

/// Products in one page of the catalogue.
const PAGE_ITEMS: usize = 100;

/// The call that shows what was hinted at.
pub(super) fn look(hint: &Hint, access: &Access<'_>) -> Option<Call> {
    let token = access.token?;
    let external = hint.external.as_str();
    let (method, target, body) = match hint.resource {
        "catalog" => (Method::POST, "/v2/catalog/search".to_owned(), Some(search(external)?)),
        "order" => (Method::GET, format!("/v2/orders/{}", read::escaped(external)), None),
        _ => return None,
    };
    let mut headers = headers(token);
    headers.push(("content-type", "application/json".to_owned()));
    Some(Call { method, target, headers, body })
}

/// What each call says: who asks, and in which version of the API it is to be answered.
pub(super) fn headers(token: &Secret) -> Vec<(&'static str, String)> {
    vec![("authorization", format!("Bearer {}", token.reveal())), ("square-version", VERSION.to_owned())]
}

/// The search for what has changed. What was deleted is asked for as well, because nothing else tells of it.
fn search(external: &str) -> Option<String> {
    let (begin, cursor) = page(external)?;
    let mut search = json!({
        "object_types": ["ITEM"],
        "include_deleted_objects": true,
        "begin_time": begin,
        "limit": PAGE_ITEMS,
    });
    if let Some(cursor) = cursor {
        search["cursor"] = cursor.into();
    }
    Some(search.to_string())
}

/// Where a page of the catalogue begins. The first one is named by the time of the hint alone, and further
/// ones by `<begin time>@<cursor>`: a cursor holds for the search it came from and for no other, and no time
/// has an `@`.
fn page(external: &str) -> Option<(String, Option<&str>)> {
    if let Some((begin, cursor)) = external.split_once('@') {
        return Some((begin.to_owned(), Some(cursor)));
    }
    let begin = read::time(external)?.checked_sub_signed(LOOK_BACK)?;
    Some((begin.to_rfc3339_opts(SecondsFormat::Secs, true), None))
}

/// The hint at the page after the one of `hint`.
fn next_page(hint: &Hint, cursor: &str) -> Result<Fact, Undecodable> {
    let begin = page(hint.external.as_str()).map(|(begin, _)| begin).unwrap_or_default();
    let external = ExternalId::new(&format!("{begin}@{cursor}")).map_err(|_| {
        let length = cursor.len();
        Undecodable(format!(
            "there is a further page, and its cursor of {length} bytes is too long to be kept"
        ))
    })?;
    if external == hint.external {
        return Err(Undecodable("the page names itself as the next one".into()));
    }
    Ok(Fact::Hint(Hint { resource: "catalog", external, titled: None }))
}

/// An answer of Square's: `errors`, or what was asked for.
#[derive(Deserialize)]
struct Answer {
    errors: Option<Vec<Problem>>,
    objects: Option<Vec<bodies::Object>>,
    cursor: Option<String>,
    order: Option<bodies::Order>,
}

#[derive(Deserialize)]
struct Problem {
    code: Option<String>,
    detail: Option<String>,
}

/// Understands what a call has shown.
pub(super) fn seen(
    hint: &Hint,
    body: &[u8],
    at: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Vec<Fact>, Undecodable> {
    let answer: Answer = read::json(body)?;
    if let Some(Problem { code, detail }) = answer.errors.as_deref().and_then(<[_]>::first) {
        let (code, detail) = (code.as_deref().unwrap_or_default(), detail.as_deref().unwrap_or_default());
        let (code, detail) = (read::word(code), read::word(detail));
        return Err(Undecodable(format!("Square answers with the error {code:?}: {detail}")));
    }
    match hint.resource {
        "catalog" => catalog(hint, answer, at, details),
        "order" => {
            let order = answer.order.ok_or_else(|| Undecodable("the answer shows no order".into()))?;
            order.observed(&hint.external, details.platform_location.as_ref(), bodies::buyer(body))
        }
        _ => Ok(vec![]),
    }
}

fn catalog(
    hint: &Hint,
    answer: Answer,
    at: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Vec<Fact>, Undecodable> {
    let objects = answer.objects.unwrap_or_default();
    read::within(objects.len(), read::FACTS_MAX, "catalogue objects")?;
    let mut facts = Vec::with_capacity(objects.len() + 1);
    for object in objects {
        facts.extend(object.observed(at, details)?);
    }
    if let Some(cursor) = read::filled(answer.cursor) {
        facts.push(next_page(hint, &cursor)?);
    }
    Ok(facts)
}
