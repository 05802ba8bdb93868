//! `/api/keys`.

use axum::Json;
use onhand_domain::{key::Role, values::KeyId};
use onhand_infrastructure::{
    ledger::Receipt,
    queries::{
        Page,
        api_keys::{self, KeyView},
    },
};
use serde::Deserialize;
use uuid::Uuid;

use super::Written;
use crate::{
    app::AppState,
    extract::{AdminAsk, Empty, Listing, Path},
    problem::Problem,
};

/// A new key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyBody {
    name: String,
    role: Role,
    brand: Option<String>,
}

/// `GET /api/keys`: who has access, and had.
pub async fn list(
    app: AppState,
    listing: Listing<Empty>,
    _: AdminAsk<Empty>,
) -> Result<Json<Page<KeyView>>, Problem> {
    Ok(Json(api_keys::list(app.onhand.pool(), &listing.window).await?))
}

/// `POST /api/keys`: the answer holds the key, this once.
pub async fn create(app: AppState, ask: AdminAsk<KeyBody>) -> Result<Written, Problem> {
    let KeyBody { name, role, brand } = ask.body;
    if ask.caller.brand.is_some() && ask.caller.brand != brand {
        return Err(Problem::forbidden("this key may give access to its own brand only"));
    }
    let (_, key, mut receipt): (_, _, Receipt) =
        app.onhand.operations.create_key(ask.caller, name, role, brand).await?;
    let mut answer = receipt.answer.value();
    answer["key"] = key.reveal().into();
    receipt.answer = answer.into();
    Ok(Written::created(receipt))
}

/// `DELETE /api/keys/{id}`
pub async fn revoke(app: AppState, Path(id): Path<Uuid>, ask: AdminAsk<Empty>) -> Result<Written, Problem> {
    if ask.caller.brand.is_some() {
        return Err(Problem::forbidden("a key bound to a brand cannot withdraw access"));
    }
    Ok(Written::done(app.onhand.operations.revoke_key(ask.caller, KeyId(id)).await?))
}
