//! The demo's way to ask: real HTTP with a key, as any caller would.

use anyhow::{Context, bail};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

/// A caller with a key.
#[derive(Clone)]
pub(super) struct Rest {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    /// It is the answer to an earlier request with the same `Idempotency-Key`.
    pub(super) replayed: bool,
    pub(super) body: Value,
}

impl Answer {
    async fn of(response: Response) -> anyhow::Result<Self> {
        let status = response.status().as_u16();
        let replayed = response.headers().contains_key("idempotency-replayed");
        let text = response.bytes().await?;
        Ok(Self { status, replayed, body: serde_json::from_slice(&text).unwrap_or(Value::Null) })
    }

    /// The body, or what the problem was.
    fn done(self) -> anyhow::Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("{} {}", self.status, self.body["detail"].as_str().unwrap_or("without a word"));
        }
        Ok(self.body)
    }
}

impl Rest {
    pub(super) fn new(url: String, key: String) -> anyhow::Result<Self> {
        // Whatever proxy stands in the environment, it does not lead to this machine.
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
        Ok(Self { http, url, key })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// The whole of a list, page by page. `path` has its query already begun.
    pub(super) async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}&limit=200{cursor}")).await?;
            rows.extend(page["data"].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(rows),
            }
        }
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let response = self.request(Method::GET, path).bearer_auth(&self.key).send().await;
        Answer::of(response?).await?.done().with_context(|| format!("GET {path}"))
    }

    /// Asks for a change that must succeed.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let response = self.request(Method::POST, path).bearer_auth(&self.key).json(body).send().await;
        Answer::of(response?).await?.done().with_context(|| format!("POST {path}"))
    }

    /// Asks for a change under an `Idempotency-Key`, and takes any answer.
    pub(super) async fn post_once(&self, path: &str, key: &str, body: &Value) -> anyhow::Result<Answer> {
        let request = self.request(Method::POST, path).bearer_auth(&self.key);
        Answer::of(request.header("idempotency-key", key).json(body).send().await?).await
    }

    /// Delivers a webhook: no key, headers of its own, these very bytes.
    pub(super) async fn deliver(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        let mut request = self.request(Method::POST, path).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        Answer::of(request.send().await?).await
    }
}
