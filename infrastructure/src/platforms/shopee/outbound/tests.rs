//! The client against the stand-in, over real HTTP; and what answers mean that the stand-in never gives.
//!
//! Each test is one thing that goes wrong between two shops, and what is left of it for the caller.

mod products;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::http::{HeaderMap, StatusCode};
use chrono::TimeDelta;
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{ConnectionId, Currency, ExternalId, LocationCode, Market, Money},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        super::{
            outbound::{
                Account, Answer, Api, CallError, Handle, Outbound, Outcome, PriceAsk, QuantityAsk, Shown,
                Subscription, http_client,
            },
            sandbox::{Good, Sandbox, Settings},
        },
        Shopee, sandbox,
    },
    call::understood,
    pushes::{WANTED, WANTED_TOO},
};
use crate::{clock::Clock, secrets::Secret};

const KEY: Uuid = Uuid::from_u128(7);
const ADDRESS: &str = "https://quay.example/webhook/shopee/7";

struct Place {
    stand: Sandbox,
    clock: Clock,
    /// Three sizes of a runner, and a bag that is an item without models.
    goods: Vec<Good>,
}

async fn open() -> Place {
    let clock = Clock::default();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let stand =
        Sandbox::open(&sandbox::Shopee, Settings::new(clock.clone()), listen).await.expect("a free port");
    let sizes = [("RUN-41", 12_000, 5), ("RUN-42", 12_000, 5), ("RUN-43", 12_000, 5)];
    let mut goods = stand.seed("Runner", &sizes);
    goods.extend(stand.seed("BAG", &[("BAG", 4_950, 9)]));
    Place { stand, clock, goods }
}

fn usd() -> Currency {
    Currency::new("USD").expect("a currency")
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

impl Place {
    fn account(&self) -> Account {
        let settings = self.stand.settings();
        let details = ConnectionDetails {
            platform: Platform::Shopee,
            name: "Stand".into(),
            brand: "kite".into(),
            account: Some(settings.account),
            app: Some(settings.app),
            endpoint: Some(self.stand.endpoint()),
            platform_location: Some(id(&settings.location)),
            location: LocationCode::default(),
            market: Market::default(),
            currency: usd(),
        };
        Account {
            connection: ConnectionId(Uuid::from_u128(1)),
            details,
            endpoint: self.stand.endpoint(),
            access_token: Some(Secret::new(settings.access_token)),
            refresh_token: Some(Secret::new(settings.refresh_token)),
            app_secret: Some(Secret::new(settings.app_secret)),
            webhook_secrets: vec![],
            api_version: String::new(),
        }
    }

    fn api(&self) -> Api {
        self.api_of(self.account())
    }

    fn api_of(&self, account: Account) -> Api {
        Api::new(http_client().expect("a client"), self.clock.clone(), account, None)
    }

    fn handle(&self, index: usize) -> Handle {
        let (product, variant, inventory) = self.stand.handle(&self.goods[index]);
        Handle { product: id(&product), variant: id(&variant), inventory: inventory.as_deref().map(id) }
    }

    fn ask(&self, index: usize, quantity: i64) -> QuantityAsk {
        QuantityAsk { handle: self.handle(index), quantity, believed: None }
    }

    fn price(&self, index: usize, price: &str) -> PriceAsk {
        PriceAsk { handle: self.handle(index), price: Money::parse(price, usd()).expect("an amount") }
    }

    /// A model of the runner that nobody has.
    fn stranger(&self, quantity: i64) -> QuantityAsk {
        let handle = Handle { variant: id("404"), ..self.handle(0) };
        QuantityAsk { handle, quantity, believed: None }
    }

    async fn set(&self, asks: &[QuantityAsk]) -> Vec<Outcome<i64>> {
        Shopee.set_quantities(&self.api(), asks, KEY).await
    }

    fn quantities(&self) -> Vec<i64> {
        self.stand.goods().iter().map(|good| good.quantity).collect()
    }
}

fn is_never<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::Never { .. }))
}

fn needs_person<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::NeedsPerson { .. }))
}

fn is_failure<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(error) if error.is_failure())
}

