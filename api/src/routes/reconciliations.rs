//! `/api/reconciliations`: what platforms show, read back and compared.

use axum::{Json, http::StatusCode};
use onhand_domain::values::ConnectionId;
use onhand_infrastructure::queries::{
    Page,
    reconciliations::{self, DriftView, ReconciliationView},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    app::AppState,
    extract::{AdminAsk, Empty, Listing, Path},
    problem::Problem,
};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    connection: Option<Uuid>,
}

/// What to read back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconciliationBody {
    connection: Uuid,
    /// Only tell what has strayed.
    #[serde(default)]
    preview: bool,
}

/// `GET /api/reconciliations`, newest first.
pub async fn list(
    app: AppState,
    listing: Listing<Filter>,
) -> Result<Json<Page<ReconciliationView>>, Problem> {
    let connection = listing.filter.connection;
    Ok(Json(reconciliations::list(app.onhand.pool(), &listing.window, connection).await?))
}

/// `POST /api/reconciliations`: begins a run. What it comes to is listed as it goes.
pub async fn begin(
    app: AppState,
    ask: AdminAsk<ReconciliationBody>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (operations, body) = (&app.onhand.operations, ask.body);
    let id = operations.begin_reconciliation(ask.caller, ConnectionId(body.connection), body.preview).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": id }))))
}

/// `GET /api/reconciliations/{id}/drifts`: what a run has found amiss, the first thousand.
pub async fn drifts(
    app: AppState,
    Path(id): Path<Uuid>,
    listing: Listing<Empty>,
) -> Result<Json<Page<DriftView>>, Problem> {
    let (pool, window) = (app.onhand.pool(), &listing.window);
    // An empty list would say that nothing has strayed.
    if !reconciliations::is_known(pool, (window.tenant, window.brand.as_deref()), id).await? {
        return Err(Problem::missing("reconciliation.unknown", "there is no reconciliation of this id"));
    }
    Ok(Json(reconciliations::drifts(pool, window, id).await?))
}
