//! Whole products against the stand-in, as far as not every platform does the same with them.

use onhand_domain::{product::Words, values::Sku};

use super::*;
use crate::platforms::outbound::{Offered, ProductAsk, VariantAsk};

/// A runner in some sizes.
fn runner(sizes: &[&str]) -> ProductAsk {
    let sized = |size: &&str| VariantAsk {
        sku: Sku::new(&format!("RUN-{size}")).expect("a SKU"),
        attributes: [("size".to_owned(), (*size).to_owned())].into(),
        price: Some(money(12_000)),
        there: None,
        was: None,
    };
    let words = Words { title: "Runner".into(), vendor: Some("Kite".into()), ..Words::default() };
    ProductAsk { words, told: None, taken_off: false, variants: sizes.iter().map(sized).collect() }
}

/// A stand-in with nothing in it, and our side of the line.
async fn bare() -> (Sandbox, Api) {
    let clock = Clock::default();
    let stand = stand_with(Settings::new(clock.clone())).await;
    let api = api(account(&stand), &clock);
    (stand, api)
}

async fn offered(api: &Api, ask: &ProductAsk) -> Offered {
    offer(api, ask, KEY).await.expect("it is taken")
}

fn is_never<T>(refused: &Result<T, CallError>) -> bool {
    matches!(refused, Err(CallError::Never { .. }))
}

#[tokio::test]
async fn an_item_is_made_with_its_variations_in_one_call() {
    let (stand, api) = bare().await;
    let made = offered(&api, &runner(&["41", "42"])).await;
    assert_eq!(made.words, Words { title: "Runner".into(), ..Words::default() }, "all that Square tells");
    let goods = stand.goods();
    let sizes: Vec<_> = goods.iter().map(|good| (&good.sku[..], &good.size[..], good.price)).collect();
    assert_eq!(sizes, [("RUN-41", "41", 12_000), ("RUN-42", "42", 12_000)]);
    assert_eq!(made.handles[0].product, made.handles[1].product);
    assert_eq!(stand.calls().made, 2, "looked for, and made");
    let asks = [PriceAsk { handle: made.handles[0].clone(), price: money(12_000) }];
    assert_eq!(set_prices(&api, &asks, KEY).await, [Outcome::Shown(money(12_000))]);
    assert_eq!(stand.calls().made, 3, "the price is shown already, and not set");
}

#[tokio::test]
async fn what_is_archived_comes_back_as_it_was_with_what_is_new() {
    let (stand, api) = bare().await;
    let first = offered(&api, &runner(&["41", "42"])).await;
    assert_eq!(take_off(&api, &first.handles, KEY).await, Ok(()));
    assert!(stand.goods().is_empty());
    let made = stand.calls().made;
    let ask = ProductAsk { taken_off: true, ..runner(&["42", "43", "41"]) };
    let again = offered(&api, &ask).await;
    assert_eq!(stand.calls().made, made + 3, "looked for, looked at, and sent at once");
    assert_eq!(
        (&again.handles[0], &again.handles[2]),
        (&first.handles[1], &first.handles[0]),
        "the same variations"
    );
    let goods = stand.goods();
    let one = goods.iter().all(|good| good.product == first.handles[0].product.as_str());
    assert!(goods.len() == 3 && one, "{goods:?}");
}

#[tokio::test]
async fn what_somebody_else_has_archived_stays_archived() {
    let (stand, _, api) = stand().await;
    assert_eq!(take_off(&api, &read_handles(&stand), KEY).await, Ok(()));
    let made = stand.calls().made;
    for sizes in [&["41"][..], &["43", "42"]] {
        let refused = offer(&api, &runner(sizes), KEY).await;
        assert!(is_never(&refused), "{refused:?}");
    }
    assert!(stand.goods().is_empty());
    assert_eq!(stand.calls().made, made + 4, "looked for and looked at, twice");
}

/// The key that an attempt would make an item under.
async fn key_of(api: &Api, ask: &ProductAsk, attempt: u128) -> Value {
    let rehearsal = api.for_rehearsal();
    assert!(offer(&rehearsal, ask, Uuid::from_u128(attempt)).await.is_err(), "nothing is made");
    let body = rehearsal.rehearsed().pop().and_then(|call| call.body).expect("a call that would make it");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    body["idempotency_key"].clone()
}

#[tokio::test]
async fn what_is_made_has_one_key_whichever_attempt_or_connection_makes_it() {
    let (stand, ours) = bare().await;
    let ask = runner(&["41", "42"]);
    let key = key_of(&ours, &ask, 1).await;
    let other = Account { connection: ConnectionId(Uuid::from_u128(2)), ..account(&stand) };
    let mut dearer = ask.clone();
    dearer.variants[0].price = Some(money(13_000));
    for same in [
        key_of(&ours, &ask, 2).await,
        key_of(&api(other, &Clock::default()), &ask, 1).await,
        key_of(&ours, &dearer, 1).await,
    ] {
        assert_eq!(same, key);
    }
    let mut named = ask.clone();
    named.words.title = "Runner II".into();
    let seller = stand_with(Settings { account: "700200".into(), ..Settings::new(Clock::default()) }).await;
    for other in [
        key_of(&ours, &named, 1).await,
        key_of(&ours, &runner(&["41"]), 1).await,
        key_of(&ours, &ProductAsk { told: Some(ask.words.clone()), ..ask.clone() }, 1).await,
        key_of(&ours, &ProductAsk { taken_off: true, ..ask.clone() }, 1).await,
        key_of(&api(account(&seller), &Clock::default()), &ask, 1).await,
    ] {
        assert_ne!(other, key);
    }
}

