//! What is pushed to `TikTok` Shop, against the stand-in.

mod products;

use std::net::{Ipv4Addr, SocketAddr};

use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{ConnectionId, Currency, ExternalId, LocationCode, Market, Money},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        super::{
            adapter::Access,
            outbound::{
                Account, Api, CallError, Handle, Outbound, Outcome, PriceAsk, QuantityAsk, Shown,
                Subscription, http_client,
            },
            sandbox::{Good, Sandbox, Settings},
        },
        TiktokShop, look,
    },
    changes,
};
use crate::{clock::Clock, secrets::Secret};

const KEY: Uuid = Uuid::from_u128(7);
const ADDRESS: &str = "https://quay.example/hooks/7";
const SIZES: [(&str, i64, i64); 3] = [("QUAY-40", 9_000, 5), ("QUAY-41", 9_000, 5), ("QUAY-42", 9_000, 5)];

struct Place {
    stand: Sandbox,
    goods: Vec<Good>,
    api: Api,
}

async fn open() -> Place {
    let clock = Clock::default();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let stand = Sandbox::open(&super::super::sandbox::TiktokShop, Settings::new(clock.clone()), listen).await;
    let stand = stand.expect("a stand-in opens");
    let goods = stand.seed("Quay Runner", &SIZES);
    let api = api(&stand, clock, |_| ());
    Place { stand, goods, api }
}

fn api(stand: &Sandbox, clock: Clock, change: impl FnOnce(&mut Account)) -> Api {
    let settings = stand.settings();
    let details = ConnectionDetails {
        platform: Platform::TiktokShop,
        name: "Quay Side".into(),
        brand: "quay".into(),
        account: Some(settings.account),
        app: Some(settings.app),
        endpoint: Some(stand.endpoint()),
        platform_location: Some(id(&settings.location)),
        location: LocationCode::default(),
        market: Market::default(),
        currency: usd(),
    };
    let mut account = Account {
        connection: ConnectionId(Uuid::from_u128(1)),
        details,
        endpoint: stand.endpoint(),
        access_token: Some(Secret::new(settings.access_token)),
        refresh_token: Some(Secret::new(settings.refresh_token)),
        app_secret: Some(Secret::new(settings.app_secret)),
        webhook_secrets: vec![],
        api_version: String::new(),
    };
    change(&mut account);
    Api::new(http_client().expect("a client"), clock, account, None)
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

fn usd() -> Currency {
    Currency::new("USD").expect("a currency")
}

fn money(text: &str) -> Money {
    Money::parse(text, usd()).expect("an amount")
}

fn handle(good: &Good) -> Handle {
    let (product, variant) = (id(&good.product), id(&good.variant));
    Handle { product, inventory: Some(variant.clone()), variant }
}

fn quantity(good: &Good, quantity: i64) -> QuantityAsk {
    QuantityAsk { handle: handle(good), quantity, believed: None }
}

fn price(good: &Good, price: &str) -> PriceAsk {
    PriceAsk { handle: handle(good), price: money(price) }
}

fn is_never<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::Never { .. }))
}

fn is_for_a_person<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::NeedsPerson { .. }))
}

impl Place {
    async fn set(&self, asks: &[QuantityAsk]) -> Vec<Outcome<i64>> {
        TiktokShop.set_quantities(&self.api, asks, KEY).await
    }

    async fn set_prices(&self, asks: &[PriceAsk]) -> Vec<Outcome<Money>> {
        TiktokShop.set_prices(&self.api, asks, KEY).await
    }

    /// Quantities and prices of the three sizes.
    fn shown(&self) -> Vec<(i64, i64)> {
        SIZES.iter().map(|(sku, ..)| self.stand.shows()[*sku]).collect()
    }
}

