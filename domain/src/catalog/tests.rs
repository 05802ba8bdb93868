mod parted;
mod prices;
mod skus;
mod variants;

use uuid::Uuid;

use super::*;
use crate::{
    State,
    connection::{ConnectionEvent, Platform, SyncRules},
    values::{Currency, LocationCode, Market},
};

const ONE: ConnectionId = ConnectionId(Uuid::from_u128(1));
const TWO: ConnectionId = ConnectionId(Uuid::from_u128(2));

fn usd(minor: i64) -> Money {
    Money { minor, currency: Currency::new("USD").expect("a currency") }
}

fn sku(text: &str) -> Sku {
    Sku::new(text).expect("a SKU")
}

fn connected(platform: Platform, rules: SyncRules) -> Event {
    let details = ConnectionDetails {
        platform,
        name: "shop".into(),
        brand: "sneaks".into(),
        account: Some("shop.example".into()),
        app: None,
        endpoint: None,
        platform_location: Some(7.into()),
        location: LocationCode::default(),
        market: Market::default(),
        currency: Currency::new("USD").expect("a currency"),
    };
    ConnectionEvent::Created { details, rules }.into()
}

fn variant(external: u64, sku: Option<Sku>, price: i64) -> ObservedVariant {
    let attributes = BTreeMap::from([("size".into(), external.to_string())]);
    ObservedVariant { external: external.into(), inventory: None, sku, attributes, price: Some(usd(price)) }
}

fn dunk(variants: Vec<ObservedVariant>) -> ObservedProduct {
    let details = ProductDetails { title: "Dunk Low".into(), ..ProductDetails::default() };
    ObservedProduct {
        external: 100.into(),
        details,
        told: vec![],
        variants,
        complete: true,
        at: DateTime::UNIX_EPOCH,
    }
}

/// A ledger of a few streams, in memory.
#[derive(Default)]
struct World(HashMap<StreamId, State>);

impl World {
    fn connected(rules: &SyncRules) -> Self {
        let mut world = Self::default();
        for id in [ONE, TWO] {
            world.record(vec![(StreamId::Connection(id), connected(Platform::Shopify, rules.clone()))]);
        }
        world
    }

    fn record(&mut self, changes: Changes) {
        for (stream, event) in changes {
            let state = self.0.entry(stream.clone()).or_insert_with(|| State::initial(&stream));
            state.evolve(event).expect("events stand in their own streams");
        }
    }

    fn sees(&mut self, connection: ConnectionId, product: &ObservedProduct, fresh: u128) -> Vec<String> {
        self.is_told(connection, product, fresh).0
    }

    /// The same, with the notes that are left of it.
    fn is_told(
        &mut self,
        connection: ConnectionId,
        product: &ObservedProduct,
        fresh: u128,
    ) -> (Vec<String>, Vec<String>) {
        let fresh = ProductId(Uuid::from_u128(fresh));
        let mut missing = HashMap::new();
        for stream in self.reachable(connection, product, fresh) {
            missing.insert(stream.clone(), State::initial(&stream));
        }
        let find = |id: &StreamId| self.0.get(id).or_else(|| missing.get(id)).expect("a reachable stream");
        let listed: Vec<ListingId> = (self.0.iter())
            .filter_map(|(stream, state)| match (stream, state) {
                (StreamId::Listing(id), State::Listing(listing)) => {
                    listing.mapping.as_ref().is_some_and(|it| it.connection == connection).then_some(*id)
                }
                _ => None,
            })
            .collect();
        let changes = observe(connection, product, fresh, &listed, &Lookup::new(&find));
        let (changes, notes) = changes.expect("shops are not refused");
        let names = changes.iter().map(|(_, event)| event.name()).collect();
        self.record(changes);
        (names, notes)
    }

    fn reachable(&self, id: ConnectionId, product: &ObservedProduct, fresh: ProductId) -> Vec<StreamId> {
        let mut all = streams(id, product);
        all.push(StreamId::Product(fresh));
        let made = |v: &ObservedVariant| {
            let made = Sku::new(&format!("shopify-{}", v.external));
            StreamId::Sku(made.unwrap_or_else(|_| ListingId::of(id, &v.external).into()))
        };
        all.extend(product.variants.iter().map(made));
        all
    }

