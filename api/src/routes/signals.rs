//! `/api/signals`: what outside observers raised, in order, from wherever a consumer was.

use axum::{
    Json,
    extract::{Query, rejection::QueryRejection},
};
use onhand_infrastructure::queries::signals::{self, SignalView};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{app::AppState, extract::Reader, problem::Problem};

/// Which signals.
#[derive(Debug, Deserialize)]
pub struct From {
    connection: Uuid,
    /// The number of the last one seen; 0 from the beginning.
    #[serde(default)]
    after: i64,
    limit: Option<i64>,
}

/// Signals, and where to go on.
#[derive(Debug, Serialize)]
pub struct Signals {
    data: Vec<SignalView>,
    /// Pass it as `after` next time.
    after: i64,
}

/// `GET /api/signals?connection=…&after=…`: each signal once, in the order in which they were taken in.
pub async fn list(
    app: AppState,
    reader: Reader,
    from: Result<Query<From>, QueryRejection>,
) -> Result<Json<Signals>, Problem> {
    let Query(From { connection, after, limit }) = from?;
    let brand = reader.brand.as_deref();
    let limit = limit.unwrap_or(100);
    let data = signals::after(app.onhand.pool(), reader.tenant, brand, connection, after, limit).await?;
    let after = data.last().map_or(after, |last| last.number);
    Ok(Json(Signals { data, after }))
}
