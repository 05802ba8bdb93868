//! `/api/listings`.

use onhand_domain::values::{ConnectionId, ExternalId, ListingId, Sku};
use onhand_infrastructure::{
    operations::listings::ListingDraft,
    queries::{
        Page, at,
        listings::{self, ListingView},
    },
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Read, Written};
use crate::{
    app::AppState,
    extract::{AnyTime, Ask, Empty, Listing, Path},
    problem::Problem,
};

/// A platform's variant, and the SKU it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListingBody {
    connection: Uuid,
    external_product: ExternalId,
    external_variant: ExternalId,
    external_inventory: Option<ExternalId>,
    sku: Sku,
}

/// `POST /api/listings`: says by hand which of a platform's variants is which of ours.
pub async fn map(app: AppState, ask: Ask<ListingBody>) -> Result<Written, Problem> {
    let ListingBody { connection, external_product, external_variant, external_inventory, sku } = ask.body;
    let connection = ConnectionId(connection);
    let draft = ListingDraft { connection, external_product, external_variant, external_inventory, sku };
    Ok(Written::done(app.onhand.operations.map_listing(ask.caller, draft).await?))
}

/// `DELETE /api/listings/{id}`: takes it away here, with what is owed to it.
pub async fn remove(app: AppState, Path(id): Path<Uuid>, ask: Ask<Empty>) -> Result<Written, Problem> {
    Ok(Written::done(app.onhand.operations.remove_listing(ask.caller, ListingId(id)).await?))
}

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    connection: Option<Uuid>,
}

/// `GET /api/listings`
pub async fn list(
    app: AppState,
    listing: Listing<Filter, AnyTime>,
) -> Result<Read<Page<ListingView>>, Problem> {
    let connection = listing.filter.connection.map(ConnectionId);
    let (pool, window) = (app.onhand.pool(), &listing.window);
    Ok(match listing.at(&app).await? {
        Some(position) => Read::at(position, at::listings::list(pool, window, connection, position).await?),
        None => Read::now(listings::list(pool, window, connection).await?),
    })
}
