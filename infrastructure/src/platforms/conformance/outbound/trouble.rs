//! Platforms that fail, are slow, hang up, ask for patience or do not know us.
//!
//! Whatever happens, what is called shown is shown, and what is not is told with what to do about it.

use onhand_domain::connection::Platform;
use uuid::Uuid;

use super::{
    super::{SECRET, URL},
    ask, assert_counted, assert_priced, counted_from, has_failed, is_never, needs_person, priced_from,
    stand::{APP_SECRET, OTHER_TOKEN, Stand, TOKEN, stands},
    stranger,
};
use crate::{
    platforms::outbound::{Api, CallError, Outcome, QuantityAsk},
    secrets::Secret,
};

/// Why nothing is refused of several on a platform; none where it is.
fn refuses_nothing(platform: Platform) -> Option<&'static str> {
    match platform {
        Platform::Clover | Platform::Trackstar => Some("it is sent one item a call"),
        Platform::Shopify => Some("its stand-in refuses what is wrong and nothing else; see its own tests"),
        _ => None,
    }
}

/// What is called shown is shown, and nothing else has changed.
fn assert_true(stand: &Stand, outcomes: &[Outcome<i64>], before: &[i64]) {
    let shown = stand.quantities();
    assert_eq!(outcomes.len(), before.len(), "{}", stand.platform);
    for ((outcome, shown), before) in outcomes.iter().zip(&shown).zip(before) {
        let expected = if let Outcome::Shown(quantity) = outcome { quantity } else { before };
        assert_eq!(shown, expected, "{}: {outcomes:?}", stand.platform);
    }
}

/// The same asks, from what is shown now.
fn believing(stand: &Stand, asks: &[QuantityAsk]) -> Vec<QuantityAsk> {
    let shown = stand.quantities().into_iter();
    asks.iter().zip(shown).map(|(ask, shown)| QuantityAsk { believed: Some(shown), ..ask.clone() }).collect()
}

#[tokio::test]
async fn a_refused_item_has_failed_alone_and_goes_another_time() {
    for stand in stands().await {
        let platform = stand.platform;
        if refuses_nothing(platform).is_some() {
            continue;
        }
        let asks = counted_from(&stand, 10);
        stand.faults().refuse_items_rate(1.0);
        let outcomes = stand.set(&asks, 1).await;
        let refused: Vec<_> = outcomes.iter().map(|it| matches!(it, Outcome::Failed(_))).collect();
        // The third is of another product: where each product has a call of its own, it may be the only one of its call.
        assert_eq!(refused[..2], [true, true], "{platform}: {outcomes:?}");
        assert_true(&stand, &outcomes, &[5, 5, 5]);
        for seed in 1..8 {
            stand.faults().seed(seed);
            stand.faults().refuse_items_rate(0.5);
            let before = stand.quantities();
            let outcomes = stand.set(&counted_from(&stand, 10 * seed.cast_signed()), seed.into()).await;
            assert_true(&stand, &outcomes, &before);
        }
        stand.faults().refuse_items_rate(0.0);
        assert_eq!(stand.set(&asks, 100).await, [10, 11, 12].map(Outcome::Shown), "{platform}");
    }
}

#[tokio::test]
async fn a_refused_price_has_failed_alone_and_goes_another_time() {
    for stand in stands().await {
        let (platform, before) = (stand.platform, stand.prices());
        if refuses_nothing(platform).is_some() || !stand.takes_prices() {
            continue;
        }
        let asks = priced_from(&stand, 12_345);
        stand.faults().refuse_items_rate(1.0);
        let outcomes = stand.price(&asks, 1).await;
        for (place, outcome) in outcomes.iter().enumerate() {
            let failed = matches!(outcome, Outcome::Failed(_));
            assert!(failed || place == 2, "{platform}: {outcomes:?}");
            let expected = if failed { before[place] } else { asks[place].price.minor };
            assert_eq!(stand.prices()[place], expected, "{platform}: {outcomes:?}");
        }
        stand.faults().refuse_items_rate(0.0);
        assert_priced(&stand, &stand.price(&asks, 2).await, &[12_345, 12_346, 12_347]);
    }
}

