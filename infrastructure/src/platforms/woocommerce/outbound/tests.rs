//! The adapter against the stand-in shop, over real HTTP: what is asked is shown, and each thing that goes wrong
//! becomes what is to be done about it.

mod products;
mod told;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{ConnectionId, Currency, ExternalId, LocationCode, Market, Money},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{Woocommerce, sandbox},
    listing::Listing,
};
use crate::{
    clock::Clock,
    platforms::{
        adapter::{Adapter, Hint},
        fact::Fact,
        outbound::{
            Account, Api, CallError, Handle, Outbound, Outcome, PriceAsk, QuantityAsk, Shown, http_client,
        },
        sandbox::{Good, Sandbox, Settings},
    },
    secrets::Secret,
};

const KEY: Uuid = Uuid::from_u128(7);
const KEYS: &str = "ck_stand:cs_stand";

struct Place {
    stand: Sandbox,
    api: Api,
}

async fn open() -> Place {
    let settings = Settings { access_token: KEYS.into(), ..Settings::new(Clock::default()) };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let stand = Sandbox::open(&sandbox::Woocommerce, settings, listen).await.expect("a stand-in opens");
    let api = api(&stand, Some(KEYS));
    Place { stand, api }
}

fn api(stand: &Sandbox, keys: Option<&str>) -> Api {
    let details = ConnectionDetails {
        platform: Platform::Woocommerce,
        name: "Stand".into(),
        brand: "kite".into(),
        account: None,
        app: None,
        endpoint: Some(stand.endpoint()),
        platform_location: None,
        location: LocationCode::default(),
        market: Market::default(),
        currency: usd(),
    };
    let account = Account {
        connection: ConnectionId(Uuid::from_u128(1)),
        details,
        endpoint: stand.endpoint(),
        access_token: keys.map(Secret::new),
        refresh_token: None,
        app_secret: None,
        webhook_secrets: vec![],
        api_version: String::new(),
    };
    Api::new(http_client().expect("a client"), Clock::default(), account, None)
}

fn usd() -> Currency {
    Currency::new("USD").expect("a currency")
}

