//! `/api/projections`: how far the read models are, why one is behind, and letting one stand still, go on, or be rebuilt.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode},
};
use onhand_infrastructure::{
    operations::Caller,
    queries::projections::{self, Projections},
};
use onhand_projector::{self as projector, OnDifference, find_model, rebuild::Begun, registry};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Written;
use crate::{
    app::AppState,
    extract::{AdminAsk, Empty, Path, Reader},
    problem::Problem,
};

/// How to rebuild.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebuildBody {
    /// Whether rebuilt rows take the place of live ones that differ.
    #[serde(default)]
    replace: bool,
}

/// `GET /api/projections`
pub async fn list(app: AppState, reader: Reader) -> Result<Json<Projections>, Problem> {
    let now = app.onhand.ledger().clock().now();
    Ok(Json(projections::list(app.onhand.pool(), reader.tenant, &registry::listed(), now).await?))
}

/// `POST /api/projections/{name}/pause`: when this is answered, no projector moves it any more.
pub async fn pause(
    app: AppState,
    Path(name): Path<String>,
    ask: AdminAsk<Empty>,
) -> Result<Written, Problem> {
    of_all_brands(&ask.caller)?;
    Ok(Written::done(projector::pause(&app.onhand.operations, ask.caller, find_model(&name)?).await?))
}

/// `POST /api/projections/{name}/resume`: also for one that is parked.
pub async fn resume(
    app: AppState,
    Path(name): Path<String>,
    ask: AdminAsk<Empty>,
) -> Result<Written, Problem> {
    of_all_brands(&ask.caller)?;
    Ok(Written::done(projector::resume(&app.onhand.operations, ask.caller, find_model(&name)?).await?))
}

/// `POST /api/projections/{name}/rebuild`: a process with the duty `projector` takes it up.
pub async fn rebuild(
    app: AppState,
    Path(name): Path<String>,
    ask: AdminAsk<RebuildBody>,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1], Json<Value>), Problem> {
    of_all_brands(&ask.caller)?;
    let model = find_model(&name)?;
    let on_difference = if ask.body.replace { OnDifference::Replace } else { OnDifference::Keep };
    let Begun { id, position } =
        projector::rebuild::begin(&app.onhand.operations, ask.caller, model, on_difference).await?;
    let told = [(HeaderName::from_static("onhand-position"), HeaderValue::from(position))];
    Ok((StatusCode::ACCEPTED, told, Json(json!({ "position": position, "id": id }))))
}

/// Refuses whoever is bound to a brand.
pub(super) fn of_all_brands(caller: &Caller) -> Result<(), Problem> {
    match caller.brand {
        Some(_) => {
            Err(Problem::forbidden("read models are shared by all brands; use a key that is bound to none"))
        }
        None => Ok(()),
    }
}