#[tokio::test]
async fn a_platform_that_fails_has_failed_for_each_ask_and_applies_nothing() {
    for stand in stands().await {
        let (platform, before) = (stand.platform, stand.all_shown());
        for status in [500, 502, 503, 504] {
            stand.faults().fail_next(10_000, status);
            let asks = counted_from(&stand, 10);
            for asks in [&believing(&stand, &asks), &asks] {
                let outcomes = stand.set(asks, 1).await;
                assert_eq!(outcomes.len(), 3, "{platform}, {status}");
                assert!(outcomes.iter().all(has_failed), "{platform}, {status}: {outcomes:?}");
            }
            if stand.takes_prices() {
                let outcomes = stand.price(&priced_from(&stand, 12_345), 1).await;
                assert_eq!(outcomes.len(), 3, "{platform}, {status}");
                assert!(outcomes.iter().all(has_failed), "{platform}, {status}: {outcomes:?}");
            }
            let read = stand.read(&stand.handles()).await;
            assert_eq!(read.len(), 3, "{platform}, {status}");
            let failed = |it: &Result<_, CallError>| it.as_ref().is_err_and(CallError::is_failure);
            assert!(read.iter().all(failed), "{platform}, {status}: {read:?}");
        }
        assert_eq!(stand.all_shown(), before, "{platform}");
        stand.faults().clear();
        let outcomes = stand.set(&counted_from(&stand, 10), 2).await;
        assert_eq!(outcomes, [10, 11, 12].map(Outcome::Shown), "{platform}");
    }
}

#[tokio::test]
async fn to_be_asked_for_patience_is_no_failure() {
    for stand in stands().await {
        let platform = stand.platform;
        for (quantity, as_429, silent) in [(10, true, false), (11, false, false), (12, true, true)] {
            let asks = [ask(&stand.handles()[0], quantity)];
            let before = stand.quantities()[0];
            stand.faults().no_retry_after(silent);
            stand.faults().throttle_next(1, as_429);
            let outcomes = stand.set(&asks, 1).await;
            let [Outcome::Failed(CallError::Again { after, counts: false, .. })] = &outcomes[..] else {
                panic!("{platform}: {outcomes:?}")
            };
            // Square never says for how long.
            let told = !silent && platform != Platform::Square;
            assert!(after.is_some() || !told, "{platform}: what it says is kept to");
            assert_eq!(stand.quantities()[0], before, "{platform}");
            assert_eq!(stand.set(&asks, 1).await, [Outcome::Shown(quantity)], "{platform}");
            stand.faults().throttle_next(1, as_429);
            let read = stand.read(&stand.handles()[..1]).await;
            let patience = matches!(read[..], [Err(CallError::Again { counts: false, .. })]);
            assert!(patience, "{platform}: {read:?}");
            assert_counted(&stand, &stand.read(&stand.handles()[..1]).await, &[quantity]);
        }
    }
}

