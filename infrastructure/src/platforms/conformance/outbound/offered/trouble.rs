//! Products and platforms that fail, hang up, ask for patience, do not know us, or are only rehearsed with.

use onhand_domain::values::{Currency, Money};
use uuid::Uuid;

use super::{
    super::stand::{APP_SECRET, OTHER_TOKEN, TOKEN},
    *,
};
use crate::{platforms::outbound::Api, secrets::Secret};

/// A product that nothing else is like.
fn numbered(stand: &Stand, number: u64) -> ProductAsk {
    let mut ask = runner(stand, &["41", "42"]);
    ask.words.title = format!("Runner {number}");
    for variant in &mut ask.variants {
        variant.sku = Sku::new(&format!("RUN{number}-{}", variant.attributes["size"])).expect("a SKU");
    }
    ask
}

#[tokio::test]
async fn an_answer_that_is_lost_leads_to_one_product() {
    for platform in able(|it| it.offers) {
        let stand = Stand::bare(platform).await;
        // All lines are cut, or, with other dice each time, some: it takes several calls.
        for (seed, share) in (1_u64..).zip([1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]) {
            let (ask, key) = (numbered(&stand, seed), u128::from(seed));
            stand.faults().seed(seed);
            stand.faults().drop_after_applying_rate(share);
            let lost = stand.offer(&ask, key).await;
            assert!(lost.is_ok() || lost.as_ref().is_err_and(CallError::is_failure), "{platform}: {lost:?}");
            stand.faults().clear();
            let found = offered(&stand, &ask, 100 + key).await;
            assert_there(&stand, &ask, &found);
            assert_eq!(stand.goods().len() as u64, 2 * seed, "{platform}, {seed}");
        }
    }
}

#[tokio::test]
async fn whatever_goes_wrong_there_is_one_product_at_last() {
    for platform in able(|it| it.offers) {
        let stand = Stand::bare(platform).await;
        for round in 1..20 {
            let ask = numbered(&stand, round);
            for attempt in 0..3 {
                let faults = stand.faults();
                faults.seed(3 * round + attempt);
                faults.fail_rate(0.2);
                faults.drop_connection_rate(0.1);
                faults.drop_after_applying_rate(0.3);
                faults.throttle_next(u32::from(attempt == 1), round % 2 == 0);
                let outcome = stand.offer(&ask, u128::from(3 * round + attempt)).await;
                let again = matches!(outcome, Ok(_) | Err(CallError::Again { .. }));
                assert!(again, "{platform}, {round}: {outcome:?}");
                if let Ok(offered) = &outcome {
                    assert_there(&stand, &ask, offered);
                }
                faults.clear();
            }
            let found = offered(&stand, &ask, 1_000 + u128::from(round)).await;
            assert_there(&stand, &ask, &found);
            assert_eq!(stand.goods().len() as u64, 2 * round, "{platform}, {round}");
        }
    }
}

#[tokio::test]
async fn a_description_or_a_removal_whose_answer_is_lost_may_be_repeated() {
    for platform in able(|it| it.describes && it.takes_off) {
        let stand = Stand::bare(platform).await;
        stand.seed("Runner", &[("RUN-41", 12_000, 5), ("RUN-42", 12_000, 5)]);
        let (handles, listener) = (stand.handles(), Listener::open(&stand).await);
        let mut ask = of_handles(&stand, &handles);
        ask.words.title = "Runner II".to_owned();
        stand.faults().drop_after_applying_rate(1.0);
        let lost = stand.describe(&ask, 1).await;
        assert!(lost.as_ref().is_err_and(CallError::is_failure), "{platform}: {lost:?}");
        stand.faults().clear();
        let said = stand.describe(&ask, 2).await;
        let said = said.unwrap_or_else(|error| panic!("{platform}: {error}"));
        assert_told(&stand, &listener.told().await, &handles, &said);
        stand.faults().drop_after_applying_rate(1.0);
        let lost = stand.take_off(&handles, 3).await;
        assert!(lost.as_ref().is_err_and(CallError::is_failure), "{platform}: {lost:?}");
        stand.faults().clear();
        assert_eq!(stand.take_off(&handles, 4).await, Ok(()), "{platform}");
        assert!(stand.goods().is_empty(), "{platform}");
    }
}

