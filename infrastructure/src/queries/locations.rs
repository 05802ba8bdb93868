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

/// The locations that sell, in their order; `main` is one of them, as the first, unless something else was said.
pub async fn selling(pool: &PgPool, tenant: TenantId) -> Result<Vec<LocationCode>, LedgerError> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "select code from (
             select code, priority from locations where tenant_id = $1 and sells
             union all
             select 'main', 0 where not exists (select from locations where tenant_id = $1 and code = 'main')
         ) as selling
         order by priority, code limit 200",
    )
    .bind(tenant.0)
    .fetch_all(pool)
    .await?;
    let codes = rows.iter().map(|(code,)| LocationCode::new(code));
    Ok(codes.collect::<Result<_, _>>().map_err(Refusal::from)?)
}
