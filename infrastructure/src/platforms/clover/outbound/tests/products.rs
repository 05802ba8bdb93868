//! Whole products: what is found, made, called by another name and hidden, item by item.

use onhand_domain::{product::Words, values::Sku};

use super::*;
use crate::platforms::outbound::{ProductAsk, VariantAsk};

/// The product of the place, in some sizes.
fn runner(sizes: &[&str]) -> ProductAsk {
    let sized = |size: &&str| VariantAsk {
        sku: Sku::new(&format!("RUN-{size}")).expect("a SKU"),
        attributes: [("size".to_owned(), (*size).to_owned())].into(),
        price: Money::new(12_000, usd()).ok(),
        there: None,
        was: None,
    };
    let words = Words { title: "Runner".into(), vendor: Some("Kite".into()), ..Words::default() };
    ProductAsk { words, told: None, taken_off: false, variants: sizes.iter().map(sized).collect() }
}

fn titled(title: &str) -> Words {
    Words { title: title.into(), ..Words::default() }
}

/// An API that lists these items, and answers everything else, new items too, with the same words.
async fn answering(items: &'static str, words: &'static str) -> Api {
    let list = routing::get(move || async move { format!("{{\"elements\":[{items}]}}") });
    let routes =
        Router::new().route("/v3/merchants/{merchant}/items", list.post(move || async move { words }));
    speaking(routes.fallback(move || async move { words })).await
}

fn ids(place: &Place) -> Vec<String> {
    place.stand.goods().into_iter().map(|good| good.variant).collect()
}

#[tokio::test]
async fn a_new_item_has_a_name_of_its_own_and_a_stock_of_none() {
    let place = open().await;
    let offered = Clover.offer(&place.api(), &runner(&["45"]), KEY).await.expect("it is taken");
    assert_eq!(offered.words, titled("Runner 45"));
    let good = place.stand.goods().into_iter().find(|good| good.sku == "RUN-45").expect("it is there");
    assert_eq!((&good.title[..], good.price, good.quantity), ("Runner 45", 12_000, 0));
    assert_eq!(offered.handles, [handle(&good.variant)]);
    assert_eq!(place.stand.calls().made, 3, "looked for, made, and counted");
}

#[tokio::test]
async fn of_several_items_with_a_sku_the_one_that_is_shown_is_taken() {
    let place = open().await;
    let (api, mut ask) = (place.api(), runner(&["42"]));
    assert_eq!(Clover.take_off(&api, &[place.at(0)], KEY).await, Ok(()));
    let shown = place.stand.seed("Corsa", &[("RUN-42", 9_900, 5)]);
    let offered = Clover.offer(&api, &ask, KEY).await.expect("it is found");
    assert_eq!(offered.handles, [handle(&shown[0].variant)]);
    assert_eq!(place.stand.goods().len(), 3, "the other one stays hidden");
    assert_eq!(Clover.take_off(&api, &offered.handles, KEY).await, Ok(()));
    ask.taken_off = true;
    let offered = Clover.offer(&api, &ask, KEY).await.expect("it is found");
    assert_eq!(offered.handles, [place.at(0)], "it has the first id");
    assert_eq!((place.stand.goods().len(), place.shows()[0]), (3, (5, 12_000)), "it is as it was");
}

/// Whether an item is hidden on registers, and available at all.
async fn hidden_and_available(place: &Place, handle: &Handle) -> (Value, Value) {
    let items = find(&place.api(), vec![handle]).await.expect("a list");
    let item = &items[handle.variant.as_str()];
    (item["hidden"].clone(), item["available"].clone())
}

#[tokio::test]
async fn what_is_taken_off_is_for_sale_nowhere_until_it_is_offered_again() {
    let place = open().await;
    let (api, mut ask) = (place.api(), runner(&["45"]));
    let offered = Clover.offer(&api, &ask, KEY).await.expect("it is taken");
    let (on, off) = ((json!(false), json!(true)), (json!(true), json!(false)));
    assert_eq!(hidden_and_available(&place, &offered.handles[0]).await, on);
    assert_eq!(Clover.take_off(&api, &offered.handles, KEY).await, Ok(()));
    assert_eq!(hidden_and_available(&place, &offered.handles[0]).await, off);
    ask.taken_off = true;
    assert_eq!(Clover.offer(&api, &ask, KEY).await, Ok(offered.clone()));
    assert_eq!(hidden_and_available(&place, &offered.handles[0]).await, on);
}

#[tokio::test]
async fn what_somebody_else_has_hidden_stays_hidden() {
    let place = open().await;
    let api = place.api();
    assert_eq!(Clover.take_off(&api, &[place.at(0)], KEY).await, Ok(()));
    let before = (place.stand.goods(), place.stand.calls().writes);
    let refused = Clover.offer(&api, &runner(&["45", "42"]), KEY).await;
    assert!(matches!(refused, Err(CallError::Never { .. })), "{refused:?}");
    assert_eq!((place.stand.goods(), place.stand.calls().writes), before, "nor is anything made");
}

