//! The bearer of a key or a token: `Authorization: Bearer <…>`, a key looked up and believed for a moment, a token verified.

use std::{net::SocketAddr, time::Duration};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use onhand_domain::key::Role;
use onhand_infrastructure::{
    bearer::Bearer,
    believed::Believed,
    ledger::Context,
    operations::{Caller, keys::key_hash},
    queries::api_keys,
};

use crate::{App, app::Correlation, problem::Problem};

/// How long a key is believed after it was looked up; a revoked one works no longer than this.
const BELIEVED: Duration = Duration::from_secs(5);
const ENTRIES_MAX: usize = 10_000;

/// Who shows which key, by the key's hash.
pub(crate) type KeyCache = Believed<String, Bearer>;

/// No key is known yet.
pub(crate) fn no_keys_known() -> KeyCache {
    Believed::new(BELIEVED, ENTRIES_MAX)
}

/// Who shows the key or token of this request, if it may do what `role` may.
pub(super) async fn authorised(app: &App, headers: &HeaderMap, role: Role) -> Result<Bearer, Problem> {
    let (_, shown) = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .ok_or_else(|| Problem::unauthorized("send an API key as `Authorization: Bearer <key>`"))?;
    let shown = shown.trim();
    // A token has dots, a key has none.
    let bearer = if shown.contains('.') { of_token(app, shown).await? } else { of_key(app, shown).await? };
    needs(bearer.role, role)?;
    Ok(bearer)
}

/// Refuses whoever may not do what `role` may.
pub(super) fn needs(own: Role, role: Role) -> Result<(), Problem> {
    if own < role {
        return Err(Problem::forbidden(format!("this needs the role {role}; yours is {own}")));
    }
    Ok(())
}

async fn of_key(app: &App, key: &str) -> Result<Bearer, Problem> {
    let pool = app.onhand.pool();
    let sha256 = key_hash(key);
    let found =
        app.keys.find_or_ask(pool, sha256, async |sha256| Ok(api_keys::bearer(pool, sha256).await?)).await?;
    found.ok_or_else(|| Problem::unauthorized("this API key is unknown or was revoked"))
}

async fn of_token(app: &App, token: &str) -> Result<Bearer, Problem> {
    let Some(oidc) = &app.onhand.oidc else {
        return Err(Problem::unauthorized("access tokens are not taken here; send an API key"));
    };
    Ok(oidc.bearer(app.onhand.pool(), token, app.onhand.ledger().clock().now()).await?)
}

/// The bearer, as operations know callers.
pub(super) fn caller(parts: &Parts, bearer: Bearer) -> Caller {
    let correlation = parts.extensions.get::<Correlation>();
    // The other end of the line. What a header says of where a request came from, anybody could have written.
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let context = Context {
        tenant: bearer.tenant,
        actor: bearer.actor,
        source: "rest".to_owned(),
        address: peer.map(|ConnectInfo(peer)| peer.ip().to_canonical().to_string()),
        correlation_id: correlation.map(|c| c.id.clone()).unwrap_or_default(),
        causation_id: None,
        traceparent: correlation.and_then(|c| c.traceparent.clone()),
    };
    Caller { context, brand: bearer.brand, idempotency: None }
}
