//! The HTTP side of the API: who may ask, what goes wrong on purpose, what it costs, what is answered.
//! Each refusal comes from the layer it comes from live: HTTP status, errors at the top, or errors of the user.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use axum::{Router, serve as serve_http};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::super::super::sandbox::door::{Cut, Door};
use super::super::super::sandbox::faults::SILENCE_MAX;
use super::control;
use super::document::Document;
use super::graphql::Request;
use super::shop::{Core, lock};

/// The largest request body that is read.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The most a single document may cost, whatever the bucket holds.
const COST_MAX: f64 = 1000.0;

pub(super) async fn serve(door: Door, core: Arc<Core>) {
    let routes = Router::new()
        .route("/admin/api/{version}/graphql.json", post(graphql))
        .merge(control::routes())
        .fallback(async || failure(StatusCode::NOT_FOUND, "Nothing is served at this address"))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(core);
    if let Err(error) = serve_http(door, routes.into_make_service_with_connect_info::<Cut>()).await {
        tracing::warn!(%error, "the stand-in shop stopped serving");
    }
}

/// An error of the HTTP layer, in the platform's shape.
pub(super) fn failure(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"errors": message}))).into_response()
}

async fn graphql(
    State(core): State<Arc<Core>>,
    ConnectInfo(line): ConnectInfo<Cut>,
    Path(version): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let faults = &core.faults;
    let settings = faults.settings();
    if settings.down {
        return failure(StatusCode::SERVICE_UNAVAILABLE, "The shop is down");
    }
    if faults.strikes(|faults| faults.drop_connection_rate) {
        return hang_up(&line);
    }
    if let Some(status) = faults.takes_failure() {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return failure(status, "The platform failed, as it was told to");
    }
    let token = headers.get("X-Shopify-Access-Token").map(|token| token.as_bytes());
    if token != Some(core.settings.access_token.as_bytes()) {
        return failure(
            StatusCode::UNAUTHORIZED,
            "[API] The access token is missing or not one of this shop",
        );
    }
    if version != core.settings.api_version {
        return failure(StatusCode::NOT_FOUND, "This API version is not served");
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return failure(rejection.status(), "The body cannot be read"),
    };
    let Ok(request) = serde_json::from_slice::<Request>(&body) else {
        return failure(StatusCode::BAD_REQUEST, "The body is no GraphQL request in JSON");
    };
    let document = match Document::read(request) {
        Ok(document) => document,
        // The platform sends no cost with these, because it never got to execution.
        Err(errors) => return Json(json!({"errors": errors})).into_response(),
    };
    if let Some(refused) = over_budget(&core, &document) {
        return refused;
    }
    let silent = faults.takes_silence();
    let drops = faults.strikes(|faults| faults.drop_after_applying_rate);
    // A task of its own, because a caller that gives up does not stop the platform from applying what it was sent.
    let work = tokio::spawn(execute(
        core.clone(),
        document,
        Duration::from_millis(settings.delay_ms).min(SILENCE_MAX),
    ));
    let Ok(answer) = work.await else {
        return failure(StatusCode::INTERNAL_SERVER_ERROR, "The request broke off");
    };
    if silent {
        tokio::time::sleep(SILENCE_MAX).await;
    }
    if silent || drops {
        return hang_up(&line);
    }
    said(&answer, Duration::from_millis(settings.slow_body_ms).min(SILENCE_MAX))
}

/// The answer, all but its first byte as late as it is to be.
fn said(answer: &Value, slow: Duration) -> Response {
    if slow.is_zero() {
        return Json(answer).into_response();
    }
    let text = answer.to_string();
    let (first, rest) = (text[..1].to_owned(), text[1..].to_owned());
    let first = stream::once(async move { Ok::<_, Infallible>(first) });
    let rest = stream::once(async move {
        tokio::time::sleep(slow).await;
        Ok::<_, Infallible>(rest)
    });
    ([(CONTENT_TYPE, "application/json")], Body::from_stream(first.chain(rest))).into_response()
}

fn hang_up(line: &Cut) -> Response {
    line.cut();
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Reserves the cost; what cannot be afforded is refused here.
fn over_budget(core: &Core, document: &Document) -> Option<Response> {
    let cost = document.requested_cost;
    if cost > COST_MAX {
        let message = format!("The query costs {cost} points and a single one may cost {COST_MAX}");
        let extensions = json!({"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": COST_MAX});
        let error = json!({"message": message, "extensions": extensions});
        return Some(Json(json!({"errors": [error]})).into_response());
    }
    if !core.faults.takes_throttle() && lock(&core.bucket).reserve(cost, Instant::now()) {
        return None;
    }
    lock(&core.calls).throttled += 1;
    if core.faults.settings().throttle_as_429 {
        let mut response = failure(StatusCode::TOO_MANY_REQUESTS, "Too much was asked in too short a time");
        response.headers_mut().insert("Retry-After", axum::http::HeaderValue::from_static("1.0"));
        return Some(response);
    }
    let error =
        json!({"message": "The bucket holds too little for this", "extensions": {"code": "THROTTLED"}});
    Some(Json(json!({"errors": [error], "extensions": cost_extension(core, cost, None)})).into_response())
}

async fn execute(core: Arc<Core>, document: Document, delay: Duration) -> Value {
    let starts = core.with(|state| document.start(state));
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let outcome = core.with(|state| document.execute(state, starts));
    for field in document.roots() {
        *lock(&core.calls).graphql.entry(field.name.clone()).or_default() += 1;
    }
    lock(&core.bucket).refund(document.requested_cost - outcome.actual_cost);
    let cost = cost_extension(&core, document.requested_cost, Some(outcome.actual_cost));
    let mut answer = json!({"data": outcome.data, "extensions": cost});
    if !outcome.errors.is_empty() {
        answer["errors"] = Value::Array(outcome.errors);
    }
    answer
}

fn cost_extension(core: &Core, requested: f64, actual: Option<f64>) -> Value {
    let available = lock(&core.bucket).available(Instant::now());
    let size = core.settings.bucket;
    json!({"cost": {
        "requestedQueryCost": requested as i64,
        "actualQueryCost": actual.map(|cost| cost as i64),
        "throttleStatus": {
            "maximumAvailable": size.maximum_available as i64,
            "currentlyAvailable": available as i64,
            "restoreRate": size.restore_rate as i64,
        },
    }})
}
