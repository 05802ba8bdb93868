//! The client against the stand-in, over real HTTP; and against answers that the stand-in would not give.

mod products;

use std::net::{Ipv4Addr, SocketAddr};

use axum::{Router, http::header::CONTENT_TYPE};
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{ConnectionId, Currency, ExternalId, LocationCode, Market, Money},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::{errors::Problem, open::Open, *};
use crate::{
    clock::Clock,
    platforms::{
        outbound::{Account, CallError, Handle, Outcome, PriceAsk, QuantityAsk, Shown, http_client},
        sandbox::{Good, Sandbox, Settings},
    },
    secrets::Secret,
};

const KEY: Uuid = Uuid::from_u128(7);
const ADDRESS: &str = "https://hooks.quayside.example/webhook/square/7";

async fn stand_with(settings: Settings) -> Sandbox {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Sandbox::open(&super::super::sandbox::Square, settings, listen).await.expect("a free port")
}

/// A stand-in with one product in two sizes, and our side of the line.
async fn stand() -> (Sandbox, Vec<Good>, Api) {
    let clock = Clock::default();
    let stand = stand_with(Settings::new(clock.clone())).await;
    let goods = stand.seed("Runner", &[("RUN-41", 12_000, 5), ("RUN-42", 12_500, 5)]);
    let api = api(account(&stand), &clock);
    (stand, goods, api)
}

fn account(stand: &Sandbox) -> Account {
    let settings = stand.settings();
    let details = ConnectionDetails {
        platform: Platform::Square,
        name: "Quay Side".into(),
        brand: "Quay".into(),
        account: Some(settings.account),
        app: Some(settings.app),
        endpoint: Some(stand.endpoint()),
        platform_location: Some(id(&settings.location)),
        location: LocationCode::default(),
        market: Market::default(),
        currency: usd(),
    };
    Account {
        connection: ConnectionId(Uuid::from_u128(1)),
        details,
        endpoint: stand.endpoint(),
        access_token: Some(Secret::new(settings.access_token)),
        refresh_token: Some(Secret::new(settings.refresh_token)),
        app_secret: Some(Secret::new(settings.app_secret)),
        webhook_secrets: vec![],
        api_version: String::new(),
    }
}

fn api(account: Account, clock: &Clock) -> Api {
    Api::new(http_client().expect("a client"), clock.clone(), account, None)
}

/// Our side of a line on which every call is answered with these words.
async fn answered(words: Value) -> (Sandbox, Api) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let routes = Router::new().fallback(move || {
        let text = words.to_string();
        async move { ([(CONTENT_TYPE, "application/json")], text) }
    });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let clock = Clock::default();
    let stand = stand_with(Settings::new(clock.clone())).await;
    let account = Account { endpoint, ..account(&stand) };
    (stand, api(account, &clock))
}

fn usd() -> Currency {
    Currency::new("USD").expect("a currency")
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

fn money(minor: i64) -> Money {
    Money::new(minor, usd()).expect("an amount")
}

fn handle(variation: &str) -> Handle {
    Handle { product: id("I1"), variant: id(variation), inventory: Some(id(variation)) }
}

fn ask(variation: &str, quantity: i64) -> QuantityAsk {
    QuantityAsk { handle: handle(variation), quantity, believed: None }
}

fn ask_price(variation: &str, minor: i64) -> PriceAsk {
    PriceAsk { handle: handle(variation), price: money(minor) }
}

fn is_never<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::Never { .. }))
}

fn has_failed<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::Again { counts: true, .. }))
}

