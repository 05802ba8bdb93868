//! What every `Outbound` must do, each against its stand-in over real HTTP.
//!
//! An implementation is accepted when it passes: what it calls shown is shown, what fails spoils nothing else, and each
//! failure says what is to be done about it. The tests know the platforms by their port alone.

mod bare;
mod nonsense;
mod offered;
mod stand;
mod subscribed;
mod told;
mod trouble;

use onhand_domain::values::{Currency, ExternalId, Money};

use self::stand::{Stand, money, pushed, stands};
use crate::platforms::outbound::{CallError, Handle, Outcome, PriceAsk, QuantityAsk, Shown};

/// Ids that are none of any platform's, and what they might lead to. (Blanks cannot be in an id at all.)
const NO_IDS: [&str; 12] = [
    ".",
    "..",
    "../../evil",
    "evil/evil",
    "evil?evil=1",
    "evil#evil",
    "evil&evil=1",
    "evil%2Fevil",
    "\"evil\"",
    "'evil'",
    "{\"evil\":[]}",
    "évil",
];

fn ask(handle: &Handle, quantity: i64) -> QuantityAsk {
    QuantityAsk { handle: handle.clone(), quantity, believed: None }
}

fn ask_price(handle: &Handle, minor: i64) -> PriceAsk {
    PriceAsk { handle: handle.clone(), price: money(minor) }
}

/// Asks for the goods of a stand-in in the order seeded: so many units, and one more of each further one.
fn counted_from(stand: &Stand, first: i64) -> Vec<QuantityAsk> {
    stand.handles().iter().zip(first..).map(|(handle, quantity)| ask(handle, quantity)).collect()
}

/// The same for prices.
fn priced_from(stand: &Stand, first: i64) -> Vec<PriceAsk> {
    stand.handles().iter().zip(first..).map(|(handle, minor)| ask_price(handle, minor)).collect()
}

/// Of the shape of an id that is known, and nobody's: no stand-in counts so far. Of another one it is another.
fn nobodys(known: &ExternalId) -> ExternalId {
    let text = known.as_str();
    let [begin, end] = [6, 3].map(|places| text.len().saturating_sub(places));
    stand::id(&format!("{}940{}", &text[..begin], &text[end..]))
}

/// A variant nobody knows, of a product that is known.
fn strange_variant(handle: &Handle) -> Handle {
    let Handle { product, variant, inventory } = handle;
    Handle { product: product.clone(), variant: nobodys(variant), inventory: inventory.as_ref().map(nobodys) }
}

/// A listing of which nothing is known.
fn stranger(handle: &Handle) -> Handle {
    Handle { product: nobodys(&handle.product), ..strange_variant(handle) }
}

/// A listing whose ids are all this text.
fn all_of(handle: &Handle, text: &str) -> Handle {
    let inventory = handle.inventory.as_ref().map(|_| stand::id(text));
    Handle { product: stand::id(text), variant: stand::id(text), inventory }
}

fn is_never<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::Never { .. }))
}

fn needs_person<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::NeedsPerson { .. }))
}

/// It is tried again, and that it failed counts.
fn has_failed<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Failed(CallError::Again { counts: true, .. }))
}

/// Prices are set and answered for, or cannot be set there at all.
fn assert_priced(stand: &Stand, outcomes: &[Outcome<Money>], minor: &[i64]) {
    let platform = stand.platform;
    if stand.takes_prices() {
        let expected: Vec<_> = minor.iter().map(|minor| Outcome::Shown(money(*minor))).collect();
        assert_eq!(outcomes, expected, "{platform}");
    } else {
        assert_eq!(outcomes.len(), minor.len(), "{platform}");
        assert!(outcomes.iter().all(is_never), "{platform}: {outcomes:?}");
    }
}

fn assert_counted(stand: &Stand, read: &[Result<Shown, CallError>], quantities: &[i64]) {
    let platform = stand.platform;
    let read: Vec<_> = read.iter().map(|shown| shown.as_ref().map(|shown| shown.quantity)).collect();
    let expected: Vec<Result<_, &CallError>> =
        quantities.iter().map(|quantity| Ok(Some(*quantity))).collect();
    assert_eq!(read, expected, "{platform}");
}

#[tokio::test]
async fn every_platform_that_is_pushed_to_has_a_stand_in() {
    let stands = stands().await;
    assert_eq!(stands.len(), pushed().count());
    for stand in stands {
        let platform = stand.platform;
        assert_eq!(stand.goods().len(), 3, "{platform}");
        assert_eq!(stand.shows("RUN-41"), (5, 12_000), "{platform}");
        assert!(stand.sandbox().is_some() || platform.name() == "shopify", "{platform}");
    }
}

