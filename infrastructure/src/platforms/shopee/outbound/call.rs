//! One call: what is sent, what surrounds every answer, and what Shopee's errors mean for the caller.
//!
//! Shopee tells most errors in a body with HTTP 200: `error` names it, and is empty when all went well. The same name may
//! stand for things that call for different things to be done, so the message is looked at as well.

use std::time::Duration;

use axum::http::Method;
use chrono::{DateTime, Utc};
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

/// How long to wait when too many calls were made; Shopee does not say.
const PAUSE: Duration = Duration::from_secs(10);

/// The day of the daily quota is that of UTC+8.
const EAST_SECONDS: i64 = 8 * 3_600;
const DAY_SECONDS: i64 = 86_400;

const TOKEN: &str = "renew the access token, or have the shop authorise the app again";
const APP: &str = "correct the partner id and the app secret";
const SHOP: &str = "look after the shop and the app with Shopee";
const LOCATION: &str = "make a new connection with the right platform location";

/// Errors that a new access token may end.
const TOKEN_REFUSED: [&str; 3] = ["invalid_acceess_token", "invalid_access_token", "error_access_token"];

/// Errors that nothing but a person can end, and what is to be done about them.
const PERSON: &[(&str, &str)] = &[
    ("error_auth", TOKEN),
    ("error_permission", TOKEN),
    ("invalid_access_token", TOKEN),
    // Spelt like this in their lists.
    ("invalid_acceess_token", TOKEN),
    ("error_access_token", TOKEN),
    ("shop_access_expired", TOKEN),
    ("shop_no_linked", TOKEN),
    ("partner_shop_no_link", TOKEN),
    ("error_shop_refresh_token", TOKEN),
    ("refresh_token_expired", TOKEN),
    ("error_sign", APP),
    ("error_partner_key_expired", APP),
    ("invalid_partner_id", APP),
    ("error_api_permission", SHOP),
    ("error_api_call_restricted", SHOP),
    ("error_ashop_api_permission", SHOP),
    ("error_kyc_auth", SHOP),
    ("error_perm_non_admin", SHOP),
    ("error_seller_under_penalty", SHOP),
    ("error_holiday_mode_change_stock", SHOP),
    ("error_shop", SHOP),
    ("error_shop_not_found", SHOP),
    ("error_param_shop_id_not_found", SHOP),
    ("error_wms_shop_block_upate_stock", SHOP),
    ("shop_banned", SHOP),
    ("api_suspended", SHOP),
    ("source_ip_undeclared", "declare our addresses in Shopee's console"),
];

/// What a message is about, whatever the error is called, and what a person is to do about it.
const ABOUT: &[(&str, &str)] = &[
    ("access_token", TOKEN),
    ("partner_id", APP),
    ("no sign ", APP),
    ("timestamp", "set the clock right"),
    ("shop_id is", "make a new connection with the right account, which is the shop id"),
    ("location id", LOCATION),
    ("location_id", LOCATION),
    ("callback", "see to it that the address of the webhooks can be reached"),
    ("call back", "see to it that the address of the webhooks can be reached"),
    ("holiday mode", SHOP),
];

/// Errors of Shopee's own.
const FAILED: &[&str] = &[
    "error_server",
    "error_inner",
    "error_network",
    "error_system_busy",
    "error_system",
    "error_data",
    "error_timeout",
    "error_unknown",
];

/// What is said under the names of other errors of a value that cannot be: units set aside for a promotion, and stock in
/// Shopee's own warehouses.
const NEVER: &[&str] = &["reserved stock", "reserve stock", "equal to 0"];

/// What is said of trouble that passes.
const PASSES: &[&str] = &["system error", "try later", "try again"];

/// A refusal of a whole call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Shopee's name for it, without that of a part of its API; empty where the refusal is not Shopee's own.
    pub(super) name: String,
    /// What it means.
    pub(super) error: CallError,
}

impl Refusal {
    /// Whether it may be about single things in the call, so that the others would be taken without them.
    pub(super) fn may_be_about_one(&self) -> bool {
        !self.name.is_empty() && matches!(self.error, CallError::Never { .. })
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self { name: String::new(), error }
    }
}

/// What an answer says.
#[derive(Debug)]
pub(super) struct Said {
    /// What stood in the way; part of what was asked may have been done all the same.
    pub(super) refusal: Option<Refusal>,
    /// What was asked for; null if it is not there.
    pub(super) response: Value,
}

impl Said {
    /// What was asked for, if nothing stood in the way.
    pub(super) fn whole(self) -> Result<Value, Refusal> {
        self.refusal.map_or(Ok(self.response), Err)
    }
}

/// What surrounds every answer.
#[derive(Deserialize)]
struct Envelope {
    error: Option<String>,
    message: Option<String>,
    #[serde(default)]
    response: Value,
}

/// A call that shows something of the shop.
pub(super) fn shows(api: &Api, path: &str, asked: &str) -> Result<Call, CallError> {
    let target = format!("{}&{asked}", of_shop(api, path)?);
    Ok(Call { method: Method::GET, target, headers: vec![], body: None })
}

/// A call that changes something of the shop.
pub(super) fn changes(api: &Api, path: &str, body: &Value) -> Result<Call, CallError> {
    let target = of_shop(api, path)?;
    Ok(Call { method: Method::POST, target, headers: vec![], body: Some(body.to_string()) })
}

