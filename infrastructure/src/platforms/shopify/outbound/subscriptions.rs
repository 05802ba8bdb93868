//! Webhook subscriptions: asking the shop to tell us, and asking what it tells.
//!
//! A shop drops a subscription whose deliveries keep failing, so both are asked again from time to time.

use serde::Deserialize;
use serde_json::json;

use super::{
    Shop,
    call::{CallError, UserError},
};

/// The subscriptions of one page.
const PAGE: usize = 50;

/// The most pages that are read; the platform allows far fewer subscriptions.
const PAGES_MAX: usize = 40;

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

/// A topic as GraphQL spells it: `ORDERS_CREATE` for `orders/create`.
fn constant(topic: &str) -> String {
    topic.replace('/', "_").to_uppercase()
}

impl Shop {
    /// Subscribes an address to a topic such as `orders/create`; that it is subscribed already is fine.
    pub async fn subscribe(&self, topic: &str, uri: &str) -> Result<(), CallError> {
        let topic = constant(topic);
        let variables = json!({"topic": topic, "uri": uri});
        let subscribed: Subscribed = self.call(SUBSCRIBE, variables, 11).await?;
        let Some(error) = subscribed.webhook_subscription_create.user_errors.first() else { return Ok(()) };
        // The refusal has no code that would tell a known address from a bad one.
        let known = self.subscriptions().await?;
        if known.iter().any(|(its_topic, its_uri, _)| *its_topic == topic && its_uri == uri) {
            return Ok(());
        }
        Err(error.meaning())
    }

    /// What the shop tells whom: topic (`ORDERS_CREATE`), address, and the subscription's id.
    pub async fn subscriptions(&self) -> Result<Vec<(String, String, String)>, CallError> {
        let mut known = Vec::new();
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let variables = json!({"first": PAGE, "after": after});
            let page = self.call::<List>(LIST, variables, PAGE).await?.webhook_subscriptions;
            known.extend(page.nodes.into_iter().map(|node| (node.topic, node.uri, node.id)));
            after = page.page_info.end_cursor.filter(|_| page.page_info.has_next_page);
            if after.is_none() {
                break;
            }
        }
        Ok(known)
    }
}
