//! What listings answer to what platforms tell of them, and to what was sent.

use uuid::Uuid;

use super::*;
use crate::{
    scenario::given,
    values::{ConnectionId, ExternalId, ProductId, VariantId},
};

const L: ListingId = ListingId(Uuid::from_u128(1));

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn pushed(quantity: i64, as_of: i64) -> ListingEvent {
    ListingEvent::QuantityPushed { quantity, as_of, until: None, at: None }
}

fn observe(quantity: i64, second: i64) -> ListingCommand {
    ListingCommand::ObserveQuantity { quantity, owed: None, at: at(second), told: true, now: at(60) }
}

/// Pushed with what has moved until one second in it, and taken at another.
fn told(quantity: i64, as_of: i64, (until, taken): (i64, i64)) -> ListingEvent {
    ListingEvent::QuantityPushed { quantity, as_of, until: Some(at(until)), at: Some(at(taken)) }
}

/// It shows what it is to show, at that moment of these tests.
fn agreed(quantity: i64, second: i64) -> ListingEvent {
    ListingEvent::QuantityObserved { quantity, at: at(second), echo: true, until: Some(at(60)) }
}

fn observed(quantity: i64, second: i64, echo: bool) -> ListingEvent {
    ListingEvent::QuantityObserved { quantity, at: at(second), echo, until: None }
}

#[test]
fn our_own_push_coming_back_is_an_echo_even_behind_a_newer_push() {
    given::<Listing>(L, [pushed(5, 10), pushed(4, 11)])
        .when(observe(5, 1))
        .then([observed(5, 1, true)])
        .then_state(|listing| assert_eq!(listing.quantity.value, Some(4)));
}

fn sent(quantity: i64, second: i64) -> Sent {
    Sent { figure: Figure::Quantity { quantity }, at: at(second), lost: false }
}

fn unanswered(quantity: i64, second: i64) -> ListingEvent {
    ListingEvent::FigureSent(sent(quantity, second))
}

#[test]
fn a_push_that_was_never_answered_comes_back_as_an_echo_as_often_as_it_is_told() {
    given::<Listing>(L, [pushed(10, 9), unanswered(9, 1)])
        .when(ListingCommand::ObserveQuantity {
            quantity: 9,
            owed: Some(9),
            at: at(2),
            told: true,
            now: at(60),
        })
        .then([agreed(9, 2)])
        .then_state(|listing| assert_eq!(listing.quantity.value, Some(9)));
    given::<Listing>(L, [pushed(10, 9), unanswered(9, 1), observed(9, 2, true)])
        .when(observe(9, 3))
        .then([observed(9, 3, true)]);
}

#[test]
fn what_was_never_answered_and_is_shown_instead_of_what_is_owed_is_put_right() {
    let late =
        |told| ListingCommand::ObserveQuantity { quantity: 9, owed: Some(8), at: at(3), told, now: at(60) };
    let drifted = ListingEvent::Drifted { shows: Figure::Quantity { quantity: 9 }, at: at(3) };
    // The newer push was heard of already, so that this one was applied behind it.
    let history = || [pushed(10, 9), unanswered(9, 1), pushed(8, 10), observed(8, 2, true)];
    for told in [true, false] {
        given::<Listing>(L, history())
            .when(late(told))
            .then([observed(9, 3, true), drifted.clone()])
            .then_state(|listing| assert_eq!(listing.quantity.value, Some(9)));
    }
}

#[test]
fn what_was_never_answered_and_is_told_behind_a_newer_push_is_not_what_is_shown() {
    given::<Listing>(L, [pushed(10, 9), unanswered(9, 1), pushed(8, 10)])
        .when(observe(9, 2))
        .then([observed(9, 2, true)])
        .then_state(|listing| assert_eq!(listing.quantity.value, Some(8)));
}

#[test]
fn what_was_never_answered_is_anybodys_after_an_hour() {
    given::<Listing>(L, [pushed(10, 9), unanswered(9, 1)])
        .when(observe(9, 3_600))
        .then([observed(9, 3_600, true)]);
    given::<Listing>(L, [pushed(10, 9), unanswered(9, 1)])
        .when(observe(9, 3_601))
        .then([observed(9, 3_601, false)]);
}

