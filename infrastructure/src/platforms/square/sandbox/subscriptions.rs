//! Webhook subscriptions: several topics for one address, signed with a key that Square chooses.
//!
//! The shop keeps one entry for each topic; those of one subscription share its id and its key. A topic that is switched off
//! is kept under another name, by which nobody is told.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::super::sandbox::{Reply, Request, Shop},
    missing, page, refused, texts,
};

/// What can be asked for here; somebody who has entered an address for everything is told of these.
const TOPICS: [&str; 5] = [
    "catalog.version.updated",
    "inventory.count.updated",
    "order.created",
    "order.fulfillment.updated",
    "order.updated",
];

/// What is put before the topics of a subscription that is switched off.
const OFF: &str = "off/";

/// Subscriptions of one page at most. [src: square/square-ruby-sdk doc/api/webhook-subscriptions.md]
const PAGE: usize = 100;

/// `GET /v2/webhooks/subscriptions`. The keys are not told here.
pub(super) fn list(shop: &Shop, request: &Request) -> Reply {
    let query = request.query();
    let all = query.get("include_disabled").is_some_and(|all| all == "true");
    let mut found: Vec<Value> = Vec::new();
    for entry in &shop.subscriptions {
        let known = found.iter().any(|hook| hook["id"] == entry.id.as_str());
        let hook = written(shop, &entry.id).filter(|hook| !known && (all || hook["enabled"] == true));
        found.extend(hook);
    }
    for hook in &mut found {
        if let Some(hook) = hook.as_object_mut() {
            hook.remove("signature_key");
        }
    }
    let most = query.get("limit").and_then(|most| most.parse().ok()).unwrap_or(PAGE);
    let (hooks, cursor) = page(found, &json!({ "cursor": query.get("cursor") }), most.clamp(1, PAGE));
    let mut answer = json!({});
    if !hooks.is_empty() {
        answer["subscriptions"] = hooks.into();
    }
    if let Some(cursor) = cursor {
        answer["cursor"] = cursor.into();
    }
    Reply::ok(answer)
}

/// `GET /v2/webhooks/subscriptions/{id}`.
pub(super) fn one(shop: &Shop, id: &str) -> Reply {
    match written(shop, id) {
        Some(hook) => Reply::ok(json!({ "subscription": hook })),
        None => missing("There is no such subscription."),
    }
}

/// `POST /v2/webhooks/subscriptions`. The same address twice is told twice.
pub(super) fn create(shop: &mut Shop, body: &Value) -> Reply {
    let asked = &body["subscription"];
    let Some(address) = asked["notification_url"].as_str().filter(|address| !address.is_empty()) else {
        let field = Some("subscription.notification_url".to_owned());
        return refused("MISSING_REQUIRED_PARAMETER", "It takes an address.", field);
    };
    let topics = texts(&asked["event_types"]);
    if let Some(refusal) = unknown(&topics) {
        return refusal;
    }
    let id = format!("wbhk_{}", shop.number());
    let key = Sha256::digest(format!("{}/{id}", shop.settings.app_secret));
    let key = URL_SAFE_NO_PAD.encode(key)[..22].to_owned();
    write(shop, &id, address, Some(&key), (&topics[..], asked["enabled"] != false));
    one(shop, &id)
}

/// `PUT /v2/webhooks/subscriptions/{id}`: what is not sent stays. The key stays.
pub(super) fn update(shop: &mut Shop, id: &str, body: &Value) -> Reply {
    let Some(before) = written(shop, id) else { return missing("There is no such subscription.") };
    let after = |name: &str| body["subscription"].get(name).unwrap_or(&before[name]);
    let topics = texts(after("event_types"));
    if let Some(refusal) = unknown(&topics) {
        return refusal;
    }
    let address = after("notification_url").as_str().unwrap_or_default();
    let secret = shop.subscriptions.iter().find(|it| it.id == id).and_then(|it| it.secret.clone());
    shop.unsubscribe(id);
    write(shop, id, address, secret.as_deref(), (&topics[..], after("enabled") != false));
    one(shop, id)
}

/// `DELETE /v2/webhooks/subscriptions/{id}`.
pub(super) fn delete(shop: &mut Shop, id: &str) -> Reply {
    if shop.unsubscribe(id) { Reply::ok(json!({})) } else { missing("There is no such subscription.") }
}

fn unknown(topics: &[&str]) -> Option<Reply> {
    let fine = !topics.is_empty() && topics.iter().all(|topic| TOPICS.contains(topic));
    let field = Some("subscription.event_types".to_owned());
    (!fine).then(|| refused("INVALID_VALUE", "There is no such event type.", field))
}

fn write(shop: &mut Shop, id: &str, address: &str, secret: Option<&str>, (topics, on): (&[&str], bool)) {
    for topic in topics {
        // The shop gives each entry an id of its own; here all of them are one subscription.
        let own = shop.subscribe(&format!("{id}/{topic}"), address, secret);
        if let Some(entry) = shop.subscriptions.iter_mut().find(|entry| entry.id == own) {
            id.clone_into(&mut entry.id);
            entry.topic = if on { (*topic).to_owned() } else { format!("{OFF}{topic}") };
        }
    }
}

fn written(shop: &Shop, id: &str) -> Option<Value> {
    let entries = || shop.subscriptions.iter().filter(move |entry| entry.id == id);
    let first = entries().next()?;
    let topics = entries().flat_map(|entry| match entry.topic.as_str() {
        "*" => TOPICS.to_vec(),
        topic => vec![topic.strip_prefix(OFF).unwrap_or(topic)],
    });
    Some(json!({
        "id": id,
        "name": "Webhooks",
        "enabled": !first.topic.starts_with(OFF),
        "event_types": topics.collect::<Vec<_>>(),
        "notification_url": first.address,
        "api_version": "2025-08-20",
        "signature_key": first.secret.as_ref().unwrap_or(&shop.settings.webhook_secret),
    }))
}
