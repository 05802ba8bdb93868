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
    StockEvent::Restocked { quantity: units(n), reference: None, occurred_at: Some(at(0)), origin: None }
}

fn reserved(reservation: ReservationId, n: i64, until: i64) -> StockEvent {
    StockEvent::Reserved {
        reservation,
        quantity: units(n),
        expires_at: Some(at(until)),
        origin: None,
        occurred_at: None,
    }
}

fn released(reservation: ReservationId, n: i64) -> StockEvent {
    StockEvent::Released { reservation, quantity: units(n), origin: None, occurred_at: None }
}

fn expired(reservation: ReservationId, n: i64) -> StockEvent {
    StockEvent::Expired { reservation, quantity: units(n), occurred_at: None }
}

fn committed(reservation: ReservationId, n: i64, now: i64) -> StockEvent {
    let occurred_at = Some(at(now));
    StockEvent::Committed { reservation, quantity: units(n), reference: None, occurred_at, origin: None }
}

fn counted(n: i64, when: i64) -> StockEvent {
    let occurred_at = Some(at(when));
    StockEvent::Counted { counted: units(n), reference: None, occurred_at, on_hand: None, figure: None }
}

fn rules(backorder_limit: i64, low_stock_threshold: Option<i64>) -> Policy {
    Policy { backorder_limit: units(backorder_limit), low_stock_threshold: low_stock_threshold.map(units) }
}

fn reserve(reservation: ReservationId, n: i64, now: i64) -> StockCommand {
    StockCommand::Reserve { reservation, quantity: units(n), expires_at: Some(at(now + 15)), now: at(now) }
}

fn commit(reservation: ReservationId, n: Option<i64>, now: i64) -> StockCommand {
    StockCommand::Commit { reservation, quantity: n.map(units), reference: None, now: at(now) }
}

fn ship(reference: &str, n: i64) -> StockCommand {
    StockCommand::Commit {
        reservation: A,
        quantity: Some(units(n)),
        reference: Some(reference.into()),
        now: at(1),
    }
}

fn release(reservation: ReservationId, n: Option<i64>) -> StockCommand {
    StockCommand::Release { reservation, quantity: n.map(units), now: at(60) }
}

fn adjust(delta: i64, when: i64) -> StockCommand {
    StockCommand::Adjust { delta, reason: "found".into(), reference: None, occurred_at: at(when) }
}

