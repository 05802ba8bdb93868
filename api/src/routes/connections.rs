//! `/api/connections`.

use axum::Json;
use onhand_domain::{
    connection::{ConnectionDetails, SyncRules},
    values::ConnectionId,
};
use onhand_infrastructure::{
    operations::connections::Credentials,
    queries::{
        Page,
        connections::{self, ConnectionView},
    },
    secrets::Secret,
};
use serde::Deserialize;
use uuid::Uuid;

use super::Written;
use crate::{
    app::AppState,
    extract::{AdminAsk, Empty, Listing, Path},
    problem::Problem,
};

/// A new connection. Its secrets are sealed at once and never shown again.
#[derive(Deserialize)]
pub struct ConnectionBody {
    #[serde(flatten)]
    details: ConnectionDetails,
    #[serde(default)]
    rules: SyncRules,
    webhook_secret: Option<String>,
    access_token: Option<String>,
}

/// `GET /api/connections`
pub async fn list(app: AppState, listing: Listing<Empty>) -> Result<Json<Page<ConnectionView>>, Problem> {
    Ok(Json(connections::list(app.onhand.pool(), &listing.window).await?))
}

/// `POST /api/connections`
pub async fn create(app: AppState, ask: AdminAsk<ConnectionBody>) -> Result<Written, Problem> {
    let ConnectionBody { details, rules, webhook_secret, access_token } = ask.body;
    let credentials = Credentials {
        webhook_secret: webhook_secret.map(Secret::new),
        access_token: access_token.map(Secret::new),
    };
    let operations = &app.onhand.operations;
    Ok(Written::created(operations.create_connection(ask.caller, details, rules, credentials).await?))
}

/// `PUT /api/connections/{id}/rules`
pub async fn change_rules(
    app: AppState,
    Path(id): Path<Uuid>,
    ask: AdminAsk<SyncRules>,
) -> Result<Written, Problem> {
    let id = ConnectionId(id);
    Ok(Written::done(app.onhand.operations.change_rules(ask.caller, id, ask.body).await?))
}

/// `POST /api/connections/{id}/enable`: subscribes to its webhooks and pushes everything that is owed to it.
pub async fn enable(app: AppState, Path(id): Path<Uuid>, ask: AdminAsk<Empty>) -> Result<Written, Problem> {
    let id = ConnectionId(id);
    let public_url = app.public_url.as_deref();
    Ok(Written::done(app.onhand.operations.enable_connection(ask.caller, id, public_url).await?))
}

/// `POST /api/connections/{id}/disable`
pub async fn disable(app: AppState, Path(id): Path<Uuid>, ask: AdminAsk<Empty>) -> Result<Written, Problem> {
    Ok(Written::done(app.onhand.operations.disable_connection(ask.caller, ConnectionId(id)).await?))
}
