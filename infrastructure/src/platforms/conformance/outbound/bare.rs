//! A bare server that keeps what it is sent and answers whatever it is told to.
//!
//! It takes in webhooks, watches which paths are called, and talks nonsense.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A request as it came.
pub(super) struct Kept {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

struct Inner {
    kept: Vec<Kept>,
    answer: (StatusCode, Bytes),
}

/// It serves until it is dropped, and answers 200 with nothing until told otherwise.
pub(super) struct Bare {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bare {
    pub(super) async fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("what listens has an address");
        let inner = Inner { kept: vec![], answer: (StatusCode::OK, Bytes::new()) };
        let inner = Arc::new(Mutex::new(inner));
        let routes = Router::new().fallback(keep).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("it serves until it is aborted");
        });
        Self { address, inner, task }
    }

    /// Its address, as a connection's endpoint.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request is answered like this from now on.
    pub(super) fn answer(&self, status: u16, body: &Bytes) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.inner.lock().expect("nobody panics with it").answer = (status, body.clone());
    }

    /// What has come since this was asked last, in order.
    pub(super) fn take(&self) -> Vec<Kept> {
        std::mem::take(&mut self.inner.lock().expect("nobody panics with it").kept)
    }
}

async fn keep(
    State(inner): State<Arc<Mutex<Inner>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Bytes) {
    let mut inner = inner.lock().expect("nobody panics with it");
    inner.kept.push(Kept { uri, headers, body });
    inner.answer.clone()
}
