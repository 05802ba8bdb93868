//! New tokens for old ones: both change each time, and the refresh token ends as well, only later.

use std::time::Duration;

use axum::http::Method;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{
        super::{
            adapter::Call,
            outbound::{Api, CallError, Renewed},
            read,
        },
        look,
    },
    call,
};
use crate::secrets::Secret;

/// Who gives tokens, which is somebody else than the API.
const HOST: &str = "https://auth.tiktok-shops.com";
const PATH: &str = "/api/v2/token/refresh";

/// From here on a number is taken for a moment in seconds since 1970, as it is documented; below it for seconds left, as
/// some clients read it.
const MOMENT_MIN: i64 = 1_000_000_000;

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    access_token_expire_in: Option<Value>,
    refresh_token: Option<String>,
}

/// Asks for new tokens. The platform takes the credentials in the query and nowhere else, so nothing of its answer is
/// repeated in an error: it might quote them.
pub(in super::super) async fn renew(api: &Api, refresh: &Secret) -> Result<Renewed, CallError> {
    let answer = api.exchange(request(api, refresh)?).await?;
    let data = call::data(&answer).map_err(|error| refused(&error))?;
    let granted: Option<Granted> = serde_json::from_value(data).unwrap_or_default();
    let granted = granted
        .filter(|granted| !granted.access_token.is_empty())
        .ok_or_else(|| CallError::failed("the platform's answer has no access token"))?;
    let until = granted.access_token_expire_in;
    Ok(Renewed {
        access_token: Secret::new(granted.access_token),
        refresh_token: granted.refresh_token.filter(|token| !token.is_empty()).map(Secret::new),
        lasts: until.and_then(|until| lasts(&until, api.access().now)),
    })
}

fn request(api: &Api, refresh: &Secret) -> Result<Call, CallError> {
    let app = api.details().app.as_deref();
    let app = app.ok_or_else(|| CallError::person("the connection has no app; enter the app key"))?;
    let query = [
        ("app_key", app),
        ("app_secret", api.app_secret()?.reveal()),
        ("refresh_token", refresh.reveal()),
        ("grant_type", "refresh_token"),
    ];
    let query = query.map(|(name, value)| format!("{name}={}", read::escaped(value))).join("&");
    let target = format!("{}{PATH}?{query}", host(api));
    Ok(Call { method: Method::GET, target, headers: vec![], body: None })
}

/// A connection with an endpoint of its own, such as that of a stand-in, is given its tokens there.
fn host(api: &Api) -> &'static str {
    let endpoint = api.details().endpoint.as_deref().map(|endpoint| endpoint.trim_end_matches('/'));
    if endpoint.is_none_or(|endpoint| endpoint == look::ENDPOINT) { HOST } else { "" }
}

/// What cannot be had by asking again is given by the seller only.
fn refused(error: &CallError) -> CallError {
    match error {
        CallError::Again { after, counts, .. } => CallError::Again {
            after: *after,
            why: "TikTok Shop gives no new access token at the moment".to_owned(),
            counts: *counts,
        },
        CallError::Never { .. } | CallError::NeedsPerson { .. } => CallError::person(
            "TikTok Shop gives no new access token; have the seller authorise the app again",
        ),
    }
}

fn lasts(until: &Value, now: DateTime<Utc>) -> Option<Duration> {
    let until = read::whole(until)?;
    let left = if until >= MOMENT_MIN { until - now.timestamp() } else { until };
    u64::try_from(left).ok().map(Duration::from_secs)
}
