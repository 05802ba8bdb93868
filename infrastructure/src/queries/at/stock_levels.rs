//! Shelves as they were.

use onhand_domain::{
    State, StreamId,
    values::{Quantity, StockId, TenantId, VariantId},
};
use sqlx::{PgConnection, PgPool};

use super::{named_at, variants_at, variants_of};
use crate::{
    ledger::{read, states_at},
    queries::{
        Page, QueryError, Window,
        gathering::Gathering,
        sku_filter,
        stock_levels::{StockFilter, StockLevelView},
    },
};

/// A tenant's shelves as they were at a position, by variant and location.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &StockFilter,
    position: i64,
) -> Result<Page<StockLevelView>, QueryError> {
    let mut conn = pool.acquire().await?;
    let prefixes = prefixes(&mut conn, window.tenant, filter, position).await?;
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    let mut page = Gathering::new(window, window.after::<String>()?);
    while let Some((wanted, after)) = page.next() {
        let after = after.unwrap_or_default();
        let streams = read::streams_begun(&mut conn, window.tenant, &prefixes, &after, wanted).await?;
        let begun = streams.iter().filter(|(_, first)| *first <= position);
        let shelves = begun
            .filter_map(|(stream, _)| match stream.parse() {
                Ok(StreamId::Stock(id)) => Some(id),
                _ => None,
            })
            .filter(|id: &StockId| filter.location.as_deref().is_none_or(|code| code == id.location.as_str()))
            .collect();
        let levels = levels(&mut conn, window, filter, position, shelves).await?;
        page.take(levels, (wanted, streams.len()), streams.into_iter().next_back().map(|(stream, _)| stream));
    }
    Ok(page.page(|level| format!("stock/{}/{}", level.variant_id, level.location)))
}

/// What the streams of all shelves that may be meant begin with.
async fn prefixes(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &StockFilter,
    position: i64,
) -> Result<Vec<String>, QueryError> {
    let variants: Vec<VariantId> = match (sku_filter(filter.sku.as_deref())?, filter.product) {
        (None, None) => return Ok(vec!["stock".to_owned()]),
        (None, Some(product)) => variants_of(conn, tenant, position, product).await?,
        (Some(sku), product) => {
            let named = named_at(conn, tenant, position, sku).await?;
            let named = named.filter(|(of, _)| product.is_none_or(|product| product == of.0));
            named.map(|(_, variant)| variant).into_iter().collect()
        }
    };
    Ok(variants.into_iter().map(|variant| format!("stock/{variant}")).collect())
}

async fn levels(
    conn: &mut PgConnection,
    window: &Window,
    filter: &StockFilter,
    position: i64,
    shelves: Vec<StockId>,
) -> Result<Vec<StockLevelView>, QueryError> {
    let variants = shelves.iter().map(|id| id.variant.0).collect();
    let variants = variants_at(conn, window.tenant, position, variants).await?;
    let streams = shelves.iter().cloned().map(StreamId::Stock).collect();
    let mut states = states_at(conn, window.tenant, position, streams).await?;
    let level = |id: StockId| {
        let variant = variants.get(&id.variant.0)?;
        let at = states.remove(&StreamId::Stock(id.clone()))?;
        let State::Stock(shelf) = at.state else { return None };
        let fits = variant.visible_to(window.brand.as_deref())
            && filter.sku.as_ref().is_none_or(|sku| *sku == variant.sku)
            && filter.product.is_none_or(|product| product == variant.product)
            && filter.low.is_none_or(|low| low == shelf.is_low());
        fits.then(|| StockLevelView {
            variant_id: id.variant.0,
            sku: variant.sku.clone(),
            location: id.location.to_string(),
            on_hand: shelf.on_hand().units(),
            reserved: shelf.reserved().units(),
            available: shelf.available().units(),
            backorder_limit: shelf.policy().backorder_limit.units(),
            low_stock_threshold: shelf.policy().low_stock_threshold.map(Quantity::units),
            low: shelf.is_low(),
            position: at.position,
        })
    };
    Ok(shelves.into_iter().filter_map(level).collect())
}
