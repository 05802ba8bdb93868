//! Whole products: what is half made, what cannot be joined, names that are there, categories that are the merchant's.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use onhand_domain::{product::Words, values::Sku};

use super::{super::call, *};
use crate::platforms::outbound::{Offered, ProductAsk, VariantAsk};

fn variant(sku: &str, size: Option<&str>) -> VariantAsk {
    let attributes: BTreeMap<String, String> =
        size.map(|size| ("size".to_owned(), size.to_owned())).into_iter().collect();
    let sku = Sku::new(sku).expect("a SKU");
    VariantAsk { sku, attributes, price: Some(money("99.90")), there: None }
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

#[tokio::test]
async fn names_that_are_there_are_used_and_the_merchants_categories_stay() {
    let place = open().await;
    let made = place.post("products/tags/batch", json!({ "create": [{ "name": "Low" }] })).await;
    let tag = &made["create"][0]["id"];
    let mut ask = ask("Mole", vec![variant("MOLE", None)]);
    ask.words.category = Some("Shoes".to_owned());
    ask.words.tags = BTreeSet::from(["low".to_owned(), "sand".to_owned()]);
    let offered = place.offer(&ask).await.expect("it is offered");
    assert_eq!(offered.words.category.as_deref(), Some("Shoes"));
    let path = format!("products/{}", offered.handles[0].product);
    let product = place.get(&path).await;
    assert!(
        product["tags"].as_array().is_some_and(|tags| tags.iter().any(|it| it["id"] == *tag)),
        "{product}"
    );
    ask.variants[0].there = offered.handles.first().cloned();
    (ask.words.category, ask.words.title) = (None, "Mole II".to_owned());
    let said = Woocommerce.describe(&place.api, &ask, KEY).await.expect("it is described");
    assert_eq!((said.title.as_str(), said.category.as_deref()), ("Mole II", Some("Shoes")));
}