#[tokio::test]
async fn what_was_made_and_not_counted_is_counted_by_the_next_attempt() {
    let place = open().await;
    let (api, ask) = (place.api(), runner(&["45", "46"]));
    for (name, sku) in [("Runner 45", "RUN-45"), ("Corsa", "RUN-46")] {
        let body = json!({ "name": name, "sku": sku, "price": 12_000, "priceType": "FIXED" });
        let made: Result<Value, _> = post(&api, "items", &body).await;
        assert!(made.is_ok(), "{made:?}");
    }
    for _ in 0..2 {
        let offered = Clover.offer(&api, &ask, KEY).await.expect("it is found");
        let read = Clover.read(&api, &offered.handles).await;
        let quantities: Vec<_> = read.into_iter().map(|shown| shown.map(|it| it.quantity)).collect();
        assert_eq!(quantities, [Ok(Some(0)), Ok(None)], "what somebody else has made is as it was");
    }
    assert_eq!((place.stand.goods().len(), place.stand.calls().writes), (5, 3));
}

#[tokio::test]
async fn one_item_is_hidden_and_the_sizes_beside_it_stay() {
    let place = open().await;
    for _ in 0..2 {
        assert_eq!(Clover.take_off(&place.api(), &[place.at(1), handle("404")], KEY).await, Ok(()));
        assert_eq!(ids(&place), [place.goods[0].variant.clone(), place.goods[2].variant.clone()]);
    }
    assert_eq!(place.stand.calls().writes, 1, "what is hidden is not hidden again");
}

#[tokio::test]
async fn only_items_that_are_called_otherwise_are_called_anew() {
    let place = open().await;
    let api = place.api();
    let mut ask = runner(&["42", "43", "44"]);
    for (at, variant) in ask.variants.iter_mut().enumerate() {
        variant.there = Some(place.at(at));
    }
    assert_eq!(Clover.describe(&api, &ask, KEY).await, Ok(titled("Runner 42")));
    assert_eq!(place.stand.calls().writes, 0, "of what else differs Clover knows nothing");
    ask.variants[1].attributes.insert("colour".into(), "sand".into());
    assert_eq!(Clover.describe(&api, &ask, KEY).await, Ok(titled("Runner 42")));
    assert_eq!(place.stand.calls().writes, 1);
    assert_eq!(Clover.take_off(&api, &[place.at(0)], KEY).await, Ok(()));
    ask.words.title = "Corsa".into();
    assert_eq!(Clover.describe(&api, &ask, KEY).await, Ok(titled("Corsa sand 43")));
    let titles: Vec<_> = place.stand.goods().into_iter().map(|good| good.title).collect();
    assert_eq!(titles, ["Corsa sand 43", "Corsa 44"]);
    ask.variants.truncate(1);
    let nothing = Clover.describe(&api, &ask, KEY).await;
    assert!(matches!(nothing, Err(CallError::Never { .. })), "{nothing:?}");
}

#[tokio::test]
async fn a_list_of_other_items_proves_nothing() {
    let ask = runner(&["42"]);
    let made = "{\"id\":\"A9\",\"sku\":\"RUN-42\",\"price\":12000,\"item\":{\"id\":\"A9\"},\"quantity\":0}";
    for (others, fine) in [
        ("", true),
        ("{\"id\":\"A1\",\"sku\":\"run-42\"}", true),
        ("{\"id\":\"A1\",\"sku\":\"RUN-42\",\"deleted\":true}", true),
        ("{\"id\":\"A1\",\"sku\":\"RUN-4\"}", false),
        ("{\"id\":\"A1\"}", false),
        ("{\"sku\":\"RUN-42\"}", false),
    ] {
        let offered = Clover.offer(&answering(others, made).await, &ask, KEY).await;
        if fine {
            assert_eq!(offered.map(|it| it.handles), Ok(vec![handle("A9")]), "{others}");
        } else {
            assert!(offered.as_ref().is_err_and(CallError::is_failure), "{others}: {offered:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_show_the_item_as_it_was_sent_is_no_success() {
    for words in [
        "{}",
        "{\"id\":\"A9\",\"sku\":\"RUN-42\",\"price\":1}",
        "{\"id\":\"A9\",\"sku\":\"RUN-4\",\"price\":12000}",
        "{\"id\":\"A9\",\"price\":12000}",
        "{\"id\":\"A9\",\"sku\":\"RUN-42\",\"price\":12000,\"item\":{\"id\":\"A9\"},\"quantity\":3}",
    ] {
        let offered = Clover.offer(&answering("", words).await, &runner(&["42"]), KEY).await;
        assert!(offered.as_ref().is_err_and(CallError::is_failure), "{words}: {offered:?}");
    }
    let mut ask = runner(&["42"]);
    ask.variants[0].there = Some(handle("A1"));
    for words in ["{}", "{\"id\":\"A2\",\"name\":\"Runner 42\"}", "{\"id\":\"A1\"}"] {
        let there = answering("{\"id\":\"A1\",\"name\":\"Corsa\"}", words).await;
        let described = Clover.describe(&there, &ask, KEY).await;
        assert!(described.as_ref().is_err_and(CallError::is_failure), "{words}: {described:?}");
        let hidden = Clover.take_off(&there, &[handle("A1")], KEY).await;
        assert!(hidden.as_ref().is_err_and(CallError::is_failure), "{words}: {hidden:?}");
    }
}
