//! Answers that the stand-in does not give: each test says itself what the shop says.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Barrier};

use super::{super::subscriptions::PAGES_MAX, *};
use crate::platforms::outbound::CALLS_AT_ONCE;

/// A shop that answers as it is told, and what it was asked.
struct Scripted {
    api: Api,
    asked: Arc<Mutex<Vec<Value>>>,
}

/// Opens a shop that answers as soon as so many ask at the same time, and not before.
async fn open<A>(together: usize, answer: A) -> Scripted
where
    A: Fn(&Value) -> Value + Clone + Send + Sync + 'static,
{
    let (asked, barrier) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::new(Barrier::new(together)));
    let kept = Arc::clone(&asked);
    let hear = move |Json(request): Json<Value>| async move {
        barrier.wait().await;
        let said = answer(&request);
        kept.lock().expect("nobody panics with it").push(request);
        Json(said)
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("what listens has an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(hear)).await });
    let api = api(&format!("http://{address}"), "2026-04", Duration::from_secs(5), "token");
    Scripted { api, asked }
}

impl Scripted {
    fn shop(&self) -> Shop<'_> {
        Shop::new(&self.api)
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

fn price(product: u64, variant: u64, price: &str) -> PriceAsk {
    let usd = Currency::new("USD").expect("a currency");
    let handle = Handle { product: product.into(), ..handle(variant, variant) };
    PriceAsk { handle, price: Money::parse(price, usd).expect("an amount") }
}

#[tokio::test]
async fn a_refusal_of_the_whole_call_says_by_its_code_what_to_do() {
    let refused = async |code: &'static str| {
        let answer =
            move |_: &Value| json!({ "errors": [{ "message": "No", "extensions": { "code": code } }] });
        let shop = open(1, answer).await;
        let ask = QuantityAsk { handle: handle(1, 2), quantity: 9, believed: Some(5) };
        let mut outcomes = shop.shop().set_quantities(&[ask], KEY).await;
        let Some(Outcome::Failed(error)) = outcomes.pop() else { panic!("{code} is no success") };
        error
    };
    for code in [
        "undefinedField",
        "undefinedType",
        "INVALID_VARIABLE",
        "INVALID_FIELD_ARGUMENTS",
        "BAD_REQUEST",
        "argumentNotAccepted",
        "argumentLiteralsIncompatible",
        "missingRequiredArguments",
        "selectionMismatch",
    ] {
        let error = refused(code).await;
        let told = matches!(&error, CallError::NeedsPerson { why } if why.contains("API version"));
        assert!(told, "{code}: {error:?}");
    }
    for code in ["ACCESS_DENIED", "SHOP_INACTIVE"] {
        let error = refused(code).await;
        assert!(matches!(error, CallError::NeedsPerson { .. }), "{code}: {error:?}");
    }
    for code in ["MAX_COST_EXCEEDED", "INTERNAL_SERVER_ERROR", "TIMEOUT", "SOMETHING_NEW", ""] {
        let error = refused(code).await;
        assert!(error.is_failure(), "{code}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_called_stale_though_it_is_shown_has_failed_after_another_try() {
    let error = json!({ "field": null, "message": "Stale", "code": "COMPARE_QUANTITY_STALE" });
    let level = json!({ "quantities": [{ "name": "available", "quantity": 5 }] });
    let node = json!({ "id": "gid://shopify/InventoryItem/2", "inventoryLevel": level });
    let answer = move |request: &Value| match &request["variables"]["key"] {
        Value::Null => json!({ "data": { "nodes": [node] } }),
        _ => json!({ "data": { "inventorySetQuantities": { "userErrors": [error] } } }),
    };
    let shop = open(1, answer).await;
    let ask = QuantityAsk { handle: handle(1, 2), quantity: 9, believed: Some(5) };
    let outcomes = shop.shop().set_quantities(&[ask], KEY).await;
    assert!(matches!(&outcomes[..], [Outcome::Failed(error)] if error.is_failure()), "{outcomes:?}");
    let asked = shop.asked();
    let keys: Vec<_> = asked.iter().map(|it| &it["variables"]["key"]).collect();
    assert_eq!(keys.len(), 4, "set, looked up, set again, looked up again");
    assert!(keys[0].is_string() && keys[2].is_string() && keys[0] != keys[2], "{keys:?}");
    assert_eq!(asked[0]["variables"]["input"], asked[2]["variables"]["input"]);
}

#[tokio::test]
async fn a_price_is_shown_only_where_the_answer_says_so() {
    let answered = async |variants: Value| {
        let payload = json!({ "productVariants": variants, "userErrors": [] });
        let answer = move |_: &Value| json!({ "data": { "productVariantsBulkUpdate": payload } });
        let shop = open(1, answer).await;
        let mut outcomes = shop.shop().set_prices(&[price(1, 2, "99.90")]).await;
        outcomes.pop().expect("an outcome for each ask")
    };
    let variant = |id: u64, price: &str| {
        let id = format!("gid://shopify/ProductVariant/{id}");
        json!([{ "id": id, "price": price }])
    };
    let shown = |text: &str| price(1, 2, text).price;
    assert_eq!(answered(variant(2, "99.9")).await, Outcome::Shown(shown("99.90")));
    assert_eq!(answered(variant(2, "120.00")).await, Outcome::Stale { observed: shown("120") });
    let no_price = json!([{ "id": "gid://shopify/ProductVariant/2" }]);
    for other in [variant(3, "99.90"), variant(2, "a lot"), no_price, json!([]), json!(null)] {
        let outcome = answered(other.clone()).await;
        assert!(matches!(&outcome, Outcome::Failed(error) if error.is_failure()), "{other}: {outcome:?}");
    }
}

#[tokio::test]
async fn prices_of_several_products_go_at_the_same_time_and_are_answered_in_order() {
    let answer = |request: &Value| {
        let payload = json!({ "productVariants": request["variables"]["variants"], "userErrors": [] });
        json!({ "data": { "productVariantsBulkUpdate": payload } })
    };
    let shop = open(CALLS_AT_ONCE, answer).await;
    let products = 2 * CALLS_AT_ONCE as u64;
    // No two of a product beside each other.
    let mut asks: Vec<_> = (0..2 * products)
        .map(|number| price(1 + number % products, 100 + number, &number.to_string()))
        .collect();
    asks.insert(3, price(0, 7, "7"));
    let outcomes = shop.shop().set_prices(&asks).await;
    let refused = |outcome: &Outcome<Money>| matches!(outcome, Outcome::Failed(CallError::Never { .. }));
    for (at, (ask, outcome)) in asks.iter().zip(&outcomes).enumerate() {
        assert!(
            if at == 3 { refused(outcome) } else { *outcome == Outcome::Shown(ask.price) },
            "{outcomes:?}"
        );
    }
    assert_eq!((outcomes.len(), shop.asked().len() as u64), (asks.len(), products));
}

#[tokio::test]
async fn a_list_of_subscriptions_that_is_cut_off_is_none() {
    let answered = async |info: Value| {
        let id = "gid://shopify/WebhookSubscription/7";
        let node = json!({ "id": id, "topic": TOPICS[0], "uri": "https://onhand.example" });
        let page = json!({ "nodes": [node], "pageInfo": info });
        let shop = open(1, move |_: &Value| json!({ "data": { "webhookSubscriptions": page } })).await;
        (shop.shop().subscriptions().await, shop.asked().len())
    };
    let is_failure = |listed: &Result<Vec<_>, CallError>| listed.as_ref().is_err_and(CallError::is_failure);
    let (listed, calls) = answered(json!({ "hasNextPage": true, "endCursor": "next" })).await;
    assert!(is_failure(&listed) && calls == PAGES_MAX, "{calls}: {listed:?}");
    let (listed, calls) = answered(json!({ "hasNextPage": true, "endCursor": null })).await;
    assert!(is_failure(&listed) && calls == 1, "{calls}: {listed:?}");
    let (listed, calls) = answered(json!({ "hasNextPage": false, "endCursor": "next" })).await;
    assert_eq!((listed.map(|listed| listed.len()), calls), (Ok(1), 1));
}