#[test]
fn failed_attempts_are_noted_once_in_half_an_hour_and_lost_ones_each_time() {
    let note = |second| ListingCommand::NoteSent(sent(9, second));
    given::<Listing>(L, []).when(note(1)).then([unanswered(9, 1)]);
    given::<Listing>(L, [unanswered(9, 1)]).when(note(1_800)).then([]);
    given::<Listing>(L, [unanswered(9, 1)]).when(note(1_801)).then([unanswered(9, 1_801)]);
    let lost = Sent { lost: true, ..sent(9, 2) };
    given::<Listing>(L, [unanswered(9, 1)])
        .when(ListingCommand::NoteSent(lost))
        .then([ListingEvent::FigureSent(lost)])
        .then_state(|listing| assert_eq!(listing.lost_at(FigureKind::Quantity), Some(at(2))));
}

#[test]
fn a_number_we_never_sent_is_foreign() {
    given::<Listing>(L, [pushed(5, 10)])
        .when(observe(3, 1))
        .then([observed(3, 1, false)])
        .then_state(|listing| assert_eq!(listing.quantity.value, Some(3)));
}

#[test]
fn pushes_that_are_told_of_the_same_second_are_echoes_in_any_order_and_however_often() {
    for told in [[8, 7, 8], [7, 7, 8], [8, 8, 7]] {
        let listing = told.iter().fold(
            [pushed(7, 10), pushed(8, 11)].into_iter().fold(Listing::default(), Listing::evolve),
            |listing, quantity| {
                let events = listing.decide(observe(*quantity, 5)).expect("it is seen");
                assert_eq!(events, [observed(*quantity, 5, true)], "{told:?}");
                events.into_iter().fold(listing, Listing::evolve)
            },
        );
        assert_eq!(listing.quantity.value, Some(8), "{told:?}");
        // A second later it is somebody's.
        assert_eq!(listing.decide(observe(7, 6)), Ok(vec![observed(7, 6, false)]), "{told:?}");
    }
}

#[test]
fn an_echo_that_is_quicker_than_the_answer_is_no_stray_and_is_not_awaited_again() {
    let early =
        ListingCommand::ObserveQuantity { quantity: 5, owed: Some(5), at: at(1), told: true, now: at(60) };
    given::<Listing>(L, [pushed(6, 9)]).when(early).then([agreed(5, 1)]);
    given::<Listing>(L, [pushed(6, 9), observed(5, 1, true), pushed(5, 10), pushed(4, 11)])
        .when(observe(5, 2))
        .then([observed(5, 2, false)]);
}

#[test]
fn a_platform_that_showed_something_at_a_time_knew_what_it_was_told_before() {
    let history = [told(9, 1, (10, 12)), pushed(8, 2), told(7, 3, (30, 33)), agreed(7, 50)];
    let listing = history.into_iter().fold(Listing::default(), Listing::evolve);
    let told = [11, 12, 13, 33, 34, 51].map(|second| listing.told_before(at(second)));
    assert_eq!(told, [None, None, Some(at(10)), Some(at(10)), Some(at(30)), Some(at(60))]);
}

#[test]
fn the_echo_of_a_push_says_when_it_was_taken_by_the_platforms_own_clock() {
    // Its clock is 15 seconds behind, or it tells whole minutes.
    let owed =
        ListingCommand::ObserveQuantity { quantity: 9, owed: Some(9), at: at(15), told: true, now: at(60) };
    given::<Listing>(L, [told(9, 1, (28, 30))]).when(owed).then([agreed(9, 15)]).then_state(|listing| {
        let known = [14, 15, 16].map(|second| listing.told_before(at(second)));
        assert_eq!(known, [None, Some(at(60)), Some(at(60))]);
    });
    // Also where something else is owed by now: then it knows what that push has told.
    let listing =
        [told(9, 1, (28, 30)), observed(9, 15, true)].into_iter().fold(Listing::default(), Listing::evolve);
    let known = [14, 15, 16, 31].map(|second| listing.told_before(at(second)));
    assert_eq!(known, [None, Some(at(28)), Some(at(28)), Some(at(28))]);
}

