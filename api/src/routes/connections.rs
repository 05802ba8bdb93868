//! `/api/connections`.

use axum::Json;
use chrono::TimeDelta;
use onhand_domain::{
    connection::{ConnectionDetails, Platform, SyncRules},
    values::{ConnectionId, Currency, ExternalId, LocationCode, Market, Object},
};
use onhand_infrastructure::{
    operations::{accounts::Tested, connections::Credentials},
    queries::{
        Page, at,
        connections::{self, ConnectionView},
        sync_health::{self, ConnectionHealth},
    },
    secrets::Secret,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Read, Written};
use crate::{
    app::AppState,
    extract::{AdminAsk, AnyTime, Empty, Listing, Path, Reader},
    problem::Problem,
};

/// A new connection: its details, its rules, and its secrets, which are sealed at once and never shown again. Side by side and not
/// flattened, so that what does not fit is told by its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionBody {
    platform: Platform,
    name: String,
    brand: String,
    account: Option<String>,
    app: Option<String>,
    endpoint: Option<String>,
    platform_location: Option<ExternalId>,
    #[serde(default)]
    location: LocationCode,
    #[serde(default)]
    market: Market,
    currency: Currency,
    #[serde(default)]
    rules: Object<SyncRules>,
    webhook_secret: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    access_token_expires_in_seconds: Option<u32>,
    app_secret: Option<String>,
}

impl ConnectionBody {
    fn parts(self) -> (ConnectionDetails, SyncRules, Secrets) {
        let details = ConnectionDetails {
            platform: self.platform,
            name: self.name,
            brand: self.brand,
            account: self.account,
            app: self.app,
            endpoint: self.endpoint,
            platform_location: self.platform_location,
            location: self.location,
            market: self.market,
            currency: self.currency,
        };
        let secrets = Secrets {
            webhook_secret: self.webhook_secret,
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            access_token_expires_in_seconds: self.access_token_expires_in_seconds,
            app_secret: self.app_secret,
        };
        let Object(rules) = self.rules;
        (details, rules, secrets)
    }
}

/// Secrets, as their owner gives them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    webhook_secret: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    access_token_expires_in_seconds: Option<u32>,
    app_secret: Option<String>,
}

impl From<Secrets> for Credentials {
    fn from(secrets: Secrets) -> Self {
        Self {
            webhook_secret: secrets.webhook_secret.map(Secret::new),
            access_token: secrets.access_token.map(Secret::new),
            refresh_token: secrets.refresh_token.map(Secret::new),
            access_token_lasts: secrets
                .access_token_expires_in_seconds
                .map(|seconds| TimeDelta::seconds(i64::from(seconds))),
            app_secret: secrets.app_secret.map(Secret::new),
        }
    }
}

/// `GET /api/connections`
pub async fn list(
    app: AppState,
    listing: Listing<Empty, AnyTime>,
) -> Result<Read<Page<ConnectionView>>, Problem> {
    let (pool, window) = (app.onhand.pool(), &listing.window);
    Ok(match listing.at(&app).await? {
        Some(position) => Read::at(position, at::connections::list(pool, window, position).await?),
        None => Read::now(connections::list(pool, window).await?),
    })
}

/// `POST /api/connections`
pub async fn create(app: AppState, ask: AdminAsk<ConnectionBody>) -> Result<Written, Problem> {
    let (details, rules, secrets) = ask.body.parts();
    let operations = &app.onhand.operations;
    Ok(Written::created(operations.create_connection(ask.caller, details, rules, secrets.into()).await?))
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

/// `PUT /api/connections/{id}/secrets`: new ones take the place of old ones; the webhook secret of before is taken as well
/// until the next change.
pub async fn rotate_secrets(
    app: AppState,
    Path(id): Path<Uuid>,
    ask: AdminAsk<Secrets>,
) -> Result<Written, Problem> {
    let operations = &app.onhand.operations;
    Ok(Written::done(operations.rotate_secrets(ask.caller, ConnectionId(id), ask.body.into()).await?))
}

/// `POST /api/connections/{id}/enable`: subscribes to its webhooks and pushes everything that is owed to it.
pub async fn enable(app: AppState, Path(id): Path<Uuid>, ask: AdminAsk<Empty>) -> Result<Written, Problem> {
    let id = ConnectionId(id);
    let public_url = app.public_url.as_deref();
    Ok(Written::done(app.onhand.operations.enable_connection(ask.caller, id, public_url).await?))
}

/// `POST /api/connections/{id}/disable`
pub async fn disable(app: AppState, Path(id): Path<Uuid>, ask: AdminAsk<Empty>) -> Result<Written, Problem> {
    let (id, public_url) = (ConnectionId(id), app.public_url.as_deref());
    Ok(Written::done(app.onhand.operations.disable_connection(ask.caller, id, public_url).await?))
}

/// `POST /api/connections/{id}/pause`: what is owed to it is kept until it goes on.
pub async fn pause(app: AppState, Path(id): Path<Uuid>, ask: AdminAsk<Empty>) -> Result<Written, Problem> {
    Ok(Written::done(app.onhand.operations.pause_connection(ask.caller, ConnectionId(id)).await?))
}

/// `POST /api/connections/{id}/resume`
pub async fn resume(app: AppState, Path(id): Path<Uuid>, ask: AdminAsk<Empty>) -> Result<Written, Problem> {
    Ok(Written::done(app.onhand.operations.resume_connection(ask.caller, ConnectionId(id)).await?))
}

/// `POST /api/connections/{id}/test`: the platform is called once, and nothing is changed there.
pub async fn test(
    app: AppState,
    Path(id): Path<Uuid>,
    ask: AdminAsk<Empty>,
) -> Result<Json<Tested>, Problem> {
    Ok(Json(app.onhand.operations.test_connection(ask.caller, ConnectionId(id)).await?))
}

/// `POST /api/connections/{id}/subscriptions`: the webhooks that the platform sends, as it says at this moment.
pub async fn subscriptions(
    app: AppState,
    Path(id): Path<Uuid>,
    ask: AdminAsk<Empty>,
) -> Result<Json<Value>, Problem> {
    let known = app.onhand.operations.subscriptions(&ask.caller, ConnectionId(id)).await?;
    let known: Vec<Value> = known
        .into_iter()
        .map(|it| json!({ "id": it.id, "topic": it.topic, "address": it.address }))
        .collect();
    Ok(Json(json!({ "data": known })))
}

/// `GET /realtime-sync/status/{connection}`: how pushing to it fares.
pub async fn status(
    app: AppState,
    Path(id): Path<Uuid>,
    reader: Reader,
) -> Result<Json<ConnectionHealth>, Problem> {
    let now = app.onhand.ledger().clock().now();
    let brand = reader.brand.as_deref();
    let brand = (brand, Some(id));
    let found = sync_health::of_connections(app.onhand.pool(), reader.tenant, brand, now).await?;
    let unknown = || Problem::missing("connection.unknown", format!("there is no connection {id}"));
    found.into_iter().next().map(Json).ok_or_else(unknown)
}
