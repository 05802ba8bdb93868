//! Webhooks asked for, listed and ended: for each event of a shop there is one address, and no id.
//!
//! They are signed with the app secret, so no secret is agreed upon.

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::super::{
        outbound::{Api, CallError, Subscription},
        read,
    },
    call,
};

/// Where webhooks are registered (`GET`, `PUT` and `DELETE /event/202309/webhooks`).
const PATH: &str = "/event/202309/webhooks";

/// The events the inbound side has a use for, as far as the API is known to take their names. Those of inventories are
/// chosen in the Partner Center.
const EVENTS: [&str; 6] = [
    "ORDER_STATUS_CHANGE",
    "CANCELLATION_STATUS_CHANGE",
    "PRODUCT_STATUS_CHANGE",
    "PRODUCT_INFORMATION_CHANGE",
    "PRODUCT_CREATION",
    "PRODUCT_AUDIT_STATUS_CHANGE",
];

#[derive(Deserialize)]
struct List {
    webhooks: Option<Vec<Webhook>>,
}

#[derive(Deserialize)]
struct Webhook {
    event_type: String,
    address: String,
}

/// Has an address told of the events. An event has one address, and one that has another already is not taken from whoever
/// entered that; the other events are asked for all the same.
pub(in super::super) async fn subscribe(api: &Api, address: &str) -> Result<(), CallError> {
    let known = subscriptions(api).await?;
    let mut elsewhere = None;
    for event in EVENTS {
        let addresses = known.iter().filter(|it| it.topic == event).map(|it| it.address.as_str());
        let addresses: Vec<&str> = addresses.collect();
        match addresses.first() {
            None => change(api, Method::PUT, json!({ "address": address, "event_type": event })).await?,
            Some(_) if addresses.contains(&address) => {}
            Some(there) => elsewhere = Some(*there),
        }
    }
    elsewhere.map_or(Ok(()), |there| {
        let there = read::word(there);
        Err(CallError::person(format!("its webhooks go to {there}; end that first, or enter ours by hand")))
    })
}

/// What the shop tells whom.
pub(in super::super) async fn subscriptions(api: &Api) -> Result<Vec<Subscription>, CallError> {
    let answer = api.read(call::signed(api, Method::GET, PATH, None)?).await?;
    let list: List = serde_json::from_value(call::data(&answer)?)
        .map_err(|_| CallError::failed("the platform's list of webhooks makes no sense"))?;
    let webhooks = list.webhooks.unwrap_or_default().into_iter();
    Ok(webhooks
        .map(|it| Subscription { id: it.event_type.clone(), topic: it.event_type, address: it.address })
        .collect())
}

/// Ends a subscription, unless the event has another address by now, which is somebody else's.
pub(in super::super) async fn unsubscribe(api: &Api, subscription: &Subscription) -> Result<(), CallError> {
    let Subscription { topic, address, .. } = subscription;
    let known = subscriptions(api).await?;
    if !known.iter().any(|it| it.topic == *topic && it.address == *address) {
        return Ok(());
    }
    change(api, Method::DELETE, json!({ "event_type": topic })).await
}

async fn change(api: &Api, method: Method, body: Value) -> Result<(), CallError> {
    let answer = api.write(call::signed(api, method, PATH, Some(body))?).await?;
    call::data(&answer).map(|_| ())
}
