//! Products: what may be asked of one, and how it stands on connections.

use uuid::Uuid;

use super::*;
use crate::{scenario::given, values::Currency};

const P: ProductId = ProductId(Uuid::from_u128(1));
const V: VariantId = VariantId(Uuid::from_u128(2));

fn details(title: &str) -> ProductDetails {
    ProductDetails { title: title.into(), ..ProductDetails::default() }
}

fn size(size: &str) -> VariantDetails {
    let sku = Sku::new(&format!("DUNK-{size}")).expect("a SKU");
    VariantDetails { sku, attributes: BTreeMap::from([("size".into(), size.into())]) }
}

fn priced(minor: i64) -> ProductEvent {
    let price = Money { minor, currency: Currency::new("USD").expect("a currency") };
    ProductEvent::Priced { variant: V, market: Market::default(), price, at: None }
}

fn price(minor: i64) -> ProductCommand {
    let price = Money { minor, currency: Currency::new("USD").expect("a currency") };
    ProductCommand::Price { variant: V, market: Market::default(), price, at: None }
}

fn dunk() -> Vec<ProductEvent> {
    vec![
        ProductEvent::Created(details("Dunk Low")),
        ProductEvent::VariantAdded { variant: V, details: size("42") },
    ]
}

#[test]
fn a_product_is_created_once() {
    given::<Product>(P, dunk())
        .when(ProductCommand::Create(details("Dunk High")))
        .then_refused("product.exists");
}

#[test]
fn a_description_that_says_nothing_new_leaves_no_trace() {
    given::<Product>(P, dunk()).when(ProductCommand::Describe(details("Dunk Low"))).then([]);
}

#[test]
fn a_price_is_recorded_when_it_moves_and_only_then() {
    given::<Product>(P, dunk()).when(price(11_000)).then([priced(11_000)]);
    given::<Product>(P, [dunk(), vec![priced(11_000)]].concat()).when(price(11_000)).then([]);
}

#[test]
fn a_market_price_older_than_the_known_one_is_no_news() {
    let at = |seconds| DateTime::from_timestamp(seconds, 0);
    let (ProductEvent::Priced { variant, market, price: high, .. }, ProductCommand::Price { price: low, .. }) =
        (priced(12_000), price(11_000))
    else {
        unreachable!("both are prices")
    };
    let known = ProductEvent::Priced { variant, market: market.clone(), price: high, at: at(100) };
    let ask =
        |seconds| ProductCommand::Price { variant, market: market.clone(), price: low, at: at(seconds) };
    let newer = ProductEvent::Priced { variant, market: market.clone(), price: low, at: at(101) };
    given::<Product>(P, [dunk(), vec![known.clone()]].concat()).when(ask(99)).then([]);
    given::<Product>(P, [dunk(), vec![known]].concat()).when(ask(101)).then([newer]);
}

#[test]
fn a_variant_that_is_not_there_has_no_price() {
    given::<Product>(P, [ProductEvent::Created(details("Dunk Low"))])
        .when(price(11_000))
        .then_refused("variant.unknown");
}

#[test]
fn putting_a_variant_again_with_another_size_changes_it() {
    given::<Product>(P, dunk())
        .when(ProductCommand::PutVariant { variant: V, details: size("43") })
        .then([ProductEvent::VariantChanged { variant: V, details: size("43") }]);
}

const SHOP: ConnectionId = ConnectionId(Uuid::from_u128(3));

fn words(title: &str) -> Words {
    details(title).words()
}

fn pushed(ours: &str, theirs: &str) -> ProductEvent {
    ProductEvent::Pushed { connection: SHOP, words: words(ours), shows: words(theirs) }
}

fn seen(second: i64, shows: Option<&str>) -> ProductEvent {
    ProductEvent::Observed {
        connection: SHOP,
        at: DateTime::from_timestamp(second, 0),
        shows: shows.map(words),
    }
}

fn sight(second: i64, shows: &str) -> ProductCommand {
    ProductCommand::Observe {
        connection: SHOP,
        at: DateTime::from_timestamp(second, 0),
        shows: Some(words(shows)),
    }
}

