//! SKUs that change hands in a shop, and those that several of its variants have.

use super::*;

/// Variants under these SKUs, as they were at a second.
fn called(variants: &[(u64, &str)], second: i64) -> ObservedProduct {
    let variants = variants.iter().map(|(external, name)| variant(*external, Some(sku(name)), 11_000));
    at(dunk(variants.collect()), second)
}

/// The same as another product of the shop.
fn other(external: u64, name: &str, second: i64) -> ObservedProduct {
    ObservedProduct { external: 101.into(), ..called(&[(external, name)], second) }
}

fn ours(world: &World, external: u64) -> Mapping {
    world.listing(ONE, external).mapping.clone().expect("it is mapped")
}

/// What each of a shop's variants is called here, which is what names it and nothing else does.
fn skus<const N: usize>(world: &World, externals: [u64; N]) -> [String; N] {
    externals.map(|external| {
        let Mapping { product, variant, .. } = ours(world, external);
        let known = match world.0.get(&StreamId::Product(product)) {
            Some(State::Product(product)) => &product.variants[&variant].details.sku,
            other => panic!("no product: {other:?}"),
        };
        let named = world.0.iter().filter_map(|(stream, state)| match (stream, state) {
            (StreamId::Sku(sku), State::Sku(claim)) => {
                (claim.names == Some((product, variant))).then_some(sku)
            }
            _ => None,
        });
        assert_eq!(named.collect::<Vec<_>>(), [known]);
        known.to_string()
    })
}

#[test]
fn skus_that_change_hands_within_one_sight_are_taken_over_in_whatever_order_they_are_told() {
    for now in [["B", "A", "C"], ["B", "C", "A"], ["B", "C", "D"], ["D", "A", "B"]] {
        for backwards in [false, true] {
            let mut world = World::connected(&SyncRules::default());
            world.sees(ONE, &called(&[(1, "A"), (2, "B"), (3, "C")], 0), 50);
            let before = [1, 2, 3].map(|external| ours(&world, external));
            let mut shown: Vec<_> = [1_u64, 2, 3].into_iter().zip(now).collect();
            if backwards {
                shown.reverse();
            }
            let (_, notes) = world.is_told(ONE, &called(&shown, 1), 51);
            assert_eq!((skus(&world, [1, 2, 3]), notes), (now.map(str::to_owned), vec![]), "{shown:?}");
            assert_eq!([1, 2, 3].map(|external| ours(&world, external)), before);
            assert_eq!(world.sees(ONE, &called(&shown, 1), 52), Vec::<String>::new());
        }
    }
}

#[test]
fn a_variant_that_is_new_has_the_sku_that_another_has_given_up() {
    for shown in [[(1, "B"), (2, "A")], [(2, "A"), (1, "B")]] {
        let mut world = World::connected(&SyncRules::default());
        world.sees(ONE, &called(&[(1, "A")], 0), 50);
        let before = ours(&world, 1);
        world.sees(ONE, &called(&shown, 1), 51);
        assert_eq!((skus(&world, [1, 2]), ours(&world, 1)), (["B".to_owned(), "A".to_owned()], before));
    }
}

#[test]
fn skus_that_were_changed_here_are_not_exchanged_again_when_they_come_back() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &called(&[(1, "A"), (2, "B")], 0), 50);
    let (product, [one, two]) =
        (ours(&world, 1).product, [1, 2].map(|external| ours(&world, external).variant));
    for (variant, name) in [(one, "B"), (two, "A")] {
        let attributes = world.product(50).variants[&variant].details.attributes.clone();
        let details = crate::product::VariantDetails { sku: sku(name), attributes };
        world.record(vec![
            (StreamId::Sku(sku(name)), SkuEvent::Assigned { product, variant }.into()),
            (StreamId::Product(product), ProductEvent::VariantChanged { variant, details }.into()),
        ]);
    }
    for shown in [[(1, "A"), (2, "B")], [(1, "B"), (2, "B")], [(1, "B"), (2, "A")]] {
        world.sees(ONE, &called(&shown, 1), 51);
        assert_eq!(skus(&world, [1, 2]), ["B", "A"]);
    }
}

