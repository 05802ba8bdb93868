//! `/api/locations`.

use axum::Json;
use onhand_domain::values::LocationCode;
use onhand_infrastructure::queries::{
    Page,
    locations::{self, LocationView},
};
use serde::Deserialize;

use super::Written;
use crate::{
    app::AppState,
    extract::{AdminAsk, Listing, Path},
    problem::Problem,
};

/// How a location is sold from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocationBody {
    /// Lower comes first.
    priority: i32,
    #[serde(default = "yes")]
    sells: bool,
}

fn yes() -> bool {
    true
}

/// Narrows nothing.
#[derive(Debug, Deserialize)]
pub struct Filter {}

/// `GET /api/locations`
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<LocationView>>, Problem> {
    Ok(Json(locations::list(app.onhand.pool(), &listing.window).await?))
}

/// `PUT /api/locations/{code}`
pub async fn set(
    app: AppState,
    Path(code): Path<LocationCode>,
    ask: AdminAsk<LocationBody>,
) -> Result<Written, Problem> {
    if ask.caller.brand.is_some() {
        return Err(Problem::forbidden(
            "locations are shared by all brands; use a key that is bound to none",
        ));
    }
    let LocationBody { priority, sells } = ask.body;
    Ok(Written::done(app.onhand.operations.set_location(ask.caller, code, priority, sells).await?))
}
