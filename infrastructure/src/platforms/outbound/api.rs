//! One account's API: every call to a platform goes through here.
//!
//! It keeps to the platform's rates, bounds what is read, tells failures of the line and of the whole call apart from
//! what a platform has against single items, and in a rehearsal notes the calls that would change something instead of
//! making them.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use onhand_domain::{connection::ConnectionDetails, values::ConnectionId};
use reqwest::Url;
use serde::de::DeserializeOwned;

use super::{
    super::adapter::{Access, Call},
    CallError,
    masks::Masks,
};
use crate::{clock::Clock, secrets::Secret};

/// The largest answer that is read, in bytes.
const ANSWER_MAX: usize = 4 * 1024 * 1024;
/// The bounds of how long one may be told to wait.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_mins(30);
/// The longest that a call waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(2);
/// Of a connection that leads nowhere. No connection is given another endpoint.
const NO_ADDRESS: &str =
    "the connection's endpoint is not an address; make a new connection with one that is";
/// Requests a call says it follows from.
const CORRELATIONS_MAX: usize = 10;
/// Calls a rehearsal notes; beyond it they are only counted as not made.
const REHEARSED_MAX: usize = 10_000;

/// Leave to call: what is left of an account's allowance is shared by all processes.
pub trait Permits: Send + Sync {
    /// Takes one, or says how long to wait for it.
    fn take(&self) -> BoxFuture<'_, Result<(), CallError>>;
}

/// Whose API, and with what it is called. It shows itself nowhere, for it holds secrets.
#[derive(Clone)]
pub struct Account {
    /// Which connection.
    pub connection: ConnectionId,
    /// What it is.
    pub details: ConnectionDetails,
    /// Where its API is: scheme, host and port.
    pub endpoint: String,
    /// What calls are made with.
    pub access_token: Option<Secret>,
    /// What a new access token is asked for with.
    pub refresh_token: Option<Secret>,
    /// The secret of our app with the platform.
    pub app_secret: Option<Secret>,
    /// What its webhooks are and were signed with: told to the platform, and to nobody else.
    pub webhook_secrets: Vec<Secret>,
    /// Which version of the platform's API is spoken, where it is chosen by the caller.
    pub api_version: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// One account's API; clones share what is known of it.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    clock: Clock,
    account: Arc<Account>,
    in_words: Arc<Masks>,
    in_data: Arc<Masks>,
    permits: Option<Arc<dyn Permits>>,
    points: Arc<Mutex<super::super::shopify::Points>>,
    rehearsed: Option<Arc<Mutex<Vec<Call>>>>,
    until: Option<Instant>,
    /// An answer did not come.
    lost: Arc<AtomicBool>,
    /// An answer was that nobody is let in with this token.
    unauthorized: Arc<AtomicBool>,
    /// What calls follow from.
    correlation: Option<HeaderValue>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("account", &self.account).finish_non_exhaustive()
    }
}

/// What a platform answered: a success, or a refusal it alone can explain.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 2xx, or a 4xx that is about what was asked.
    pub status: StatusCode,
    /// All of them.
    pub headers: HeaderMap,
    /// Of bounded size.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the platform did as it was asked, as far as the status says.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The body as JSON; what is none is a failure of the platform.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| CallError::failed(format!("the platform's answer ({}) makes no sense", self.status)))
    }

    /// The refusal of a whole call, where the platform's body says no more than its status.
    pub fn refusal(&self) -> CallError {
        CallError::never(format!("the platform answered {}", self.status))
    }
}

impl Api {
    /// The API of an account. Without permits it may be called as often as one likes.
    pub fn new(
        http: reqwest::Client,
        clock: Clock,
        account: Account,
        permits: Option<Arc<dyn Permits>>,
    ) -> Self {
        let (in_words, in_data) = (Arc::new(Masks::of_words(&account)), Arc::new(Masks::of_data(&account)));
        let account = Arc::new(account);
        let (points, lost, unauthorized) = (Arc::default(), Arc::default(), Arc::default());
        let (rehearsed, until, correlation) = (None, None, None);
        Self {
            http,
            clock,
            account,
            in_words,
            in_data,
            permits,
            points,
            rehearsed,
            until,
            lost,
            unauthorized,
            correlation,
        }
    }

