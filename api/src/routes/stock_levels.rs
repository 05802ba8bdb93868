//! `/api/stock`.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::HeaderValue,
    response::{IntoResponse, Response},
};
use onhand_domain::{
    Refusal,
    stock::Policy,
    values::{LocationCode, Object, Quantity, Sku},
};
use onhand_infrastructure::{
    operations::{
        Caller,
        stock::{Outcomes, ShelfChange, StockChange, Transfer},
    },
    queries::{
        Page, at, location_filter,
        moves::{self, MoveFilter, MoveView},
        sku_filter,
        stock_levels::{self, StockFilter, StockLevelView},
    },
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{POSITION, Read, Written};
use crate::{
    app::AppState,
    extract::{AnyTime, Ask, Listing, Path, Reference, Time, object},
    problem::{Problem, REPLAYED},
};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    sku: Option<String>,
    location: Option<String>,
    product: Option<Uuid>,
    low: Option<bool>,
}

/// Units that arrived.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestockBody {
    sku: Sku,
    #[serde(default)]
    location: LocationCode,
    quantity: Quantity,
    reference: Reference,
    occurred_at: Option<Time>,
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
    reference: Reference,
    occurred_at: Option<Time>,
}

/// A count.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountBody {
    sku: Sku,
    #[serde(default)]
    location: LocationCode,
    counted: Quantity,
    reference: Reference,
    occurred_at: Option<Time>,
}

impl From<RestockBody> for ShelfChange {
    fn from(body: RestockBody) -> Self {
        let RestockBody { sku, location, quantity, reference: Reference(reference), occurred_at } = body;
        Self {
            sku,
            location,
            change: StockChange::Restock { quantity, reference },
            occurred_at: occurred_at.map(Into::into),
        }
    }
}

impl From<AdjustBody> for ShelfChange {
    fn from(body: AdjustBody) -> Self {
        let AdjustBody { sku, location, delta, reason, reference: Reference(reference), occurred_at } = body;
        Self {
            sku,
            location,
            change: StockChange::Adjust { delta, reason, reference },
            occurred_at: occurred_at.map(Into::into),
        }
    }
}

impl From<CountBody> for ShelfChange {
    fn from(body: CountBody) -> Self {
        let CountBody { sku, location, counted, reference: Reference(reference), occurred_at } = body;
        Self {
            sku,
            location,
            change: StockChange::Count { counted, reference },
            occurred_at: occurred_at.map(Into::into),
        }
    }
}

/// One of many changes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeBody {
    /// Units that arrived.
    Restock(Object<RestockBody>),
    /// A correction.
    Adjust(Object<AdjustBody>),
    /// A count.
    Count(Object<CountBody>),
}

impl From<ChangeBody> for ShelfChange {
    fn from(body: ChangeBody) -> Self {
        match body {
            ChangeBody::Restock(Object(body)) => body.into(),
            ChangeBody::Adjust(Object(body)) => body.into(),
            ChangeBody::Count(Object(body)) => body.into(),
        }
    }
}

/// Many changes. Each is read by itself: one that does not parse keeps no other from happening.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkBody {
    rows: Vec<Box<RawValue>>,
}

/// Units that go from one location to another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferBody {
    sku: Sku,
    from: LocationCode,
    to: LocationCode,
    quantity: Quantity,
    reference: Reference,
}

/// The rules of a shelf; what is not given is as it is without rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyBody {
    #[serde(default)]
    location: LocationCode,
    #[serde(default)]
    backorder_limit: Quantity,
    low_stock_threshold: Option<Quantity>,
}

/// Which shelf somebody wonders about.
#[derive(Debug, Deserialize)]
pub struct WhyFilter {
    sku: String,
    location: Option<String>,
}

/// A number, and what led to it.
#[derive(Debug, Serialize)]
pub struct Why {
    #[serde(flatten)]
    level: StockLevelView,
    /// Newest first; what each leaves is what the one above it finds.
    moves: Page<MoveView>,
}

/// `GET /api/stock`
pub async fn list(
    app: AppState,
    listing: Listing<Filter, AnyTime>,
) -> Result<Read<Page<StockLevelView>>, Problem> {
    listing.fresh(&app, "stock_levels").await?;
    sku_filter(listing.filter.sku.as_deref())?;
    location_filter(listing.filter.location.as_deref())?;
    let at = listing.at(&app).await?;
    let (pool, window) = (app.onhand.pool(), &listing.window);
    let Filter { sku, location, product, low } = listing.filter;
    let filter = StockFilter { sku, location, product, low };
    Ok(match at {
        Some(position) => Read::at(position, at::stock_levels::list(pool, window, &filter, position).await?),
        None => Read::now(stock_levels::list(pool, window, &filter).await?),
    })
}

