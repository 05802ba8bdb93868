//! Everything at once: five platforms that fail, one of them away for a while, and relays that die in the middle of a step.

use onhand_tests::{
    World,
    convergence::{self, Size},
};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_each_listing_comes_to_show_the_ledger_for_little_more_than_an_attempt_a_change()
{
    let (world, size) = (World::new().await, Size::SMALL);
    // It panics where anything is not as it has to be.
    let took = convergence::run(&world, size).await;
    assert!(took.calls.iter().all(|(_, calls)| *calls > 0), "{took:?}");
    // Each change is owed to five platforms, and many of them in one round come to one.
    let (least, most) = (size.changes as i64, size.changes as i64 * took.calls.len() as i64);
    assert!((least..most).contains(&took.changed), "{took:?}");
}
