//! The outbound side against the stand-in over real HTTP, and against answers that no stand-in gives.

mod products;

use std::net::{Ipv4Addr, SocketAddr};

use axum::{Router, routing};
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{ConnectionId, ExternalId, LocationCode, Market},
};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::{
    super::{
        super::{
            outbound::{Account, Outbound},
            sandbox::{Good, Sandbox, Settings},
        },
        Clover, sandbox,
    },
    *,
};
use crate::{clock::Clock, platforms::outbound::http_client};

const KEY: Uuid = Uuid::from_u128(7);

struct Place {
    clock: Clock,
    stand: Sandbox,
    goods: Vec<Good>,
}

async fn open() -> Place {
    let clock = Clock::default();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let stand = Sandbox::open(&sandbox::Clover, Settings::new(clock.clone()), listen).await;
    let stand = stand.expect("a free port");
    let sizes = [("RUN-42", 12_000, 5), ("RUN-43", 12_000, 5), ("RUN-44", 12_000, 5)];
    let goods = stand.seed("Runner", &sizes);
    Place { clock, stand, goods }
}

fn account(settings: &Settings, endpoint: String) -> Account {
    let details = ConnectionDetails {
        platform: Platform::Clover,
        name: "Stand".into(),
        brand: "kite".into(),
        account: Some(settings.account.clone()),
        app: Some(settings.app.clone()),
        endpoint: Some(endpoint.clone()),
        platform_location: None,
        location: LocationCode::default(),
        market: Market::default(),
        currency: usd(),
    };
    Account {
        connection: ConnectionId(Uuid::from_u128(1)),
        details,
        endpoint,
        access_token: Some(Secret::new(settings.access_token.clone())),
        refresh_token: Some(Secret::new(settings.refresh_token.clone())),
        app_secret: None,
        webhook_secrets: vec![],
        api_version: String::new(),
    }
}

impl Place {
    fn account(&self) -> Account {
        account(&self.stand.settings(), self.stand.endpoint())
    }

    fn with(&self, account: Account) -> Api {
        Api::new(http_client().expect("a client"), self.clock.clone(), account, None)
    }

    fn api(&self) -> Api {
        self.with(self.account())
    }

    fn at(&self, place: usize) -> Handle {
        let (product, variant, inventory) = self.stand.handle(&self.goods[place]);
        let id = |text: String| ExternalId::new(&text).expect("an id");
        Handle { product: id(product), variant: id(variant), inventory: inventory.map(id) }
    }

    fn shows(&self) -> Vec<(i64, i64)> {
        self.stand.shows().into_values().collect()
    }
}

/// An API that answers everything with the same words.
async fn parrot(status: u16, words: &'static str) -> Api {
    let status = StatusCode::from_u16(status).expect("a status");
    speaking(Router::new().fallback(move || async move { (status, words) })).await
}

/// An API that lists these items, and answers everything else with the same words.
async fn listing(items: &'static str, words: &'static str) -> Api {
    let list = routing::get(move || async move { format!("{{\"elements\":[{items}]}}") });
    let routes = Router::new().route("/v3/merchants/{merchant}/items", list);
    speaking(routes.fallback(move || async move { words })).await
}

async fn speaking(routes: Router) -> Api {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let clock = Clock::default();
    let account = account(&Settings::new(clock.clone()), endpoint);
    Api::new(http_client().expect("a client"), clock, account, None)
}

fn usd() -> Currency {
    Currency::new("USD").expect("a currency")
}

fn handle(id: &str) -> Handle {
    let id = ExternalId::new(id).expect("an id");
    Handle { product: id.clone(), variant: id.clone(), inventory: Some(id) }
}

fn quantity(handle: Handle, quantity: i64) -> QuantityAsk {
    QuantityAsk { handle, quantity, believed: None }
}

fn price(handle: Handle, minor: i64) -> PriceAsk {
    PriceAsk { handle, price: Money::new(minor, usd()).expect("an amount") }
}

fn never<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::Never { .. }))
}

