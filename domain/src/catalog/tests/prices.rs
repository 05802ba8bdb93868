//! Prices: a shop's own counts where the rules let it, unless it is older than ours.

use super::*;

fn moment(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(second)
}

fn accepting() -> World {
    World::connected(&SyncRules { accept_prices: true, ..SyncRules::default() })
}

fn holding() -> World {
    World::connected(&SyncRules { hold_conflicts: true, ..SyncRules::default() })
}

/// The shop tells what its only variant costs, as of a second. Gives what follows, but for that it was seen at all.
fn tells(world: &mut World, price: i64, second: i64) -> Vec<String> {
    let product = at(dunk(vec![variant(1, Some(sku("D-42")), price)]), second);
    let mut events = world.sees(ONE, &product, 50);
    assert_eq!(events.pop().as_deref(), Some("product.observed"));
    events
}

/// Somebody sets the price here, at a second.
fn sets(world: &mut World, price: i64, second: i64) {
    let product = ProductId(Uuid::from_u128(50));
    let variant = *world.product(50).variants.keys().next().expect("it has a variant");
    let (market, counted_at) = (Market::default(), Some(moment(second)));
    let event = ProductEvent::Priced { variant, market, price: usd(price), at: None, counted_at };
    world.record(vec![(StreamId::Product(product), event.into())]);
}

/// The shop has taken a price of ours, at a second.
fn takes(world: &mut World, price: i64, second: i64) {
    let event = ListingEvent::PricePushed { price: usd(price), as_of: second, at: Some(moment(second)) };
    world.record(vec![(StreamId::Listing(ListingId::of(ONE, &ExternalId::from(1))), event.into())]);
}

/// What it costs here.
fn price(world: &World) -> Money {
    let variant = world.product(50).variants.values().next().expect("it has a variant");
    variant.prices[&Market::default()]
}

#[test]
fn a_price_from_before_ours_was_taken_undoes_nothing_and_is_put_right_for_it_may_be_shown() {
    let mut world = accepting();
    tells(&mut world, 7_700, 0);
    sets(&mut world, 10_000, 20);
    takes(&mut world, 10_000, 21);
    for (late, second) in [(6_600, 10), (6_700, 11)] {
        assert_eq!(tells(&mut world, late, second), ["listing.price_observed"]);
        assert_eq!((price(&world), world.listing(ONE, 1).price.value), (usd(10_000), Some(usd(late))));
    }
    takes(&mut world, 10_000, 25);
    assert_eq!(tells(&mut world, 10_000, 26), ["listing.price_observed"]);
    // What was put right before is no price of ours.
    assert_eq!(tells(&mut world, 6_700, 30), ["listing.price_observed", "product.priced"]);
    assert_eq!(price(&world), usd(6_700));
}

#[test]
fn a_shop_whose_clock_is_behind_is_heard_once_it_has_shown_what_it_took() {
    let mut world = accepting();
    tells(&mut world, 7_700, 0);
    sets(&mut world, 10_000, 100);
    takes(&mut world, 10_000, 101);
    assert_eq!(tells(&mut world, 10_000, 41), ["listing.price_observed"]);
    assert_eq!(tells(&mut world, 6_600, 70), ["listing.price_observed", "product.priced"]);
}

#[test]
fn our_own_price_coming_back_does_not_undo_a_newer_one() {
    let mut world = accepting();
    tells(&mut world, 7_700, 0);
    sets(&mut world, 10_000, 20);
    takes(&mut world, 10_000, 21);
    sets(&mut world, 11_000, 22);
    assert_eq!(tells(&mut world, 10_000, 23), ["listing.price_observed"]);
    assert_eq!(price(&world), usd(11_000));
}

#[test]
fn a_price_from_before_ours_came_to_count_is_noted_and_does_not_replace_it() {
    let mut world = accepting();
    tells(&mut world, 7_700, 0);
    sets(&mut world, 10_000, 50);
    assert_eq!(tells(&mut world, 6_600, 40), ["listing.price_observed"]);
    assert_eq!((price(&world), world.listing(ONE, 1).price.value), (usd(10_000), Some(usd(6_600))));
    assert_eq!(tells(&mut world, 6_500, 60), ["listing.price_observed", "product.priced"]);
}

#[test]
fn a_price_in_question_is_agreed_once_the_shop_shows_ours_again() {
    let mut world = holding();
    tells(&mut world, 7_700, 0);
    assert_eq!(tells(&mut world, 6_600, 1), ["listing.price_observed", "listing.conflict_opened"]);
    assert_eq!(tells(&mut world, 7_700, 2), ["listing.price_observed", "listing.conflict_resolved"]);
    assert_eq!(world.listing(ONE, 1).price_conflict, None);
}

#[test]
fn a_price_in_question_is_agreed_once_ours_is_what_the_shop_shows() {
    let mut world = holding();
    tells(&mut world, 7_700, 0);
    tells(&mut world, 6_600, 1);
    sets(&mut world, 6_600, 2);
    assert_eq!(tells(&mut world, 6_600, 3), ["listing.conflict_resolved"]);
}

#[test]
fn a_price_in_question_is_agreed_once_the_rules_let_a_newer_one_count() {
    let mut world = holding();
    tells(&mut world, 7_700, 0);
    tells(&mut world, 6_600, 1);
    let rules = SyncRules { accept_prices: true, ..SyncRules::default() };
    world.record(vec![(StreamId::Connection(ONE), ConnectionEvent::RulesChanged { rules }.into())]);
    let expected = ["listing.price_observed", "listing.conflict_resolved", "product.priced"];
    assert_eq!(tells(&mut world, 7_000, 2), expected);
    assert_eq!(price(&world), usd(7_000));
}
