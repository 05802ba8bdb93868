//! Whole products: what is half made, what cannot be joined, what a shop refuses because it has it.

mod theirs;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    http::{Method, StatusCode, Uri},
};
use onhand_domain::{product::Words, values::Sku};
use tokio::net::TcpListener;

use super::{super::call, *};
use crate::platforms::outbound::{Offered, ProductAsk, VariantAsk};

fn variant(sku: &str, size: Option<&str>) -> VariantAsk {
    let attributes: BTreeMap<String, String> =
        size.map(|size| ("size".to_owned(), size.to_owned())).into_iter().collect();
    let sku = Sku::new(sku).expect("a SKU");
    VariantAsk { sku, attributes, price: Some(money("99.90")), there: None, was: None }
}

fn ask(title: &str, variants: Vec<VariantAsk>) -> ProductAsk {
    ProductAsk {
        words: Words { title: title.to_owned(), ..Words::default() },
        told: None,
        taken_off: false,
        variants,
    }
}

impl Place {
    async fn offer(&self, ask: &ProductAsk) -> Result<Offered, CallError> {
        Woocommerce.offer(&self.api, ask, KEY).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let call = call(&self.api, Method::POST, path, Some(&body)).expect("a call");
        self.api.write(call).await.expect("an answer").json().expect("JSON")
    }

    async fn get(&self, path: &str) -> Value {
        let call = call(&self.api, Method::GET, path, None).expect("a call");
        self.api.read(call).await.expect("an answer").json().expect("JSON")
    }
}

#[tokio::test]
async fn a_product_that_is_half_made_is_finished() {
    let place = open().await;
    let ask = ask("Mole", vec![variant("MOLE-41", Some("41")), variant("MOLE-42", Some("42"))]);
    let attributes = json!([{ "name": "Size", "variation": true, "visible": true, "options": ["41"] }]);
    let half =
        json!({ "name": "Mole", "type": "variable", "slug": ask.page_name(), "attributes": attributes });
    let half = place.post("products", half).await["id"].to_string();
    let offered = place.offer(&ask).await.expect("it is offered");
    assert!(offered.handles.iter().all(|handle| handle.product.as_str() == half), "{half}: {offered:?}");
    let product = place.get(&format!("products/{half}")).await;
    assert_eq!(product["attributes"][0]["options"], json!(["41", "42"]));
    assert_eq!(product["variations"].as_array().map(Vec::len), Some(2));
    assert_eq!(place.shown("MOLE-41"), (0, 9_990));
}

#[tokio::test]
async fn what_is_sold_as_it_is_cannot_be_joined() {
    let place = open().await;
    let alone = place.offer(&ask("Mole", vec![variant("MOLE", None)])).await.expect("it is offered");
    assert_eq!(alone.handles[0].product, alone.handles[0].variant);
    let refused =
        place.offer(&ask("Mole", vec![variant("MOLE", None), variant("MOLE-42", Some("42"))])).await;
    assert!(matches!(&refused, Err(CallError::Never { why }) if why.contains("MOLE-42")), "{refused:?}");
    assert_eq!(place.stand.goods().len(), 1);
}

#[tokio::test]
async fn variants_that_nothing_else_sets_apart_have_their_skus() {
    let place = open().await;
    let ask = ask("Mole", vec![variant("MOLE-A", None), variant("MOLE-B", None)]);
    let offered = place.offer(&ask).await.expect("it is offered");
    let path = format!("products/{}/variations?per_page=100", offered.handles[0].product);
    let variations = place.get(&path).await;
    let option =
        |at: usize| variations[at]["attributes"][0]["option"].as_str().map(str::trim).map(str::to_owned);
    assert_eq!([option(1), option(0)], ["MOLE-A", "MOLE-B"].map(|sku| Some(sku.to_owned())));
    assert_eq!(place.offer(&ask).await, Ok(offered));
}

/// A shop that says of a SKU that it has it, and shows it to searches after so many.
async fn refusing(after: usize) -> Api {
    let searched = Arc::new(AtomicUsize::new(0));
    let answer = move |method: Method, uri: Uri| async move {
        let found = json!([{ "id": 7, "type": "simple", "sku": "MOLE" }]);
        match (method, uri.query()) {
            (Method::GET, Some(query)) if query.contains("sku=MOLE") => {
                let shows = searched.fetch_add(1, Ordering::AcqRel) >= after;
                (StatusCode::OK, Json(if shows { found } else { json!([]) }))
            }
            _ => {
                let refused =
                    json!({ "code": "product_invalid_sku", "message": "Taken", "data": { "status": 400 } });
                (StatusCode::BAD_REQUEST, Json(refused))
            }
        }
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("what listens has an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let place = open().await;
    let mut account = place.api.account().clone();
    account.endpoint = format!("http://{address}");
    account.details.endpoint = Some(account.endpoint.clone());
    Api::new(http_client().expect("a client"), Clock::default(), account, None)
}

#[tokio::test]
async fn a_sku_that_another_attempt_has_just_taken_is_waited_for() {
    let asked = ask("Mole", vec![variant("MOLE", None)]);
    let offered = Woocommerce.offer(&refusing(1).await, &asked, KEY).await;
    assert!(matches!(offered, Err(CallError::Again { counts: false, .. })), "{offered:?}");
    let offered = Woocommerce.offer(&refusing(99).await, &asked, KEY).await;
    assert!(matches!(&offered, Err(CallError::Never { why }) if why.contains("Taken")), "{offered:?}");
}