#[test]
fn words_are_remembered_of_a_shop_once_and_again_only_when_they_are_others() {
    given::<Product>(P, dunk())
        .when(sight(1, "Dunk"))
        .then([seen(1, Some("Dunk"))])
        .when(sight(2, "Dunk"))
        .then([seen(2, None)])
        .when(sight(2, "Dunk"))
        .then([])
        .when(sight(3, "Dunk, low"))
        .then([seen(3, Some("Dunk, low"))]);
}

#[test]
fn a_part_of_a_product_tells_its_words_and_no_time() {
    let part = ProductCommand::Observe { connection: SHOP, at: None, shows: Some(words("Dunk")) };
    let told = ProductEvent::Observed { connection: SHOP, at: None, shows: Some(words("Dunk")) };
    given::<Product>(P, dunk())
        .when(part.clone())
        .then([told])
        .then_state(|product| assert!(product.observed.is_empty()))
        .when(part)
        .then([]);
}

#[test]
fn what_a_shop_showed_before_our_words_came_is_late_until_it_has_shown_those() {
    given::<Product>(P, [dunk(), vec![seen(1, Some("Dunk")), pushed("Dunk Low", "Dunk L")]].concat())
        .when(sight(2, "Dunk"))
        .then([])
        .when(sight(3, "Dunk L"))
        .then([seen(3, None)])
        .when(sight(4, "Dunk"))
        .then([seen(4, Some("Dunk"))]);
}

#[test]
fn the_same_words_told_again_are_not_taken_for_late_ones() {
    given::<Product>(P, [dunk(), vec![pushed("A", "A"), pushed("B", "B"), pushed("A", "A")]].concat())
        .when(sight(1, "A"))
        .then([seen(1, None)]);
}

#[test]
fn after_a_push_was_given_up_what_is_shown_is_not_known() {
    let failed = ProductEvent::PushFailed { connection: SHOP, reason: "503".into(), attempts: 12 };
    given::<Product>(P, [dunk(), vec![pushed("Dunk Low", "Dunk Low"), failed]].concat())
        .when(sight(1, "Dunk Low"))
        .then([seen(1, Some("Dunk Low"))])
        .then_state(|product| {
            let offer = &product.offers[&SHOP];
            assert_eq!((offer.pushed.as_ref(), offer.shown.as_ref()), (None, Some(&words("Dunk Low"))));
        });
}

#[test]
fn what_was_taken_off_is_so_until_it_is_seen_again() {
    let off = ProductEvent::TakenOff { connection: SHOP };
    given::<Product>(P, [dunk(), vec![pushed("Dunk Low", "Dunk Low"), off]].concat())
        .when(sight(1, "Dunk Low"))
        .then_state(|product| {
            let offer = &product.offers[&SHOP];
            assert!(offer.taken_off && offer.shown.is_none() && offer.pushed.is_none());
        })
        .then([seen(1, Some("Dunk Low"))])
        .then_state(|product| assert!(!product.offers[&SHOP].taken_off));
}

#[test]
fn a_shop_changes_the_fields_that_it_shows_otherwise_than_before_and_no_others() {
    let ours = ProductDetails {
        vendor: Some("Kite".into()),
        category: Some("Shoes".into()),
        tags: vec!["low".into(), "leather".into()],
        ..details("Dunk Low Retro")
    };
    // Cut, without a category, and its tags in another order.
    let known = ProductDetails {
        vendor: Some("Kite".into()),
        tags: vec!["leather".into(), "low".into()],
        ..details("Dunk Low")
    };
    assert_eq!(ours.clone().changed(&known.words(), &known), ours);
    let shown = ProductDetails { vendor: Some("Kite & Co".into()), ..known.clone() };
    let expected = ProductDetails { vendor: Some("Kite & Co".into()), ..ours.clone() };
    assert_eq!(ours.clone().changed(&known.words(), &shown), expected);
    let shown = ProductDetails { tags: vec!["high".into()], ..known.clone() };
    let expected = ProductDetails { tags: vec!["high".into()], ..ours.clone() };
    assert_eq!(ours.changed(&known.words(), &shown), expected);
}