#[tokio::test]
async fn stock_and_prices_are_set_and_read_back_with_and_without_models() {
    let place = open().await;
    let outcomes = place.set(&[place.ask(3, 0), place.ask(0, 9), place.ask(2, 7)]).await;
    assert_eq!(outcomes, [Outcome::Shown(0), Outcome::Shown(9), Outcome::Shown(7)]);
    assert_eq!(place.quantities(), [9, 5, 7, 0]);
    assert_eq!(place.stand.calls().writes, 2, "one call for each item");
    let asks = [place.price(1, "119.99"), place.price(3, "1234567.89")];
    let outcomes = Shopee.set_prices(&place.api(), &asks, KEY).await;
    assert_eq!(outcomes, asks.clone().map(|ask| Outcome::Shown(ask.price)));
    let handles = [place.handle(1), place.handle(3), place.handle(0)];
    let read = Shopee.read(&place.api(), &handles).await;
    let shown = |quantity, price| -> Result<Shown, CallError> {
        Ok(Shown { quantity: Some(quantity), price: Some(price) })
    };
    let before = Money::new(12_000, usd()).expect("an amount");
    assert_eq!(read, [shown(5, asks[0].price), shown(0, asks[1].price), shown(9, before)]);
}

#[tokio::test]
async fn fifty_models_of_an_item_go_into_one_call() {
    let place = open().await;
    let skus: Vec<String> = (0..51).map(|size| format!("PIER-{size}")).collect();
    let variants: Vec<(&str, i64, i64)> = skus.iter().map(|sku| (sku.as_str(), 100, 1)).collect();
    let goods = place.stand.seed("Pier", &variants);
    let place = Place { goods, ..place };
    let asks: Vec<_> = (0..51).map(|index| place.ask(index, 2)).collect();
    assert_eq!(place.set(&asks).await, vec![Outcome::Shown(2); 51]);
    assert_eq!(place.stand.calls().writes, 2);
}

#[tokio::test]
async fn an_unknown_model_spoils_nothing_for_the_others() {
    let place = open().await;
    let asks = [place.ask(0, 9), place.stranger(1), place.ask(1, 8), place.ask(2, 7)];
    let outcomes = place.set(&asks).await;
    assert!(is_never(&outcomes[1]), "{outcomes:?}");
    let others = [&outcomes[0], &outcomes[2], &outcomes[3]];
    assert_eq!(others, [&Outcome::Shown(9), &Outcome::Shown(8), &Outcome::Shown(7)]);
    assert_eq!(place.quantities(), [9, 8, 7, 9]);
}

#[tokio::test]
async fn what_is_no_id_or_no_value_of_theirs_never_gets_into_a_call() {
    let place = open().await;
    for nonsense in ["1&item_id=2", "-7", "+7", "007", "0", "9223372036854775808", "gid"] {
        let handle = Handle { variant: id(nonsense), ..place.handle(0) };
        let outcomes = place.set(&[QuantityAsk { handle, quantity: 1, believed: None }]).await;
        assert!(is_never(&outcomes[0]), "{nonsense}");
    }
    assert!(is_never(&place.set(&[place.ask(0, -1)]).await[0]));
    let yen = Money::new(100, Currency::new("JPY").expect("a currency")).expect("an amount");
    let ask = PriceAsk { price: yen, ..place.price(0, "1") };
    assert!(is_never(&Shopee.set_prices(&place.api(), &[ask], KEY).await[0]));
    assert_eq!(place.stand.calls().made, 0);
}

#[tokio::test]
async fn an_item_that_is_gone_or_has_models_is_refused_alone() {
    let place = open().await;
    let handle = Handle { variant: place.handle(0).product, ..place.handle(0) };
    let whole = QuantityAsk { handle, quantity: 3, believed: None };
    assert!(place.stand.remove(&place.goods[3].product));
    let outcomes = place.set(&[whole, place.ask(3, 1), place.ask(0, 4)]).await;
    assert!(is_never(&outcomes[0]) && is_never(&outcomes[1]), "{outcomes:?}");
    assert_eq!(outcomes[2], Outcome::Shown(4));
}

#[tokio::test]
async fn the_same_model_twice_is_set_once_and_asked_again() {
    let place = open().await;
    let outcomes = place.set(&[place.ask(0, 9), place.ask(0, 8)]).await;
    assert_eq!(outcomes[0], Outcome::Shown(9));
    assert!(matches!(outcomes[1], Outcome::Failed(CallError::Again { counts: false, .. })), "{outcomes:?}");
}

#[tokio::test]
async fn single_models_that_are_refused_are_tried_again() {
    let place = open().await;
    let asks = [place.ask(0, 9), place.ask(1, 9), place.ask(2, 9)];
    place.stand.faults().refuse_items_rate(1.0);
    assert!(place.set(&asks).await.iter().all(is_failure), "all of them");
    assert_eq!(place.quantities(), [5, 5, 5, 9]);
    place.stand.faults().refuse_items_rate(0.5);
    let (mut shown, mut refused) = (0, 0);
    for _ in 0..20 {
        let outcomes = place.set(&asks).await;
        shown += outcomes.iter().filter(|outcome| **outcome == Outcome::Shown(9)).count();
        refused += outcomes.iter().filter(|&outcome| is_failure(outcome)).count();
    }
    assert!(shown > 0 && refused > 0 && shown + refused == 60, "{shown} {refused}");
}

