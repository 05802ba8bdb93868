//! Answers that make no sense, and ids that lead elsewhere.
//!
//! A proxy, a wrong address or a platform on a bad day answers anything at all; nothing of it may be taken for a success.

use std::collections::BTreeSet;

use axum::body::Bytes;
use uuid::Uuid;

use super::{
    super::{SECRET, URL},
    NO_IDS, all_of, ask, ask_price,
    bare::Bare,
    nobodys,
    offered::{of_handles, runner},
    stand::{Stand, stands},
    strange_variant, stranger,
};
use crate::{
    platforms::{
        outbound::{Api, Handle, Outcome, QuantityAsk, Shown},
        read::escaped,
    },
    secrets::Secret,
};

/// Answers that say nothing, or say it wrongly.
fn nonsense() -> Vec<(u16, Bytes)> {
    let texts = [
        (200, ""),
        (200, "<html><body>It works!</body></html>"),
        (200, "{}"),
        (200, "[]"),
        (200, "null"),
        (200, "7"),
        (200, "\"\""),
        (200, "[null]"),
        (200, "[{}]"),
        (200, "{\"data\":null}"),
        (200, "{\"data\":{\"inventorySetQuantities\":{\"userErrors\":["),
        (200, "{\"counts\":[{\"quantity\":\"7\",\"cat"),
        (200, "{\"errors\":{}}"),
        (200, "{\"id\":7,\"code\":\"7\",\"error\":7,\"data\":7,\"response\":7}"),
        (200, "\u{feff}"),
        (201, "{}"),
        (204, ""),
        (400, "{}"),
        (404, ""),
        (409, "<html>"),
        (422, "[]"),
    ];
    let texts = texts.into_iter().map(|(status, text)| (status, Bytes::from_static(text.as_bytes())));
    let long = [(200, Bytes::from(vec![b'7'; 5 << 20])), (200, Bytes::from_static(b"\xff\xfe{\x00}\x00"))];
    texts.chain(long).collect()
}

/// A few asks: one that is to be looked up first, and two that go by what is believed.
fn quantities(handles: &[Handle]) -> Vec<QuantityAsk> {
    let believed = [None, Some(5), Some(0)];
    let asks = handles.iter().zip(believed);
    asks.map(|(handle, believed)| QuantityAsk { believed, ..ask(handle, 9) }).collect()
}

