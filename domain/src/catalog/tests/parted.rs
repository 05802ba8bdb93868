//! One product here, several there, and the other way round.

use super::*;

/// A product of a shop as it was at a second, with these variants.
fn shown(external: u64, title: &str, variants: &[(u64, &str)], second: i64) -> ObservedProduct {
    let variants = variants.iter().map(|(external, name)| {
        let attributes = BTreeMap::from([("size".to_owned(), (*name).to_owned())]);
        ObservedVariant { attributes, ..variant(*external, Some(sku(name)), 12_000) }
    });
    let details = ProductDetails { title: title.into(), ..ProductDetails::default() };
    let product = ObservedProduct { external: external.into(), details, ..dunk(variants.collect()) };
    at(product, second)
}

fn sand(title: &str, second: i64) -> ObservedProduct {
    shown(201, title, &[(11, "S-42"), (12, "S-43")], second)
}

fn blue(title: &str, second: i64) -> ObservedProduct {
    shown(202, title, &[(21, "B-42"), (22, "B-43")], second)
}

/// A product of four variants, which another shop sells in two.
fn parted() -> World {
    let mut world = World::connected(&SyncRules::default());
    let all = [(1, "S-42"), (2, "S-43"), (3, "B-42"), (4, "B-43")];
    world.sees(ONE, &shown(100, "Runner", &all, 0), 50);
    world.sees(TWO, &sand("Runner Sand", 5), 51);
    world
}

#[test]
fn what_a_shop_calls_the_parts_of_a_product_is_no_name_for_it() {
    let mut world = parted();
    for second in 5..9 {
        world.sees(TWO, &blue("Runner Blue", second), 52);
        world.sees(TWO, &sand(&format!("Runner Sand {second}"), second), 53);
        assert_eq!(world.title(50), "Runner");
    }
}

#[test]
fn one_part_of_a_product_is_listed_though_another_was_seen_later() {
    let mut world = parted();
    world.sees(TWO, &blue("Runner Blue", 3), 52);
    assert!(world.listing(TWO, 21).mapping.is_some() && world.listing(TWO, 22).mapping.is_some());
    // Of each part, what is older than its own last sight is old.
    assert_eq!(world.sees(TWO, &blue("Runner Blue", 2), 53), Vec::<String>::new());
    world.sees(TWO, &shown(201, "Runner Sand", &[(11, "S-42")], 6), 54);
    assert!(world.listing(TWO, 12).removed && !world.listing(TWO, 21).removed);
}

#[test]
fn what_is_left_of_a_product_there_names_it_once_it_is_called_something_else() {
    let mut world = parted();
    world.sees(TWO, &blue("Runner Blue", 5), 52);
    let gone = [11, 12].map(|external| {
        let id = ListingId::of(TWO, &ExternalId::from(external));
        (StreamId::Listing(id), Event::from(ListingEvent::Removed { at: None, taken_off: false }))
    });
    world.record(gone.to_vec());
    world.sees(TWO, &blue("Runner Blue", 6), 53);
    assert_eq!(world.title(50), "Runner", "it was called so before");
    world.sees(TWO, &blue("Runner Azure", 7), 54);
    assert_eq!(world.title(50), "Runner Azure");
}

#[test]
fn what_holds_two_products_of_ours_names_neither() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &shown(100, "Runner Sand", &[(1, "S-42")], 0), 50);
    world.sees(ONE, &shown(101, "Runner Blue", &[(2, "B-42")], 0), 60);
    for second in 1..4 {
        let both = [(31, "S-42"), (32, "B-42")];
        world.sees(TWO, &shown(300, &format!("Runner {second}"), &both, second), 61);
        assert_eq!((world.title(50), world.title(60)), ("Runner Sand", "Runner Blue"));
    }
}

#[test]
fn another_product_of_a_shop_that_takes_the_place_of_the_first_is_at_first_only_remembered() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &shown(100, "Runner", &[(1, "S-42")], 0), 50);
    world.pushes(ONE, 50, "Runner", 1);
    let again = |title, second| shown(110, title, &[(7, "S-42")], second);
    world.record(vec![(
        StreamId::Listing(ListingId::of(ONE, &ExternalId::from(1))),
        ListingEvent::Removed { at: None, taken_off: false }.into(),
    )]);
    world.sees(ONE, &again("Sand", 2), 51);
    world.sees(ONE, &again("Sand", 3), 52);
    assert_eq!(world.title(50), "Runner");
    world.sees(ONE, &again("Sand II", 4), 53);
    assert_eq!(world.title(50), "Sand II");
}
