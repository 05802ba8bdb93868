//! What is the merchant's affair: drafts, tags and categories that nobody has told, options; and how the shop keeps names.

use std::collections::BTreeSet;

use super::*;

/// Of a batch of names, the first one's number.
async fn named(place: &Place, kind: &str, name: &str, parent: &Value) -> Value {
    let body = json!({ "create": [{ "name": name, "parent": parent }] });
    place.post(&format!("products/{kind}/batch"), body).await["create"][0]["id"].clone()
}

async fn tell(place: &Place, ask: &ProductAsk) -> Words {
    Woocommerce.describe(&place.api, ask, KEY).await.expect("it is described")
}

/// A mole that is there, as the shop shows it.
async fn mole(place: &Place) -> (ProductAsk, String) {
    let mut asked = ask("Mole", vec![variant("MOLE", None)]);
    let offered = place.offer(&asked).await.expect("it is offered");
    asked.variants[0].there = offered.handles.first().cloned();
    (asked, format!("products/{}", offered.handles[0].product))
}

fn names(terms: &Value) -> Vec<&str> {
    terms.as_array().into_iter().flatten().filter_map(|term| term["name"].as_str()).collect()
}

fn tags(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

#[tokio::test]
async fn names_that_are_there_are_used_and_the_merchants_categories_stay() {
    let place = open().await;
    let made = place.post("products/tags/batch", json!({ "create": [{ "name": "Low" }] })).await;
    let tag = &made["create"][0]["id"];
    let mut asked = ask("Mole", vec![variant("MOLE", None)]);
    asked.words.category = Some("Shoes".to_owned());
    asked.words.tags = BTreeSet::from(["low".to_owned(), "sand".to_owned()]);
    let offered = place.offer(&asked).await.expect("it is offered");
    assert_eq!(offered.words.category.as_deref(), Some("Shoes"));
    let path = format!("products/{}", offered.handles[0].product);
    let product = place.get(&path).await;
    assert!(
        product["tags"].as_array().is_some_and(|tags| tags.iter().any(|it| it["id"] == *tag)),
        "{product}"
    );
    asked.variants[0].there = offered.handles.first().cloned();
    (asked.words.category, asked.words.title) = (None, "Mole II".to_owned());
    let said = Woocommerce.describe(&place.api, &asked, KEY).await.expect("it is described");
    assert_eq!((said.title.as_str(), said.category.as_deref()), ("Mole II", Some("Shoes")));
}

#[tokio::test]
async fn tags_that_nobody_has_told_stay() {
    let place = open().await;
    let (mut asked, path) = mole(&place).await;
    let theirs =
        [named(&place, "tags", "Low", &Value::Null).await, named(&place, "tags", "sale", &Value::Null).await];
    place.post(&path, json!({ "tags": theirs.map(|id| json!({ "id": id })) })).await;
    for (told, ours, expected) in [
        (None, tags(&[]), tags(&["Low", "sale"])),
        (None, tags(&["low", "sand"]), tags(&["Low", "sale", "sand"])),
        (Some(tags(&["low", "sand"])), tags(&["sand"]), tags(&["sale", "sand"])),
        (Some(tags(&["sand"])), tags(&[]), tags(&["sale"])),
    ] {
        asked.told = told.map(|tags| Words { tags, ..asked.words.clone() });
        asked.words.tags = ours;
        assert_eq!(tell(&place, &asked).await.tags, expected);
    }
}

#[tokio::test]
async fn a_category_takes_the_place_of_the_one_that_was_told_and_of_no_other() {
    let place = open().await;
    let (mut asked, path) = mole(&place).await;
    asked.words.category = Some("Shoes".to_owned());
    tell(&place, &asked).await;
    assert_eq!(names(&place.get(&path).await["categories"]), ["Shoes"], "it is not without one any more");
    let shoes = place.get(&path).await["categories"][0]["id"].clone();
    let sale = named(&place, "categories", "Sale", &Value::Null).await;
    place.post(&path, json!({ "categories": [{ "id": sale }, { "id": shoes }] })).await;
    asked.told = Some(asked.words.clone());
    asked.words.category = Some("Boots".to_owned());
    tell(&place, &asked).await;
    assert_eq!(names(&place.get(&path).await["categories"]), ["Boots", "Sale"]);
    asked.told = None;
    asked.words.category = Some("Clogs".to_owned());
    tell(&place, &asked).await;
    assert_eq!(names(&place.get(&path).await["categories"]), ["Boots", "Clogs", "Sale"], "nothing was told");
}

#[tokio::test]
async fn a_category_below_another_is_used_if_it_is_the_only_one_of_its_name() {
    let place = open().await;
    let (mut asked, path) = mole(&place).await;
    let men = named(&place, "categories", "Men & Boys", &Value::Null).await;
    let theirs = named(&place, "categories", "Axis & Shoes", &men).await;
    asked.words.category = Some("Axis & Shoes".to_owned());
    tell(&place, &asked).await;
    assert_eq!(place.get(&path).await["categories"][0]["id"], theirs);
    let listed = place.get("products/categories?search=Shoes&per_page=100").await;
    assert_eq!(names(&listed), ["Axis &amp; Shoes"]);
}

#[tokio::test]
async fn names_are_the_same_however_the_shop_keeps_them() {
    let place = open().await;
    let mut asked = ask("Axis & Allies <3", vec![variant("MOLE", None)]);
    (asked.words.category, asked.words.tags) = (Some("R&D".to_owned()), tags(&["a < b", "c & d"]));
    let offered = place.offer(&asked).await.expect("it is offered");
    assert_eq!(offered.words, asked.words);
    let path = format!("products/{}", offered.handles[0].product);
    assert_eq!(place.get(&path).await["name"], "Axis &amp; Allies &lt;3");
    asked.variants[0].there = offered.handles.first().cloned();
    let writes = place.stand.calls().writes;
    assert_eq!(tell(&place, &asked).await, asked.words);
    assert_eq!(place.stand.calls().writes, writes, "nothing is to be changed");
}

#[tokio::test]
async fn a_draft_is_published_only_if_it_was_taken_off_from_here() {
    let place = open().await;
    let sized = |size: &str| variant(&format!("RUN-{size}"), Some(size));
    let handles = place.seed("Runner", &["RUN-41"]);
    let path = format!("products/{}", handles[0].product);
    place.post(&path, json!({ "status": "draft" })).await;
    let mut asked = ask("Runner", vec![sized("41"), sized("42")]);
    let offered = place.offer(&asked).await.expect("it is found");
    assert_eq!(offered.handles[0], handles[0]);
    assert_eq!(place.get(&path).await["status"], "draft");
    assert!(place.stand.goods().is_empty());
    asked.taken_off = true;
    assert_eq!(place.offer(&asked).await.map(|offered| offered.handles), Ok(offered.handles));
    assert_eq!(place.stand.goods().len(), 2);
}

#[tokio::test]
async fn what_a_shop_does_not_count_is_not_for_sale_and_needs_a_person() {
    let place = open().await;
    place.post("settings/products/woocommerce_manage_stock", json!({ "value": "no" })).await;
    let sized = |size: &str| variant(&format!("MOLE-{size}"), Some(size));
    for asked in [ask("Mole", vec![variant("MOLE", None)]), ask("Moles", vec![sized("41"), sized("42")])] {
        let offered = place.offer(&asked).await;
        assert!(matches!(offered, Err(CallError::NeedsPerson { .. })), "{offered:?}");
        let path = format!("products?sku={}", asked.variants[0].sku);
        assert_eq!(place.get(&path).await[0]["stock_status"], "outofstock");
    }
}

#[tokio::test]
async fn a_sku_is_no_value_of_an_attribute_of_the_merchants() {
    let place = open().await;
    place.seed("Runner", &["RUN-41"]);
    let refused =
        place.offer(&ask("Runner", vec![variant("RUN-41", Some("41")), variant("RUN-42", None)])).await;
    assert!(matches!(&refused, Err(CallError::Never { why }) if why.contains("Size")), "{refused:?}");
    assert_eq!(place.stand.goods().len(), 1);
}