/// Hears the answer to everything that may be asked.
async fn assert_nothing_shown(stand: &Stand, api: &Api, handles: &[Handle], what: &str) {
    let (outbound, key) = (stand.outbound, Uuid::from_u128(1));
    let prices: Vec<_> = handles.iter().map(|handle| ask_price(handle, 12_345)).collect();
    let outcomes = outbound.set_quantities(api, &quantities(handles), key).await;
    let claimed = outcomes.iter().any(|it| !matches!(it, Outcome::Failed(_)));
    assert!(outcomes.len() == handles.len() && !claimed, "{what}: {outcomes:?}");
    let outcomes = outbound.set_prices(api, &prices, key).await;
    let claimed = outcomes.iter().any(|it| !matches!(it, Outcome::Failed(_)));
    assert!(outcomes.len() == handles.len() && !claimed, "{what}: {outcomes:?}");
    let read = outbound.read(api, handles).await;
    let claimed = read.iter().flatten().any(|shown| *shown != Shown::default());
    assert!(read.len() == handles.len() && !claimed, "{what}: {read:?}");
    // Of one variant it is said that it is there, and the other is to be made.
    let mut product = runner(stand, &["41", "43"]);
    product.variants[0].there = handles.first().cloned();
    let offered = outbound.offer(api, &product, key).await;
    assert!(offered.is_err(), "{what}: {offered:?}");
    let described = outbound.describe(api, &of_handles(stand, handles), key).await;
    assert!(described.is_err(), "{what}: {described:?}");
    // What is not there is off already, and some platforms say no more than that status.
    let taken = outbound.take_off(api, handles, key).await;
    assert!(taken.is_err() || what.contains(": 404 "), "{what}: {taken:?}");
    let subscribed = outbound.subscribe(api, URL, Some(&Secret::new(SECRET))).await;
    assert!(!outbound.subscribes() || subscribed.is_err(), "{what}: {subscribed:?}");
    let listed = outbound.subscriptions(api).await;
    let claimed = listed.as_ref().is_ok_and(|listed| !listed.is_empty());
    assert!(!claimed, "{what}: {listed:?}");
    if let Some(renewal) = outbound.renew(api) {
        let renewed = renewal.await;
        assert!(renewed.is_err(), "{what}: {renewed:?}");
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_no_success() {
    let (bare, nonsense) = (Bare::open().await, nonsense());
    for stand in stands().await {
        let (handles, api) = (stand.handles(), stand.api_at(&bare.endpoint()));
        for (status, body) in &nonsense {
            bare.answer(*status, body);
            let text = String::from_utf8_lossy(&body[..body.len().min(60)]);
            let what = format!("{}: {status} {text:?}", stand.platform);
            assert_nothing_shown(&stand, &api, &handles, &what).await;
            bare.take();
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_shown() {
    let endpoint = Bare::open().await.endpoint();
    for stand in stands().await {
        for endpoint in [endpoint.as_str(), "nonsense", ""] {
            let api = stand.api_at(endpoint);
            let what = format!("{}: {endpoint:?}", stand.platform);
            assert_nothing_shown(&stand, &api, &stand.handles(), &what).await;
        }
    }
}

/// The paths that are called for a listing, with its ids cut out.
async fn paths(stand: &Stand, bare: &Bare, handle: &Handle) -> BTreeSet<String> {
    let api = stand.api_at(&bare.endpoint());
    let (outbound, key) = (stand.outbound, Uuid::from_u128(1));
    for believed in [None, Some(5)] {
        let asks = [QuantityAsk { believed, ..ask(handle, 9) }];
        outbound.set_quantities(&api, &asks, key).await;
    }
    outbound.set_prices(&api, &[ask_price(handle, 12_345)], key).await;
    let _ = outbound.read(&api, std::slice::from_ref(handle)).await;
    let product = of_handles(stand, std::slice::from_ref(handle));
    let _ = outbound.offer(&api, &product, key).await;
    let _ = outbound.describe(&api, &product, key).await;
    let _ = outbound.take_off(&api, std::slice::from_ref(handle), key).await;
    let ids = [Some(&handle.product), Some(&handle.variant), handle.inventory.as_ref()];
    let cut = |path: &str| {
        let ids = ids.into_iter().flatten();
        ids.fold(path.to_owned(), |path, id| path.replace(&escaped(id.as_str()), "{}"))
    };
    let kept = bare.take();
    for query in kept.iter().filter_map(|kept| kept.uri.query()) {
        assert!(!query.contains("evil=1"), "{}: {query}", stand.platform);
    }
    kept.iter().map(|kept| cut(kept.uri.path())).collect()
}

#[tokio::test]
async fn an_id_leads_to_no_path_elsewhere() {
    let bare = Bare::open().await;
    for stand in stands().await {
        let (platform, handles) = (stand.platform, stand.handles());
        for (status, body) in [(404, "{}"), (200, "{}")] {
            bare.answer(status, &Bytes::from_static(body.as_bytes()));
            let mut known = BTreeSet::new();
            for handle in &handles {
                let alike = all_of(handle, nobodys(&handle.variant).as_str());
                for handle in [stranger(handle), strange_variant(handle), alike] {
                    known.extend(paths(&stand, &bare, &handle).await);
                }
            }
            assert!(!known.is_empty(), "{platform}: what is an id is asked for");
            for text in NO_IDS {
                let odd = all_of(&handles[0], text);
                for handle in [Handle { product: handles[0].product.clone(), ..odd.clone() }, odd] {
                    let called = paths(&stand, &bare, &handle).await;
                    assert!(called.is_subset(&known), "{platform}, {text}: {called:?} and not {known:?}");
                }
            }
        }
    }
}