fn count(n: i64, when: i64) -> StockCommand {
    StockCommand::Count { counted: units(n), reference: None, occurred_at: at(when) }
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
fn a_buyer_who_asks_again_is_not_in_his_own_way() {
    given::<Stock>(shelf(), [restocked(3), reserved(A, 2, 15)])
        .when(reserve(A, 3, 5))
        .then([reserved(A, 1, 20)])
        .then_state(|stock| assert_eq!(stock.held_for(&A).map(|hold| hold.quantity), Some(units(3))));
    given::<Stock>(shelf(), [restocked(3), reserved(A, 2, 15)])
        .when(reserve(A, 4, 5))
        .then_refused("stock.insufficient");
}

#[test]
fn a_buyer_who_wants_fewer_gives_the_rest_back() {
    given::<Stock>(shelf(), [restocked(3), reserved(A, 2, 15)])
        .when(reserve(A, 1, 5))
        .then([released(A, 1), StockEvent::Extended { reservation: A, expires_at: at(20), payment: false }]);
}

#[test]
fn a_hold_that_is_due_does_not_stand_in_the_way() {
    given::<Stock>(shelf(), [restocked(1), reserved(A, 1, 15)])
        .when(reserve(B, 1, 15))
        .then([expired(A, 1), reserved(B, 1, 30)]);
}

#[test]
fn a_hold_that_is_due_is_not_taken_from_the_buyer_who_asks() {
    given::<Stock>(shelf(), [restocked(2), reserved(A, 1, 15), reserved(B, 1, 15)])
        .when(reserve(A, 2, 15))
        .then([expired(B, 1), reserved(A, 1, 30)]);
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
        .when(commit(A, None, 1))
        .then([committed(A, 2, 1)])
        .then_state(|stock| assert_eq!((stock.on_hand(), stock.reserved()), (units(3), units(0))));
}

#[test]
fn a_hold_is_committed_in_parts_to_the_last_unit() {
    given::<Stock>(shelf(), [restocked(100), reserved(A, 5, 15), committed(A, 3, 1)])
        .when(release(A, None))
        .then([released(A, 2)])
        .then_state(|stock| assert_eq!((stock.on_hand(), stock.reserved()), (units(97), units(0))));
}

#[test]
fn no_more_is_committed_than_was_held() {
    given::<Stock>(shelf(), [restocked(5), reserved(A, 2, 15)])
        .when(commit(A, Some(3), 1))
        .then_refused("reservation.exceeded");
}

#[test]
fn one_shipment_is_not_taken_off_twice() {
    let shipped = StockEvent::Committed {
        reservation: A,
        quantity: units(4),
        reference: Some("S-1".into()),
        occurred_at: Some(at(1)),
        origin: None,
    };
    let history = [restocked(50), reserved(A, 10, 15), shipped];
    given::<Stock>(shelf(), history.clone()).when(ship("S-1", 4)).then([]);
    // Nor when the rest has run out, or when there is a new hold.
    let lapsed = history.clone().into_iter().chain([expired(A, 6)]);
    given::<Stock>(shelf(), lapsed).when(ship("S-1", 4)).then([]);
    let anew = history.clone().into_iter().chain([released(A, 6), reserved(A, 6, 15)]);
    given::<Stock>(shelf(), anew).when(ship("S-1", 4)).then([]);
    given::<Stock>(shelf(), history).when(ship("S-2", 6)).then([StockEvent::Committed {
        reservation: A,
        quantity: units(6),
        reference: Some("S-2".into()),
        occurred_at: Some(at(1)),
        origin: None,
    }]);
}

fn sold(reservation: ReservationId, quantity: i64, reference: &str) -> StockEvent {
    StockEvent::Committed {
        reservation,
        quantity: units(quantity),
        reference: Some(reference.into()),
        occurred_at: Some(at(1)),
        origin: None,
    }
}

#[test]
fn a_shipment_of_what_is_held_still_is_not_forgotten_for_those_of_others() {
    let others = (0..2_000).flat_map(|n| [reserved(B, 1, 15), sold(B, 1, &format!("B-{n}"))]);
    let history = [restocked(5_000), reserved(A, 10, 15), sold(A, 4, "S-1")].into_iter().chain(others);
    given::<Stock>(shelf(), history.clone()).when(ship("S-1", 4)).then([]);
    // Nor when what is left of it has run out, and may be bought back.
    let lapsed = history.chain([expired(A, 6)]);
    given::<Stock>(shelf(), lapsed).when(ship("S-1", 4)).then([]);
}

#[test]
fn shipments_of_reservations_that_have_ended_are_forgotten_in_the_end() {
    let parts = (0..3_500).flat_map(|n| {
        let reservation = ReservationId(Uuid::from_u128(1_000 + n));
        [reserved(reservation, 2, 15), sold(reservation, 1, "S-1"), released(reservation, 1)]
    });
    let stock = [restocked(5_000)].into_iter().chain(parts).fold(Stock::default(), Stock::evolve);
    assert!(stock.past.in_parts.len() < 1_000, "{}", stock.past.in_parts.len());
    assert_eq!(stock.past.references.len(), 1_000);
}

#[test]
fn what_was_never_held_is_not_given_back() {
    given::<Stock>(shelf(), [restocked(2)]).when(release(A, None)).then_refused("reservation.ended");
}

#[test]
fn a_hold_expires_when_it_is_due_and_not_before() {
    let history = [restocked(5), reserved(A, 2, 15), reserved(B, 1, 20)];
    given::<Stock>(shelf(), history.clone()).when(StockCommand::Expire { now: at(14), limit: 10 }).then([]);
    given::<Stock>(shelf(), history)
        .when(StockCommand::Expire { now: at(15), limit: 10 })
        .then([expired(A, 2)]);
}

#[test]
fn a_payment_that_comes_late_gets_its_units_if_they_are_free() {
    given::<Stock>(shelf(), [restocked(1), reserved(A, 1, 15), expired(A, 1)])
        .when(commit(A, None, 16))
        .then([
            StockEvent::Regained { reservation: A, quantity: units(1), occurred_at: None },
            committed(A, 1, 16),
        ])
        .when(commit(A, None, 17))
        .then_refused("reservation.ended");
}

#[test]
fn a_payment_that_comes_too_late_has_to_go_back_and_that_is_said_once() {
    let gone = [restocked(1), reserved(A, 1, 15), expired(A, 1), reserved(B, 1, 30)];
    given::<Stock>(shelf(), gone.clone()).when(commit(A, None, 16)).then_refused("reservation.expired");
    let due = StockEvent::RefundDue { reservation: A, quantity: units(1) };
    given::<Stock>(shelf(), gone)
        .when(StockCommand::OweRefund { reservation: A, quantity: None })
        .then([due.clone()])
        .when(StockCommand::OweRefund { reservation: A, quantity: None })
        .then([]);
    // The units come back, but the refund is under way.
    let history = [restocked(1), reserved(A, 1, 15), expired(A, 1), reserved(B, 1, 30), due, released(B, 1)];
    given::<Stock>(shelf(), history).when(commit(A, None, 18)).then_refused("reservation.expired");
}

#[test]
fn what_was_let_go_is_not_sold_late() {
    given::<Stock>(shelf(), [restocked(1), reserved(A, 1, 15), expired(A, 1)])
        .when(StockCommand::Waive { reservation: A })
        .then([StockEvent::Waived { reservation: A }])
        .when(commit(A, None, 16))
        .then_refused("reservation.ended");
}

#[test]
fn a_late_payment_for_units_that_are_still_to_come_waits_for_them() {
    let history = [StockEvent::PolicySet(rules(3, None)), reserved(A, 2, 15), expired(A, 2)];
    given::<Stock>(shelf(), history).when(commit(A, None, 16)).then_refused("stock.not_on_hand");
}

#[test]
fn units_held_anew_and_sold_are_not_sold_again_for_the_old_hold() {
    let history = [restocked(5), reserved(A, 1, 15), expired(A, 1), reserved(A, 1, 40), committed(A, 1, 20)];
    given::<Stock>(shelf(), history).when(commit(A, None, 21)).then_refused("reservation.ended");
}

#[test]
fn a_hold_is_kept_for_a_payment_under_way_but_only_once() {
    let extend = |minute| StockCommand::Extend { reservation: A, expires_at: at(minute), payment: true };
    given::<Stock>(shelf(), [restocked(1), reserved(A, 1, 15)])
        .when(extend(25))
        .then([StockEvent::Extended { reservation: A, expires_at: at(25), payment: true }])
        .when(extend(35))
        .then([]);
}

#[test]
fn a_hold_is_extended_and_never_shortened() {
    let extend = |minute| StockCommand::Extend { reservation: A, expires_at: at(minute), payment: false };
    given::<Stock>(shelf(), [restocked(1), reserved(A, 1, 15)])
        .when(extend(10))
        .then([])
        .when(extend(30))
        .then([StockEvent::Extended { reservation: A, expires_at: at(30), payment: false }])
        .when(StockCommand::Expire { now: at(29), limit: 10 })
        .then([]);
}

#[test]
fn what_is_reserved_cannot_be_adjusted_or_counted_away() {
    let history = [restocked(5), reserved(A, 3, 15)];
    given::<Stock>(shelf(), history.clone()).when(adjust(-3, 1)).then_refused("stock.reserved");
    given::<Stock>(shelf(), history.clone()).when(adjust(-6, 1)).then_refused("stock.insufficient");
    given::<Stock>(shelf(), history).when(count(2, 1)).then_refused("stock.reserved");
}

#[test]
fn a_count_does_not_erase_what_was_sold_after_it() {
    let history = [restocked(100), reserved(A, 3, 30), committed(A, 3, 20)];
    given::<Stock>(shelf(), history)
        .when(count(98, 10))
        .then([StockEvent::Counted {
            counted: units(98),
            reference: None,
            occurred_at: Some(at(10)),
            on_hand: Some(units(95)),
            figure: None,
        }])
        .then_state(|stock| assert_eq!(stock.on_hand(), units(95)));
}

#[test]
fn a_sale_that_a_later_count_has_seen_does_not_count_twice() {
    // 100 at first, 3 fewer at 13:10, 95 counted at 13:30; at 13:35 a sale of 2 comes to light, of 13:20.
    given::<Stock>(shelf(), [restocked(97), counted(95, 30)])
        .when(adjust(-2, 20))
        .then([StockEvent::Covered { report: Report::Adjustment(-2), occurred_at: at(20) }])
        .then_state(|stock| assert_eq!(stock.on_hand(), units(95)));
}

#[test]
fn a_count_that_is_older_than_another_count_changes_nothing() {
    given::<Stock>(shelf(), [restocked(9), counted(7, 30)])
        .when(count(9, 20))
        .then([StockEvent::Covered { report: Report::Count(units(9)), occurred_at: at(20) }]);
}

#[test]
fn a_count_that_later_sales_contradict_is_refused() {
    given::<Stock>(shelf(), [restocked(5), reserved(A, 3, 30), committed(A, 3, 20)])
        .when(count(2, 10))
        .then_refused("count.contradicted");
}

#[test]
fn a_count_from_before_what_is_remembered_is_refused() {
    let moves = (0..super::serve::MOVES_MAX + 2).map(|n| StockEvent::Adjusted {
        delta: 1,
        reason: "found".into(),
        reference: None,
        occurred_at: Some(at(10 + n as i64)),
    });
    given::<Stock>(shelf(), moves).when(count(5, 5)).then_refused("count.too_old");
}

#[test]
fn a_backorder_goes_to_its_limit_and_waits_for_its_units() {
    let history = [restocked(2), StockEvent::PolicySet(rules(3, None))];
    given::<Stock>(shelf(), history)
        .when(reserve(A, 6, 0))
        .then_refused("stock.insufficient")
        .when(reserve(A, 5, 0))
        .then([reserved(A, 5, 15)])
        .when(commit(A, None, 1))
        .then_refused("stock.not_on_hand")
        .when(commit(A, Some(2), 1))
        .then([committed(A, 2, 1)])
        .when(StockCommand::SetPolicy(rules(2, None)))
        .then_refused("stock.backordered");
}

#[test]
fn low_stock_is_told_once_a_crossing_and_once_when_it_recovers() {
    let low = |n| StockEvent::Low { available: units(n), threshold: units(2) };
    given::<Stock>(shelf(), [restocked(4), StockEvent::PolicySet(rules(0, Some(2)))])
        .when(reserve(A, 2, 0))
        .then([reserved(A, 2, 15), low(2)])
        .when(reserve(B, 1, 0))
        .then([reserved(B, 1, 15)])
        .when(commit(B, None, 1))
        .then([committed(B, 1, 1)])
        .when(release(A, None))
        .then([released(A, 2), StockEvent::Recovered { available: units(3) }])
        .when(reserve(A, 1, 2))
        .then([reserved(A, 1, 17), low(2)]);
}

#[test]
fn a_threshold_that_is_met_already_is_told_at_once() {
    given::<Stock>(shelf(), [restocked(1)])
        .when(StockCommand::SetPolicy(rules(0, Some(1))))
        .then([
            StockEvent::PolicySet(rules(0, Some(1))),
            StockEvent::Low { available: units(1), threshold: units(1) },
        ])
        .when(StockCommand::SetPolicy(rules(0, None)))
        .then([StockEvent::PolicySet(rules(0, None)), StockEvent::Recovered { available: units(1) }]);
}

#[test]
fn only_what_nobody_has_reserved_is_sent_elsewhere() {
    let send = |n| StockCommand::TransferOut {
        quantity: units(n),
        to: LocationCode::new("berlin").expect("a code"),
        reference: None,
        now: at(1),
    };
    given::<Stock>(shelf(), [restocked(5), reserved(A, 3, 15)])
        .when(send(3))
        .then_refused("stock.insufficient")
        .when(send(2))
        .then_state(|_| {});
}

#[test]
fn a_snapshot_holds_everything() {
    let history = [
        restocked(9),
        StockEvent::PolicySet(rules(3, Some(2))),
        reserved(A, 2, 15),
        reserved(B, 1, 15),
        expired(B, 1),
        StockEvent::Extended { reservation: A, expires_at: at(20), payment: true },
    ];
    let stock = history.into_iter().fold(Stock::default(), Stock::evolve);
    let text = serde_json::to_string(&stock).expect("a shelf is written");
    assert_eq!(serde_json::from_str::<Stock>(&text).expect("a shelf is read"), stock);
}

fn command() -> impl Strategy<Value = StockCommand> {
    let who = || (1_u128..5).prop_map(|n| ReservationId(Uuid::from_u128(n)));
    let some = || 0_i64..8;
    let part = || prop::option::of(0_i64..8);
    let minute = || 0_i64..60;
    let shop = || (1_u128..3).prop_map(|n| ConnectionId(Uuid::from_u128(n)));
    prop_oneof![
        (some(), minute()).prop_map(|(n, m)| StockCommand::Restock {
            quantity: units(n),
            reference: None,
            occurred_at: at(m)
        }),
        (-8_i64..8, minute()).prop_map(|(delta, m)| adjust(delta, m)),
        (some(), minute()).prop_map(|(n, m)| count(n, m)),
        (who(), some(), minute()).prop_map(|(who, n, now)| reserve(who, n, now)),
        (shop(), -3_i64..8, minute(), prop::option::of(minute())).prop_map(|(connection, shown, m, told)| {
            StockCommand::Accept { shown, connection, at: at(m), told_until: told.map(at), now: at(60) }
        }),
        (who(), (some(), some(), some()), any::<bool>(), (shop(), minute())).prop_map(
            |(reservation, (take, give_back, take_back), sell, (connection, m))| StockCommand::Serve(
                Serving {
                    reservation,
                    take: units(take),
                    give_back: units(give_back),
                    sell,
                    take_back: units(take_back),
                    origin: Origin { connection, at: at(m) },
                    reference: "order 1".into(),
                    now: at(60)
                }
            )
        ),
        (who(), part(), minute()).prop_map(|(who, n, now)| commit(who, n, now)),
        (who(), part()).prop_map(|(who, n)| release(who, n)),
        (who(), minute(), any::<bool>()).prop_map(|(reservation, m, payment)| StockCommand::Extend {
            reservation,
            expires_at: at(m),
            payment
        }),
        (who(), part())
            .prop_map(|(reservation, n)| StockCommand::OweRefund { reservation, quantity: n.map(units) }),
        who().prop_map(|reservation| StockCommand::Waive { reservation }),
        (minute(), 0_usize..3).prop_map(|(now, limit)| StockCommand::Expire { now: at(now), limit }),
        some().prop_map(|n| StockCommand::TransferOut {
            quantity: units(n),
            to: LocationCode::default(),
            reference: None,
            now: at(1)
        }),
        some().prop_map(|n| StockCommand::TransferIn {
            quantity: units(n),
            from: LocationCode::default(),
            reference: None,
            now: at(1)
        }),
        (some(), part()).prop_map(|(limit, low)| StockCommand::SetPolicy(rules(limit, low))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_is_asked_no_unit_is_reserved_that_is_not_there_or_allowed_to_come(
        commands in prop::collection::vec(command(), 1..120)
    ) {
        let mut stock = Stock::default();
        for command in commands {
            let Ok(events) = verdict(&shelf(), &stock, command) else { continue };
            let expected = stock.totals_after(&events);
            for event in events {
                stock = stock.evolve(event);
            }
            prop_assert_eq!(expected, (stock.on_hand().units(), stock.reserved().units()));
            let allowed = stock.on_hand().units() + stock.policy().backorder_limit.units();
            prop_assert!(stock.reserved().units() <= allowed);
            let held: i64 = stock.holds.values().map(|hold| hold.quantity.units()).sum();
            prop_assert_eq!(held, stock.reserved().units());
            let due = stock.holds.values().filter(|hold| hold.expires_at.is_some()).count();
            prop_assert_eq!(due, stock.due.len());
            let low = stock.policy().low_stock_threshold.is_some_and(|n| stock.available() <= n);
            prop_assert_eq!(low, stock.low);
            let text = serde_json::to_string(&stock).expect("a shelf is written");
            prop_assert_eq!(&serde_json::from_str::<Stock>(&text).expect("a shelf is read"), &stock);
        }
    }
}
