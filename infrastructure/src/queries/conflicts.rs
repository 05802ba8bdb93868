//! Conflicts: figures that were changed on a platform, and that somebody has to judge.

use onhand_domain::{listing::Conflict, values::Money};
use serde::Serialize;
use sqlx::{FromRow, PgPool, types::Json};
use uuid::Uuid;

use super::{Page, QueryError, Window};

/// A listing with a figure in question.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct ConflictView {
    pub listing_id: Uuid,
    pub connection_id: Uuid,
    pub sku: String,
    pub quantity: Option<Json<Conflict>>,
    pub price: Option<Json<Conflict>>,
    /// What the ledger says is for sale there; none if the shelf has no history.
    pub ledger_quantity: Option<i64>,
    /// What the ledger says it costs there.
    pub ledger_price: Option<Json<Money>>,
}

/// A tenant's listings with something in question, by id.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    connection: Option<Uuid>,
) -> Result<Page<ConflictView>, QueryError> {
    let rows = sqlx::query_as(
        "select l.id as listing_id, l.connection_id, v.sku, l.quantity_conflict as quantity, l.price_conflict as price,
                case when s.variant_id is not null then
                    greatest(s.on_hand - s.reserved - (c.rules->>'safetyBuffer')::bigint, 0) end as ledger_quantity,
                v.prices->c.market as ledger_price
         from listings l -- listings_conflict_idx
         join connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
         join variants v on v.tenant_id = l.tenant_id and v.id = l.variant_id
         left join stock_levels s
             on s.tenant_id = l.tenant_id and s.variant_id = l.variant_id and s.location = c.location
         where l.tenant_id = $1 and (l.quantity_conflict is not null or l.price_conflict is not null)
           and ($2::text is null or c.brand = $2) and ($3::uuid is null or l.id > $3)
           and ($4::uuid is null or l.connection_id = $4)
         order by l.id limit $5",
    )
    .bind(window.tenant.0)
    .bind(&window.brand)
    .bind(window.after::<Uuid>()?)
    .bind(connection)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &ConflictView| row.listing_id))
}
