//! The API against its stand-in, over real HTTP: what is shown afterwards, and what is said of what went wrong.

mod odd;
mod products;

use std::net::{Ipv4Addr, SocketAddr};

use chrono::TimeDelta;
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{ConnectionId, Currency, LocationCode, Market},
};

use super::{
    super::{Trackstar, sandbox},
    *,
};
use crate::{
    clock::Clock,
    platforms::{
        outbound::{Account, Outbound, http_client},
        sandbox::{Good, Sandbox, Settings, Wire},
    },
    secrets::Secret,
};

const KEY: Uuid = Uuid::from_u128(7);

struct Place {
    clock: Clock,
    stand: Sandbox,
    goods: Vec<Good>,
    api: Api,
}

fn account(settings: &Settings, endpoint: &str) -> Account {
    let details = ConnectionDetails {
        platform: Platform::Trackstar,
        name: "Pier".into(),
        brand: "kite".into(),
        account: Some(settings.account.clone()),
        app: None,
        endpoint: Some(endpoint.to_owned()),
        platform_location: Some(id(&settings.location)),
        location: LocationCode::default(),
        market: Market::default(),
        currency: Currency::new("USD").expect("a currency"),
    };
    Account {
        connection: ConnectionId(Uuid::from_u128(1)),
        details,
        endpoint: endpoint.to_owned(),
        access_token: Some(Secret::new(settings.access_token.clone())),
        refresh_token: None,
        app_secret: Some(Secret::new(settings.app_secret.clone())),
        webhook_secrets: vec![],
        api_version: String::new(),
    }
}

/// Three sizes, of which there are 5, 7 and 9.
async fn open() -> Place {
    open_with(&sandbox::Trackstar).await
}

/// The same in other words.
async fn open_with(wire: &'static dyn Wire) -> Place {
    let clock = Clock::default();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let stand = Sandbox::open(wire, Settings::new(clock.clone()), listen).await;
    let stand = stand.expect("a stand-in opens");
    let variants = [("PIER-40", 12_000, 5), ("PIER-41", 12_000, 7), ("PIER-42", 12_950, 9)];
    let goods = stand.seed("Pier", &variants);
    let api = api(account(&stand.settings(), &stand.endpoint()), &clock);
    Place { clock, stand, goods, api }
}

fn api(account: Account, clock: &Clock) -> Api {
    Api::new(http_client().expect("a client"), clock.clone(), account, None)
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

fn ask(handle: Handle, quantity: i64) -> QuantityAsk {
    QuantityAsk { handle, quantity, believed: None }
}

fn usd(minor: i64) -> Money {
    Money { minor, currency: Currency::new("USD").expect("a currency") }
}

impl Place {
    fn in_cart(&self, index: usize) -> Handle {
        let (product, variant, inventory) = self.stand.handle(&self.goods[index]);
        Handle { product: id(&product), variant: id(&variant), inventory: inventory.as_deref().map(id) }
    }

    /// The same good, by the ids of a warehouse's `product`.
    fn in_warehouse(&self, index: usize) -> Handle {
        let number = &self.goods[index].variant;
        let product = id(&format!("prod_{number}"));
        Handle { variant: product.clone(), product, inventory: Some(id(&format!("inv_{number}"))) }
    }

    fn shows(&self) -> Vec<i64> {
        self.stand.shows().into_values().map(|(quantity, _)| quantity).collect()
    }

    async fn set(&self, asks: &[QuantityAsk], key: Uuid) -> Vec<Outcome<i64>> {
        Trackstar.set_quantities(&self.api, asks, key).await
    }

    async fn set_one(&self, handle: Handle, quantity: i64, key: Uuid) -> Outcome<i64> {
        let mut outcomes = self.set(&[ask(handle, quantity)], key).await;
        outcomes.pop().expect("an outcome for each ask")
    }

    async fn read(&self, handles: &[Handle]) -> Vec<Result<Shown, CallError>> {
        Trackstar.read(&self.api, handles).await
    }
}

fn is_never(outcome: &Outcome<i64>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::Never { .. }))
}

fn needs_person(outcome: &Outcome<i64>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::NeedsPerson { .. }))
}

fn has_failed(outcome: &Outcome<i64>) -> bool {
    matches!(outcome, Outcome::Failed(error) if error.is_failure())
}

