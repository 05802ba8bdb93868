//! `/api/moves`.

use onhand_domain::values::ReservationId;
use onhand_infrastructure::queries::{
    Page, at, location_filter,
    moves::{self, MoveFilter, MoveView},
    sku_filter,
};
use serde::Deserialize;
use uuid::Uuid;

use super::Read;
use crate::{
    app::AppState,
    extract::{AnyTime, Listing},
    problem::Problem,
};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    sku: Option<String>,
    location: Option<String>,
    kind: Option<String>,
    reservation: Option<Uuid>,
}

/// `GET /api/moves`
pub async fn list(app: AppState, listing: Listing<Filter, AnyTime>) -> Result<Read<Page<MoveView>>, Problem> {
    sku_filter(listing.filter.sku.as_deref())?;
    location_filter(listing.filter.location.as_deref())?;
    let at = listing.at(&app).await?;
    let (pool, window) = (app.onhand.pool(), &listing.window);
    let Filter { sku, location, kind, reservation } = listing.filter;
    let filter = MoveFilter { sku, location, kind, reservation: reservation.map(ReservationId), to: None };
    Ok(match at {
        Some(position) => Read::at(position, at::moves::list(pool, window, &filter, position).await?),
        None => Read::now(moves::list(pool, window, &filter).await?),
    })
}
