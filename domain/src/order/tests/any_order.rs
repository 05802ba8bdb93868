//! A shop whose figures count: in whatever order its news arrive, the shelf ends at what the shop shows.

use proptest::prelude::*;

use super::*;
use crate::{
    connection::{Connection, ConnectionDetails, Platform, SyncRules},
    listing::{ListingEvent, Mapping},
    sighting::{Sight, of_quantity},
    values::{Currency, ListingId, Market, ProductId},
};

const ORDERS: usize = 4;

/// Something that happens in the shop. Each moves an amount that no sum of others makes, so that no figure is by chance the one
/// that is known already; such a figure says nothing, for it may be our own.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Place(usize),
    /// One more line, or one less.
    Edit(usize),
    Pay(usize),
    Cancel(usize),
    /// Somebody there enters another number.
    Count,
}

/// What the shop tells of it, each with its own clock.
#[derive(Debug, Clone)]
enum Tells {
    Figure { shown: i64, at: i64 },
    Order { order: usize, quantity: i64, paid: bool, placed_at: i64, at: i64 },
    Cancellation { order: usize, at: i64 },
}

#[derive(Debug, Clone, Copy, Default)]
struct Bought {
    quantity: i64,
    placed_at: Option<i64>,
    edited: bool,
    paid: bool,
    cancelled: bool,
}

#[derive(Debug)]
struct Shop {
    shown: i64,
    counts: u32,
    orders: [Bought; ORDERS],
    tells: Vec<Tells>,
}

/// What all begins with, and what is known of it.
const AT_FIRST: i64 = 10_000_000;

impl Shop {
    fn open() -> Self {
        Self { shown: AT_FIRST, counts: 0, orders: [Bought::default(); ORDERS], tells: vec![] }
    }

    /// Does what can be done; edits are told or not, as shops do.
    fn does(&mut self, deed: Deed, told: bool, at: i64) {
        let before = self.shown;
        match deed {
            Deed::Count => {
                self.shown += 1_024 << self.counts;
                self.counts += 1;
            }
            Deed::Place(n) | Deed::Edit(n) | Deed::Pay(n) | Deed::Cancel(n) => {
                let order = &mut self.orders[n];
                let is_open = order.placed_at.is_some() && !order.cancelled;
                let (small, more) = (1_i64 << (2 * n), 2_i64 << (2 * n));
                let was = order.quantity;
                match deed {
                    Deed::Place(_) if order.placed_at.is_none() => {
                        order.placed_at = Some(at);
                        order.quantity = if told { small } else { small + more };
                    }
                    Deed::Edit(_) if is_open && !order.paid && !order.edited => {
                        order.edited = true;
                        order.quantity = if was == small { small + more } else { small };
                    }
                    Deed::Pay(_) if is_open && !order.paid => order.paid = true,
                    Deed::Cancel(_) if is_open => {
                        (order.cancelled, order.quantity) = (true, 0);
                        self.shown += was;
                        self.tells.push(Tells::Cancellation { order: n, at });
                        self.tells.push(Tells::Figure { shown: self.shown, at });
                        return;
                    }
                    _ => return,
                }
                let Bought { quantity, placed_at, paid, .. } = *order;
                self.shown -= quantity - was;
                if told || !matches!(deed, Deed::Edit(_)) {
                    let placed_at = placed_at.unwrap_or(at);
                    self.tells.push(Tells::Order { order: n, quantity, paid, placed_at, at });
                }
            }
        }
        if self.shown != before {
            self.tells.push(Tells::Figure { shown: self.shown, at });
        }
    }
}

/// The ledger that hears of it.
fn connected(platform: Platform) -> (World, ListingId) {
    let (external, variant) = (ExternalId::from(5), shelf(1).variant);
    let listing = ListingId::of(C, &external);
    let details = ConnectionDetails {
        platform,
        name: "shop".into(),
        brand: "quay".into(),
        account: None,
        app: None,
        endpoint: None,
        platform_location: None,
        location: LocationCode::default(),
        market: Market::default(),
        currency: Currency::new("EUR").expect("a currency"),
    };
    let rules = SyncRules { accept_inventory: true, ..SyncRules::default() };
    let connection = Connection { details: Some(details), rules, enabled: true, ..Connection::default() };
    let mapping = Mapping {
        connection: C,
        product: ProductId(Uuid::from_u128(7)),
        variant,
        external_product: external.clone(),
        external_variant: external,
        external_inventory: None,
    };
    let mut world = World::default();
    world.0.insert(StreamId::Connection(C), State::Connection(Box::new(connection)));
    world.record(vec![(StreamId::Listing(listing), ListingEvent::Mapped(mapping).into())]);
    hears(&mut world, listing, &Tells::Figure { shown: AT_FIRST, at: 0 }, 0);
    (world, listing)
}

