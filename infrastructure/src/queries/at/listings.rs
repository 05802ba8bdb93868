//! Listings as they were.

use onhand_domain::{
    State, StreamId,
    listing::{Listing, Mapping},
    values::{ConnectionId, ListingId},
};
use sqlx::{PgConnection, PgPool, types::Json};

use super::{VariantAt, brands_at, variants_at};
use crate::{
    ledger::{read, states_at},
    queries::{Page, QueryError, Window, gathering::Gathering, listings::ListingView},
};

/// A tenant's listings as they were at a position, by id.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    connection: Option<ConnectionId>,
    position: i64,
) -> Result<Page<ListingView>, QueryError> {
    let mut conn = pool.acquire().await?;
    let mut page = Gathering::new(window, window.after::<String>()?);
    while let Some((wanted, after)) = page.next() {
        let after = after.unwrap_or_default();
        let streams = read::streams_begun(&mut conn, window.tenant, &["listing"], &after, wanted).await?;
        let begun = streams.iter().filter(|(_, first)| *first <= position);
        let ids = begun.filter_map(|(stream, _)| stream.parse::<StreamId>().ok()).collect();
        let listings = listings(&mut conn, window, connection, position, ids).await?;
        page.take(
            listings,
            (wanted, streams.len()),
            streams.into_iter().next_back().map(|(stream, _)| stream),
        );
    }
    Ok(page.page(|listing| format!("listing/{}", listing.id)))
}

async fn listings(
    conn: &mut PgConnection,
    window: &Window,
    connection: Option<ConnectionId>,
    position: i64,
    ids: Vec<StreamId>,
) -> Result<Vec<ListingView>, QueryError> {
    let mut states = states_at(conn, window.tenant, position, ids.clone()).await?;
    let mut listed: Vec<(ListingId, Mapping, Box<Listing>)> = Vec::with_capacity(ids.len());
    for stream in ids {
        let state = states.remove(&stream).map(|at| at.state);
        let (StreamId::Listing(id), Some(State::Listing(mut listing))) = (stream, state) else { continue };
        let Some(mapping) = listing.mapping.take() else { continue };
        if connection.is_none_or(|connection| connection == mapping.connection) {
            listed.push((id, mapping, listing));
        }
    }
    let connections = listed.iter().map(|(_, mapping, _)| mapping.connection).collect();
    let brands = brands_at(conn, window.tenant, position, connections).await?;
    let variants = listed.iter().map(|(_, mapping, _)| mapping.variant.0).collect();
    let variants = variants_at(conn, window.tenant, position, variants).await?;
    let views = listed.into_iter().filter_map(|(id, mapping, listing)| {
        let brand = brands.get(&mapping.connection)?;
        let variant = variants.get(&mapping.variant.0)?;
        let visible = window.brand.as_ref().is_none_or(|bound| bound == brand);
        visible.then(|| view(id, mapping, &listing, variant))
    });
    Ok(views.collect())
}

fn view(id: ListingId, mapping: Mapping, listing: &Listing, variant: &VariantAt) -> ListingView {
    ListingView {
        id: id.0,
        connection_id: mapping.connection.0,
        product_id: mapping.product.0,
        variant_id: mapping.variant.0,
        sku: variant.sku.clone(),
        external_product: mapping.external_product.to_string(),
        external_variant: mapping.external_variant.to_string(),
        external_inventory: mapping.external_inventory.map(|id| id.to_string()),
        removed: listing.removed,
        shown_quantity: listing.quantity.value,
        quantity_as_of: listing.quantity.as_of,
        shown_price: listing.price.value.map(Json),
        price_as_of: listing.price.as_of,
    }
}
