//! `/api/audit`.

use axum::Json;
use onhand_infrastructure::queries::{
    Page,
    audit_log::{self, AuditFilter, AuditView},
};
use serde::Deserialize;

use crate::{app::AppState, extract::Listing, problem::Problem};

/// Narrows the log.
#[derive(Debug, Deserialize)]
pub struct Filter {
    stream: Option<String>,
    action: Option<String>,
    actor: Option<String>,
    correlation_id: Option<String>,
}

/// `GET /api/audit`, newest first.
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<AuditView>>, Problem> {
    let Filter { stream, action, actor, correlation_id } = listing.filter;
    let filter = AuditFilter { stream, action, actor, correlation_id };
    Ok(Json(audit_log::list(app.onhand.pool(), &listing.window, &filter).await?))
}
