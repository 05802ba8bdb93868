//! `/api/sync`: pushing on request, rehearsals, what was given up, and how it all fares.

use std::convert::Infallible;

use axum::{
    Json,
    response::sse::{Event, Sse},
};
use chrono::TimeDelta;
use futures_util::Stream;
use onhand_domain::{
    Refusal,
    connection::SyncRules,
    values::{ConnectionId, Object, Sku},
};
use onhand_infrastructure::{
    operations::{alerts, pushes::Rehearsed},
    outbox::open_up_to,
    queries::{
        Window, connections,
        listings::ListingFilter,
        outbox::{DeadFilter, DeadPush},
        platform_filter,
        sync_health::{self, ConnectionHealth, WebhookHealth},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Written, progress};
use crate::{
    app::AppState,
    extract::{AdminAsk, Ask, Listing, Path, Reader},
    problem::Problem,
};

/// How far apart pushes are taken up, unless told otherwise; and the longest that may be told.
const STAGGER_MS: u32 = 100;
const STAGGER_MS_MAX: u32 = 60_000;

/// Which listings are meant; all, where nothing is named.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncBody {
    #[serde(default)]
    connections: Vec<Uuid>,
    #[serde(default)]
    products: Vec<Uuid>,
    #[serde(default)]
    skus: Vec<String>,
    /// Show the figures and the very calls, and do nothing.
    #[serde(default)]
    dry_run: bool,
    /// With `dryRun` and one connection: as if these were its rules.
    rules: Option<Object<SyncRules>>,
}

/// Which pushes that were given up are meant.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayBody {
    ids: Option<Vec<Uuid>>,
    /// `quantity`, `price` or `content`.
    #[serde(rename = "type")]
    kind: Option<String>,
    brand: Option<String>,
    platform: Option<String>,
    connection: Option<Uuid>,
    older_than_seconds: Option<u32>,
    #[serde(default)]
    dry_run: bool,
    stagger_ms: Option<u32>,
}

/// What a rehearsal has shown, or what was begun.
#[derive(Serialize)]
#[serde(untagged)]
enum Begun {
    Rehearsed { rehearsed: Vec<Rehearsed> },
    Replayable { count: usize, pushes: Vec<DeadPush> },
}

/// An answer that may be a write's or a rehearsal's.
pub enum Answered {
    /// It was done.
    Done(Written),
    /// It was only shown.
    Shown(Json<Value>),
}

impl axum::response::IntoResponse for Answered {
    fn into_response(self) -> axum::response::Response {
        match self {
            Self::Done(written) => written.into_response(),
            Self::Shown(shown) => shown.into_response(),
        }
    }
}

fn shown(begun: &Begun) -> Result<Answered, Problem> {
    let value = serde_json::to_value(begun).map_err(|error| Problem::internal("sync.answer", &error))?;
    Ok(Answered::Shown(Json(value)))
}

/// `POST /api/sync`: listings and products are told once more what they are to be. With `dryRun`, what that would come to.
pub async fn begin(app: AppState, ask: Ask<SyncBody>) -> Result<Answered, Problem> {
    let body = ask.body;
    let skus = body.skus.iter().map(|sku| Sku::new(sku)).collect::<Result<_, _>>().map_err(Refusal::from)?;
    let connections = body.connections.into_iter().map(ConnectionId).collect::<Vec<_>>();
    let one = connections.len() == 1;
    let filter = ListingFilter { connections, products: body.products, skus };
    let operations = &app.onhand.operations;
    match (body.dry_run, &body.rules) {
        (true, Some(_)) if !one => {
            let detail = "rules are rehearsed for one connection at a time; name it in connections";
            Err(Refusal::invalid("sync.invalid", detail).into())
        }
        (true, rules) => {
            let rehearsed =
                operations.rehearse(&ask.caller, &filter, rules.as_ref().map(|Object(rules)| rules)).await?;
            shown(&Begun::Rehearsed { rehearsed })
        }
        (false, Some(_)) => {
            let detail = "rules are only rehearsed here; PUT /api/connections/{id}/rules changes them";
            Err(Refusal::invalid("sync.invalid", detail).into())
        }
        (false, None) => {
            Ok(Answered::Done(Written::done(operations.sync_listings(ask.caller, filter).await?)))
        }
    }
}

/// `POST /api/sync/replay`: pushes that were given up are taken up again, one after the other.
pub async fn replay(app: AppState, ask: AdminAsk<ReplayBody>) -> Result<Answered, Problem> {
    let body = ask.body;
    let stagger = body.stagger_ms.unwrap_or(STAGGER_MS);
    if stagger > STAGGER_MS_MAX {
        let detail = format!("staggerMs is at most {STAGGER_MS_MAX}");
        return Err(Refusal::invalid("sync.invalid", detail).into());
    }
    if [&body.brand, &body.platform].into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(Refusal::invalid("sync.invalid", "a brand or a platform has no U+0000 in it").into());
    }
    if body.kind.as_deref().is_some_and(|kind| !["quantity", "price", "content"].contains(&kind)) {
        return Err(Refusal::invalid("sync.invalid", "type is quantity, price or content").into());
    }
    platform_filter(body.platform.as_deref())?;
    let filter = DeadFilter {
        ids: body.ids,
        kind: body.kind,
        brand: body.brand,
        platform: body.platform,
        connection: body.connection,
        older_than_seconds: body.older_than_seconds.map(i64::from),
    };
    let stagger = TimeDelta::milliseconds(i64::from(stagger));
    let operations = &app.onhand.operations;
    let (pushes, receipt) = operations.replay_pushes(ask.caller, filter, (body.dry_run, stagger)).await?;
    match receipt {
        Some(receipt) => Ok(Answered::Done(Written::done(receipt))),
        None => shown(&Begun::Replayable { count: pushes.len(), pushes }),
    }
}

