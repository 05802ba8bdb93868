//! One call: what is sent, what is read, and what each of the three layers of errors means for the caller.
//!
//! HTTP statuses and errors at the top of an answer concern the whole call and are translated here; errors of the
//! user concern single items, and whoever knows the items asks [`UserError`] what they mean.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Shop, budget::ThrottleStatus};

/// The largest answer that is read, in bytes.
const ANSWER_MAX: usize = 4 * 1024 * 1024;

/// The longest explanation that is passed on, in characters.
const WHY_MAX: usize = 300;

/// How long to wait when throttled, unless told otherwise; and the bounds of what one may be told.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_mins(5);

/// Why something could not be done, by what is to be done about it. Never holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It may go well another time.
    #[error("{why}")]
    Again {
        /// Not before this has passed, if the platform said so.
        after: Option<Duration>,
        /// What stood in the way.
        why: String,
        /// Whether it is a failure; being asked to wait is none.
        counts: bool,
    },
    /// The platform understood, and will never take it.
    #[error("{why}")]
    Never {
        /// What is wrong with it.
        why: String,
    },
    /// Nothing goes until somebody looks after the address, the credentials or the plan.
    #[error("{why}")]
    NeedsPerson {
        /// What to look after.
        why: String,
    },
}

impl CallError {
    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self::Again { after: None, why: why.into(), counts: true }
    }

    pub(super) fn wait(after: Duration, why: impl Into<String>) -> Self {
        Self::Again { after: Some(after), why: why.into(), counts: false }
    }

    pub(super) fn never(why: impl Into<String>) -> Self {
        Self::Never { why: why.into() }
    }

    pub(super) fn person(why: impl Into<String>) -> Self {
        Self::NeedsPerson { why: why.into() }
    }
}

/// What the platform has against one item, or against the whole of what was asked.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct UserError {
    field: Option<Vec<String>>,
    message: String,
    code: Option<String>,
}

impl UserError {
    /// The place of the item in the list that was sent; none if it is about all of them.
    pub(super) fn index(&self) -> Option<usize> {
        self.field.iter().flatten().find_map(|part| part.parse().ok())
    }

    pub(super) fn is_stale(&self) -> bool {
        matches!(self.code.as_deref(), Some("CHANGE_FROM_QUANTITY_STALE" | "COMPARE_QUANTITY_STALE"))
    }

    pub(super) fn meaning(&self) -> CallError {
        let code = self.code.as_deref().unwrap_or("no code");
        let why = shortened(&format!("{} ({code})", self.message));
        match code {
            "IDEMPOTENCY_CONCURRENT_REQUEST" => CallError::wait(PAUSE, why),
            "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR" => CallError::wait(Duration::ZERO, why),
            "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED" | "IDEMPOTENCY_KEY_PARAMETER_MISMATCH" => {
                CallError::failed(why)
            }
            "INVALID_LOCATION" => CallError::person(why),
            _ => CallError::never(why),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Value>,
    #[serde(default)]
    errors: Vec<TopError>,
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct TopError {
    #[serde(default)]
    message: String,
    extensions: Option<TopErrorExtensions>,
}

#[derive(Deserialize)]
struct TopErrorExtensions {
    code: Option<String>,
}

#[derive(Deserialize)]
struct Extensions {
    cost: Option<Cost>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    requested_query_cost: Option<f64>,
    throttle_status: Option<ThrottleStatus>,
}

impl TopError {
    fn meaning(&self, cost: Option<&Cost>) -> CallError {
        let code = self.extensions.as_ref().and_then(|it| it.code.as_deref()).unwrap_or("no code");
        let why = shortened(&format!("{} ({code})", self.message));
        match code {
            "THROTTLED" => {
                let wait = cost.and_then(|it| it.throttle_status?.wait_for(it.requested_query_cost?));
                CallError::wait(wait.unwrap_or(PAUSE).clamp(PAUSE_MIN, PAUSE_MAX), why)
            }
            "ACCESS_DENIED" | "SHOP_INACTIVE" => CallError::person(why),
            "no code" | "TIMEOUT" => CallError::failed(why),
            _ if code.starts_with("INTERNAL") => CallError::failed(why),
            _ => CallError::never(why),
        }
    }
}

impl Shop {
    /// Asks one document, whose cost is estimated beforehand, and reads its data.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        document: &'static str,
        variables: Value,
        cost: usize,
    ) -> Result<T, CallError> {
        self.with_budget(|budget, now| budget.spend(cost as f64, now))
            .map_err(|wait| CallError::wait(wait, "the shop's rate limit is used up for the moment"))?;
        let response = self
            .http
            .post(self.url())
            .header("X-Shopify-Access-Token", self.token()?)
            .json(&json!({"query": document, "variables": variables}))
            .send()
            .await
            .map_err(unreached)?;
        if response.status() != StatusCode::OK {
            return Err(refused(response.status(), response.headers()));
        }
        let body = read(response).await?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| CallError::failed("the shop's answer is not one of its API"))?;
        let cost = answer.extensions.and_then(|it| it.cost);
        if let Some(status) = cost.as_ref().and_then(|it| it.throttle_status) {
            self.with_budget(|budget, now| budget.note(status, now));
        }
        if let Some(error) = answer.errors.first() {
            return Err(error.meaning(cost.as_ref()));
        }
        serde_json::from_value(answer.data.unwrap_or_default())
            .map_err(|_| CallError::failed("the shop's answer lacks what was asked for"))
    }

    fn token(&self) -> Result<HeaderValue, CallError> {
        let mut token = HeaderValue::from_str(self.token.reveal()).map_err(|_| {
            CallError::person("the access token has characters that no token has; enter it again")
        })?;
        token.set_sensitive(true);
        Ok(token)
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreached)? {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(CallError::failed("the shop's answer is larger than four megabytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unreached(error: reqwest::Error) -> CallError {
    if error.is_builder() {
        return CallError::person("the connection's endpoint is not an address; correct it");
    }
    let what = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "the shop did not answer in time".to_owned(),
        (_, true) => "the shop cannot be reached".to_owned(),
        _ => "the line to the shop broke".to_owned(),
    };
    CallError::failed(shortened(&format!("{what}: {}", error.without_url())))
}

fn refused(status: StatusCode, headers: &HeaderMap) -> CallError {
    let why = format!("the shop answered {status}");
    let advice = match status.as_u16() {
        429 => return CallError::wait(retry_after(headers).unwrap_or(PAUSE), why),
        408 | 500.. => return CallError::Again { after: retry_after(headers), why, counts: true },
        401 | 403 => "renew the access token and its permissions",
        402 | 423 => "look after the shop's plan",
        404 | 300..=399 => "correct the endpoint or the API version",
        _ => return CallError::never(why),
    };
    CallError::person(format!("{why}; {advice}"))
}

/// Seconds, possibly with decimals.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds).ok()?.clamp(PAUSE_MIN, PAUSE_MAX))
}

fn shortened(why: &str) -> String {
    why.chars().take(WHY_MAX).collect()
}
