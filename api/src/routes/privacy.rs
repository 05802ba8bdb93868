//! `/api/privacy`: what is held about a person, shown and destroyed.

use axum::Json;
use onhand_domain::values::{ConnectionId, ExternalId, PersonId};
use onhand_infrastructure::operations::{
    Caller,
    privacy::{Held, Whom},
};
use serde::Deserialize;
use uuid::Uuid;

use super::Written;
use crate::{
    app::AppState,
    extract::{AdminAsk, Empty, Path},
    problem::Problem,
};

/// Who is to be forgotten: one of `person`, `email` and `order`; the last two with a connection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhomBody {
    person: Option<PersonId>,
    connection: Option<Uuid>,
    email: Option<String>,
    order: Option<ExternalId>,
}

impl WhomBody {
    fn whom(self) -> Result<Whom, Problem> {
        let connection = self.connection.map(ConnectionId);
        match (self.person, self.email, self.order, connection) {
            (Some(person), None, None, None) => Ok(Whom::Person(person)),
            (None, Some(email), None, Some(connection)) => Ok(Whom::Address { connection, email }),
            (None, None, Some(external), Some(connection)) => Ok(Whom::Order { connection, external }),
            _ => Err(Problem::bad_request(
                "body.invalid",
                "say who: `person`, or `connection` with either `email` or `order`",
            )),
        }
    }
}

/// `GET /api/privacy/persons/{person}`
pub async fn show(
    app: AppState,
    Path(person): Path<PersonId>,
    ask: AdminAsk<Empty>,
) -> Result<Json<Held>, Problem> {
    unbound(&ask.caller)?;
    Ok(Json(app.onhand.operations.held(&ask.caller, &Whom::Person(person)).await?))
}

/// `POST /api/privacy/forget`
pub async fn forget(app: AppState, ask: AdminAsk<WhomBody>) -> Result<Written, Problem> {
    unbound(&ask.caller)?;
    let whom = ask.body.whom()?;
    Ok(Written::done(app.onhand.operations.forget(ask.caller, &whom).await?))
}

fn unbound(caller: &Caller) -> Result<(), Problem> {
    if caller.brand.is_some() {
        return Err(Problem::forbidden("persons buy from all brands; use a key that is bound to none"));
    }
    Ok(())
}
