//! Reservations: what is held for whom, and what became of it.

use chrono::{DateTime, Utc};
use onhand_domain::values::{TenantId, VariantId};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window, gathering::Gathering, one_of};

/// A reservation as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct ReservationView {
    pub id: Uuid,
    /// `held`, `committed`, `released`, `expired`, `refund_due`, or `ended` where the lines ended differently.
    pub status: String,
    pub reserved_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub actor: String,
    /// `[{ sku, variant_id, location, reserved, held, committed, released, expired, refund_due }]`.
    pub lines: Value,
}

/// What may have become of a reservation.
const STATUSES: [&str; 6] = ["held", "committed", "released", "expired", "refund_due", "ended"];

/// What a list of reservations is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct ReservationFilter {
    /// One reservation.
    pub id: Option<Uuid>,
    /// Those in this status.
    pub status: Option<String>,
}

impl ReservationFilter {
    /// Whether it makes sense.
    pub fn check(&self) -> Result<(), QueryError> {
        one_of("status", self.status.as_deref(), &STATUSES)
    }
}

/// A tenant's reservations, by id. A caller bound to a brand sees those whose every line is of that brand.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &ReservationFilter,
) -> Result<Page<ReservationView>, QueryError> {
    let mut conn = pool.acquire().await?;
    if let Some(id) = filter.id {
        let data = put_together(&mut conn, window, filter, &[id]).await?;
        return Ok(Page { data, next_cursor: None });
    }
    let mut page = Gathering::new(window, window.after::<Uuid>()?);
    while let Some((wanted, after)) = page.next() {
        let ids = next_ids(&mut conn, window.tenant, after, wanted).await?;
        let reservations = put_together(&mut conn, window, filter, &ids).await?;
        page.take(reservations, (wanted, ids.len()), ids.last().copied());
    }
    Ok(page.page(|reservation| reservation.id))
}

/// The next reservations, by id.
pub(super) async fn next_ids(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(include_str!("reservation_ids.sql"))
        .bind(tenant.0)
        .bind(after.unwrap_or_default()) // the nil id is nobody's
        .bind(limit)
        .fetch_all(conn)
        .await
}

/// Those of some reservations that fit, by id.
async fn put_together(
    conn: &mut PgConnection,
    window: &Window,
    filter: &ReservationFilter,
    ids: &[Uuid],
) -> Result<Vec<ReservationView>, sqlx::Error> {
    sqlx::query_as(concat!(include_str!("reservation_lines.sql"), include_str!("reservations.sql")))
        .bind(&window.brand)
        .bind(&filter.status)
        .bind(window.tenant.0)
        .bind(ids)
        .fetch_all(conn)
        .await
}

/// A hold whose time has come, as far as the read model knows.
#[derive(Debug, Clone)]
pub struct DueHold {
    /// Whose.
    pub tenant: TenantId,
    /// Of what.
    pub variant: VariantId,
    /// Where.
    pub location: String,
}

/// Holds that are due at `now`: of each tenant the longest overdue, up to `limit`. None of one whose read model stands still.
pub async fn due(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<Vec<DueHold>, sqlx::Error> {
    let rows: Vec<(Uuid, Uuid, String)> = sqlx::query_as(
        "select d.tenant_id, d.variant_id, d.location
         from ledger_heads h
         left join checkpoints c on c.tenant_id = h.tenant_id and c.model = 'reservations'
         cross join lateral (
             select tenant_id, variant_id, location from reservations r
             where r.tenant_id = h.tenant_id and r.expires_at <= $1
               and r.reserved > r.committed + r.released + r.expired -- reservations_due_idx
             order by r.expires_at limit $2) d
         where c.parked is null and c.paused_at is null -- it would show the same holds as due for ever",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(tenant, variant, location)| DueHold {
            tenant: TenantId(tenant),
            variant: VariantId(variant),
            location,
        })
        .collect())
}