/// A call about our app; it shows something where it has no body.
pub(super) fn of_app(api: &Api, path: &str, body: Option<&Value>) -> Result<Call, CallError> {
    api.app_secret()?;
    let target = look::of_app(path, &api.access());
    let target =
        target.ok_or_else(|| CallError::person("the connection has no partner id; enter it as its app"))?;
    let method = if body.is_some() { Method::POST } else { Method::GET };
    Ok(Call { method, target, headers: vec![], body: body.map(Value::to_string) })
}

fn of_shop(api: &Api, path: &str) -> Result<String, CallError> {
    api.token()?;
    api.app_secret()?;
    let why = "the connection has no shop id or no partner id; enter them as its account and its app";
    look::of_shop(path, &api.access()).ok_or_else(|| CallError::person(why))
}

/// Takes the answer out of what surrounds it.
pub(super) fn understood(api: &Api, answer: &Answer) -> Result<Said, CallError> {
    let envelope: Envelope = match answer.json() {
        Ok(envelope) => envelope,
        Err(_) if !answer.is_success() => return Err(answer.refusal()),
        Err(error) => return Err(error),
    };
    let Some(error) = read::filled(envelope.error) else {
        if !answer.is_success() {
            return Err(answer.refusal());
        }
        return Ok(Said { refusal: None, response: envelope.response });
    };
    let message = envelope.message.map(|message| api.without_secrets(message)).unwrap_or_default();
    let name = error.rsplit('.').next().unwrap_or(&error).to_owned();
    if TOKEN_REFUSED.contains(&&*name) {
        api.token_refused();
    }
    let refusal = Refusal { error: meaning(&error, &message, api.access().now), name };
    Ok(Said { refusal: Some(refusal), response: envelope.response })
}

/// What an error asks for. Its name may have that of a part of the API before it: `product.error_param`.
fn meaning(error: &str, message: &str, now: DateTime<Utc>) -> CallError {
    let why = format!("Shopee answers {}: {}", read::word(error), read::word(message));
    let name = error.rsplit('.').next().unwrap_or(error);
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(*word));
    let about = ABOUT.iter().find(|(word, _)| message.contains(*word));
    let person = about.or_else(|| PERSON.iter().find(|(known, _)| *known == name));
    match (name, person) {
        ("error_rate_limit", _) => CallError::wait(PAUSE, why),
        ("error_limit", _) => CallError::wait(until_midnight(now), why),
        _ if says(NEVER) => CallError::never(why),
        _ if says(&["system error"]) => CallError::failed(why),
        (_, Some((_, advice))) => CallError::person(format!("{advice}; {why}")),
        _ if FAILED.contains(&name) || says(PASSES) => CallError::failed(why),
        _ => CallError::never(why),
    }
}

/// What the reason asks for that is given for one model. It stops nobody but that model, so that no person is called for;
/// holidays pass.
pub(super) fn reason(reason: &str) -> CallError {
    let why = format!("Shopee refuses it: {}", read::word(reason));
    let reason = reason.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(*word));
    if !says(NEVER) && (says(PASSES) || says(&["holiday mode"])) {
        return CallError::failed(why);
    }
    CallError::never(why)
}

/// How long the daily quota is still used up.
fn until_midnight(now: DateTime<Utc>) -> Duration {
    let passed = (now.timestamp() + EAST_SECONDS).rem_euclid(DAY_SECONDS);
    Duration::from_secs((DAY_SECONDS - passed).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_is_to_be_done() {
        let now = read::time("2026-03-01T15:00:00Z").expect("a time");
        let says = |error: &str, message: &str| meaning(error, message, now);
        let waits = |error: &str| match says(error, "enough for now") {
            CallError::Again { after, counts: false, .. } => after,
            other => panic!("{other:?}"),
        };
        assert!(waits("error_rate_limit").is_some_and(|after| after <= Duration::from_mins(1)));
        assert_eq!(waits("common.error_limit"), Some(Duration::from_hours(1)), "until midnight in UTC+8");
        for (error, message) in [
            ("error_auth", "whoever this is"),
            ("common.error_sign", "signed by somebody else"),
            ("invalid_acceess_token", "not this one"),
            ("error_param", "an access_token belongs to it"),
            ("error_param", "that timestamp is of another day"),
            ("error_busi", "which location id?"),
            ("error_busi", "the location_id leads nowhere"),
            ("shop_banned", "closed"),
        ] {
            assert!(matches!(says(error, message), CallError::NeedsPerson { .. }), "{error} {message}");
        }
        for (error, message) in [
            ("error_server", "a bad day"),
            ("product.error_inner", "a slow day"),
            ("error_auth", "a System Error over here"),
            ("error_new", "one may try later"),
        ] {
            assert!(says(error, message).is_failure(), "{error} {message}");
        }
        for (error, message) in [
            ("product.error_item_not_found", "gone"),
            ("error_auth", "less than the reserved stock"),
            ("error_busi", "beyond the allocation of this sale"),
            ("error_new", "something else"),
        ] {
            assert!(matches!(says(error, message), CallError::Never { .. }), "{error} {message}");
        }
    }

    #[test]
    fn a_reason_for_one_model_calls_for_no_person() {
        for words in ["one may try again", "a system error", "the shop is in holiday mode"] {
            assert!(reason(words).is_failure(), "{words}");
        }
        for words in [
            "",
            "another location_id, or try later below the reserved stock",
            "no access_token for this one",
            "the location id is another's",
            "too dear",
        ] {
            assert!(matches!(reason(words), CallError::Never { .. }), "{words}");
        }
    }
}