#[tokio::test]
async fn who_asks_for_nothing_calls_nobody() {
    for stand in stands().await {
        let platform = stand.platform;
        assert!(stand.set(&[], 1).await.is_empty(), "{platform}");
        assert!(stand.price(&[], 1).await.is_empty(), "{platform}");
        assert!(stand.read(&[]).await.is_empty(), "{platform}");
        assert_eq!(stand.calls_made(), 0, "{platform}");
        stand.set(&counted_from(&stand, 6), 1).await;
        assert!(stand.calls_made() > 0, "{platform}: else this test says nothing");
    }
}

#[tokio::test]
async fn quantities_that_are_set_are_shown_and_read_back() {
    for stand in stands().await {
        let (platform, handles, many) = (stand.platform, stand.handles(), stand.quantity_max().min(120_000));
        for (key, quantities) in (1..).zip([[0, 1, 7], [many, 0, 5], [many, many, 0]]) {
            let asks: Vec<_> =
                handles.iter().zip(quantities).map(|(handle, quantity)| ask(handle, quantity)).collect();
            assert_eq!(stand.set(&asks, key).await, quantities.map(Outcome::Shown), "{platform}");
            assert_eq!(stand.quantities(), quantities, "{platform}");
            assert_counted(&stand, &stand.read(&handles).await, &quantities);
        }
    }
}

#[tokio::test]
async fn prices_that_are_set_are_shown_to_the_last_digit_and_read_back() {
    for stand in stands().await {
        let (platform, handles, before) = (stand.platform, stand.handles(), stand.prices());
        for (key, prices) in (1..).zip([[12_345, 99, 1_999], [115, 10_000_005, 8_950]]) {
            let asks: Vec<_> =
                handles.iter().zip(prices).map(|(handle, minor)| ask_price(handle, minor)).collect();
            assert_priced(&stand, &stand.price(&asks, key).await, &prices);
            if !stand.takes_prices() {
                assert_eq!(stand.prices(), before, "{platform}");
                continue;
            }
            assert_eq!(stand.prices(), prices, "{platform}");
            let read: Vec<_> =
                stand.read(&handles).await.into_iter().map(|it| it.map(|it| it.price)).collect();
            assert_eq!(read, prices.map(|minor| Ok::<_, CallError>(Some(money(minor)))), "{platform}");
        }
        assert_eq!(stand.quantities(), [5, 5, 5], "{platform}: they were not asked for");
    }
}

#[tokio::test]
async fn a_price_in_another_currency_is_never_shown() {
    for stand in stands().await {
        let (platform, handles, before) = (stand.platform, stand.handles(), stand.prices());
        let yen = Currency::new("JPY").expect("a currency");
        let foreign = Money::new(12_345, yen).expect("an amount");
        let asks = [PriceAsk { handle: handles[0].clone(), price: foreign }, ask_price(&handles[1], 12_345)];
        let outcomes = stand.price(&asks, 1).await;
        assert!(is_never(&outcomes[0]), "{platform}: {outcomes:?}");
        assert_priced(&stand, &outcomes[1..], &[12_345]);
        assert_eq!(stand.prices()[0], before[0], "{platform}");
    }
}

#[tokio::test]
async fn asked_again_nothing_more_is_changed_and_all_is_shown() {
    for stand in stands().await {
        let platform = stand.platform;
        let asks: Vec<_> =
            counted_from(&stand, 4).into_iter().map(|ask| QuantityAsk { believed: Some(5), ..ask }).collect();
        let prices = priced_from(&stand, 12_345);
        for key in [1, 1, 2] {
            assert_eq!(stand.set(&asks, key).await, [4, 5, 6].map(Outcome::Shown), "{platform}, key {key}");
            assert_priced(&stand, &stand.price(&prices, key).await, &[12_345, 12_346, 12_347]);
            assert_eq!(stand.quantities(), [4, 5, 6], "{platform}, key {key}");
            if stand.takes_prices() {
                assert_eq!(stand.prices(), [12_345, 12_346, 12_347], "{platform}, key {key}");
            }
        }
    }
}