#[tokio::test]
async fn carts_are_set_and_warehouses_are_moved_up_and_down() {
    let place = open().await;
    let asks = [
        ask(place.in_cart(0), 0),
        ask(place.in_warehouse(1), 12),
        ask(place.in_warehouse(2), 1),
        ask(place.in_warehouse(2), 1),
    ];
    assert_eq!(place.set(&asks[..3], KEY).await, [0, 12, 1].map(Outcome::Shown));
    assert_eq!(place.shows(), [0, 12, 1]);
    let writes = place.stand.calls().writes;
    assert_eq!(place.set(&asks[3..], KEY).await, [Outcome::Shown(1)]);
    assert_eq!(place.stand.calls().writes, writes, "no difference, no call");
}

#[tokio::test]
async fn a_bad_item_fails_alone() {
    let place = open().await;
    let mut gone = place.in_cart(0);
    (gone.variant, gone.inventory) = (id("404"), Some(id("404")));
    let mut parent = place.in_cart(0);
    (parent.variant, parent.inventory) = (parent.product.clone(), Some(parent.product.clone()));
    let mut upwards = place.in_cart(0);
    (upwards.variant, upwards.inventory) = (id(".."), Some(id("..")));
    let kit = Handle { inventory: None, ..place.in_warehouse(0) };
    let asks = [gone, parent, upwards, kit, place.in_warehouse(0), place.in_cart(1)].map(|it| ask(it, 3));
    let outcomes = place.set(&asks, KEY).await;
    assert!(outcomes[..4].iter().all(is_never), "{outcomes:?}");
    assert_eq!(outcomes[4..], [Outcome::Shown(3), Outcome::Shown(3)]);
    assert_eq!(place.shows(), [3, 3, 9]);
    assert!(is_never(&place.set_one(place.in_cart(2), -1, KEY).await));
}

#[tokio::test]
async fn a_move_whose_answer_is_lost_is_not_made_again() {
    let place = open().await;
    let item = place.in_warehouse(0);
    let target = format!("{}/adjust", Thing::of(&item).expect("a thing").target());
    place.stand.faults().drop_after_applying_rate(1.0);
    let lost = write(&place.api, target, adjustment(&place.api, "decrease", 3), KEY).await;
    assert!(lost.is_err_and(|error| error.is_failure()));
    place.stand.faults().clear();
    assert_eq!(place.set_one(item, 2, KEY).await, Outcome::Shown(2));
    assert_eq!((place.shows(), place.stand.calls().writes), (vec![2, 7, 9], 1));
}

#[tokio::test]
async fn attempts_from_one_record_have_one_key() {
    let place = open().await;
    let item = place.in_warehouse(0);
    let asks = [ask(item.clone(), 2), ask(item.clone(), 2), ask(item.clone(), 2), ask(item, 2)];
    // All look before any of them has written.
    place.stand.faults().delay(200);
    let outcomes = place.set(&asks, KEY).await;
    assert_eq!(outcomes, [2, 2, 2, 2].map(Outcome::Shown));
    assert_eq!(place.shows(), [2, 7, 9], "5 less 3, once");
    assert_eq!(place.stand.calls().writes, 4);
}

#[tokio::test]
async fn stock_that_has_come_back_is_moved_again() {
    let place = open().await;
    for attempt in [1, 2, 3] {
        // In another second, by which the record is known to be another one.
        place.clock.advance(TimeDelta::hours(1));
        place.stand.edit_quantity("PIER-40", 5);
        let outcome = place.set_one(place.in_warehouse(0), 2, Uuid::from_u128(attempt)).await;
        assert_eq!(outcome, Outcome::Shown(2), "attempt {attempt}");
        assert_eq!(place.shows(), [2, 7, 9]);
    }
}

#[tokio::test]
async fn an_answer_that_was_given_before_confirms_nothing() {
    let place = open().await;
    let again = async |edited| {
        place.stand.edit_quantity("PIER-40", edited);
        let outcome = place.set_one(place.in_cart(0), 1, KEY).await;
        (outcome, place.shows()[0], place.stand.calls().writes)
    };
    assert_eq!(again(5).await, (Outcome::Shown(1), 1, 1));
    assert_eq!(again(1).await, (Outcome::Shown(1), 1, 2), "it was applied, and nobody heard");
    assert_eq!(again(6).await, (Outcome::Shown(1), 1, 4), "once more under another key");
    assert_eq!(again(8).await, (Outcome::Stale { observed: 8 }, 8, 6), "both keys are known");
}

