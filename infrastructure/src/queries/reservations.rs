//! Reservations: what is held for whom, and what became of it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window};

/// A reservation as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct ReservationView {
    pub id: Uuid,
    /// `held`, `committed`, `released`, `expired`, or `ended` where the lines ended differently.
    pub status: String,
    pub reserved_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub actor: String,
    /// `[{ sku, variant_id, location, reserved, held, committed, released, expired }]`.
    pub lines: Value,
}

/// What a list of reservations is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct ReservationFilter {
    /// One reservation.
    pub id: Option<Uuid>,
    /// Those in this status.
    pub status: Option<String>,
}

/// A tenant's reservations, by id. A caller bound to a brand sees those whose every line is of that brand.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &ReservationFilter,
) -> Result<Page<ReservationView>, QueryError> {
    let rows = sqlx::query_as(include_str!("reservations.sql"))
        .bind(window.tenant.0)
        .bind(&window.brand)
        .bind(window.after::<Uuid>()?)
        .bind(filter.id)
        .bind(&filter.status)
        .bind(window.fetch())
        .fetch_all(pool)
        .await?;
    Ok(window.page(rows, |row: &ReservationView| row.id))
}
