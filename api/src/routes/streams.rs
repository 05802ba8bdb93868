//! `/api/streams` and `/api/differences`: what has happened to one thing, and how it differs between two moments.

use axum::Json;
use onhand_domain::StreamId;
use onhand_infrastructure::queries::{
    Page, Window,
    streams::{self, Compared, StepFilter, StepView},
};
use serde::Deserialize;

use crate::{
    app::AppState,
    extract::{Listing, Path, position_of},
    problem::Problem,
};

/// Which steps are meant.
#[derive(Debug, Deserialize)]
pub struct Filter {
    from: Option<i64>,
    until: Option<String>,
}

/// Between which moments.
#[derive(Debug, Deserialize)]
pub struct Moments {
    from: String,
    to: String,
}

/// `GET /api/streams/{*stream}`, in the order in which it happened.
pub async fn steps(
    app: AppState,
    listing: Listing<Filter>,
    Path(stream): Path<String>,
) -> Result<Json<Page<StepView>>, Problem> {
    let stream = readable(&listing.window, &stream)?;
    let until = match &listing.filter.until {
        Some(moment) => Some(position_of(&app, listing.window.tenant, moment).await?),
        None => None,
    };
    let filter = StepFilter { from: listing.filter.from, until };
    let page = streams::steps(app.onhand.pool(), &listing.window, &stream, &filter).await?;
    if page.data.is_empty() {
        let mut conn = app.onhand.pool().acquire().await?;
        if !streams::is_known(&mut conn, listing.window.tenant, &stream).await? {
            return Err(unknown(&stream));
        }
    }
    Ok(Json(page))
}

/// `GET /api/differences/{*stream}`
pub async fn compare(
    app: AppState,
    listing: Listing<Moments>,
    Path(stream): Path<String>,
) -> Result<Json<Compared>, Problem> {
    let tenant = listing.window.tenant;
    let stream = readable(&listing.window, &stream)?;
    let from = position_of(&app, tenant, &listing.filter.from).await?;
    let to = position_of(&app, tenant, &listing.filter.to).await?;
    let compared = streams::compare(app.onhand.pool(), tenant, &stream, (from, to)).await?;
    compared.map(Json).ok_or_else(|| unknown(&stream))
}

fn unknown(stream: &StreamId) -> Problem {
    Problem::missing("stream.unknown", format!("nothing has ever happened to {stream}"))
}

/// The stream of this name, for whoever may read all of them.
fn readable(window: &Window, stream: &str) -> Result<StreamId, Problem> {
    if window.brand.is_some() {
        return Err(Problem::forbidden("a stream may speak of any brand; the key is bound to one"));
    }
    stream.parse().map_err(|error: onhand_domain::values::InvalidValue| {
        Problem::bad_request("path.invalid", error.to_string())
    })
}
