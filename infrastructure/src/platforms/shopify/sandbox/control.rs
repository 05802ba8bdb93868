//! The shop's back room over HTTP, for people with `curl`: sell, cancel, count, break things.
//! It lies beside the platform's own paths and outside the faults, so that a broken shop can be mended.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::server::failure;
use super::shop::Core;
use super::state::SeedProduct;
use super::{queries, schema};

type Shop = State<Arc<Core>>;
type Body = Result<Bytes, BytesRejection>;

pub(super) fn routes() -> Router<Arc<Core>> {
    Router::new()
        .route("/sandbox", get(overview))
        .route("/sandbox/products", post(add_product))
        .route("/sandbox/orders", post(place_order))
        .route("/sandbox/orders/{id}/cancel", post(cancel_order))
        .route("/sandbox/stock", post(set_stock))
        .route("/sandbox/faults", post(change_faults).delete(clear_faults))
        .route("/sandbox/subscriptions", post(subscribe))
}

#[derive(Deserialize)]
struct NewOrder {
    lines: Vec<NewLine>,
}

#[derive(Deserialize)]
struct NewLine {
    sku: String,
    quantity: i64,
}

#[derive(Deserialize)]
struct Count {
    sku: String,
    available: i64,
}

#[derive(Deserialize)]
struct NewSubscription {
    topic: String,
    uri: String,
}

/// Why a request was turned away.
struct Refused(StatusCode, String);

impl Refused {
    fn new(status: StatusCode, message: &str) -> Self {
        Self(status, message.to_owned())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        failure(self.0, &self.1)
    }
}

fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let body = body.map_err(|rejection| Refused::new(rejection.status(), "The body cannot be read"))?;
    serde_json::from_slice(&body)
        .map_err(|error| Refused::new(StatusCode::BAD_REQUEST, &format!("The body does not fit: {error}")))
}

async fn overview(State(core): Shop) -> Json<Value> {
    let subscriptions: Vec<Value> =
        core.with(|state| state.subscriptions.values().map(queries::subscription).collect());
    Json(json!({
        "shop": core.settings.domain,
        "api_version": core.settings.api_version,
        "location_id": core.settings.location_id,
        "shows": core.shows(),
        "calls": core.calls(),
        "faults": core.faults.settings(),
        "subscriptions": subscriptions,
    }))
}

async fn add_product(State(core): Shop, body: Body) -> Result<Response, Refused> {
    let product: SeedProduct = read(body)?;
    let ids = core.with(|state| state.seed(product));
    Ok((StatusCode::CREATED, Json(ids)).into_response())
}

async fn place_order(State(core): Shop, body: Body) -> Result<Response, Refused> {
    let order: NewOrder = read(body)?;
    let lines: Vec<_> = order.lines.into_iter().map(|line| (line.sku, line.quantity)).collect();
    match core.with(|state| state.buy(&lines)) {
        Some(id) => Ok((StatusCode::CREATED, Json(json!({"order_id": id}))).into_response()),
        None => {
            Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "The shop does not show enough of everything"))
        }
    }
}

async fn cancel_order(State(core): Shop, Path(id): Path<String>) -> Result<Response, Refused> {
    if id.parse().is_ok_and(|id| core.with(|state| state.cancel(id))) {
        return Ok(Json(json!({"cancelled": id})).into_response());
    }
    Err(Refused::new(StatusCode::NOT_FOUND, "No open order has this id"))
}

async fn set_stock(State(core): Shop, body: Body) -> Result<Response, Refused> {
    let count: Count = read(body)?;
    if core.set_quantity_by_hand(&count.sku, count.available) {
        return Ok(Json(json!({"sku": count.sku, "available": count.available})).into_response());
    }
    Err(Refused::new(StatusCode::NOT_FOUND, "No variant has this code"))
}

async fn change_faults(State(core): Shop, body: Body) -> Result<Response, Refused> {
    let changes: Map<String, Value> = read(body)?;
    let refuse = |error: serde_json::Error| Refused::new(StatusCode::BAD_REQUEST, &error.to_string());
    core.faults.change(changes).map_err(refuse)?;
    Ok(Json(core.faults.settings()).into_response())
}

async fn clear_faults(State(core): Shop) -> Response {
    core.faults.clear();
    Json(core.faults.settings()).into_response()
}

async fn subscribe(State(core): Shop, body: Body) -> Result<Response, Refused> {
    let wanted: NewSubscription = read(body)?;
    let refuse = |message: &str| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, message);
    let topic = schema::topic(&wanted.topic).ok_or_else(|| refuse("This topic is not known"))?;
    core.with(|state| match state.subscribe(topic, &wanted.uri) {
        Ok(subscription) => {
            Ok((StatusCode::CREATED, Json(queries::subscription(subscription))).into_response())
        }
        Err(message) => Err(refuse(message)),
    })
}
