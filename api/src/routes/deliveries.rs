//! `/api/deliveries`: what came in, what became of it, and how it fared.

use axum::{Json, extract::Query};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use onhand_infrastructure::queries::{
    Page,
    deliveries::{self, DeliveryFilter, DeliveryView, ResultingEntry, ResultingPush},
    webhook_traces::{self, Stage, WebhookFigures},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    app::AppState,
    extract::{Listing, Path, Reader, Time},
    problem::Problem,
};

/// The longest window that figures are made for.
const WINDOW_MAX: TimeDelta = TimeDelta::days(31);

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    status: Option<String>,
    platform: Option<String>,
    connection: Option<Uuid>,
    topic: Option<String>,
    outcome: Option<String>,
    from: Option<Time>,
    until: Option<Time>,
    text: Option<String>,
}

/// `GET /api/deliveries`, newest first.
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<DeliveryView>>, Problem> {
    listing.fresh(&app, "deliveries").await?;
    let Filter { status, platform, connection, topic, outcome, from, until, text } = listing.filter;
    let (from, until) = (from.map(Into::into), until.map(Into::into));
    let filter = DeliveryFilter { status, platform, connection, topic, outcome, from, until, text };
    Ok(Json(deliveries::list(app.onhand.pool(), &listing.window, &filter).await?))
}

/// One delivery, whole.
#[derive(Debug, Serialize)]
pub struct Shown {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// Secrets masked.
    headers: Option<Value>,
    /// As text, if it is text.
    body: Option<String>,
    /// Byte for byte, if it is not.
    body_base64: Option<String>,
    /// One list for each time it came, as far as that was observed.
    stages: Vec<Vec<Stage>>,
    /// What followed, in order.
    entries: Vec<ResultingEntry>,
    /// What platforms were to be told from then on.
    pushes: Vec<ResultingPush>,
}

/// `GET /api/deliveries/{id}`
pub async fn show(app: AppState, reader: Reader, Path(id): Path<Uuid>) -> Result<Json<Shown>, Problem> {
    let pool = app.onhand.pool();
    let delivery = deliveries::find(pool, reader.tenant, reader.brand.as_deref(), id)
        .await?
        .ok_or_else(|| Problem::missing("delivery.unknown", format!("there is no delivery {id}")))?;
    let bytes = deliveries::bytes(pool, reader.tenant, id).await?;
    let (headers, body) = bytes.map(|bytes| (bytes.headers, bytes.body)).unzip();
    let (body, body_base64) = match body.map(String::from_utf8) {
        Some(Ok(text)) => (Some(text), None),
        Some(Err(bytes)) => (None, Some(STANDARD.encode(bytes.as_bytes()))),
        None => (None, None),
    };
    let mut entries = deliveries::entries(pool, reader.tenant, id, delivery.position).await?;
    entries.reverse();
    let pushes = deliveries::pushes(pool, reader.tenant, reader.brand.as_deref(), &entries).await?;
    let stages = webhook_traces::stages(pool, reader.tenant, id).await?;
    Ok(Json(Shown { delivery, headers, body, body_base64, stages, entries, pushes }))
}

/// A stretch of time; the last hour if nothing is said.
#[derive(Debug, Deserialize)]
pub struct Stretch {
    from: Option<Time>,
    until: Option<Time>,
}

/// Figures for each platform.
#[derive(Debug, Serialize)]
pub struct Figures {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    platforms: Vec<WebhookFigures>,
}

/// `GET /api/deliveries/figures`: volumes, success and latency per platform.
pub async fn figures(
    app: AppState,
    reader: Reader,
    stretch: Result<Query<Stretch>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Figures>, Problem> {
    let Query(stretch) = stretch?;
    let until = stretch.until.map_or_else(|| app.onhand.ledger().clock().now(), Into::into);
    let from = stretch.from.map_or(until - TimeDelta::hours(1), Into::into);
    if from >= until || until - from > WINDOW_MAX {
        return Err(Problem::bad_request("filter.invalid", "from lies before until, at most 31 days"));
    }
    let brand = reader.brand.as_deref();
    let platforms = webhook_traces::figures(app.onhand.pool(), reader.tenant, brand, from, until).await?;
    Ok(Json(Figures { from, until, platforms }))
}