#[tokio::test]
async fn quantities_of_a_product_go_out_in_one_call_and_are_read_back_with_prices() {
    let place = open().await;
    let (first, last) = (&place.goods[0], &place.goods[2]);
    let outcomes = place.set(&[quantity(last, 0), quantity(first, 99_999)]).await;
    assert_eq!(outcomes, [Outcome::Shown(0), Outcome::Shown(99_999)]);
    assert_eq!(place.shown(), [(99_999, 9_000), (5, 9_000), (0, 9_000)]);
    assert_eq!(place.stand.calls().writes, 1);
    let gone = Handle { variant: id("404"), ..handle(first) };
    let elsewhere = Handle { product: id("404"), ..handle(first) };
    let read = TiktokShop.read(&place.api, &[handle(last), gone, elsewhere, handle(first)]).await;
    let shown =
        |quantity| Ok::<_, CallError>(Shown { quantity: Some(quantity), price: Some(money("90.00")) });
    assert_eq!((&read[0], &read[3]), (&shown(0), &shown(99_999)));
    assert!(matches!(&read[1..3], [Err(CallError::Never { .. }), Err(CallError::Never { .. })]), "{read:?}");
    assert_eq!(place.stand.calls().made, 3, "one look at each product");
}

#[tokio::test]
async fn prices_go_out_to_the_cent_and_in_the_shops_currency_only() {
    let place = open().await;
    let euros = Money::parse("1.00", Currency::new("EUR").expect("a currency")).expect("an amount");
    let foreign = PriceAsk { price: euros, ..price(&place.goods[1], "1") };
    let outcomes =
        place.set_prices(&[price(&place.goods[0], "129.95"), foreign, price(&place.goods[2], "0.07")]).await;
    assert_eq!(
        (&outcomes[0], &outcomes[2]),
        (&Outcome::Shown(money("129.95")), &Outcome::Shown(money("0.07")))
    );
    assert!(is_never(&outcomes[1]), "{outcomes:?}");
    assert_eq!(place.shown(), [(5, 12_995), (5, 9_000), (5, 7)]);
}

#[tokio::test]
async fn a_sku_that_cannot_be_fails_alone() {
    let place = open().await;
    let gone = QuantityAsk {
        handle: Handle { variant: id("404"), ..handle(&place.goods[0]) },
        ..quantity(&place.goods[0], 1)
    };
    let leads_elsewhere = QuantityAsk {
        handle: Handle { product: id("../../../order"), ..handle(&place.goods[0]) },
        ..quantity(&place.goods[0], 1)
    };
    let asks = [
        quantity(&place.goods[0], 7),
        gone,
        leads_elsewhere,
        quantity(&place.goods[1], -1),
        quantity(&place.goods[2], 8),
    ];
    let outcomes = place.set(&asks).await;
    assert_eq!((&outcomes[0], &outcomes[4]), (&Outcome::Shown(7), &Outcome::Shown(8)));
    assert!(outcomes[1..4].iter().all(is_never), "{outcomes:?}");
    assert_eq!(place.shown(), [(7, 9_000), (5, 9_000), (8, 9_000)]);
    assert_eq!(place.stand.calls().writes, 1);
}

#[tokio::test]
async fn a_price_that_spoils_a_whole_call_is_found_and_the_others_are_shown() {
    let place = open().await;
    let asks = [price(&place.goods[0], "80"), price(&place.goods[1], "0"), price(&place.goods[2], "70")];
    let outcomes = place.set_prices(&asks).await;
    assert_eq!((&outcomes[0], &outcomes[2]), (&Outcome::Shown(money("80")), &Outcome::Shown(money("70"))));
    assert!(is_never(&outcomes[1]), "{outcomes:?}");
    assert_eq!(place.shown(), [(5, 8_000), (5, 9_000), (5, 7_000)]);
}

#[tokio::test]
async fn two_skus_that_are_not_there_spoil_nothing_for_two_that_are() {
    let place = open().await;
    let gone = |text: &str| {
        let handle = Handle { variant: id(text), ..handle(&place.goods[0]) };
        PriceAsk { handle, ..price(&place.goods[0], "60") }
    };
    let asks = [gone("404"), price(&place.goods[0], "80"), gone("405"), price(&place.goods[1], "70")];
    let outcomes = place.set_prices(&asks).await;
    assert!(is_never(&outcomes[0]) && is_never(&outcomes[2]), "{outcomes:?}");
    assert_eq!((&outcomes[1], &outcomes[3]), (&Outcome::Shown(money("80")), &Outcome::Shown(money("70"))));
}