#[tokio::test]
async fn a_line_that_is_cut_before_anything_is_applied_is_tried_again() {
    for stand in stands().await {
        let (platform, before) = (stand.platform, stand.all_shown());
        let (asks, prices) = (counted_from(&stand, 10), priced_from(&stand, 12_345));
        stand.faults().drop_connection_rate(1.0);
        let outcomes = stand.set(&asks, 1).await;
        assert!(outcomes.len() == 3 && outcomes.iter().all(has_failed), "{platform}: {outcomes:?}");
        let outcomes = stand.price(&prices, 1).await;
        assert!(!stand.takes_prices() || outcomes.iter().all(has_failed), "{platform}: {outcomes:?}");
        assert_eq!(stand.all_shown(), before, "{platform}");
        stand.faults().clear();
        assert_eq!(stand.set(&asks, 2).await, [10, 11, 12].map(Outcome::Shown), "{platform}");
        assert_priced(&stand, &stand.price(&prices, 2).await, &[12_345, 12_346, 12_347]);
        assert_eq!(stand.quantities(), [10, 11, 12], "{platform}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_change_ends_in_the_right_value() {
    for stand in stands().await {
        let platform = stand.platform;
        let handle = stand.handles()[0].clone();
        // All lines are cut, or, with other dice each time, some: a platform may be looked at before it is changed.
        for (seed, share) in (0_u32..).zip([1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]) {
            let (key, quantity) = (u128::from(seed), 10 + 7 * i64::from(seed));
            let asks = believing(&stand, &[ask(&handle, quantity)]);
            stand.faults().seed(seed.into());
            stand.faults().drop_after_applying_rate(share);
            let outcomes = stand.set(&asks, key).await;
            let [outcome] = &outcomes[..] else { panic!("{platform}: {outcomes:?}") };
            let shown = *outcome == Outcome::Shown(quantity) && stand.quantities()[0] == quantity;
            assert!(shown || has_failed(outcome), "{platform}, {seed}: {outcomes:?}");
            stand.faults().clear();
            let asks = believing(&stand, &asks);
            assert_eq!(stand.set(&asks, 100 + key).await, [Outcome::Shown(quantity)], "{platform}, {seed}");
            assert_eq!(stand.quantities(), [quantity, 5, 5], "{platform}, {seed}");
        }
    }
}

#[tokio::test]
async fn whatever_goes_wrong_what_is_called_shown_is_shown() {
    for stand in stands().await {
        let platform = stand.platform;
        for round in 1..30 {
            let faults = stand.faults();
            faults.seed(round);
            faults.fail_rate(0.1);
            faults.drop_connection_rate(0.1);
            faults.drop_after_applying_rate(0.1);
            faults.refuse_items_rate(0.2);
            faults.throttle_next(u32::from(round % 2 == 0), round % 3 == 0);
            let asks = counted_from(&stand, 10 * round.cast_signed());
            let outcomes = stand.set(&asks, round.into()).await;
            assert_eq!(outcomes.len(), 3, "{platform}");
            for ((outcome, shown), ask) in outcomes.iter().zip(stand.quantities()).zip(&asks) {
                let claimed = matches!(outcome, Outcome::Shown(_));
                assert!(!claimed || shown == ask.quantity, "{platform}, {round}: {outcomes:?}");
            }
        }
        stand.faults().clear();
        let asks = believing(&stand, &counted_from(&stand, 7));
        assert_eq!(stand.set(&asks, 100).await, [7, 8, 9].map(Outcome::Shown), "{platform}");
        assert_eq!(stand.quantities(), [7, 8, 9], "{platform}");
    }
}

/// That nothing goes with these credentials until a person looks after them.
async fn assert_needs_person(stand: &Stand, api: &Api) {
    let (platform, before) = (stand.platform, stand.all_shown());
    let (asks, prices) = (counted_from(stand, 10), priced_from(stand, 12_345));
    let key = Uuid::from_u128(1);
    for asks in [&asks, &believing(stand, &asks)] {
        let outcomes = stand.outbound.set_quantities(api, asks, key).await;
        assert!(outcomes.len() == 3 && outcomes.iter().all(needs_person), "{platform}: {outcomes:?}");
        assert!(!format!("{outcomes:?}").contains(OTHER_TOKEN), "{platform}");
    }
    let outcomes = stand.outbound.set_prices(api, &prices, key).await;
    let refused =
        outcomes.iter().all(|it| if stand.takes_prices() { needs_person(it) } else { is_never(it) });
    assert!(outcomes.len() == 3 && refused, "{platform}: {outcomes:?}");
    let read = stand.outbound.read(api, &stand.handles()).await;
    let refused = read.iter().all(|it| matches!(it, Err(CallError::NeedsPerson { .. })));
    assert!(read.len() == 3 && refused, "{platform}: {read:?}");
    assert_eq!(stand.all_shown(), before, "{platform}");
}

#[tokio::test]
async fn wrong_credentials_need_a_person() {
    for stand in stands().await {
        let other = Some(Secret::new(OTHER_TOKEN));
        let wrong = stand.api_with(|account| account.access_token = other.clone());
        assert_needs_person(&stand, &wrong).await;
        let missing = stand.api_with(|account| account.access_token = None);
        assert_needs_person(&stand, &missing).await;
        if matches!(stand.platform, Platform::Shopee | Platform::TiktokShop | Platform::Trackstar) {
            let wrong = stand.api_with(|account| account.app_secret = other);
            assert_needs_person(&stand, &wrong).await;
            let missing = stand.api_with(|account| account.app_secret = None);
            assert_needs_person(&stand, &missing).await;
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_read_as_nothing() {
    for stand in stands().await {
        let (platform, handles) = (stand.platform, stand.handles());
        let asked = [stranger(&handles[0]), handles[0].clone(), handles[2].clone()];
        let read = stand.read(&asked).await;
        assert!(matches!(read[0], Err(CallError::Never { .. })), "{platform}: {read:?}");
        assert_counted(&stand, &read[1..], &[5, 5]);
        stand.remove("WALKER").await;
        let read = stand.read(&asked).await;
        assert_counted(&stand, &read[1..2], &[5]);
        assert!(matches!(read[2], Err(CallError::Never { .. })), "{platform}: {read:?}");
        let outcomes = stand.set(&asked.map(|handle| ask(&handle, 6)), 1).await;
        assert!(is_never(&outcomes[0]) && is_never(&outcomes[2]), "{platform}: {outcomes:?}");
        assert_eq!(outcomes[1], Outcome::Shown(6), "{platform}: {outcomes:?}");
    }
}

#[tokio::test]
async fn a_call_that_is_refused_says_of_nothing_that_it_is_not_there() {
    for stand in stands().await {
        let platform = stand.platform;
        for status in [400, 406, 413, 422] {
            stand.faults().fail_next(10_000, status);
            let read = stand.read(&stand.handles()).await;
            let failed = |it: &Result<_, CallError>| it.as_ref().is_err_and(CallError::is_failure);
            assert!(read.len() == 3 && read.iter().all(failed), "{platform}, {status}: {read:?}");
        }
        stand.faults().clear();
        assert_counted(&stand, &stand.read(&stand.handles()).await, &[5, 5, 5]);
    }
}

#[tokio::test]
async fn a_push_that_is_refused_is_no_failure_of_the_platform() {
    // Whoever refuses it in other words than Clover's is not Clover.
    for stand in stands().await.into_iter().filter(|stand| stand.platform != Platform::Clover) {
        stand.faults().fail_next(10_000, 406);
        let platform = stand.platform;
        let outcomes = stand.set(&counted_from(&stand, 10)[..1], 1).await;
        assert!(is_never(&outcomes[0]), "{platform}: {outcomes:?}");
        let outcomes = stand.price(&priced_from(&stand, 12_345)[..1], 2).await;
        assert!(is_never(&outcomes[0]), "{platform}: {outcomes:?}");
    }
}

#[tokio::test]
async fn a_platform_that_is_slow_to_finish_has_answered() {
    for stand in stands().await {
        stand.faults().slow_body(30);
        let outcomes = stand.set(&counted_from(&stand, 10), 1).await;
        assert_eq!(outcomes, [10, 11, 12].map(Outcome::Shown), "{}", stand.platform);
        let outcomes = stand.price(&priced_from(&stand, 12_345), 1).await;
        assert_priced(&stand, &outcomes, &[12_345, 12_346, 12_347]);
        assert_counted(&stand, &stand.read(&stand.handles()).await, &[10, 11, 12]);
    }
}

#[tokio::test]
async fn a_rehearsal_tells_the_calls_and_changes_nothing() {
    for stand in stands().await {
        let (platform, before, outbound) = (stand.platform, stand.all_shown(), stand.outbound);
        let key = Uuid::from_u128(1);
        let api = stand.api.for_rehearsal();
        let outcomes = outbound.set_quantities(&api, &counted_from(&stand, 10), key).await;
        let shown = outcomes.iter().any(|it| matches!(it, Outcome::Shown(_)));
        assert!(outcomes.len() == 3 && !shown, "{platform}: {outcomes:?}");
        let of_quantities = api.rehearsed();
        assert!(!of_quantities.is_empty(), "{platform}");
        let outcomes = outbound.set_prices(&api, &priced_from(&stand, 12_345), key).await;
        assert!(!outcomes.iter().any(|it| matches!(it, Outcome::Shown(_))), "{platform}: {outcomes:?}");
        let calls = api.rehearsed();
        assert_eq!(calls.len() > of_quantities.len(), stand.takes_prices(), "{platform}: {calls:?}");
        let told = format!("{calls:?} {api:?}");
        for secret in [TOKEN, APP_SECRET, "cs_stand"] {
            assert!(!told.contains(secret), "{platform}: {told}");
        }
        if outbound.subscribes() {
            let _ = outbound.subscribe(&api, URL, Some(&Secret::new(SECRET))).await;
            assert!(api.rehearsed().len() > calls.len(), "{platform}");
            let listed = outbound.subscriptions(&stand.api).await;
            assert!(listed.as_ref().is_ok_and(Vec::is_empty), "{platform}: {listed:?}");
        }
        assert_eq!(stand.all_shown(), before, "{platform}");
        assert!(stand.api.rehearsed().is_empty(), "{platform}");
    }
}
