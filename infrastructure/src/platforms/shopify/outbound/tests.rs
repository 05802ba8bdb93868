//! The client against the stand-in shop, over real HTTP.
//!
//! Each test is one thing that goes wrong between two shops, and what is left of it for the caller.

mod products;
mod scripted;

use std::time::Duration;

use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{ConnectionId, Currency, ExternalId, LocationCode, Market, Money},
};
use uuid::Uuid;

use super::{
    super::{
        super::outbound::{Account, Api, CallError, Handle, Outcome, PriceAsk, QuantityAsk},
        sandbox::{CostBucket, ProductIds, SandboxShop, SeedProduct, SeedVariant, ShopSettings},
    },
    quantities::QUANTITIES_MAX,
    subscriptions::TOPICS,
    *,
};
use crate::{clock::Clock, secrets::Secret};

const KEY: Uuid = Uuid::from_u128(7);

struct Place {
    sandbox: SandboxShop,
    ids: ProductIds,
    api: Api,
}

fn client(timeout: Duration) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(timeout).build().expect("a client")
}

async fn open_with(bucket: CostBucket, timeout: Duration) -> Place {
    let settings = ShopSettings {
        domain: "quay-side.myshopify.com".to_owned(),
        access_token: "token".to_owned(),
        webhook_secret: "secret".to_owned(),
        api_version: "2026-04".to_owned(),
        location_id: 31,
        bucket,
    };
    let sandbox = SandboxShop::start(settings, ([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let size = |size: &str| SeedVariant {
        sku: format!("PIER-{size}"),
        option1: size.to_owned(),
        price: "120".to_owned(),
        quantity: 5,
    };
    let variants = ["40", "41", "42"].map(size).to_vec();
    let ids = sandbox.seed(SeedProduct { title: "Pier".to_owned(), variants, ..SeedProduct::default() });
    let api = api(&sandbox.base_url(), "2026-04", timeout, "token");
    Place { sandbox, ids, api }
}

async fn open() -> Place {
    open_with(CostBucket::default(), Duration::from_secs(5)).await
}

fn api(endpoint: &str, version: &str, timeout: Duration, token: &str) -> Api {
    let details = ConnectionDetails {
        platform: Platform::Shopify,
        name: "Quay side".to_owned(),
        brand: "kite".to_owned(),
        account: None,
        app: None,
        endpoint: None,
        platform_location: Some(ExternalId::from(31)),
        location: LocationCode::default(),
        market: Market::default(),
        currency: Currency::new("USD").expect("a currency"),
    };
    let account = Account {
        connection: ConnectionId(Uuid::from_u128(1)),
        details,
        endpoint: endpoint.to_owned(),
        access_token: Some(Secret::new(token)),
        refresh_token: None,
        app_secret: None,
        webhook_secrets: vec![],
        api_version: version.to_owned(),
    };
    Api::new(client(timeout), Clock::default(), account, None)
}

fn handle(variant: impl Into<ExternalId>, inventory: impl Into<ExternalId>) -> Handle {
    Handle { product: 404.into(), variant: variant.into(), inventory: Some(inventory.into()) }
}

impl Place {
    fn shop(&self) -> Shop<'_> {
        Shop::new(&self.api)
    }

    fn handle(&self, index: usize) -> Handle {
        let ids = &self.ids.variants[index];
        Handle { product: self.ids.product_id.into(), ..handle(ids.variant_id, ids.inventory_item_id) }
    }

    fn ask(&self, index: usize, quantity: i64, believed: Option<i64>) -> QuantityAsk {
        QuantityAsk { handle: self.handle(index), quantity, believed }
    }

    fn price(&self, index: usize, price: &str) -> PriceAsk {
        let usd = Currency::new("USD").expect("a currency");
        PriceAsk { handle: self.handle(index), price: Money::parse(price, usd).expect("an amount") }
    }

    fn shown(&self) -> Vec<i64> {
        self.sandbox.shows().iter().map(|variant| variant.available).collect()
    }

    fn prices(&self) -> Vec<String> {
        self.sandbox.shows().into_iter().map(|variant| variant.price).collect()
    }

    async fn set(&self, asks: &[QuantityAsk]) -> Vec<Outcome<i64>> {
        self.shop().set_quantities(asks, KEY).await
    }
}

fn nowhere() -> Handle {
    handle(404, 404)
}

#[tokio::test]
async fn quantities_are_set_and_read_back() {
    let place = open().await;
    let outcomes = place.set(&[place.ask(0, 9, Some(5)), place.ask(2, 0, Some(5))]).await;
    assert_eq!(outcomes, [Outcome::Shown(9), Outcome::Shown(0)]);
    assert_eq!(place.shown(), [9, 5, 0]);
    let read = place.shop().read(&[place.handle(0), place.handle(1), nowhere()]).await;
    let quantities: Vec<_> =
        read.iter().map(|shown| shown.as_ref().ok().and_then(|it| it.quantity)).collect();
    assert_eq!(quantities, [Some(9), Some(5), None]);
    let usd = Currency::new("USD").expect("a currency");
    let price = read[0].as_ref().ok().and_then(|shown| shown.price);
    assert_eq!(price, Some(Money::parse("120", usd).expect("an amount")));
    assert!(matches!(read[2], Err(CallError::Never { .. })), "{read:?}");
}

#[tokio::test]
async fn what_nobody_remembers_is_looked_up_first_in_one_query() {
    let place = open().await;
    let unknown = QuantityAsk { handle: nowhere(), quantity: 1, believed: None };
    let asks = [place.ask(0, 7, None), unknown, place.ask(1, 5, None)];
    let outcomes = place.set(&asks).await;
    assert_eq!((&outcomes[0], &outcomes[2]), (&Outcome::Shown(7), &Outcome::Shown(5)));
    assert!(matches!(outcomes[1], Outcome::Failed(CallError::Never { .. })), "{outcomes:?}");
    let calls = place.sandbox.calls().graphql;
    assert_eq!((calls["nodes"], calls["inventorySetQuantities"]), (1, 1));
}

#[tokio::test]
async fn a_quantity_that_is_shown_already_is_shown() {
    let place = open().await;
    assert_eq!(place.set(&[place.ask(0, 5, Some(5))]).await, [Outcome::Shown(5)]);
}

#[tokio::test]
async fn a_stale_belief_reports_what_is_shown_and_changes_nothing() {
    let place = open().await;
    place.sandbox.buy(&[("PIER-40".to_owned(), 2)]).await.expect("five are shown");
    assert_eq!(place.set(&[place.ask(0, 8, Some(5))]).await, [Outcome::Stale { observed: 3 }]);
    assert_eq!(place.shown()[0], 3);
    assert_eq!(place.set(&[place.ask(0, 8, Some(3))]).await, [Outcome::Shown(8)]);
}

#[tokio::test]
async fn a_refused_item_spoils_nothing_for_the_others() {
    let place = open().await;
    assert!(place.sandbox.unstock_by_hand("PIER-42").await);
    let unknown = QuantityAsk { handle: nowhere(), quantity: 1, believed: Some(0) };
    let nonsense = ExternalId::new("gid://shopify/Product/1").expect("an id");
    let nonsense = QuantityAsk { handle: handle(1, nonsense), quantity: 1, believed: Some(0) };
    let asks = [
        unknown,
        place.ask(0, 9, Some(5)),
        nonsense,
        place.ask(1, 9, Some(4)),
        place.ask(2, 1, Some(0)),
        place.ask(2, i64::MAX, Some(0)),
    ];
    let outcomes = place.set(&asks).await;
    assert_eq!((&outcomes[1], &outcomes[3]), (&Outcome::Shown(9), &Outcome::Stale { observed: 5 }));
    for place in [0, 2, 4, 5] {
        assert!(matches!(outcomes[place], Outcome::Failed(CallError::Never { .. })), "{outcomes:?}");
    }
    assert_eq!(place.shown(), [9, 5, 0]);
}

#[tokio::test]
async fn the_same_item_twice_is_set_once_and_asked_another_time() {
    let place = open().await;
    let spelt = |ask: QuantityAsk| {
        let inventory = ask.handle.inventory.and_then(|it| gid("InventoryItem", &it)).expect("an id");
        let inventory = Some(ExternalId::new(&inventory).expect("an id"));
        QuantityAsk { handle: Handle { inventory, ..place.handle(0) }, ..ask }
    };
    let too_many = place.ask(0, i64::MAX, Some(5));
    let mut asks = vec![too_many, place.ask(0, 9, Some(5)), spelt(place.ask(0, 8, Some(5)))];
    let unknown = |id| QuantityAsk { handle: handle(1, 900_000 + id), quantity: 1, believed: Some(0) };
    asks.extend((0..QUANTITIES_MAX as u64).map(unknown));
    asks.push(place.ask(0, 7, None));
    let outcomes = place.set(&asks).await;
    assert_eq!(outcomes[1], Outcome::Shown(9), "what cannot be sent stands in nobody's way");
    let later = Outcome::Failed(CallError::later());
    assert_eq!((&outcomes[2], outcomes.last()), (&later, Some(&later)));
    let calls = place.sandbox.calls().graphql;
    assert_eq!((place.shown()[0], calls.get("nodes")), (9, None));
}

#[tokio::test]
async fn staleness_that_names_no_item_is_found_out_item_by_item() {
    let place = open().await;
    place.sandbox.blur_staleness(true);
    place.sandbox.buy(&[("PIER-41".to_owned(), 2)]).await.expect("five are shown");
    let asks = [place.ask(0, 9, Some(5)), place.ask(1, 8, Some(5)), place.ask(2, 7, Some(5))];
    let outcomes = place.set(&asks).await;
    assert_eq!(outcomes, [Outcome::Shown(9), Outcome::Stale { observed: 3 }, Outcome::Shown(7)]);
    assert_eq!(place.shown(), [9, 3, 7]);
}

#[tokio::test]
async fn throttling_is_no_failure_and_says_when() {
    let place = open().await;
    for as_429 in [false, true] {
        place.sandbox.faults().throttle_next(1, as_429);
        let outcomes = place.set(&[place.ask(0, 9, Some(5))]).await;
        let Outcome::Failed(CallError::Again { after: Some(after), counts: false, .. }) = &outcomes[0] else {
            panic!("{outcomes:?}");
        };
        assert!(*after >= Duration::from_millis(100) && *after <= Duration::from_secs(1), "{after:?}");
    }
    assert_eq!(place.set(&[place.ask(0, 9, Some(5))]).await, [Outcome::Shown(9)]);
}

#[tokio::test]
async fn a_call_that_would_be_throttled_is_not_made() {
    let bucket = CostBucket { maximum_available: 25.0, restore_rate: 1.0 };
    let place = open_with(bucket, Duration::from_secs(5)).await;
    let first = place.set(&[place.ask(0, 9, Some(5))]).await;
    let second = place.set(&[place.ask(0, 4, Some(9))]).await;
    let third = place.shop().set_quantities(&[place.ask(0, 3, Some(4))], KEY).await;
    assert_eq!((&first[0], &second[0]), (&Outcome::Shown(9), &Outcome::Shown(4)));
    let Outcome::Failed(CallError::Again { after: Some(after), counts: false, .. }) = &third[0] else {
        panic!("{third:?}");
    };
    assert!(*after > Duration::from_secs(4) && *after < Duration::from_secs(11), "{after:?}");
    assert_eq!(place.sandbox.calls().throttled, 0);
}

#[tokio::test]
async fn an_answer_lost_after_the_change_ends_in_the_right_value() {
    let place = open_with(CostBucket::default(), Duration::from_secs(1)).await;
    let ask = [place.ask(0, 9, Some(5))];
    place.sandbox.faults().time_out_after_applying_next(1);
    let lost = place.set(&ask).await;
    assert!(matches!(lost[0], Outcome::Failed(CallError::Again { counts: true, .. })), "{lost:?}");
    assert_eq!(place.shown()[0], 9);
    assert_eq!(place.set(&ask).await, [Outcome::Shown(9)], "under the same key");
    let again = place.shop().set_quantities(&ask, Uuid::from_u128(8)).await;
    assert_eq!(again, [Outcome::Shown(9)], "under another key");
    let unsure = place.shop().set_quantities(&[place.ask(0, 9, None)], KEY).await;
    assert_eq!((unsure, place.shown()[0]), (vec![Outcome::Shown(9)], 9));
}

#[tokio::test]
async fn a_repetition_waits_for_the_call_under_way() {
    let place = open().await;
    place.sandbox.faults().delay(200);
    let ask = [place.ask(0, 9, Some(5))];
    let (one, other) = tokio::join!(place.set(&ask), place.set(&ask));
    let waits = |outcome: &Outcome<i64>| {
        matches!(outcome, Outcome::Failed(CallError::Again { after: Some(_), counts: false, .. }))
    };
    assert!(waits(&one[0]) != waits(&other[0]), "{one:?} {other:?}");
    assert!(one.contains(&Outcome::Shown(9)) || other.contains(&Outcome::Shown(9)));
}

#[tokio::test]
async fn a_wrong_token_needs_a_person_and_is_not_told() {
    let place = open().await;
    for token in ["shpat_wrong", "shpat_wrong\n"] {
        let api = api(&place.sandbox.base_url(), "2026-04", Duration::from_secs(5), token);
        let outcomes = Shop::new(&api).set_quantities(&[place.ask(0, 9, Some(5))], KEY).await;
        assert!(matches!(outcomes[0], Outcome::Failed(CallError::NeedsPerson { .. })), "{outcomes:?}");
        assert!(!format!("{outcomes:?}{api:?}").contains("shpat"));
    }
}

#[tokio::test]
async fn a_wrong_address_needs_a_person() {
    let place = open().await;
    for (endpoint, version) in [("nonsense", "2026-04"), (&place.sandbox.base_url(), "1999-01")] {
        let api = api(endpoint, version, Duration::from_secs(5), "token");
        let read = Shop::new(&api).read(&[place.handle(0)]).await;
        assert!(matches!(read[0], Err(CallError::NeedsPerson { .. })), "{read:?}");
    }
}

#[tokio::test]
async fn a_shop_that_is_down_is_tried_again() {
    let place = open().await;
    let failed =
        |outcome: &Outcome<i64>| matches!(outcome, Outcome::Failed(CallError::Again { counts: true, .. }));
    let asks = [place.ask(0, 9, Some(5)), place.ask(1, 9, None)];
    place.sandbox.faults().down(true);
    assert!(place.set(&asks).await.iter().all(failed));
    place.sandbox.faults().clear();
    place.sandbox.faults().drop_connection_rate(1.0);
    assert!(place.set(&asks).await.iter().all(failed));
    place.sandbox.faults().clear();
    assert_eq!(place.set(&asks).await, [Outcome::Shown(9), Outcome::Shown(9)]);
    place.sandbox.stop().await;
    assert!(place.set(&asks).await.iter().all(failed));
}

#[tokio::test]
async fn a_bad_price_fails_alone() {
    let place = open().await;
    let stranger =
        PriceAsk { handle: Handle { variant: 404.into(), ..place.handle(1) }, ..place.price(1, "80") };
    let lost = PriceAsk { handle: Handle { product: 404.into(), ..place.handle(2) }, ..place.price(2, "70") };
    let good = place.price(0, "99.9");
    let outcomes = place.shop().set_prices(&[stranger, good.clone(), lost]).await;
    assert_eq!(outcomes[1], Outcome::Shown(good.price));
    for place in [0, 2] {
        assert!(matches!(outcomes[place], Outcome::Failed(CallError::Never { .. })), "{outcomes:?}");
    }
    assert_eq!(place.prices(), ["99.90", "120.00", "120.00"]);
    assert_eq!(place.sandbox.calls().graphql["productVariantsBulkUpdate"], 2);
}

#[tokio::test]
async fn prices_of_one_product_go_in_one_call() {
    let place = open().await;
    let asks = [place.price(2, "10"), place.price(0, "11"), place.price(1, "12.5")];
    let outcomes = place.shop().set_prices(&asks).await;
    assert_eq!(outcomes, asks.map(|ask| Outcome::Shown(ask.price)));
    assert_eq!(place.prices(), ["11.00", "12.50", "10.00"]);
    assert_eq!(place.sandbox.calls().graphql["productVariantsBulkUpdate"], 1);
}

#[tokio::test]
async fn a_second_subscription_is_as_good_as_the_first() {
    let place = open().await;
    let uri = "https://onhand.example/hooks";
    for _ in 0..2 {
        assert_eq!(place.shop().subscribe(uri).await, Ok(()));
    }
    let known = place.shop().subscriptions().await.expect("the shop answers");
    assert_eq!(known.len(), TOPICS.len());
    assert!(known.iter().all(|it| it.address == uri && TOPICS.contains(&it.topic.as_str())), "{known:?}");
    for _ in 0..2 {
        assert_eq!(place.shop().unsubscribe(&known[0].id).await, Ok(()));
    }
    assert_eq!(place.shop().subscriptions().await.map(|known| known.len()), Ok(TOPICS.len() - 1));
    let refused = place.shop().subscribe("ftp://onhand.example").await;
    assert!(matches!(refused, Err(CallError::Never { .. })), "{refused:?}");
}

#[tokio::test]
async fn more_than_a_call_takes_goes_in_several() {
    let place = open().await;
    let asks: Vec<_> = (0..=QUANTITIES_MAX as u64)
        .map(|id| QuantityAsk { handle: handle(1, 900_000 + id), quantity: 1, believed: None })
        .collect();
    let outcomes = place.set(&asks).await;
    assert_eq!(outcomes.len(), asks.len());
    assert_eq!(place.sandbox.calls().graphql["nodes"], 2);
}

#[test]
fn only_an_id_of_the_kind_becomes_a_global_id() {
    let id = |text: &str| gid("Location", &ExternalId::new(text).expect("an id"));
    assert_eq!(id("31").as_deref(), Some("gid://shopify/Location/31"));
    assert_eq!(id("gid://shopify/Location/31").as_deref(), Some("gid://shopify/Location/31"));
    assert_eq!(id("18446744073709551615").as_deref(), Some("gid://shopify/Location/18446744073709551615"));
    for other in ["gid://shopify/Product/31", "31a", "-1", "gid://shopify/Location/", "31\"}"] {
        assert_eq!(id(other), None, "{other}");
    }
    for other in ["0", "007", "+7", "gid://shopify/Location/031", "18446744073709551616"] {
        assert_eq!(id(other), None, "{other}");
    }
}
