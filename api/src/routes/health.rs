//! `/livez`, `/readyz`, `/metrics`: for those who keep the program running. They say nothing about any tenant.

use std::time::Duration;

use axum::{
    Json,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use onhand_infrastructure::queries::projections::{self, Lag};
use onhand_projector::registry;
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

/// How long figures out of the database are waited for; the others are told without them.
const PATIENCE: Duration = Duration::from_secs(1);

/// `GET /metrics`, in Prometheus' text format.
pub async fn metrics(app: AppState) -> Response {
    if app.metrics.is_some() {
        gauge_lags(&app).await;
    }
    let text = app.metrics.as_ref().map(metrics_exporter_prometheus::PrometheusHandle::render);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text.unwrap_or_default()).into_response()
}

/// A projection that stands still says nothing by itself, so it is looked at when somebody asks.
async fn gauge_lags(app: &AppState) {
    let (following, now) = (registry::following(), app.onhand.ledger().clock().now());
    let lags = projections::lags(app.onhand.pool(), &following, now);
    let Ok(Ok(lags)) = tokio::time::timeout(PATIENCE, lags).await else { return };
    for Lag { model, entries, seconds, parked } in lags {
        metrics::gauge!("onhand_projection_lag_entries", "model" => model.clone()).set(entries as f64);
        metrics::gauge!("onhand_projection_lag_seconds", "model" => model.clone()).set(seconds);
        metrics::gauge!("onhand_projection_parked", "model" => model).set(parked as f64);
    }
}
