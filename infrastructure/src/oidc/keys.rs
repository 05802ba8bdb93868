//! The issuer's keys: found by discovery, kept in memory, and asked for with restraint.
//!
//! One fetch is under way at a time, and whoever has no key waits for it. However many tokens are made up, and whatever keys
//! they name, the issuer is asked at most once in [`ASKED_EVERY`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::values::Object;
use reqwest::{Client, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::watch;

use super::{
    OidcError, TokenFault,
    jwk::{Algorithm, Key, usable},
    settings::may_lie_at,
};

/// How often the issuer is asked at most, by all that is shown to one process.
const ASKED_EVERY: TimeDelta = TimeDelta::seconds(30);
/// How long keys are taken for what the issuer shows; a key that it has withdrawn is believed no longer than this.
const FRESH: TimeDelta = TimeDelta::hours(1);
/// How long keys are believed while the issuer cannot be reached.
const BELIEVED: TimeDelta = TimeDelta::hours(24);
/// How long after a fetch that came to nothing nobody waits for the next one.
const IN_DOUBT: TimeDelta = TimeDelta::minutes(5);
/// How long the issuer may take for each of its two answers.
const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 262_144;
const KEYS_MAX: usize = 100;
/// Keys that are tried where more than one fits a token.
const TRIED_MAX: usize = 4;

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
    #[error(
        "its keys lie at an address that is neither https:// nor, like itself, http:// and on this machine"
    )]
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
    /// When that was, if it came to nothing.
    failed_at: Option<DateTime<Utc>>,
    /// Closed once that fetch is over.
    asking: Option<watch::Receiver<()>>,
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

    /// Whether the last fetch came to nothing, not long ago.
    fn is_in_doubt(&self, now: DateTime<Utc>) -> bool {
        self.failed_at.is_some_and(|at| (now - at).abs() < IN_DOUBT)
    }

    fn is_being_asked(&self) -> bool {
        self.asking.as_ref().is_some_and(|asking| asking.has_changed().is_ok())
    }
}

/// The keys of one issuer.
pub(super) struct IssuerKeys {
    http: Client,
    issuer: String,
    kept: Mutex<Kept>,
}

impl IssuerKeys {
    /// None is known yet.
    pub(super) fn new(http: Client, issuer: String) -> Self {
        Self { http, issuer, kept: Mutex::default() }
    }

    /// The keys that fit a token: by its algorithm, and by the id it names, if it names one. At least one, at most
    /// [`TRIED_MAX`].
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
        now: DateTime<Utc>,
    ) -> Result<Vec<Key>, OidcError> {
        let known = |age| self.known(id, algorithm, age, now);
        if let Some(keys) = known(FRESH).filter(|keys| !keys.is_empty()) {
            return Ok(keys);
        }
        let is_in_doubt = self.lock().is_in_doubt(now);
        let asking = self.ask(now);
        // Known keys are not kept waiting by an issuer that does not answer, once that is known. Until then all wait, or a key
        // that was withdrawn long ago would be believed once more where nobody has come for hours.
        let is_enough = is_in_doubt && known(BELIEVED).is_some_and(|keys| !keys.is_empty());
        if !is_enough && let Some(mut asking) = asking {
            // Nothing is ever sent: it ends when the fetch does.
            let _ = asking.changed().await;
        }
        match known(BELIEVED) {
            Some(keys) if keys.is_empty() => Err(TokenFault::UnknownKey.into()),
            Some(keys) => Ok(keys),
            None => Err(OidcError::NoKeys(self.lock().wait(now).unwrap_or(1))),
        }
    }

    /// Those that fit among the keys that are not older than this, if there are any.
    fn known(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        age: TimeDelta,
        now: DateTime<Utc>,
    ) -> Option<Vec<Key>> {
        let kept = self.lock();
        let fits = |key: &&Key| key.algorithm() == algorithm && (id.is_none() || key.id.as_deref() == id);
        Some(kept.within(age, now)?.iter().filter(fits).take(TRIED_MAX).cloned().collect())
    }

    /// Has the issuer asked, unless it was a moment ago, or is being asked. Gives what is closed once that is over.
    fn ask(self: &Arc<Self>, now: DateTime<Utc>) -> Option<watch::Receiver<()>> {
        let mut kept = self.lock();
        if kept.wait(now).is_none() && !kept.is_being_asked() {
            let (open, asking) = watch::channel(());
            kept.asked_at = Some(now);
            kept.asking = Some(asking);
            // A task of its own: it goes on where this caller hangs up, or nobody would learn what was asked for.
            let keys = Arc::clone(self);
            tokio::spawn(async move {
                keys.renew(now).await;
                drop(open);
            });
        }
        kept.asking.clone()
    }

    async fn renew(&self, now: DateTime<Utc>) {
        match self.fetch().await {
            // Also where there are none among them any more: what an issuer has withdrawn is not believed.
            Ok(keys) => {
                let mut kept = self.lock();
                kept.keys = keys;
                kept.fetched_at = Some(now);
                kept.failed_at = None;
            }
            Err(error) => {
                self.lock().failed_at = Some(now);
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
        if !may_lie_at(&self.issuer, &found.jwks_uri) {
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
