//! The holder of a key: `Authorization: Bearer <key>`, looked up, and believed for a moment.

use std::{net::SocketAddr, time::Duration};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use onhand_domain::key::Role;
use onhand_infrastructure::{
    believed::Believed,
    ledger::Context,
    operations::{Caller, keys::key_hash},
    queries::api_keys::{KeyHolder, holder},
};

use crate::{App, app::Correlation, problem::Problem};

/// How long a key is believed after it was looked up; a revoked one works no longer than this.
const BELIEVED: Duration = Duration::from_secs(5);
const ENTRIES_MAX: usize = 10_000;

/// Who holds which key, by the key's hash.
pub(crate) type KeyCache = Believed<String, KeyHolder>;

/// No key is known yet.
pub(crate) fn no_keys_known() -> KeyCache {
    Believed::new(BELIEVED, ENTRIES_MAX)
}

/// Who holds the key this request shows, if it may do what `role` may.
pub(super) async fn authorised(app: &App, headers: &HeaderMap, role: Role) -> Result<KeyHolder, Problem> {
    let (_, key) = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .ok_or_else(|| Problem::unauthorized("send an API key as `Authorization: Bearer <key>`"))?;
    let sha256 = key_hash(key.trim());
    let pool = app.onhand.pool();
    let found = app.keys.find_or_ask(pool, sha256, async |sha256| Ok(holder(pool, sha256).await?)).await?;
    let found = found.ok_or_else(|| Problem::unauthorized("this API key is unknown or was revoked"))?;
    if found.role < role {
        return Err(Problem::forbidden(format!(
            "this needs the role {role}; the key has the role {}",
            found.role
        )));
    }
    Ok(found)
}

/// The holder, as operations know callers.
pub(super) fn caller(parts: &Parts, holder: KeyHolder) -> Caller {
    let correlation = parts.extensions.get::<Correlation>();
    // The other end of the line. What a header says of where a request came from, anybody could have written.
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let context = Context {
        tenant: holder.tenant,
        actor: format!("key:{}", holder.key),
        source: "rest".to_owned(),
        address: peer.map(|ConnectInfo(peer)| peer.ip().to_canonical().to_string()),
        correlation_id: correlation.map(|c| c.id.clone()).unwrap_or_default(),
        causation_id: None,
        traceparent: correlation.and_then(|c| c.traceparent.clone()),
    };
    Caller { context, brand: holder.brand, idempotency: None }
}
