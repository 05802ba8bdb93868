//! Whole products, where the shop's search lags behind, a name is taken, and a product is sold as it is.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Json, Router};
use onhand_domain::{product::Words, values::Sku};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::platforms::outbound::{Offered, ProductAsk, VariantAsk};

fn variant(sku: &str, attributes: &[(&str, &str)]) -> VariantAsk {
    let attributes: BTreeMap<String, String> =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let usd = Currency::new("USD").expect("a currency");
    VariantAsk {
        sku: Sku::new(sku).expect("a SKU"),
        attributes,
        price: Some(Money::parse("99.90", usd).expect("an amount")),
        there: None,
    }
}

fn ask(variants: Vec<VariantAsk>) -> ProductAsk {
    let tags = BTreeSet::from(["sand".to_owned(), "low, wide".to_owned()]);
    ProductAsk {
        words: Words { title: "Mole".to_owned(), tags, ..Words::default() },
        told: None,
        taken_off: false,
        variants,
    }
}

/// A shop that answers each document by what is asked in it.
async fn scripted(answer: impl Fn(&str) -> Value + Clone + Send + Sync + 'static) -> Api {
    let hear = move |Json(request): Json<Value>| async move {
        let query = request["query"].as_str().unwrap_or_default();
        Json(json!({ "data": answer(query) }))
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("what listens has an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(hear)).await });
    api(&format!("http://{address}"), "2026-04", Duration::from_secs(5), "token")
}

/// Of a product with one variant whose making is refused because its name is taken.
fn taken(sku: &'static str) -> impl Fn(&str) -> Value + Clone + Send + Sync + 'static {
    let product = json!({
        "id": "gid://shopify/Product/1", "title": "Mole", "vendor": "Quay", "productType": "", "tags": [],
        "status": "ACTIVE", "options": [{ "name": "Size" }], "resourcePublicationsCount": { "count": 1 },
    });
    let variant = json!({
        "id": "gid://shopify/ProductVariant/2", "sku": sku, "product": product,
        "inventoryItem": { "id": "gid://shopify/InventoryItem/3" },
    });
    move |query: &str| {
        let error = json!({ "field": ["input"], "message": "Taken", "code": "HANDLE_NOT_UNIQUE" });
        match query.split_whitespace().nth(1).unwrap_or_default() {
            name if name.starts_with("OnhandFindVariants") => json!({
                "productVariants": { "nodes": [] }, "nodes": [], "publications": { "nodes": [] },
            }),
            name if name.starts_with("OnhandMakeProduct") => {
                json!({ "productSet": { "product": null, "userErrors": [error] } })
            }
            name if name.starts_with("OnhandFindProduct") => {
                json!({ "productByIdentifier": { "variants": { "nodes": [variant] } } })
            }
            other => panic!("{other} is not asked"),
        }
    }
}

#[tokio::test]
async fn what_was_made_and_is_not_searchable_yet_is_found_by_the_name_of_its_page() {
    let api = scripted(taken("MOLE-41")).await;
    let offered = Shop::new(&api).offer(&ask(vec![variant("MOLE-41", &[("size", "41")])])).await;
    let Ok(Offered { handles, words }) = offered else { panic!("{offered:?}") };
    let known = Handle { product: 1.into(), ..handle(2, 3) };
    assert_eq!((handles, words.title.as_str()), (vec![known], "Mole"));
}

#[tokio::test]
async fn a_product_of_another_kind_under_that_name_is_left_alone() {
    let api = scripted(taken("KELP-1")).await;
    let offered = Shop::new(&api).offer(&ask(vec![variant("MOLE-41", &[("size", "41")])])).await;
    assert!(matches!(&offered, Err(CallError::Never { why }) if why.contains("Taken")), "{offered:?}");
}

#[tokio::test]
async fn what_is_sold_as_it_is_stays_when_a_variant_joins_it() {
    let place = open().await;
    let alone = place.shop().offer(&ask(vec![variant("MOLE", &[])])).await.expect("it is offered");
    let mut both = ask(vec![variant("MOLE", &[]), variant("MOLE-XL", &[])]);
    both.variants[0].there = alone.handles.first().cloned();
    let offered = place.shop().offer(&both).await.expect("it is offered");
    assert_eq!(offered.handles[0], alone.handles[0]);
    let skus: Vec<String> = place.sandbox.shows().into_iter().map(|shown| shown.sku).collect();
    assert_eq!(skus[3..], ["MOLE", "MOLE-XL"]);
    assert_eq!(offered.words.vendor.as_deref(), Some("quay-side"), "the shop names itself");
    let tags: Vec<_> = offered.words.tags.iter().map(String::as_str).collect();
    assert_eq!(tags, ["low", "sand", "wide"], "a comma divides tags");
}

#[tokio::test]
async fn more_variants_than_a_call_takes_and_more_attributes_than_there_are_options_are_offered() {
    let place = open().await;
    let size = |number: usize| {
        let size = number.to_string();
        let attributes = [("size", size.as_str()), ("a", "1"), ("b", "1"), ("c", "1")];
        variant(&format!("MOLE-{number}"), &attributes)
    };
    let ask = ask((1..=120).map(size).collect());
    let offered = place.shop().offer(&ask).await.expect("it is offered");
    let products: BTreeSet<_> = offered.handles.iter().map(|handle| &handle.product).collect();
    assert_eq!((offered.handles.len(), products.len()), (120, 1));
    assert_eq!(place.sandbox.shows().len(), 123);
    let calls = place.sandbox.calls().graphql;
    let of_each = ["productVariants", "productSet", "productVariantsBulkCreate", "publishablePublish"];
    assert_eq!(of_each.map(|name| calls[name]), [3, 1, 1, 1]);
}

#[tokio::test]
async fn a_shop_without_a_place_for_stock_is_offered_nothing() {
    let place = open().await;
    let mut account = place.api.account().clone();
    account.details.platform_location = None;
    let api = Api::new(client(Duration::from_secs(5)), Clock::default(), account, None);
    let offered = Shop::new(&api).offer(&ask(vec![variant("MOLE", &[])])).await;
    assert!(matches!(offered, Err(CallError::NeedsPerson { .. })), "{offered:?}");
    assert_eq!(place.sandbox.shows().len(), 3);
}
