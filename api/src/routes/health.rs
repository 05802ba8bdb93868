//! `/livez`, `/readyz`, `/metrics`: for those who keep the program running. They say nothing about any tenant.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use onhand_infrastructure::{
    ledger::LedgerError,
    queries::{
        projections::{self, Lag},
        standing::{self, Overall},
    },
};
use onhand_projector::registry;
use serde_json::{Value, json};
use tokio::{
    sync::OwnedMutexGuard,
    task::{AbortHandle, JoinError},
    time::timeout,
};

use crate::{
    app::{App, AppState},
    problem::Problem,
};

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

/// How long figures out of the database are waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often they are looked up at most, however many ask.
const LOOKED_UP_EVERY: Duration = Duration::from_secs(3);

/// `GET /metrics`, in Prometheus' text format.
pub async fn metrics(app: AppState) -> Response {
    if app.metrics.is_some() {
        let pool = app.onhand.pool();
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        metrics::gauge!("onhand_pool_connections", "state" => "idle").set(idle);
        metrics::gauge!("onhand_pool_connections", "state" => "in_use").set(pool.size().saturating_sub(idle));
        let answers = app.reach.answers(pool).await;
        metrics::gauge!("onhand_database_up").set(u8::from(answers));
        let looked = answers && matches!(timeout(PATIENCE, in_turn(app.0.clone())).await, Ok(Ok(())));
        if !looked {
            if answers {
                tracing::warn!("figures for /metrics could not be looked up in time");
            }
            gauge_lags(None);
            gauge_work(None);
        }
    }
    let text = app.metrics.as_ref().map(metrics_exporter_prometheus::PrometheusHandle::render);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text.unwrap_or_default()).into_response()
}

/// Looks up, once those before have. In a task of its own: whoever goes away meanwhile leaves no statement behind while the next
/// one begins another.
async fn in_turn(app: App) -> Result<(), JoinError> {
    let last = Arc::clone(&app.looked_up).lock_owned().await;
    tokio::spawn(look_up(app, last)).await
}

/// Looks up what says nothing by itself: a projection that stands still, and what waits for a relay that is not there, or for a
/// person. Figures that were looked up a moment ago stay as they are.
async fn look_up(app: App, mut last: OwnedMutexGuard<Option<Instant>>) {
    if last.is_some_and(|since| since.elapsed() < LOOKED_UP_EVERY) {
        return;
    }
    let (pool, now) = (app.onhand.pool(), app.onhand.ledger().clock().now());
    let lags = projections::lags(pool, &registry::following(), now).await;
    gauge_lags(known(lags).as_deref());
    let work = standing::overall(pool, now).await;
    gauge_work(known(work).as_ref());
    *last = Some(Instant::now());
}

fn known<T>(looked_up: Result<T, sqlx::Error>) -> Option<T> {
    let warn = |error: &sqlx::Error| tracing::warn!(%error, "figures for /metrics could not be looked up");
    looked_up.inspect_err(warn).ok()
}

/// What is not known is no number: an old figure would look as if all were well.
fn gauge_lags(lags: Option<&[Lag]>) {
    for model in registry::following() {
        let figure = |of: fn(&Lag) -> f64| match lags {
            // Without a tenant there is nothing to apply.
            Some(lags) => lags.iter().find(|lag| lag.model == model).map_or(0.0, of),
            None => f64::NAN,
        };
        let (entries, parked) = (figure(|lag| lag.entries as f64), figure(|lag| lag.parked as f64));
        metrics::gauge!("onhand_projection_lag_entries", "model" => model).set(entries);
        metrics::gauge!("onhand_projection_lag_seconds", "model" => model).set(figure(|lag| lag.seconds));
        metrics::gauge!("onhand_projection_parked", "model" => model).set(parked);
    }
}

fn gauge_work(work: Option<&Overall>) {
    let figure = |of: fn(&Overall) -> f64| work.map_or(f64::NAN, of);
    metrics::gauge!("onhand_outbox_pending").set(figure(|work| work.outbox_pending as f64));
    metrics::gauge!("onhand_outbox_oldest_seconds").set(figure(|work| work.outbox_due_seconds));
    let dead = [
        ("pushes", figure(|work| work.outbox_dead as f64)),
        ("follow_ups", figure(|work| work.follow_ups_dead as f64)),
        ("deliveries", figure(|work| work.deliveries_failed as f64)),
    ];
    for (of, number) in dead {
        metrics::gauge!("onhand_dead_letters", "of" => of).set(number);
    }
    metrics::gauge!("onhand_conflicts_open").set(figure(|work| work.conflicts as f64));
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[tokio::test]
    async fn what_does_not_go_on_is_named() {
        let goes_on = tokio::spawn(std::future::pending::<()>());
        let broken = tokio::spawn(std::future::ready(()));
        let at_work = [("relay", goes_on.abort_handle()), ("projector", broken.abort_handle())];
        broken.await.expect("it comes to its end");
        assert_eq!(ended(&at_work), ["projector"]);
    }

    #[test]
    fn a_figure_that_is_not_known_is_no_number() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            gauge_lags(Some(&[]));
            gauge_lags(None);
            gauge_work(None);
        });
        let told = recorder.handle().render();
        let figures: Vec<&str> = told.lines().filter(|line| line.starts_with("onhand_")).collect();
        assert_eq!(figures.len(), 3 * registry::following().len() + 6, "{told}");
        assert!(figures.iter().all(|figure| figure.ends_with(" NaN")), "{told}");
    }
}
