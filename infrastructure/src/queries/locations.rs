//! Locations: how they are sold from.

use onhand_domain::{
    Refusal,
    values::{LocationCode, TenantId},
};
use serde::Serialize;
use sqlx::{FromRow, PgPool};

use super::{Page, QueryError, Window};
use crate::ledger::LedgerError;

/// A location as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct LocationView {
    pub code: String,
    pub priority: i32,
    pub sells: bool,
}

/// A tenant's locations, by code.
pub async fn list(pool: &PgPool, window: &Window) -> Result<Page<LocationView>, QueryError> {
    let rows = sqlx::query_as(
        "select code, priority, sells from locations
         where tenant_id = $1 and ($2::text is null or code > $2) order by code limit $3",
    )
    .bind(window.tenant.0)
    .bind(window.after::<String>()?)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &LocationView| row.code.clone()))
}

/// The locations that sell, in their order; none if nothing was said about any.
pub async fn selling(pool: &PgPool, tenant: TenantId) -> Result<Option<Vec<LocationCode>>, LedgerError> {
    let rows: Vec<(String, bool)> = sqlx::query_as(
        "select code, sells from locations where tenant_id = $1 order by priority, code limit 200",
    )
    .bind(tenant.0)
    .fetch_all(pool)
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let codes = rows.iter().filter(|(_, sells)| *sells).map(|(code, _)| LocationCode::new(code));
    Ok(Some(codes.collect::<Result<_, _>>().map_err(Refusal::from)?))
}