#[test]
fn a_sku_that_is_another_variant_s_is_asked_for_again_until_it_is_free() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &called(&[(1, "A"), (3, "C")], 0), 50);
    world.sees(ONE, &other(2, "B", 0), 60);
    // What cannot give its own up keeps others from having it.
    let shown = |second| called(&[(1, "B"), (3, "A")], second);
    let (events, notes) = world.is_told(ONE, &shown(1), 51);
    assert_eq!(events, ["product.observed"]);
    let told = [("1", "B", "A"), ("3", "A", "C")].map(|(external, now, ours)| {
        format!(
            "the platform's variant {external} has the SKU {now} now, which names another variant: it stays {ours}"
        )
    });
    assert_eq!(notes, told);
    world.sees(ONE, &other(2, "D", 2), 61);
    assert_eq!(world.is_told(ONE, &shown(3), 52).1, Vec::<String>::new());
    assert_eq!(skus(&world, [1, 2, 3]), ["B", "D", "A"]);
}

#[test]
fn of_two_that_want_one_sku_the_same_gets_it_in_whatever_order_they_are_told() {
    for shown in [[(1, "C"), (2, "C")], [(2, "C"), (1, "C")]] {
        let mut world = World::connected(&SyncRules::default());
        world.sees(ONE, &called(&[(1, "A"), (2, "B")], 0), 50);
        let (_, notes) = world.is_told(ONE, &called(&shown, 1), 51);
        assert_eq!((skus(&world, [1, 2]), notes.len()), (["C".to_owned(), "B".to_owned()], 1));
    }
}

#[test]
fn a_listing_whose_sku_is_changed_leaves_the_variant_to_those_that_still_show_the_old_one() {
    for shown in [[(1, "A"), (2, "B")], [(2, "B"), (1, "A")]] {
        let mut world = World::connected(&SyncRules::default());
        world.sees(ONE, &called(&[(1, "A"), (2, "A")], 0), 50);
        let before = ours(&world, 1);
        assert_eq!(ours(&world, 2).variant, before.variant);
        let (_, notes) = world.is_told(ONE, &called(&shown, 1), 51);
        assert_eq!((skus(&world, [1, 2]), ours(&world, 1)), (["A".to_owned(), "B".to_owned()], before));
        assert!(notes.len() == 1 && notes[0].contains("mapped anew"), "{notes:?}");
        assert_eq!(world.sees(ONE, &called(&shown, 1), 52), Vec::<String>::new());
    }
}

#[test]
fn a_listing_that_leaves_a_variant_joins_the_one_that_has_its_new_sku() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &called(&[(1, "A")], 0), 50);
    world.sees(ONE, &other(2, "A", 0), 60);
    world.sees(TWO, &called(&[(9, "B")], 0), 70);
    assert_eq!(ours(&world, 2).variant, ours(&world, 1).variant);
    world.sees(ONE, &other(2, "B", 1), 61);
    assert_eq!(skus(&world, [1, 2]), ["A", "B"]);
    assert_eq!(ours(&world, 2).product, ProductId(Uuid::from_u128(70)));
}

#[test]
fn of_listings_of_one_variant_that_get_different_skus_one_keeps_it() {
    for shown in [[(1, "B"), (2, "C")], [(2, "C"), (1, "B")]] {
        let mut world = World::connected(&SyncRules::default());
        world.sees(ONE, &called(&[(1, "A"), (2, "A")], 0), 50);
        let before = ours(&world, 1);
        world.sees(ONE, &called(&shown, 1), 51);
        assert_eq!((skus(&world, [1, 2]), ours(&world, 1)), (["B".to_owned(), "C".to_owned()], before));
    }
}

#[test]
fn a_variant_is_renamed_where_no_other_listing_there_still_shows_its_old_sku() {
    let both = [(1, "A"), (2, "A")];
    for shown in [&[(1, "B"), (2, "B")][..], &[(2, "B")]] {
        let mut world = World::connected(&SyncRules::default());
        world.sees(ONE, &called(&both, 0), 50);
        // Another shop is none of its business.
        world.sees(TWO, &called(&[(9, "A")], 0), 60);
        let before = ours(&world, 2);
        world.sees(ONE, &called(shown, 1), 51);
        assert_eq!((skus(&world, [2]), ours(&world, 2)), (["B".to_owned()], before));
    }
}
