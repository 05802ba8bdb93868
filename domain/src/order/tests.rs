mod any_life;
mod any_order;

use std::collections::HashMap;

use chrono::TimeDelta;
use uuid::Uuid;

use super::*;
use crate::{
    State, StreamId,
    catalog::Changes,
    scenario::given,
    stock::{Stock, StockEvent},
    stream::Lookup,
    values::{LocationCode, ReservationId, StockId, VariantId},
};

const C: ConnectionId = ConnectionId(Uuid::from_u128(3));

fn shelf(variant: u128) -> StockId {
    StockId { variant: VariantId(Uuid::from_u128(variant)), location: LocationCode::default() }
}

fn units(n: i64) -> Quantity {
    Quantity::new(n).expect("in range")
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn line(variant: u128, n: i64) -> ToldLine {
    ToldLine { name: format!("V-{variant}"), stock: Some(shelf(variant)), quantity: units(n) }
}

fn unknown(name: &str, n: i64) -> ToldLine {
    ToldLine { name: name.to_owned(), stock: None, quantity: units(n) }
}

/// A ledger of a few streams, in memory, and whether the platform may go on with an order that it has cancelled.
#[derive(Default)]
struct World(HashMap<StreamId, State>, bool);

impl World {
    /// So many on the shelves of variant 1, 2 and so on.
    fn stocked(quantities: &[i64]) -> Self {
        let mut world = Self::default();
        for (variant, n) in (1..).zip(quantities) {
            let (quantity, reference, occurred_at, origin) = (units(*n), None, None, None);
            let there = StockEvent::Restocked { quantity, reference, occurred_at, origin };
            world.record(vec![(StreamId::Stock(shelf(variant)), there.into())]);
        }
        world
    }

    fn record(&mut self, changes: Changes) {
        for (stream, event) in changes {
            let state = self.0.entry(stream.clone()).or_insert_with(|| State::initial(&stream));
            state.evolve(event).expect("events stand in their own streams");
        }
    }

    fn decide<T>(&mut self, decision: impl FnOnce(&Lookup<'_>) -> T, streams: &[StreamId]) -> T {
        for stream in streams {
            self.0.entry(stream.clone()).or_insert_with(|| State::initial(stream));
        }
        let find = |id: &StreamId| self.0.get(id).expect("a stream that was named");
        decision(&Lookup::new(&find))
    }

    /// The news of order 9 at a second, and what is noted about it.
    fn hears(&mut self, lines: &[ToldLine], paid: bool, second: i64) -> Vec<String> {
        let external_id = &ExternalId::from(9);
        let id = OrderId::of(C, external_id);
        let mut streams: Vec<_> =
            lines.iter().filter_map(|line| line.stock.clone()).map(StreamId::Stock).collect();
        streams.push(StreamId::Order(id));
        let news = News {
            connection: C,
            external_id,
            lines,
            paid,
            buyer: None,
            moved_at: at(0),
            told_at: at(second),
            reopens: self.1,
            now: at(100),
        };
        let heard = self.decide(
            |lookup| hear(&news, lookup.order(&id), |id| lookup.stock(id)).expect("orders are not refused"),
            &streams,
        );
        self.record(heard.changes);
        heard.notes
    }

    fn cancelled(&mut self) {
        self.is_cancelled(50);
    }

    /// Its cancellation, of a second.
    fn is_cancelled(&mut self, second: i64) {
        let external_id = &ExternalId::from(9);
        let id = OrderId::of(C, external_id);
        let reopens = self.1;
        let heard = self.decide(
            |lookup| {
                let order = (lookup.order(&id), reopens);
                cancel((C, external_id), order, (at(second), at(100)), |id| lookup.stock(id))
                    .expect("orders are not refused")
            },
            &[StreamId::Order(id)],
        );
        self.record(heard.changes);
    }

    fn order(&self) -> Order {
        match self.0.get(&StreamId::Order(OrderId::of(C, &ExternalId::from(9)))) {
            Some(State::Order(order)) => order.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn stock(&self, variant: u128) -> &Stock {
        match self.0.get(&StreamId::Stock(shelf(variant))) {
            Some(State::Stock(stock)) => stock,
            other => panic!("{other:?}"),
        }
    }

    fn totals(&self, variant: u128) -> (i64, i64) {
        let stock = self.stock(variant);
        (stock.on_hand().units(), stock.reserved().units())
    }

    /// What each line has sold, and holds.
    fn lines(&self) -> Vec<(i64, i64)> {
        let lines = self.order().lines.expect("lines");
        lines.iter().map(|line| (line.quantity.units(), line.held.units())).collect()
    }
}

#[test]
fn an_order_takes_what_is_there_and_says_what_is_missing() {
    let mut world = World::stocked(&[2]);
    let notes = world.hears(&[line(1, 5)], false, 0);
    assert_eq!(notes, ["sold 5 of V-1, but only 2 were there"]);
    assert_eq!((world.lines(), world.totals(1)), (vec![(5, 2)], (2, 2)));
    world.cancelled();
    assert_eq!(world.totals(1), (2, 0));
}

#[test]
fn a_paid_order_sells_its_units_once_and_a_cancellation_brings_them_back() {
    let mut world = World::stocked(&[3]);
    world.hears(&[line(1, 2)], false, 0);
    assert_eq!(world.totals(1), (3, 2));
    for _ in 0..2 {
        world.hears(&[line(1, 2)], true, 1);
        assert_eq!(world.totals(1), (1, 0));
    }
    for _ in 0..2 {
        world.cancelled();
        assert_eq!(world.totals(1), (3, 0));
    }
}

#[test]
fn what_is_paid_before_it_is_heard_of_is_sold_at_once() {
    let mut world = World::stocked(&[3]);
    world.hears(&[line(1, 5)], true, 0);
    assert_eq!((world.totals(1), world.lines()), ((0, 0), vec![(5, 3)]));
    world.hears(&[line(1, 5)], false, 0);
    assert_eq!(world.totals(1), (0, 0));
}

#[test]
fn an_order_gets_units_whose_hold_is_due() {
    let mut world = World::stocked(&[1]);
    let reservation = ReservationId(Uuid::from_u128(8));
    let (quantity, expires_at) = (units(1), Some(at(1)));
    let (origin, occurred_at) = (None, None);
    let due = StockEvent::Reserved { reservation, quantity, expires_at, origin, occurred_at };
    world.record(vec![(StreamId::Stock(shelf(1)), due.into())]);
    world.hears(&[line(1, 1)], false, 0);
    assert_eq!((world.lines(), world.totals(1)), (vec![(1, 1)], (1, 1)));
}

#[test]
fn until_it_is_paid_an_order_holds_what_it_says_by_now() {
    let mut world = World::stocked(&[9, 9, 9]);
    world.hears(&[line(1, 1), line(2, 3)], false, 0);
    assert_eq!(world.hears(&[line(1, 3), line(2, 1), line(3, 2)], false, 1), [""; 0]);
    assert_eq!([1, 2, 3].map(|variant| world.totals(variant)), [(9, 3), (9, 1), (9, 2)]);
    assert_eq!(world.lines(), [(3, 3), (1, 1), (2, 2)]);
    world.hears(&[line(1, 3), line(3, 2)], false, 2);
    assert_eq!([1, 2, 3].map(|variant| world.totals(variant)), [(9, 3), (9, 0), (9, 2)]);
    // What was made of it before it was paid may be told with its payment.
    world.hears(&[line(1, 2), line(2, 1)], true, 3);
    assert_eq!([1, 2, 3].map(|variant| world.totals(variant)), [(7, 0), (8, 0), (9, 0)]);
    world.cancelled();
    assert_eq!([1, 2, 3].map(|variant| world.totals(variant)), [(9, 0), (9, 0), (9, 0)]);
}

#[test]
fn a_line_whose_sku_was_renamed_between_two_tellings_is_taken_once() {
    for paid_at in [0, 1, 2] {
        let mut world = World::stocked(&[9]);
        world.hears(&[line(1, 2)], paid_at == 0, 0);
        world.hears(&[unknown("NEW", 2)], paid_at <= 1, 1);
        let renamed = ToldLine { name: "NEW".to_owned(), ..line(1, 2) };
        let notes = world.hears(std::slice::from_ref(&renamed), true, 2);
        assert_eq!(notes, [""; 0], "nothing is to be adjusted; paid at {paid_at}");
        world.hears(&[renamed], true, 3);
        assert_eq!(world.totals(1), (7, 0), "paid at {paid_at}");
    }
}

#[test]
fn what_an_order_said_before_is_nothing_new() {
    let mut world = World::stocked(&[9, 9]);
    world.hears(&[line(1, 3)], false, 5);
    let notes = world.hears(&[line(1, 1), line(2, 1)], false, 4);
    assert_eq!(notes, ["its lines are older news than what is known of them"]);
    assert_eq!((world.totals(1), world.totals(2)), ((9, 3), (9, 0)));
    // But that it was paid then is.
    world.hears(&[line(1, 1)], true, 4);
    assert_eq!(world.totals(1), (6, 0));
}

#[test]
fn what_it_said_before_it_said_the_same_again_is_nothing_new_either() {
    let older = ["its lines are older news than what is known of them"];
    let mut world = World::stocked(&[9]);
    world.hears(&[line(1, 5)], false, 1);
    world.hears(&[line(1, 5)], false, 7);
    assert_eq!(world.hears(&[line(1, 1)], false, 4), older);
    assert_eq!((world.lines(), world.totals(1)), (vec![(5, 5)], (9, 5)));
    // Also if it was said with its payment.
    let mut world = World::stocked(&[9]);
    world.hears(&[line(1, 2)], false, 1);
    world.hears(&[line(1, 2)], true, 7);
    assert_eq!(world.hears(&[line(1, 5)], false, 4), older, "nobody has to see to that");
    assert_eq!(world.totals(1), (7, 0));
}

#[test]
fn an_order_that_goes_on_after_its_cancellation_takes_its_units_again() {
    for paid in [false, true] {
        let mut world = World::stocked(&[9]);
        world.1 = true;
        world.hears(&[line(1, 2)], false, 0);
        world.cancelled(); // at 50
        assert_eq!(world.totals(1), (9, 0));
        assert_eq!(world.hears(&[line(1, 2)], paid, 49), ["the order is cancelled already"], "older news");
        assert_eq!(world.hears(&[line(1, 2)], paid, 60), [""; 0]);
        assert_eq!(world.totals(1), if paid { (7, 0) } else { (9, 2) });
        world.hears(&[line(1, 2)], true, 70);
        assert_eq!(world.totals(1), (7, 0));
    }
    // Also one that was heard of first by its cancellation; but not where cancelled is for good.
    for (reopens, left) in [(true, 7), (false, 9)] {
        let mut world = World::stocked(&[9]);
        world.1 = reopens;
        world.cancelled();
        world.hears(&[line(1, 2)], true, 60);
        assert_eq!(world.totals(1), (left, 0));
    }
}

#[test]
fn a_cancellation_from_before_a_paid_order_was_told_with_other_lines_is_older_news() {
    let mut world = World::stocked(&[9]);
    world.1 = true;
    world.hears(&[line(1, 2)], true, 30);
    world.hears(&[line(1, 3)], true, 51);
    world.cancelled(); // at 50
    assert_eq!(world.totals(1), (7, 0));
    world.is_cancelled(52);
    assert_eq!(world.totals(1), (9, 0));
}

#[test]
fn an_order_that_has_no_unit_left_holds_nothing_and_sells_nothing_by_its_payment() {
    let mut world = World::stocked(&[9]);
    world.hears(&[line(1, 2)], false, 0);
    assert_eq!(world.hears(&[line(1, 0)], true, 1), [""; 0]);
    assert_eq!((world.lines(), world.totals(1)), (vec![], (9, 0)));
    // Once paid, somebody has to see to it.
    let mut world = World::stocked(&[9]);
    world.hears(&[line(1, 3)], true, 0);
    let note = "the order has 0 of V-1 by now, and was paid with 3; adjust if that is so";
    assert_eq!(world.hears(&[line(1, 0)], false, 1), [note]);
    // And one that never had any is an order all the same, which may get some.
    let mut world = World::stocked(&[9]);
    world.hears(&[line(1, 0), unknown("V-7", 0)], false, 0);
    assert_eq!((world.lines(), world.order().unmapped), (vec![], vec![]));
    world.hears(&[line(1, 2)], false, 1);
    assert_eq!(world.totals(1), (9, 2));
}

#[test]
fn an_order_whose_lines_are_not_told_keeps_them() {
    let mut world = World::stocked(&[9]);
    world.hears(&[line(1, 3)], false, 0);
    world.hears(&[], false, 1);
    assert_eq!(world.totals(1), (9, 3));
    world.hears(&[], true, 2);
    assert_eq!(world.totals(1), (6, 0));
}

#[test]
fn what_a_paid_order_says_otherwise_is_for_somebody_to_see() {
    let mut world = World::stocked(&[9, 9]);
    world.hears(&[line(1, 3)], true, 0);
    let notes = world.hears(&[line(1, 1), line(2, 2), unknown("V-7", 1)], true, 1);
    assert_eq!(
        notes,
        [
            "the order has 2 of V-2 by now, and was paid with 0; adjust if that is so",
            "the order has V-7 by now, and was paid without",
        ],
        "what nobody knows may be the rest of the first"
    );
    let notes = world.hears(&[line(1, 1)], true, 2);
    assert_eq!(notes, ["the order has 1 of V-1 by now, and was paid with 3; adjust if that is so"]);
    // No line is told of that one any more.
    let gone = format!("the order has 0 of {} by now, and was paid with 3; adjust if that is so", shelf(1));
    assert!(world.hears(&[line(2, 2)], true, 2).contains(&gone));
    assert_eq!((world.totals(1), world.totals(2)), ((6, 0), (9, 0)));
    assert!(world.hears(&[line(1, 3)], true, 3).is_empty());
}

#[test]
fn a_line_that_nobody_knows_may_be_one_that_was_known_so_nothing_is_given_back_for_it() {
    let mut world = World::stocked(&[9, 9]);
    world.hears(&[line(1, 3)], false, 0);
    world.hears(&[unknown("V-2", 1)], false, 1);
    assert_eq!((world.totals(1), world.order().unmapped), ((9, 3), vec!["V-2".to_owned()]));
    // Now somebody knows it.
    world.hears(&[line(2, 1)], false, 1);
    assert_eq!((world.totals(1), world.totals(2)), ((9, 0), (9, 1)));
    assert!(world.order().unmapped.is_empty());
}

#[test]
fn a_line_that_says_itself_that_none_of_it_is_bought_is_no_line_that_nobody_knows() {
    let mut world = World::stocked(&[9, 9]);
    world.hears(&[line(1, 2)], false, 0);
    world.hears(&[line(1, 0), unknown("V-2", 2)], true, 1);
    assert_eq!(world.totals(1), (9, 0));
    world.hears(&[line(1, 0), line(2, 2)], true, 1);
    assert_eq!((world.totals(1), world.totals(2)), ((9, 0), (7, 0)));
}

#[test]
fn a_payment_from_before_an_order_was_taken_up_again_is_not_taken_for_one_since() {
    let mut world = World::stocked(&[9]);
    world.1 = true;
    world.hears(&[line(1, 2)], false, 60);
    world.hears(&[line(1, 2)], true, 40);
    world.cancelled(); // at 50
    assert_eq!((world.totals(1), world.order().paid), ((9, 2), false));
    world.hears(&[line(1, 2)], true, 70);
    assert_eq!(world.totals(1), (7, 0));
}

#[test]
fn lines_that_nobody_knew_are_found_once_and_sold_if_they_are_paid() {
    let mut world = World::stocked(&[9, 9]);
    world.hears(&[line(1, 1), unknown("V-2", 2)], true, 0);
    for _ in 0..2 {
        world.hears(&[line(1, 1), line(2, 2)], true, 0);
        assert_eq!((world.totals(1), world.totals(2)), ((8, 0), (7, 0)));
    }
    world.cancelled();
    assert_eq!((world.totals(1), world.totals(2)), ((9, 0), (9, 0)));
}

const O: OrderId = OrderId(Uuid::from_u128(1));

fn place() -> OrderCommand {
    OrderCommand::Place {
        connection: C,
        external_id: 9.into(),
        lines: vec![],
        unmapped: vec![],
        buyer: Some(buyer()),
        at: at(0),
    }
}

fn buyer() -> Buyer {
    let person = PersonId::new("00112233445566778899aabbccddeeff").expect("a name");
    Buyer { person, sealed: "c2VhbGVk".into() }
}

#[test]
fn an_order_says_who_placed_it_and_keeps_that_out_of_its_state() {
    let placed = OrderEvent::Placed {
        connection: C,
        external_id: 9.into(),
        lines: vec![],
        unmapped: vec![],
        buyer: Some(buyer()),
        at: Some(at(0)),
    };
    given::<Order>(O, []).when(place()).then([placed.clone()]);
    let state = serde_json::to_string(&Order::default().evolve(placed)).expect("a state");
    assert!(!state.contains("00112233"), "{state}");
}

#[test]
fn an_order_cancelled_before_it_was_heard_of_holds_nothing() {
    let cancelled = OrderEvent::Cancelled { connection: C, external_id: 9.into(), at: Some(at(0)) };
    given::<Order>(O, [cancelled]).when(place()).then([]);
    let mut world = World::stocked(&[9]);
    world.cancelled();
    assert_eq!(world.hears(&[line(1, 2)], true, 0), ["the order is cancelled already"]);
    assert_eq!(world.totals(1), (9, 0));
}
