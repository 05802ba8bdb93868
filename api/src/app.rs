//! The routes, as one list, and what surrounds them all.

use std::{
    net::SocketAddr,
    ops::Deref,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use axum::{
    Extension, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderValue},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use metrics_exporter_prometheus::PrometheusHandle;
use onhand_infrastructure::database::Reach;
use tokio::{sync::Mutex, task::AbortHandle, time::timeout};
use tower_http::catch_panic::CatchPanicLayer;
use uuid::Uuid;

use crate::{
    Onhand,
    extract::{KeyCache, no_keys_known},
    problem::Problem,
    routes::{
        audit_log, conflicts, connections, dead_letters, deliveries, flags, health, keys, listings,
        locations, monitors, moves, outbox, privacy, products, projections, proofs, rebuilds,
        reconciliations, reservations, signals, stock_levels, streams, sync, tools, webhooks,
    },
};

/// The largest body that is read.
pub const BODY_BYTES_MAX: usize = 1_048_576;
/// The largest body of many changes that is read.
const BULK_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

/// What every handler can reach. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<AppParts>);

/// The parts of an application.
pub struct AppParts {
    /// The parts of the product.
    pub onhand: Onhand,
    /// Where platforms reach this server; webhooks are subscribed to below it.
    pub public_url: Option<String>,
    /// What `/metrics` shows.
    pub metrics: Option<PrometheusHandle>,
    /// Whether people may try things out at `/test/webhook`.
    pub development: bool,
    pub(crate) keys: KeyCache,
    /// Whether the database answers.
    pub(crate) reach: Reach,
    /// When figures for `/metrics` were looked up last; held while they are.
    pub(crate) looked_up: Arc<Mutex<Option<Instant>>>,
    /// What this process does beside answering, by name. None of it comes to an end while it serves.
    pub(crate) at_work: OnceLock<Vec<(&'static str, AbortHandle)>>,
}

impl App {
    /// An application around these parts.
    pub fn new(onhand: Onhand, public_url: Option<String>, metrics: Option<PrometheusHandle>) -> Self {
        Self(Arc::new(AppParts {
            onhand,
            public_url,
            metrics,
            development: false,
            keys: no_keys_known(),
            reach: Reach::default(),
            looked_up: Arc::default(),
            at_work: OnceLock::new(),
        }))
    }
}

impl App {
    /// The same, open to people who try things out.
    #[must_use]
    pub fn in_development(self) -> Self {
        let AppParts { onhand, public_url, metrics, .. } = &*self.0;
        Self(Arc::new(AppParts {
            onhand: onhand.clone(),
            public_url: public_url.clone(),
            metrics: metrics.clone(),
            development: true,
            keys: no_keys_known(),
            reach: Reach::default(),
            looked_up: Arc::default(),
            at_work: OnceLock::new(),
        }))
    }
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}

/// When whoever was led to a process that does not answer may try again: to mend that takes somebody a while.
const ELSEWHERE_SECONDS: u32 = 60;

/// How long an answer may take: the minute that a body may, and then the minute that a statement may. What takes longer waits for a
/// database whose line has fallen silent, which nobody may notice for a quarter of an hour.
const ANSWER_WITHIN: Duration = Duration::from_secs(150);

/// Every route there is.
pub fn router(app: App) -> Router {
    let routes = Router::new()
        .merge(catalogue())
        .route("/api/stock", get(stock_levels::list))
        .route("/api/stock/restock", post(stock_levels::restock))
        .route("/api/stock/adjust", post(stock_levels::adjust))
        .route("/api/stock/count", post(stock_levels::count))
        .route("/api/stock/transfer", post(stock_levels::transfer))
        .route("/api/stock/bulk", post(stock_levels::bulk).layer(DefaultBodyLimit::max(BULK_BYTES_MAX)))
        .route("/api/stock/why", get(stock_levels::why))
        .route("/api/variants/{sku}/policy", put(stock_levels::set_policy))
        .route("/api/moves", get(moves::list))
        .route("/api/locations", get(locations::list))
        .route("/api/locations/{code}", put(locations::set))
        .route("/api/availability", post(reservations::availability))
        .route("/api/reservations", get(reservations::list).post(reservations::reserve))
        .route("/api/reservations/{id}", get(reservations::show))
        .route("/api/reservations/{id}/commit", post(reservations::commit))
        .route("/api/reservations/{id}/release", post(reservations::release))
        .route("/api/reservations/{id}/extend", post(reservations::extend))
        .route("/api/reservations/{id}/payment", post(reservations::payment))
        .route("/api/connections", get(connections::list).post(connections::create))
        .route("/api/connections/{id}/rules", put(connections::change_rules))
        .route("/api/connections/{id}/secrets", put(connections::rotate_secrets))
        .route("/api/connections/{id}/enable", post(connections::enable))
        .route("/api/connections/{id}/disable", post(connections::disable))
        .route("/api/connections/{id}/pause", post(connections::pause))
        .route("/api/connections/{id}/resume", post(connections::resume))
        .route("/api/connections/{id}/test", post(connections::test))
        .route("/api/connections/{id}/subscriptions", post(connections::subscriptions))
        .route("/realtime-sync/enable/{id}", post(connections::enable))
        .route("/realtime-sync/disable/{id}", post(connections::disable))
        .route("/realtime-sync/test/{id}", post(connections::test))
        .route("/realtime-sync/status/{id}", get(connections::status))
        .route("/realtime-sync/health", get(sync::health))
        .route("/api/conflicts", get(conflicts::list))
        .route("/api/conflicts/{listing}/{kind}/resolve", post(conflicts::resolve))
        .route("/api/reconciliations", get(reconciliations::list).post(reconciliations::begin))
        .route("/api/reconciliations/{id}/drifts", get(reconciliations::drifts))
        .route("/api/sync", post(sync::begin))
        .route("/api/sync/health", get(sync::health))
        .route("/api/sync/lag/{brand}", get(sync::lag))
        .route("/api/sync/replay", post(sync::replay))
        .route("/api/sync/progress/{position}", get(sync::progress))
        .route("/api/projections", get(projections::list))
        .route("/api/projections/{name}/pause", post(projections::pause))
        .route("/api/projections/{name}/resume", post(projections::resume))
        .route("/api/projections/{name}/rebuild", post(projections::rebuild))
        .route("/api/rebuilds", get(rebuilds::list))
        .route("/api/rebuilds/{id}", get(rebuilds::show).delete(rebuilds::cancel))
        .route("/api/rebuilds/{id}/progress", get(rebuilds::progress))
        .route("/api/listings", get(listings::list).post(listings::map))
        .route("/api/listings/{id}", delete(listings::remove))
        .route("/api/streams/{*stream}", get(streams::steps))
        .route("/api/differences/{*stream}", get(streams::compare))
        .route("/api/audit", get(audit_log::list))
        .route("/api/audit/checkpoint", get(proofs::newest))
        .route("/api/audit/checkpoints", get(proofs::list).post(proofs::sign))
        .route("/api/audit/key", get(proofs::key))
        .route("/api/audit/proof/{position}", get(proofs::prove))
        .route("/api/audit/export", get(audit_log::export))
        .route("/api/privacy/forget", post(privacy::forget))
        .route("/api/privacy/persons/{person}", get(privacy::show))
        .route("/api/deliveries", get(deliveries::list))
        .route("/api/deliveries/figures", get(deliveries::figures))
        .route("/api/deliveries/{id}", get(deliveries::show))
        .route("/api/dead-letters", get(dead_letters::list))
        .route("/api/dead-letters/replay", post(dead_letters::replay))
        .route("/api/flags", get(flags::list))
        .route("/api/flags/{name}", put(flags::set))
        .route("/api/signals", get(signals::list))
        .route("/api/outbox", get(outbox::list))
        .route("/api/keys", get(keys::list).post(keys::create))
        .route("/api/keys/{id}", delete(keys::revoke))
        .route("/api/kicks/monitor", post(webhooks::kicksdb))
        .route("/api/kicks/monitor/status", get(monitors::status))
        .route("/api/kicks/monitor/health", get(monitors::status))
        .route("/api/kicks/monitor/{connection}", post(webhooks::kicksdb_connection))
        .route("/api/kicks/monitors", get(monitors::list).put(monitors::set))
        .route("/api/kicks/monitors/{id}/enable", post(monitors::enable))
        .route("/api/kicks/monitors/{id}/disable", post(monitors::disable))
        .route("/webhook/{platform}/{connection}", post(webhooks::receive))
        .route("/api/webhooks/tradingview", post(webhooks::tradingview))
        .route("/api/webhooks/tradingview/{secret}", post(webhooks::tradingview))
        .route("/test/webhook/echo", post(tools::echo))
        .route("/test/webhook/generate/{platform}/{*topic}", get(tools::generate))
        .route("/test/webhook/{platform}/{connection}", post(tools::receive))
        .merge(how_it_is());
    surrounded(routes.fallback(nothing_here), app)
}

/// The routes of a process without the role `api`. What else is asked of it was meant for another: it is not said to be missing.
pub(crate) fn health_router(app: App) -> Router {
    surrounded(how_it_is().fallback(not_answered_here), app)
}

/// For those who keep the process running.
fn how_it_is() -> Router<App> {
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
}

fn surrounded(routes: Router<App>, app: App) -> Router {
    routes
        .method_not_allowed_fallback(not_so)
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Problem::internal("server.panic", &"a handler panicked").into_response()
        }))
        .layer(middleware::from_fn(correlate))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}

