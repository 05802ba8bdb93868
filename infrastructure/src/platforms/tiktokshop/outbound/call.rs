//! One call: what it takes to make it, and what its answer means for the whole of it.
//!
//! An answer is `{code, message, data, request_id}`, and any code but 0 is a refusal, whatever the HTTP status.

use std::time::Duration;

use axum::http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::super::{
    super::{
        adapter::Call,
        outbound::{Answer, Api, CallError},
        read,
    },
    look,
};

/// How long to wait when throttled; the platform counts by the second and names no time.
const PAUSE: Duration = Duration::from_secs(1);

/// What surrounds every answer.
#[derive(Deserialize)]
struct Envelope {
    code: Value,
    message: Option<String>,
    #[serde(default)]
    data: Value,
}

/// A signed call, or what to enter before there can be one.
pub(super) fn signed(api: &Api, method: Method, path: &str, body: Option<Value>) -> Result<Call, CallError> {
    api.token()?;
    api.app_secret()?;
    let body = body.map(|body| body.to_string());
    look::signed(&api.access(), method, path, &[], body).ok_or_else(|| {
        CallError::person(
            "the connection lacks its app or its account; enter the app key and the shop cipher",
        )
    })
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// The platform's code for it; none where the refusal is not in its own words.
    pub(super) code: Option<i64>,
    /// What it means.
    pub(super) error: CallError,
}

impl Refused {
    /// A refusal in the platform's words.
    pub(super) fn new(code: i64, message: &str) -> Self {
        Self { code: Some(code), error: meaning(code, message) }
    }
}

impl From<CallError> for Refused {
    fn from(error: CallError) -> Self {
        Self { code: None, error }
    }
}

/// What an answer brings, or why all that was asked was refused.
pub(super) fn data(answer: &Answer) -> Result<Value, CallError> {
    told(answer).map_err(|refused| refused.error)
}

/// The same with the code of the refusal.
pub(super) fn told(answer: &Answer) -> Result<Value, Refused> {
    let envelope: Envelope = match answer.json() {
        Ok(envelope) => envelope,
        Err(_) if !answer.is_success() => return Err(answer.refusal().into()),
        Err(error) => return Err(error.into()),
    };
    match read::whole(&envelope.code) {
        Some(code) if code != 0 => Err(Refused::new(code, &envelope.message.unwrap_or_default())),
        _ if !answer.is_success() => Err(answer.refusal().into()),
        Some(_) => Ok(envelope.data),
        None => Err(CallError::failed("the platform's answer does not say how it went").into()),
    }
}

/// What is to be done about the code of a call, or of a single SKU (the page `common-errors` of the Partner Center).
fn meaning(code: i64, message: &str) -> CallError {
    let why = format!("TikTok Shop answers {code}: {}", read::word(message));
    let message = message.to_lowercase();
    match code {
        429 | 12_052_109 | 36_009_002 => CallError::wait(PAUSE, why),
        _ if message.contains("too many requests") => CallError::wait(PAUSE, why),
        // Internal errors, and calls that took too long there.
        500..=599 | 12_001_000 | 33_001_002 | 36_009_003 | 36_009_007 => CallError::failed(why),
        36_009_004 if is_about_a_value(&message) => CallError::never(why),
        // Tokens, scopes and signatures; what any call has; a shop that may not do this.
        101_000..=101_999 | 105_000..=106_999 | 36_000_000..=36_099_999 | 12_052_700 => {
            CallError::person(format!("{why}; look after the shop's authorisation"))
        }
        _ => CallError::never(why),
    }
}

/// One code stands both for faults of what every call has and for a value that cannot be; only the words tell them apart.
fn is_about_a_value(message: &str) -> bool {
    let contains = |word: &&str| message.contains(*word);
    let of_every_call = ["credential", "timestamp", "identifier", "version"];
    ["param", "field"].iter().any(contains) && !of_every_call.iter().any(contains)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn what_makes_no_sense_is_never_taken_for_a_success() {
        for body in ["", "<html>", "{\"code\":0,\"data\":{", "{\"data\":{}}", "{\"code\":\"x\"}", "null"] {
            let error = data(&answer(200, body)).expect_err("no success");
            assert!(error.is_failure(), "{body}: {error:?}");
            let error = data(&answer(400, body)).expect_err("no success");
            assert!(matches!(error, CallError::Never { .. }), "{body}: {error:?}");
        }
        assert_eq!(data(&answer(200, "{\"code\":\"0\",\"data\":{\"a\":1}}")), Ok(json!({ "a": 1 })));
        assert!(data(&answer(400, "{\"code\":0}")).is_err());
    }

    #[test]
    fn codes_say_what_is_to_be_done() {
        let meant = |code: i64, message: &str| {
            let body = json!({ "code": code, "message": message }).to_string();
            data(&answer(200, &body)).expect_err("no success")
        };
        for (code, message) in [(36_009_002, ""), (12_052_109, ""), (98_001_999, "far too many requests")] {
            let error = meant(code, message);
            assert!(matches!(error, CallError::Again { counts: false, after: Some(_), .. }), "{error:?}");
        }
        for code in [36_009_003, 36_009_007, 12_001_000] {
            assert!(meant(code, "").is_failure(), "{code}");
        }
        for (code, message) in [
            (105_002, "over"),
            (106_001, ""),
            (36_004_004, ""),
            (36_009_004, "the parameter `app_key` is no credential of ours"),
            (36_009_004, "something new"),
        ] {
            let error = meant(code, message);
            assert!(matches!(error, CallError::NeedsPerson { .. }), "{error:?}");
        }
        for (code, message) in [(12_052_073, ""), (36_009_004, "a param of the body is odd"), (-1, "")] {
            let error = meant(code, message);
            assert!(matches!(error, CallError::Never { .. }), "{error:?}");
        }
    }
}
