//! `/livez`, `/readyz`, `/metrics`: for those who keep the program running. They say nothing about any tenant.

use axum::{
    Json,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{app::AppState, problem::Problem};

/// `GET /livez`: the process answers.
pub async fn live() -> Json<Value> {
    Json(json!({ "status": "pass" }))
}

/// `GET /readyz`: the database answers, too.
pub async fn ready(app: AppState) -> Result<Json<Value>, Problem> {
    sqlx::query("select 1").execute(app.onhand.pool()).await?;
    Ok(Json(json!({ "status": "pass" })))
}

/// `GET /metrics`, in Prometheus' text format.
pub async fn metrics(app: AppState) -> Response {
    let text = app.metrics.as_ref().map(metrics_exporter_prometheus::PrometheusHandle::render);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text.unwrap_or_default()).into_response()
}