    /// The product that was made under this id.
    fn product(&self, fresh: u128) -> &Product {
        match self.0.get(&StreamId::Product(ProductId(Uuid::from_u128(fresh)))) {
            Some(State::Product(product)) => product,
            other => panic!("no product: {other:?}"),
        }
    }

    fn title(&self, fresh: u128) -> &str {
        self.product(fresh).details.as_ref().map_or("", |details| &details.title)
    }

    /// A shop takes what the product is called, at a second, and shows it in its own way.
    fn pushes(&mut self, connection: ConnectionId, fresh: u128, shows: &str, second: i64) {
        let at = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(second);
        let words = self.product(fresh).details.clone().unwrap_or_default().words();
        let shows = Words { title: shows.into(), ..words.clone() };
        let stream = StreamId::Product(ProductId(Uuid::from_u128(fresh)));
        self.record(vec![(stream, ProductEvent::Pushed { connection, words, shows, at }.into())]);
    }

    fn listing(&self, connection: ConnectionId, external: u64) -> &crate::listing::Listing {
        match self.0.get(&StreamId::Listing(ListingId::of(connection, &external.into()))) {
            Some(State::Listing(listing)) => listing,
            other => panic!("no listing: {other:?}"),
        }
    }
}

#[test]
fn a_product_nobody_knows_is_taken_in_with_its_price_and_listed() {
    let mut world = World::connected(&SyncRules::default());
    let events = world.sees(ONE, &dunk(vec![variant(1, Some(sku("D-42")), 11_000)]), 50);
    assert_eq!(
        events,
        [
            "product.created",
            "sku.assigned",
            "product.variant_added",
            "listing.mapped",
            "listing.variant_observed",
            "listing.price_observed",
            "product.priced",
            "product.observed"
        ]
    );
}

#[test]
fn the_same_product_shown_again_changes_nothing() {
    let mut world = World::connected(&SyncRules::default());
    let product = dunk(vec![variant(1, Some(sku("D-42")), 11_000), variant(2, None, 9_000)]);
    world.sees(ONE, &product, 50);
    assert_eq!(world.sees(ONE, &product, 51), Vec::<String>::new());
}

#[test]
fn two_shops_with_one_sku_share_one_variant() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &dunk(vec![variant(1, Some(sku("D-42")), 11_000)]), 50);
    let events = world.sees(TWO, &dunk(vec![variant(9, Some(sku("D-42")), 11_000)]), 51);
    let expected =
        ["listing.mapped", "listing.variant_observed", "listing.price_observed", "product.observed"];
    assert_eq!(events, expected);
    let mapping = |connection, external| world.listing(connection, external).mapping.clone().expect("mapped");
    assert_eq!(mapping(ONE, 1).variant, mapping(TWO, 9).variant);
}

#[test]
fn a_shops_new_price_is_noted_but_changes_ours_only_where_the_rules_say_so() {
    let seen = dunk(vec![variant(1, Some(sku("D-42")), 11_000)]);
    let mut later = dunk(vec![variant(1, Some(sku("D-42")), 12_000)]);
    later.at += chrono::TimeDelta::seconds(1);

    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &seen, 50);
    assert_eq!(world.sees(ONE, &later, 51), ["listing.price_observed", "product.observed"]);

    let mut world = World::connected(&SyncRules { accept_prices: true, ..SyncRules::default() });
    world.sees(ONE, &seen, 50);
    assert_eq!(world.sees(ONE, &later, 51), ["listing.price_observed", "product.priced", "product.observed"]);
}

fn at(mut product: ObservedProduct, seconds: i64) -> ObservedProduct {
    product.at += chrono::TimeDelta::seconds(seconds);
    product
}

#[test]
fn an_older_sight_never_overwrites_a_newer_one() {
    let mut world = World::connected(&SyncRules { accept_prices: true, ..SyncRules::default() });
    let mut old = at(dunk(vec![variant(1, Some(sku("D-42")), 9_000), variant(2, None, 9_000)]), 10);
    old.details.title = "Dunk".into();
    // "updated" before "created": all of it is in either.
    world.sees(ONE, &at(dunk(vec![variant(1, Some(sku("D-42")), 11_000)]), 20), 50);
    assert_eq!(world.sees(ONE, &old, 51), Vec::<String>::new());
    // Nothing but its time was new in between; that counts, too.
    world.sees(ONE, &at(dunk(vec![variant(1, Some(sku("D-42")), 11_000)]), 30), 52);
    assert_eq!(world.sees(ONE, &at(old, 15), 53), Vec::<String>::new());
}