#[tokio::test]
async fn a_warehouse_that_holds_something_else_than_believed_is_left_alone() {
    let place = open().await;
    let believed = |believed| QuantityAsk { believed: Some(believed), ..ask(place.in_warehouse(0), 2) };
    assert_eq!(place.set(&[believed(6)], KEY).await, [Outcome::Stale { observed: 5 }]);
    assert_eq!(place.stand.calls().writes, 0);
    assert_eq!(place.set(&[believed(5)], KEY).await, [Outcome::Shown(2)]);
    assert_eq!(place.set(&[believed(5)], KEY).await, [Outcome::Shown(2)], "it was applied, and nobody heard");
}

#[tokio::test]
async fn what_is_shown_is_read_in_one_call_and_what_a_list_lacks_is_asked_for_alone() {
    let place = open().await;
    let mut handles: Vec<_> = (0..3).map(|index| place.in_cart(index)).collect();
    let cart =
        |quantity, price| Ok::<_, CallError>(Shown { quantity: Some(quantity), price: Some(usd(price)) });
    let shown = [cart(5, 12_000), cart(7, 12_000), cart(9, 12_950)];
    assert_eq!(place.read(&handles).await, shown);
    assert_eq!(place.stand.calls().made, 1);
    (handles[1].variant, handles[1].inventory) = (id("404"), Some(id("404")));
    let read = place.read(&handles).await;
    assert!(matches!(read[1], Err(CallError::Never { .. })), "{read:?}");
    assert_eq!((&read[0], &read[2]), (&shown[0], &shown[2]));
    assert_eq!(place.stand.calls().made, 3);
    let kit = Handle { inventory: None, ..place.in_warehouse(2) };
    let warehouse = [
        Ok::<_, CallError>(Shown { quantity: Some(5), price: None }),
        Ok(Shown { quantity: None, price: Some(usd(12_950)) }),
    ];
    assert_eq!(place.read(&[place.in_warehouse(0), kit]).await, warehouse);
}

#[tokio::test]
async fn many_are_read_in_several_lists() {
    let place = open().await;
    let skus: Vec<_> = (0..IDS_MAX + 2).map(|number| format!("QUAY-{number}")).collect();
    let variants: Vec<_> = skus.iter().map(|sku| (sku.as_str(), 100, 4)).collect();
    let goods = place.stand.seed("Quay", &variants);
    let handles: Vec<_> = (0..goods.len())
        .map(|index| {
            let variant = id(&goods[index].variant);
            Handle { product: id(&goods[index].product), inventory: Some(variant.clone()), variant }
        })
        .collect();
    let read = place.read(&handles).await;
    assert_eq!(read.len(), handles.len());
    assert!(read.iter().all(|it| matches!(it, Ok(Shown { quantity: Some(4), .. }))));
    assert_eq!(place.stand.calls().made, 2);
}

#[test]
fn places_are_told_apart_and_what_is_not_counted_is_not_nothing() {
    let figure = |sort, record: Value, place: Option<&str>| {
        let record: Record = serde_json::from_value(record).expect("a record");
        record.figure(sort, place.map(id).as_ref()).map_err(|error| error.is_failure())
    };
    let item = json!({ "id": "1", "fulfillable": 9, "inventory_by_warehouse_id": {
        "east": { "onhand": 8, "fulfillable": "5" }, "west": null
    }});
    assert_eq!(figure(Sort::Item, item.clone(), Some("east")), Ok(Some(5)));
    assert_eq!(figure(Sort::Item, item.clone(), Some("west")), Ok(None));
    assert_eq!(figure(Sort::Item, item.clone(), Some("quay")), Ok(None));
    assert_eq!(figure(Sort::Item, item, None), Ok(Some(9)));
    for record in [
        json!({ "id": "1", "fulfillable": 9, "inventory": 9 }),
        json!({ "id": "1", "fulfillable": 9, "inventory": 9, "inventory_by_warehouse_id": {} }),
    ] {
        for sort in [Sort::Item, Sort::Variant] {
            assert_eq!(figure(sort, record.clone(), Some("east")), Ok(None), "{sort:?}: {record}");
            assert_eq!(figure(sort, record.clone(), None), Ok(Some(9)), "{sort:?}: {record}");
        }
    }
    let variant = json!({ "id": "1", "inventory": null, "inventory_by_warehouse_id": null });
    assert_eq!(figure(Sort::Variant, variant, Some("east")), Ok(None));
    assert_eq!(figure(Sort::Variant, json!({ "id": "1", "inventory": 1.5 }), None), Err(true));
}

