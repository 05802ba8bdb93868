//! `/api/audit`: the log, and copies of it.

use axum::{
    Json,
    body::Body,
    extract::{Query, rejection::QueryRejection},
    http::{
        HeaderName, Method,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use onhand_infrastructure::queries::{
    Page, QueryError,
    audit_log::{self, AuditFilter, AuditView},
};
use serde::Deserialize;

use crate::{
    app::AppState,
    export::{Exporting, Format},
    extract::{self, Empty, Listing},
    problem::Problem,
};

/// How a copy is to be written, and what lists take that a copy does not.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    format: Format,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /api/audit`, newest first.
pub async fn list(app: AppState, listing: Listing<AuditFilter>) -> Result<Json<Page<AuditView>>, Problem> {
    Ok(Json(audit_log::list(app.onhand.pool(), &listing.window, &listing.filter).await?))
}

/// `GET /api/audit/export`, oldest first, all of it: pages are read as fast as the caller takes them.
pub async fn export(
    method: Method,
    app: AppState,
    listing: Listing<AuditFilter>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    asked: extract::Query<Empty>,
) -> Result<Response, Problem> {
    let Query(Wanted { format, limit, cursor }) = wanted?;
    if limit.or(cursor).is_some() {
        let detail = "a copy is of all that fits: it takes neither limit nor cursor; say since and until";
        return Err(Problem::bad_request("query.invalid", detail));
    }
    if method == Method::HEAD {
        // Nothing is copied, so nothing is put on record.
        listing.filter.check()?;
        return Ok([(CONTENT_TYPE, format.media_type())].into_response());
    }
    let mut exporting = Exporting::begin(&app.onhand, asked.caller, listing.filter, format).await?;
    let (_, end) = exporting.progress();
    // What stands in the way of the first page is a problem. Later the answer is torn off, and never looks whole.
    let first = exporting.next().await?;
    let rest = stream::try_unfold(exporting, |mut exporting| async move {
        let next = exporting.next().await?;
        Ok::<_, QueryError>(next.map(|text| (text, exporting)))
    });
    let rest = rest.inspect_err(|error: &QueryError| tracing::error!(%error, "an export was torn off"));
    let body = Body::from_stream(stream::iter(first.map(Ok)).chain(rest));
    let headers = [
        (CONTENT_TYPE, format.media_type().to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"audit-{end}.{}\"", format.name())),
        (HeaderName::from_static("onhand-position"), end.to_string()),
    ];
    Ok((headers, body).into_response())
}
