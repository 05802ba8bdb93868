//! The shop's words for why not: of a whole call, or of one item in a batch. Both have one shape.

use std::time::Duration;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::super::{
        outbound::{Answer, CallError},
        read,
    },
    batch::UPDATES_MAX,
};

/// How long to wait for a shop that asks for patience in a body, where it cannot say for how long.
const PAUSE: Duration = Duration::from_secs(1);

/// `{ code, message, data: { status } }`: an error as `WordPress` writes it down.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    code: Value,
    message: Value,
    data: Value,
}

impl Refusal {
    /// What the refusal of one item means. `WordPress` takes an error without a status for one of its own.
    pub(super) fn meaning(&self) -> CallError {
        self.with_status(read::whole(&self.data["status"]).unwrap_or(500))
    }

    fn with_status(&self, status: i64) -> CallError {
        let why = format!("the shop answers {}: {}", text(&self.code), text(&self.message));
        match status {
            401 | 403 => CallError::person(format!("{why}; renew the keys and their permissions")),
            408 | 425 | 429 => CallError::wait(PAUSE, why),
            500.. => CallError::failed(why),
            _ => CallError::never(why),
        }
    }

    /// Where the name is that it says is there already.
    pub(super) fn existing(&self) -> Option<i64> {
        let known = self.code.as_str().is_some_and(|code| code == "term_exists");
        known.then(|| read::whole(&self.data["resource_id"])).flatten()
    }

    /// Whether it says that there is no such thing.
    pub(super) fn is_absence(&self) -> bool {
        self.code.as_str().is_some_and(|code| code.ends_with("_invalid_id"))
    }
}

/// The refusal in an answer, if there are words in it.
pub(super) fn words(answer: &Answer) -> Option<Refusal> {
    read::json::<Refusal>(&answer.body).ok().filter(|refusal| refusal.code.is_string())
}

/// What the refusal of a whole call means.
pub(super) fn of(answer: &Answer) -> CallError {
    let refusal = words(answer);
    match refusal.as_ref().and_then(|refusal| refusal.code.as_str()) {
        Some("woocommerce_rest_request_entity_too_large") => CallError::person(format!(
            "the shop takes fewer listings at once than WooCommerce does; \
             raise its woocommerce_rest_batch_items_limit to {UPDATES_MAX}"
        )),
        // A 404 of the web server has no words: WordPress is not there, or has plain permalinks.
        Some("rest_no_route") => no_api(),
        None if answer.status == StatusCode::NOT_FOUND => no_api(),
        _ => refusal
            .as_ref()
            .map_or_else(|| answer.refusal(), |it| it.with_status(answer.status.as_u16().into())),
    }
}

fn no_api() -> CallError {
    CallError::person(
        "there is no WooCommerce API at the endpoint; see that WooCommerce is active there and that the \
         permalinks are not plain, or make a new connection with the right endpoint",
    )
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
