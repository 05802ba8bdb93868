//! `/api/flags`.

use axum::Json;
use onhand_infrastructure::queries::flags::{self, FlagView};
use serde::{Deserialize, Serialize};

use super::Written;
use crate::{
    app::AppState,
    extract::{AdminAsk, Path, Reader},
    problem::Problem,
};

/// All of them.
#[derive(Debug, Serialize)]
pub struct Flags {
    data: Vec<FlagView>,
}

/// How a flag is to stand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagBody {
    value: bool,
}

/// `GET /api/flags`
pub async fn list(app: AppState, reader: Reader) -> Result<Json<Flags>, Problem> {
    Ok(Json(Flags { data: flags::all(app.onhand.pool(), reader.tenant).await? }))
}

/// `PUT /api/flags/{name}`: 403 for one that is locked, and the attempt is on record.
pub async fn set(
    app: AppState,
    Path(name): Path<String>,
    ask: AdminAsk<FlagBody>,
) -> Result<Written, Problem> {
    if ask.caller.brand.is_some() {
        return Err(Problem::forbidden("flags are shared by all brands; use a key that is bound to none"));
    }
    let name = name.parse().map_err(|error| Problem::missing("flag.unknown", format!("{error}")))?;
    Ok(Written::done(app.onhand.operations.set_flag(ask.caller, name, ask.body.value).await?))
}