#[test]
fn late_news_of_a_push_that_is_what_is_owed_by_now_say_nothing_of_what_was_told() {
    let owed =
        ListingCommand::ObserveQuantity { quantity: 8, owed: Some(8), at: at(5), told: true, now: at(60) };
    given::<Listing>(L, [told(8, 1, (1, 2)), told(10, 2, (3, 6))])
        .when(owed.clone())
        .then([observed(8, 5, true)]);
    // What is shown since then is shown now, whatever is awaited.
    given::<Listing>(L, [told(8, 1, (1, 2)), told(10, 2, (3, 4))]).when(owed).then([agreed(8, 5)]);
}

#[test]
fn news_from_before_our_last_push_that_are_what_is_owed_by_now_are_not_taken_for_what_is_shown() {
    let owed = |quantity, second| ListingCommand::ObserveQuantity {
        quantity,
        owed: Some(quantity),
        at: at(second),
        told: true,
        now: at(60),
    };
    // Somebody there has set it before our push was applied.
    given::<Listing>(L, [told(10, 1, (4, 7))]).when(owed(8, 5)).then([]);
    given::<Listing>(L, [told(10, 1, (4, 7))]).when(owed(8, 8)).then([agreed(8, 8)]);
    // What we have sent since is ours all the same, as is what is believed.
    given::<Listing>(L, [told(10, 1, (4, 7)), unanswered(8, 8)])
        .when(owed(8, 7))
        .then([observed(8, 7, true)]);
    given::<Listing>(L, [told(10, 1, (4, 7)), observed(10, 7, true)])
        .when(owed(10, 7))
        .then([observed(10, 7, true)]);
    // What we look at ourselves is shown now.
    let looked =
        ListingCommand::ObserveQuantity { quantity: 8, owed: Some(8), at: at(7), told: false, now: at(60) };
    given::<Listing>(L, [told(10, 1, (4, 7))]).when(looked).then([agreed(8, 7)]);
    // A clock that is behind says all the same what is later than the echo of our last push.
    given::<Listing>(L, [told(10, 1, (99, 100)), observed(10, 10, true)])
        .when(owed(8, 30))
        .then([agreed(8, 30)]);
}

#[test]
fn late_news_of_a_push_from_before_a_newer_sight_say_nothing_of_what_was_told() {
    let late =
        ListingCommand::ObserveQuantity { quantity: 8, owed: Some(8), at: at(15), told: true, now: at(60) };
    // The echo of nine was quicker than its answer, and that of eight has not come yet.
    let history = [told(8, 1, (1, 2)), observed(9, 3, true), told(9, 2, (3, 4)), observed(9, 20, true)];
    given::<Listing>(L, history)
        .when(late)
        .then([observed(8, 15, true)])
        .then_state(|listing| assert_eq!(listing.quantity.value, Some(9)));
}

#[test]
fn an_echo_is_heard_once() {
    given::<Listing>(L, [pushed(5, 10), pushed(4, 11), observed(5, 1, true)])
        .when(observe(5, 2))
        .then([observed(5, 2, false)]);
}

#[test]
fn a_figure_in_question_is_noted_once_and_ends_with_a_resolution() {
    let mapping = Mapping {
        connection: ConnectionId(Uuid::from_u128(2)),
        product: ProductId(Uuid::from_u128(3)),
        variant: VariantId(Uuid::from_u128(4)),
        external_product: ExternalId::from(1),
        external_variant: ExternalId::from(2),
        external_inventory: None,
    };
    let mapped = || ListingEvent::Mapped(mapping.clone());
    let conflict = |quantity| Conflict { shows: Figure::Quantity { quantity }, at: at(1) };
    let opened = |quantity| ListingEvent::ConflictOpened(conflict(quantity));
    let open = |quantity| ListingCommand::OpenConflict(conflict(quantity));
    let resolve = |kind| ListingCommand::ResolveConflict { kind, resolution: Resolution::UseMaster };
    given::<Listing>(L, []).when(open(3)).then([]);
    given::<Listing>(L, [mapped()]).when(open(3)).then([opened(3)]);
    given::<Listing>(L, [mapped(), opened(3)]).when(open(3)).then([]);
    given::<Listing>(L, [mapped(), opened(3)]).when(open(2)).then([opened(2)]);
    given::<Listing>(L, [mapped(), opened(3)])
        .when(resolve(FigureKind::Price))
        .then_refused("conflict.unknown");
    let (kind, resolution) = (FigureKind::Quantity, Resolution::UseMaster);
    given::<Listing>(L, [mapped(), opened(3)])
        .when(resolve(kind))
        .then([ListingEvent::ConflictResolved { kind, resolution }])
        .then_state(|listing| assert!(listing.quantity_conflict.is_none()));
}

