//! `/api/rebuilds`: read models grown again from history, how far each run is, what it found, and putting an end to one.

use std::convert::Infallible;

use axum::{
    Json,
    response::sse::{Event, Sse},
};
use futures_util::Stream;
use onhand_domain::values::TenantId;
use onhand_infrastructure::queries::{
    Page, one_of,
    rebuilds::{self, RebuildView},
};
use onhand_projector::{MODELS, rebuild};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{progress, projections::of_all_brands};
use crate::{
    app::AppState,
    extract::{AdminAsk, Empty, Listing, Path, Reader},
    problem::Problem,
};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    projection: Option<String>,
    status: Option<String>,
}

/// `GET /api/rebuilds`, newest first.
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<RebuildView>>, Problem> {
    let Filter { projection, status } = &listing.filter;
    let (projection, status) = (projection.as_deref(), status.as_deref());
    let names: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
    one_of("projection", projection, &names)?;
    Ok(Json(rebuilds::list(app.onhand.pool(), &listing.window, projection, status).await?))
}

/// `GET /api/rebuilds/{id}`, with a sample of the rows that differed; these are of all brands, so that a reader of one does
/// not get them.
pub async fn show(app: AppState, Path(id): Path<Uuid>, reader: Reader) -> Result<Json<RebuildView>, Problem> {
    let mut found = find(&app, reader.tenant, id).await?;
    if reader.brand.is_some() {
        found.sample = None;
    }
    Ok(Json(found))
}

/// `DELETE /api/rebuilds/{id}`: puts an end to one that is under way; one that has ended is shown as it is.
pub async fn cancel(
    app: AppState,
    Path(id): Path<Uuid>,
    ask: AdminAsk<Empty>,
) -> Result<Json<RebuildView>, Problem> {
    of_all_brands(&ask.caller)?;
    rebuild::cancel(&app.onhand.operations, &ask.caller, id).await?;
    Ok(Json(find(&app, ask.caller.context.tenant, id).await?))
}

async fn find(app: &AppState, tenant: TenantId, id: Uuid) -> Result<RebuildView, Problem> {
    let found = rebuilds::find(app.onhand.pool(), tenant, id).await?;
    found.ok_or_else(|| Problem::missing("rebuild.unknown", "there is no rebuild of this id"))
}

/// `GET /api/rebuilds/{id}/progress`: server-sent events, each with how far it is; the last one says what it came to.
pub async fn progress(
    app: AppState,
    Path(id): Path<Uuid>,
    reader: Reader,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    find(&app, reader.tenant, id).await?;
    let (pool, tenant) = (app.onhand.pool().clone(), reader.tenant);
    Ok(progress::of(move || {
        let pool = pool.clone();
        async move {
            // If it was removed meanwhile, it had ended long before.
            let found = rebuilds::find(&pool, tenant, id).await?;
            Ok::<_, sqlx::Error>(found.map(|found| (told(&found), has_ended(&found))))
        }
    }))
}

fn has_ended(rebuild: &RebuildView) -> bool {
    rebuild.ended_at.is_some()
}

fn told(rebuild: &RebuildView) -> Value {
    json!({ "status": rebuild.status, "position": rebuild.reached, "target": rebuild.target,
            "entries_per_second": rebuild.entries_per_second, "seconds_left": rebuild.seconds_left,
            "differences": rebuild.differences, "replaced": rebuild.replaced })
}