/// How pushing fares.
#[derive(Serialize)]
pub struct Health {
    /// `pass`, or `warn` if something is beyond its threshold, a breaker is not closed, or credentials are of no use.
    status: &'static str,
    connections: Vec<Judged>,
    webhooks: WebhookHealth,
    thresholds: Value,
}

#[derive(Serialize)]
struct Judged {
    #[serde(flatten)]
    health: ConnectionHealth,
    lag_seconds: i64,
    amiss: Vec<&'static str>,
}

impl Judged {
    fn is_well(&self) -> bool {
        self.amiss.is_empty() && self.health.breaker == "closed" && !alerts::needs_person(&self.health)
    }
}

async fn judged(app: &AppState, reader: &Reader, brand: Option<&str>) -> Result<Vec<Judged>, Problem> {
    let now = app.onhand.ledger().clock().now();
    let brand = reader.brand.as_deref().or(brand);
    let all = sync_health::of_connections(app.onhand.pool(), reader.tenant, (brand, None), now).await?;
    Ok(all
        .into_iter()
        .map(|health| Judged { lag_seconds: health.lag_seconds(), amiss: alerts::amiss(&health), health })
        .collect())
}

/// `GET /api/sync/health`, and `/realtime-sync/health`.
pub async fn health(app: AppState, reader: Reader) -> Result<Json<Health>, Problem> {
    let connections = judged(&app, &reader, None).await?;
    let now = app.onhand.ledger().clock().now();
    let webhooks =
        sync_health::of_webhooks(app.onhand.pool(), reader.tenant, reader.brand.as_deref(), now).await?;
    let well = connections.iter().filter(|it| it.health.enabled).all(Judged::is_well);
    let thresholds = json!({
        "lag_seconds": alerts::LAG_SECONDS_MAX, "failed_per_mille_24h": alerts::FAILED_PER_MILLE_MAX, "dead": 0,
    });
    Ok(Json(Health { status: if well { "pass" } else { "warn" }, connections, webhooks, thresholds }))
}

/// `GET /api/sync/lag/{brand}`: how far pushes of a brand are behind. A brand that is not the reader's does not exist.
pub async fn lag(app: AppState, reader: Reader, Path(brand): Path<String>) -> Result<Json<Value>, Problem> {
    let all = match reader.brand.as_deref() {
        Some(own) if own != brand => vec![],
        None if brand.contains('\0') => vec![],
        _ => judged(&app, &reader, Some(&brand)).await?,
    };
    if all.is_empty() {
        return Err(Problem::missing("brand.unknown", "no connection belongs to this brand"));
    }
    let at_work = all.iter().filter(|it| !it.health.is_at_rest());
    let worst = at_work.map(|it| it.lag_seconds).max().unwrap_or_default();
    let each: Vec<Value> = all
        .iter()
        .map(|it| {
            json!({ "id": it.health.id, "platform": it.health.platform, "lag_seconds": it.lag_seconds,
                    "queued": it.health.queued, "lag_p50_ms": it.health.lag_p50_ms,
                    "lag_p95_ms": it.health.lag_p95_ms, "lag_p99_ms": it.health.lag_p99_ms })
        })
        .collect();
    Ok(Json(json!({ "brand": brand, "lag_seconds": worst, "limit_seconds": alerts::LAG_SECONDS_MAX,
                    "connections": each })))
}

/// Where progress is measured from.
#[derive(Debug, Deserialize)]
pub struct Since {
    /// Comma-separated ids of connections, as the request that began it was answered with.
    connections: String,
}

/// `GET /api/sync/progress/{position}?connections=…`: server-sent events, each with how much is still to be pushed of what was
/// owed up to a position; the last says 0.
pub async fn progress(
    app: AppState,
    Path(position): Path<i64>,
    listing: Listing<Since>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let connections: Result<Vec<Uuid>, _> = listing.filter.connections.split(',').map(str::parse).collect();
    let connections = connections
        .map_err(|_| Refusal::invalid("sync.invalid", "connections are ids with commas between them"))?;
    let pool = app.onhand.pool().clone();
    let Window { tenant, brand, .. } = listing.window;
    if let Some(id) = connections::missing(&pool, (tenant, brand.as_deref()), &connections).await? {
        return Err(Problem::missing("connection.unknown", format!("there is no connection {id}")));
    }
    Ok(progress::of(move || {
        let (pool, connections, brand) = (pool.clone(), connections.clone(), brand.clone());
        async move {
            let open = open_up_to(&pool, (tenant, brand.as_deref()), position, &connections).await?;
            Ok::<_, sqlx::Error>(Some((json!({ "open": open }), open == 0)))
        }
    }))
}