#[tokio::test]
async fn a_variation_that_its_item_shows_is_there_though_no_search_shows_it() {
    let variation = |id: &str, sku: &str| {
        let data = json!({ "item_id": "I1", "sku": sku });
        json!({ "type": "ITEM_VARIATION", "id": id, "item_variation_data": data })
    };
    let variations = [variation("V1", "RUN-41"), variation("V2", "RUN-42")];
    let data = json!({ "name": "Runner", "variations": variations });
    let item = json!({ "type": "ITEM", "id": "I1", "version": 7, "item_data": data });
    let (_stand, api) = answered(json!({ "objects": [item] })).await;
    let mut ask = runner(&["41", "42"]);
    ask.variants[0].there = Some(handle("V1"));
    let found = offered(&api, &ask).await;
    let ids: Vec<_> = found.handles.iter().map(|it| (it.product.as_str(), it.variant.as_str())).collect();
    assert_eq!(ids, [("I1", "V1"), ("I1", "V2")]);
}

#[tokio::test]
async fn of_several_variations_with_a_sku_the_one_that_is_offered_is_taken_and_else_the_products_own() {
    let (stand, _, api) = stand().await;
    let archived = read_handles(&stand);
    assert_eq!(take_off(&api, &archived, KEY).await, Ok(()));
    let there = stand.seed("Corsa", &[("RUN-41", 9_900, 5), ("RUN-42", 9_900, 5)]);
    stand.seed("Corsa", &[("RUN-42", 9_900, 5)]);
    let found = offered(&api, &runner(&["41"])).await;
    assert_eq!(found.handles[0].variant.as_str(), there[0].variant);
    let mut ask = runner(&["41", "42"]);
    ask.variants[0].there = found.handles.first().cloned();
    let found = offered(&api, &ask).await;
    assert_eq!(found.handles[1].variant.as_str(), there[1].variant);
    assert_eq!((found.words.title.as_str(), stand.goods().len()), ("Corsa", 3), "nothing came back");
}

/// All that is there.
fn read_handles(stand: &Sandbox) -> Vec<Handle> {
    let handle = |good: &Good| {
        let (product, variant, inventory) = stand.handle(good);
        Handle { product: id(&product), variant: id(&variant), inventory: inventory.as_deref().map(id) }
    };
    stand.goods().iter().map(handle).collect()
}

#[tokio::test]
async fn an_item_that_has_another_variation_is_not_taken_off() {
    let (stand, _, api) = stand().await;
    let refused = take_off(&api, &read_handles(&stand)[..1], KEY).await;
    assert!(is_never(&refused), "{refused:?}");
    assert_eq!(stand.goods().len(), 2);
}

#[tokio::test]
async fn an_item_that_is_called_so_already_is_not_sent() {
    let (stand, goods, api) = stand().await;
    let mut ask = runner(&["41", "42"]);
    for (variant, handle) in ask.variants.iter_mut().zip(read_handles(&stand)) {
        variant.there = Some(handle);
    }
    let shown = Words { title: "Runner".into(), ..Words::default() };
    assert_eq!(describe(&api, &ask, KEY).await, Ok(shown));
    assert_eq!(stand.calls().made, 1, "of what else differs Square knows nothing");
    ask.words.title = " Runner II ".into();
    let told = describe(&api, &ask, KEY).await.expect("it is taken");
    assert_eq!((told.title.as_str(), stand.goods()[1].title.as_str()), ("Runner II", "Runner II"));
    assert_eq!(stand.goods()[0].variant, goods[0].variant, "nothing was left out");
    stand.remove(&goods[0].product);
    let refused = describe(&api, &ask, KEY).await;
    assert!(is_never(&refused), "{refused:?}");
}

#[tokio::test]
async fn what_is_refused_for_now_is_offered_another_time_and_too_much_never() {
    let (stand, api) = bare().await;
    let ask = runner(&["41", "42"]);
    stand.faults().refuse_items_rate(1.0);
    let refused = offer(&api, &ask, KEY).await;
    assert!(refused.as_ref().is_err_and(CallError::is_failure), "{refused:?}");
    stand.faults().clear();
    offered(&api, &ask).await;
    assert_eq!(stand.goods().len(), 2);
    let sizes: Vec<_> = (100..351).map(|size| size.to_string()).collect();
    let many = runner(&sizes.iter().map(String::as_str).collect::<Vec<_>>());
    let refused = offer(&api, &many, KEY).await;
    assert!(is_never(&refused), "an item has 250 variations at most: {refused:?}");
    assert_eq!(stand.goods().len(), 2);
}

#[tokio::test]
async fn an_answer_that_does_not_tell_is_no_success_and_no_proof_that_nothing_is_there() {
    let (_stand, api) = answered(json!({})).await;
    for refused in
        [offer(&api, &runner(&["41"]), KEY).await.map(drop), take_off(&api, &[handle("V1")], KEY).await]
    {
        assert!(refused.as_ref().is_err_and(CallError::is_failure), "{refused:?}");
    }
}
