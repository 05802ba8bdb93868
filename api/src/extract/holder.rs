//! The holder of a key: `Authorization: Bearer <key>`, looked up, and believed for a moment.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use onhand_domain::key::Role;
use onhand_infrastructure::{
    ledger::Context,
    operations::{Caller, keys::key_hash},
    queries::api_keys::{KeyHolder, holder},
};

use crate::{App, app::Correlation, problem::Problem};

/// How long a key is believed after it was looked up; a revoked one works no longer than this.
const BELIEVED: Duration = Duration::from_secs(5);
const ENTRIES_MAX: usize = 10_000;

/// Keys looked up lately.
#[derive(Default)]
pub(crate) struct KeyCache {
    entries: Mutex<HashMap<String, (Instant, KeyHolder)>>,
}

impl KeyCache {
    /// None if it has to be looked up. Of many who show a key that has aged one looks, and the others believe it meanwhile.
    fn find(&self, sha256: &str) -> Option<KeyHolder> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, holder) = entries.get_mut(sha256)?;
        if since.elapsed() >= BELIEVED {
            *since = Instant::now();
            return None;
        }
        Some(holder.clone())
    }

    fn forget(&self, sha256: &str) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(sha256);
    }

    fn remember(&self, sha256: String, holder: KeyHolder) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(sha256, (Instant::now(), holder));
    }
}

/// Who holds the key this request shows, if it may do what `role` may.
pub(super) async fn authorised(app: &App, headers: &HeaderMap, role: Role) -> Result<KeyHolder, Problem> {
    let key = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| Problem::unauthorized("send an API key as `Authorization: Bearer <key>`"))?;
    let sha256 = key_hash(key.trim());
    let found = match app.keys.find(&sha256) {
        Some(holder) => holder,
        None => {
            let found = holder(app.onhand.pool(), &sha256).await;
            if !matches!(found, Ok(Some(_))) {
                app.keys.forget(&sha256);
            }
            let found =
                found?.ok_or_else(|| Problem::unauthorized("this API key is unknown or was revoked"))?;
            app.keys.remember(sha256, found.clone());
            found
        }
    };
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
    let context = Context {
        tenant: holder.tenant,
        actor: format!("key:{}", holder.key),
        source: "rest".to_owned(),
        correlation_id: correlation.map(|c| c.id.clone()).unwrap_or_default(),
        causation_id: None,
        traceparent: correlation.and_then(|c| c.traceparent.clone()),
    };
    Caller { context, brand: holder.brand, idempotency: None }
}