#[tokio::test]
async fn too_many_calls_are_no_failure_and_an_outage_is_one() {
    let place = open().await;
    place.stand.faults().throttle_next(1, false);
    let outcomes = place.set(&[place.ask(0, 9)]).await;
    let throttled =
        matches!(outcomes[0], Outcome::Failed(CallError::Again { after: Some(_), counts: false, .. }));
    assert!(throttled, "{outcomes:?}");
    place.stand.faults().down(true);
    assert!(is_failure(&place.set(&[place.ask(0, 9)]).await[0]));
    assert_eq!(place.quantities()[0], 5);
}

#[tokio::test]
async fn wrong_credentials_and_a_wrong_clock_need_a_person() {
    let place = open().await;
    let wrong = || Some(Secret::new("wrong-secret"));
    let changes: [fn(&mut Account, Option<Secret>); 4] = [
        |account, wrong| account.access_token = wrong,
        |account, wrong| account.app_secret = wrong,
        |account, _| account.details.account = Some("1".into()),
        |account, _| account.details.app = Some("1".into()),
    ];
    for change in changes {
        let mut account = place.account();
        change(&mut account, wrong());
        let outcomes = Shopee.set_quantities(&place.api_of(account), &[place.ask(0, 9)], KEY).await;
        assert!(needs_person(&outcomes[0]), "{outcomes:?}");
        assert!(!format!("{outcomes:?}").contains("wrong-secret"));
    }
    let late = Clock::default();
    late.advance(TimeDelta::minutes(-6));
    let api = Api::new(http_client().expect("a client"), late, place.account(), None);
    assert!(needs_person(&Shopee.set_quantities(&api, &[place.ask(0, 9)], KEY).await[0]));
    assert_eq!(place.quantities()[0], 5);
}