/// What is sold.
fn catalogue() -> Router<App> {
    let product = get(products::show).put(products::describe).delete(products::archive);
    Router::new()
        .route("/api/products", get(products::list).post(products::create))
        .route("/api/products/{id}", product)
        .route("/api/products/{id}/variants", post(products::put_variants))
        .route("/api/products/{id}/restore", post(products::restore))
        .route("/api/variants/{sku}/prices/{market}", put(products::set_price))
}

async fn nothing_here() -> Problem {
    Problem::missing("route.unknown", "there is nothing at this path")
}

async fn not_answered_here() -> Problem {
    let detail =
        "this process has not the role `api`; it tells only how it is, at /livez, /readyz and /metrics";
    Problem::unavailable("server.role", detail, ELSEWHERE_SECONDS)
}

async fn not_so() -> Problem {
    Problem::not_allowed()
}

/// What ties everything that follows from one request together.
#[derive(Debug, Clone)]
pub struct Correlation {
    /// The caller's, or one made here.
    pub id: String,
    /// W3C trace context, as sent.
    pub traceparent: Option<String>,
}

impl Correlation {
    /// From `traceparent`, else `x-correlation-id`, else new.
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let traceparent = text("traceparent").filter(|text| is_traceparent(text));
        let trace = traceparent.and_then(|text| text.split('-').nth(1)).map(str::to_owned);
        let given =
            text("x-correlation-id").filter(|id| !id.is_empty() && id.len() <= 100).map(str::to_owned);
        let id = given.or(trace).unwrap_or_else(|| Uuid::now_v7().to_string());
        Self { id, traceparent: traceparent.map(str::to_owned) }
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, ids not all zero.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let zero = |part: &str| part.bytes().all(|b| b == b'0');
    matches!(parts[..], [version, trace, span, flags]
        if hex(version, 2) && version != "ff" && hex(trace, 32) && hex(span, 16) && hex(flags, 2)
            && !zero(trace) && !zero(span))
}

