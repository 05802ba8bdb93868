//! `/api/reservations`.

use std::time::Duration;

use onhand_domain::values::{LocationCode, Object, Quantity, ReservationId, Sku};
use onhand_infrastructure::{
    operations::{
        Caller,
        reservations::{Reserve, Step, Wanted},
    },
    queries::{
        Page, at,
        reservations::{self, ReservationFilter, ReservationView},
    },
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Read, Written};
use crate::{
    app::AppState,
    extract::{AnyTime, Ask, Empty, Listing, Path, Query, Reference},
    problem::Problem,
};

/// One line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineBody {
    sku: Sku,
    location: Option<LocationCode>,
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
    lines: Vec<Object<LineBody>>,
    ttl_seconds: Option<u64>,
    owner: Option<String>,
}

/// Which part of a reservation is sold; all of it if no lines are given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitBody {
    lines: Option<Vec<Object<LineBody>>>,
    reference: Reference,
}

/// Which part of a reservation is given back; all of it if no lines are given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseBody {
    lines: Option<Vec<Object<LineBody>>>,
}

/// How much more time a reservation gets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtendBody {
    ttl_seconds: Option<u64>,
}

/// How long a reservation is kept for a payment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentBody {
    grace_seconds: Option<u64>,
}

/// What somebody would like to know.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvailabilityBody {
    lines: Vec<Object<LineBody>>,
}

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    status: Option<String>,
}

/// `GET /api/reservations`
pub async fn list(
    app: AppState,
    listing: Listing<Filter, AnyTime>,
) -> Result<Read<Page<ReservationView>>, Problem> {
    let filter = ReservationFilter { id: None, status: listing.filter.status.clone() };
    find(&app, &listing, &filter).await
}

/// `GET /api/reservations/{id}`
pub async fn show(
    app: AppState,
    Path(id): Path<Uuid>,
    listing: Listing<Empty, AnyTime>,
) -> Result<Read<ReservationView>, Problem> {
    let filter = ReservationFilter { id: Some(id), status: None };
    let found = find(&app, &listing, &filter).await?;
    found
        .first()
        .ok_or_else(|| Problem::missing("reservation.unknown", format!("there is no reservation {id}")))
}

async fn find<F>(
    app: &AppState,
    listing: &Listing<F, AnyTime>,
    filter: &ReservationFilter,
) -> Result<Read<Page<ReservationView>>, Problem> {
    const MODEL: &str = "reservations";
    let (pool, window) = (app.onhand.pool(), &listing.window);
    filter.check()?;
    listing.fresh(app, MODEL).await?;
    let Some(position) = listing.at(app).await? else {
        return Ok(Read::now(reservations::list(pool, window, filter).await?));
    };
    // What the read model has not got to yet, it cannot be asked about.
    listing.reached(app, MODEL, position).await?;
    Ok(Read::at(position, at::reservations::list(pool, window, filter, position).await?))
}

/// `POST /api/reservations`
pub async fn reserve(app: AppState, ask: Ask<ReserveBody>) -> Result<Written, Problem> {
    let ReserveBody { lines, ttl_seconds, owner } = ask.body;
    let reserve = Reserve { lines: wanted(lines), ttl: ttl_seconds.map(Duration::from_secs), owner };
    Ok(Written::created(app.onhand.operations.reserve(ask.caller, reserve).await?))
}

/// `POST /api/reservations/{id}/commit`
pub async fn commit(app: AppState, Path(id): Path<Uuid>, ask: Ask<CommitBody>) -> Result<Written, Problem> {
    let CommitBody { lines, reference: Reference(reference) } = ask.body;
    step(&app, id, ask.caller, Step::Commit { reference }, lines).await
}

/// `POST /api/reservations/{id}/release`
pub async fn release(app: AppState, Path(id): Path<Uuid>, ask: Ask<ReleaseBody>) -> Result<Written, Problem> {
    step(&app, id, ask.caller, Step::Release, ask.body.lines).await
}

/// `POST /api/reservations/{id}/extend`
pub async fn extend(app: AppState, Path(id): Path<Uuid>, ask: Ask<ExtendBody>) -> Result<Written, Problem> {
    let ttl = ask.body.ttl_seconds.map(Duration::from_secs);
    step(&app, id, ask.caller, Step::Extend { ttl }, None).await
}

/// `POST /api/reservations/{id}/payment`
pub async fn payment(app: AppState, Path(id): Path<Uuid>, ask: Ask<PaymentBody>) -> Result<Written, Problem> {
    let grace = ask.body.grace_seconds.map(Duration::from_secs);
    step(&app, id, ask.caller, Step::StartPayment { grace }, None).await
}

/// `POST /api/availability`: what a reservation of these lines would be answered at this moment.
pub async fn availability(app: AppState, query: Query<AvailabilityBody>) -> Result<Written, Problem> {
    let lines = wanted(query.body.lines);
    Ok(Written::done(app.onhand.operations.availability(query.caller, lines).await?))
}

async fn step(
    app: &AppState,
    id: Uuid,
    caller: Caller,
    step: Step,
    lines: Option<Vec<Object<LineBody>>>,
) -> Result<Written, Problem> {
    let operations = &app.onhand.operations;
    Ok(Written::done(operations.step_reservation(caller, ReservationId(id), step, lines.map(wanted)).await?))
}

fn wanted(lines: Vec<Object<LineBody>>) -> Vec<Wanted> {
    lines.into_iter().map(|Object(line)| line.into()).collect()
}
