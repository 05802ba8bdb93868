//! One file a noun. A handler turns a request into one operation or one query, and its result into a response.

pub mod audit_log;
pub mod conflicts;
pub mod connections;
pub mod dead_letters;
pub mod deliveries;
pub mod flags;
pub mod health;
pub mod keys;
pub mod listings;
pub mod locations;
pub mod monitors;
pub mod moves;
pub mod outbox;
pub mod products;
pub mod reconciliations;
pub mod reservations;
pub mod signals;
pub mod stock_levels;
pub mod sync;
pub mod tools;
pub mod webhooks;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use onhand_infrastructure::ledger::Receipt;

use crate::problem::REPLAYED;

/// The answer to a write: what came of it, and its position in the ledger.
pub struct Written {
    status: StatusCode,
    receipt: Receipt,
}

impl Written {
    /// 200, with the receipt.
    pub fn done(receipt: Receipt) -> Self {
        Self { status: StatusCode::OK, receipt }
    }

    /// 201, with the receipt.
    pub fn created(receipt: Receipt) -> Self {
        Self { status: StatusCode::CREATED, receipt }
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        let Receipt { position, answer, replayed } = self.receipt;
        // The answer is an object already written: the position becomes its first field.
        let rest = answer.as_str().trim_start_matches('{');
        let comma = if rest.starts_with('}') { "" } else { "," };
        let body = format!("{{\"position\":{position}{comma}{rest}");
        let mut response = (self.status, [(CONTENT_TYPE, "application/json")], body).into_response();
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("onhand-position"), position.into());
        if replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}
