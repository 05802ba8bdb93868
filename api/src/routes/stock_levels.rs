//! `/api/stock`.

use axum::Json;
use onhand_domain::values::{LocationCode, Quantity, Sku};
use onhand_infrastructure::{
    operations::stock::StockChange,
    queries::{
        Page, sku_filter,
        stock_levels::{self, StockFilter, StockLevelView},
    },
};
use serde::Deserialize;
use uuid::Uuid;

use super::Written;
use crate::{
    app::AppState,
    extract::{Ask, Listing},
    problem::Problem,
};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    sku: Option<String>,
    location: Option<String>,
    product: Option<Uuid>,
}

/// Units that arrived.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestockBody {
    sku: Sku,
    #[serde(default)]
    location: LocationCode,
    quantity: Quantity,
    reference: Option<String>,
}

/// A correction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdjustBody {
    sku: Sku,
    #[serde(default)]
    location: LocationCode,
    delta: i64,
    reason: String,
}

/// A count.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountBody {
    sku: Sku,
    #[serde(default)]
    location: LocationCode,
    counted: Quantity,
    reference: Option<String>,
}

/// `GET /api/stock`
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<Page<StockLevelView>>, Problem> {
    listing.fresh(&app, "stock_levels").await?;
    sku_filter(listing.filter.sku.as_deref())?;
    let Filter { sku, location, product } = listing.filter;
    let filter = StockFilter { sku, location, product };
    Ok(Json(stock_levels::list(app.onhand.pool(), &listing.window, &filter).await?))
}

/// `POST /api/stock/restock`
pub async fn restock(app: AppState, ask: Ask<RestockBody>) -> Result<Written, Problem> {
    let RestockBody { sku, location, quantity, reference } = ask.body;
    let change = StockChange::Restock { quantity, reference };
    Ok(Written::done(app.onhand.operations.change_stock(ask.caller, sku, location, change).await?))
}

/// `POST /api/stock/adjust`
pub async fn adjust(app: AppState, ask: Ask<AdjustBody>) -> Result<Written, Problem> {
    let AdjustBody { sku, location, delta, reason } = ask.body;
    let change = StockChange::Adjust { delta, reason };
    Ok(Written::done(app.onhand.operations.change_stock(ask.caller, sku, location, change).await?))
}

/// `POST /api/stock/count`
pub async fn count(app: AppState, ask: Ask<CountBody>) -> Result<Written, Problem> {
    let CountBody { sku, location, counted, reference } = ask.body;
    let change = StockChange::Count { counted, reference };
    Ok(Written::done(app.onhand.operations.change_stock(ask.caller, sku, location, change).await?))
}