#[tokio::test]
async fn what_nobody_knows_is_never_shown_and_spoils_nothing() {
    for stand in stands().await {
        let (platform, handles) = (stand.platform, stand.handles());
        let asked = [
            strange_variant(&handles[0]),
            handles[0].clone(),
            stranger(&handles[1]),
            handles[1].clone(),
            stranger(&handles[2]),
            handles[2].clone(),
        ];
        let asks: Vec<_> = asked.iter().zip(10..).map(|(handle, quantity)| ask(handle, quantity)).collect();
        let prices: Vec<_> =
            asked.iter().zip(7_010..).map(|(handle, minor)| ask_price(handle, minor)).collect();
        let (outcomes, priced) = (stand.set(&asks, 1).await, stand.price(&prices, 1).await);
        for strange in [0, 2, 4] {
            assert!(is_never(&outcomes[strange]), "{platform}, {strange}: {outcomes:?}");
            assert!(is_never(&priced[strange]), "{platform}, {strange}: {priced:?}");
        }
        for (known, quantity) in [(1, 11), (3, 13), (5, 15)] {
            assert_eq!(outcomes[known], Outcome::Shown(quantity), "{platform}: {outcomes:?}");
            assert_priced(&stand, &priced[known..=known], &[7_000 + quantity]);
        }
        assert_eq!(stand.quantities(), [11, 13, 15], "{platform}");
    }
}

#[tokio::test]
async fn what_is_no_id_is_never_shown_and_spoils_nothing() {
    let long = "x".repeat(200);
    for stand in stands().await {
        let (platform, handles) = (stand.platform, stand.handles());
        let before = stand.all_shown();
        for text in NO_IDS.into_iter().chain([long.as_str()]) {
            let odd = all_of(&handles[0], text);
            let asked =
                [Handle { product: handles[0].product.clone(), ..odd.clone() }, odd, handles[2].clone()];
            let asks: Vec<_> = asked.iter().map(|handle| ask(handle, 6)).collect();
            let prices: Vec<_> = asked.iter().map(|handle| ask_price(handle, 777)).collect();
            let (outcomes, priced) = (stand.set(&asks, 1).await, stand.price(&prices, 1).await);
            let read = stand.read(&asked).await;
            for place in [0, 1] {
                assert!(is_never(&outcomes[place]), "{platform}, {text}: {outcomes:?}");
                assert!(is_never(&priced[place]), "{platform}, {text}: {priced:?}");
                assert!(matches!(read[place], Err(CallError::Never { .. })), "{platform}, {text}: {read:?}");
            }
            assert_eq!(outcomes[2], Outcome::Shown(6), "{platform}, {text}: {outcomes:?}");
            assert_priced(&stand, &priced[2..], &[777]);
            assert_counted(&stand, &read[2..], &[6]);
        }
        for sku in ["RUN-41", "RUN-42"] {
            assert_eq!(stand.shows(sku), before[sku], "{platform}");
        }
    }
}

#[tokio::test]
async fn each_outcome_belongs_to_its_ask() {
    for platform in pushed() {
        let stand = Stand::bare(platform).await;
        for product in 0..50 {
            let skus: Vec<_> = (0..5).map(|size| format!("KELP-{product}-{size}")).collect();
            let variants: Vec<_> = skus.iter().map(|sku| (sku.as_str(), 5_000, 5)).collect();
            stand.seed(&format!("Kelp {product}"), &variants);
        }
        let goods = stand.goods();
        // No two of a product beside each other, and now and then one that is not there.
        let mixed = |place: usize| &goods[place * 7 % goods.len()];
        let is_strange = |place: usize| place % 60 == 30;
        let (mut asks, mut prices) = (vec![], vec![]);
        for (place, number) in (0..goods.len()).zip(1_000..) {
            let (known, _) = mixed(place);
            let handle = if is_strange(place) { stranger(known) } else { known.clone() };
            asks.push(ask(&handle, number));
            prices.push(ask_price(&handle, number));
        }
        let handles: Vec<_> = asks.iter().map(|ask| ask.handle.clone()).collect();
        let (outcomes, priced) = (stand.set(&asks, 1).await, stand.price(&prices, 1).await);
        let (read, shown) = (stand.read(&handles).await, stand.all_shown());
        assert_eq!(
            (asks.len(), outcomes.len(), priced.len(), read.len()),
            (250, 250, 250, 250),
            "{platform}"
        );
        for (place, number) in (0..goods.len()).zip(1_000..) {
            if is_strange(place) {
                assert!(is_never(&outcomes[place]) && is_never(&priced[place]), "{platform}, {place}");
                assert!(matches!(read[place], Err(CallError::Never { .. })), "{platform}, {place}");
                continue;
            }
            assert_eq!(outcomes[place], Outcome::Shown(number), "{platform}, {place}");
            assert_priced(&stand, &priced[place..=place], &[number]);
            assert_counted(&stand, &read[place..=place], &[number]);
            let price = if stand.takes_prices() { number } else { 5_000 };
            assert_eq!(shown[&mixed(place).1], (number, price), "{platform}, {place}");
        }
    }
}