/// `GET /api/stock/why`
pub async fn why(app: AppState, listing: Listing<WhyFilter>) -> Result<Json<Why>, Problem> {
    sku_filter(Some(&listing.filter.sku))?;
    location_filter(listing.filter.location.as_deref())?;
    let WhyFilter { sku, location } = listing.filter;
    let location = location.unwrap_or_else(|| LocationCode::default().to_string());
    let (sku, location) = (Some(sku), Some(location));
    let filter = StockFilter { sku: sku.clone(), location: location.clone(), ..StockFilter::default() };
    let first = onhand_infrastructure::queries::Window { cursor: None, limit: 1, ..listing.window.clone() };
    // From history itself, as the moves are: neither is behind.
    let head = moves::newest(app.onhand.pool(), listing.window.tenant).await?;
    let levels = at::stock_levels::list(app.onhand.pool(), &first, &filter, head).await?;
    let level = levels.data.into_iter().next().ok_or_else(|| {
        Problem::missing("stock.unknown", "nothing has ever happened to this SKU at this location")
    })?;
    let to = Some(level.position);
    let filter = MoveFilter { sku, location, to, ..MoveFilter::default() };
    let moves = moves::list(app.onhand.pool(), &listing.window, &filter).await?;
    Ok(Json(Why { level, moves }))
}

/// `POST /api/stock/restock`
pub async fn restock(app: AppState, ask: Ask<RestockBody>) -> Result<Written, Problem> {
    change(&app, ask.caller, ask.body).await
}

/// `POST /api/stock/adjust`
pub async fn adjust(app: AppState, ask: Ask<AdjustBody>) -> Result<Written, Problem> {
    change(&app, ask.caller, ask.body).await
}

/// `POST /api/stock/count`
pub async fn count(app: AppState, ask: Ask<CountBody>) -> Result<Written, Problem> {
    change(&app, ask.caller, ask.body).await
}

async fn change(app: &AppState, caller: Caller, body: impl Into<ShelfChange>) -> Result<Written, Problem> {
    Ok(Written::done(app.onhand.operations.change_stock(caller, body.into()).await?))
}

/// `POST /api/stock/bulk`
pub async fn bulk(app: AppState, ask: Ask<BulkBody>) -> Result<Response, Problem> {
    let changes = ask.body.rows.into_iter().map(|row| read(&row));
    let outcomes: Outcomes = app.onhand.operations.change_many(&ask.caller, changes).await?;
    let replayed = outcomes.replayed.then(|| [(REPLAYED, HeaderValue::from_static("true"))]);
    let position = outcomes.position.map(|position| [(POSITION, HeaderValue::from(position))]);
    Ok((replayed, position, Json(outcomes)).into_response())
}

fn read(row: &RawValue) -> Result<ShelfChange, Refusal> {
    let read = object::<ChangeBody>(row.get().as_bytes());
    read.map(ShelfChange::from).map_err(|why| {
        // What is said of a second kind speaks of a comma.
        let kinds = serde_json::from_str::<BTreeMap<&str, IgnoredAny>>(row.get());
        let many = kinds.is_ok_and(|kinds| kinds.len() > 1);
        let why = if many { "it has one of restock, adjust and count".to_owned() } else { why };
        Refusal::invalid("body.invalid", format!("the row does not fit: {why}"))
    })
}

/// `POST /api/stock/transfer`
pub async fn transfer(app: AppState, ask: Ask<TransferBody>) -> Result<Written, Problem> {
    let TransferBody { sku, from, to, quantity, reference: Reference(reference) } = ask.body;
    let transfer = Transfer { sku, from, to, quantity, reference };
    Ok(Written::done(app.onhand.operations.transfer(ask.caller, transfer).await?))
}

/// `PUT /api/variants/{sku}/policy`
pub async fn set_policy(
    app: AppState,
    Path(sku): Path<Sku>,
    ask: Ask<PolicyBody>,
) -> Result<Written, Problem> {
    let PolicyBody { location, backorder_limit, low_stock_threshold } = ask.body;
    let policy = Policy { backorder_limit, low_stock_threshold };
    Ok(Written::done(app.onhand.operations.set_policy(ask.caller, sku, location, policy).await?))
}