    /// The same account, for calls that are not begun after a moment: what they are made under ends soon after it.
    #[must_use]
    pub fn until(&self, until: Instant) -> Self {
        let (lost, unauthorized) = (Arc::default(), Arc::default());
        Self { until: Some(until), lost, unauthorized, ..self.clone() }
    }

    /// The same account, for calls that follow from these requests: each says so in `x-correlation-id`, where one says several
    /// things at once of the first ten.
    #[must_use]
    pub fn following<'c>(&self, correlation_ids: impl IntoIterator<Item = &'c str>) -> Self {
        let mut told: Vec<&str> = Vec::new();
        for id in correlation_ids {
            if told.len() == CORRELATIONS_MAX {
                break;
            }
            if !id.is_empty() && !told.contains(&id) {
                told.push(id);
            }
        }
        // What came to us in a header fits into one; one that was made up by some other way and does not is left out.
        let correlation = HeaderValue::from_str(&told.join(", ")).ok().filter(|_| !told.is_empty());
        Self { correlation, ..self.clone() }
    }

    /// The same account, for a rehearsal: nothing is changed there. What would have been called is told by
    /// [`Api::rehearsed`].
    #[must_use]
    pub fn for_rehearsal(&self) -> Self {
        Self { rehearsed: Some(Arc::default()), ..self.clone() }
    }

    /// The calls a rehearsal has not made, in order.
    pub fn rehearsed(&self) -> Vec<Call> {
        let calls = self.rehearsed.as_ref().map(|calls| calls.lock().unwrap_or_else(PoisonError::into_inner));
        calls.map(|calls| calls.clone()).unwrap_or_default()
    }

    /// Whose.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What the connection is.
    pub fn details(&self) -> &ConnectionDetails {
        &self.account.details
    }

    /// What a call is made and signed with, now.
    pub fn access(&self) -> Access<'_> {
        Access {
            details: &self.account.details,
            token: self.account.access_token.as_ref(),
            app_secret: self.account.app_secret.as_ref(),
            now: self.clock.now(),
        }
    }

    /// The access token, without which most calls make no sense.
    pub fn token(&self) -> Result<&Secret, CallError> {
        let token = self.account.access_token.as_ref();
        token.ok_or_else(|| CallError::person("the connection has no access token; enter one"))
    }

    /// The secret of our app, without which some platforms' calls cannot be signed.
    pub fn app_secret(&self) -> Result<&Secret, CallError> {
        let secret = self.account.app_secret.as_ref();
        secret.ok_or_else(|| CallError::person("the connection has no app secret; enter one"))
    }

    /// What is known of a calculated-cost limit, as Shopify has one.
    pub(in super::super) fn points(&self) -> &Mutex<super::super::shopify::Points> {
        &self.points
    }

    /// A call that changes nothing there.
    pub async fn read(&self, call: Call) -> Result<Answer, CallError> {
        self.send(call).await.map(|answer| self.masked(answer))
    }

    /// A call that is answered with credentials: its answer is not masked, unless it is a refusal.
    pub async fn exchange(&self, call: Call) -> Result<Answer, CallError> {
        let call = if call.method == Method::GET { call } else { self.unless_rehearsed(call)? };
        let answer = self.send(call).await?;
        Ok(if answer.is_success() { answer } else { self.masked(answer) })
    }

    /// A text in which the account's secrets stand no more.
    pub fn without_secrets(&self, text: String) -> String {
        self.in_words.in_text(&text).unwrap_or(text)
    }

    /// A call that changes something there. In a rehearsal it is noted, and answered as if the line had been cut before it.
    pub async fn write(&self, call: Call) -> Result<Answer, CallError> {
        self.send(self.unless_rehearsed(call)?).await.map(|answer| self.masked(answer))
    }

    fn unless_rehearsed(&self, call: Call) -> Result<Call, CallError> {
        let Some(rehearsed) = &self.rehearsed else { return Ok(call) };
        let mut calls = rehearsed.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() < REHEARSED_MAX {
            calls.push(call);
        }
        Err(CallError::wait(Duration::ZERO, "not sent, for this is a rehearsal"))
    }

    async fn send(&self, call: Call) -> Result<Answer, CallError> {
        let url = self.url(&call.target)?;
        permitted(self.permits.as_deref(), self.until).await?;
        let typed = call.headers.iter().any(|(name, _)| CONTENT_TYPE.as_str().eq_ignore_ascii_case(name));
        let mut request = self.http.request(call.method, url);
        for (name, value) in call.headers {
            let mut value = HeaderValue::from_str(&value).map_err(|_| {
                CallError::person("a credential has characters that none has; enter it again")
            })?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if let Some(correlation) = &self.correlation {
            request = request.header("x-correlation-id", correlation);
        }
        if let Some(body) = call.body {
            if !typed {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| self.unanswered(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await.inspect_err(|_| self.lost.store(true, Ordering::Relaxed))?;
        if waited_in_vain(status) {
            self.lost.store(true, Ordering::Relaxed);
        }
        if status == StatusCode::UNAUTHORIZED || (status == StatusCode::FORBIDDEN && names_token(&body)) {
            self.token_refused();
        }
        match refused(status, &headers, self.clock.now()) {
            Some(error) => Err(error),
            None => Ok(Answer { status, headers, body }),
        }
    }

    fn unanswered(&self, error: reqwest::Error) -> CallError {
        if !error.is_connect() && !error.is_builder() {
            self.lost.store(true, Ordering::Relaxed);
        }
        unreached(error)
    }

    /// Whether the platform's answer did not come since [`Api::until`]: that call may still be under way over there.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Notes that the platform does not take the access token any more, where its status does not say so.
    pub(in super::super) fn token_refused(&self) {
        self.unauthorized.store(true, Ordering::Relaxed);
    }

    /// Whether the platform has refused the access token since [`Api::until`].
    pub(crate) fn is_unauthorized(&self) -> bool {
        self.unauthorized.load(Ordering::Relaxed)
    }

    /// An answer in which the account's secrets stand no more: what a platform says may be shown and kept.
    fn masked(&self, answer: Answer) -> Answer {
        let masks = if answer.is_success() { &self.in_data } else { &self.in_words };
        Answer { body: masks.in_body(answer.body), ..answer }
    }

    /// The whole address. A target in which an id would lead to another path than the one it stands in is refused: two
    /// dots do that however they are escaped.
    fn url(&self, target: &str) -> Result<Url, CallError> {
        let (address, path) = match target.strip_prefix('/') {
            Some(_) => {
                let path = target.split('?').next().unwrap_or_default();
                (format!("{}{target}", self.account.endpoint.trim_end_matches('/')), Some(path))
            }
            None => (target.to_owned(), None),
        };
        let url = Url::parse(&address).map_err(|_| CallError::person(NO_ADDRESS))?;
        if path.is_some_and(|path| url.path() != path) {
            return Err(CallError::never("an id of this would lead to another address"));
        }
        Ok(url)
    }
}

/// Leave to call, as long as a call may be begun. One that is one of many within a second or two waits here for its turn, or it
/// would have to come back with all the others; one that has to wait longer comes back.
async fn permitted(permits: Option<&dyn Permits>, until: Option<Instant>) -> Result<(), CallError> {
    let in_time = || match until {
        Some(until) if Instant::now() > until => Err(CallError::later()),
        _ => Ok(()),
    };
    let Some(permits) = permits else { return in_time() };
    loop {
        in_time()?;
        match permits.take().await {
            Err(CallError::Again { after: Some(after), counts: false, .. }) if after <= TURN_MAX => {
                tokio::time::sleep(after).await;
            }
            // A database that is slow to give leave has taken its time of ours.
            taken => return taken.and_then(|()| in_time()),
        }
    }
}

/// The HTTP client for all platforms: quick to give up, and it follows nobody elsewhere with a token.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    http_client_builder().build()
}

/// The same, for whoever needs it to differ.
pub fn http_client_builder() -> reqwest::ClientBuilder {
    // An error says that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("onhand/", env!("CARGO_PKG_VERSION")))
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreached)? {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(CallError::failed("the platform's answer is larger than four megabytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The line failed. Whether the call was applied is not known.
fn unreached(error: reqwest::Error) -> CallError {
    if error.is_builder() {
        return CallError::person(NO_ADDRESS);
    }
    let what = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "the platform did not answer in time",
        (_, true) => "the platform cannot be reached",
        _ => "the line to the platform broke",
    };
    // An address may carry a secret in its query. The outermost error only says that there is one; why, be it a certificate, a
    // name or a port, is in the innermost, and no address with it.
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    CallError::failed(format!("{what}: {cause}"))
}

/// Whether a refusal is one of the access token, in the words of a platform that says so with a 403.
fn names_token(body: &[u8]) -> bool {
    // Spelt like the first in Shopee's lists.
    let names = ["invalid_acceess_token", "invalid_access_token"];
    let text = String::from_utf8_lossy(&body[..body.len().min(2_000)]);
    names.iter().any(|name| text.contains(name))
}

/// Whether this may be a gateway's answer in place of the platform's, which may still be at it.
fn waited_in_vain(status: StatusCode) -> bool {
    // Some say 502 or 503 when they have waited long enough; those above 511 are Cloudflare's.
    matches!(status.as_u16(), 502..=504 | 520 | 522 | 524)
}

/// What concerns the whole call, whatever platform says so; none for what its body has to explain.
fn refused(status: StatusCode, headers: &HeaderMap, now: DateTime<Utc>) -> Option<CallError> {
    let why = format!("the platform answered {status}");
    let after = || retry_after(headers, now);
    Some(match status.as_u16() {
        200..=299 => return None,
        429 => CallError::Again { after: after(), why, counts: false },
        408 | 425 | 500 | 502.. => CallError::Again { after: after(), why, counts: true },
        401 | 403 => CallError::person(format!("{why}; renew the access token and its permissions")),
        402 | 423 => CallError::person(format!("{why}; look after the account's plan")),
        300..=399 => CallError::person(format!("{why}; make a new connection with the right endpoint")),
        _ => return None,
    })
}

/// Seconds, possibly with decimals, or the time when it is over.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match (text.parse::<f64>(), DateTime::parse_from_rfc2822(text)) {
        (Ok(seconds), _) => Duration::try_from_secs_f64(seconds).ok()?,
        // By another clock it may be over already.
        (_, Ok(at)) => (at.to_utc() - now).to_std().unwrap_or_default(),
        _ => return None,
    };
    Some(pause.clamp(PAUSE_MIN, PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives leave when it is too late.
    struct Slow(Instant);

    impl Permits for Slow {
        fn take(&self) -> BoxFuture<'_, Result<(), CallError>> {
            Box::pin(async {
                while Instant::now() <= self.0 {
                    tokio::task::yield_now().await;
                }
                Ok(())
            })
        }
    }

    #[tokio::test]
    async fn no_call_is_begun_when_leave_for_it_came_too_late() {
        let until = Instant::now() + Duration::from_millis(5);
        let given = permitted(Some(&Slow(until)), Some(until)).await;
        assert!(matches!(given, Err(CallError::Again { counts: false, .. })), "{given:?}");
        assert_eq!(permitted(Some(&Slow(until)), None).await, Ok(()));
    }

    #[tokio::test]
    async fn why_a_platform_cannot_be_reached_is_told_without_its_address() {
        let http = http_client_builder().no_proxy().build().expect("a client");
        let refused = http.get("http://127.0.0.1:1/?key=hush").send().await;
        let told = unreached(refused.expect_err("nobody listens there")).to_string();
        assert!(told.starts_with("the platform cannot be reached: ") && told.contains("refused"), "{told}");
        assert!(!told.contains("hush") && !told.contains("http"), "{told}");
    }

    #[test]
    fn a_platform_says_how_long_to_wait_in_seconds_or_as_a_date() {
        let now = DateTime::from_timestamp(1_445_412_420, 0).expect("a time");
        let told = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]), now)
        };
        assert_eq!(told("2.5"), Some(Duration::from_millis(2_500)));
        assert_eq!(told("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_mins(1)));
        assert_eq!(told("Wed, 21 Oct 2015 07:00:00 GMT"), Some(PAUSE_MIN), "over already");
        assert_eq!(told("Thu, 22 Oct 2015 07:28:00 GMT"), Some(PAUSE_MAX));
        for text in ["-1", "soon", ""] {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