#[tokio::test]
async fn a_fault_that_is_listed_without_its_sku_is_found_and_the_others_are_shown() {
    let place = open().await;
    let [first, second, third] = &place.goods[..] else { panic!("{:?}", place.goods) };
    let outcomes = place.set(&[quantity(first, 7), quantity(second, 100_000), quantity(third, 8)]).await;
    assert_eq!((&outcomes[0], &outcomes[2]), (&Outcome::Shown(7), &Outcome::Shown(8)));
    assert!(is_never(&outcomes[1]), "{outcomes:?}");
    assert_eq!(place.shown(), [(7, 9_000), (5, 9_000), (8, 9_000)]);
}

#[tokio::test]
async fn what_is_refused_of_a_product_is_refused_of_its_skus_at_once() {
    let place = open().await;
    let strange = |good: &Good| Handle { product: id("404"), ..handle(good) };
    let asks: Vec<_> =
        place.goods.iter().map(|good| QuantityAsk { handle: strange(good), ..quantity(good, 6) }).collect();
    assert!(place.set(&asks).await.iter().all(is_never));
    assert_eq!(place.stand.calls().made, 1, "of a product that is not there");
    // Nobody has said that this one is about the product.
    let euro = Currency::new("EUR").expect("a currency");
    let api = api(&place.stand, Clock::default(), |account| account.details.currency = euro);
    let cost = Money::parse("60.00", euro).expect("an amount");
    let asks: Vec<_> =
        place.goods.iter().map(|good| PriceAsk { handle: handle(good), price: cost }).collect();
    assert!(TiktokShop.set_prices(&api, &asks, KEY).await.iter().all(is_never));
    assert_eq!(place.stand.calls().made, 1 + 3, "of both halves for the same reason");
    assert!(place.stand.remove(&place.goods[0].product));
    let asks: Vec<_> = place.goods.iter().map(|good| quantity(good, 6)).collect();
    assert!(place.set(&asks).await.iter().all(is_never));
    assert_eq!(place.stand.calls().made, 1 + 3 + 1, "of a product that was deleted");
}

#[tokio::test]
async fn the_part_that_failed_is_told_from_the_part_that_did_not() {
    let place = open().await;
    place.stand.faults().refuse_items_rate(0.5);
    let (mut done, mut refused) = (0, 0);
    for units in 10..30 {
        let asks: Vec<_> = place.goods.iter().map(|good| quantity(good, units)).collect();
        let outcomes = place.set(&asks).await;
        for ((shown, _), outcome) in place.shown().into_iter().zip(&outcomes) {
            match outcome {
                Outcome::Shown(asked) => {
                    assert_eq!((shown, *asked), (units, units));
                    done += 1;
                }
                Outcome::Failed(error) => {
                    assert!(error.is_failure() && shown != units, "{error:?}");
                    refused += 1;
                }
                Outcome::Stale { .. } => panic!("{outcome:?}"),
            }
        }
    }
    assert!(done > 0 && refused > 0, "{done} were shown, {refused} refused");
}

#[tokio::test]
async fn many_skus_of_a_product_and_many_products_take_a_call_for_each_part() {
    let place = open().await;
    let skus: Vec<String> = (0..=changes::SKUS_MAX).map(|number| format!("PIER-{number}")).collect();
    let seeds: Vec<(&str, i64, i64)> = skus.iter().map(|sku| (sku.as_str(), 100, 1)).collect();
    let mut goods = place.stand.seed("Pier", &seeds);
    for number in 0..6 {
        let sku = format!("MOLE-{number}");
        goods.extend(place.stand.seed("Mole", &[(sku.as_str(), 100, 1)]));
    }
    let asks: Vec<_> = (10..).zip(&goods).map(|(units, good)| quantity(good, units)).collect();
    let outcomes = place.set(&asks).await;
    let expected: Vec<_> = asks.iter().map(|ask| Outcome::Shown(ask.quantity)).collect();
    assert_eq!(outcomes, expected);
    assert_eq!(place.stand.calls().writes, 2 + 6);
    for (good, ask) in goods.iter().zip(&asks) {
        assert_eq!(place.stand.shows()[&good.sku].0, ask.quantity);
    }
}

