//! Problems: RFC 9457 bodies, and the only place where status codes of failures are chosen.

use std::{borrow::Cow, fmt::Display};

use axum::{
    Json,
    extract::rejection::{BytesRejection, PathRejection, QueryRejection},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use onhand_domain::{Refusal, RefusalKind};
use onhand_infrastructure::{
    ledger::{LedgerError, MomentError, is_passing},
    oidc::{OidcError, TokenFault},
    operations::deliveries::ReceiveError,
    queries::QueryError,
};
use onhand_projector::ProjectorError;
use serde_json::{Map, Value, json};

/// Says that an answer is that of an earlier request with the same `Idempotency-Key`.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A failure, as the caller sees it.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    facts: Option<Value>,
    retry_after: Option<u32>,
    /// The same was answered before, to the same request.
    replayed: bool,
    /// For the log only; never in the body.
    cause: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            detail: detail.into(),
            facts: None,
            retry_after: None,
            replayed: false,
            cause: None,
        }
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: nobody we know.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "auth.required", detail)
    }

    /// 403: known, but not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "auth.forbidden", detail)
    }

    /// 404: not there, or not for this caller.
    pub fn missing(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 405: the path is right, the method is not.
    pub fn not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method.not_allowed", "this path does not take this method")
    }

    /// 408: the request did not arrive in time.
    pub fn too_slow(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, code, detail)
    }

    /// 415: the body is wrapped in something that is not taken off here.
    pub fn unsupported(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, detail)
    }

    /// 429: too many; again after so many seconds.
    pub fn too_many(code: &'static str, detail: impl Into<String>, seconds: u32) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail);
        Self { retry_after: Some(seconds), ..problem }
    }

    /// 503: not now; after so many seconds, perhaps.
    pub fn unavailable(code: &'static str, detail: impl Into<String>, seconds: u32) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        Self { retry_after: Some(seconds), ..problem }
    }

    fn no_database() -> Self {
        let detail = "the database cannot be reached for the moment; nothing was written, try again";
        Self::unavailable("database.unavailable", detail, 2)
    }

    /// 500: our fault. The cause goes to the log.
    pub fn internal(code: &'static str, cause: &dyn Display) -> Self {
        let problem = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            code,
            "something went wrong here; the correlation id leads to the cause in our log",
        );
        Self { cause: Some(cause.to_string()), ..problem }
    }

    /// 500 for a webhook that is held and may be sent again. What is wrong with it is the sender's to know.
    pub fn held(reason: &str) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "delivery.failed",
            format!("the delivery is genuine but could not be acted on; it is held: {reason}"),
        )
    }

    /// What the log should say about it, if it is ours.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The response, with the id that leads to its traces.
    pub fn respond(&self, correlation_id: Option<&str>) -> Response {
        let mut body = match &self.facts {
            Some(Value::Object(facts)) => facts.clone(),
            _ => Map::new(),
        };
        body.insert("type".into(), json!(format!("urn:onhand:problem:{}", self.code)));
        body.insert("title".into(), json!(self.status.canonical_reason().unwrap_or("Error")));
        body.insert("status".into(), json!(self.status.as_u16()));
        body.insert("code".into(), json!(self.code));
        body.insert("detail".into(), json!(self.detail));
        if let Some(id) = correlation_id {
            body.insert("correlation_id".into(), json!(id));
        }
        let mut response = (self.status, Json(Value::Object(body))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.respond(None);
        // The middleware writes the body again, with the request's correlation id, and logs the cause.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            RefusalKind::Missing => StatusCode::NOT_FOUND,
            RefusalKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            RefusalKind::Conflict => StatusCode::CONFLICT,
            RefusalKind::Forbidden => StatusCode::FORBIDDEN,
            RefusalKind::Defect => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { facts: refusal.facts, ..Self::new(status, refusal.code, refusal.detail) }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Refused(refusal) => refusal.into(),
            LedgerError::RefusedBefore(refusal) => Self { replayed: true, ..refusal.into() },
            LedgerError::Busy => Self::unavailable("ledger.busy", error.to_string(), 1),
            LedgerError::Stopped => Self::unavailable("server.stopping", error.to_string(), 2),
            LedgerError::Unknown => Self::unavailable("commit.unknown", error.to_string(), 1),
            LedgerError::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency.key_reused",
                "this Idempotency-Key was used for another request; use a new key for a new request",
            ),
            LedgerError::NoTenant => Self::missing("tenant.unknown", error.to_string()),
            LedgerError::Unavailable(why) => Self { cause: Some(why), ..Self::no_database() },
            LedgerError::Database(error) => error.into(),
            LedgerError::Unreadable { .. } => Self::internal("ledger.unreadable", &error),
        }
    }
}

