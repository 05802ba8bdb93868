//! Speaks to the product as programs do: through the router in process, or over HTTP.

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use serde_json::Value;
use tower::ServiceExt;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// All of them.
    pub headers: HeaderMap,
    /// The body, parsed; null if it is not JSON.
    pub body: Value,
    /// The body, as it came.
    pub text: String,
}

impl Answer {
    /// The body, if the status is this one.
    ///
    /// # Panics
    /// When it is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// The problem's code, if the status is this one.
    ///
    /// # Panics
    /// When it is another one, or not a problem.
    #[track_caller]
    pub fn problem(self, status: u16) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.body);
        let body = self.expect(status);
        assert_eq!(body["status"], status);
        assert!(body["correlation_id"].is_string(), "a problem can be traced: {body}");
        body["code"].as_str().expect("a problem has a code").to_owned()
    }
}

/// A caller with a key.
#[derive(Clone)]
pub struct Client {
    router: Router,
    key: Option<String>,
}

impl Client {
    /// A caller that shows this key.
    pub fn new(router: Router, key: Option<String>) -> Self {
        Self { router, key }
    }

    /// The same caller with another key, or none.
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Self { router: self.router.clone(), key: key.map(str::to_owned) }
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    /// Writes.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[], Body::from(body.to_string())).await
    }

    /// Writes with an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send("POST", path, &[("idempotency-key", key)], Body::from(body.to_string())).await
    }

    /// Replaces.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, &[], Body::from(body.to_string())).await
    }

    /// Anything.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a test's request is well formed");
        let response = self.router.clone().oneshot(request).await.expect("a router does not fail");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body in memory can be read");
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, body, text }
    }
}
