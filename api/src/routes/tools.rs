//! `/test/webhook`: for people who try things out. Open in development only.

use axum::{
    Json,
    extract::{Query, rejection::QueryRejection},
};
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{ConnectionId, Currency, ExternalId},
};
use onhand_infrastructure::{
    operations::deliveries::masked,
    platforms::{Sample, adapter_of},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::webhooks::{Raw, platform_of, told};
use crate::{app::AppState, extract::Path, problem::Problem};

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
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    open(&app)?;
    let (platform, Query(wanted)) = (platform_of(&platform)?, wanted?);
    let known = match wanted.connection {
        Some(id) => Some(
            app.onhand
                .operations
                .signing(ConnectionId(id))
                .await?
                .filter(|(details, _)| details.platform == platform)
                .ok_or_else(|| Problem::missing("connection.unknown", "there is no such connection there"))?,
        ),
        None => None,
    };
    let id = wanted.connection.unwrap_or_else(Uuid::nil);
    let (details, secret) = match known {
        Some((details, secret)) => (details, secret),
        None => (made_up(platform), "whsec_bWFkZSB1cCBmb3IgYSB0ZXN0LCAyNCBieXRlcw==".to_owned()),
    };
    let secret = wanted.secret.unwrap_or(secret);
    let public = app.public_url.as_deref().unwrap_or("http://127.0.0.1:7070").trim_end_matches('/');
    let url = format!("{public}/webhook/{platform}/{id}");
    let adapter = adapter_of(platform);
    let sample = Sample {
        id: Uuid::now_v7(),
        now: app.onhand.ledger().clock().now(),
        url: &url,
        secret: &secret,
        details: &details,
        sku: wanted.sku.as_deref().unwrap_or("SAMPLE-42"),
    };
    let (headers, body) = adapter.sample(&topic, &sample).ok_or_else(|| {
        let topics = adapter.topics().join(", ");
        Problem::missing(
            "topic.unknown",
            format!("no {platform} delivery can be made up for {topic:?}; for {topics}"),
        )
    })?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let mut curl = format!("curl -X POST {}", quoted(&url));
    for (name, value) in &headers {
        curl += &format!(" -H {}", quoted(&format!("{name}: {value}")));
    }
    curl += &format!(" --data-binary {}", quoted(&body));
    let headers: Map<String, Value> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    Ok(Json(json!({ "url": url, "headers": headers, "body": body, "curl": curl })))
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

/// For a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// An account that nobody has.
fn made_up(platform: Platform) -> ConnectionDetails {
    ConnectionDetails {
        platform,
        name: "Sample".to_owned(),
        brand: "sample".to_owned(),
        account: Some("sample-shop".to_owned()),
        app: Some("sample-app".to_owned()),
        endpoint: None,
        platform_location: ExternalId::new("1").ok(),
        location: Default::default(),
        market: Default::default(),
        currency: Currency::new("USD").expect("USD is a currency"),
    }
}
