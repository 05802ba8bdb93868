//! Moves up to a position.

use sqlx::PgPool;

use super::{named_at, variants_at};
use crate::queries::{
    Page, QueryError, Window,
    moves::{self, MoveFilter, MoveView},
    sku_filter,
};

/// A tenant's moves up to a position, newest first, by the SKUs and for the brands of then.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &MoveFilter,
    position: i64,
) -> Result<Page<MoveView>, QueryError> {
    let mut conn = pool.acquire().await?;
    let filter = MoveFilter { to: Some(position), ..filter.clone() };
    let shelves = match sku_filter(filter.sku.as_deref())? {
        Some(sku) => {
            let named = named_at(&mut conn, window.tenant, position, sku).await?;
            let variant = named.map(|(_, variant)| variant);
            Some(moves::of_variant(&mut conn, window.tenant, variant, filter.location.as_deref()).await?)
        }
        None => moves::of_reservation(&mut conn, window.tenant, &filter).await?,
    };
    // Which brand a move belongs to is decided by what was true then: a page may then be short.
    let all = Window { brand: None, ..window.clone() };
    let mut page = moves::of_shelves(&mut conn, &all, &filter, shelves).await?;
    let variants = page.data.iter().map(|it| it.variant_id).collect();
    let mut variants = variants_at(&mut conn, window.tenant, position, variants).await?;
    variants.retain(|_, variant| variant.visible_to(window.brand.as_deref()));
    page.data.retain_mut(|it| match variants.get(&it.variant_id) {
        Some(variant) => {
            it.sku.clone_from(&variant.sku);
            true
        }
        None => false,
    });
    Ok(page)
}