#[tokio::test]
async fn throttling_is_no_failure_whichever_way_it_is_told() {
    let place = open().await;
    for silent in [false, true] {
        place.stand.faults().no_retry_after(silent);
        place.stand.faults().throttle_next(1, false);
        let outcomes = place.set(&[quantity(&place.goods[0], 6)]).await;
        let [Outcome::Failed(CallError::Again { after: Some(_), counts: false, .. })] = outcomes.as_slice()
        else {
            panic!("{outcomes:?}");
        };
    }
    place.stand.faults().fail_next(1, 502);
    let outcomes = place.set(&[quantity(&place.goods[0], 6)]).await;
    assert!(matches!(&outcomes[..], [Outcome::Failed(error)] if error.is_failure()), "{outcomes:?}");
    assert_eq!(place.shown()[0], (5, 9_000));
}

#[tokio::test]
async fn wrong_or_missing_credentials_need_a_person() {
    let place = open().await;
    let changes: [fn(&mut Account); 8] = [
        |account| account.access_token = Some(Secret::new("another")),
        |account| account.access_token = None,
        |account| account.app_secret = Some(Secret::new("another")),
        |account| account.app_secret = None,
        |account| account.details.app = Some("another".into()),
        |account| account.details.app = None,
        |account| account.details.account = Some("another".into()),
        |account| account.details.account = None,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let api = api(&place.stand, Clock::default(), change);
        let outcomes = TiktokShop.set_quantities(&api, &[quantity(&place.goods[0], 6)], KEY).await;
        assert!(outcomes.iter().all(is_for_a_person), "{number}: {outcomes:?}");
        let read = TiktokShop.read(&api, &[handle(&place.goods[0])]).await;
        assert!(matches!(&read[..], [Err(CallError::NeedsPerson { .. })]), "{number}: {read:?}");
    }
    let slow = Clock::default();
    slow.advance(TimeDelta::minutes(10));
    let api = api(&place.stand, slow, |_| ());
    let outcomes = TiktokShop.set_quantities(&api, &[quantity(&place.goods[0], 6)], KEY).await;
    assert!(outcomes.iter().all(is_for_a_person), "our clock is wrong: {outcomes:?}");
    assert_eq!(place.shown()[0], (5, 9_000));
}

#[tokio::test]
async fn webhooks_asked_for_twice_are_there_once_and_those_of_others_stay() {
    let place = open().await;
    assert_eq!(TiktokShop.subscribe(&place.api, ADDRESS, None).await, Ok(None));
    let list = TiktokShop.subscriptions(&place.api).await.expect("a list");
    let writes = place.stand.calls().writes;
    assert_eq!((list.len() as u64, writes), (6, 6));
    assert!(list.iter().any(|it| it.topic == "ORDER_STATUS_CHANGE" && it.address == ADDRESS), "{list:?}");
    assert_eq!(TiktokShop.subscribe(&place.api, ADDRESS, None).await, Ok(None));
    assert_eq!(TiktokShop.subscriptions(&place.api).await.as_ref(), Ok(&list));
    assert_eq!(place.stand.calls().writes, writes);
    let of_others = Subscription { address: "https://mole.example".into(), ..list[0].clone() };
    for gone in [&of_others, &list[1], &list[1]] {
        assert_eq!(TiktokShop.unsubscribe(&place.api, gone).await, Ok(()));
    }
    let left = TiktokShop.subscriptions(&place.api).await.expect("a list");
    assert_eq!(left.len(), list.len() - 1);
    assert!(left.contains(&list[0]) && !left.contains(&list[1]), "{left:?}");
}