fn hears(world: &mut World, listing: ListingId, tells: &Tells, now: i64) {
    let now = at(1_000 + now);
    let changes = match *tells {
        Tells::Figure { shown, at: second } => {
            let sight = Sight { quantity: shown, at: at(second), told: true };
            let streams = [StreamId::Stock(shelf(1))];
            let seen = world.decide(|lookup| of_quantity(listing, sight, lookup, now), &streams);
            seen.expect("a figure is not refused").0
        }
        Tells::Order { order, quantity, paid, placed_at, at: second } => {
            let external_id = &ExternalId::from(order as u64);
            let id = OrderId::of(C, external_id);
            let lines = [line(1, quantity)];
            let news = News {
                connection: C,
                external_id,
                lines: &lines,
                paid,
                buyer: None,
                moved_at: at(placed_at),
                told_at: at(second),
                reopens: false,
                now,
            };
            let streams = [StreamId::Stock(shelf(1)), StreamId::Order(id)];
            let heard =
                world.decide(|lookup| hear(&news, lookup.order(&id), |id| lookup.stock(id)), &streams);
            heard.expect("an order is not refused").changes
        }
        Tells::Cancellation { order, at: second } => {
            let external_id = &ExternalId::from(order as u64);
            let id = OrderId::of(C, external_id);
            let decided = world.decide(
                |lookup| {
                    let times = (at(second), now);
                    cancel((C, external_id), (lookup.order(&id), false), times, |id| lookup.stock(id))
                },
                &[StreamId::Order(id)],
            );
            decided.expect("a cancellation is not refused").changes
        }
    };
    world.record(changes);
}

fn deed() -> impl Strategy<Value = Deed> {
    let order = || 0..ORDERS;
    prop_oneof![
        3 => order().prop_map(Deed::Place),
        2 => order().prop_map(Deed::Edit),
        2 => order().prop_map(Deed::Pay),
        2 => order().prop_map(Deed::Cancel),
        1 => Just(Deed::Count),
    ]
}

/// A shop's life, and its news in some order, some of them twice.
fn life() -> impl Strategy<Value = (i64, Vec<Tells>)> {
    prop::collection::vec((deed(), any::<bool>()), 1..16).prop_flat_map(|deeds| {
        let mut shop = Shop::open();
        for (second, (deed, told)) in (1..).zip(deeds) {
            shop.does(deed, told, second);
        }
        let again = shop.tells.iter().step_by(3).cloned().collect::<Vec<_>>();
        let tells = [shop.tells, again].concat();
        (Just(shop.shown), Just(tells).prop_shuffle())
    })
}

#[test]
fn who_cannot_be_told_knows_what_has_moved_by_other_ways() {
    let (mut world, listing) = connected(Platform::Standard);
    // What is owed anyway.
    hears(&mut world, listing, &Tells::Figure { shown: AT_FIRST, at: 1 }, 1);
    let (reason, reference, occurred_at) = ("lost".to_owned(), None, Some(at(1_002)));
    let lost = StockEvent::Adjusted { delta: -1, reason, reference, occurred_at };
    world.record(vec![(StreamId::Stock(shelf(1)), lost.into())]);
    for (number, sold) in (1..).zip([2, 3, 4]) {
        hears(&mut world, listing, &Tells::Figure { shown: AT_FIRST - sold, at: 1_003 + number }, 3 + number);
        assert_eq!(world.stock(1).available().units(), AT_FIRST - sold);
    }
}

#[test]
fn a_figure_of_a_listing_that_is_gone_is_nobodys() {
    let (mut world, listing) = connected(Platform::Shopify);
    let gone = ListingEvent::Removed { at: Some(at(1)), taken_off: false };
    world.record(vec![(StreamId::Listing(listing), gone.into())]);
    hears(&mut world, listing, &Tells::Figure { shown: 7, at: 2 }, 2);
    assert_eq!(world.stock(1).available().units(), AT_FIRST);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_order_the_news_of_one_shop_arrive_in_the_shelf_ends_at_the_shops_figure(
        (shown, tells) in life()
    ) {
        let (mut world, listing) = connected(Platform::Shopify);
        for (number, tells) in (1..).zip(&tells) {
            hears(&mut world, listing, tells, number);
            let stock = world.stock(1);
            prop_assert!(stock.reserved() <= stock.on_hand());
        }
        prop_assert_eq!(world.stock(1).available().units(), shown);
    }
}
