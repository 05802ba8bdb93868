use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    aggregate::verdict,
    scenario::given,
    values::{LocationCode, VariantId},
};

const A: ReservationId = ReservationId(Uuid::from_u128(0xa));
const B: ReservationId = ReservationId(Uuid::from_u128(0xb));

fn shelf() -> StockId {
    StockId { variant: VariantId(Uuid::from_u128(1)), location: LocationCode::default() }
}

fn units(n: i64) -> Quantity {
    Quantity::new(n).expect("a test's quantity is in range")
}

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

fn restocked(n: i64) -> StockEvent {
    StockEvent::Restocked { quantity: units(n), reference: None }
}

fn reserved(reservation: ReservationId, n: i64, until: i64) -> StockEvent {
    StockEvent::Reserved { reservation, quantity: units(n), expires_at: Some(at(until)) }
}

fn reserve(reservation: ReservationId, n: i64, now: i64) -> StockCommand {
    StockCommand::Reserve { reservation, quantity: units(n), expires_at: Some(at(now + 15)), now: at(now) }
}

#[test]
fn the_last_unit_is_reserved_once() {
    given::<Stock>(shelf(), [restocked(1), reserved(A, 1, 15)])
        .when(reserve(B, 1, 0))
        .then_refused("stock.insufficient");
}

#[test]
fn a_repeated_reservation_changes_nothing() {
    given::<Stock>(shelf(), [restocked(5), reserved(A, 2, 15)]).when(reserve(A, 2, 0)).then([]);
}

#[test]
fn a_reservation_cannot_be_made_again_with_another_quantity() {
    given::<Stock>(shelf(), [restocked(5), reserved(A, 2, 15)])
        .when(reserve(A, 3, 0))
        .then_refused("reservation.exists");
}

#[test]
fn a_hold_that_is_due_does_not_stand_in_the_way() {
    given::<Stock>(shelf(), [restocked(1), reserved(A, 1, 15)])
        .when(reserve(B, 1, 15))
        .then([StockEvent::Expired { reservation: A, quantity: units(1) }, reserved(B, 1, 30)]);
}

#[test]
fn a_due_hold_is_left_alone_while_there_is_enough() {
    given::<Stock>(shelf(), [restocked(2), reserved(A, 1, 15)])
        .when(reserve(B, 1, 15))
        .then([reserved(B, 1, 30)]);
}

#[test]
fn a_commit_takes_the_units_off_the_shelf() {
    given::<Stock>(shelf(), [restocked(5), reserved(A, 2, 15)])
        .when(StockCommand::Commit { reservation: A, quantity: None })
        .then([StockEvent::Committed { reservation: A, quantity: units(2) }])
        .then_state(|stock| assert_eq!((stock.on_hand(), stock.reserved()), (units(3), units(0))));
}

#[test]
fn a_commit_in_part_leaves_the_rest_held() {
    given::<Stock>(shelf(), [restocked(5), reserved(A, 3, 15)])
        .when(StockCommand::Commit { reservation: A, quantity: Some(units(1)) })
        .then([StockEvent::Committed { reservation: A, quantity: units(1) }])
        .then_state(|stock| assert_eq!((stock.on_hand(), stock.reserved()), (units(4), units(2))));
}

#[test]
fn no_more_is_committed_than_is_held() {
    given::<Stock>(shelf(), [restocked(5), reserved(A, 3, 15)])
        .when(StockCommand::Commit { reservation: A, quantity: Some(units(4)) })
        .then_refused("reservation.exceeded");
}

#[test]
fn what_was_released_is_available_again_and_cannot_be_committed() {
    given::<Stock>(
        shelf(),
        [restocked(5), reserved(A, 3, 15), StockEvent::Released { reservation: A, quantity: units(3) }],
    )
    .when(StockCommand::Commit { reservation: A, quantity: None })
    .then_refused("reservation.ended")
    .then_state(|stock| assert_eq!(stock.available(), units(5)));
}

#[test]
fn a_hold_does_not_expire_before_its_time() {
    given::<Stock>(shelf(), [restocked(1), reserved(A, 1, 15)])
        .when(StockCommand::Expire { reservation: A, now: at(14) })
        .then([]);
}

#[test]
fn reserved_units_cannot_be_adjusted_or_counted_away() {
    given::<Stock>(shelf(), [restocked(5), reserved(A, 3, 15)])
        .when(StockCommand::Adjust { delta: -3, reason: "broken".into() })
        .then_refused("stock.reserved");
    given::<Stock>(shelf(), [restocked(5), reserved(A, 3, 15)])
        .when(StockCommand::Count { counted: units(2), reference: None })
        .then_refused("stock.reserved");
}

#[test]
fn a_snapshot_restores_what_it_was_taken_of() {
    let stock = [restocked(9), reserved(A, 3, 15), reserved(B, 2, 20)]
        .into_iter()
        .fold(Stock::default(), Stock::evolve);
    let text = serde_json::to_string(&stock).expect("a stock can be written");
    assert_eq!(serde_json::from_str::<Stock>(&text).expect("and read"), stock);
}

fn any_command() -> impl Strategy<Value = StockCommand> {
    let who = (0_u128..6).prop_map(|n| ReservationId(Uuid::from_u128(n)));
    let some = 0_i64..8;
    prop_oneof![
        some.clone().prop_map(|n| StockCommand::Restock { quantity: units(n), reference: None }),
        (-8_i64..8).prop_map(|delta| StockCommand::Adjust { delta, reason: "count".into() }),
        some.clone().prop_map(|n| StockCommand::Count { counted: units(n), reference: None }),
        (who.clone(), some.clone(), 0_i64..40).prop_map(|(r, n, now)| reserve(r, n, now)),
        (who.clone(), proptest::option::of(some.clone()))
            .prop_map(|(reservation, n)| { StockCommand::Commit { reservation, quantity: n.map(units) } }),
        (who.clone(), proptest::option::of(some))
            .prop_map(|(reservation, n)| { StockCommand::Release { reservation, quantity: n.map(units) } }),
        (who, 0_i64..60).prop_map(|(reservation, now)| StockCommand::Expire { reservation, now: at(now) }),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_commands_reserves_more_than_is_on_hand(
        commands in proptest::collection::vec(any_command(), 0..60)
    ) {
        let mut stock = Stock::default();
        let mut history = vec![];
        for command in commands {
            let Ok(events) = verdict(&shelf(), &stock, command) else { continue };
            for event in events {
                history.push(event.clone());
                stock = stock.evolve(event);
                prop_assert!(stock.reserved() <= stock.on_hand());
                let held: i64 = stock.holds.values().map(|hold| hold.quantity.units()).sum();
                prop_assert_eq!(held, stock.reserved().units());
                prop_assert_eq!(stock.due.len(), stock.holds.values().filter(|h| h.expires_at.is_some()).count());
            }
        }
        prop_assert_eq!(history.into_iter().fold(Stock::default(), Stock::evolve), stock);
    }
}
