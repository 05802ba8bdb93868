//! `/api/listings`.

use axum::Json;
use onhand_domain::values::ConnectionId;
use onhand_infrastructure::queries::{
    Page,
    listings::{self, ListingView},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{app::AppState, extract::Listing, problem::Problem};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    connection: Option<Uuid>,
}

/// `GET /api/listings`
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<ListingView>>, Problem> {
    let connection = listing.filter.connection.map(ConnectionId);
    Ok(Json(listings::list(app.onhand.pool(), &listing.window, connection).await?))
}