impl From<OidcError> for Problem {
    fn from(error: OidcError) -> Self {
        match error {
            // Known, but not for what: another token of the same kind would be no better.
            OidcError::Token(TokenFault::Claim { .. }) => {
                Self::new(StatusCode::FORBIDDEN, "auth.claim", error.to_string())
            }
            OidcError::Token(_) => Self::new(StatusCode::UNAUTHORIZED, "auth.token", error.to_string()),
            OidcError::NoKeys(seconds) => Self::unavailable("auth.issuer", error.to_string(), seconds),
            OidcError::Ledger(error) => error.into(),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if is_passing(&error) {
            Self { cause: Some(error.to_string()), ..Self::no_database() }
        } else {
            Self::internal("database.failed", &error)
        }
    }
}

/// 22: the database was given what can be no value, such as a text with U+0000. Where a list was asked for, the caller gave it.
fn is_no_value(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("22"))
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Cursor => Self::bad_request("cursor.invalid", error.to_string()),
            QueryError::Filter(error) => Self::bad_request("filter.invalid", error.to_string()),
            QueryError::Choice(choice) => Self::bad_request("filter.invalid", choice),
            QueryError::Database(error) | QueryError::Ledger(LedgerError::Database(error))
                if is_no_value(&error) =>
            {
                let detail = "a filter or the cursor holds something that cannot be looked for";
                Self { cause: Some(error.to_string()), ..Self::bad_request("filter.invalid", detail) }
            }
            QueryError::Ledger(error) => error.into(),
            QueryError::Database(error) => error.into(),
        }
    }
}

impl From<MomentError> for Problem {
    fn from(error: MomentError) -> Self {
        match error {
            MomentError::Invalid(_) => Self::bad_request("at.invalid", error.to_string()),
            MomentError::Future(..) => Self::bad_request("at.future", error.to_string()),
            MomentError::Ledger(error) => error.into(),
        }
    }
}

impl From<ProjectorError> for Problem {
    fn from(error: ProjectorError) -> Self {
        let conflict = |code: &'static str, error: ProjectorError| {
            Self::new(StatusCode::CONFLICT, code, error.to_string())
        };
        match error {
            ProjectorError::Ledger(error) => error.into(),
            ProjectorError::Database(error) => error.into(),
            ProjectorError::Unknown(_) => Self::missing("projection.unknown", error.to_string()),
            ProjectorError::Busy(_) | ProjectorError::Replacing(_) => conflict("rebuild.running", error),
            ProjectorError::Held(_) => conflict("projection.held", error),
            ProjectorError::RowsLost(_)
            | ProjectorError::Panicked
            | ProjectorError::Behind(_)
            | ProjectorError::Cancelled(_)
            | ProjectorError::Interrupted(_) => Self::internal("projection.failed", &error),
        }
    }
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::UnknownConnection => Self::missing("connection.unknown", error.to_string()),
            ReceiveError::Rejected(rejection) => {
                Self::new(StatusCode::UNAUTHORIZED, "webhook.rejected", rejection.to_string())
            }
            ReceiveError::Limited(wait) => Self::too_many("webhook.rate", error.to_string(), wait.0),
            ReceiveError::Sealed => Self::unavailable("connection.secret", error.to_string(), 60),
            ReceiveError::Ledger(error) => error.into(),
        }
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body.too_large",
                "the body may have at most 1 MB, and 4 MB where many rows are sent at once",
            );
        }
        Self::bad_request("body.unreadable", rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request("path.invalid", rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request("query.invalid", rejection.body_text())
    }
}