fn failed<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(error) if error.is_failure())
}

fn for_a_person<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::NeedsPerson { .. }))
}

#[tokio::test]
async fn quantities_and_prices_are_set_item_by_item_and_read_back_in_one_call() {
    let place = open().await;
    let api = place.api();
    let quantities = [quantity(place.at(0), 9), quantity(place.at(2), 0)];
    let outcomes = Clover.set_quantities(&api, &quantities, KEY).await;
    assert_eq!(outcomes, [Outcome::Shown(9), Outcome::Shown(0)]);
    let prices = [price(place.at(0), 12_999), price(place.at(1), 5)];
    let outcomes = Clover.set_prices(&api, &prices, KEY).await;
    assert_eq!(outcomes, [Outcome::Shown(prices[0].price), Outcome::Shown(prices[1].price)]);
    assert_eq!(place.shows(), [(9, 12_999), (5, 5), (0, 12_000)]);
    assert_eq!(place.stand.calls().writes, 4);
    let read = Clover.read(&api, &[place.at(2), place.at(0)]).await;
    let shown = |quantity, minor| Shown { quantity: Some(quantity), price: Money::new(minor, usd()).ok() };
    assert_eq!(read, [Ok(shown(0, 12_000)), Ok(shown(9, 12_999))]);
    assert_eq!(place.stand.calls().made, 4 + 2, "items are looked at before their quantities are set");
}

#[tokio::test]
async fn what_is_set_again_is_shown_again() {
    let place = open().await;
    for _ in 0..2 {
        let outcomes = Clover.set_quantities(&place.api(), &[quantity(place.at(0), 9)], KEY).await;
        assert_eq!(outcomes, [Outcome::Shown(9)]);
    }
    assert_eq!(place.shows()[0], (9, 12_000));
}

#[tokio::test]
async fn an_item_that_is_not_there_or_could_never_be_spoils_nothing_for_the_others() {
    let place = open().await;
    let api = place.api();
    let bad = ["404", "../orders", "A','B", "\u{e9}"];
    let asks: Vec<_> = bad.iter().map(|id| handle(id)).chain([place.at(1)]).collect();
    let quantities: Vec<_> = asks.iter().map(|ask| quantity(ask.clone(), 7)).collect();
    let outcomes = Clover.set_quantities(&api, &quantities, KEY).await;
    assert!(outcomes[..4].iter().all(never), "{outcomes:?}");
    assert_eq!(outcomes[4], Outcome::Shown(7));
    let prices: Vec<_> = asks.iter().map(|ask| price(ask.clone(), 700)).collect();
    let outcomes = Clover.set_prices(&api, &prices, KEY).await;
    assert!(outcomes[..4].iter().all(never), "{outcomes:?}");
    assert_eq!(outcomes[4], Outcome::Shown(prices[4].price));
    assert_eq!(place.stand.calls().made, 4, "what could never be there is neither looked at nor set");
    let read = Clover.read(&api, &asks).await;
    assert!(read[..4].iter().all(|read| matches!(read, Err(CallError::Never { .. }))), "{read:?}");
    assert_eq!(read[4], Ok(Shown { quantity: Some(7), price: Some(prices[4].price) }));
    assert_eq!(place.stand.calls().made, 5);
    assert_eq!(place.shows(), [(5, 12_000), (7, 700), (5, 12_000)]);
}

#[tokio::test]
async fn more_than_a_hundred_items_are_read_in_several_calls_and_in_order() {
    let place = open().await;
    let skus: Vec<_> = (0..205_i64).map(|number| (format!("MANY-{number}"), number)).collect();
    let many: Vec<_> = skus.iter().map(|(sku, number)| (sku.as_str(), 100, *number)).collect();
    let goods = place.stand.seed("Many", &many);
    let handles: Vec<_> = goods.iter().rev().map(|good| handle(&good.variant)).collect();
    let read = Clover.read(&place.api(), &handles).await;
    let quantities: Vec<_> = read.into_iter().map(|shown| shown.expect("it is there").quantity).collect();
    assert_eq!(quantities, (0..205).rev().map(Some).collect::<Vec<_>>());
    assert_eq!(place.stand.calls().made, 3);
    assert!(Clover.read(&place.api(), &[]).await.is_empty());
}

