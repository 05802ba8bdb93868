//! A platform's API that answers reads: records by path, and failures on demand.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::net::TcpListener;

/// A call as it came in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Path and query.
    pub target: String,
    /// All of them.
    pub headers: HeaderMap,
}

#[derive(Default)]
struct Records {
    by_path: HashMap<String, Value>,
    failures: Vec<StatusCode>,
    seen: Vec<Seen>,
}

/// A running stand-in.
#[derive(Clone)]
pub struct StandIn {
    /// Its address, as a connection's endpoint.
    pub endpoint: String,
    records: Arc<Mutex<Records>>,
}

impl StandIn {
    /// Opens one that knows nothing yet.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn open() -> Self {
        let records = Arc::<Mutex<Records>>::default();
        let listener =
            TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&records));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, records }
    }

    /// Shows a record at a path (without the query) from now on.
    pub fn show(&self, path: &str, record: Value) {
        self.lock().by_path.insert(path.to_owned(), record);
    }

    /// Answers the next calls with these codes.
    pub fn fail(&self, codes: &[StatusCode]) {
        self.lock().failures.extend(codes);
    }

    /// The calls so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(records): State<Arc<Mutex<Records>>>, request: Request) -> Response {
    let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    records.seen.push(Seen { target, headers: request.headers().clone() });
    if !records.failures.is_empty() {
        return records.failures.remove(0).into_response();
    }
    match records.by_path.get(request.uri().path()) {
        Some(record) => Json(record.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
