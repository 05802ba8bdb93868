//! `/livez`, `/readyz`, `/metrics`: for those who keep the program running. They say nothing about any tenant.

use std::time::Duration;

use axum::{
    Json,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use onhand_infrastructure::{
    ledger::LedgerError,
    queries::{
        projections::{self, Lag},
        standing,
    },
};
use onhand_projector::registry;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::{app::AppState, problem::Problem};

/// `GET /livez`: the process answers.
pub async fn live() -> Json<Value> {
    Json(json!({ "status": "pass" }))
}

/// When whoever asks in vain may ask again: a restart takes about as long.
const RESTART_SECONDS: u32 = 5;

/// `GET /readyz`: the database answers, too, and all that this process does beside answering goes on.
pub async fn ready(app: AppState) -> Result<Json<Value>, Problem> {
    let ended = ended(app.at_work.get().map(Vec::as_slice).unwrap_or_default());
    if !ended.is_empty() {
        let ended = ended.join(", ");
        let detail = format!("{ended}: no longer at work in this process, which has to be started again");
        return Err(Problem::unavailable("server.incomplete", detail, RESTART_SECONDS));
    }
    if !app.reach.answers(app.onhand.pool()).await {
        return Err(LedgerError::Unavailable("it lets nobody in".to_owned()).into());
    }
    Ok(Json(json!({ "status": "pass" })))
}

/// What has come to its end of what never does.
fn ended(at_work: &[(&'static str, AbortHandle)]) -> Vec<&'static str> {
    at_work.iter().filter(|(_, task)| task.is_finished()).map(|(name, _)| *name).collect()
}

/// How long figures out of the database are waited for; they stay as they were until they can be had.
const PATIENCE: Duration = Duration::from_secs(1);

/// `GET /metrics`, in Prometheus' text format.
pub async fn metrics(app: AppState) -> Response {
    if app.metrics.is_some() {
        let pool = app.onhand.pool();
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        metrics::gauge!("onhand_pool_connections", "state" => "idle").set(idle);
        metrics::gauge!("onhand_pool_connections", "state" => "in_use").set(pool.size().saturating_sub(idle));
        let answers = app.reach.answers(pool).await;
        metrics::gauge!("onhand_database_up").set(u8::from(answers));
        if answers {
            gauge_lags(&app).await;
            gauge_work(&app).await;
        }
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

/// Nor does what waits for a relay that is not there, or for a person, say anything by itself.
async fn gauge_work(app: &AppState) {
    let work = standing::overall(app.onhand.pool(), app.onhand.ledger().clock().now());
    let Ok(Ok(work)) = tokio::time::timeout(PATIENCE, work).await else { return };
    metrics::gauge!("onhand_outbox_pending").set(work.outbox_pending as f64);
    metrics::gauge!("onhand_outbox_oldest_seconds").set(work.outbox_due_seconds);
    metrics::gauge!("onhand_dead_letters", "of" => "pushes").set(work.outbox_dead as f64);
    metrics::gauge!("onhand_dead_letters", "of" => "deliveries").set(work.deliveries_failed as f64);
    metrics::gauge!("onhand_conflicts_open").set(work.conflicts as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_go_on_is_named() {
        let goes_on = tokio::spawn(std::future::pending::<()>());
        let broken = tokio::spawn(std::future::ready(()));
        let at_work = [("relay", goes_on.abort_handle()), ("projector", broken.abort_handle())];
        broken.await.expect("it comes to its end");
        assert_eq!(ended(&at_work), ["projector"]);
    }
}