#[test]
fn a_figure_in_question_is_the_one_that_is_shown_now() {
    let conflict = |quantity, second| Conflict { shows: Figure::Quantity { quantity }, at: at(second) };
    let history = || [pushed(5, 10), observed(3, 2, false), ListingEvent::ConflictOpened(conflict(3, 2))];
    let after = |events: Vec<ListingEvent>| {
        let listing = history().into_iter().chain(events).fold(Listing::default(), Listing::evolve);
        listing.quantity_conflict
    };
    assert_eq!(after(vec![observed(2, 3, false)]), Some(conflict(2, 3)));
    assert_eq!(after(vec![observed(3, 3, false)]), Some(conflict(3, 2)), "it is shown since then");
    // The push that was under way came through behind it, and late news of one before that say nothing.
    let behind = || vec![unanswered(6, 1), pushed(4, 11), observed(6, 3, true)];
    assert_eq!(after(behind()), Some(conflict(3, 2)));
    assert_eq!(after([behind(), vec![observed(4, 4, true)]].concat()), Some(conflict(4, 4)));
}

#[test]
fn what_we_have_looked_at_ourselves_is_no_echo_though_we_once_pushed_it() {
    let looked =
        ListingCommand::ObserveQuantity { quantity: 5, owed: Some(4), at: at(1), told: false, now: at(60) };
    given::<Listing>(L, [pushed(5, 10), pushed(4, 11)])
        .when(looked)
        .then([observed(5, 1, false)])
        .then_state(|listing| assert_eq!(listing.quantity.value, Some(5)));
}

#[test]
fn after_a_push_was_given_up_what_is_shown_is_not_known() {
    let failed = ListingEvent::PushFailed { kind: "quantity".into(), reason: "503".into(), attempts: 12 };
    given::<Listing>(L, [pushed(5, 10), failed])
        .when(ListingCommand::Remove { at: None })
        .then([])
        .then_state(|listing| assert_eq!(listing.quantity.value, None));
}

#[test]
fn a_listing_is_emptied_by_a_0_of_ours_until_another_figure_of_ours_may_have_got_through() {
    let failed =
        |kind: &str| ListingEvent::PushFailed { kind: kind.into(), reason: "503".into(), attempts: 12 };
    let emptied = |more: &[ListingEvent]| {
        let at_first = Listing::default().evolve(pushed(0, 10));
        more.iter().cloned().fold(at_first, Listing::evolve).emptied
    };
    assert!(emptied(&[]));
    assert!(emptied(&[observed(4, 2, false), unanswered(0, 3), failed("price")]), "none is of our units");
    assert!(!emptied(&[pushed(4, 11)]));
    assert!(!emptied(&[unanswered(4, 3)]));
    assert!(!emptied(&[failed("quantity")]));
}

#[test]
fn what_a_listing_shows_that_was_gone_and_is_back_is_not_known() {
    let mapping = Mapping {
        connection: ConnectionId(Uuid::from_u128(3)),
        product: ProductId(Uuid::from_u128(4)),
        variant: VariantId(Uuid::from_u128(5)),
        external_product: 6.into(),
        external_variant: 7.into(),
        external_inventory: None,
    };
    let mapped = || ListingEvent::Mapped(mapping.clone());
    let after = |more: Vec<ListingEvent>| {
        [vec![mapped(), pushed(0, 10)], more].concat().into_iter().fold(Listing::default(), Listing::evolve)
    };
    let mapped_anew = after(vec![mapped()]);
    assert_eq!((mapped_anew.quantity.value, mapped_anew.emptied), (Some(0), true), "it never was gone");
    let back = after(vec![ListingEvent::Removed { at: None, taken_off: false }, mapped()]);
    assert_eq!((back.quantity.value, back.emptied, back.removed), (None, false, false));
}

