//! Stock levels: on hand, reserved and available, per variant and location.

use serde::Serialize;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window};

/// A shelf as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the tables, described there")]
pub struct StockLevelView {
    pub variant_id: Uuid,
    pub sku: String,
    pub location: String,
    pub on_hand: i64,
    pub reserved: i64,
    pub available: i64,
    pub backorder_limit: i64,
    pub low_stock_threshold: Option<i64>,
    pub low: bool,
    /// The ledger position of the newest change.
    pub position: i64,
}

/// What a list of shelves is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct StockFilter {
    /// One SKU.
    pub sku: Option<String>,
    /// One location.
    pub location: Option<String>,
    /// One product.
    pub product: Option<Uuid>,
    /// Those that are low, or those that are not.
    pub low: Option<bool>,
}

/// A tenant's shelves, by variant and location.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &StockFilter,
) -> Result<Page<StockLevelView>, QueryError> {
    let (variant, location) = window.after::<(Uuid, String)>()?.unzip();
    let rows = sqlx::query_as(
        "select s.variant_id, v.sku, s.location, s.on_hand, s.reserved, greatest(s.on_hand - s.reserved, 0) as available,
                s.backorder_limit, s.low_stock_threshold, s.low, s.position
         from stock_levels s
         join variants v on v.tenant_id = s.tenant_id and v.id = s.variant_id
         join products p on p.tenant_id = v.tenant_id and p.id = v.product_id
         where s.tenant_id = $1 and ($2::text is null or p.brand = $2)
           and ($3::uuid is null or (s.variant_id, s.location) > ($3, $4))
           and ($5::text is null or v.sku = $5) and ($6::text is null or s.location = $6)
           and ($7::uuid is null or v.product_id = $7) and ($8::boolean is null or s.low = $8)
         order by s.variant_id, s.location limit $9",
    )
    .bind(window.tenant.0)
    .bind(&window.brand)
    .bind(variant)
    .bind(location)
    .bind(&filter.sku)
    .bind(&filter.location)
    .bind(filter.product)
    .bind(filter.low)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &StockLevelView| (row.variant_id, row.location.clone())))
}
