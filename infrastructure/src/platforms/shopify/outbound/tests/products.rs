//! Whole products, where the shop's search lags behind, a name is taken, and a product is sold as it is.

mod theirs;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

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
        was: None,
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

/// A variant of a product, as a shop answers it.
fn shown(sku: &str) -> Value {
    let product = json!({
        "id": "gid://shopify/Product/1", "title": "Mole", "handle": "mole", "vendor": "Quay", "productType": "",
        "tags": [], "status": "ACTIVE", "options": [{ "name": "Size" }], "resourcePublicationsCount": { "count": 1 },
    });
    json!({
        "id": "gid://shopify/ProductVariant/2", "sku": sku, "product": product,
        "inventoryItem": { "id": "gid://shopify/InventoryItem/3" },
    })
}

fn page(nodes: &[Value]) -> Value {
    json!({ "nodes": nodes, "pageInfo": { "hasNextPage": false, "endCursor": null } })
}

/// Of a product with one variant whose making is refused because its name is taken.
fn taken(sku: &'static str) -> impl Fn(&str) -> Value + Clone + Send + Sync + 'static {
    let variant = shown(sku);
    move |query: &str| {
        let error = json!({ "field": ["input"], "message": "Taken", "code": "HANDLE_NOT_UNIQUE" });
        match query.split_whitespace().nth(1).unwrap_or_default() {
            name if name.starts_with("OnhandFindVariants") => json!({
                "productVariants": page(&[]), "nodes": [], "publications": { "nodes": [] },
            }),
            name if name.starts_with("OnhandMakeProduct") => {
                json!({ "productSet": { "product": null, "userErrors": [error] } })
            }
            name if name.starts_with("OnhandFindProduct") => {
                json!({ "productByIdentifier": { "variants": page(std::slice::from_ref(&variant)) } })
            }
            other => panic!("{other} is not asked"),
        }
    }
}

/// A product of which one variant is found, and the other cannot be added because it is there already: under the SKU that we
/// give it, as it shows afterwards, or under another one.
fn added_meanwhile(sku: &'static str) -> impl Fn(&str) -> Value + Clone + Send + Sync + 'static {
    let refused = Arc::new(AtomicBool::new(false));
    move |query: &str| {
        let found = shown("MOLE-41");
        match query.split_whitespace().nth(1).unwrap_or_default() {
            name if name.starts_with("OnhandFindVariants") => json!({
                "productVariants": page(&[found]), "nodes": [], "publications": { "nodes": [] },
            }),
            name if name.starts_with("OnhandFindProduct") => {
                let family =
                    if refused.load(Ordering::Acquire) { vec![found, shown(sku)] } else { vec![found] };
                json!({ "productByIdentifier": { "variants": page(&family) } })
            }
            name if name.starts_with("OnhandAddVariants") => {
                refused.store(true, Ordering::Release);
                let error = json!({ "field": [], "message": "Exists", "code": "VARIANT_ALREADY_EXISTS" });
                json!({ "productVariantsBulkCreate": { "productVariants": null, "userErrors": [error] } })
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
async fn a_variant_that_another_attempt_has_just_added_is_waited_for() {
    let sized = |size: &str| variant(&format!("MOLE-{size}"), &[("size", size)]);
    let ask = ask(vec![sized("41"), sized("42")]);
    let api = scripted(added_meanwhile("MOLE-42")).await;
    let waits = Shop::new(&api).offer(&ask).await;
    assert!(matches!(waits, Err(CallError::Again { counts: false, .. })), "{waits:?}");
    let api = scripted(added_meanwhile("KELP-42")).await;
    let refused = Shop::new(&api).offer(&ask).await;
    assert!(matches!(&refused, Err(CallError::Never { why }) if why.contains("Exists")), "{refused:?}");
}

#[tokio::test]
async fn variants_that_are_made_and_not_searchable_yet_are_not_made_again() {
    let place = open().await;
    let sized = |size: &str| variant(&format!("MOLE-{size}"), &[("size", size)]);
    let ask = ask(["41", "42", "43", "44"].map(sized).to_vec());
    let first = place.shop().offer(&ask).await.expect("it is offered");
    place.sandbox.lag_search(&["MOLE-42", "MOLE-44"]);
    assert_eq!(place.shop().offer(&ask).await, Ok(first));
    assert_eq!(place.sandbox.shows().len(), 3 + 4);
}

#[tokio::test]
async fn a_sku_is_found_however_many_others_it_is_a_part_of() {
    let place =
        open_with(CostBucket { maximum_available: 1e6, restore_rate: 1e6 }, Duration::from_secs(5)).await;
    let seed = |title: &str, numbers: std::ops::Range<usize>| {
        let variants = numbers.map(|number| SeedVariant {
            sku: format!("MOLE-1{number}"),
            option1: number.to_string(),
            price: "90".to_owned(),
            quantity: 1,
        });
        let variants = variants.collect();
        place.sandbox.seed(SeedProduct { title: title.to_owned(), variants, ..SeedProduct::default() });
    };
    seed("Moles", 0..130);
    let one = SeedVariant { sku: "MOLE-1".to_owned(), option1: "One".to_owned(), ..SeedVariant::default() };
    let one = place.sandbox.seed(SeedProduct { variants: vec![one], ..SeedProduct::default() });
    let alone = ask(vec![variant("MOLE-1", &[])]);
    let offered = place.shop().offer(&alone).await.expect("it is found");
    assert_eq!(offered.handles[0].product, ExternalId::from(one.product_id));
    seed("More moles", 130..500);
    let offered = place.shop().offer(&alone).await;
    assert!(
        matches!(offered, Err(CallError::Never { .. })),
        "what is cut off is not taken for all: {offered:?}"
    );
    assert!(!place.sandbox.calls().graphql.contains_key("productSet"));
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