#[test]
fn a_warehouse_that_adds_what_it_should_take_away_needs_a_person() {
    assert_eq!(moved(2, 5, 2), Ok(Outcome::Shown(2)));
    assert_eq!(moved(1, 5, 2), Ok(Outcome::Stale { observed: 1 }));
    assert!(matches!(moved(8, 5, 2), Err(CallError::NeedsPerson { .. })));
}

#[tokio::test]
async fn each_status_says_what_to_do_next() {
    let place = open().await;
    let faults = place.stand.faults();
    let answered = async |status| {
        faults.fail_next(1, status);
        place.set_one(place.in_cart(0), 1, KEY).await
    };
    for status in [401, 403, 501] {
        let outcome = answered(status).await;
        assert!(needs_person(&outcome), "{status}: {outcome:?}");
    }
    for status in [404, 422] {
        let outcome = answered(status).await;
        assert!(is_never(&outcome), "{status}: {outcome:?}");
    }
    // A success that says nothing is none.
    for status in [200, 400, 500, 503] {
        let outcome = answered(status).await;
        assert!(has_failed(&outcome), "{status}: {outcome:?}");
    }
    let running = Outcome::Failed(CallError::wait(RUNNING, "Trackstar answered 409 Conflict"));
    assert_eq!(answered(409).await, running);
    faults.throttle_next(1, true);
    let throttled = place.set_one(place.in_cart(0), 1, KEY).await;
    assert!(matches!(throttled, Outcome::Failed(CallError::Again { after: Some(_), counts: false, .. })));
    assert_eq!(place.shows(), [5, 7, 9]);
}

#[tokio::test]
async fn what_the_shop_says_is_passed_on_and_credentials_are_not() {
    let place = open().await;
    let settings = place.stand.settings();
    let mut account = account(&settings, &place.stand.endpoint());
    account.details.platform_location = Some(id("elsewhere"));
    let elsewhere = api(account.clone(), &place.clock);
    let outcomes = Trackstar.set_quantities(&elsewhere, &[ask(place.in_cart(0), 1)], KEY).await;
    let why = "the system behind Trackstar answered 400 Bad Request: There is no such warehouse";
    assert_eq!(outcomes, [Outcome::Failed(CallError::never(why))]);
    account.access_token = Some(Secret::new("another"));
    let refused = Trackstar.read(&api(account.clone(), &place.clock), &[place.in_cart(0)]).await;
    assert!(matches!(&refused[0], Err(CallError::NeedsPerson { why }) if !why.contains("another")));
    account.app_secret = None;
    let made = place.stand.calls().made;
    let lacking = Trackstar.read(&api(account, &place.clock), &[place.in_cart(0), place.in_cart(1)]).await;
    assert!(lacking.iter().all(|it| matches!(it, Err(CallError::NeedsPerson { .. }))), "{lacking:?}");
    assert_eq!(place.stand.calls().made, made);
}

#[tokio::test]
async fn prices_are_refused_without_a_call_and_a_rehearsal_writes_nothing() {
    let place = open().await;
    let asks = [PriceAsk { handle: place.in_cart(0), price: usd(9_900) }];
    let outcomes = Trackstar.set_prices(&place.api, &asks, KEY).await;
    assert!(matches!(outcomes[..], [Outcome::Failed(CallError::Never { .. })]));
    assert_eq!(place.stand.calls().made, 0);
    let rehearsal = place.api.for_rehearsal();
    Trackstar.set_quantities(&rehearsal, &[ask(place.in_warehouse(0), 1)], KEY).await;
    let calls = rehearsal.rehearsed();
    let body = calls[0].body.as_deref().expect("a body");
    let body: Value = serde_json::from_str(body).expect("JSON");
    let location = place.stand.settings().location;
    let less = json!({ "quantity": 4, "adjustment_type": "decrease", "warehouse_id": location });
    assert_eq!((calls.len(), body), (1, less));
    assert_eq!(place.shows(), [5, 7, 9]);
}
