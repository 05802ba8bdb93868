//! `/api/reservations`.

use std::time::Duration;

use axum::Json;
use onhand_domain::values::{LocationCode, Quantity, ReservationId, Sku};
use onhand_infrastructure::{
    operations::reservations::{End, Wanted},
    queries::{
        Page,
        reservations::{self, ReservationFilter, ReservationView},
    },
};
use serde::Deserialize;
use uuid::Uuid;

use super::Written;
use crate::{
    app::AppState,
    extract::{Ask, Listing, Path},
    problem::Problem,
};

/// One line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineBody {
    sku: Sku,
    #[serde(default)]
    location: LocationCode,
    quantity: Quantity,
}

impl From<LineBody> for Wanted {
    fn from(line: LineBody) -> Self {
        Self { sku: line.sku, location: line.location, quantity: line.quantity }
    }
}

/// What a buyer wants.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReserveBody {
    lines: Vec<LineBody>,
    ttl_seconds: Option<u64>,
}

/// Which part of a reservation ends; all of it if no lines are given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndBody {
    lines: Option<Vec<LineBody>>,
}

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    status: Option<String>,
}

/// `GET /api/reservations`
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<ReservationView>>, Problem> {
    listing.fresh(&app, "reservations").await?;
    let filter = ReservationFilter { status: listing.filter.status, ..ReservationFilter::default() };
    Ok(Json(reservations::list(app.onhand.pool(), &listing.window, &filter).await?))
}

/// `GET /api/reservations/{id}`
pub async fn show(
    app: AppState,
    Path(id): Path<Uuid>,
    listing: Listing<Filter>,
) -> Result<Json<ReservationView>, Problem> {
    listing.fresh(&app, "reservations").await?;
    let filter = ReservationFilter { id: Some(id), status: None };
    let page = reservations::list(app.onhand.pool(), &listing.window, &filter).await?;
    let found = page.data.into_iter().next();
    Ok(Json(
        found.ok_or_else(|| {
            Problem::missing("reservation.unknown", format!("there is no reservation {id}"))
        })?,
    ))
}

/// `POST /api/reservations`
pub async fn reserve(app: AppState, ask: Ask<ReserveBody>) -> Result<Written, Problem> {
    let lines = ask.body.lines.into_iter().map(Wanted::from).collect();
    let ttl = ask.body.ttl_seconds.map(Duration::from_secs);
    Ok(Written::created(app.onhand.operations.reserve(ask.caller, lines, ttl).await?))
}

/// `POST /api/reservations/{id}/commit`
pub async fn commit(app: AppState, Path(id): Path<Uuid>, ask: Ask<EndBody>) -> Result<Written, Problem> {
    end(&app, id, ask, End::Commit).await
}

/// `POST /api/reservations/{id}/release`
pub async fn release(app: AppState, Path(id): Path<Uuid>, ask: Ask<EndBody>) -> Result<Written, Problem> {
    end(&app, id, ask, End::Release).await
}

async fn end(app: &AppState, id: Uuid, ask: Ask<EndBody>, end: End) -> Result<Written, Problem> {
    let part = ask.body.lines.map(|lines| lines.into_iter().map(Wanted::from).collect());
    let id = ReservationId(id);
    Ok(Written::done(app.onhand.operations.end_reservation(ask.caller, id, end, part).await?))
}
