//! `/api/kicks/monitors`: which models of the market feed are watched, and how.

use std::collections::BTreeSet;

use axum::Json;
use onhand_domain::{
    Refusal,
    connection::Platform,
    monitor::{MonitorDetails, MonitorKind},
    values::{ConnectionId, Market, MonitorId},
};
use onhand_infrastructure::queries::{
    Page,
    monitors::{self, MonitorView},
    webhook_traces::{self, WebhookFigures},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Written;
use crate::{
    app::AppState,
    extract::{Ask, Empty, Listing, Path, Reader},
    problem::Problem,
};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    connection: Option<Uuid>,
}

/// A watch on a model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitorBody {
    connection: Uuid,
    style_code: String,
    kind: MonitorKind,
    frequency_minutes: u32,
    markets: BTreeSet<Market>,
    /// Changes of less than this do not count; to a hundredth of a percent.
    #[serde(default)]
    threshold_percent: f64,
}

/// `GET /api/kicks/monitors`
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<MonitorView>>, Problem> {
    Ok(Json(monitors::list(app.onhand.pool(), &listing.window, listing.filter.connection).await?))
}

/// `PUT /api/kicks/monitors`: there is one for each connection and model.
pub async fn set(app: AppState, ask: Ask<MonitorBody>) -> Result<Written, Problem> {
    let MonitorBody { connection, style_code, kind, frequency_minutes, markets, threshold_percent } =
        ask.body;
    if !(0.0..=100.0).contains(&threshold_percent) {
        let detail = "threshold_percent is from 0 to 100";
        return Err(Refusal::invalid("monitor.invalid", detail).into());
    }
    let details = MonitorDetails {
        connection: ConnectionId(connection),
        style_code,
        kind,
        frequency_minutes,
        markets,
        threshold_basis_points: (threshold_percent * 100.0).round() as u32,
    };
    Ok(Written::done(app.onhand.operations.set_monitor(ask.caller, details).await?))
}

/// `POST /api/kicks/monitors/{id}/enable`
pub async fn enable(app: AppState, Path(id): Path<Uuid>, ask: Ask<Empty>) -> Result<Written, Problem> {
    Ok(Written::done(app.onhand.operations.switch_monitor(ask.caller, MonitorId(id), true).await?))
}

/// `POST /api/kicks/monitors/{id}/disable`
pub async fn disable(app: AppState, Path(id): Path<Uuid>, ask: Ask<Empty>) -> Result<Written, Problem> {
    Ok(Written::done(app.onhand.operations.switch_monitor(ask.caller, MonitorId(id), false).await?))
}

/// How the market feed is doing.
#[derive(Debug, Serialize)]
pub struct Status {
    monitors: i64,
    monitors_enabled: i64,
    /// Of the last hour; none if nothing came.
    last_hour: Option<WebhookFigures>,
}

/// `GET /api/kicks/monitor/status`
pub async fn status(app: AppState, reader: Reader) -> Result<Json<Status>, Problem> {
    let (pool, until) = (app.onhand.pool(), app.onhand.ledger().clock().now());
    let (monitors, monitors_enabled) = monitors::count(pool, reader.tenant, reader.brand.as_deref()).await?;
    let from = until - chrono::TimeDelta::hours(1);
    let figures = webhook_traces::figures(pool, reader.tenant, reader.brand.as_deref(), from, until).await?;
    let last_hour = figures.into_iter().find(|figures| figures.platform == Platform::Kicksdb.name());
    Ok(Json(Status { monitors, monitors_enabled, last_hour }))
}