#[test]
fn a_variant_that_a_shop_shows_no_longer_is_no_longer_listed() {
    let mut world = World::connected(&SyncRules::default());
    let both = dunk(vec![variant(1, Some(sku("A")), 1), variant(2, Some(sku("B")), 1)]);
    world.sees(ONE, &both, 50);
    let part = ObservedProduct { complete: false, ..at(dunk(vec![variant(1, Some(sku("A")), 1)]), 1) };
    world.sees(ONE, &part, 51);
    assert!(!world.listing(ONE, 2).removed, "a part says nothing of the rest");
    world.sees(ONE, &at(dunk(vec![variant(1, Some(sku("A")), 1)]), 2), 52);
    assert!(world.listing(ONE, 2).removed && !world.listing(ONE, 1).removed);
    world.sees(ONE, &at(both.clone(), 1), 53);
    assert!(world.listing(ONE, 2).removed, "older news do not bring it back");
    world.sees(ONE, &at(both, 3), 54);
    assert!(!world.listing(ONE, 2).removed);
}

#[test]
fn a_renamed_sku_stays_the_same_variant() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &dunk(vec![variant(1, Some(sku("D-42")), 11_000)]), 50);
    let before = world.listing(ONE, 1).mapping.clone();
    let events = world.sees(ONE, &dunk(vec![variant(1, Some(sku("DUNK-42")), 11_000)]), 51);
    let expected = ["sku.released", "sku.assigned", "product.variant_changed", "listing.variant_observed"];
    assert_eq!(events, expected);
    assert_eq!(world.listing(ONE, 1).mapping, before);
}

#[test]
fn a_sku_taken_by_another_variant_is_not_taken_from_it() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &dunk(vec![variant(1, Some(sku("A")), 1), variant(2, Some(sku("B")), 1)]), 50);
    assert_eq!(
        world.sees(ONE, &dunk(vec![variant(1, Some(sku("A")), 1), variant(2, Some(sku("A")), 1)]), 51),
        Vec::<String>::new()
    );
}

#[test]
fn two_variants_without_a_sku_are_two_variants() {
    let mut world = World::connected(&SyncRules::default());
    let events = world.sees(ONE, &dunk(vec![variant(1, None, 1), variant(2, None, 1)]), 50);
    assert_eq!(events.iter().filter(|name| *name == "product.variant_added").count(), 2);
}

#[test]
fn two_listings_of_one_sku_in_one_product_share_a_variant() {
    let mut world = World::connected(&SyncRules::default());
    let twice = dunk(vec![variant(1, Some(sku("A")), 1), variant(3, Some(sku("A")), 1)]);
    let events = world.sees(ONE, &twice, 50);
    assert_eq!(events.iter().filter(|name| *name == "product.variant_added").count(), 1);
    assert_eq!(events.iter().filter(|name| *name == "listing.mapped").count(), 2);
    assert!(matches!(world.listing(ONE, 3).mapping, Some(Mapping { .. })));
}

/// A product of one variant, under a title, as it was at a second.
fn called(title: &str, external: u64, second: i64) -> ObservedProduct {
    let attributes = BTreeMap::from([("size".into(), "42".into())]);
    let one = ObservedVariant { attributes, ..variant(external, Some(sku("D-42")), 11_000) };
    let mut product = at(dunk(vec![one]), second);
    product.details.title = title.into();
    product
}

#[test]
fn a_second_shop_with_the_same_sku_does_not_rename_the_product_until_the_title_is_changed_there() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &called("Dunk Low", 1, 0), 50);
    world.sees(TWO, &called("DUNK", 9, 1), 51);
    world.sees(TWO, &called("DUNK", 9, 2), 52);
    assert_eq!(world.title(50), "Dunk Low");
    assert_eq!(
        world.sees(TWO, &called("Dunk Low Retro", 9, 3), 53),
        ["product.described", "product.observed"]
    );
    assert_eq!(world.title(50), "Dunk Low Retro");
    // The first shop, which has not been told yet, has changed nothing.
    assert_eq!(world.sees(ONE, &called("Dunk Low", 1, 4), 54), ["product.observed"]);
    assert_eq!(world.title(50), "Dunk Low Retro");
}

