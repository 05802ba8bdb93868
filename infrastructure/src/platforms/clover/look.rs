//! Looking at what Clover's webhooks hint at: the calls, and which record their answers show.
//!
//! Items are asked for with their stock and orders with their lines and payments, each in one call.

pub(super) mod bodies;

use axum::http::Method;
use chrono::{DateTime, Utc};
use onhand_domain::connection::ConnectionDetails;
use serde::Deserialize;

use super::super::{
    adapter::{Access, Call, Hint},
    fact::{Fact, Undecodable},
    read,
};

/// The call that shows what was hinted at.
pub(super) fn look(hint: &Hint, access: &Access<'_>) -> Option<Call> {
    let id = read::escaped(hint.external.as_str());
    let below = match hint.resource {
        "product" => format!("items/{id}?expand=itemStock"),
        "order" => format!("orders/{id}?expand=lineItems,payments"),
        _ => return None,
    };
    call(Method::GET, &below, None, access)
}

/// A call to something of the merchant's; none where the connection lacks its account or its token.
pub(super) fn call(method: Method, below: &str, body: Option<String>, access: &Access<'_>) -> Option<Call> {
    let token = access.token?;
    let merchant = read::escaped(access.details.account.as_deref()?);
    let target = format!("/v3/merchants/{merchant}/{below}");
    let headers = vec![("authorization", format!("Bearer {}", token.reveal()))];
    Some(Call { method, target, headers, body })
}

/// What Clover answers with where it shows no record.
#[derive(Deserialize)]
pub(super) struct Problem {
    /// In Clover's words.
    pub(super) message: Option<String>,
}

/// Understands what a call has shown.
pub(super) fn seen(
    hint: &Hint,
    body: &[u8],
    at: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Vec<Fact>, Undecodable> {
    let Problem { message } = read::json(body)?;
    if let Some(message) = message {
        return no_record(hint, &message);
    }
    match hint.resource {
        "product" => read::json::<bodies::Item>(body)?.observed(&hint.external, at, details.currency),
        "order" => read::json::<bodies::Order>(body)?.observed(&hint.external),
        _ => Ok(vec![]),
    }
}

/// An item that is not there has been removed. An order that is not there may only be too new to be shown;
/// that one was deleted is told by a webhook.
fn no_record(hint: &Hint, message: &str) -> Result<Vec<Fact>, Undecodable> {
    if !message.to_lowercase().contains("not found") {
        return Err(Undecodable(format!("Clover answers: {}", read::word(message))));
    }
    match hint.resource {
        "product" => Ok(vec![Fact::ProductRemoved { external: hint.external.clone() }]),
        _ => Err(Undecodable("Clover does not show the order, yet or any more".into())),
    }
}