#[tokio::test]
async fn what_is_set_is_shown_and_read_back() {
    let (stand, goods, api) = stand().await;
    let (first, second) = (goods[0].variant.as_str(), goods[1].variant.as_str());
    let outcomes = set_quantities(&api, &[ask(first, 9), ask(second, 5), ask(first, 8)], KEY).await;
    // The second is as it was; the third is of what the first was about.
    let later = CallError::later;
    assert_eq!(outcomes, [Outcome::Shown(9), Outcome::Shown(5), Outcome::Failed(later())]);
    let asks = [ask_price(first, 13_375), ask_price(second, 12_500), ask_price(second, 1)];
    let outcomes = set_prices(&api, &asks, KEY).await;
    let shown = [13_375, 12_500].map(|minor| Outcome::Shown(money(minor)));
    assert_eq!((&outcomes[..2], &outcomes[2]), (&shown[..], &Outcome::Failed(later())));
    let shows = stand.shows();
    assert_eq!((shows["RUN-41"], shows["RUN-42"]), ((9, 13_375), (5, 12_500)));
    let sizes: Vec<_> = stand.goods().iter().map(|good| format!("{} {}", good.sku, good.size)).collect();
    assert_eq!(sizes, ["RUN-41 41", "RUN-42 42"], "all else stays");
    let shown = read(&api, &[handle(first), handle("404")]).await;
    assert_eq!(shown[0], Ok(Shown { quantity: Some(9), price: Some(money(13_375)) }));
    assert!(matches!(shown[1], Err(CallError::Never { .. })), "{shown:?}");
}

