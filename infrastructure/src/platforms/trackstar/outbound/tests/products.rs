//! Products that are made in a warehouse.

use onhand_domain::{product::Words, values::Sku};

use super::*;
use crate::platforms::outbound::{Offered, ProductAsk, VariantAsk};

fn sku(text: &str) -> Sku {
    Sku::new(text).expect("a SKU")
}

fn variant(text: &str, attributes: &[(&str, &str)]) -> VariantAsk {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    VariantAsk { sku: sku(text), attributes: attributes.collect(), price: None, there: None, was: None }
}

fn product(variants: Vec<VariantAsk>) -> ProductAsk {
    let words = Words { title: "Harbour".into(), vendor: Some("Quay".into()), ..Words::default() };
    ProductAsk { words, told: None, taken_off: false, variants }
}

fn boots() -> ProductAsk {
    product(vec![
        variant("BOOT-41", &[("colour", "sand"), ("size", "41")]),
        variant("BOOT-42", &[("size", "42")]),
    ])
}

impl Place {
    async fn offer(&self, ask: &ProductAsk, key: u128) -> Result<Offered, CallError> {
        Trackstar.offer(&self.api, ask, Uuid::from_u128(key)).await
    }

    /// Title, quantity and handle by SKU.
    fn there(&self, text: &str) -> (String, i64, Handle) {
        let goods = self.stand.goods();
        let goods: Vec<&Good> = goods.iter().filter(|good| good.sku == text).collect();
        let [good] = goods[..] else { panic!("{text} is there once: {goods:?}") };
        let (product, variant, inventory) = self.stand.handle(good);
        let inventory = inventory.as_deref().map(id);
        (
            good.title.clone(),
            good.quantity,
            Handle { product: id(&product), variant: id(&variant), inventory },
        )
    }
}

fn is_never(offered: &Result<Offered, CallError>) -> bool {
    matches!(offered, Err(CallError::Never { .. }))
}

#[tokio::test]
async fn each_variant_is_a_product_that_is_called_by_what_sets_it_apart() {
    let place = open().await;
    let offered = place.offer(&boots(), 1).await.expect("an offer");
    let (first, second) = (place.there("BOOT-41"), place.there("BOOT-42"));
    assert_eq!((first.0.as_str(), second.0.as_str()), ("Harbour sand 41", "Harbour 42"));
    assert_eq!((first.1, second.1), (0, 0), "there is nothing of them yet");
    assert_eq!(offered.handles, [first.2.clone(), second.2]);
    assert_eq!(offered.words, Words { title: "Harbour sand 41".into(), ..Words::default() });
    assert_eq!(place.set_one(first.2, 6, KEY).await, Outcome::Shown(6));
}

#[tokio::test]
async fn what_is_there_is_found_by_its_sku_and_not_made_again() {
    let place = open().await;
    let first = place.offer(&boots(), 1).await;
    let writes = place.stand.calls().writes;
    for key in [1, 2] {
        assert_eq!(place.offer(&boots(), key).await, first);
    }
    assert_eq!(place.stand.calls().writes, writes);
    let mut more = boots();
    more.variants.push(variant("BOOT-43", &[("size", "43")]));
    more.variants[0].there = Some(place.there("BOOT-41").2);
    let offered = place.offer(&more, 3).await.expect("an offer");
    let there = ["BOOT-41", "BOOT-42", "BOOT-43"].map(|text| place.there(text).2);
    assert_eq!((offered.handles, place.stand.calls().writes), (there.to_vec(), writes + 1));
    // Not made through the API, and there all the same.
    let pier = product(vec![variant("PIER-40", &[])]);
    let offered = place.offer(&pier, 4).await.expect("an offer");
    assert_eq!((offered.handles, offered.words.title.as_str()), (vec![place.in_warehouse(0)], "Pier 40"));
}

#[tokio::test]
async fn a_sku_with_a_comma_is_one_sku() {
    let place = open().await;
    let ask = product(vec![variant("BOOT,41", &[]), variant("BOOT", &[]), variant("41", &[])]);
    let first = place.offer(&ask, 1).await;
    assert!(first.is_ok(), "{first:?}");
    assert_eq!(place.offer(&ask, 2).await, first);
    assert_eq!(place.stand.goods().len(), 3 + 3);
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_one_product() {
    let place = open().await;
    place.stand.faults().drop_after_applying_rate(1.0);
    // What is looked for first is not found out either, so the write is sent by hand.
    let body = json!({ "name": "Harbour 42", "sku": "BOOT-42" }).to_string();
    let lost = send(&place.api, Method::POST, "/wms/products".into(), body.clone(), KEY).await;
    assert!(lost.is_err_and(|error| error.is_failure()));
    let unseen = place.offer(&boots(), 1).await;
    assert!(unseen.is_err_and(|error| error.is_failure()));
    place.stand.faults().clear();
    let again = send(&place.api, Method::POST, "/wms/products".into(), body, KEY).await.expect("an answer");
    assert!(is_replayed(&again));
    assert!(place.offer(&boots(), 2).await.is_ok());
    assert_eq!(place.stand.goods().len(), 3 + 2);
}

#[tokio::test]
async fn what_the_warehouse_refuses_is_never_made_and_it_says_why() {
    let place = open().await;
    let mut ask = boots();
    ask.words.title = "x".repeat(251);
    let refused = place.offer(&ask, 1).await;
    let why = "the system behind Trackstar answered 400 Bad Request: The name is too long";
    assert_eq!(refused, Err(CallError::never(why)));
    // Of a cart there are no such records, and what may be there is not made.
    place.stand.faults().fail_next(1, 404);
    let refused = place.offer(&boots(), 2).await;
    assert!(is_never(&refused), "{refused:?}");
    place.stand.faults().fail_next(1, 422);
    let refused = place.offer(&boots(), 3).await;
    assert!(matches!(refused, Err(CallError::NeedsPerson { .. })), "{refused:?}");
    assert_eq!(place.stand.goods().len(), 3);
}

#[tokio::test]
async fn what_cannot_be_described_or_taken_off_is_left_as_it_is() {
    let place = open().await;
    let skills = Trackstar.skills();
    assert!(skills.offers && !skills.describes && !skills.takes_off);
    assert!(Trackstar.describe(&place.api, &boots(), KEY).await.is_err());
    assert!(Trackstar.take_off(&place.api, &[place.in_cart(0)], KEY).await.is_err());
    assert_eq!(place.stand.calls().made, 0);
}

#[tokio::test]
async fn a_rehearsal_makes_nothing_and_says_what_it_would_have_made() {
    let place = open().await;
    let rehearsal = place.api.for_rehearsal();
    assert!(Trackstar.offer(&rehearsal, &boots(), KEY).await.is_err());
    let bodies = rehearsal.rehearsed().into_iter().filter_map(|call| call.body);
    let bodies: Vec<Value> = bodies.map(|body| serde_json::from_str(&body).expect("JSON")).collect();
    let bodied = |name: &str, sku: &str| json!({ "name": name, "sku": sku });
    assert_eq!(bodies, [bodied("Harbour sand 41", "BOOT-41"), bodied("Harbour 42", "BOOT-42")]);
    assert_eq!(place.stand.goods().len(), 3);
}
