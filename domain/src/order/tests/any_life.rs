//! The life of one order: in whatever order its news arrive, its units end where the last of them puts them.

use proptest::prelude::*;

use super::*;

/// What is there at first.
const THERE: i64 = 1_000;

/// What the platform tells of the order, each time a second later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    Open(i64),
    Paid(i64),
    Cancelled,
}

/// A life as platforms let orders have one. Its lines may change until it is first paid: what was paid is not told otherwise here.
/// Only where it is taken up again, something follows on a cancellation.
fn life(reopens: bool) -> impl Strategy<Value = Vec<Tells>> {
    prop::collection::vec((0..6_u8, 1..9_i64), 1..7).prop_map(move |steps| {
        let (mut life, mut bought, mut was_paid, mut open) = (vec![], 1, false, true);
        for (step, quantity) in steps {
            bought = if was_paid { bought } else { quantity };
            let tells = match step {
                0..=1 => Tells::Open(bought),
                2..=3 => Tells::Paid(bought),
                _ => Tells::Cancelled,
            };
            if open || reopens {
                was_paid |= matches!(tells, Tells::Paid(_));
                open = tells != Tells::Cancelled;
                life.push(tells);
            }
        }
        life
    })
}

fn shuffled(reopens: bool) -> impl Strategy<Value = (Vec<Tells>, Vec<(i64, Tells)>)> {
    life(reopens).prop_flat_map(|life| {
        let told = (1..).zip(life.iter().copied());
        let twice: Vec<_> = told.clone().chain(told.step_by(2)).collect();
        (Just(life), Just(twice).prop_shuffle())
    })
}

fn ends_as_told(reopens: bool, life: &[Tells], told: &[(i64, Tells)]) -> Result<(), TestCaseError> {
    let mut world = World::stocked(&[THERE]);
    world.1 = reopens;
    for (second, tells) in told {
        match tells {
            Tells::Open(quantity) => drop(world.hears(&[line(1, *quantity)], false, *second)),
            Tells::Paid(quantity) => drop(world.hears(&[line(1, *quantity)], true, *second)),
            Tells::Cancelled => world.is_cancelled(*second),
        }
    }
    let (on_hand, reserved) = world.totals(1);
    let taken = match life.last() {
        Some(Tells::Open(quantity) | Tells::Paid(quantity)) => *quantity,
        Some(Tells::Cancelled) | None => 0,
    };
    prop_assert_eq!(on_hand - reserved, THERE - taken);
    if !matches!(life.last(), Some(Tells::Open(_))) {
        prop_assert_eq!(reserved, 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_order_that_ends_for_good_ends_as_it_was_told_last((life, told) in shuffled(false)) {
        ends_as_told(false, &life, &told)?;
    }

    #[test]
    fn an_order_that_may_go_on_ends_as_it_was_told_last((life, told) in shuffled(true)) {
        ends_as_told(true, &life, &told)?;
    }
}
