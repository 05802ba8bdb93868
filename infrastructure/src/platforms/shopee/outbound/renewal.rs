//! New tokens for old ones: an access token is good for four hours, a refresh token for thirty days and one renewal.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::super::{
        outbound::{Api, CallError, Renewed},
        read,
    },
    call::{of_app, understood},
};
use crate::secrets::Secret;

const PATH: &str = "/api/v2/auth/access_token/get";

/// Unlike other answers this one has what was asked for beside the error.
#[derive(Deserialize)]
struct Tokens {
    access_token: Option<String>,
    refresh_token: Option<String>,
    /// In seconds.
    expire_in: Option<Value>,
}

/// Renews the tokens of the shop. It is sent in rehearsals too: the tokens are ours, and nothing of the shop changes.
pub(in super::super) async fn renew(api: &Api, refresh: &Secret) -> Result<Renewed, CallError> {
    let details = api.details();
    let partner = number(details.app.as_deref(), "partner id; enter it as the connection's app")?;
    let shop = number(details.account.as_deref(), "shop id; enter it as the connection's account")?;
    let body = json!({ "refresh_token": refresh.reveal(), "partner_id": partner, "shop_id": shop });
    let answer = api.exchange(of_app(api, PATH, Some(&body))?).await?;
    if let Some(refusal) = understood(api, &answer)?.refusal {
        return Err(refusal.error);
    }
    let tokens: Tokens = answer.json()?;
    let access = read::filled(tokens.access_token)
        .ok_or_else(|| CallError::failed("Shopee's answer has no access token"))?;
    let seconds = tokens.expire_in.as_ref().and_then(read::whole);
    Ok(Renewed {
        access_token: Secret::new(access),
        refresh_token: read::filled(tokens.refresh_token).map(Secret::new),
        lasts: seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
    })
}

fn number(text: Option<&str>, what: &str) -> Result<u64, CallError> {
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| CallError::person(format!("the connection has no {what}")))
}
