//! Lists as they were at a position, from the streams themselves: of the same form, narrowed, paged and scoped as the present
//! ones, by what was true then.

pub mod connections;
pub mod listings;
pub mod moves;
pub mod products;
pub mod reservations;
pub mod stock_levels;

use std::collections::{HashMap, HashSet};

use onhand_domain::{
    State, StreamId,
    values::{ConnectionId, ProductId, Sku, TenantId, VariantId},
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{QueryError, gathering::CHUNK};
use crate::ledger::{StateAt, state_at, states_at};

/// A variant as it was.
struct VariantAt {
    product: Uuid,
    sku: String,
    brand: Option<String>,
}

impl VariantAt {
    /// Whether a caller bound to a brand, or to none, could see it then.
    fn visible_to(&self, brand: Option<&str>) -> bool {
        brand.is_none() || brand == self.brand.as_deref()
    }
}

/// Variants as they were; those that were not there yet are left out.
async fn variants_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    variants: HashSet<Uuid>,
) -> Result<HashMap<Uuid, VariantAt>, QueryError> {
    let rows: Vec<(Uuid,)> = sqlx::query_as(
        "select distinct product_id from variants
         where tenant_id = $1 and id = any($2) -- rows never go away, nor to another product",
    )
    .bind(tenant.0)
    .bind(variants.iter().copied().collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let mut found = HashMap::with_capacity(variants.len());
    for chunk in rows.chunks(CHUNK) {
        let products = chunk.iter().map(|(product,)| StreamId::Product(ProductId(*product))).collect();
        for (id, StateAt { state, .. }) in states_at(conn, tenant, position, products).await? {
            let (StreamId::Product(id), State::Product(product)) = (id, state) else { continue };
            let Some(details) = product.details else { continue };
            for (variant, known) in product.variants.into_iter().filter(|(id, _)| variants.contains(&id.0)) {
                let sku = known.details.sku.to_string();
                let at = VariantAt { product: id.0, sku, brand: details.brand.clone() };
                found.insert(variant.0, at);
            }
        }
    }
    Ok(found)
}

/// Which brand each connection belonged to.
async fn brands_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    connections: HashSet<ConnectionId>,
) -> Result<HashMap<ConnectionId, String>, QueryError> {
    let streams = connections.into_iter().map(StreamId::Connection).collect();
    let states = states_at(conn, tenant, position, streams).await?;
    let brands = states.into_iter().filter_map(|(stream, at)| match (stream, at.state) {
        (StreamId::Connection(id), State::Connection(connection)) => Some((id, connection.details?.brand)),
        _ => None,
    });
    Ok(brands.collect())
}

/// What a SKU named then.
async fn named_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    sku: Sku,
) -> Result<Option<(ProductId, VariantId)>, QueryError> {
    Ok(match state_at(conn, tenant, position, StreamId::Sku(sku)).await?.state {
        State::Sku(claim) => claim.names,
        _ => None,
    })
}

/// The variants a product had then.
async fn variants_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    product: Uuid,
) -> Result<Vec<VariantId>, QueryError> {
    let stream = StreamId::Product(ProductId(product));
    Ok(match state_at(conn, tenant, position, stream).await?.state {
        State::Product(product) => product.variants.into_keys().collect(),
        _ => vec![],
    })
}