#[tokio::test]
async fn what_is_missing_for_a_call_is_named() {
    let place = open().await;
    type Removal = (fn(&mut Account), &'static str);
    let removals: [Removal; 4] = [
        (|account| account.access_token = None, "access token"),
        (|account| account.app_secret = None, "app secret"),
        (|account| account.details.account = None, "shop id"),
        (|account| account.details.app = None, "partner id"),
    ];
    for (remove, missing) in removals {
        let mut account = place.account();
        remove(&mut account);
        let outcomes = Shopee.set_quantities(&place.api_of(account), &[place.ask(0, 9)], KEY).await;
        let named =
            matches!(&outcomes[0], Outcome::Failed(CallError::NeedsPerson { why }) if why.contains(missing));
        assert!(named, "{outcomes:?}");
    }
    let mut account = place.account();
    account.details.platform_location = Some(id("elsewhere"));
    let outcomes = Shopee.set_quantities(&place.api_of(account), &[place.ask(0, 9)], KEY).await;
    assert!(needs_person(&outcomes[0]), "{outcomes:?}");
    assert_eq!(place.quantities()[0], 5);
}

#[tokio::test]
async fn what_is_not_there_or_not_said_is_not_zero() {
    let place = open().await;
    let whole = Handle { variant: place.handle(0).product, ..place.handle(0) };
    let nowhere = Handle { product: id("404"), variant: id("404"), inventory: None };
    let read = Shopee.read(&place.api(), &[whole, place.handle(3), nowhere, place.stranger(1).handle]).await;
    for index in [0, 2, 3] {
        assert!(matches!(read[index], Err(CallError::Never { .. })), "{read:?}");
    }
    assert!(read[1].is_ok(), "{read:?}");
    let mut account = place.account();
    account.details.currency = Currency::new("SGD").expect("a currency");
    account.details.platform_location = Some(id("elsewhere"));
    let read = Shopee.read(&place.api_of(account), &[place.handle(0), place.handle(3)]).await;
    assert_eq!(read, vec![Ok(Shown::default()); 2]);
}

fn answered(status: u16, body: &str) -> Answer {
    let status = StatusCode::from_u16(status).expect("a status");
    Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_a_failure() {
    let place = open().await;
    let api = place.api();
    for body in ["<html>", "", r#"{"error":"","response":{"succ"#, "[]", r#"{"error":7}"#] {
        let said = understood(&api, &answered(200, body));
        assert!(said.is_err_and(|error| error.is_failure()), "{body}");
        let said = understood(&api, &answered(404, body));
        assert!(matches!(said, Err(CallError::Never { .. })), "{body}");
    }
    let said = understood(&api, &answered(200, r#"{"message":"token-of-the-shop","error":"a.error_param"}"#));
    let refusal = said.expect("an answer").refusal.expect("a refusal");
    assert_eq!(refusal.name, "error_param");
    assert!(!format!("{refusal:?}").contains("token-of-the-shop"), "{refusal:?}");
}

#[tokio::test]
async fn a_second_subscription_is_as_good_as_the_first() {
    let place = open().await;
    let api = place.api();
    assert_eq!(Shopee.subscribe(&api, ADDRESS, None).await, Ok(None));
    let writes = place.stand.calls().writes;
    assert_eq!(Shopee.subscribe(&api, ADDRESS, None).await, Ok(None));
    assert_eq!(place.stand.calls().writes, writes, "there is nothing left to ask for");
    let known = Shopee.subscriptions(&api).await.expect("an answer");
    let wanted: Vec<String> = WANTED.iter().chain(&WANTED_TOO).map(i64::to_string).collect();
    assert_eq!(known.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), wanted);
    assert!(known.iter().all(|it| it.address == ADDRESS));
    assert_eq!(known[0].topic, "order_status");
    let refused = Shopee.subscribe(&api, "https://other.example/", None).await;
    assert!(matches!(refused, Err(CallError::NeedsPerson { .. })), "{refused:?}");
    for subscription in known.iter().chain(&known) {
        assert_eq!(Shopee.unsubscribe(&api, subscription).await, Ok(()));
    }
    assert_eq!(Shopee.subscriptions(&api).await, Ok(vec![]));
    assert_eq!(Shopee.subscribe(&api, "https://other.example/", None).await, Ok(None));
}

#[tokio::test]
async fn pushes_that_come_in_at_another_connection_of_ours_are_as_good() {
    let place = open().await;
    let api = place.api();
    place.stand.subscribe("3", ADDRESS);
    let beside = "https://quay.example/webhook/shopee/8";
    assert_eq!(Shopee.subscribe(&api, beside, None).await, Ok(None));
    let known = Shopee.subscriptions(&api).await.expect("an answer");
    assert!(known.len() > 1 && known.iter().all(|it| it.address == ADDRESS), "completed there: {known:?}");
    let of_the_other = Subscription { address: beside.to_owned(), ..known[0].clone() };
    assert_eq!(Shopee.unsubscribe(&api, &of_the_other).await, Ok(()));
    assert_eq!(Shopee.subscriptions(&api).await.as_ref(), Ok(&known), "they are not its to end");
    for strange in [
        "http://quay.example/webhook/shopee/8",
        "https://quay.example:444/webhook/shopee/8",
        "https://quay.example/webhook/8",
        "https://mole.example/webhook/shopee/8",
    ] {
        let refused = Shopee.subscribe(&api, strange, None).await;
        assert!(matches!(refused, Err(CallError::NeedsPerson { .. })), "{strange}: {refused:?}");
    }
}

#[tokio::test]
async fn renewed_tokens_are_good_and_the_old_ones_are_not() {
    let place = open().await;
    let api = place.api();
    let renewed = Shopee.renew(&api).expect("a refresh token").await.expect("new tokens");
    assert_eq!(renewed.lasts, Some(Duration::from_hours(4)));
    let account = Account { access_token: Some(renewed.access_token), ..place.account() };
    let account = Account { refresh_token: renewed.refresh_token, ..account };
    let new = place.api_of(account);
    assert!(needs_person(&Shopee.set_quantities(&api, &[place.ask(0, 9)], KEY).await[0]));
    assert_eq!(Shopee.set_quantities(&new, &[place.ask(0, 9)], KEY).await, [Outcome::Shown(9)]);
    let again = Shopee.renew(&api).expect("a refresh token").await;
    assert!(matches!(again, Err(CallError::NeedsPerson { .. })), "a refresh token is good once: {again:?}");
    assert!(Shopee.renew(&new).expect("a refresh token").await.is_ok());
    let none = Account { refresh_token: None, ..place.account() };
    assert!(Shopee.renew(&place.api_of(none)).is_none());
}

#[tokio::test]
async fn a_rehearsal_changes_nothing() {
    let place = open().await;
    let api = place.api().for_rehearsal();
    let outcomes = Shopee.set_quantities(&api, &[place.ask(0, 9), place.ask(3, 1)], KEY).await;
    assert!(!outcomes.iter().any(|outcome| matches!(outcome, Outcome::Shown(_))));
    let bodies = api.rehearsed().into_iter().filter_map(|call| call.body);
    let bodies: Vec<Value> = bodies.map(|body| serde_json::from_str(&body).expect("JSON")).collect();
    assert_eq!((bodies.len(), place.stand.calls().made), (2, 0));
    assert_eq!(bodies[1]["stock_list"][0]["model_id"], json!(0));
}