fn money(text: &str) -> Money {
    Money::parse(text, usd()).expect("an amount")
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

fn pair(product: &str, variant: &str) -> Handle {
    Handle { product: id(product), variant: id(variant), inventory: Some(id(variant)) }
}

impl Place {
    fn handle(&self, good: &Good) -> Handle {
        let (product, variant, _) = self.stand.handle(good);
        pair(&product, &variant)
    }

    fn seed(&self, title: &str, skus: &[&str]) -> Vec<Handle> {
        let variants: Vec<_> = skus.iter().map(|sku| (*sku, 12_000, 5)).collect();
        self.stand.seed(title, &variants).iter().map(|good| self.handle(good)).collect()
    }

    async fn count(&self, handles: &[Handle], quantity: i64) -> Vec<Outcome<i64>> {
        count(&self.api, handles, quantity).await
    }

    async fn cost(&self, handles: &[Handle], price: Money) -> Vec<Outcome<Money>> {
        let ask = |handle: &Handle| PriceAsk { handle: handle.clone(), price };
        let asks: Vec<_> = handles.iter().map(ask).collect();
        Woocommerce.set_prices(&self.api, &asks, KEY).await
    }

    fn shown(&self, sku: &str) -> (i64, i64) {
        self.stand.shows()[sku]
    }
}

async fn count(api: &Api, handles: &[Handle], quantity: i64) -> Vec<Outcome<i64>> {
    let ask = |handle: &Handle| QuantityAsk { handle: handle.clone(), quantity, believed: None };
    let asks: Vec<_> = handles.iter().map(ask).collect();
    Woocommerce.set_quantities(api, &asks, KEY).await
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
async fn what_is_set_is_shown_and_read_back() {
    let place = open().await;
    let mut handles = place.seed("Runner", &["RUN-42", "RUN-43"]);
    handles.extend(place.seed("Mug", &["MUG"]));
    assert_eq!(handles[2].product, handles[2].variant, "a mug has no sizes");
    assert_eq!(place.count(&handles, 9).await, [Outcome::Shown(9), Outcome::Shown(9), Outcome::Shown(9)]);
    let price = money("119.90");
    assert_eq!(place.cost(&handles[1..], price).await, [Outcome::Shown(price), Outcome::Shown(price)]);
    assert_eq!((place.shown("RUN-42"), place.shown("RUN-43")), ((9, 12_000), (9, 11_990)));
    assert_eq!(place.shown("MUG"), (9, 11_990));
    let shown = |price: &str| Ok::<_, CallError>(Shown { quantity: Some(9), price: Some(money(price)) });
    let read = Woocommerce.read(&place.api, &handles).await;
    assert_eq!(read, [shown("120"), shown("119.90"), shown("119.90")]);
    let calls = place.stand.calls();
    assert_eq!((calls.made, calls.writes), (6, 4), "one call for each product and for all without sizes");
}

#[tokio::test]
async fn what_is_not_there_spoils_nothing_for_the_others() {
    let place = open().await;
    let known = place.seed("Runner", &["RUN-42"]);
    let runner = &known[0];
    let handles = [
        pair(runner.product.as_str(), "404"),
        runner.clone(),
        pair("404", runner.variant.as_str()),
        pair("404", "404"),
        pair(runner.variant.as_str(), runner.variant.as_str()),
    ];
    let outcomes = place.count(&handles, 3).await;
    assert_eq!(outcomes[1], Outcome::Shown(3));
    assert_eq!(outcomes.iter().filter(|outcome| is_never(outcome)).count(), 4, "{outcomes:?}");
    let read = Woocommerce.read(&place.api, &handles).await;
    assert_eq!(read[1].as_ref().ok().and_then(|shown| shown.quantity), Some(3));
    let absent = read.iter().filter(|shown| matches!(shown, Err(CallError::Never { .. })));
    assert_eq!(absent.count(), 4, "{read:?}");
}

#[tokio::test]
async fn no_call_is_made_for_what_is_no_id() {
    let place = open().await;
    let odd = ["0", "-1", "+7", "007", "7/../8", "7?x=1", "gid://7", "9223372036854775808"];
    let handles: Vec<_> = odd.iter().flat_map(|odd| [pair("7", odd), pair(odd, "8")]).collect();
    let outcomes = place.count(&handles, 3).await;
    assert_eq!(outcomes.len(), 16);
    assert!(outcomes.iter().all(is_never), "{outcomes:?}");
    assert_eq!(place.stand.calls().made, 0);
}

#[tokio::test]
async fn items_that_are_refused_are_tried_again_and_the_others_are_shown() {
    let place = open().await;
    let skus: Vec<String> = (20..40).map(|size| format!("RUN-{size}")).collect();
    let handles = place.seed("Runner", &skus.iter().map(String::as_str).collect::<Vec<_>>());
    place.stand.faults().refuse_items_rate(0.5);
    let outcomes = place.count(&handles, 8).await;
    for (sku, outcome) in skus.iter().zip(&outcomes) {
        match place.shown(sku).0 {
            8 => assert_eq!(*outcome, Outcome::Shown(8), "{sku}"),
            _ => assert!(is_failure(outcome), "{sku}: {outcome:?}"),
        }
    }
    let refused = outcomes.iter().filter(|outcome| is_failure(outcome)).count();
    assert!((1..20).contains(&refused), "{refused}");
}

#[tokio::test]
async fn twenty_five_are_set_in_a_call_and_a_hundred_are_read() {
    let place = open().await;
    let skus: Vec<String> = (0..101).map(|size| format!("RUN-{size}")).collect();
    let handles = place.seed("Runner", &skus.iter().map(String::as_str).collect::<Vec<_>>());
    let outcomes = place.count(&handles, 3).await;
    assert_eq!(outcomes, vec![Outcome::Shown(3); 101]);
    assert_eq!(place.stand.calls().writes, 5);
    let price = money("99");
    assert_eq!(place.cost(&handles, price).await, vec![Outcome::Shown(price); 101]);
    assert_eq!((place.stand.calls().made, place.stand.calls().writes), (10, 10));
    let read = Woocommerce.read(&place.api, &handles).await;
    let counted = read.iter().flatten().filter(|shown| shown.quantity == Some(3));
    assert_eq!(counted.count(), 101);
    assert_eq!(place.stand.calls().made, 12);
}

#[tokio::test]
async fn a_price_in_another_currency_or_of_a_product_with_sizes_is_never_set() {
    let place = open().await;
    let handles = place.seed("Runner", &["RUN-42"]);
    let euros = Money::parse("99", Currency::new("EUR").expect("a currency")).expect("an amount");
    assert!(is_never(&place.cost(&handles, euros).await[0]));
    assert_eq!(place.stand.calls().made, 0);
    let product = handles[0].product.as_str();
    assert!(is_never(&place.cost(&[pair(product, product)], money("99")).await[0]));
    assert_eq!(place.shown("RUN-42"), (5, 12_000));
}

#[tokio::test]
async fn being_asked_to_wait_is_no_failure() {
    let place = open().await;
    let handles = place.seed("Mug", &["MUG"]);
    place.stand.faults().throttle_next(1, true);
    let outcomes = place.count(&handles, 3).await;
    let waits = |outcome: &Outcome<i64>| {
        matches!(outcome, Outcome::Failed(CallError::Again { after: Some(_), counts: false, .. }))
    };
    assert!(waits(&outcomes[0]), "{outcomes:?}");
    assert_eq!(place.count(&handles, 3).await, [Outcome::Shown(3)]);
}

#[tokio::test]
async fn wrong_keys_need_a_person_and_none_make_no_call() {
    let place = open().await;
    let handles = place.seed("Mug", &["MUG"]);
    for keys in ["ck_stand:cs_other", "ck_other:cs_stand"] {
        let outcomes = count(&api(&place.stand, Some(keys)), &handles, 3).await;
        assert!(needs_person(&outcomes[0]), "{keys}: {outcomes:?}");
    }
    assert_eq!(place.stand.calls().made, 2);
    for keys in [None, Some("ck_stand")] {
        let outcomes = count(&api(&place.stand, keys), &handles, 3).await;
        assert!(needs_person(&outcomes[0]), "{keys:?}: {outcomes:?}");
    }
    assert_eq!(place.stand.calls().made, 2);
    assert_eq!(place.shown("MUG").0, 5);
}

#[tokio::test]
async fn an_answer_without_words_is_never_a_success() {
    let place = open().await;
    let handles = place.seed("Mug", &["MUG"]);
    let faults = place.stand.faults();
    faults.fail_next(2, 200);
    assert!(is_failure(&place.count(&handles, 3).await[0]), "accepted, and nothing said");
    let read = Woocommerce.read(&place.api, &handles).await;
    assert!(matches!(&read[0], Err(error) if error.is_failure()), "{read:?}");
    faults.fail_next(1, 404);
    assert!(needs_person(&place.count(&handles, 3).await[0]), "there is no such API");
    faults.fail_next(1, 400);
    assert!(is_never(&place.count(&handles, 3).await[0]));
    faults.fail_next(1, 503);
    assert!(is_failure(&place.count(&handles, 3).await[0]));
    assert_eq!(place.count(&handles, 3).await, [Outcome::Shown(3)]);
}

#[tokio::test]
async fn where_a_gateway_has_waited_in_vain_the_call_may_still_be_under_way() {
    let place = open().await;
    let handles = place.seed("Mug", &["MUG"]);
    for (status, lost) in
        [(500, false), (502, true), (503, true), (504, true), (520, true), (524, true), (521, false)]
    {
        place.stand.faults().fail_next(1, status);
        let api = place.api.until(Instant::now() + Duration::from_mins(1));
        assert!(is_failure(&count(&api, &handles, 3).await[0]), "{status}");
        assert_eq!(api.has_lost(), lost, "{status}");
    }
}

#[tokio::test]
async fn a_rehearsal_notes_what_it_does_not_change() {
    let place = open().await;
    let handles = place.seed("Mug", &["MUG"]);
    let rehearsal = place.api.for_rehearsal();
    let outcomes = count(&rehearsal, &handles, 3).await;
    assert!(matches!(&outcomes[..], [Outcome::Failed(CallError::Again { counts: false, .. })]));
    let noted = rehearsal.rehearsed();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0].target, "/wp-json/wc/v3/products/batch");
    assert_eq!((place.stand.calls().made, place.shown("MUG").0), (0, 5));
}

