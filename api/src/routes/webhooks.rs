//! Webhooks in. The sender's signature is the actor here; everything else is the operation's.

use std::net::SocketAddr;

use axum::{
    Extension, Json,
    extract::{ConnectInfo, FromRequest, Request as HttpRequest},
    http::{HeaderMap, header::HOST},
    response::{IntoResponse, Response},
};
use onhand_domain::{connection::Platform, values::ConnectionId};
use onhand_infrastructure::operations::deliveries::{Answer, ReceiveError, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    App,
    app::{AppState, Correlation, source_address},
    extract::{OpenPath as Path, read_body},
    problem::Problem,
};

/// A request with its raw bytes.
pub struct Raw(pub(super) Request);

impl FromRequest<App> for Raw {
    type Rejection = Problem;

    async fn from_request(request: HttpRequest, app: &App) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let source_address = source_address(
            request.extensions().get::<ConnectInfo<SocketAddr>>().copied().map(Extension).as_ref(),
        );
        let correlation = request.extensions().get::<Correlation>().cloned();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{}{path}", server(app, &headers));
        let body = read_body(request, app).await?;
        Ok(Self(Request {
            headers,
            body: (&*body).into(),
            url,
            source_address,
            correlation_id: correlation.as_ref().map(|c| c.id.clone()).unwrap_or_default(),
            traceparent: correlation.and_then(|c| c.traceparent),
        }))
    }
}

/// Where this server is as its callers know it, for some sign the address: the public one, if that is set.
pub(super) fn server(app: &App, headers: &HeaderMap) -> String {
    if let Some(public) = &app.public_url {
        return public.trim_end_matches('/').to_owned();
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("http://{host}")
}

/// `POST /webhook/{platform}/{connection}`
pub async fn receive(
    app: AppState,
    Path((platform, connection)): Path<(String, Uuid)>,
    Raw(request): Raw,
) -> Result<Response, Problem> {
    let platform = platform_of(&platform)?;
    take_in(&app, platform, Some(ConnectionId(connection)), request).await
}

/// `POST /api/kicks/monitor`: the secret that signed it says whose it is.
pub async fn kicksdb(app: AppState, Raw(request): Raw) -> Result<Response, Problem> {
    take_in(&app, Platform::Kicksdb, None, request).await
}

/// `POST /api/kicks/monitor/{connection}`
pub async fn kicksdb_connection(
    app: AppState,
    Path(connection): Path<Uuid>,
    Raw(request): Raw,
) -> Result<Response, Problem> {
    take_in(&app, Platform::Kicksdb, Some(ConnectionId(connection)), request).await
}

/// `POST /api/webhooks/tradingview`, and the same with the secret as the last part of the path.
pub async fn tradingview(app: AppState, Raw(request): Raw) -> Result<Response, Problem> {
    take_in(&app, Platform::Tradingview, None, request).await
}

pub(super) fn platform_of(name: &str) -> Result<Platform, Problem> {
    name.parse().map_err(|error| Problem::missing("platform.unknown", format!("{error}")))
}

async fn take_in(
    app: &App,
    platform: Platform,
    connection: Option<ConnectionId>,
    request: Request,
) -> Result<Response, Problem> {
    let received = app.onhand.operations.receive(platform, connection, request).await;
    // These two count an answer with a body as a failure.
    let silent = matches!(platform, Platform::Shopee | Platform::TiktokShop);
    let told = told(received)?;
    Ok(if silent { ().into_response() } else { Json(told).into_response() })
}

/// What the sender is told.
pub(super) fn told(received: Result<Answer, ReceiveError>) -> Result<Value, Problem> {
    Ok(match received? {
        Answer::Processed { position } => json!({ "status": "processed", "position": position }),
        Answer::Duplicate { contradicted: false } => json!({ "status": "duplicate" }),
        Answer::Duplicate { contradicted: true } => json!({
            "status": "duplicate",
            "detail": "another body came under this id before, and that one was acted on; this one was noted",
        }),
        Answer::DeadLetter => json!({ "status": "dead_letter" }),
        Answer::Greeted => json!({ "status": "greeted" }),
        Answer::Failed { reason } => return Err(Problem::held(&reason)),
    })
}
