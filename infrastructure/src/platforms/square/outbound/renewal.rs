//! New access tokens for old ones: Square's are good for thirty days.

use axum::http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{
    super::{
        super::{
            adapter::Call,
            outbound::{Api, CallError, Renewed},
            read,
        },
        look,
    },
    errors,
};
use crate::secrets::Secret;

#[derive(Deserialize)]
struct Told {
    access_token: Option<String>,
    refresh_token: Option<String>,
    expires_at: Option<String>,
}

/// `POST /oauth2/token`, which wants no access token. Square gives the refresh token back as it was, unless the app proves
/// itself by PKCE. [src: developer.squareup.com/reference/square/o-auth/obtain-token]
pub(in super::super) async fn renew(api: &Api, refresh: &Secret) -> Result<Renewed, CallError> {
    let app = api.details().app.as_deref().ok_or_else(|| {
        CallError::person("the connection has no app; enter the id of the Square application")
    })?;
    let secret = api.app_secret()?;
    let body = json!({
        "client_id": app,
        "client_secret": secret.reveal(),
        "grant_type": "refresh_token",
        "refresh_token": refresh.reveal(),
    });
    let call = Call {
        method: Method::POST,
        target: "/oauth2/token".to_owned(),
        headers: vec![("square-version", look::VERSION.to_owned())],
        body: Some(body.to_string()),
    };
    let answer = api.exchange(call).await?;
    let told: Told = errors::told(&answer).map_err(|error| refused(&error))?;
    let access = read::filled(told.access_token)
        .ok_or_else(|| CallError::failed("Square's answer holds no access token"))?;
    let ends = told.expires_at.as_deref().and_then(read::time);
    Ok(Renewed {
        access_token: Secret::new(access),
        refresh_token: read::filled(told.refresh_token).map(Secret::new),
        lasts: ends.and_then(|ends| (ends - api.access().now).to_std().ok()),
    })
}

/// What Square refuses to renew, it refuses for good. Nothing of its answer is repeated: it might quote what it was sent.
fn refused(error: &CallError) -> CallError {
    match *error {
        CallError::Again { after, counts, .. } => CallError::Again {
            after,
            why: "Square does not renew the access token at the moment".to_owned(),
            counts,
        },
        CallError::Never { .. } | CallError::NeedsPerson { .. } => {
            CallError::person("Square does not renew the access token; authorise the application again")
        }
    }
}
