//! `/api/deliveries`.

use axum::Json;
use onhand_infrastructure::queries::{
    Page,
    deliveries::{self, DeliveryFilter, DeliveryView},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{app::AppState, extract::Listing, problem::Problem};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    status: Option<String>,
    platform: Option<String>,
    connection: Option<Uuid>,
    topic: Option<String>,
}

/// `GET /api/deliveries`, newest first.
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<DeliveryView>>, Problem> {
    listing.fresh(&app, "deliveries").await?;
    let Filter { status, platform, connection, topic } = listing.filter;
    let filter = DeliveryFilter { status, platform, connection, topic };
    Ok(Json(deliveries::list(app.onhand.pool(), &listing.window, &filter).await?))
}