#[tokio::test]
async fn a_look_at_the_stand_in_tells_the_ids_that_are_pushed_to() {
    let place = open().await;
    let handles = place.seed("Runner", &["RUN-42", "RUN-43"]);
    let see = async |hint: &Hint| {
        let call = Woocommerce.look(hint, &place.api.access()).expect("a call");
        let answer = place.api.read(call).await.expect("an answer");
        Woocommerce.seen(hint, &answer.body, Clock::default().now(), place.api.details()).expect("facts")
    };
    let facts = see(&Hint { resource: "product", external: handles[0].product.clone(), titled: None }).await;
    let [Fact::Hint(hint)] = &facts[..] else { panic!("{facts:?}") };
    let facts = see(hint).await;
    let Some(Fact::Product(product)) = facts.first() else { panic!("{facts:?}") };
    assert_eq!((&product.external, product.variants.len()), (&handles[0].product, 2));
    assert_eq!(product.details.title, "Runner");
    for handle in &handles {
        let variant = product.variants.iter().find(|it| it.external == handle.variant);
        assert_eq!(variant.and_then(|it| it.inventory.clone()), handle.inventory);
    }
}

fn listing(value: Value) -> Listing {
    serde_json::from_value(value).expect("a listing")
}

#[test]
fn what_the_shop_does_not_say_is_unknown_and_not_nothing() {
    for manage in [json!("parent"), json!(false), json!(null)] {
        let it =
            listing(json!({ "id": 8, "manage_stock": manage, "stock_quantity": 9, "regular_price": "" }));
        assert_eq!(it.shown(usd()), Shown::default(), "{manage}");
    }
    let it = listing(json!({ "manage_stock": true, "stock_quantity": -2, "regular_price": "12.5" }));
    assert_eq!(it.shown(usd()), Shown { quantity: Some(-2), price: Some(money("12.50")) });
    let it = listing(json!({ "manage_stock": true, "stock_quantity": null, "regular_price": "12.345" }));
    assert_eq!(it.shown(usd()), Shown::default());
}

#[test]
fn a_value_is_shown_only_where_it_stands() {
    let counts = |value: Value| super::outcome(listing(value).counts(4));
    assert_eq!(counts(json!({ "manage_stock": true, "stock_quantity": 4 })), Outcome::Shown(4));
    assert!(is_failure(&counts(json!({ "manage_stock": true, "stock_quantity": 5 }))));
    assert!(is_failure(&counts(json!({ "id": 8 }))));
    assert!(needs_person(&counts(json!({ "manage_stock": false, "stock_quantity": null }))));
    assert!(is_never(&counts(json!({ "type": "grouped", "manage_stock": false }))));
    let price = money("12.50");
    let costs = |value: Value| listing(value).costs(price);
    assert_eq!(costs(json!({ "regular_price": "12.5" })), Ok(price));
    assert!(matches!(costs(json!({ "regular_price": "" })), Err(CallError::Never { .. })));
    for other in [json!({ "regular_price": "12" }), json!({ "regular_price": null }), json!({})] {
        assert!(costs(other.clone()).is_err_and(|error| error.is_failure()), "{other}");
    }
}
