//! Products: what may be asked of one, and how it stands on connections.

use chrono::TimeDelta;
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
    ProductEvent::Priced { variant: V, market: Market::default(), price, at: None, counted_at: Some(at(200)) }
}

fn price(minor: i64) -> ProductCommand {
    let price = Money { minor, currency: Currency::new("USD").expect("a currency") };
    ProductCommand::Price { variant: V, market: Market::default(), price, at: None, counted_at: at(200) }
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

/// A market feed tells of a price.
fn told(minor: i64, second: i64) -> ProductCommand {
    let ProductCommand::Price { variant, market, price, .. } = price(minor) else {
        unreachable!("it is a price")
    };
    ProductCommand::Price { variant, market, price, at: Some(at(second)), counted_at: at(300) }
}

fn told_event(minor: i64, second: i64) -> ProductEvent {
    let ProductEvent::Priced { variant, market, price, .. } = priced(minor) else {
        unreachable!("it is a price")
    };
    ProductEvent::Priced { variant, market, price, at: Some(at(second)), counted_at: Some(at(300)) }
}

fn confirmed(second: i64) -> ProductEvent {
    ProductEvent::PriceConfirmed { variant: V, market: Market::default(), at: at(second) }
}

#[test]
fn a_market_price_older_than_the_known_one_is_no_news() {
    let known = [dunk(), vec![told_event(12_000, 100)]].concat();
    given::<Product>(P, known.clone()).when(told(11_000, 99)).then([]);
    given::<Product>(P, known).when(told(11_000, 101)).then([told_event(11_000, 101)]);
}

#[test]
fn a_market_price_older_than_one_that_said_the_same_as_the_known_one_is_no_news_either() {
    let known = [dunk(), vec![told_event(12_000, 100)]].concat();
    given::<Product>(P, known.clone()).when(told(12_000, 120)).then([confirmed(120)]);
    given::<Product>(P, known.clone()).when(told(12_000, 100)).then([]);
    let heard = [known, vec![confirmed(120)]].concat();
    given::<Product>(P, heard.clone()).when(told(11_000, 110)).then([]);
    given::<Product>(P, heard.clone()).when(told(11_000, 121)).then([told_event(11_000, 121)]);
    // Nor is it told twice that it was told.
    let confirm = ProductCommand::ConfirmPrice { variant: V, market: Market::default(), at: at(120) };
    given::<Product>(P, heard).when(confirm.clone()).then([]);
    given::<Product>(P, dunk()).when(confirm).then([]);
}

#[test]
fn a_price_set_by_hand_is_newer_than_what_the_market_said_before_and_older_than_what_it_says_next() {
    let known = [dunk(), vec![told_event(12_000, 100), priced(5_000)]].concat();
    given::<Product>(P, known.clone()).when(told(11_000, 199)).then([]);
    given::<Product>(P, known.clone()).when(told(11_000, 201)).then([told_event(11_000, 201)]);
    let ahead = [known, vec![told_event(11_000, 900)]].concat();
    given::<Product>(P, ahead).when(price(6_000)).then([priced(6_000)]);
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

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn pushed(ours: &str, theirs: &str, second: i64) -> ProductEvent {
    ProductEvent::Pushed { connection: SHOP, words: words(ours), shows: words(theirs), at: at(second) }
}

fn seen(second: i64, shows: Option<&str>) -> ProductEvent {
    let (external, at) = (Some(7.into()), Some(at(second)));
    ProductEvent::Observed { connection: SHOP, external, at, shows: shows.map(words) }
}

fn sight(second: i64, shows: &str) -> ProductCommand {
    let (external, at, shows) = (7.into(), at(second), Some(words(shows)));
    ProductCommand::Observe { connection: SHOP, external, at, complete: true, shows, told: vec![] }
}

/// What describes the product after a shop has shown these words.
fn after(product: &Product, second: i64, shows: &ProductDetails) -> Option<ProductDetails> {
    after_all_of(product, second, shows, &[])
}

/// The same where some words are told even if they are none.
fn after_all_of(
    product: &Product,
    second: i64,
    shows: &ProductDetails,
    told: &[Word],
) -> Option<ProductDetails> {
    product.change(SHOP, Showing { external: &7.into(), details: shows, told, at: at(second) })
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
    let part = ProductCommand::Observe {
        connection: SHOP,
        external: 7.into(),
        at: at(1),
        complete: false,
        shows: Some(words("Dunk")),
        told: vec![],
    };
    let (external, shows) = (Some(7.into()), Some(words("Dunk")));
    let told = ProductEvent::Observed { connection: SHOP, external, at: None, shows };
    given::<Product>(P, dunk())
        .when(part.clone())
        .then([told])
        .then_state(|product| assert_eq!(product.seen(SHOP, &7.into()), None))
        .when(part)
        .then([]);
}

#[test]
fn each_product_of_a_shop_was_seen_at_a_time_of_its_own() {
    let old = ProductEvent::Observed { connection: SHOP, external: None, at: Some(at(3)), shows: None };
    given::<Product>(P, [dunk(), vec![old, seen(5, None)]].concat()).when(sight(5, "Dunk")).then_state(
        |product| {
            assert_eq!(product.seen(SHOP, &7.into()), Some(at(5)));
            assert_eq!(product.seen(SHOP, &8.into()), Some(at(3)), "as was noted without saying which");
        },
    );
}

#[test]
fn what_a_shop_showed_before_our_words_came_is_late_whatever_it_was() {
    given::<Product>(P, [dunk(), vec![seen(1, Some("Dunk")), pushed("Dunk Low", "Dunk L", 5)]].concat())
        .when(sight(4, "Dunk, low"))
        .then([seen(4, None)])
        .then_state(|product| assert_eq!(product.offers[&SHOP].shown, Some(words("Dunk L"))))
        .when(sight(6, "Dunk"))
        .then([seen(6, Some("Dunk"))]);
}

#[test]
fn words_of_ours_that_are_looked_at_over_there_first_are_no_change_when_they_are_shown_at_last() {
    // Each answer tells what is still shown.
    let told = vec![pushed("A", "A", 1), pushed("B", "A", 2), pushed("C", "A", 3)];
    let product = [dunk(), told].concat().into_iter().fold(Product::default(), Product::evolve);
    assert_eq!(after(&product, 4, &details("B")), None);
    let product = product.evolve(seen(4, Some("B")));
    assert_eq!(product.offers[&SHOP].settled, Some(words("C")), "it is on its way");
    // They were seen: whoever goes back to them wants it so.
    let product = product.evolve(seen(5, Some("C")));
    assert_eq!(after(&product, 6, &details("B")), Some(details("B")));
    let product = product.evolve(ProductEvent::Described(details("B"))).evolve(seen(6, Some("B")));
    assert_eq!(product.offers[&SHOP].settled, Some(words("B")));
}

#[test]
fn words_that_come_through_while_the_next_are_told_make_none_of_those_somebody_elses() {
    // When C is told B has just come, and when D is told C has.
    let told = vec![pushed("A", "A", 1), pushed("B", "A", 2), pushed("C", "B", 3), pushed("D", "C", 4)];
    let product = [dunk(), told].concat().into_iter().fold(Product::default(), Product::evolve);
    assert_eq!(after(&product, 5, &details("C")), None);
    assert!(product.offers[&SHOP].is_awaited(), "D is on its way");
    assert_eq!(after(&product, 5, &details("D")), None);
    let product = product.evolve(seen(5, Some("D")));
    assert!(!product.offers[&SHOP].is_awaited());
    assert_eq!(product.offers[&SHOP].settled, Some(words("D")));
}

#[test]
fn what_a_shop_has_changed_is_in_order_as_it_is_and_the_rest_as_of_the_words_it_took() {
    let ours = |title: &str, vendor: &str, category: &str| ProductDetails {
        vendor: Some(vendor.into()),
        category: Some(category.into()),
        ..details(title)
    };
    let shows = |words: Words| {
        let (external, at) = (Some(7.into()), Some(at(9)));
        ProductEvent::Observed { connection: SHOP, external, at, shows: Some(words) }
    };
    let first = ours("Runner", "Quay", "Shoes");
    // The first sight of it: whatever it says is the shop's own affair.
    let seen = [ProductEvent::Created(first.clone()), shows(ours("RUNNER", "Quay", "Shoes").words())];
    let product = seen.into_iter().fold(Product::default(), Product::evolve);
    assert_eq!(product.offers[&SHOP].settled, Some(first.words()));
    // Ours is called otherwise, and the shop gives it another category, which is ours then.
    let product = product
        .evolve(ProductEvent::Described(ours("Runner II", "Quay", "Boots")))
        .evolve(shows(ours("RUNNER", "Quay", "Boots").words()));
    assert_eq!(product.offers[&SHOP].settled, Some(ours("Runner", "Quay", "Boots").words()));
}

#[test]
fn what_a_shop_tells_to_be_none_is_taken_away_and_what_it_does_not_tell_is_not() {
    let whole =
        ProductDetails { category: Some("Shoes".into()), tags: vec!["low".into()], ..details("Dunk") };
    let shows = Some(whole.words());
    let (external, at_first) = (Some(7.into()), Some(at(1)));
    let first = ProductEvent::Observed { connection: SHOP, external, at: at_first, shows };
    let history = [ProductEvent::Created(whole.clone()), first];
    let product = history.clone().into_iter().fold(Product::default(), Product::evolve);
    let bare = details("Dunk");
    assert_eq!(after(&product, 2, &bare), None);
    let no_tags = ProductDetails { tags: vec![], ..whole.clone() };
    assert_eq!(after_all_of(&product, 2, &bare, &[Word::Tags]), Some(no_tags.clone()));
    let no_category = ProductDetails { category: None, ..whole };
    assert_eq!(after_all_of(&product, 2, &bare, &[Word::Category]), Some(no_category));
    let (external, at, told) = (7.into(), at(2), vec![Word::Tags]);
    let told = ProductCommand::Observe {
        connection: SHOP,
        external,
        at,
        complete: true,
        shows: Some(bare.words()),
        told,
    };
    let shows = Some(no_tags.words());
    let noted = ProductEvent::Observed { connection: SHOP, external: Some(7.into()), at: Some(at), shows };
    given::<Product>(P, history).when(told).then([noted]);
}

#[test]
fn going_back_to_what_was_shown_before_our_words_counts_though_those_were_never_seen() {
    let told = vec![seen(1, Some("A")), pushed("B", "B", 2)];
    let product = [dunk(), told].concat().into_iter().fold(Product::default(), Product::evolve);
    assert_eq!(after(&product, 3, &details("A")), Some(details("A")));
}

#[test]
fn what_a_shop_does_not_tell_any_more_changes_nothing_and_is_no_change_when_it_is_told_again() {
    let whole = ProductDetails {
        vendor: Some("Kite".into()),
        category: Some("Shoes".into()),
        tags: vec!["low".into()],
        ..details("Dunk")
    };
    let first = ProductEvent::Observed {
        connection: SHOP,
        external: Some(7.into()),
        at: Some(at(1)),
        shows: Some(whole.words()),
    };
    let ours = ProductDetails { category: Some("Sneakers".into()), ..whole.clone() };
    let history = vec![ProductEvent::Created(ours.clone()), first];
    let product = history.clone().into_iter().fold(Product::default(), Product::evolve);
    assert_eq!(after(&product, 2, &details("Dunk")), None);
    given::<Product>(P, history).when(sight(2, "Dunk")).then([seen(2, None)]).then_state(|product| {
        assert_eq!(after(product, 3, &whole), None);
        let renamed = ProductDetails { title: "Dunk II".into(), ..ours.clone() };
        assert_eq!(after(product, 3, &details("Dunk II")), Some(renamed));
    });
}

#[test]
fn after_a_push_was_given_up_what_is_shown_is_not_known() {
    let failed =
        |refused| ProductEvent::PushFailed { connection: SHOP, reason: "503".into(), attempts: 12, refused };
    given::<Product>(P, [dunk(), vec![pushed("Dunk Low", "Dunk Low", 1), failed(false)]].concat())
        .when(sight(1, "Dunk Low"))
        .then([seen(1, Some("Dunk Low"))])
        .then_state(|product| {
            let offer = &product.offers[&SHOP];
            assert_eq!((&offer.settled, &offer.shown), (&Some(words("Dunk Low")), &Some(words("Dunk Low"))));
        });
    let given_up = [dunk(), vec![pushed("Dunk Low", "Dunk Low", 1), failed(false)]].concat();
    let given_up = given_up.into_iter().fold(Product::default(), Product::evolve);
    assert_eq!(given_up.offers[&SHOP], Offer::default());
    given::<Product>(P, [dunk(), vec![pushed("Dunk Low", "Dunk Low", 1), failed(true)]].concat())
        .when(sight(1, "Dunk Low"))
        .then([seen(1, None)])
        .then_state(|product| assert!(product.offers[&SHOP].settled.is_some(), "nothing was done"));
}

#[test]
fn an_archived_product_can_be_restored_and_what_was_taken_off_is_known_to_be() {
    let off = ProductEvent::TakenOff { connection: SHOP };
    given::<Product>(P, [dunk(), vec![pushed("A", "A", 1), ProductEvent::Archived {}, off]].concat())
        .when(ProductCommand::Restore)
        .then([ProductEvent::Restored {}])
        .then_state(|product| assert!(!product.archived && product.offers[&SHOP].taken_off))
        .when(ProductCommand::Restore)
        .then([]);
    given::<Product>(P, []).when(ProductCommand::Restore).then_refused("product.unknown");
}

#[test]
fn what_was_taken_off_is_so_until_it_is_seen_again() {
    let off = ProductEvent::TakenOff { connection: SHOP };
    given::<Product>(P, [dunk(), vec![pushed("Dunk Low", "Dunk Low", 1), off]].concat())
        .when(sight(1, "Dunk Low"))
        .then_state(|product| {
            let offer = &product.offers[&SHOP];
            assert!(offer.taken_off && offer.shown.is_none() && offer.settled.is_none());
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
    assert_eq!(ours.clone().changed(&known.words(), &known, &[]), ours);
    let shown = ProductDetails { vendor: Some("Kite & Co".into()), ..known.clone() };
    let expected = ProductDetails { vendor: Some("Kite & Co".into()), ..ours.clone() };
    assert_eq!(ours.clone().changed(&known.words(), &shown, &[]), expected);
    let shown = ProductDetails { tags: vec!["high".into()], ..known.clone() };
    let expected = ProductDetails { tags: vec!["high".into()], ..ours.clone() };
    assert_eq!(ours.changed(&known.words(), &shown, &[]), expected);
}
