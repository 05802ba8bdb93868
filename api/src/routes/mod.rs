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
pub mod privacy;
pub mod products;
mod progress;
pub mod projections;
pub mod proofs;
pub mod rebuilds;
pub mod reconciliations;
pub mod reservations;
pub mod signals;
pub mod stock_levels;
pub mod streams;
pub mod sync;
pub mod tools;
pub mod webhooks;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use onhand_infrastructure::{ledger::Receipt, queries::Page};
use serde::Serialize;

use crate::problem::REPLAYED;

/// Says at which position a write was decided.
const POSITION: HeaderName = HeaderName::from_static("onhand-position");
/// Says at which position an answer about the past was true.
const AS_OF: HeaderName = HeaderName::from_static("x-onhand-as-of");

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
        headers.insert(POSITION, position.into());
        if replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// The answer to a read: what is, or what was at a position.
pub struct Read<T> {
    data: T,
    as_of: Option<i64>,
}

impl<T> Read<T> {
    /// As it is now.
    pub fn now(data: T) -> Self {
        Self { data, as_of: None }
    }

    /// As it was at this position.
    pub fn at(position: i64, data: T) -> Self {
        Self { data, as_of: Some(position) }
    }
}

impl<T> Read<Page<T>> {
    /// The first row, if there is one.
    pub fn first(self) -> Option<Read<T>> {
        let data = self.data.data.into_iter().next()?;
        Some(Read { data, as_of: self.as_of })
    }
}

impl<T: Serialize> IntoResponse for Read<T> {
    fn into_response(self) -> Response {
        let as_of = self.as_of.map(|position| [(AS_OF, HeaderValue::from(position))]);
        (as_of, Json(self.data)).into_response()
    }
}
