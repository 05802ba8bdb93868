//! One call: what is sent, what is read, and what each of the three layers of errors means for the caller.
//!
//! HTTP statuses and errors at the top of an answer concern the whole call and are translated here; errors of the
//! user concern single items, and whoever knows the items asks [`UserError`] what they mean.

use std::time::Duration;

use axum::http::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    super::super::{adapter::Call, outbound::CallError},
    Shop,
    points::ThrottleStatus,
};

/// How long to wait when throttled, unless told otherwise; and the bounds of what one may be told.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_mins(5);

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

    /// Whether it is about a field of this name.
    pub(super) fn is_about(&self, name: &str) -> bool {
        self.field.iter().flatten().any(|part| part == name)
    }

    pub(super) fn is_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    pub(super) fn is_stale(&self) -> bool {
        matches!(self.code.as_deref(), Some("CHANGE_FROM_QUANTITY_STALE" | "COMPARE_QUANTITY_STALE"))
    }

    pub(super) fn meaning(&self) -> CallError {
        let code = self.code.as_deref().unwrap_or("no code");
        let why = format!("{} ({code})", self.message);
        match code {
            "IDEMPOTENCY_CONCURRENT_REQUEST" => CallError::wait(PAUSE, why),
            "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR" => CallError::wait(Duration::ZERO, why),
            "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
            | "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
            | "GENERIC_ERROR" => CallError::failed(why),
            _ if self.is_stale() => CallError::failed(why),
            "INVALID_LOCATION" => CallError::person(why),
            _ => CallError::never(why),
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
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
        let why = format!("{} ({code})", self.message);
        match code {
            "THROTTLED" => {
                let wait = cost.and_then(|it| it.throttle_status?.wait_for(it.requested_query_cost?));
                CallError::wait(wait.unwrap_or(PAUSE).clamp(PAUSE_MIN, PAUSE_MAX), why)
            }
            "ACCESS_DENIED" | "SHOP_INACTIVE" => CallError::person(why),
            _ if is_of_schema(code) => CallError::person(format!("{why}; correct the API version")),
            // A code that is not known says nothing against the items, and neither does what the whole call costs.
            _ => CallError::failed(why),
        }
    }
}

/// Whether a code says that the document, or the form of its variables, does not fit the schema: then no item is at
/// fault, and no call of the sort goes through until another version is spoken.
fn is_of_schema(code: &str) -> bool {
    let known = ["BAD_REQUEST", "INVALID_FIELD_ARGUMENTS", "INVALID_VARIABLE", "selectionMismatch"];
    known.contains(&code)
        || ["argument", "missingRequired", "undefined"].iter().any(|begin| code.starts_with(begin))
}

impl Shop<'_> {
    /// Asks one document, whose cost is estimated beforehand, and reads its data.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        document: &'static str,
        variables: Value,
        cost: usize,
    ) -> Result<T, CallError> {
        self.with_points(|points, now| points.spend(cost as f64, now))
            .map_err(|wait| CallError::wait(wait, "the shop's rate limit is used up for the moment"))?;
        let call = Call {
            method: Method::POST,
            target: format!("/admin/api/{}/graphql.json", self.0.account().api_version),
            headers: vec![("x-shopify-access-token", self.0.token()?.reveal().to_owned())],
            body: Some(json!({"query": document, "variables": variables}).to_string()),
        };
        let answer = if document.starts_with("mutation") {
            self.0.write(call).await?
        } else {
            self.0.read(call).await?
        };
        if !answer.is_success() {
            return Err(match answer.status.as_u16() {
                404 => CallError::person(
                    "the platform answered 404; correct the API version, or make a new connection with the \
                     right endpoint",
                ),
                _ => answer.refusal(),
            });
        }
        let answer: Envelope = answer.json()?;
        let cost = answer.extensions.and_then(|it| it.cost);
        if let Some(status) = cost.as_ref().and_then(|it| it.throttle_status) {
            self.with_points(|points, now| points.note(status, now));
        }
        if let Some(error) = answer.errors.first() {
            return Err(error.meaning(cost.as_ref()));
        }
        serde_json::from_value(answer.data.unwrap_or_default())
            .map_err(|_| CallError::failed("the shop's answer lacks what was asked for"))
    }
}
