//! `/api/moves`.

use axum::Json;
use onhand_domain::values::ReservationId;
use onhand_infrastructure::queries::{
    Page,
    moves::{self, MoveFilter, MoveView},
    sku_filter,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{app::AppState, extract::Listing, problem::Problem};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    sku: Option<String>,
    location: Option<String>,
    kind: Option<String>,
    reservation: Option<Uuid>,
}

/// `GET /api/moves`
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<MoveView>>, Problem> {
    // The shelves of a SKU are found in the read model; the moves themselves are history.
    listing.fresh(&app, "stock_levels").await?;
    sku_filter(listing.filter.sku.as_deref())?;
    let Filter { sku, location, kind, reservation } = listing.filter;
    let filter = MoveFilter { sku, location, kind, reservation: reservation.map(ReservationId), to: None };
    Ok(Json(moves::list(app.onhand.pool(), &listing.window, &filter).await?))
}
