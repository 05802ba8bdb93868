//! Webhook subscriptions: one for an address, with all topics this project has a use for, so that there is one key to check.
//!
//! Subscriptions are the application's and not a seller's: Square wants the application's personal access token for all of
//! this, and refuses a seller's. [src: developer.squareup.com/docs/webhooks/webhook-subscriptions-api]

use std::collections::BTreeSet;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        super::{
            outbound::{Answer, Api, CallError, Subscription},
            read,
        },
        look::VERSION,
        sample::TOPICS,
    },
    PAGES_MAX, call, errors,
};
use crate::secrets::Secret;

const PATH: &str = "/v2/webhooks/subscriptions";

#[derive(Deserialize)]
struct Page {
    subscriptions: Option<Vec<Hook>>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct One {
    subscription: Hook,
}

/// A subscription as Square tells it. The signature key is told only of one that was asked for by itself.
#[derive(Deserialize)]
struct Hook {
    id: String,
    enabled: Option<bool>,
    event_types: Option<Vec<String>>,
    notification_url: Option<String>,
    signature_key: Option<String>,
}

impl Hook {
    fn is_on(&self) -> bool {
        self.enabled != Some(false)
    }

    fn topics(&self) -> impl Iterator<Item = &str> {
        self.event_types.iter().flatten().map(String::as_str)
    }

    fn path(&self) -> String {
        path(&self.id)
    }
}

fn path(id: &str) -> String {
    format!("{PATH}/{}", read::escaped(id))
}

/// Has an address told. What is there already is completed and switched on; its key stays the same, and is told again to
/// whoever has none.
pub(in super::super) async fn subscribe(
    api: &Api,
    address: &str,
    secret: Option<&Secret>,
) -> Result<Option<Secret>, CallError> {
    let hooks = list(api).await?;
    let here: Vec<&Hook> =
        hooks.iter().filter(|hook| hook.notification_url.as_deref() == Some(address)).collect();
    let Some(hook) = here.iter().find(|hook| hook.is_on()).or(here.first()) else {
        return create(api, address).await;
    };
    let told: BTreeSet<&str> =
        here.iter().filter(|hook| hook.is_on()).flat_map(|hook| hook.topics()).collect();
    if !TOPICS.iter().all(|topic| told.contains(topic)) {
        let topics: BTreeSet<&str> = hook.topics().chain(TOPICS).collect();
        change(api, &hook.id, &json!({ "enabled": true, "event_types": topics })).await?;
    }
    if secret.is_some() {
        return Ok(None);
    }
    key(api, Method::GET, &hook.path(), None).await
}

async fn create(api: &Api, address: &str) -> Result<Option<Secret>, CallError> {
    let body = json!({
        // Whether there is one was just looked up, so each attempt is a new one.
        "idempotency_key": Uuid::new_v4(),
        "subscription": {
            "name": "Onhand",
            "enabled": true,
            "event_types": TOPICS,
            "notification_url": address,
            "api_version": VERSION,
        },
    });
    key(api, Method::POST, PATH, Some(&body)).await
}

/// The signature key of the subscription that a call is answered with.
async fn key(
    api: &Api,
    method: Method,
    target: &str,
    body: Option<&Value>,
) -> Result<Option<Secret>, CallError> {
    let answer = api.exchange(call(api, method, target, body)?).await.map_err(advised)?;
    let one: One = errors::told(&answer)?;
    Ok(one.subscription.signature_key.map(Secret::new))
}

async fn change(api: &Api, id: &str, to: &Value) -> Result<(), CallError> {
    let body = json!({ "subscription": to });
    let _: One = sent(api, Method::PUT, &path(id), Some(&body)).await?;
    Ok(())
}

/// What Square tells whom, by topic; what is switched off is told to nobody.
pub(in super::super) async fn subscriptions(api: &Api) -> Result<Vec<Subscription>, CallError> {
    let hooks = list(api).await?;
    let on = hooks.iter().filter(|hook| hook.is_on());
    let told = on.flat_map(|hook| {
        hook.topics().map(move |topic| Subscription {
            id: hook.id.clone(),
            topic: topic.to_owned(),
            address: hook.notification_url.clone().unwrap_or_default(),
        })
    });
    Ok(told.collect())
}

/// Ends what is told of one topic; with its last topic the subscription is deleted.
pub(in super::super) async fn unsubscribe(api: &Api, subscription: &Subscription) -> Result<(), CallError> {
    let path = path(&subscription.id);
    let answer = answer(api, Method::GET, &path, None).await?;
    if answer.status.as_u16() == 404 {
        return Ok(());
    }
    let One { subscription: hook } = errors::told(&answer)?;
    let others: Vec<&str> = hook.topics().filter(|topic| *topic != subscription.topic).collect();
    if !others.is_empty() {
        return change(api, &hook.id, &json!({ "event_types": others })).await;
    }
    let answer = self::answer(api, Method::DELETE, &path, None).await?;
    if answer.is_success() || answer.status.as_u16() == 404 {
        return Ok(());
    }
    Err(errors::refusal(&answer))
}

/// All of them, those that are switched off among them: Square does that to addresses that keep failing.
async fn list(api: &Api) -> Result<Vec<Hook>, CallError> {
    let mut hooks = Vec::new();
    let mut next = String::new();
    for _ in 0..PAGES_MAX {
        let page: Page =
            sent(api, Method::GET, &format!("{PATH}?include_disabled=true&limit=100{next}"), None).await?;
        hooks.extend(page.subscriptions.unwrap_or_default());
        let Some(cursor) = read::filled(page.cursor) else { return Ok(hooks) };
        next = format!("&cursor={}", read::escaped(&cursor));
    }
    Err(CallError::failed("Square's list of subscriptions has no last page"))
}

async fn sent<T: serde::de::DeserializeOwned>(
    api: &Api,
    method: Method,
    target: &str,
    body: Option<&Value>,
) -> Result<T, CallError> {
    errors::told(&answer(api, method, target, body).await?)
}

async fn answer(api: &Api, method: Method, target: &str, body: Option<&Value>) -> Result<Answer, CallError> {
    let reads = method == Method::GET;
    let call = call(api, method, target, body)?;
    let answer = if reads { api.read(call).await } else { api.write(call).await };
    answer.map_err(advised)
}

fn advised(error: CallError) -> CallError {
    match error {
        CallError::NeedsPerson { why } => CallError::person(format!(
            "{why}; Square's webhooks are asked for with the application's personal access token, or entered in its \
             Developer Console"
        )),
        other => other,
    }
}
