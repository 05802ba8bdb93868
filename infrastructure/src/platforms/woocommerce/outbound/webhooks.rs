//! Webhooks of a `WooCommerce` shop: asking to be told, and asking what is told.
//!
//! After five failed deliveries a shop disables a webhook and leaves it in its list, and it shows to nobody what a
//! webhook is signed with. So one that is known is not taken to be fine: it is revived and given its secret again.

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
pub(super) const PAGES_MAX: usize = 20;

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

/// Asks for all that is of use, once: a webhook that is known is written again, so that a secret that was changed
/// reaches the shop, and further ones for the same topic and address are ended. The shop signs with the secret it is
/// given here and tells none.
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
        let mut ours: Vec<&Webhook> = ours.collect();
        ours.sort_by_key(|it| !it.is_active());
        ask(api, topic, address, secret, ours.first().copied()).await?;
        for further in ours.iter().skip(1) {
            end(api, further.id.as_str()).await?;
        }
    }
    Ok(None)
}

/// Asks for one topic: anew, or by writing again the webhook that is known.
async fn ask(
    api: &Api,
    topic: &str,
    address: &str,
    secret: &Secret,
    known: Option<&Webhook>,
) -> Result<(), CallError> {
    let (path, body) = match known {
        Some(known) => (place(known.id.as_str())?, json!({ "status": "active", "secret": secret.reveal() })),
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

/// Ends a webhook.
pub(in super::super) async fn unsubscribe(api: &Api, subscription: &Subscription) -> Result<(), CallError> {
    end(api, &subscription.id).await
}

/// Ends a webhook for good; the shop has no trash for them. One that is not there is ended already.
async fn end(api: &Api, id: &str) -> Result<(), CallError> {
    let path = format!("{}?force=true", place(id)?);
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

/// All there are, whoever made them. A list that is cut off is none: what it lacks would be asked for again.
async fn webhooks(api: &Api) -> Result<Vec<Webhook>, CallError> {
    let mut known = Vec::new();
    for page in 1..=PAGES_MAX {
        let path = format!("webhooks?per_page={PAGE}&page={page}");
        let answer = api.read(call(api, Method::GET, &path, None)?).await?;
        let shown: Vec<Webhook> = understood(&answer)?;
        let more = shown.len() >= PAGE;
        known.extend(shown);
        if !more {
            return Ok(known);
        }
    }
    Err(CallError::failed("the shop has more webhooks than are read; end those that nobody needs"))
}
