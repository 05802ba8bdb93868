//! Products as they were.

use onhand_domain::{
    State, StreamId,
    product::Product,
    values::{ProductId, TenantId},
};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use super::{brands_at, named_at};
use crate::{
    ledger::{read, states_at},
    queries::{
        Page, QueryError, Window,
        gathering::Gathering,
        products::{ProductFilter, ProductView},
        sku_filter,
    },
};

/// A tenant's products as they were at a position, by id.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &ProductFilter,
    position: i64,
) -> Result<Page<ProductView>, QueryError> {
    let mut conn = pool.acquire().await?;
    if let Some(ids) = few(&mut conn, window.tenant, filter, position).await? {
        let data = products(&mut conn, window, filter, position, ids).await?;
        return Ok(Page { data, next_cursor: None });
    }
    let mut page = Gathering::new(window, window.after::<String>()?);
    while let Some((wanted, after)) = page.next() {
        let after = after.unwrap_or_default();
        let streams = read::streams_begun(&mut conn, window.tenant, &["product"], &after, wanted).await?;
        let begun = streams.iter().filter(|(_, first)| *first <= position);
        let ids = begun.filter_map(|(stream, _)| stream.parse::<StreamId>().ok()).collect();
        let products = products(&mut conn, window, filter, position, ids).await?;
        page.take(
            products,
            (wanted, streams.len()),
            streams.into_iter().next_back().map(|(stream, _)| stream),
        );
    }
    Ok(page.page(|product| format!("product/{}", product.id)))
}

/// The products that may be meant, if the filter says so.
async fn few(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &ProductFilter,
    position: i64,
) -> Result<Option<Vec<StreamId>>, QueryError> {
    Ok(match (filter.id, sku_filter(filter.sku.as_deref())?) {
        (Some(id), _) => Some(vec![StreamId::Product(ProductId(id))]),
        (None, Some(sku)) => {
            let named = named_at(conn, tenant, position, sku).await?;
            Some(named.into_iter().map(|(product, _)| StreamId::Product(product)).collect())
        }
        (None, None) => None,
    })
}

async fn products(
    conn: &mut PgConnection,
    window: &Window,
    filter: &ProductFilter,
    position: i64,
    ids: Vec<StreamId>,
) -> Result<Vec<ProductView>, QueryError> {
    let mut states = states_at(conn, window.tenant, position, ids.clone()).await?;
    let product = |id: StreamId| match (&id, states.remove(&id)?.state) {
        (StreamId::Product(id), State::Product(product)) => Some((*id, *product)),
        _ => None,
    };
    let mut products: Vec<(ProductId, Product)> = ids.into_iter().filter_map(product).collect();
    if let Some(brand) = &window.brand {
        let connections = products.iter().flat_map(|(_, product)| product.offers.keys().copied()).collect();
        let brands = brands_at(conn, window.tenant, position, connections).await?;
        for (_, product) in &mut products {
            product.offers.retain(|connection, _| brands.get(connection) == Some(brand));
        }
    }
    let fits = |product: &ProductView| {
        let brand = product.brand.as_deref();
        let has = |sku: &str| product.variants.as_array().into_iter().flatten().any(|it| it["sku"] == *sku);
        (window.brand.is_none() || window.brand.as_deref() == brand)
            && filter.style_code.as_ref().is_none_or(|code| product.style_code.as_ref() == Some(code))
            && filter.sku.as_deref().is_none_or(has)
    };
    Ok(products.into_iter().filter_map(|(id, product)| view(id, product)).filter(fits).collect())
}

/// None for one that was not described yet.
fn view(id: ProductId, product: Product) -> Option<ProductView> {
    let details = product.details?;
    let mut variants: Vec<_> = product.variants.into_iter().collect();
    variants.sort_by(|(_, a), (_, b)| a.details.sku.cmp(&b.details.sku));
    let variants = variants.into_iter().map(|(id, variant)| {
        json!({ "id": id, "sku": variant.details.sku, "attributes": variant.details.attributes,
                "prices": variant.prices })
    });
    let offers = product.offers.into_iter().map(|(connection, offer)| {
        json!({ "connection_id": connection, "shown": offer.shown, "taken_off": offer.taken_off })
    });
    Some(ProductView {
        id: id.0,
        title: details.title,
        brand: details.brand,
        vendor: details.vendor,
        category: details.category,
        style_code: details.style_code,
        tags: details.tags,
        archived: product.archived,
        variants: Value::Array(variants.collect()),
        offers: Value::Array(offers.collect()),
    })
}
