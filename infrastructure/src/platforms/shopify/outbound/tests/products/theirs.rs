//! What is the merchant's affair: where a product is for sale, what has been deleted, words that nobody has told, options.

use super::*;

/// How many channels and other places a product is published in, or is to be.
const PUBLICATIONS: &str = "query OnhandTest($id: ID!) {
    productByIdentifier(identifier: {id: $id}) { resourcePublicationsCount(onlyPublished: false) { count } }
}";

fn words(category: Option<&str>, tags: &[&str]) -> Words {
    let (category, tags) = (category.map(str::to_owned), tags.iter().map(|tag| (*tag).to_owned()).collect());
    Words { title: "Kelp".to_owned(), vendor: None, category, tags }
}

fn sized(product: &str, size: &str) -> VariantAsk {
    variant(&format!("{product}-{size}"), &[("size", size)])
}

/// It is believed to be there, and needs no price.
fn known(there: Handle, size: &str) -> VariantAsk {
    VariantAsk { there: Some(there), price: None, ..sized("PIER", size) }
}

#[tokio::test]
async fn what_a_merchant_holds_back_is_not_published() {
    for until_later in [true, false] {
        let place = open().await;
        assert!(place.sandbox.hold_back_by_hand(place.ids.product_id, until_later));
        let asked = ask(["40", "41", "44"].map(|size| sized("PIER", size)).to_vec());
        let offered = place.shop().offer(&asked).await.expect("it is found");
        assert_eq!(offered.handles[0], place.handle(0));
        assert!(place.sandbox.shows().is_empty(), "later: {until_later}");
    }
}

#[tokio::test]
async fn what_was_made_and_taken_off_the_channel_by_hand_stays_off_it() {
    let place = open().await;
    let mut asked = ask(vec![sized("MOLE", "41")]);
    let offered = place.shop().offer(&asked).await.expect("it is offered");
    let product = offered.handles[0].product.as_str().parse().expect("a number");
    assert!(place.sandbox.hold_back_by_hand(product, false));
    asked.variants[0].there = offered.handles.first().cloned();
    asked.variants.push(sized("MOLE", "42"));
    let more = place.shop().offer(&asked).await.expect("it is offered");
    assert_eq!(more.handles.len(), 2);
    assert_eq!(place.sandbox.shows().len(), 3);
}

#[tokio::test]
async fn what_is_made_is_put_on_sales_channels_and_in_no_markets_catalogue() {
    let place = open().await;
    let offered = place.shop().offer(&ask(vec![variant("MOLE", &[])])).await.expect("it is offered");
    let id = gid("Product", &offered.handles[0].product);
    let read: Value = place.shop().call(PUBLICATIONS, json!({ "id": id }), 1).await.expect("an answer");
    assert_eq!(read["productByIdentifier"]["resourcePublicationsCount"]["count"], 1, "{read}");
}

#[tokio::test]
async fn a_variant_that_was_deleted_there_is_not_made_again_with_others() {
    let place = open().await;
    let gone = known(handle(901, 902), "39");
    let asked = ask(vec![gone.clone(), known(place.handle(0), "40"), sized("PIER", "43")]);
    let offered = place.shop().offer(&asked).await.expect("what is new joins");
    assert_eq!(offered.handles[0], handle(901, 902));
    assert_eq!(offered.handles[2].product, place.handle(0).product);
    let skus: Vec<String> = place.sandbox.shows().into_iter().map(|shown| shown.sku).collect();
    assert_eq!(skus[3..], ["PIER-43"]);
    let alone = place.shop().offer(&ask(vec![gone, sized("MOLE", "41")])).await;
    assert!(matches!(alone, Err(CallError::Never { .. })), "there is nothing to join: {alone:?}");
    assert_eq!(place.sandbox.shows().len(), 4);
}

#[tokio::test]
async fn what_nobody_has_told_is_left_as_the_shop_has_it() {
    let place = open().await;
    let one = SeedVariant { sku: "KELP".to_owned(), option1: "One".to_owned(), ..SeedVariant::default() };
    let ids = place.sandbox.seed(SeedProduct {
        product_type: "Sneakers".to_owned(),
        tags: ["Low", "sale"].map(str::to_owned).to_vec(),
        variants: vec![one],
        ..SeedProduct::default()
    });
    let there = Handle { product: ids.product_id.into(), ..handle(ids.variants[0].variant_id, 3) };
    let mut asked = ask(vec![VariantAsk { there: Some(there), ..variant("KELP", &[]) }]);
    for (told, ours, expected) in [
        (None, words(None, &[]), words(Some("Sneakers"), &["Low", "sale"])),
        (None, words(Some("Boots"), &["low", "sand"]), words(Some("Boots"), &["Low", "sale", "sand"])),
        (
            Some(words(Some("Boots"), &["low", "sand"])),
            words(Some("Boots"), &["sand"]),
            words(Some("Boots"), &["sale", "sand"]),
        ),
        (Some(words(Some("Boots"), &["sand"])), words(None, &[]), words(None, &["sale"])),
    ] {
        (asked.told, asked.words) = (told, ours);
        let said = place.shop().describe(&asked).await.expect("it is described");
        assert_eq!(Words { vendor: None, ..said }, expected);
    }
}

#[tokio::test]
async fn a_sku_is_no_value_of_an_option_of_the_merchants() {
    let place = open().await;
    let asked = ask(vec![sized("PIER", "40"), variant("PIER-43", &[("colour", "Sand")])]);
    let refused = place.shop().offer(&asked).await;
    assert!(matches!(&refused, Err(CallError::Never { why }) if why.contains("Size")), "{refused:?}");
    assert_eq!(place.sandbox.shows().len(), 3);
}
