//! SKUs and what sets variants apart: what a shop changes of them counts, and nothing else.

use super::*;
use crate::product::VariantDetails;

/// One variant under a SKU, set apart in some way, as it was at a second.
fn shown(external: u64, name: &str, attributes: &[(&str, &str)], second: i64) -> ObservedProduct {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let one =
        ObservedVariant { attributes: attributes.collect(), ..variant(external, Some(sku(name)), 11_000) };
    at(dunk(vec![one]), second)
}

/// The SKUs of a product's variants, each with what sets it apart.
fn variants(world: &World) -> Vec<(String, Vec<(&str, &str)>)> {
    let mut variants: Vec<(String, Vec<(&str, &str)>)> = (world.product(50).variants.values())
        .map(|it| {
            let attributes = it.details.attributes.iter();
            let attributes = attributes.map(|(name, value)| (name.as_str(), value.as_str()));
            (it.details.sku.to_string(), attributes.collect())
        })
        .collect();
    variants.sort();
    variants
}

fn skus(world: &World) -> Vec<String> {
    variants(world).into_iter().map(|(sku, _)| sku).collect()
}

/// Somebody gives the only variant another SKU here.
fn renames(world: &mut World, from: &str, to: &str) {
    let product = ProductId(Uuid::from_u128(50));
    let (variant, known) = world.product(50).variants.iter().next().expect("it has a variant");
    let (variant, attributes) = (*variant, known.details.attributes.clone());
    let details = VariantDetails { sku: sku(to), attributes };
    world.record(vec![
        (StreamId::Sku(sku(from)), SkuEvent::Released {}.into()),
        (StreamId::Sku(sku(to)), SkuEvent::Assigned { product, variant }.into()),
        (StreamId::Product(product), ProductEvent::VariantChanged { variant, details }.into()),
    ]);
}

#[test]
fn variants_without_a_sku_whose_ids_are_too_long_for_one_are_told_apart() {
    let mut world = World::connected(&SyncRules::default());
    let both = [1, 2].map(|number| {
        let external = ExternalId::new(&format!("{}{number}", "x".repeat(200))).expect("an id");
        ObservedVariant { external, ..variant(number, None, 11_000) }
    });
    world.sees(ONE, &dunk(both.to_vec()), 50);
    let mut named = both.map(|it| ListingId::of(ONE, &it.external).to_string());
    named.sort();
    assert_eq!(skus(&world), named);
}

#[test]
fn a_sku_that_was_changed_here_is_not_undone_by_the_next_sight() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &shown(1, "D-42", &[], 0), 50);
    renames(&mut world, "D-42", "DUNK-42");
    assert_eq!(world.sees(ONE, &shown(1, "D-42", &[], 1), 51), ["product.observed"]);
    assert_eq!(skus(&world), ["DUNK-42"]);
    // What the shop changes counts.
    world.sees(ONE, &shown(1, "D-LOW-42", &[], 2), 52);
    assert_eq!(skus(&world), ["D-LOW-42"]);
}

#[test]
fn shops_with_other_skus_for_one_variant_do_not_take_turns_in_naming_it() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &shown(1, "D-42", &[], 0), 50);
    let mapping = world.listing(ONE, 1).mapping.clone().expect("it is mapped");
    let external_variant = ExternalId::from(9);
    let id = ListingId::of(TWO, &external_variant);
    let by_hand = Mapping { connection: TWO, external_variant, ..mapping };
    world.record(vec![(StreamId::Listing(id), ListingEvent::Mapped(by_hand).into())]);
    for second in 1..4 {
        world.sees(TWO, &shown(9, "X-42", &[], second), 51);
        world.sees(ONE, &shown(1, "D-42", &[], second), 52);
        assert_eq!(skus(&world), ["D-42"]);
    }
    assert!(!world.0.contains_key(&StreamId::Sku(sku("X-42"))), "it names nothing");
}

#[test]
fn what_sets_a_variant_apart_is_changed_by_what_a_shop_changes_of_it_and_by_nothing_else() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &shown(1, "D-42", &[("size", "42"), ("colour", "sand")], 0), 50);
    let before = variants(&world).len();
    for second in 1..3 {
        // In its own way, and then not at all.
        world.sees(TWO, &shown(9, "D-42", &[("Größe", "white / 42")], second), 51);
        world.sees(ONE, &shown(1, "D-42", &[], second), 52);
    }
    let apart =
        |world: &World| variants(world)[0].1.iter().map(|(n, v)| format!("{n} {v}")).collect::<Vec<_>>();
    assert_eq!((before, apart(&world)), (1, vec!["colour sand".to_owned(), "size 42".to_owned()]));

    world.sees(ONE, &shown(1, "D-42", &[("size", "43"), ("colour", "sand")], 5), 53);
    assert_eq!(apart(&world), ["colour sand", "size 43"]);
    world.sees(ONE, &shown(1, "D-42", &[("size", "43")], 6), 54);
    assert_eq!(apart(&world), ["size 43"]);
    world.sees(TWO, &shown(9, "D-42", &[("Größe", "43")], 7), 55);
    assert_eq!(apart(&world), ["Größe 43", "size 43"]);
}

#[test]
fn a_shop_that_we_have_told_of_a_variant_does_not_tell_us_what_sets_it_apart() {
    let mut world = World::connected(&SyncRules::default());
    let size =
        |world: &World| world.product(50).variants.values().next().map(|it| it.details.attributes.clone());
    let sized = |value: &str| Some(BTreeMap::from([("size".to_owned(), value.to_owned())]));
    world.sees(ONE, &shown(1, "D-42", &[("size", "42")], 0), 50);
    world.pushes(TWO, 50, "Dunk Low", 0);
    world.sees(TWO, &shown(9, "D-42", &[("size", "white / 42")], 1), 51);
    world.sees(TWO, &shown(9, "D-42", &[("size", "white / 42")], 2), 52);
    assert_eq!(size(&world), sized("42"));
    // The shop that it is from may change it.
    world.sees(ONE, &shown(1, "D-42", &[("size", "43")], 3), 53);
    assert_eq!(size(&world), sized("43"));
}