#[tokio::test]
async fn more_than_a_hundred_are_several_calls_and_all_pages_are_read() {
    let (stand, _, api) = stand().await;
    let skus: Vec<_> = (0..101).map(|number| format!("KELP-{number}")).collect();
    let variants: Vec<_> = skus.iter().map(|sku| (sku.as_str(), 5_000, 5)).collect();
    let goods = stand.seed("Kelp", &variants);
    let mut asks: Vec<_> =
        goods.iter().zip(10..).map(|(good, quantity)| ask(&good.variant, quantity)).collect();
    asks.push(ask(&goods[0].variant, 7));
    let outcomes = set_quantities(&api, &asks, KEY).await;
    assert_eq!(outcomes[..101], (10..111).map(Outcome::Shown).collect::<Vec<_>>());
    assert_eq!(outcomes[101], Outcome::Failed(CallError::later()), "the first one went through");
    assert_eq!(stand.calls().made, 2);
    let handles: Vec<_> = goods.iter().map(|good| handle(&good.variant)).collect();
    let shown = read(&api, &handles).await;
    let quantities: Vec<_> = shown.into_iter().map(|shown| shown.expect("it is there").quantity).collect();
    assert_eq!(quantities, (10..111).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_that_is_not_there_spoils_nothing() {
    let (stand, goods, api) = stand().await;
    let (first, second) = (goods[0].variant.as_str(), goods[1].variant.as_str());
    let outcomes = set_quantities(&api, &[ask(first, 9), ask("404", 1), ask(second, 0)], KEY).await;
    assert_eq!((&outcomes[0], &outcomes[2]), (&Outcome::Shown(9), &Outcome::Shown(0)));
    assert!(is_never(&outcomes[1]), "{outcomes:?}");
    let asks = [ask_price(first, 99), ask_price("404", 99), ask_price(&goods[0].product, 99)];
    let outcomes = set_prices(&api, &asks, KEY).await;
    assert_eq!(outcomes[0], Outcome::Shown(money(99)));
    assert!(is_never(&outcomes[1]) && is_never(&outcomes[2]), "{outcomes:?}");
    assert_eq!(stand.shows()["RUN-41"], (9, 99));
}

#[tokio::test]
async fn what_square_could_never_take_is_not_sent() {
    let (stand, goods, api) = stand().await;
    let first = goods[0].variant.as_str();
    let outcomes = set_quantities(&api, &[ask("#new", 1), ask("../x", 1), ask(first, -1)], KEY).await;
    assert!(outcomes.iter().all(is_never), "{outcomes:?}");
    let yen = Money::new(900, Currency::new("JPY").expect("a currency")).expect("an amount");
    let asks = [PriceAsk { handle: handle(first), price: yen }, ask_price("#new", 900)];
    let outcomes = set_prices(&api, &asks, KEY).await;
    assert!(outcomes.iter().all(is_never), "{outcomes:?}");
    assert!(matches!(read(&api, &[handle("#new")]).await[..], [Err(CallError::Never { .. })]));
    assert_eq!(stand.calls().made, 0);
}

#[tokio::test]
async fn a_price_that_is_shown_already_is_no_update_of_the_catalogue() {
    let (stand, goods, api) = stand().await;
    let outcomes = set_prices(&api, &[ask_price(&goods[0].variant, 12_000)], KEY).await;
    assert_eq!((outcomes, stand.calls().made), (vec![Outcome::Shown(money(12_000))], 1));
}

#[tokio::test]
async fn what_is_refused_for_now_is_tried_again() {
    let (stand, goods, api) = stand().await;
    stand.faults().refuse_items_rate(1.0);
    let (first, second) = (goods[0].variant.as_str(), goods[1].variant.as_str());
    let counted = set_quantities(&api, &[ask(first, 9), ask(second, 9)], KEY).await;
    assert!(counted.iter().all(has_failed), "{counted:?}");
    let asks = [ask_price(first, 99), ask_price(second, 99)];
    let priced = set_prices(&api, &asks, KEY).await;
    assert!(priced.iter().all(has_failed), "{priced:?}");
    stand.faults().clear();
    assert_eq!(set_prices(&api, &asks, KEY).await, [Outcome::Shown(money(99)), Outcome::Shown(money(99))]);
    assert_eq!(stand.shows()["RUN-42"], (5, 99));
}

#[tokio::test]
async fn too_many_calls_wait_and_a_success_that_says_nothing_has_failed() {
    let (stand, goods, api) = stand().await;
    let asks = [ask(&goods[0].variant, 9)];
    stand.faults().throttle_next(1, true);
    let outcomes = set_quantities(&api, &asks, KEY).await;
    let waits = matches!(outcomes[..], [Outcome::Failed(CallError::Again { counts: false, .. })]);
    assert!(waits, "{outcomes:?}");
    stand.faults().fail_next(1, 200);
    assert!(has_failed(&set_quantities(&api, &asks, KEY).await[0]));
    assert_eq!(set_quantities(&api, &asks, KEY).await, [Outcome::Shown(9)]);
}

#[tokio::test]
async fn what_is_lacking_needs_a_person() {
    let (stand, goods, api_before) = stand().await;
    let wrong = Account { access_token: Some(Secret::new("another")), ..account(&stand) };
    let mut nowhere = account(&stand);
    nowhere.details.platform_location = None;
    let mut elsewhere = account(&stand);
    elsewhere.details.platform_location = Some(id("L404"));
    for account in [wrong, nowhere, elsewhere] {
        let api = api(account, &Clock::default());
        let outcomes = set_quantities(&api, &[ask(&goods[0].variant, 9)], KEY).await;
        let person = matches!(outcomes[..], [Outcome::Failed(CallError::NeedsPerson { .. })]);
        assert!(person, "{outcomes:?}");
    }
    assert_eq!(set_quantities(&api_before, &[ask(&goods[0].variant, 9)], KEY).await, [Outcome::Shown(9)]);
}

#[tokio::test]
async fn the_counts_in_the_answer_say_what_was_applied() {
    let count = |state: &str, location: &str, quantity: &str| json!({ "catalog_object_id": "V1", "location_id": location, "state": state, "quantity": quantity });
    let (_stand, api) = answered(json!({
        "counts": [count("SOLD", "900300", "9"), count("IN_STOCK", "1", "9"), count("IN_STOCK", "900300", "8.5")],
    }))
    .await;
    let outcomes = set_quantities(&api, &[ask("V1", 9), ask("V2", 9)], KEY).await;
    assert_eq!(outcomes[0], Outcome::Stale { observed: 8 }, "something was sold since");
    assert!(has_failed(&outcomes[1]), "nothing is said of it: {outcomes:?}");
}

#[test]
fn who_is_to_blame_is_found_by_halves() {
    let problem = |code: &str, field: Value| -> Problem {
        serde_json::from_value(json!({ "code": code, "detail": "no", "field": field })).expect("a problem")
    };
    let otherwise = CallError::failed("nothing is said");
    let (mut open, mut fine, mut over, mut calls) = (Open::new((0..100).collect()), vec![], vec![], 0);
    while let Some(things) = open.next() {
        calls += 1;
        if things.contains(&70) {
            let things = things.into_iter().enumerate().collect();
            over.extend(open.refused(things, &[problem("INVALID_VALUE", json!(null))], &otherwise));
        } else {
            fine.extend(things);
        }
    }
    assert!(matches!(over[..], [(70, CallError::Never { .. })]), "{over:?}");
    assert!(fine.len() == 99 && calls < 16, "{calls} calls");

    let named = problem("NOT_FOUND", json!("changes[1].physical_count.catalog_object_id"));
    let over = open.refused(vec![(0, 5), (1, 6), (2, 7)], &[named], &otherwise);
    assert!(matches!(over[..], [(6, CallError::Never { .. })]), "{over:?}");
    assert_eq!((open.next(), open.next()), (Some(vec![5, 7]), None));
    let stale = problem("VERSION_MISMATCH", json!("version"));
    assert!(stale.meaning().is_failure() && !stale.is_about_all());
    for (field, of_the_connection) in [
        ("changes[0].physical_count.location_id", true),
        ("location_ids", true),
        ("location_ids[0]", true),
        ("object.present_at_location_ids[0]", false),
        ("location_overrides[0].price_money", false),
    ] {
        let person = matches!(problem("NOT_FOUND", json!(field)).meaning(), CallError::NeedsPerson { .. });
        assert_eq!(person, of_the_connection, "{field}");
    }
    assert!(problem("RATE_LIMITED", json!(null)).is_about_all());
}

#[tokio::test]
async fn what_is_set_for_all_locations_leaves_the_price_of_one_as_it_is() {
    let (stand, goods, api_there) = stand().await;
    let first = goods[0].variant.as_str();
    let mut nowhere = account(&stand);
    nowhere.details.platform_location = None;
    let api_nowhere = api(nowhere, &Clock::default());
    let shown = |minor: i64| vec![Outcome::Shown(money(minor))];
    assert_eq!(set_prices(&api_there, &[ask_price(first, 99)], KEY).await, shown(99));
    let made = stand.calls().made;
    assert_eq!(set_prices(&api_nowhere, &[ask_price(first, 12_000)], KEY).await, shown(12_000));
    assert_eq!(stand.calls().made, made + 1, "the price for all locations is what it was");
    assert_eq!(set_prices(&api_nowhere, &[ask_price(first, 150)], KEY).await, shown(150));
    assert_eq!(stand.shows()["RUN-41"].1, 99, "nobody has undone it");
    let read = read(&api_there, &[handle(first)]).await;
    assert_eq!(read, [Ok(Shown { quantity: Some(5), price: Some(money(99)) })]);
    let made = stand.calls().made;
    assert_eq!(set_prices(&api_there, &[ask_price(first, 99)], KEY).await, shown(99));
    assert_eq!(stand.calls().made, made + 1, "there is nothing left to set");
}

#[tokio::test]
async fn counts_that_are_refused_say_of_nothing_that_it_is_missing() {
    let (stand, goods, _) = stand().await;
    let mut elsewhere = account(&stand);
    elsewhere.details.platform_location = Some(id("L404"));
    let api_elsewhere = api(elsewhere, &Clock::default());
    let shown = read(&api_elsewhere, &[handle(&goods[0].variant)]).await;
    assert!(matches!(shown[..], [Err(CallError::NeedsPerson { .. })]), "{shown:?}");
    let priced = set_prices(&api_elsewhere, &[ask_price(&goods[0].variant, 99)], KEY).await;
    assert!(matches!(priced[..], [Outcome::Failed(CallError::NeedsPerson { .. })]), "{priced:?}");

    let variation = json!({ "id": "V1", "item_variation_data": {} });
    let problem = json!({ "category": "INVALID_REQUEST_ERROR", "code": "INVALID_VALUE", "field": "states" });
    let (_stand, api) = answered(json!({ "objects": [variation], "errors": [problem] })).await;
    let shown = read(&api, &[handle("V1"), handle("V2")]).await;
    assert!(shown[0].as_ref().is_err_and(CallError::is_failure), "{shown:?}");
    assert!(matches!(shown[1], Err(CallError::Never { .. })), "the catalogue has none: {shown:?}");
}

#[tokio::test]
async fn an_address_is_told_once_and_its_key_is_found_again() {
    let (stand, _, api) = stand().await;
    let key = subscribe(&api, ADDRESS, None).await.expect("it is taken").expect("Square chooses a key");
    assert_eq!(subscribe(&api, ADDRESS, Some(&key)).await, Ok(None));
    assert_eq!(subscribe(&api, ADDRESS, None).await, Ok(Some(key.clone())), "for whoever has lost it");
    let told = subscriptions(&api).await.expect("a list");
    assert_eq!((told.len(), &told[0].address[..]), (5, ADDRESS));

    assert_eq!(unsubscribe(&api, &told[0]).await, Ok(()));
    let left = subscriptions(&api).await.expect("a list");
    assert_eq!(left, told[1..], "the other topics go on");
    let off = http_client().expect("a client").put(format!("{}{}", stand.endpoint(), path_of(&told[0].id)));
    let off =
        off.bearer_auth(stand.settings().access_token).json(&json!({ "subscription": { "enabled": false } }));
    assert_eq!(off.send().await.expect("an answer").status(), 200);
    assert_eq!(subscriptions(&api).await, Ok(vec![]));
    assert_eq!(subscribe(&api, ADDRESS, Some(&key)).await, Ok(None), "completed and switched on again");
    assert_eq!(subscriptions(&api).await.expect("a list").len(), 5);
    assert_eq!(subscribe(&api, ADDRESS, None).await, Ok(Some(key)), "with the key it had");
}

fn path_of(id: &str) -> String {
    format!("/v2/webhooks/subscriptions/{id}")
}

#[tokio::test]
async fn a_renewed_token_goes_on_where_the_old_one_ends() {
    let (stand, goods, old) = stand().await;
    let refresh = Secret::new(stand.settings().refresh_token);
    let renewed = renew(&old, &refresh).await.expect("a new token");
    assert_eq!(renewed.refresh_token, Some(refresh.clone()));
    let days = renewed.lasts.expect("it ends").as_secs_f64() / 86_400.0;
    assert!((29.9..=30.0).contains(&days), "{days} days");
    let asks = [ask(&goods[0].variant, 9)];
    let refused = set_quantities(&old, &asks, KEY).await;
    assert!(matches!(refused[..], [Outcome::Failed(CallError::NeedsPerson { .. })]), "{refused:?}");
    let account = Account { access_token: Some(renewed.access_token), ..account(&stand) };
    let new = api(account, &Clock::default());
    assert_eq!(set_quantities(&new, &asks, KEY).await, [Outcome::Shown(9)]);
    let refused = renew(&new, &Secret::new("another")).await;
    assert!(matches!(refused, Err(CallError::NeedsPerson { .. })), "{refused:?}");
    let words = json!({ "errors": [{ "code": "INTERNAL_SERVER_ERROR", "detail": refresh.reveal() }] });
    let (_stand, api) = answered(words).await;
    let refused = renew(&api, &refresh).await.expect_err("no token");
    assert!(refused.is_failure() && !refused.to_string().contains(refresh.reveal()), "{refused:?}");
}
