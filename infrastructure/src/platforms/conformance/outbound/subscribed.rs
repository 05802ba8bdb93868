//! Being told through webhooks that are asked for through the API.
//!
//! It is asked for anew from time to time, so that to ask again is nothing new.

use std::collections::BTreeSet;

use super::{
    super::{SECRET, URL},
    stand::{OTHER_TOKEN, Stand, stands},
};
use crate::{
    platforms::outbound::{CallError, Subscription},
    secrets::Secret,
};

async fn listed(stand: &Stand) -> Vec<Subscription> {
    let listed = stand.outbound.subscriptions(&stand.api).await;
    listed.unwrap_or_else(|error| panic!("{}: {error}", stand.platform))
}

async fn subscribe_twice(stand: &Stand) {
    let secret = Secret::new(SECRET);
    for _ in 0..2 {
        let subscribed = stand.outbound.subscribe(&stand.api, URL, Some(&secret)).await;
        assert!(subscribed.is_ok(), "{}: {subscribed:?}", stand.platform);
    }
}

#[tokio::test]
async fn who_subscribes_twice_is_told_once() {
    for stand in stands().await {
        let platform = stand.platform;
        assert!(listed(&stand).await.is_empty(), "{platform}");
        if !stand.outbound.subscribes() {
            continue;
        }
        subscribe_twice(&stand).await;
        let listed = listed(&stand).await;
        assert!(!listed.is_empty(), "{platform}");
        assert!(listed.iter().all(|it| it.address == URL), "{platform}: {listed:?}");
        let topics: BTreeSet<_> = listed.iter().map(|it| it.topic.as_str()).collect();
        assert_eq!(topics.len(), listed.len(), "{platform}: {listed:?}");
    }
}

#[tokio::test]
async fn subscriptions_end_one_by_one_and_what_has_ended_may_end_again() {
    for stand in stands().await {
        let (platform, outbound) = (stand.platform, stand.outbound);
        if !outbound.subscribes() {
            continue;
        }
        subscribe_twice(&stand).await;
        let all = listed(&stand).await;
        let mut left = all.clone();
        while let Some(first) = left.first() {
            assert_eq!(outbound.unsubscribe(&stand.api, first).await, Ok(()), "{platform}: {first:?}");
            let now = listed(&stand).await;
            // One that is about several topics ends with all of them.
            assert!(now.len() < left.len() && !now.contains(first), "{platform}: {first:?} of {left:?}");
            left = now;
        }
        for gone in &all {
            assert_eq!(outbound.unsubscribe(&stand.api, gone).await, Ok(()), "{platform}: {gone:?}");
        }
        subscribe_twice(&stand).await;
        assert_eq!(listed(&stand).await.len(), all.len(), "{platform}: as before");
    }
}

#[tokio::test]
async fn who_may_not_ask_is_told_so() {
    for stand in stands().await {
        let (platform, outbound) = (stand.platform, stand.outbound);
        if !outbound.subscribes() {
            continue;
        }
        // Some look at the token, and some at nothing but what our app has signed.
        let api = stand.api_with(|account| {
            account.access_token = Some(Secret::new(OTHER_TOKEN));
            account.app_secret = Some(Secret::new("another secret"));
        });
        let secret = Secret::new(SECRET);
        let asked = [
            outbound.subscribe(&api, URL, Some(&secret)).await.err(),
            outbound.subscriptions(&api).await.err(),
        ];
        for error in asked {
            assert!(matches!(error, Some(CallError::NeedsPerson { .. })), "{platform}: {error:?}");
        }
        assert!(listed(&stand).await.is_empty(), "{platform}");
    }
}
