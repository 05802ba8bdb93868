//! The issuer's keys: found by discovery, kept in memory, and asked for with restraint.
//!
//! One fetch is under way at a time, and whoever needs it waits for it. However many tokens are made up, and whatever keys
//! they name, the issuer is asked at most once in [`ASKED_EVERY`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::values::Object;
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    OidcError, TokenFault,
    jwk::{Key, usable},
    settings::is_safe,
};

/// How often the issuer is asked at most, by all that is shown to one process.
const ASKED_EVERY: TimeDelta = TimeDelta::seconds(30);
/// How long keys are taken for what the issuer shows; a key that it has withdrawn is believed no longer than this.
const FRESH: TimeDelta = TimeDelta::hours(1);
/// How long keys are believed while the issuer cannot be reached.
const BELIEVED: TimeDelta = TimeDelta::hours(24);
/// How long the issuer may take for each of its two answers.
const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 262_144;
const KEYS_MAX: usize = 100;

/// Why the issuer's keys could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("it cannot be reached: {0}")]
    Unreached(reqwest::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer is larger than {max} bytes", max = ANSWER_BYTES_MAX)]
    TooLarge,
    #[error("its answer cannot be understood: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("its discovery document is one of {0:?}")]
    OtherIssuer(String),
    #[error("its keys lie at an address that is neither https:// nor on this machine")]
    Unsafe,
    #[error("it shows {0} keys, more than {max}", max = KEYS_MAX)]
    TooMany(usize),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreached(error.without_url())
    }
}

/// What is found at `<issuer>/.well-known/openid-configuration`, as far as it matters here.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// What is known of the keys.
#[derive(Default)]
struct Kept {
    keys: Vec<Key>,
    /// When these were fetched; none if no fetch has come to anything yet.
    fetched_at: Option<DateTime<Utc>>,
    /// When the last fetch was begun, whatever came of it.
    asked_at: Option<DateTime<Utc>>,
}

impl Kept {
    /// The keys, unless they are older than this. A clock that was set back makes them as old as one that was set forward.
    fn within(&self, age: TimeDelta, now: DateTime<Utc>) -> Option<&[Key]> {
        ((now - self.fetched_at?).abs() < age).then_some(&self.keys)
    }

    /// Seconds until the issuer may be asked again; none if it may be now.
    fn wait(&self, now: DateTime<Utc>) -> Option<u32> {
        let left = ASKED_EVERY - (now - self.asked_at?).abs();
        let seconds = u32::try_from((left.num_milliseconds() + 999) / 1_000).ok()?;
        (seconds > 0).then_some(seconds)
    }
}

/// The keys of one issuer.
pub(super) struct IssuerKeys {
    http: Client,
    issuer: String,
    kept: Mutex<Kept>,
    /// Held while the issuer is asked.
    turn: tokio::sync::Mutex<()>,
}

impl IssuerKeys {
    /// None is known yet.
    pub(super) fn new(http: Client, issuer: String) -> Self {
        Self { http, issuer, kept: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// The key of this id; without an id, the only one there is.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Key, OidcError> {
        if let Some(Some(key)) = self.known(id, FRESH, now) {
            return Ok(key);
        }
        // A task of its own: it goes on where this caller hangs up, or nobody would learn what was asked for.
        let keys = Arc::clone(self);
        if let Err(error) = tokio::spawn(async move { keys.ask(now).await }).await {
            tracing::error!(%error, "the issuer's keys were not asked for");
        }
        match self.known(id, BELIEVED, now) {
            Some(Some(key)) => Ok(key),
            Some(None) => Err(TokenFault::UnknownKey.into()),
            None => Err(OidcError::NoKeys(self.lock().wait(now).unwrap_or(1))),
        }
    }

    /// The key among those that are not older than this, if there are any.
    fn known(&self, id: Option<&str>, age: TimeDelta, now: DateTime<Utc>) -> Option<Option<Key>> {
        let kept = self.lock();
        let keys = kept.within(age, now)?;
        let found = match (id, keys) {
            (Some(_), keys) => keys.iter().find(|key| key.id.as_deref() == id),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        Some(found.cloned())
    }

    /// Asks the issuer, unless it was asked a moment ago, by whoever else had a turn before this one for instance.
    async fn ask(&self, now: DateTime<Utc>) {
        let _turn = self.turn.lock().await;
        {
            let mut kept = self.lock();
            if kept.wait(now).is_some() {
                return;
            }
            kept.asked_at = Some(now);
        }
        match self.fetch().await {
            // Also where there are none among them any more: what an issuer has withdrawn is not believed.
            Ok(keys) => {
                let mut kept = self.lock();
                kept.keys = keys;
                kept.fetched_at = Some(now);
            }
            Err(error) => {
                tracing::warn!(issuer = self.issuer, %error, "the issuer's keys cannot be fetched");
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<Key>, FetchError> {
        let place = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let found: Discovery = self.get(&place).await?;
        if found.issuer != self.issuer {
            return Err(FetchError::OtherIssuer(found.issuer));
        }
        if !Url::parse(&found.jwks_uri).is_ok_and(|url| is_safe(&url)) {
            return Err(FetchError::Unsafe);
        }
        let KeySet { keys } = self.get(&found.jwks_uri).await?;
        if keys.len() > KEYS_MAX {
            return Err(FetchError::TooMany(keys.len()));
        }
        Ok(usable(keys))
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, FetchError> {
        let mut response = self.http.get(url).timeout(PATIENCE).send().await?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let Object(answer) = serde_json::from_slice(&body)?;
        Ok(answer)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
