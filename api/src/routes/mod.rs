//! One file a noun. A handler turns a request into one operation or one query, and its result into a response.

pub mod audit_log;
pub mod connections;
pub mod deliveries;
pub mod health;
pub mod keys;
pub mod listings;
pub mod outbox;
pub mod products;
pub mod reservations;
pub mod stock_levels;
pub mod webhooks;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use onhand_infrastructure::ledger::Receipt;
use serde_json::Value;

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
        let Receipt { position, mut answer, replayed } = self.receipt;
        if let Value::Object(fields) = &mut answer {
            fields.insert("position".to_owned(), position.into());
        }
        let mut response = (self.status, Json(answer)).into_response();
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("onhand-position"), position.into());
        if replayed {
            headers.insert(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
        }
        response
    }
}
