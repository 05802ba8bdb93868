//! The client of Square's API: counts and prices set and read, products offered, webhooks asked for, access tokens renewed.
//!
//! Square takes a hundred changes a call or none of them, and does not always say which one it minds; here this becomes one
//! outcome for each thing asked, in which nobody pays for another's mistake.

mod catalog;
mod counts;
mod errors;
mod items;
mod open;
mod prices;
mod products;
mod quantities;
mod renewal;
mod shown;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use axum::http::Method;
use onhand_domain::values::ExternalId;
use serde_json::Value;

pub(super) use self::{
    prices::set_prices,
    products::{describe, offer, take_off},
    quantities::set_quantities,
    renewal::renew,
    shown::read,
    subscriptions::{subscribe, subscriptions, unsubscribe},
};
use super::{
    super::{
        adapter::Call,
        outbound::{Api, CallError},
    },
    look,
};

/// The longest id that is sent, in characters. [src: square/connect-api-specification api.json, `InventoryPhysicalCount`]
const ID_MAX: usize = 100;

/// Things in one call. Of changes of stock Square takes no more; of the catalogue's objects it takes more, but so few
/// make an answer of a bounded size. [src: square/connect-python-sdk docs/BatchChangeInventoryRequest.md]
const AT_ONCE: usize = 100;

/// Pages of one list that are read; beyond it something goes round in circles.
const PAGES_MAX: usize = 50;

/// A call with what each call says.
fn call(api: &Api, method: Method, target: &str, body: Option<&Value>) -> Result<Call, CallError> {
    Ok(Call {
        method,
        target: target.to_owned(),
        headers: look::headers(api.token()?),
        body: body.map(Value::to_string),
    })
}

/// An id, unless Square could have given none like it: `#…` would make a new object, and a slash lead elsewhere.
fn checked<'i>(id: &'i ExternalId, what: &str) -> Result<&'i str, CallError> {
    let text = id.as_str();
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text.len() <= ID_MAX && text.bytes().all(fine) {
        return Ok(text);
    }
    Err(CallError::never(format!("{text} is no id of {what}")))
}

/// Of several asks for one thing only the first goes through, in whichever call it is; what is asked for after it is to be
/// asked again.
fn firsts<'i, T>(
    asks: impl Iterator<Item = Result<(&'i str, T), CallError>>,
) -> Vec<Result<(&'i str, T), CallError>> {
    let mut known = BTreeSet::new();
    let first = |ask: Result<(&'i str, T), CallError>| {
        let (id, asked) = ask?;
        if known.insert(id) { Ok((id, asked)) } else { Err(CallError::later()) }
    };
    asks.map(first).collect()
}

/// The location whose stock is kept, without which a count says nothing.
fn location(api: &Api) -> Result<&str, CallError> {
    let location = api.details().platform_location.as_ref().ok_or_else(|| {
        CallError::person(
            "the connection has no platform_location; enter the id of the Square location that sells",
        )
    })?;
    checked(location, "a location").map_err(|_| {
        CallError::person(
            "the connection's platform_location is no id of a Square location; make a new connection with one",
        )
    })
}
