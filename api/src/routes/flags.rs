//! `/api/flags`.

use axum::{Json, extract::Request};
use onhand_domain::{flag::FlagName, key::Role};
use onhand_infrastructure::queries::flags::{self, FlagView};
use serde::{Deserialize, Serialize};

use super::Written;
use crate::{
    app::AppState,
    extract::{JudgedAsk, Path, Reader},
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

/// `PUT /api/flags/{name}`: 403 for one that is locked, and the attempt is on record, whoever has made it.
pub async fn set(app: AppState, Path(name): Path<String>, request: Request) -> Result<Written, Problem> {
    let name = name.parse::<FlagName>();
    let locked = name.as_ref().ok().copied().filter(|name| name.locked());
    let role = if locked.is_some() { Role::Viewer } else { Role::Admin };
    let ask = JudgedAsk::<FlagBody>::of(request, &app, role).await?;
    if locked.is_none_or(|name| ask.body.value == name.initial()) {
        ask.needs(Role::Admin)?;
        if ask.caller.brand.is_some() {
            return Err(Problem::forbidden(
                "flags are shared by all brands; use a key that is bound to none",
            ));
        }
    }
    let name = name.map_err(|error| Problem::missing("flag.unknown", format!("{error}")))?;
    Ok(Written::done(app.onhand.operations.set_flag(ask.caller, name, ask.body.value).await?))
}