#[test]
fn our_own_words_coming_back_change_nothing_however_late() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &called("Dunk Low", 1, 0), 50);
    world.sees(TWO, &called("DUNK", 9, 0), 51);
    world.pushes(TWO, 50, "Dunk Low", 5);
    // Whatever it was: it stood so before.
    let mut late = called("DUNK", 9, 1);
    late.details.vendor = Some("Kite".into());
    assert_eq!(world.sees(TWO, &late, 52), ["product.observed"]);
    assert_eq!(world.sees(TWO, &called("Dunk Low", 9, 6), 53), ["product.observed"]);
    assert_eq!(world.title(50), "Dunk Low");
    // Going back is somebody's wish, also if nobody has told us that ours were shown.
    world.pushes(TWO, 50, "Dunk Low", 7);
    world.sees(TWO, &called("DUNK", 9, 8), 54);
    assert_eq!(world.title(50), "DUNK");
    assert_eq!(world.product(50).details.as_ref().and_then(|it| it.vendor.as_deref()), None);
}

#[test]
fn shops_that_cut_titles_each_in_its_own_way_play_no_ping_pong() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &called("Dunk Low Retro", 1, 0), 50);
    world.sees(TWO, &called("Dunk Low Retro", 9, 0), 51);
    for round in 1..4 {
        world.pushes(ONE, 50, "Dunk Low", round);
        world.pushes(TWO, 50, "Dunk", round);
        assert_eq!(world.sees(ONE, &called("Dunk Low", 1, round), 52), ["product.observed"]);
        assert_eq!(world.sees(TWO, &called("Dunk", 9, round), 53), ["product.observed"]);
        assert_eq!(world.title(50), "Dunk Low Retro");
    }
    // What else is changed there is taken over, and leaves the title as it is.
    let mut changed = called("Dunk", 9, 5);
    changed.details.vendor = Some("Kite".into());
    assert_eq!(world.sees(TWO, &changed, 54), ["product.described", "product.observed"]);
    let details = world.product(50).details.clone().expect("it is there");
    assert_eq!((details.title.as_str(), details.vendor.as_deref()), ("Dunk Low Retro", Some("Kite")));
}

#[test]
fn a_title_that_is_not_told_changes_none_and_one_that_stood_in_for_it_gives_way() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &called("", 1, 0), 50);
    assert_eq!(world.title(50), "100");
    world.sees(ONE, &called("Dunk Low", 1, 1), 51);
    assert_eq!(world.title(50), "Dunk Low");
    assert_eq!(world.sees(ONE, &called(" ", 1, 2), 52), ["product.observed"]);
    assert_eq!(world.sees(ONE, &called("Dunk Low", 1, 3), 53), ["product.observed"]);
    assert_eq!(world.title(50), "Dunk Low");
}

#[test]
fn a_variant_that_is_an_item_of_its_own_does_not_name_its_product() {
    let mut world = World::connected(&SyncRules::default());
    world.record(vec![(StreamId::Connection(TWO), connected(Platform::Clover, SyncRules::default()))]);
    world.sees(ONE, &called("Dunk Low", 1, 0), 50);
    for (second, title) in [(1, "Dunk Low 42"), (2, "42"), (3, "Dunk Low 42")] {
        world.sees(TWO, &called(title, 9, second), 51);
        assert_eq!(world.title(50), "Dunk Low", "{title}");
    }
}

#[test]
fn a_product_that_was_taken_off_is_listed_again_if_somebody_puts_it_back_there_and_by_no_late_news() {
    let mut world = World::connected(&SyncRules::default());
    world.sees(ONE, &called("Dunk Low", 1, 0), 50);
    world.pushes(ONE, 50, "Dunk Low", 0);
    let off = ProductEvent::TakenOff { connection: ONE };
    let removed = ListingEvent::Removed {
        at: Some(DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(5)),
        taken_off: false,
    };
    world.record(vec![
        (StreamId::Listing(ListingId::of(ONE, &ExternalId::from(1))), removed.into()),
        (StreamId::Product(ProductId(Uuid::from_u128(50))), off.into()),
    ]);
    world.sees(ONE, &called("Dunk Low", 1, 4), 51);
    assert!(world.listing(ONE, 1).removed && world.product(50).offers[&ONE].taken_off);
    world.sees(ONE, &called("Dunk Low", 1, 6), 52);
    assert!(!world.listing(ONE, 1).removed && !world.product(50).offers[&ONE].taken_off);
}
