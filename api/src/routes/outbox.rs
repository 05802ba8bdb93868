//! `/api/outbox`.

use axum::Json;
use onhand_infrastructure::queries::{
    Page,
    outbox::{self, OutboxFilter, OutboxView},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{app::AppState, extract::Listing, problem::Problem};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    status: Option<String>,
    connection: Option<Uuid>,
}

/// `GET /api/outbox`, newest first.
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<OutboxView>>, Problem> {
    let filter = OutboxFilter { status: listing.filter.status, connection: listing.filter.connection };
    Ok(Json(outbox::list(app.onhand.pool(), &listing.window, &filter).await?))
}
