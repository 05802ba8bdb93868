//! Webhook subscriptions: asking the shop to tell us, and asking what it tells.
//!
//! A shop drops a subscription whose deliveries keep failing, so both are asked again from time to time.

use serde::Deserialize;
use serde_json::json;

use super::{
    super::super::outbound::{CallError, Subscription},
    Shop,
    call::UserError,
};

/// The subscriptions of one page.
const PAGE: usize = 50;

/// The most pages that are read; the platform allows far fewer subscriptions.
pub(super) const PAGES_MAX: usize = 40;

/// What a connection listens to: `products/update` and the like, as GraphQL spells them.
pub(super) const TOPICS: [&str; 7] = [
    "PRODUCTS_CREATE",
    "PRODUCTS_UPDATE",
    "PRODUCTS_DELETE",
    "INVENTORY_LEVELS_UPDATE",
    "ORDERS_CREATE",
    "ORDERS_PAID",
    "ORDERS_CANCELLED",
];

const UNSUBSCRIBE: &str = "mutation OnhandUnsubscribe($id: ID!) {
    webhookSubscriptionDelete(id: $id) {
        userErrors { field message }
    }
}";

const SUBSCRIBE: &str = "mutation OnhandSubscribe($topic: WebhookSubscriptionTopic!, $uri: String!) {
    webhookSubscriptionCreate(topic: $topic, webhookSubscription: {uri: $uri, format: JSON}) {
        webhookSubscription { id }
        userErrors { field message }
    }
}";

const LIST: &str = "query OnhandSubscriptions($first: Int!, $after: String) {
    webhookSubscriptions(first: $first, after: $after) {
        nodes { id topic uri }
        pageInfo { hasNextPage endCursor }
    }
}";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscribed {
    webhook_subscription_create: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unsubscribed {
    webhook_subscription_delete: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    webhook_subscriptions: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    nodes: Vec<Node>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    topic: String,
    uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl Shop<'_> {
    /// Subscribes an address to everything of use; what it is subscribed to already is fine.
    pub(in super::super) async fn subscribe(&self, uri: &str) -> Result<(), CallError> {
        for topic in TOPICS {
            self.subscribe_to(topic, uri).await?;
        }
        Ok(())
    }

    async fn subscribe_to(&self, topic: &str, uri: &str) -> Result<(), CallError> {
        let subscribed: Subscribed = self.call(SUBSCRIBE, json!({"topic": topic, "uri": uri}), 11).await?;
        let Some(error) = subscribed.webhook_subscription_create.user_errors.first() else { return Ok(()) };
        // The refusal has no code that would tell a known address from a bad one.
        let known = self.subscriptions().await?;
        if known.iter().any(|it| it.topic == topic && it.address == uri) {
            return Ok(());
        }
        Err(error.meaning())
    }

    /// What the shop tells whom; topics in the API's spelling. A list that is cut off is none: what it lacks would be
    /// taken for what is not asked for.
    pub(in super::super) async fn subscriptions(&self) -> Result<Vec<Subscription>, CallError> {
        let mut known = Vec::new();
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let variables = json!({"first": PAGE, "after": after});
            let page = self.call::<List>(LIST, variables, PAGE).await?.webhook_subscriptions;
            known.extend(page.nodes.into_iter().map(|node| Subscription {
                id: node.id,
                topic: node.topic,
                address: node.uri,
            }));
            if !page.page_info.has_next_page {
                return Ok(known);
            }
            after = page.page_info.end_cursor;
            if after.is_none() {
                break;
            }
        }
        Err(CallError::failed("the shop's list of webhook subscriptions does not end"))
    }

    /// Ends one. One that is not there is ended already, whatever the shop has against being asked.
    pub(in super::super) async fn unsubscribe(&self, id: &str) -> Result<(), CallError> {
        let ended: Unsubscribed = self.call(UNSUBSCRIBE, json!({"id": id}), 10).await?;
        match ended.webhook_subscription_delete.user_errors.first() {
            Some(error) if self.subscriptions().await?.iter().any(|it| it.id == id) => Err(error.meaning()),
            _ => Ok(()),
        }
    }
}