#[tokio::test]
async fn an_event_that_others_are_told_of_is_left_to_them() {
    let place = open().await;
    let theirs = "https://mole.example/hooks";
    place.stand.subscribe("PRODUCT_CREATION", theirs);
    for _ in 0..2 {
        let refused = TiktokShop.subscribe(&place.api, ADDRESS, None).await;
        let named = matches!(&refused, Err(CallError::NeedsPerson { why }) if why.contains(theirs));
        assert!(named, "{refused:?}");
        assert_eq!(place.stand.calls().writes, 5, "the others were asked for, once");
    }
    let list = TiktokShop.subscriptions(&place.api).await.expect("a list");
    for it in &list {
        let address = if it.topic == "PRODUCT_CREATION" { theirs } else { ADDRESS };
        assert_eq!(it.address, address, "{}", it.topic);
    }
    assert_eq!(list.len(), 6);
}

#[tokio::test]
async fn tokens_are_renewed_and_the_old_ones_are_gone() {
    let place = open().await;
    let renewed = TiktokShop.renew(&place.api).expect("a renewal").await.expect("new tokens");
    let settings = place.stand.settings();
    assert_eq!(renewed.access_token, Secret::new(settings.access_token));
    assert_eq!(renewed.refresh_token, Some(Secret::new(settings.refresh_token)));
    let lasts = renewed.lasts.expect("an end").as_secs();
    assert!((604_790..=604_800).contains(&lasts), "{lasts}");
    assert!(is_for_a_person(&place.set(&[quantity(&place.goods[0], 6)]).await[0]));
    let error = TiktokShop.renew(&place.api).expect("a renewal").await.expect_err("an old token");
    assert!(matches!(error, CallError::NeedsPerson { .. }), "{error:?}");
    let fresh = api(&place.stand, Clock::default(), |_| ());
    let outcomes = TiktokShop.set_quantities(&fresh, &[quantity(&place.goods[0], 6)], KEY).await;
    assert_eq!(outcomes, [Outcome::Shown(6)]);
    let without = api(&place.stand, Clock::default(), |account| account.refresh_token = None);
    assert!(TiktokShop.renew(&without).is_none());
}

#[tokio::test]
async fn a_rehearsal_changes_nothing_and_says_what_it_would_have_called() {
    let place = open().await;
    let rehearsal = place.api.for_rehearsal();
    let outcomes = TiktokShop.set_quantities(&rehearsal, &[quantity(&place.goods[0], 6)], KEY).await;
    assert!(matches!(&outcomes[..], [Outcome::Failed(error)] if !error.is_failure()), "{outcomes:?}");
    let calls = rehearsal.rehearsed();
    let good = &place.goods[0];
    let body = json!({ "skus": [
        { "id": good.variant, "inventory": [{ "warehouse_id": "900300", "quantity": 6 }] }
    ] });
    let sent: Value = serde_json::from_str(calls[0].body.as_deref().expect("a body")).expect("JSON");
    assert_eq!((calls.len(), sent), (1, body));
    let path = format!("/product/202309/products/{}/inventory/update?", good.product);
    assert!(calls[0].target.starts_with(&path), "{}", calls[0].target);
    assert_eq!((place.stand.calls().made, place.shown()[0]), (0, (5, 9_000)));
}

#[tokio::test]
async fn the_body_is_signed_as_well() {
    let place = open().await;
    let mut details = place.api.details().clone();
    (details.app, details.account) = (Some("6quay".into()), Some("ROW_quay+1".into()));
    let (token, secret) = (Secret::new("token-1"), Secret::new("app-secret"));
    let now: DateTime<Utc> = DateTime::from_timestamp(1_772_366_400, 0).expect("a time");
    let access = Access { details: &details, token: Some(&token), app_secret: Some(&secret), now };
    let body = r#"{"event_type":"PRODUCT_STATUS_CHANGE"}"#.to_owned();
    let call = look::signed(&access, Method::PUT, "/event/202309/webhooks", &[], Some(body));
    // Made with another program.
    let sign = "&sign=46f96492bc5e63586c213b0a9b480bf364e23a81fe7606c6186846d7ee22e4b6";
    assert!(call.expect("a call").target.ends_with(sign));
}
