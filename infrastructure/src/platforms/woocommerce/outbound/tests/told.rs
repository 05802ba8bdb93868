//! Being told by a shop: what is asked for, once for each topic, and what it is signed with.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode},
};
use tokio::net::TcpListener;

use super::{
    super::{call, webhooks::PAGES_MAX},
    *,
};
use crate::platforms::{adapter::Inbound, outbound::Subscription};

const ADDRESS: &str = "https://onhand.example/v1/webhooks/1";

type Heard = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// An address that keeps what it is told.
async fn listener() -> (String, Heard) {
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    let hear = move |headers: HeaderMap, body: Bytes| async move {
        kept.lock().expect("nobody panics with it").push((headers, body));
        StatusCode::OK
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("what listens has an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(hear)).await });
    (format!("http://{address}/webhooks"), heard)
}

impl Place {
    async fn subscribe(&self, address: &str, secret: &Secret) -> Result<Option<Secret>, CallError> {
        Woocommerce.subscribe(&self.api, address, Some(secret)).await
    }

    async fn told(&self) -> Vec<Subscription> {
        Woocommerce.subscriptions(&self.api).await.expect("a list")
    }
}

fn topics(told: &[Subscription]) -> BTreeSet<&str> {
    told.iter().map(|it| it.topic.as_str()).collect()
}

#[tokio::test]
async fn who_subscribes_again_is_told_once() {
    let place = open().await;
    let secret = Secret::new("signs");
    for _ in 0..2 {
        assert_eq!(place.subscribe(ADDRESS, &secret).await, Ok(None));
    }
    let told = place.told().await;
    let known: BTreeSet<&str> = Woocommerce.topics().iter().copied().collect();
    assert_eq!((topics(&told), told.len()), (known.clone(), known.len()));
    assert!(told.iter().all(|it| it.address == ADDRESS));
    for subscription in told.iter().chain(&told) {
        assert_eq!(Woocommerce.unsubscribe(&place.api, subscription).await, Ok(()));
    }
    assert!(place.told().await.is_empty());
    let unsigned = Woocommerce.subscribe(&place.api, ADDRESS, None).await;
    assert!(matches!(unsigned, Err(CallError::NeedsPerson { .. })), "{unsigned:?}");
}

#[tokio::test]
async fn a_secret_that_is_changed_reaches_the_shop() {
    let place = open().await;
    let (address, heard) = listener().await;
    place.seed("Runner", &["RUN-42"]);
    let secrets = ["before", "after"].map(Secret::new);
    for secret in &secrets {
        assert_eq!(place.subscribe(&address, secret).await, Ok(None));
    }
    assert!(place.stand.edit_quantity("RUN-42", 2));
    place.stand.webhooks_idle().await;
    let heard = heard.lock().expect("nobody panics with it");
    let [(headers, body)] = &heard[..] else { panic!("{heard:?}") };
    let signed = secrets.each_ref().map(|secret| {
        let (details, secrets) = (place.api.details(), std::slice::from_ref(secret));
        let now = Clock::default().now();
        let request = Inbound { headers, body: &body[..], url: &address, now, details, secrets };
        Woocommerce.verify(&request).is_ok()
    });
    assert_eq!(signed, [false, true]);
}

#[tokio::test]
async fn of_several_webhooks_for_one_topic_one_is_left() {
    let place = open().await;
    let elsewhere = "https://elsewhere.example/";
    for address in [ADDRESS, elsewhere, ADDRESS, ADDRESS] {
        let wanted = json!({ "topic": "order.created", "delivery_url": address, "secret": "by hand" });
        let call = call(&place.api, Method::POST, "webhooks", Some(&wanted)).expect("a call");
        assert!(place.api.write(call).await.is_ok_and(|answer| answer.is_success()));
    }
    assert_eq!(place.told().await.len(), 4);
    assert_eq!(place.subscribe(ADDRESS, &Secret::new("signs")).await, Ok(None));
    let (others, ours): (Vec<_>, Vec<_>) =
        place.told().await.into_iter().partition(|it| it.address == elsewhere);
    assert_eq!((ours.len(), topics(&ours).len()), (7, 7), "{ours:?}");
    assert_eq!(others.len(), 1, "whoever else is told is left alone");
}

#[tokio::test]
async fn a_list_of_webhooks_that_is_cut_off_is_none() {
    let place = open().await;
    let others = 100 * PAGES_MAX;
    for number in 1..others {
        place.stand.subscribe("order.created", &format!("https://elsewhere.example/{number}"));
    }
    assert_eq!(place.told().await.len(), others - 1);
    place.stand.subscribe("order.created", "https://elsewhere.example/");
    let told = Woocommerce.subscriptions(&place.api).await;
    assert!(told.as_ref().is_err_and(CallError::is_failure), "{:?}", told.map(|told| told.len()));
    let subscribed = place.subscribe(ADDRESS, &Secret::new("signs")).await;
    assert!(subscribed.as_ref().is_err_and(CallError::is_failure), "{subscribed:?}");
    assert_eq!(place.stand.calls().writes, 0);
}