#[tokio::test]
async fn a_failed_call_is_the_outcome_of_its_own_item_alone() {
    let place = open().await;
    let asks: Vec<_> = (0..3).map(|at| price(place.at(at), 800)).collect();
    place.stand.faults().fail_next(1, 500);
    let outcomes = Clover.set_prices(&place.api(), &asks, KEY).await;
    assert_eq!(outcomes.iter().filter(|outcome| failed(outcome)).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Shown(asks[0].price)).count(), 2);
    let unchanged: Vec<_> = place.shows().iter().map(|(_, price)| *price == 12_000).collect();
    assert_eq!(unchanged, outcomes.iter().map(failed).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_set_all_the_same() {
    let place = open().await;
    let asks = [quantity(place.at(0), 8), quantity(place.at(1), 7)];
    place.stand.faults().fail_next(1, 500);
    let outcomes = Clover.set_quantities(&place.api(), &asks, KEY).await;
    assert_eq!(outcomes, [Outcome::Shown(8), Outcome::Shown(7)]);
    assert_eq!((place.stand.calls().made, place.shows()[0].0), (3, 8));
}

#[tokio::test]
async fn being_asked_to_wait_is_no_failure() {
    let place = open().await;
    let asks = [quantity(place.at(0), 8)];
    for silent in [false, true] {
        place.stand.faults().no_retry_after(silent);
        place.stand.faults().throttle_next(1, true);
        let outcomes = Clover.set_quantities(&place.api(), &asks, KEY).await;
        let second = (!silent).then_some(Duration::from_secs(1));
        let [Outcome::Failed(CallError::Again { after, counts: false, .. })] = &outcomes[..] else {
            panic!("{outcomes:?}")
        };
        assert_eq!(*after, second);
    }
    assert_eq!(place.shows()[0], (5, 12_000));
    assert_eq!(Clover.limits(), [Limit { calls: 16, within: Duration::from_secs(1) }]);
}

#[tokio::test]
async fn without_good_credentials_a_person_is_needed() {
    let place = open().await;
    let asks = [quantity(place.at(0), 8)];
    let mut stranger = place.account();
    stranger.access_token = Some(Secret::new("another"));
    let outcomes = Clover.set_quantities(&place.with(stranger), &asks, KEY).await;
    assert!(outcomes.iter().all(for_a_person), "{outcomes:?}");
    assert_eq!(place.stand.calls().made, 1);
    let mut nobody = place.account();
    nobody.details.account = None;
    let mut keyless = place.account();
    keyless.access_token = None;
    for account in [nobody, keyless] {
        let api = place.with(account);
        assert!(Clover.set_quantities(&api, &asks, KEY).await.iter().all(for_a_person));
        let prices = [price(place.at(0), 1)];
        assert!(Clover.set_prices(&api, &prices, KEY).await.iter().all(for_a_person));
        let read = Clover.read(&api, &[place.at(0)]).await;
        assert!(matches!(read[..], [Err(CallError::NeedsPerson { .. })]), "{read:?}");
    }
    assert_eq!(place.stand.calls().made, 1, "nothing is called without them");
}

#[tokio::test]
async fn an_answer_that_does_not_show_what_was_set_is_no_success() {
    for words in [
        "<html>",
        "{}",
        "null",
        "{\"item\":{\"id\":\"A1\"},\"quantity\":8",
        "{\"item\":{\"id\":\"A1\"},\"quantity\":8.5}",
        "{\"item\":{\"id\":\"B2\"},\"quantity\":8}",
        "{\"id\":\"A1\",\"price\":801}",
        "{\"id\":\"B2\",\"price\":800}",
    ] {
        let api = parrot(200, words).await;
        let outcomes = Clover.set_quantities(&api, &[quantity(handle("A1"), 8)], KEY).await;
        assert!(outcomes.iter().all(failed), "{words}: {outcomes:?}");
        let outcomes = Clover.set_prices(&api, &[price(handle("A1"), 800)], KEY).await;
        assert!(outcomes.iter().all(failed), "{words}: {outcomes:?}");
        let read = Clover.read(&api, &[handle("A1")]).await;
        assert!(read[0].as_ref().is_err_and(CallError::is_failure), "{words}: {read:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_for_good_if_clover_explains_it() {
    let asks = [quantity(handle("A1"), 8)];
    for (status, words, good) in [
        (400, "{\"message\":\"not so many\"}", true),
        (404, "{\"message\":\"no item\"}", true),
        (400, "<html>what?</html>", false),
        (409, "{\"message\":\"in use\"}", false),
    ] {
        let api = parrot(status, words).await;
        let outcomes = Clover.set_quantities(&api, &asks, KEY).await;
        assert_eq!((outcomes.iter().all(never), outcomes.iter().all(failed)), (good, !good), "{words}");
        let read = Clover.read(&api, &[handle("A1")]).await;
        assert!(read[0].as_ref().is_err_and(CallError::is_failure), "a list that is refused shows nothing");
    }
}

#[tokio::test]
async fn where_nothing_is_and_nobody_speaks_as_clover_does_the_endpoint_is_wrong() {
    for words in ["", "<html>no such page</html>"] {
        let api = parrot(404, words).await;
        let outcomes = Clover.set_quantities(&api, &[quantity(handle("A1"), 8)], KEY).await;
        assert!(outcomes.iter().all(for_a_person), "{words}: {outcomes:?}");
        let outcomes = Clover.set_prices(&api, &[price(handle("A1"), 800)], KEY).await;
        let [Outcome::Failed(CallError::NeedsPerson { why })] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert!(why.contains("endpoint"), "{words}: {why}");
        let read = Clover.read(&api, &[handle("A1")]).await;
        assert!(matches!(read[..], [Err(CallError::NeedsPerson { .. })]), "{words}: {read:?}");
    }
}

#[tokio::test]
async fn what_is_hidden_or_deleted_is_told_nothing() {
    for mark in ["hidden", "deleted"] {
        let gone: &str = format!("{{\"id\":\"A1\",\"price\":800,\"{mark}\":true}}").leak();
        let set = "{\"item\":{\"id\":\"A1\"},\"quantity\":8}";
        let asks = [quantity(handle("A1"), 8)];
        let outcomes = Clover.set_quantities(&listing(gone, set).await, &asks, KEY).await;
        assert!(outcomes.iter().all(never), "{mark}: {outcomes:?}");
        let there = listing("{\"id\":\"A1\",\"hidden\":false}", set).await;
        assert_eq!(Clover.set_quantities(&there, &asks, KEY).await, [Outcome::Shown(8)]);
        let outcomes = Clover.set_prices(&parrot(200, gone).await, &[price(handle("A1"), 800)], KEY).await;
        assert!(outcomes.iter().all(never), "{mark}: {outcomes:?}");
    }
}

#[tokio::test]
async fn unknown_is_not_zero() {
    let list = "{\"elements\":[
        {\"id\":\"A1\",\"price\":0,\"priceType\":\"VARIABLE\",\"itemStock\":{\"item\":{\"id\":\"A1\"}}},
        {\"id\":\"A2\",\"price\":250},
        {\"id\":\"A3\",\"price\":250,\"itemStock\":{\"quantity\":-0.5}},
        {\"id\":\"A4\",\"price\":250,\"itemStock\":{\"quantity\":\"many\"}},
        {\"id\":\"A5\",\"price\":250,\"hidden\":true}]}";
    let api = parrot(200, list).await;
    let asked = ["A1", "A2", "A3", "A4", "A5", "A6"].map(handle);
    let read = Clover.read(&api, &asked).await;
    let price = Money::new(250, usd()).ok();
    assert_eq!(read[0], Ok(Shown::default()));
    assert_eq!(read[1], Ok(Shown { quantity: None, price }));
    assert_eq!(read[2], Ok(Shown { quantity: Some(-1), price }));
    assert!(read[3].as_ref().is_err_and(CallError::is_failure));
    assert!(read[4..].iter().all(|read| matches!(read, Err(CallError::Never { .. }))), "{read:?}");
    let read = Clover.read(&api, &asked[..1]).await;
    assert!(read[0].as_ref().is_err_and(CallError::is_failure), "nobody has filtered");
}

#[tokio::test]
async fn a_price_that_could_not_be_shown_is_refused() {
    let place = open().await;
    let euros = Money::new(1_000, Currency::new("EUR").expect("a currency")).expect("an amount");
    let asks = [PriceAsk { handle: place.at(0), price: euros }];
    let outcomes = Clover.set_prices(&place.api(), &asks, KEY).await;
    assert!(outcomes.iter().all(never), "{outcomes:?}");
    assert_eq!(place.stand.calls().made, 0);
    let api = parrot(200, "{\"id\":\"A1\",\"price\":800,\"priceType\":\"VARIABLE\"}").await;
    let outcomes = Clover.set_prices(&api, &[price(handle("A1"), 800)], KEY).await;
    assert!(outcomes.iter().all(never), "{outcomes:?}");
}

#[tokio::test]
async fn tokens_are_renewed_and_the_old_ones_are_no_good() {
    let place = open().await;
    let old = place.account();
    let api = place.api();
    let renewed = Clover.renew(&api).expect("a refresh token").await.expect("a new pair");
    let lasts = renewed.lasts.expect("an end");
    assert!((Duration::from_secs(1_790)..=Duration::from_secs(1_800)).contains(&lasts), "{lasts:?}");
    assert_eq!(renewed.access_token.reveal(), place.stand.settings().access_token);
    let asks = [quantity(place.at(0), 8)];
    assert!(Clover.set_quantities(&api, &asks, KEY).await.iter().all(for_a_person));
    let again = Clover.renew(&api).expect("a refresh token").await;
    assert!(matches!(again, Err(CallError::NeedsPerson { .. })), "it is good for once");
    let mut new = old.clone();
    (new.access_token, new.refresh_token) = (Some(renewed.access_token), renewed.refresh_token);
    let api = place.with(new);
    assert_eq!(Clover.set_quantities(&api, &asks, KEY).await, [Outcome::Shown(8)]);
    assert!(Clover.renew(&api).expect("a refresh token").await.is_ok());
    assert!(Clover.renew(&place.with(Account { refresh_token: None, ..old })).is_none());
}

#[tokio::test]
async fn a_renewal_that_cannot_be_understood_gives_no_token() {
    for words in ["<html>", "{}", "{\"access_token\":\" \"}"] {
        let renewed = Clover.renew(&parrot(200, words).await).expect("a refresh token").await;
        assert!(renewed.as_ref().is_err_and(CallError::is_failure), "{words}: {renewed:?}");
    }
    let refused = Clover.renew(&parrot(400, "{}").await).expect("a refresh token").await;
    assert!(matches!(refused, Err(CallError::NeedsPerson { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_rehearsal_reads_and_changes_nothing() {
    let place = open().await;
    let api = place.api().for_rehearsal();
    let outcomes = Clover.set_quantities(&api, &[quantity(place.at(0), 8)], KEY).await;
    assert!(matches!(outcomes[..], [Outcome::Failed(CallError::Again { counts: false, .. })]));
    assert!(Clover.read(&api, &[place.at(0)]).await[0].is_ok());
    let rehearsed = api.rehearsed();
    let [call] = &rehearsed[..] else { panic!("{rehearsed:?}") };
    let target = format!("/v3/merchants/700100/item_stocks/{}", place.goods[0].variant);
    assert_eq!((call.target.as_str(), call.body.as_deref()), (target.as_str(), Some("{\"quantity\":8}")));
    assert_eq!((place.shows()[0], place.stand.calls().writes), ((5, 12_000), 0));
}