async fn correlate(mut request: Request, next: Next) -> Response {
    let correlation = Correlation::of(request.headers());
    let id = correlation.id.clone();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    request.extensions_mut().insert(correlation);
    let mut response = answered(ANSWER_WITHIN, next.run(request)).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if let Some(cause) = problem.cause() {
            let path = shown(uri.path());
            if response.status().is_client_error() {
                tracing::info!(%method, path, correlation_id = id, cause, "a request was refused");
            } else {
                tracing::error!(%method, path, correlation_id = id, cause, "a request failed");
            }
        }
        response = problem.respond(Some(&id));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-correlation-id", value);
    }
    response
}

async fn answered(within: Duration, answer: impl Future<Output = Response>) -> Response {
    let detail =
        "that takes too long, and whether it is done is not known; ask again with the same Idempotency-Key";
    let late = |_| Problem::unavailable("request.unanswered", detail, ELSEWHERE_SECONDS).into_response();
    timeout(within, answer).await.unwrap_or_else(late)
}

/// A path for the log. The last part of this one is a secret.
fn shown(path: &str) -> &str {
    const SECRET_FOLLOWS: &str = "/api/webhooks/tradingview";
    if path.starts_with(SECRET_FOLLOWS) { SECRET_FOLLOWS } else { path }
}

/// Who is at the other end of the line, where the server knows.
pub(crate) fn source_address(info: Option<&Extension<ConnectInfo<SocketAddr>>>) -> Option<std::net::IpAddr> {
    info.map(|Extension(ConnectInfo(address))| address.ip())
}

pub(crate) type AppState = State<App>;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_is_answered_all_the_same() {
        let response = answered(Duration::ZERO, std::future::pending()).await;
        assert_eq!(response.status(), axum::http::StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answered(ANSWER_WITHIN, async { ().into_response() }).await.status(), 200);
    }

    #[test]
    fn a_correlation_id_is_taken_from_the_caller_or_made() {
        let mut headers = HeaderMap::new();
        assert_eq!(Correlation::of(&headers).id.len(), 36);
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert("traceparent", HeaderValue::from_static(trace));
        assert_eq!(Correlation::of(&headers).id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(Correlation::of(&headers).traceparent.as_deref(), Some(trace));
        headers.insert("x-correlation-id", HeaderValue::from_static("order-7"));
        assert_eq!(Correlation::of(&headers).id, "order-7");
    }

    #[test]
    fn a_trace_context_of_zeroes_is_none() {
        assert!(!is_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01"));
        assert!(!is_traceparent("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert!(!is_traceparent("nonsense"));
    }
}
