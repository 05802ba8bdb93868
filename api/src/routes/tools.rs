//! `/test/webhook`: for people who try things out. Open in development only.

use axum::{
    Json,
    extract::{Query, rejection::QueryRejection},
    http::HeaderMap,
};
use onhand_domain::{connection::Platform, values::ConnectionId};
use onhand_infrastructure::operations::deliveries::masked;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::webhooks::{Raw, platform_of, server, told};
use crate::{app::AppState, extract::OpenPath as Path, made, problem::Problem};

/// What to make up.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    /// Signed for this connection; else with a secret of its own, which is shown.
    connection: Option<Uuid>,
    sku: Option<String>,
    secret: Option<String>,
}

/// `POST /test/webhook/echo`: what arrived, as it arrived, secrets masked.
pub async fn echo(app: AppState, Raw(request): Raw) -> Result<Json<Value>, Problem> {
    open(&app)?;
    let headers: Value = serde_json::from_str(&masked(&request.headers)).unwrap_or_default();
    Ok(Json(json!({
        "url": request.url,
        "source_address": request.source_address,
        "headers": headers,
        "body_bytes": request.body.len(),
        "body": String::from_utf8_lossy(&request.body),
    })))
}

/// `GET /test/webhook/generate/{platform}/{topic}`: a body, headers that sign it, and the line that sends it.
pub async fn generate(
    app: AppState,
    Path((platform, topic)): Path<(String, String)>,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    open(&app)?;
    let (platform, Query(wanted)) = (platform_of(&platform)?, wanted?);
    let known =
        match wanted.connection {
            Some(id) => {
                let signing = app.onhand.operations.signing(ConnectionId(id)).await?;
                let signing = signing.filter(|(details, _)| details.platform == platform);
                Some(signing.ok_or_else(|| {
                    Problem::missing("connection.unknown", "there is no such connection there")
                })?)
            }
            None => None,
        };
    // These two show their secret to whoever reads the request; it is not for everybody to read here.
    let shown = matches!(platform, Platform::Clover | Platform::Tradingview);
    let known =
        known.map(|(details, secret)| (details, if shown { made::SECRET.to_owned() } else { secret }));
    let (details, secret) = known.unwrap_or_else(|| (made::nobody(platform), made::SECRET.to_owned()));
    let delivery = made::delivery(&made::Wanted {
        topic: &topic,
        server: &server(&app, &headers),
        connection: wanted.connection.unwrap_or_default(),
        details: &details,
        secret: wanted.secret.as_deref().unwrap_or(&secret),
        sku: wanted.sku.as_deref().unwrap_or("SAMPLE-42"),
        now: app.onhand.ledger().clock().now(),
    });
    let delivery = delivery.map_err(|why| Problem::missing("topic.unknown", why))?;
    let curl = delivery.curl();
    let headers: Map<String, Value> =
        delivery.headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let body = String::from_utf8_lossy(&delivery.body);
    Ok(Json(json!({ "url": delivery.url, "headers": headers, "body": body, "curl": curl })))
}

/// `POST /test/webhook/{platform}/{connection}`: takes a delivery in without a look at who sent it.
pub async fn receive(
    app: AppState,
    Path((platform, connection)): Path<(String, Uuid)>,
    Raw(request): Raw,
) -> Result<Json<Value>, Problem> {
    open(&app)?;
    let platform = platform_of(&platform)?;
    let operations = app.onhand.operations.without_signatures();
    Ok(Json(told(operations.receive(platform, Some(ConnectionId(connection)), request).await)?))
}

fn open(app: &AppState) -> Result<(), Problem> {
    if app.development {
        return Ok(());
    }
    Err(Problem::missing(
        "route.unknown",
        "there is nothing at this path; set ONHAND_ENVIRONMENT=development",
    ))
}