/// What comes of asking for everything that the platform can do, of a product that is there and one that is not.
async fn all_asked(stand: &Stand, api: &Api) -> Vec<CallError> {
    let (outbound, skills, key) = (stand.outbound, stand.outbound.skills(), Uuid::from_u128(1));
    let (new, mut there) = (numbered(stand, 7), of_handles(stand, &stand.handles()[..2]));
    // What is so already may need no call.
    there.words.title = "Runner II".to_owned();
    let mut errors = vec![];
    let mut expect = |asked: bool, error: Option<CallError>| {
        assert!(error.is_some() || !asked, "{}: it went well", stand.platform);
        errors.extend(error.filter(|_| asked));
    };
    expect(skills.offers, outbound.offer(api, &new, key).await.err());
    expect(skills.describes, outbound.describe(api, &there, key).await.err());
    expect(skills.takes_off, outbound.take_off(api, &stand.handles()[..2], key).await.err());
    errors
}

/// Every platform that can do something with products, with two products there.
async fn skilled() -> Vec<Stand> {
    let mut stands = vec![];
    for platform in able(|it| it.offers || it.describes || it.takes_off) {
        let stand = Stand::bare(platform).await;
        stand.seed("Runner", &[("RUN-41", 12_000, 5), ("RUN-42", 12_500, 5)]);
        stand.seed("WALKER", &[("WALKER", 8_950, 5)]);
        stands.push(stand);
    }
    stands
}

#[tokio::test]
async fn a_platform_that_fails_is_asked_another_time_and_nothing_has_happened() {
    for stand in skilled().await {
        let (platform, before, listener) = (stand.platform, stand.all_shown(), Listener::open(&stand).await);
        for status in [500, 502, 503, 504] {
            stand.faults().fail_next(10_000, status);
            let errors = all_asked(&stand, &stand.api).await;
            assert!(errors.iter().all(CallError::is_failure), "{platform}, {status}: {errors:?}");
        }
        stand.faults().clear();
        stand.faults().drop_connection_rate(1.0);
        let errors = all_asked(&stand, &stand.api).await;
        assert!(errors.iter().all(CallError::is_failure), "{platform}: {errors:?}");
        stand.faults().clear();
        stand.faults().throttle_next(10_000, true);
        let errors = all_asked(&stand, &stand.api).await;
        let patient = |error: &CallError| matches!(error, CallError::Again { counts: false, .. });
        assert!(errors.iter().all(patient), "{platform}: {errors:?}");
        stand.faults().clear();
        assert_eq!(stand.all_shown(), before, "{platform}");
        let told = listener.told().await;
        assert!(told.is_empty(), "{platform}: {told:?}");
    }
}

#[tokio::test]
async fn wrong_credentials_need_a_person_for_products_too() {
    for stand in skilled().await {
        let (platform, before) = (stand.platform, stand.all_shown());
        for token in [Some(Secret::new(OTHER_TOKEN)), None] {
            let api = stand.api_with(|account| account.access_token = token);
            let errors = all_asked(&stand, &api).await;
            let person = |error: &CallError| matches!(error, CallError::NeedsPerson { .. });
            assert!(errors.iter().all(person), "{platform}: {errors:?}");
            assert!(!format!("{errors:?}").contains(OTHER_TOKEN), "{platform}");
        }
        assert_eq!(stand.all_shown(), before, "{platform}");
    }
}

#[tokio::test]
async fn a_product_is_rehearsed_and_nothing_has_happened() {
    for stand in skilled().await {
        let (platform, before, api) = (stand.platform, stand.all_shown(), stand.api.for_rehearsal());
        let listener = Listener::open(&stand).await;
        let errors = all_asked(&stand, &api).await;
        let (calls, asked) = (api.rehearsed(), errors.len());
        assert!(calls.len() >= asked, "{platform}: each would have been called: {calls:?}");
        let told = format!("{calls:?} {errors:?}");
        for secret in [TOKEN, APP_SECRET, "cs_stand"] {
            assert!(!told.contains(secret), "{platform}: {told}");
        }
        assert_eq!(stand.all_shown(), before, "{platform}");
        let told = listener.told().await;
        assert!(told.is_empty(), "{platform}: {told:?}");
    }
}

#[tokio::test]
async fn a_product_at_a_price_in_another_currency_or_at_none_is_never_offered() {
    for platform in able(|it| it.offers) {
        let stand = Stand::bare(platform).await;
        if !stand.takes_prices() {
            continue;
        }
        let yen = Currency::new("JPY").expect("a currency");
        for price in [Some(Money::new(12_000, yen).expect("an amount")), None] {
            let mut ask = runner(&stand, &["41", "42"]);
            ask.variants[1].price = price;
            let refused = stand.offer(&ask, 1).await;
            let never = matches!(&refused, Err(CallError::Never { why }) if !why.is_empty());
            assert!(never, "{platform}: {price:?}: {refused:?}");
            assert!(stand.goods().is_empty(), "{platform}: {price:?}");
        }
    }
}
