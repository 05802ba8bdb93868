//! `/api/conflicts`: figures that were changed on a platform and that somebody has to judge.

use axum::Json;
use onhand_domain::{Refusal, listing::FigureKind, values::ListingId};
use onhand_infrastructure::{
    operations::conflicts::Judgement,
    queries::{
        Page,
        conflicts::{self, ConflictView},
    },
};
use serde::Deserialize;
use uuid::Uuid;

use super::Written;
use crate::{
    app::AppState,
    extract::{Ask, Listing, Path},
    problem::Problem,
};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    connection: Option<Uuid>,
}

/// Which figure counts.
#[derive(Debug, Deserialize)]
#[serde(tag = "resolution", rename_all = "snake_case", deny_unknown_fields)]
pub enum Resolve {
    /// Ours is shown there.
    UseMaster {},
    /// Theirs becomes ours.
    UsePlatform {},
    /// A third one becomes both's.
    Manual {
        /// Units for sale there.
        quantity: Option<i64>,
        /// Minor units of the connection's currency.
        price_minor: Option<i64>,
    },
}

/// `GET /api/conflicts`
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<ConflictView>>, Problem> {
    Ok(Json(conflicts::list(app.onhand.pool(), &listing.window, listing.filter.connection).await?))
}

/// `POST /api/conflicts/{listing}/{kind}/resolve`, for `quantity` or `price`.
pub async fn resolve(
    app: AppState,
    Path((listing, kind)): Path<(Uuid, FigureKind)>,
    ask: Ask<Resolve>,
) -> Result<Written, Problem> {
    let judgement = match (&ask.body, kind) {
        (Resolve::UseMaster {}, _) => Judgement::UseMaster,
        (Resolve::UsePlatform {}, _) => Judgement::UsePlatform,
        (Resolve::Manual { quantity: Some(value), price_minor: None }, FigureKind::Quantity)
        | (Resolve::Manual { quantity: None, price_minor: Some(value) }, FigureKind::Price) => {
            Judgement::Manual(*value)
        }
        (Resolve::Manual { .. }, _) => {
            let detail = "send quantity for a quantity in question, and price_minor for a price";
            return Err(Problem::from(Refusal::invalid("conflict.invalid", detail)));
        }
    };
    let operations = &app.onhand.operations;
    Ok(Written::done(operations.resolve_conflict(ask.caller, ListingId(listing), kind, judgement).await?))
}
