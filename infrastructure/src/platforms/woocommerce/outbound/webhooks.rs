//! Webhooks of a `WooCommerce` shop: asking to be told, and asking what is told.
//!
//! After five failed deliveries a shop disables a webhook and leaves it in its list, so a disabled one is revived.

use axum::http::{Method, StatusCode};
use onhand_domain::values::ExternalId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::super::outbound::{Api, CallError, Subscription},
    call, refusal, understood,
};
use crate::secrets::Secret;

/// What the inbound side understands. Stock has no topic: it changes with its product.
const TOPICS: [&str; 7] = [
    "order.created",
    "order.restored",
    "order.updated",
    "product.created",
    "product.deleted",
    "product.restored",
    "product.updated",
];
/// Webhooks on one page, which is the most the shop shows.
const PAGE: usize = 100;
/// The most pages that are read.
const PAGES_MAX: usize = 20;

#[derive(Deserialize)]
struct Webhook {
    id: ExternalId,
    status: String,
    topic: String,
    delivery_url: String,
}

impl Webhook {
    fn is_active(&self) -> bool {
        self.status == "active"
    }
}

/// Asks for what is not told already. The shop signs with the secret it is given here and tells none.
pub(in super::super) async fn subscribe(
    api: &Api,
    address: &str,
    secret: Option<&Secret>,
) -> Result<Option<Secret>, CallError> {
    let secret = secret.ok_or_else(|| {
        CallError::person("the connection has no webhook secret for the shop to sign with; enter one")
    })?;
    let known = webhooks(api).await?;
    for topic in TOPICS {
        let ours = known.iter().filter(|it| it.topic == topic && it.delivery_url == address);
        let ours: Vec<&Webhook> = ours.collect();
        if !ours.iter().any(|it| it.is_active()) {
            ask(api, topic, address, secret, ours.first().copied()).await?;
        }
    }
    Ok(None)
}

/// Asks for one topic: anew, or by reviving a webhook that the shop has given up.
async fn ask(
    api: &Api,
    topic: &str,
    address: &str,
    secret: &Secret,
    idle: Option<&Webhook>,
) -> Result<(), CallError> {
    let (path, body) = match idle {
        Some(idle) => (place(idle.id.as_str())?, json!({ "status": "active", "secret": secret.reveal() })),
        None => ("webhooks".to_owned(), wanted(topic, address, secret)),
    };
    let answer = api.write(call(api, Method::POST, &path, Some(&body))?).await?;
    let made: Webhook = understood(&answer)?;
    if made.topic == topic && made.is_active() {
        return Ok(());
    }
    Err(CallError::failed(format!("the shop does not tell of {topic} although it was asked to")))
}

fn wanted(topic: &str, address: &str, secret: &Secret) -> Value {
    json!({
        "name": format!("Onhand {topic}"),
        "topic": topic,
        "delivery_url": address,
        "secret": secret.reveal(),
    })
}

/// What the shop tells whom; webhooks that are paused or disabled tell nobody.
pub(in super::super) async fn subscriptions(api: &Api) -> Result<Vec<Subscription>, CallError> {
    let active = webhooks(api).await?.into_iter().filter(Webhook::is_active);
    let told =
        active.map(|it| Subscription { id: it.id.to_string(), topic: it.topic, address: it.delivery_url });
    Ok(told.collect())
}

/// Ends a webhook for good; the shop has no trash for them.
pub(in super::super) async fn unsubscribe(api: &Api, subscription: &Subscription) -> Result<(), CallError> {
    let path = format!("{}?force=true", place(&subscription.id)?);
    let answer = api.write(call(api, Method::DELETE, &path, None)?).await?;
    if answer.status == StatusCode::NOT_FOUND && refusal::words(&answer).is_some_and(|it| it.is_absence()) {
        return Ok(());
    }
    understood::<Webhook>(&answer).map(|_| ())
}

/// The path of a webhook. The shop counts them.
fn place(id: &str) -> Result<String, CallError> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CallError::never("the id is none of a WooCommerce webhook"));
    }
    Ok(format!("webhooks/{id}"))
}

async fn webhooks(api: &Api) -> Result<Vec<Webhook>, CallError> {
    let mut known = Vec::new();
    for page in 1..=PAGES_MAX {
        let path = format!("webhooks?per_page={PAGE}&page={page}");
        let answer = api.read(call(api, Method::GET, &path, None)?).await?;
        let shown: Vec<Webhook> = understood(&answer)?;
        let more = shown.len() >= PAGE;
        known.extend(shown);
        if !more {
            break;
        }
    }
    Ok(known)
}
