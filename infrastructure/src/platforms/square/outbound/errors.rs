//! Square's error model: what is to be done about a problem that an answer tells of.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};

use super::super::super::{
    outbound::{Answer, CallError},
    read,
};

/// How long to wait when asked to; Square says no time. [src: facts.md 2.2]
const PAUSE: Duration = Duration::from_secs(1);

/// One entry of `errors`. Each answer may have some, also beside what went well.
#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    category: Option<String>,
    code: Option<String>,
    detail: Option<String>,
    field: Option<String>,
}

#[derive(Default, Deserialize)]
struct Told {
    errors: Option<Vec<Problem>>,
}

impl Problem {
    /// What is to be done about it.
    ///
    /// A version that is no longer the current one, and two changes of one thing at the same time, are gone after a new
    /// look. An unknown location is the connection's, not the item's.
    pub(super) fn meaning(&self) -> CallError {
        let (category, code) = (self.category.as_deref().unwrap_or_default(), self.code());
        let detail = read::word(self.detail.as_deref().unwrap_or_default());
        let why = format!("Square answers {}: {detail}", read::word(code));
        match (category, code) {
            (_, "RATE_LIMITED") | ("RATE_LIMIT_ERROR", _) => CallError::wait(PAUSE, why),
            ("AUTHENTICATION_ERROR" | "MERCHANT_SUBSCRIPTION_ERROR", _)
            | (_, "UNAUTHORIZED" | "ACCESS_TOKEN_EXPIRED" | "ACCESS_TOKEN_REVOKED")
            | (_, "FORBIDDEN" | "INSUFFICIENT_SCOPES" | "CLIENT_DISABLED" | "APPLICATION_DISABLED") => {
                CallError::person(format!("{why}; renew the access token and its permissions"))
            }
            _ if matches!(self.field_name(), "location_id" | "location_ids") => {
                CallError::person(format!("{why}; make a new connection with the right platform_location"))
            }
            _ if self.field_name() == "occurred_at" => {
                CallError::failed(format!("{why}; this machine's clock and Square's differ"))
            }
            ("API_ERROR", _)
            | (_, "VERSION_MISMATCH" | "CONFLICT" | "IDEMPOTENCY_KEY_REUSED" | "REQUEST_TIMEOUT")
            | (_, "INTERNAL_SERVER_ERROR" | "SERVICE_UNAVAILABLE" | "GATEWAY_TIMEOUT" | "TEMPORARY_ERROR") => {
                CallError::failed(why)
            }
            _ => CallError::never(why),
        }
    }

    /// Whether it concerns the whole call and nothing of its content.
    pub(super) fn is_about_all(&self) -> bool {
        match self.meaning() {
            CallError::Never { .. } => false,
            CallError::NeedsPerson { .. } => true,
            CallError::Again { .. } => {
                self.place().is_none() && !matches!(self.code(), "VERSION_MISMATCH" | "CONFLICT")
            }
        }
    }

    /// Whether it is that there is no such thing.
    pub(super) fn is_absence(&self) -> bool {
        self.code() == "NOT_FOUND"
    }

    /// Which of the things in the call it is about, where it says so: `changes[3].physical_count.quantity`.
    pub(super) fn place(&self) -> Option<usize> {
        let field = self.field.as_deref()?;
        let rest =
            ["changes[", "batches[", "object_ids["].iter().find_map(|list| field.strip_prefix(list))?;
        rest.split_once(']')?.0.parse().ok()
    }

    fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// The last part of the field, whatever it is in and whichever of a list it is: `changes[0].physical_count.location_id`,
    /// `location_ids[0]`.
    fn field_name(&self) -> &str {
        let field = self.field.as_deref().unwrap_or_default();
        let last = field.rsplit(['.', '/']).next().unwrap_or_default();
        last.split('[').next().unwrap_or_default()
    }
}

/// The problems an answer tells of; none where it is not in Square's words.
pub(super) fn problems(answer: &Answer) -> Vec<Problem> {
    answer.json::<Told>().unwrap_or_default().errors.unwrap_or_default()
}

/// Why a call was refused as a whole.
pub(super) fn refusal(answer: &Answer) -> CallError {
    problems(answer).first().map_or_else(|| answer.refusal(), Problem::meaning)
}

/// What an answer says, if the call went well.
pub(super) fn told<T: DeserializeOwned>(answer: &Answer) -> Result<T, CallError> {
    if !answer.is_success() {
        return Err(refusal(answer));
    }
    match problems(answer).first() {
        Some(problem) => Err(problem.meaning()),
        None => answer.json(),
    }
}
