//! Webhooks in. The sender's signature is the actor here; everything else is the operation's.

use std::net::SocketAddr;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{ConnectInfo, FromRequest, Request as HttpRequest},
};
use onhand_domain::values::ConnectionId;
use onhand_infrastructure::operations::deliveries::{Answer, ReceiveError, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    App,
    app::{AppState, Correlation, source_address},
    extract::Path,
    problem::Problem,
};

/// A request with its raw bytes.
pub struct Raw(Request);

impl FromRequest<App> for Raw {
    type Rejection = Problem;

    async fn from_request(request: HttpRequest, app: &App) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let source_address = source_address(
            request.extensions().get::<ConnectInfo<SocketAddr>>().copied().map(Extension).as_ref(),
        );
        let correlation = request.extensions().get::<Correlation>().cloned();
        let body = Bytes::from_request(request, app).await?;
        Ok(Self(Request {
            headers,
            body: (&*body).into(),
            source_address,
            correlation_id: correlation.as_ref().map(|c| c.id.clone()).unwrap_or_default(),
            traceparent: correlation.and_then(|c| c.traceparent),
        }))
    }
}

/// `POST /webhook/shopify/{connection}`
pub async fn shopify(
    app: AppState,
    Path(connection): Path<Uuid>,
    Raw(request): Raw,
) -> Result<Json<Value>, Problem> {
    answer("shopify", app.onhand.operations.receive_shopify(ConnectionId(connection), request).await)
}

/// `POST /api/kicks/monitor`: the secret that signed it says whose it is.
pub async fn kicksdb(app: AppState, Raw(request): Raw) -> Result<Json<Value>, Problem> {
    answer("kicksdb", app.onhand.operations.receive_kicksdb(None, request).await)
}

/// `POST /api/kicks/monitor/{connection}`
pub async fn kicksdb_connection(
    app: AppState,
    Path(connection): Path<Uuid>,
    Raw(request): Raw,
) -> Result<Json<Value>, Problem> {
    answer("kicksdb", app.onhand.operations.receive_kicksdb(Some(ConnectionId(connection)), request).await)
}

fn answer(platform: &'static str, received: Result<Answer, ReceiveError>) -> Result<Json<Value>, Problem> {
    let result = match &received {
        Ok(Answer::Processed { .. }) => "processed",
        Ok(Answer::Duplicate) => "duplicate",
        Ok(Answer::DeadLetter) => "dead_letter",
        Ok(Answer::Failed { .. }) => "failed",
        Err(ReceiveError::Rejected(_)) => "rejected",
        Err(ReceiveError::UnknownConnection) => "unknown_connection",
        Err(ReceiveError::Ledger(_)) => "unavailable",
    };
    metrics::counter!("onhand_webhooks_total", "platform" => platform, "result" => result).increment(1);
    Ok(Json(match received? {
        Answer::Processed { position } => json!({ "status": "processed", "position": position }),
        Answer::Duplicate => json!({ "status": "duplicate" }),
        Answer::DeadLetter => json!({ "status": "dead_letter" }),
        Answer::Failed { reason } => return Err(Problem::held(&reason)),
    }))
}