fn price(minor: i64) -> Money {
    Money::new(minor, crate::values::Currency::new("USD").expect("a currency")).expect("an amount")
}

/// Pushed, and taken at a second, if that is known.
fn price_pushed(minor: i64, as_of: i64, taken: Option<i64>) -> ListingEvent {
    ListingEvent::PricePushed { price: price(minor), as_of, at: taken.map(at) }
}

fn price_told(minor: i64, second: i64) -> ListingCommand {
    ListingCommand::ObservePrice { price: price(minor), at: at(second), told: true }
}

fn price_looked_at(minor: i64, second: i64) -> ListingCommand {
    ListingCommand::ObservePrice { price: price(minor), at: at(second), told: false }
}

fn price_seen(minor: i64, second: i64, echo: bool) -> ListingEvent {
    ListingEvent::PriceObserved { price: price(minor), at: at(second), echo }
}

#[test]
fn late_news_of_an_earlier_price_of_ours_are_no_news() {
    let history = || [price_pushed(10, 1, None), price_pushed(12, 2, None)];
    given::<Listing>(L, history()).when(price_told(10, 9)).then([]);
    given::<Listing>(L, history()).when(price_told(11, 9)).then([price_seen(11, 9, false)]);
    // What we look at ourselves is shown now.
    given::<Listing>(L, history()).when(price_looked_at(10, 9)).then([price_seen(10, 9, false)]);
}

#[test]
fn a_price_told_from_before_our_last_push_was_taken_may_be_shown_and_is_no_news_of_when_that_was() {
    let history = || [price_pushed(10, 1, Some(2)), price_pushed(12, 2, Some(20))];
    for second in [15, 20] {
        given::<Listing>(L, history())
            .when(price_told(11, second))
            .then([price_seen(11, second, false)])
            .then_state(|listing| assert!(listing.is_behind(price(9), (at(20), true))));
    }
    given::<Listing>(L, history())
        .when(price_told(11, 21))
        .then([price_seen(11, 21, false)])
        .then_state(|listing| assert!(!listing.is_behind(price(9), (at(20), true))));
    given::<Listing>(L, history()).when(price_looked_at(11, 15)).then([price_seen(11, 15, false)]);
    // What was sent and not answered may have been applied behind it.
    let unanswered =
        ListingEvent::FigureSent(Sent { figure: Figure::Price { price: price(13) }, at: at(21), lost: true });
    given::<Listing>(L, history().into_iter().chain([unanswered]))
        .when(price_told(13, 15))
        .then([price_seen(13, 15, false)]);
}

#[test]
fn once_our_last_price_has_come_back_the_platforms_own_clock_says_what_is_late() {
    // Its clock is behind, or ahead.
    for echo in [8, 28] {
        given::<Listing>(L, [price_pushed(10, 1, Some(2)), price_pushed(12, 2, Some(20))])
            .when(price_told(12, echo))
            .then([price_seen(12, echo, true)])
            .when(price_told(12, echo + 1))
            .then([])
            .when(price_told(11, echo - 1))
            .then([])
            .when(price_told(10, echo))
            .then([])
            // Some tell whole seconds.
            .when(price_told(11, echo))
            .then([price_seen(11, echo, false)]);
    }
}

#[test]
fn a_price_that_comes_back_before_the_answer_to_its_push_is_not_waited_for() {
    given::<Listing>(
        L,
        [price_pushed(10, 1, Some(2)), price_seen(12, 8, false), price_pushed(12, 2, Some(20))],
    )
    .when(price_told(11, 9))
    .then([price_seen(11, 9, false)]);
}

#[test]
fn older_news_does_not_overwrite_newer() {
    given::<Listing>(L, [observed(3, 9, false)]).when(observe(7, 8)).then([]);
}

#[test]
fn an_answer_for_an_older_position_does_not_overwrite_a_newer_one() {
    given::<Listing>(L, [pushed(4, 11), pushed(5, 10)])
        .when(ListingCommand::Remove { at: None })
        .then([])
        .then_state(|listing| assert_eq!(listing.quantity.value, Some(4)));
}
